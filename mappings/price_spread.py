"""How far a cost may be off for what its prices may be off: one draw a price record, shared by all that it prices.

The true price of a record is taken as log-uniform between its low and its high end, independent of the other records';
all leakage shares one draw, since it rests on one process. ``(5 %, 95 %)`` of the costs that follow are the interval.
Counts and times are taken as exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from devices import Stream
from mappings.cost import CostLine

DRAWS = 2000
ENDS = (0.05, 0.95)
Floats = NDArray[np.float64]


@lru_cache(maxsize=1024)
def _uniform(component: str, figure: str, seed: int) -> Floats:
    """The place of every draw between the ends of one record; the same in all variants, so that they compare."""
    return Stream.root(seed).child("price", component, figure).numpy().random(DRAWS)


def _factors(line: CostLine, figure: str, seed: int) -> Floats:
    low, high = line.low_factor, line.high_factor
    if low >= high:
        return np.full(DRAWS, low)
    least = max(low, 1e-6 * high)
    record = "process" if figure == "leakage" else line.component
    factors: Floats = np.exp(np.log(least) + np.log(high / least) * _uniform(record, figure, seed))
    return factors


def sampled(lines: Iterable[CostLine], *, seed: int = 0) -> tuple[Floats, Floats]:
    """Areas [m2] and energies [J] of ``DRAWS`` price lists."""
    areas, energies = np.zeros(DRAWS), np.zeros(DRAWS)
    for line in lines:
        factors = _factors(line, line.action or "area", seed)
        areas += line.area_m2 * factors
        energies += line.energy_J * factors
    return areas, energies


def interval(values: Floats) -> tuple[float, float]:
    """The 90 % interval of sampled costs."""
    low, high = np.quantile(values, ENDS)
    return float(low), float(high)


def spread(lines: Iterable[CostLine], latency_s: float, ops: float, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The intervals of ``summarise``'s area, energy, power, TOPS/W and TOPS/mm2; empty where nothing is drawn."""
    areas, energies = sampled(lines, seed=seed)
    found = {"area_m2": areas, "energy_J": energies, "power_W": energies / latency_s}
    if energies.min() > 0.0:
        found["tops_per_W"] = ops / energies * 1e-12
    if areas.min() > 0.0:
        found["tops_per_mm2"] = ops / latency_s * 1e-12 / (areas * 1e6)
    return {name: interval(values) for name, values in found.items()}
