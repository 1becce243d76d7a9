"""Ask for a batch of trials, compute their points like those of a sweep, report their figures to the guide, and again.

Which configurations are tried depends on the file alone: a batch is chosen before any of it is computed, with a seed
for that, so that one worker or many, on whatever engine, try the same. A search that was killed is replayed from its
beginning, and finds in the store what it has computed already: nothing else is kept, so nothing else can be lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from configs.errors import InputError
from mho.config.schema import suggestion
from mho.search.guide import Guide
from mho.search.spec import MOST_TRIALS, Search, cheap_path, check, read_search
from mho.search.trial import Trial, means, on_front
from mho.sweep.engines.cards import Compute
from mho.sweep.engines.engine import Engine
from mho.sweep.pareto import dominated
from mho.sweep.plan import Point
from mho.sweep.progress import Meter
from mho.sweep.run import Runner
from mho.sweep.store import Store
from mho.sweep.study import Study
from mho.sweep.template import SEED, TIME
from mho.sweep.work import without_chips

_LOOKED_AT = 32  # trials whose configurations are read before anything runs
_SHOWN = 3  # of their problems


@dataclass(frozen=True)
class SearchContext:
    """What a search works with: where points are kept, computed (nowhere in a replay), and shown."""

    store: Store
    engine: Engine | None
    meter: Meter
    retry_failed: bool


class _Incomplete(Exception):
    """The store does not hold what a replay needs next."""


class Searcher:
    """The trials of a search, those that were and those that come."""

    def __init__(self, search: Search, study: Study) -> None:
        self.search, self.study = search, study
        self.trials: list[Trial] = []
        self.computed = 0
        self._points: dict[str, Point] = {}
        self._at_rung: dict[int, list[Trial]] = {}
        self._retried: set[int] = set()

    @classmethod
    def of(
        cls, source: str, *, trials: int | None = None, data: Path | None = None, compute: Compute = "cpu"
    ) -> Searcher:
        """The search of a file, every name in it checked; ``trials`` wins over its number.

        Raises InputError with one line for each problem.
        """
        if trials is not None and not 1 <= trials <= MOST_TRIALS:
            raise InputError(f"--trials: must be a whole number from 1 to {MOST_TRIALS} (got {trials})")
        search, sheet = read_search(source)
        study = Study(sheet, data=data, compute=compute)
        check(search, sheet, study.template)
        return cls(search if trials is None else replace(search, trials=trials), study)

    def run(self, store: Store, engine: Engine, meter: Meter, *, retry_failed: bool = False) -> list[Trial]:
        """All trials, in the order in which they were chosen; what the store lacks is computed on the engine."""
        return self._trials(SearchContext(store, engine, meter, retry_failed))

    def replay(self, store: Store) -> list[Trial]:
        """The trials up to the first batch that the store does not hold whole, whatever code made it."""
        with suppress(_Incomplete):
            self._trials(SearchContext(store, None, Meter(quiet=True), False))
        return self.trials

    def _trials(self, context: SearchContext) -> list[Trial]:
        search = self.search
        guide = Guide(search)
        while len(self.trials) < search.trials:
            count = min(search.batch, search.trials - len(self.trials))
            batch = guide.batch(len(self.trials), count)
            for rung in search.pruning.rungs if search.pruning else ():
                alive = [trial for trial in batch if trial.state == "running"]
                self._judge(alive, rung, context)
                self._prune([trial for trial in alive if trial.state == "running"], rung)
            alive = [trial for trial in batch if trial.state == "running"]
            self._judge(alive, None, context)
            for trial in alive:
                trial.state = "done" if trial.state == "running" else trial.state
            for trial in batch:
                guide.tell(trial)
            self.trials += batch
            context.meter.more = f"{sum(on_front(self.trials, search))} on the front"
            context.meter.advance(len(batch), sum(trial.state == "failed" for trial in batch))
        return self.trials

    def check(self) -> None:
        """Read the configurations of some trials, every value and both ends of every setting among them.

        Raises InputError where one of them is none.
        """
        sample = Guide(self.search).sampled(_LOOKED_AT)
        ends: list[Trial] = []
        for path, choice in self.search.space.items():
            host = next((dict(trial.coordinates) for trial in sample if path in dict(trial.coordinates)), None)
            for value in choice.extremes if host else ():
                ends.append(Trial(len(ends), tuple({**(host or {}), path: value}.items())))
        rungs = (None, *(self.search.pruning.rungs if self.search.pruning else ()))
        for trials in (ends, sample):
            try:
                self.study.check([point for trial in trials for rung in rungs for point in self.points_of(trial, rung)])
            except InputError as error:
                more = len(error.problems) - _SHOWN
                raise InputError(
                    [*error.problems[:_SHOWN], *([f"... and {more} more like these"] if more > 0 else [])]
                ) from None

    def _judge(self, trials: Sequence[Trial], rung: int | None, context: SearchContext) -> None:
        """Compute what the store does not hold of these trials, and give each its figures, or its error."""
        points = {trial.number: self.points_of(trial, rung) for trial in trials}
        self.study.points = list({point.index: point for of_trial in points.values() for point in of_trial}.values())
        state = self.study.state(context.store)
        # A point that fails again in this very search is not tried for ever.
        again = [point for point in state.failed if context.retry_failed and point.index not in self._retried]
        self._retried |= {point.index for point in again}
        todo = self.study.plan.by_training([*state.new, *state.stale, *again])
        if state.new and context.engine is None:
            raise _Incomplete
        if todo and context.engine is not None:
            self.computed += len(todo)
            Runner(self.study, context.store, dict(state.statuses), context.engine, _Quiet(context.meter)).run(todo)
        asked = context.store.statuses()[0]
        digests = {point.index: asked[self.study.asked(point)] for of_trial in points.values() for point in of_trial}
        rows = {row.digest: row for row in context.store.rows(sorted(set(digests.values())))}
        for trial in trials:
            mine = [rows[digests[point.index]] for point in points[trial.number]]
            errors = list(dict.fromkeys(row.error for row in mine if row.error))
            trial.rung = rung
            if errors:
                trial.state, trial.error = "failed", "; ".join(errors)
                continue
            trial.figures = means(mine)
            self._refuse_unknown(trial)
            absent = [name for name in (*self.search.objectives, *self.search.constraints) if name not in trial.figures]
            if absent:
                trial.state, trial.error = "failed", f"not available here: {', '.join(absent)}"

    def _refuse_unknown(self, trial: Trial) -> None:
        """Raise InputError for a figure that no point of this kind gives, where that could not be checked before."""
        if self.trials or not trial.figures:
            return
        for name in (*self.search.objectives, *self.search.constraints):
            if name not in trial.figures:
                figures = ", ".join(trial.figures)
                raise InputError(
                    f"{self.study.sheet.name}: objectives and constraints must be figures of this base ({figures}) "
                    f"(got {name})"
                    f"{suggestion(name, trial.figures)}"
                )

    def points_of(self, trial: Trial, rung: int | None) -> list[Point]:
        """The points of a trial: one for each seed."""
        search, template = self.search, self.study.template
        kept = trial.coordinates
        if rung is not None:
            kept = (*kept, (cheap_path(search, template), rung))
        after = ((TIME, template.times_s[-1]),) if template.grouped else ()
        after = ((TIME, search.t_s),) if search.t_s is not None else after
        found = []
        for seed in search.seeds_in_turn or (None,):
            coordinates = (*kept, *(((SEED, seed),) if seed is not None else ()), *after)
            key = repr(coordinates)
            if key not in self._points:
                self._points[key] = Point(len(self._points), coordinates)
            found.append(self._points[key])
        return found

    def _prune(self, trials: Sequence[Trial], rung: int) -> None:
        """Give up those that finished trials, and those of this rung, leave no chance.

        The comparison is between figures at the same rung, of chips with the same random numbers; ``margin`` standard
        errors of the mean over chips are forgiven in every objective that varies over chips. A trial is also given up
        where a figure that no chip changes (a cost) violates a constraint.
        """
        search = self.search
        assert search.pruning is not None
        others = self._at_rung.setdefault(rung, [])
        others += trials
        fit = [other.aimed(search) for other in others if max(other.excess(search), default=0.0) <= 0.0]
        ways = list(search.objectives.values())
        benefit = [
            (1.0 if way == "maximize" else -1.0) * search.pruning.margin * self._error_of(name, rung)
            for name, way in search.objectives.items()
        ]
        for trial in trials:
            broken = [
                name
                for name, bound in search.constraints.items()
                if name in without_chips(self.study.kind) and bound.violation(trial.figures[name]) > 0.0
            ]
            best = np.add(trial.aimed(search), benefit)
            if broken or (fit and dominated(best[None], np.array(fit), ways)[0]):
                trial.state = "pruned"
                trial.error = f"violates {', '.join(broken)}" if broken else ""

    def _error_of(self, name: str, rung: int) -> float:
        """Standard error of an objective's mean at a rung, by the spread over chips in all trials that are done.

        Of one that varies over chips and has no spread it is infinite: then no trial is given up.
        """
        if name in without_chips(self.study.kind):
            return 0.0
        found = [trial.figures.get(f"{name}_std") for trial in self.trials if trial.state == "done"]
        spreads = [spread for spread in found if spread is not None]
        if not spreads:
            return math.inf
        by_chips = self.search.pruning is not None and self.search.pruning.path is None
        return float(np.mean(spreads)) / (math.sqrt(rung) if by_chips else 1.0)


class _Quiet(Meter):
    """Writes the lines of a runner through the search's meter, which counts trials and not points."""

    def __init__(self, outer: Meter) -> None:
        super().__init__(quiet=True)
        self.outer = outer

    def write(self, text: str) -> None:
        self.outer.write(text)
