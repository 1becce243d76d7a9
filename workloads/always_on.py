"""What a workload that runs for ever draws on average: bursts of computing, leakage between them, and features.

Energy of one period is ``E = E_burst + sum_i P_i (t_burst + (t - t_burst) / g_i) + E_wake + P_features t`` with the
leakage ``P_i`` of each component and ``g_i`` the factor by which power gating divides it (1 without gating, and for
what has to keep its content); the average power is ``E / t``. Clocks stop between bursts; a microphone is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from mappings.actions import Action, Actions, Instance
from mappings.cost import CostLine, price
from mappings.price_spread import interval, sampled
from mappings.priced import Priced
from periphery.prices.component import component
from workloads.duty import Duty

MICROPHONE = "The microphone is not counted (most MEMS microphones draw up to or above 100 uW, IEEE document 10121228)."
SWITCH = "power_switch"
_ALWAYS_KEPT = ("coefficient_table",)
_STATE = ("register",)


@dataclass(frozen=True, kw_only=True)
class PeriodCost:
    """What one period takes, line by line.

    ``lines``: counts and energies of one period, and the instances that exist for the features and for gating alone;
    ``burst_s``: how long everything is awake.
    """

    duty: Duty
    period_s: float
    burst_s: float
    lines: tuple[CostLine, ...]

    @property
    def leakage_J(self) -> float:
        """Leakage through the whole period."""
        return sum(line.energy_J for line in self.lines if line.action == "leakage")

    @property
    def wake_J(self) -> float:
        """Switching the gated circuits on."""
        return sum(line.energy_J for line in self.lines if line.component == SWITCH)

    @property
    def features_J(self) -> float:
        """Features of the sound of one period."""
        return sum(line.energy_J for line in self.lines if line.group == "features")

    @property
    def dynamic_J(self) -> float:
        """Everything that computing takes beside leakage."""
        return self.energy_J - self.leakage_J - self.wake_J - self.features_J

    @property
    def energy_J(self) -> float:
        """Everything that one period takes."""
        return sum(line.energy_J for line in self.lines)

    @property
    def average_power_W(self) -> float:
        """Energy of a period over its length."""
        return self.energy_J / self.period_s

    def intervals(self) -> dict[str, tuple[float, float]]:
        """What the prices' uncertainty makes of energy and power."""
        _, energies = sampled(self.lines)
        return {"period_J": interval(energies), "average_power_W": interval(energies / self.period_s)}

    def row(self) -> dict[str, Any]:
        """As a row of ``duty.csv``."""
        names = ("period_s", "burst_s", "dynamic_J", "leakage_J", "wake_J", "features_J", "energy_J")
        return {
            "mode": self.duty.mode,
            "gating": self.duty.gating is not None,
            **{name: getattr(self, name) for name in (*names, "average_power_W")},
            "features": self.duty.features,
            "features_area_m2": sum(line.area_m2 for line in self.lines if line.group == "features"),
            "gating_area_m2": sum(line.area_m2 for line in self.lines if line.component == SWITCH),
        }


def period_cost(parts: Iterable[Priced], duty: Duty, *, node_nm: float) -> PeriodCost:
    """What one period of ``duty`` (whose period is set) takes on chips that work side by side.

    Raises ``InputError`` where a burst takes longer than the period.
    """
    parts, period_s = list(parts), duty.period_s
    assert period_s is not None
    lines: list[CostLine] = []
    burst_s = 0.0
    for part in parts:
        steps = {row["layer"]: float(row["steps"]) if duty.mode == "continuous" else 1.0 for row in part.layers}
        burst_s = max(burst_s, sum(row["latency_s"] * row["steps"] / steps[row["layer"]] for row in part.layers))
        moving = (line for line in part.lines if line.count and line.action != "leakage")
        lines += [_times(line, 1.0 / steps[line.layer]) for line in moving]
    duty.check(burst_s)
    kept = _ALWAYS_KEPT + (_STATE if duty.mode == "continuous" else ())
    factor = 1.0 if duty.gating is None else duty.gating.factor
    for part in parts:
        for line in part.lines:
            if line.action == "leakage":
                idle_s = (period_s - burst_s) / (1.0 if line.component in kept else factor)
                lines.append(_times(line, (burst_s + idle_s) / part.latency_s))
    if duty.gating is not None:
        gated = (line for part in parts for line in part.lines if line.leakage_W > 0.0 and line.component not in kept)
        lines += _priced(SWITCH, "wake", sum(line.area_m2 for line in gated) * 1e12, node_nm)
    if duty.features != "none":
        lines += _priced(duty.features, "second", period_s, node_nm, instances=1.0)
    return PeriodCost(duty=duty, period_s=period_s, burst_s=burst_s, lines=tuple(lines))


def _times(line: CostLine, by: float) -> CostLine:
    return replace(line, count=line.count * by, energy_J=line.energy_J * by)


def _priced(name: str, action: str, count: float, node_nm: float, instances: float | None = None) -> list[CostLine]:
    """One action of a circuit beside the chip, and its instances (as many as actions, where no number is given)."""
    pieces = count if instances is None else instances
    did = Actions((Action("always on", name, action, count),), (Instance("always on", name, pieces),))
    return price(did, node_nm=node_nm, components={name: component(name)})
