"""What a workload does to the hardware: the contract between every mapping and every price list.

A mapping counts ``Action`` lines (how often a component does something in one step) and ``Instance`` lines (how many of
a component stand on the chip) and lays ``Task`` entries on named resources. Prices live in ``configs/components``; cost
is count x price, and nothing here knows a price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace


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
class Task:
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
    tasks: tuple[Task, ...] = ()
    steps: float = 1.0
    ops: float = 0.0
    notes: tuple[str, ...] = field(default=())

    @property
    def latency_s(self) -> float:
        """End of the last task of one step, in seconds."""
        return max((task.end_s for task in self.tasks), default=0.0)

    def per_inference(self, steps: float) -> Actions:
        """The same layer, run ``steps`` times in one inference."""
        return replace(self, steps=steps)


class Schedule:
    """Builds tasks in dependency order: a task starts when its resource and all it waits for are free."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.tasks: list[Task] = []

    def add(self, name: str, resource: str, duration_s: float, *, after: Iterable[Task] = ()) -> Task:
        """Put one task on ``resource`` and return it."""
        busy = [task.end_s for task in self.tasks if task.resource == resource]
        start = max([0.0, *busy, *(task.end_s for task in after)])
        task = Task(self.layer, name, resource, start, duration_s)
        self.tasks.append(task)
        return task
