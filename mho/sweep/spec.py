"""A sweep's YAML file: a base, axes over paths of its configuration, samples, seeds, times and the outputs wanted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval, Len

from configs.errors import InputError
from configs.yaml_source import Node, Origin, as_node, describe_value, whole_numbers
from devices import Stream
from mho.config.read import schema_of
from mho.config.resolve import Files, Resolver, Source
from mho.config.schema import dotted, listed, suggestion
from workloads.experiment import MOST_CHIPS, MOST_TIMES

MOST_POINTS, MOST_AXES = 100_000, 100
_DIGITS = 12  # of a computed value: a log range then gives 1e-05, not 9.999999999999999e-06

_DIMENSIONS = ("variant", "samples", "seeds", "times_s", "point")

Scale = Literal["linear", "log"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The values that one setting, or several together, take in turn.

    Parameters
    ----------
    values : the values themselves
    first, last : ends of a range, both included
    step : distance between the values of a linear range
    count : number of values of a range, in where of ``step``
    scale : ``linear``, or ``log`` for equal ratios
    zip : lists of equal length by path: settings that change together, under the name of the axis
    when : the axis exists only where these earlier axes have this value (or one of a list)
    """

    values: Annotated[tuple[Any, ...], Len(1)] | None = None
    first: float | None = None
    last: float | None = None
    step: Annotated[float, Gt(0.0)] | None = None
    count: Annotated[int, Interval(ge=1, le=MOST_POINTS)] | None = None
    scale: Scale = "linear"
    zip: Annotated[dict[str, tuple[Any, ...]], Len(1, MOST_AXES)] | None = None
    when: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        ranged = self.first is not None or self.last is not None
        if (self.values is not None) + (self.zip is not None) + ranged != 1:
            raise ValueError("an axis is either values, or a range (first, last), or zip")
        if self.zip is not None and len({len(values) for values in self.zip.values()} | {0}) != 2:
            sizes = ", ".join(f"{path}: {len(values)}" for path, values in self.zip.items())
            raise ValueError(f"zip: lists must be of one length, at least 1 (got {sizes})")
        if not ranged:
            if self.step is not None or self.count is not None or self.scale != "linear":
                raise ValueError("step, count and scale belong to a range (first, last)")
            return
        if self.first is None or self.last is None or (self.step is None) == (self.count is None):
            raise ValueError("a range needs first and last, and either step or count")
        if self.last < self.first:
            raise ValueError(f"last must be at least first (got {self.first:g} to {self.last:g})")
        if self.scale == "log" and (self.step is not None or self.first <= 0.0):
            raise ValueError("a log range needs count, and first above 0")

    @property
    def size(self) -> int:
        """Number of values, without making them."""
        if self.values is not None:
            return len(self.values)
        if self.zip is not None:
            return len(next(iter(self.zip.values())))
        if self.count is not None:
            return self.count
        first, last = self._ends()
        assert self.step is not None
        steps = (last - first) / self.step * (1.0 + 1e-12) + 1e-9
        return math.floor(min(steps, 1e300)) + 1

    def numbers(self) -> list[float]:
        """The values of a range."""
        first, last = self._ends()
        if self.step is not None:
            return [tidy(first + index * self.step) for index in range(self.size)]
        return [spaced(first, last, self.scale, float(at)) for at in np.linspace(0.0, 1.0, self.size)]

    def _ends(self) -> tuple[float, float]:
        assert self.first is not None
        assert self.last is not None
        return self.first, self.last


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The range of a sampled setting.

    Parameters
    ----------
    values : choices, each as likely as the others
    first, last : ends of an interval
    scale : ``linear``, or ``log`` for a uniform logarithm
    whole : round to whole numbers
    """

    values: Annotated[tuple[Any, ...], Len(1)] | None = None
    first: float | None = None
    last: float | None = None
    scale: Scale = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        if (self.values is None) == (self.first is None and self.last is None):
            raise ValueError("a sampled setting is either values or an interval (first, last)")
        if self.values is not None:
            return
        if self.first is None or self.last is None or self.last < self.first:
            raise ValueError("an interval needs first and last, with last at least first")
        if self.scale == "log" and self.first <= 0.0:
            raise ValueError("a log interval needs first above 0")
        if self.whole and not (float(self.first).is_integer() and float(self.last).is_integer()):
            raise ValueError(f"whole: first and last must be whole numbers too (got {self.first:g} and {self.last:g})")

    def at(self, share: float) -> Any:
        """The value with this share of the samples below it."""
        if self.values is not None:
            return self.values[int(share * len(self.values))]
        assert self.first is not None
        assert self.last is not None
        if self.whole and self.scale == "linear":
            # Every whole number, the ends too, is as likely as the others.
            return math.floor(self.first + share * (self.last - self.first + 1.0))
        value = spaced(self.first, self.last, self.scale, share)
        return round(value) if self.whole else value


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Settings drawn together: one more axis, of ``count`` draws.

    Parameters
    ----------
    method : ``random`` (independent; a larger ``count`` keeps the first draws), or ``latin_hypercube`` (each of
        ``count`` equal shares of every setting is met once; McKay et al., Technometrics 21, 239 (1979), doi
        10.1080/00401706.1979.10489755)
    count : number of draws
    seed : of the draws, apart from the experiment's
    axes : by path, the range of the values
    """

    method: Literal["random", "latin_hypercube"] = "latin_hypercube"
    count: Annotated[int, Interval(ge=1, le=MOST_POINTS)]
    seed: Annotated[int, Interval(ge=0, le=2**63 - 1)] = 0
    axes: Annotated[dict[str, Draw], Len(1, MOST_AXES)]

    def draws(self) -> dict[str, list[Any]]:
        """``count`` values of every setting; what one of them draws does not depend on the others."""
        found = {}
        for path, draw in self.axes.items():
            rng = Stream.root(self.seed).child("sweep", path).numpy()
            shares = rng.random(self.count)
            if self.method == "latin_hypercube":
                shares = (rng.permutation(self.count) + shares) / self.count
            found[path] = [draw.at(float(share)) for share in shares]
        return found


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Many points around one base.

    Parameters
    ----------
    base : an experiment (its name, a file's path, or a mapping that ``extends`` one), or a mapping with ``kind: nladc``
    set : settings by path that hold at all points
    variants : variants of the base that are swept; the default one alone where none is named
    axes : by path of a setting (or, with ``zip``, by a name that you choose): a list of values, or an axis
    samples : settings drawn together
    seeds : so many seeds from 0 on, or a list of them; none keeps the base's seed
    times_s : times after programming [s]; none keeps those of the base
    chips : chips of every point; none keeps those of the base
    outputs : figures that go into the exported table; all where none is named (the store always keeps all)
    """

    description: str = ""
    base: str | dict[str, Any]
    set: dict[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    axes: Annotated[dict[str, Axis], Len(0, MOST_AXES)] = field(default_factory=dict)
    samples: Samples | None = None
    seeds: (
        Annotated[int, Interval(ge=1, le=MOST_POINTS)] | tuple[Annotated[int, Interval(ge=0, le=2**63 - 1)], ...] | None
    ) = None
    times_s: Annotated[tuple[Annotated[float, Ge(0.0)], ...], Len(0, MOST_TIMES - 1)] = ()
    chips: Annotated[int, Interval(ge=1, le=MOST_CHIPS)] | None = None
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """A sweep's file as read: the sweep, its nodes (for lines in messages), its name, and the files around it."""

    sweep: Sweep
    node: Node
    name: str
    open_files: Files

    @property
    def title(self) -> str:
        """The file's name without its ending."""
        return Path(self.name).stem

    def origin(self, *path: str | int) -> Origin:
        """The line of the value at a path, or of what is closest above it."""
        for depth in range(len(path), 0, -1):
            found = self.node.find(path[:depth])
            if found is not None:
                above = self.node.find(path[: depth - 1])
                return above.keys.get(str(path[depth - 1]), found.origin) if above else found.origin
        return self.node.origin

    def value(self, *path: str | int, of: Any) -> Node:
        """The node of a value in the file; one with the closest line, for a value that was computed."""
        found = self.node.find(path)
        if found is not None and found.plain() == of:
            return found
        return as_node(of, self.node.find(path[:-1]) or self.node)


def read_sheet(source: str) -> Sheet:
    """Read a sweep by path or shipped name. Raises InputError with one line for each problem, before any expansion."""
    sweep, node, opened = read_file(source, Sweep, "sweeps", (("axes",), ("samples", "axes")))
    sheet = Sheet(sweep, node, opened.name, opened.open_files)
    # An axis is expanded only once its size was checked.
    axes = ((name, axis.when, columns(name, axis)) for name, axis in sweep.axes.items())
    problems = list(_too_many(sheet)) or [*conditions(sheet, "axes", "an axis", axes), *_twice(sheet)]
    if problems:
        raise InputError(problems)
    return sheet


def read_file(source: str, kind: type, folder: str, lists: Sequence[tuple[str, ...]]) -> tuple[Any, Node, Source]:
    """A file of one kind, its tree, and where it was found; under ``lists``, a list is read as ``values``."""
    schema = schema_of(kind)
    resolver = Resolver(schema)
    opened = resolver.opened(source, folder)
    node = resolver.resolve(_spelt_out(opened.node, lists), [schema.root], folder, (), opened.open_files)
    unbounded = [
        f"{below.origin}: {dotted(path)}: must be a finite number (got {describe_value(below)})"
        for path, below in node.walk()
        if isinstance(below.value, float) and not math.isfinite(below.value)
    ]
    if unbounded:
        raise InputError(unbounded)
    value = schema.value(node, resolver.problems)
    if resolver.problems:
        raise InputError(dict.fromkeys(resolver.problems))
    return value, node, opened


def _spelt_out(node: Node, lists: Sequence[tuple[str, ...]]) -> Node:
    """The file with every list under these paths as ``values``."""
    for path in lists:
        section = node.find(path)
        if section is not None and isinstance(section.value, dict):
            short = {key: item for key, item in section.value.items() if isinstance(item.value, tuple)}
            made = {key: Node({"values": item}, item.origin, {"values": item.origin}) for key, item in short.items()}
            node = node.put(path, replace(section, value={**section.value, **made}))
    return node


def sizes(sweep: Sweep) -> dict[tuple[str, ...], int]:
    """Number of values of everything that multiplies the points, by its path in the file; nothing is expanded."""
    found: dict[tuple[str, ...], int] = {("axes", name): axis.size for name, axis in sweep.axes.items()}
    if sweep.samples is not None:
        found["samples", "count"] = sweep.samples.count
    if sweep.seeds is not None:
        found[("seeds",)] = sweep.seeds if isinstance(sweep.seeds, int) else len(sweep.seeds)
    return found | {("times_s",): max(1, len(sweep.times_s)), ("variants",): max(1, len(sweep.variants))}


def _too_many(sheet: Sheet) -> Iterable[str]:
    total = 1
    for path, size in sizes(sheet.sweep).items():
        where = f"{sheet.origin(*path)}: {dotted(path)}"
        total *= size
        if size == 0:
            yield f"{where}: must hold at least one value (got none)"
        elif size > MOST_POINTS:
            yield f"{where}: expands to {size} values; a sweep may have at most {MOST_POINTS} points"
            return
        elif total > MOST_POINTS:
            yield f"{where}: brings the sweep to {total} points; at most {MOST_POINTS} are allowed"
            return


def conditions(
    sheet: Sheet, part: str, word: str, entries: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Sequence[Any]]]]
) -> Iterable[str]:
    """``when`` must name what comes before, and values that it takes; a problem for each that does not.

    Entries are names under ``part`` of the file with their condition and, by path, the values that they take: a range
    for whole numbers, and none for an interval, of which no value is met again; ``word`` is what one of them is called.
    """
    before: dict[str, Sequence[Any]] = {}
    for name, when, taken in entries:
        for key, wanted in when.items():
            where = f"{sheet.origin(part, name, 'when', key)}: {dotted((part, name, 'when', key))}"
            if key not in before:
                allowed = f"must be {word} that comes before this one ({listed(before)})"
                yield f"{where}: {allowed} (got {key}){suggestion(key, before)}"
                continue
            if not one_or_many(wanted):
                yield f"{where}: must name at least one value (got none)"
            for value in one_or_many(wanted):
                if not _among(value, before[key]):
                    values = before[key]
                    allowed = f"{values[0]} to {values[-1]}" if isinstance(values, range) else listed(map(str, values))
                    yield f"{where}: must be a value of that {word.split()[-1]} ({allowed}) (got {value})"
        before.update(taken)


def _among(value: Any, values: Sequence[Any]) -> bool:
    if isinstance(values, range):
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
        return whole and int(value) in values
    return any(same(value, other) for other in values)


def _twice(sheet: Sheet) -> Iterable[str]:
    """A value that is there twice would count twice in every mean."""
    sweep = sheet.sweep
    values_at: dict[tuple[str, ...], Sequence[Any]] = {
        **{("axes", name): [*zip(*columns(name, axis).values(), strict=True)] for name, axis in sweep.axes.items()},
        ("variants",): sweep.variants,
        ("seeds",): sweep.seeds if isinstance(sweep.seeds, tuple) else (),
        ("times_s",): sweep.times_s,
        ("outputs",): sweep.outputs,
    }
    for path, values in values_at.items():
        again = repeated(values)
        if again is not None:
            yield f"{sheet.origin(*path)}: {dotted(path)}: each value once (got {again} again)"
    for name, axis in sweep.axes.items():
        if axis.zip is not None and name in _DIMENSIONS:
            where = f"{sheet.origin('axes', name)}: {dotted(('axes', name))}"
            yield f"{where}: must be another name than {', '.join(_DIMENSIONS)}, which mho gives (got {name})"


def repeated(values: Iterable[Any]) -> str | None:
    """The first value that was there before, as text; None where there is none."""
    met: set[str] = set()
    for value in values:
        text = json.dumps(whole_numbers(value), sort_keys=True)
        if text in met:
            return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        met.add(text)
    return None


def columns(name: str, axis: Axis) -> dict[str, list[Any]]:
    """The values of every setting that an axis changes, by path."""
    if axis.zip is not None:
        return {path: list(values) for path, values in axis.zip.items()}
    return {name: list(axis.values) if axis.values is not None else axis.numbers()}


def one_or_many(wanted: Any) -> tuple[Any, ...]:
    """The values of a condition: a list allows any of them."""
    return tuple(wanted) if isinstance(wanted, (list, tuple)) else (wanted,)


def same(one: Any, other: Any) -> bool:
    """Equal, and true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def tidy(value: float) -> float:
    """A computed value without the dust of its last digits; a whole number where it is one."""
    value = float(f"{value:.{_DIGITS}g}")
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def spaced(first: float, last: float, scale: Scale, share: float) -> float:
    """The value at this share of the way from ``first`` to ``last``."""
    if scale == "log":
        return tidy(first * (last / first) ** share)
    return tidy(first + share * (last - first))
