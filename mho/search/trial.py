"""One trial of a search, what came of it, and which trials are on the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mho.search.spec import Search
from mho.sweep.store import Row
from mho.sweep.template import Coordinates

Figures = dict[str, float]


@dataclass
class Trial:
    """One configuration: what was tried, what came of it, and at which rung it was given up, if it was."""

    number: int
    coordinates: Coordinates
    state: str = "running"  # then done, pruned or failed
    figures: Figures = field(default_factory=dict)
    rung: int | None = None
    error: str = ""

    def excess(self, search: Search) -> list[float]:
        """How far each constraint is violated; nothing is, where no figure is above 0."""
        return [bound.violation(self.figures[name]) for name, bound in search.constraints.items()]

    def aimed(self, search: Search) -> list[float]:
        """Objectives in their order."""
        return [self.figures[name] for name in search.objectives]


def means(rows: Sequence[Row]) -> Figures:
    """Means over the points of a trial (its seeds) of the figures that all have, spreads over chips among them."""
    figures = [{**spreads(row), **row.outputs} for row in rows]
    return {
        name: sum(values) / len(values)
        for name in figures[0]
        if len(values := [value for row in figures if (value := row.get(name)) is not None]) == len(figures)
    }


def on_front(trials: Sequence[Trial], search: Search) -> list[bool]:
    """Which trials are done, keep to all constraints, and are dominated by no other such trial.

    A configuration that was tried twice counts once.
    """
    met: set[str] = set()
    usable = np.zeros(len(trials), dtype=bool)
    for index, trial in enumerate(trials):
        key = repr(trial.coordinates)
        usable[index] = trial.state == "done" and key not in met
        met |= {key} if usable[index] else set()
    names = (*search.objectives, *search.constraints)
    figures = {name: np.array([trial.figures.get(name, math.nan) for trial in trials]) for name in names}
    found: list[bool] = search.aims.best(figures, usable).tolist()
    return found


def spreads(row: Row) -> Figures:
    """Standard deviations (n - 1) over the chips of a point, of the figures that the store holds chip by chip."""
    chips = row.artefacts.get("chips")
    by_chip = chips.items() if isinstance(chips, dict) else ()
    return {
        f"{name}_std": float(np.std(values, ddof=1))
        for name, values in by_chip
        if name in row.outputs and len(values) > 1
    }
