"""What a workload does to the hardware: the contract between every mapping and every price list.

A mapping counts ``Action`` lines (how often a component does something in one step) and ``Instance`` lines (how many of
a component the chip needs), and puts ``ScheduledTask`` entries on named resources. Prices are in
``configs/components``; cost is count x price, and nothing here contains a price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

Key = TypeVar("Key")


@dataclass(frozen=True)
class Action:
    """``count`` times ``action`` of ``component``, in one step of ``layer``."""

    layer: str
    component: str
    action: str
    count: float


@dataclass(frozen=True)
class Instance:
    """``count`` pieces of ``component`` that ``layer`` needs on the chip: they have area and leak."""

    layer: str
    component: str
    count: float


@dataclass(frozen=True)
class ScheduledTask:
    """One bar of the schedule: ``resource`` is busy from ``start_s`` for ``duration_s``."""

    layer: str
    name: str
    resource: str
    start_s: float
    duration_s: float

    @property
    def end_s(self) -> float:
        """When the resource is free again."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class Actions:
    """Everything that one layer does in one step, and what has to exist for it."""

    actions: tuple[Action, ...] = ()
    instances: tuple[Instance, ...] = ()
    tasks: tuple[ScheduledTask, ...] = ()
    steps: float = 1.0
    ops: float = 0.0
    notes: tuple[str, ...] = field(default=())

    @property
    def latency_s(self) -> float:
        """End of the last task of one step, in seconds."""
        return max((task.end_s for task in self.tasks), default=0.0)

    def then(self, other: Actions, *, overlap_s: float = 0.0) -> Actions:
        """One step of this and then one of ``other``, which begins ``overlap_s`` before the end of this."""
        shift_s = self.latency_s - overlap_s
        late = tuple(replace(task, start_s=task.start_s + shift_s) for task in other.tasks)
        return replace(
            self,
            actions=self.actions + other.actions,
            instances=self.instances + other.instances,
            tasks=self.tasks + late,
            ops=self.ops + other.ops,
            notes=self.notes + other.notes,
        )

    def per_inference(self, steps: float) -> Actions:
        """The same layer, run ``steps`` times in one inference."""
        return replace(self, steps=steps)


class Schedule:
    """Puts tasks on resources in the order of their dependencies: each starts when its resource is free and all that it
    waits for is done."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.tasks: list[ScheduledTask] = []

    def add(self, name: str, resource: str, duration_s: float, *, after: Iterable[ScheduledTask] = ()) -> ScheduledTask:
        """Put one task on ``resource`` and return it."""
        busy = [task.end_s for task in self.tasks if task.resource == resource]
        start = max([0.0, *busy, *(task.end_s for task in after)])
        task = ScheduledTask(self.layer, name, resource, start, duration_s)
        self.tasks.append(task)
        return task


class ActionLedger:
    """The counts and the schedule of one layer while they are made; ``close`` makes the record.

    Lines are kept in the order in which they were counted. With ``merge`` those of one component and action, and
    instances of one component, are added up where the first of them was counted.
    """

    def __init__(self, layer: str, *, merge: bool = False) -> None:
        self.layer = layer
        self.schedule = Schedule(layer)
        self._merge = merge
        self._counts: list[tuple[tuple[str, str], float]] = []
        self._instances: list[tuple[str, float]] = []

    def act(self, component: str, action: str, count: float) -> None:
        """``count`` times more ``action`` of ``component``."""
        self._counts.append(((component, action), float(count)))

    def need(self, component: str, count: float) -> None:
        """``count`` more pieces of ``component``."""
        self._instances.append((component, float(count)))

    def act_all(self, counts: Mapping[str, Mapping[str, float]]) -> None:
        """Counts as circuits give them: by component, then by action."""
        for component, of in counts.items():
            for action, count in of.items():
                self.act(component, action, count)

    def need_all(self, counts: Mapping[str, float]) -> None:
        """Instances as circuits give them, by component."""
        for component, count in counts.items():
            self.need(component, count)

    def close(self, *, ops: float = 0.0, steps: float = 1.0, notes: tuple[str, ...] = ()) -> Actions:
        """Everything that was counted, as one record."""
        counts, instances = self._counts, self._instances
        if self._merge:
            counts, instances = _merged(counts), _merged(instances)
        return Actions(
            tuple(Action(self.layer, *key, count) for key, count in counts),
            tuple(Instance(self.layer, component, count) for component, count in instances),
            tuple(self.schedule.tasks),
            steps=steps,
            ops=ops,
            notes=notes,
        )


def _merged(lines: Iterable[tuple[Key, float]]) -> list[tuple[Key, float]]:
    totals: dict[Key, float] = {}
    for key, count in lines:
        totals[key] = totals.get(key, 0.0) + count
    return list(totals.items())
