"""What is aimed at, and the points of a sweep that no other point beats in everything at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from mho.sweep.names import Direction


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What an output must keep to: at least ``low`` and at most ``high``."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InputError(f"a limit must have low at most high (got {self.low:g} and {self.high:g})")


@dataclass(frozen=True, kw_only=True)
class Aims:
    """Declared objectives by output, each with its direction, and limits that a feasible point keeps."""

    objectives: Mapping[str, Direction]
    constraints: Mapping[str, Limit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, direction in self.objectives.items():
            if direction not in ("maximize", "minimize"):
                raise InputError(f"objectives: {name}: must be maximize or minimize (got {direction})")

    def refuse_unknown(self, outputs: Sequence[str]) -> None:
        """Raise InputError for a name that no point gives."""
        problems = [
            f"{kind}: {name}: must be an output of the points ({', '.join(outputs)}) (got {name})"
            for kind, names in (("objectives", self.objectives), ("constraints", self.constraints))
            for name in names
            if name not in outputs
        ]
        if problems:
            raise InputError(problems)

    def feasible(self, outputs: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Which points keep every limit; one without the figure does not."""
        size = len(next(iter(outputs.values()), ()))
        kept = np.ones(size, dtype=bool)
        for name, limit in self.constraints.items():
            values = np.asarray(outputs[name], dtype=float)
            kept &= (values >= limit.low) & (values <= limit.high)
        return kept

    def best(self, outputs: Mapping[str, Any], usable: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Which feasible points (of the usable ones) no other such point beats in all objectives."""
        columns = [np.asarray(outputs[name], dtype=float) for name in self.objectives]
        ways = list(self.objectives.values())
        kept = self.feasible(outputs)
        candidates = np.flatnonzero(kept if usable is None else kept & usable)
        found = np.zeros(len(next(iter(outputs.values()), ())), dtype=bool)
        if columns and candidates.size:
            found[candidates] = front(np.stack(columns, axis=1)[candidates], ways)
        return found


def front(values: NDArray[Any], directions: Sequence[Direction]) -> NDArray[np.bool_]:
    """Rows of ``values`` (points x objectives) that no other row dominates.

    A row dominates another if it is at least as good in every objective and better in one; of equal rows each is kept.
    Rows with a figure that is not available are never on the front.
    """
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    costs = np.asarray(values, dtype=float).reshape(-1, len(signs)) * signs
    whole = np.flatnonzero(np.isfinite(costs).all(axis=1))
    found = np.zeros(len(costs), dtype=bool)
    # In lexicographic order no later row dominates an earlier one, so each is compared with the front so far alone.
    order = whole[np.lexsort(costs[whole].T[::-1])]
    kept = np.empty_like(costs)
    count = 0
    for index in order:
        row, best = costs[index], kept[:count]
        if ((best <= row).all(axis=1) & (best < row).any(axis=1)).any():
            continue
        found[index] = True
        kept[count] = row
        count += 1
    return found


def dominated(values: NDArray[Any], by: NDArray[Any], directions: Sequence[Direction]) -> NDArray[np.bool_]:
    """Which rows of ``values`` (points x objectives) some row of ``by`` (others x objectives) dominates."""
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    rows, others = np.asarray(values, dtype=float) * signs, np.asarray(by, dtype=float) * signs
    found = np.zeros(len(rows), dtype=bool)
    for other in others:
        found |= (other <= rows).all(axis=1) & (other < rows).any(axis=1)
    return found
