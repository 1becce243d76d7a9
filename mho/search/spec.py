"""A search's YAML file: a base, the space of settings, objectives, constraints, and how to look."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval, Len

from configs.errors import InputError
from configs.yaml_source import Node, as_node
from mho.config.schema import dotted, listed, suggestion
from mho.sweep.names import Direction
from mho.sweep.pareto import Aims, Limit
from mho.sweep.spec import MOST_AXES, MOST_POINTS, Draw, Sheet, Sweep, conditions, read_file, repeated
from mho.sweep.template import SEED, TIME, Template
from workloads import WORKLOADS
from workloads.experiment import MOST_CHIPS

MOST_TRIALS = 100_000

Method = Literal["tpe", "nsga2", "random", "qmc"]


@dataclass(frozen=True, kw_only=True)
class Choice(Draw):
    """What a setting may be: ``values``, or an interval (``first``, ``last``), by ``scale``, perhaps ``whole``.

    Parameters
    ----------
    when : the setting exists only where these earlier ones have this value (or one of a list)
    """

    when: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """All values, or both ends of an interval."""
        return self.values if self.values is not None else (self.at(0.0), self.at(1.0 - 1e-12))

    @property
    def single(self) -> Sequence[Any]:
        """The values that a condition may name: all, a range of whole numbers, and none of any other interval."""
        if self.values is not None:
            return self.values
        assert self.first is not None
        assert self.last is not None
        return range(int(self.first), int(self.last) + 1) if self.whole else ()


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a figure must keep to."""

    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if self.least is None and self.most is None:
            raise ValueError("a constraint needs least or most")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least must be at most most (got {self.least:g} and {self.most:g})")

    def violation(self, value: float) -> float:
        """How far the value is outside; not above 0 within."""
        over = [] if self.most is None else [value - self.most]
        under = [] if self.least is None else [self.least - value]
        return max(over + under)


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How the next trials are chosen from those that are finished.

    Parameters
    ----------
    method : ``tpe`` (tree of Parzen estimators over several objectives: Ozaki et al., GECCO 2020, doi
        10.1145/3377930.3389817), ``nsga2`` (Deb et al., IEEE Trans. Evol. Comput. 6, 182 (2002), doi
        10.1109/4235.996017), ``random``, or ``qmc`` (Sobol points)
    seed : of the search, apart from the experiment's
    startup : random trials before ``tpe`` begins
    population : of one generation of ``nsga2``
    """

    method: Method = "tpe"
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0
    startup: Annotated[int, Interval(ge=1, le=MOST_TRIALS)] = 16
    population: Annotated[int, Interval(ge=2, le=MOST_TRIALS)] = 24


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Trials are looked at cheaply first, and given up where they cannot reach the front.

    Parameters
    ----------
    rungs : what the setting at ``path`` is at each cheap look, growing
    path : a setting that makes a trial cheap; none means the number of chips
    margin : benefit of the doubt, in standard errors of each objective, before a trial counts as dominated
    """

    rungs: Annotated[tuple[Annotated[int, Interval(ge=1, le=1_000_000)], ...], Len(1)]
    path: str | None = None
    margin: Annotated[float, Ge(0.0)] = 2.0

    def __post_init__(self) -> None:
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs must grow (got {', '.join(map(str, self.rungs))})")


@dataclass(frozen=True, kw_only=True)
class Search:
    """The best compromises between several figures of an experiment.

    Parameters
    ----------
    base, set, variants, chips : as in a sweep; with several variants, which one is a setting of the search
    space : by path of a setting, what it may be
    objectives : by figure, whether it is to grow or to fall
    constraints : by figure, what it must keep to
    trials : configurations to try
    batch : trials chosen at once, before any of them is computed. It, and not the number of workers, decides which
        configurations are tried, so that any number of workers finds the same
    seeds : a trial's figures are means over so many seeds from 0 on, or over these; none keeps the base's seed
    t_s : time after programming [s]; none takes the base's last
    """

    description: str = ""
    base: str | dict[str, Any]
    set: dict[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    space: Annotated[dict[str, Choice], Len(1, MOST_AXES)]
    objectives: Annotated[dict[str, Direction], Len(1)]
    constraints: dict[str, Bound] = field(default_factory=dict)
    trials: Annotated[int, Interval(ge=1, le=MOST_TRIALS)]
    batch: Annotated[int, Interval(ge=1, le=1000)] = 8
    seeds: (
        Annotated[int, Interval(ge=1, le=MOST_POINTS)] | tuple[Annotated[int, Interval(ge=0, le=2**63 - 1)], ...] | None
    ) = None
    t_s: Annotated[float, Ge(0.0)] | None = None
    chips: Annotated[int, Interval(ge=1, le=MOST_CHIPS)] | None = None
    sampler: Sampler = Sampler()
    pruning: Pruning | None = None

    @property
    def aims(self) -> Aims:
        """Objectives and limits as fronts and reports take them."""
        limits = {
            name: Limit(
                low=-math.inf if bound.least is None else bound.least,
                high=math.inf if bound.most is None else bound.most,
            )
            for name, bound in self.constraints.items()
        }
        return Aims(objectives=self.objectives, constraints=limits)

    @property
    def seeds_in_turn(self) -> tuple[int, ...]:
        """Seeds of every trial; empty where that of the base is kept."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds or ()


def read_search(source: str) -> tuple[Search, Sheet]:
    """Read a search by path or shipped name, and what it has in common with a sweep.

    Raises InputError with one line for each problem.
    """
    search, node, opened = read_file(source, Search, "searches", (("space",),))
    common = Sweep(
        base=search.base,
        description=search.description,
        set=search.set,
        variants=search.variants,
        chips=search.chips,
        times_s=() if search.t_s is None else (search.t_s,),
    )
    sheet = Sheet(common, node, opened.name, opened.open_files)
    settings = ((name, choice.when, {name: choice.single}) for name, choice in search.space.items())
    problems = [*conditions(sheet, "space", "a setting", settings), *_twice(search, sheet)]
    if problems:
        raise InputError(problems)
    return search, sheet


def _twice(search: Search, sheet: Sheet) -> Iterable[str]:
    """What is there twice, or is set by two keys of which one would win unseen."""
    values_at: dict[tuple[str, ...], Any] = {
        ("space", path): choice.values or () for path, choice in search.space.items()
    }
    values_at["seeds",] = search.seeds if isinstance(search.seeds, tuple) else ()
    values_at["variants",] = search.variants
    for where, values in values_at.items():
        again = repeated(values)
        if again is not None:
            yield f"{sheet.origin(*where)}: {dotted(where)}: each value once (got {again} again)"
    if search.seeds == ():
        yield f"{sheet.origin('seeds')}: seeds: must hold at least one value (got none)"
    elsewhere = {SEED: ("seeds", search.seeds), TIME: ("t_s", search.t_s)}
    for path, choice in search.space.items():
        at = f"{sheet.origin('space', path)}: space.{path}"
        name, value = elsewhere.get(path, ("", None))
        if value is not None:
            yield f"{at}: is a setting of the search, so that '{name}' cannot set it too"
        if path in search.set and not choice.when:
            yield f"{at}: is a setting of the search, so that 'set' cannot set it too"
    most = search.trials * max(1, len(search.seeds_in_turn)) * (1 + len(search.pruning.rungs if search.pruning else ()))
    if most > MOST_POINTS:
        yield f"{sheet.origin('trials')}: trials: bring the search to {most} points; at most {MOST_POINTS} are allowed"


def _rungs(search: Search, sheet: Sheet, template: Template) -> Iterable[str]:
    """A look must be cheaper than the trial itself."""
    assert search.pruning is not None
    path = cheap_path(search, template)
    instead = {SEED: "seeds", TIME: "t_s"}.get(path)
    if path in search.space or instead is not None:
        why = "a setting of the search itself" if path in search.space else f"no such setting; '{instead}' sets it"
        yield f"{sheet.origin('pruning')}: pruning.path: {path} is {why}"
        return
    whole: Any = template.config(()).data
    for step in path.split("."):
        whole = whole.get(step) if isinstance(whole, dict) else None
    if isinstance(whole, int) and search.pruning.rungs[-1] >= whole:
        number = len(search.pruning.rungs) - 1
        at = f"{sheet.origin('pruning', 'rungs', number)}: pruning.rungs[{number}]"
        yield f"{at}: must be less than {path}, which is {whole} (got {search.pruning.rungs[-1]})"


def check(search: Search, sheet: Sheet, template: Template) -> None:
    """Check names of settings and figures, and values. Raises InputError with a line for each that is wrong."""
    nodes = {path: _nodes(sheet, path, choice) for path, choice in search.space.items()}
    if search.pruning is not None:
        path = cheap_path(search, template)
        nodes[path] = [sheet.value("pruning", "rungs", n, of=rung) for n, rung in enumerate(search.pruning.rungs)]
    template.places(nodes)
    names = WORKLOADS[template.kind].outputs
    problems = list(_rungs(search, sheet, template)) if search.pruning is not None else []
    for part, figures in (("objectives", search.objectives), ("constraints", search.constraints)):
        for name in figures:
            if names is not None and name not in names:
                at = f"{sheet.origin(part, name)}: {part}.{name}"
                problems.append(f"{at}: must be one of {listed(names)} (got {name}){suggestion(name, names)}")
    if problems:
        raise InputError(problems)


def _nodes(sheet: Sheet, path: str, choice: Choice) -> list[Node]:
    """Values of a setting with their lines in the file; of an interval, its ends."""
    near = sheet.node.find(("space", path)) or sheet.node
    if choice.values is not None:
        return [sheet.value("space", path, "values", number, of=each) for number, each in enumerate(choice.values)]
    return [as_node(each, near) for each in choice.extremes]


def cheap_path(search: Search, template: Template) -> str:
    """The setting that rungs of pruning change."""
    assert search.pruning is not None
    return search.pruning.path or ("evaluation.chips" if template.grouped else "chips")
