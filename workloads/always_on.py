"""What a workload that runs for ever draws on average: bursts of computing, leakage between them, and features.

Energy of one period is ``E = E_burst + sum_i P_i (t_burst + (t - t_burst) / g_i) + E_wake + P_features t`` with the
leakage ``P_i`` of each component and ``g_i`` the factor by which power gating divides it (1 without gating, and for
what has to keep its content); the average power is ``E / t``. Clocks stop between bursts; a microphone is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mappings.cost import CostLine
from periphery.prices.component import component
from workloads.duty import Duty
from workloads.priced import Priced

MICROPHONE = "The microphone is not counted (most MEMS microphones draw up to or above 100 uW, IEEE document 10121228)."
_ALWAYS_KEPT = ("coefficient_table",)
_STATE = ("register",)


@dataclass(frozen=True, kw_only=True)
class PeriodCost:
    """Energies of one period [J], its burst [s], and areas beside the chip's [m2]."""

    duty: Duty
    burst_s: float
    dynamic_J: float
    leakage_J: float
    wake_J: float
    features_J: float
    gating_area_m2: float
    features_area_m2: float

    @property
    def energy_J(self) -> float:
        """Everything that one period takes."""
        return self.dynamic_J + self.leakage_J + self.wake_J + self.features_J

    @property
    def average_power_W(self) -> float:
        """Energy of a period over its length."""
        return self.energy_J / (self.duty.period_s or 1.0)

    def row(self) -> dict[str, Any]:
        """As a row of ``duty.csv``."""
        duty, gating = self.duty, self.duty.gating
        names = ("burst_s", "dynamic_J", "leakage_J", "wake_J", "features_J")
        return {
            "mode": duty.mode,
            "gating": gating is not None,
            "period_s": duty.period_s,
            **{name: getattr(self, name) for name in names},
            "energy_J": self.energy_J,
            "average_power_W": self.average_power_W,
            "features": duty.features,
            "features_area_m2": self.features_area_m2,
            "gating_area_m2": self.gating_area_m2,
        }


def period_cost(parts: Iterable[Priced], duty: Duty, *, node_nm: float) -> PeriodCost:
    """What one period of ``duty`` (whose period is set) takes on chips that work side by side.

    Raises ``InputError`` where a burst takes longer than the period.
    """
    period_s = duty.period_s
    assert period_s is not None
    dynamic_J, burst_s = 0.0, 0.0
    lines: list[CostLine] = []
    for part in parts:
        steps = {row["layer"]: float(row["steps"]) if duty.mode == "continuous" else 1.0 for row in part.layers}
        once = [row["latency_s"] * row["steps"] / steps[row["layer"]] for row in part.layers]
        burst_s = max(burst_s, sum(once))
        moving = [line for line in part.lines if line.count and line.action != "leakage"]
        dynamic_J += sum(line.energy_J / steps[line.layer] for line in moving)
        lines += part.lines
    duty.check(burst_s)
    kept = _ALWAYS_KEPT + (_STATE if duty.mode == "continuous" else ())
    factor = 1.0 if duty.gating is None else duty.gating.factor
    leaking = [line for line in lines if line.leakage_W > 0.0]
    gated = [line for line in leaking if line.component not in kept]
    idle_s, kept_W = period_s - burst_s, sum(line.leakage_W for line in leaking if line.component in kept)
    gated_W = sum(line.leakage_W for line in gated)
    wake_J = switches_m2 = 0.0
    if duty.gating is not None:
        switch = component("power_switch").at(node_nm)
        pieces = sum(line.area_m2 for line in gated) * 1e12
        wake_J, switches_m2 = pieces * switch.price("wake").energy_J, pieces * switch.area_m2
    features_J = features_m2 = 0.0
    if duty.features != "none":
        extraction = component(duty.features).at(node_nm)
        features_J = extraction.price("second").energy_J * period_s
        features_m2 = extraction.area_m2
    return PeriodCost(
        duty=duty,
        burst_s=burst_s,
        dynamic_J=dynamic_J,
        leakage_J=(kept_W + gated_W) * burst_s + (kept_W + gated_W / factor) * idle_s,
        wake_J=wake_J,
        features_J=features_J,
        gating_area_m2=switches_m2,
        features_area_m2=features_m2,
    )
