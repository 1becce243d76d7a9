"""One sweep: its points, which of them the store holds, and which of those still count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from configs.errors import InputError
from mho.config.read import digest
from mho.config.schema import listed, suggestion
from mho.runner import refuse_device
from mho.sweep import provenance
from mho.sweep.engines.cards import Compute
from mho.sweep.plan import Plan, Point, Shard
from mho.sweep.spec import Sheet, read_sheet
from mho.sweep.store import PointStatus, Store
from mho.sweep.template import Template, of_device
from mho.sweep.work import data_digest
from workloads import WORKLOADS

CHECKED = 1000  # points whose configuration is read before anything runs,
VALUES_CHECKED = 500  # beside one for each of so many values of each axis


@dataclass
class SweepState:
    """The points by their state: finished, failed, made by other code or data, or not there.

    ``elsewhere``: how many of the last are there as computed on another kind of device, and on which.
    """

    done: list[Point] = field(default_factory=list)
    failed: list[Point] = field(default_factory=list)
    stale: list[Point] = field(default_factory=list)
    new: list[Point] = field(default_factory=list)
    statuses: dict[str, PointStatus] = field(default_factory=dict)
    elsewhere: Counter[str] = field(default_factory=Counter)

    def words(self) -> str:
        """The numbers in one phrase."""
        parts = [f"{len(self.done)} done", f"{len(self.new)} to do"]
        parts += [f"{len(self.stale)} stale (made by other code or data)"] if self.stale else []
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += [
            f"{count} there from --device {other}, which are other points and stay as they are"
            for other, count in self.elsewhere.items()
        ]
        return ", ".join(parts)


class Study:
    """A sweep's file, its points (or a shard of them), and the code and data that results must belong to."""

    def __init__(
        self,
        source: str | Sheet,
        *,
        data: Path | None = None,
        shard: Shard | None = None,
        compute: Compute = "cpu",
    ) -> None:
        self.sheet = read_sheet(source) if isinstance(source, str) else source
        self.template = Template(self.sheet, compute)
        refuse_device(self.kind, compute)
        self.plan = Plan(self.sheet, self.template)
        self.data = data
        self._check_outputs()
        runs = (shard or Shard()).cut(self.plan.by_run(self.plan.by_training(self.plan.points)))
        self.points = [point for run in runs for point in run]
        self.code, self.about_code = provenance.code()
        self._asked: dict[int, str] = {}
        self._data_of: dict[str, str] = {}
        self._recordings: dict[str, str] = {}

    @property
    def kind(self) -> str:
        """Kind of the base."""
        return self.template.kind

    @property
    def compute(self) -> Compute:
        """Kind of the device that points are computed on."""
        return self.template.compute

    def asked(self, point: Point, compute: Compute | None = None) -> str:
        """Key under which the store finds a point without its configuration being resolved, of this kind of device or
        of another."""
        if point.index not in self._asked:
            self._asked[point.index] = self.template.asked(point.coordinates)
        return of_device(self._asked[point.index], compute or self.compute)

    def _check_outputs(self) -> None:
        names, problems = WORKLOADS[self.kind].outputs, []
        for number, name in enumerate(self.sheet.sweep.outputs):
            if names is not None and name not in names:
                where = f"{self.sheet.value('outputs', number, of=name).origin}: outputs[{number}]"
                problems.append(f"{where}: must be one of {listed(names)} (got {name}){suggestion(name, names)}")
        if problems:
            raise InputError(problems)

    def check(self, points: Sequence[Point]) -> None:
        """Read the configurations of a fair sample of points, among them one for each value of each axis.

        Of an axis of more than ``VALUES_CHECKED`` values, the first ones and those of the sample are read.

        Raises InputError where one of them is none. What the sample misses becomes a failed point with that message.
        """
        problems: dict[str, list[Point]] = {}
        looked_at = list(_sample(points))
        for point in looked_at:
            try:
                self.template.config(point.coordinates)
            except InputError as error:
                for problem in error.problems:
                    problems.setdefault(problem, []).append(point)
        if problems:
            raise InputError(
                f"{problem}; at {len(at)} of {len(looked_at)} points looked at, the first: {at[0].words()}"
                for problem, at in problems.items()
            )

    def data_of(self, point: Point) -> str:
        """Digest of the recordings behind a point, found once for all points that share them."""
        if not self.template.grouped:
            return ""
        training = self.plan.training_of(point)
        if training not in self._data_of:
            config = self.template.config(point.coordinates).data
            which = digest({key: config[key] for key in WORKLOADS[self.kind].data_keys if key in config})
            if which not in self._recordings:
                self._recordings[which] = data_digest(self.kind, config, self.data)
            self._data_of[training] = self._recordings[which]
        return self._data_of[training]

    def state(self, store: Store | None) -> SweepState:
        """What the store holds of these points."""
        asked, statuses = store.statuses() if store is not None else ({}, {})
        found = SweepState(statuses=statuses)
        for point in self.points:
            one = statuses.get(asked.get(self.asked(point), "")) if asked else None
            if one is None:
                found.new.append(point)
                others = [each for each in get_args(Compute) if each != self.compute]
                found.elsewhere.update(each for each in others if asked and self.asked(point, each) in asked)
            elif self.counts(one, point):
                (found.done if one.state == "done" else found.failed).append(point)
            else:
                found.stale.append(point)
        return found

    def counts(self, one: PointStatus, point: Point) -> bool:
        """Whether a row was made by the code and the data at hand."""
        return one.code == self.code and one.data == self.data_of(point)


def _sample(points: Sequence[Point]) -> Iterator[Point]:
    step, met = max(1, -(-len(points) // CHECKED)), dict[str, set[str]]()
    for number, point in enumerate(points):
        new = False
        for path, value in point.coordinates:
            of_axis = met.setdefault(path, set())
            if len(of_axis) < VALUES_CHECKED and repr(value) not in of_axis:
                of_axis.add(repr(value))
                new = True
        if new or number % step == 0:
            yield point
