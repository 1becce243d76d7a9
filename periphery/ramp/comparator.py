"""The comparator of a column, and the capacitor that keeps the product while the ramp runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt

BOLTZMANN_J_PER_K = 1.380649e-23  # exact, SI 2019


@dataclass(frozen=True, kw_only=True)
class Comparator:
    """The comparator of a column and the integrator in front of it.

    Parameters
    ----------
    offset_V : standard deviation over columns of the offset that auto-zeroing leaves [V]; an estimate
    noise_V : standard deviation of the noise of one decision [V]; an estimate
    noise : ``per_conversion`` (one draw a conversion) or ``per_step`` (one draw at every step of the ramp)
    delay_s : time from the crossing to the latched code, the same in all columns [s]
    delay_compensated : start the counter later by the whole clock periods nearest to the delay
    hold_F : capacitor that holds the product, whose sampling noise ``sqrt(kT / C)`` adds to every conversion [F]; None
    is a noiseless one
    hold_leak_s : time constant with which the sampled product leaks to zero while the ramp runs, or until a column's
    turn at a shared converter [s]; None for no leak
    temperature_K : temperature of the circuit, for the sampling noise [K]
    """

    offset_V: Annotated[float, Ge(0.0)] = 0.5e-3
    noise_V: Annotated[float, Ge(0.0)] = 0.3e-3
    noise: Literal["per_conversion", "per_step"] = "per_conversion"
    delay_s: Annotated[float, Ge(0.0)] = 0.0
    delay_compensated: bool = False
    hold_F: Annotated[float, Gt(0.0)] | None = None
    hold_leak_s: Annotated[float, Gt(0.0)] | None = None
    temperature_K: Annotated[float, Gt(0.0)] = 300.0

    @property
    def hold_noise_V(self) -> float:
        """Standard deviation of what sampling leaves on the holding capacitor [V]."""
        return 0.0 if self.hold_F is None else math.sqrt(BOLTZMANN_J_PER_K * self.temperature_K / self.hold_F)

    def late_clocks(self, t_clk_s: float) -> float:
        """Clock periods by which a code is latched too late; negative where the counter starts too late."""
        clocks = self.delay_s / t_clk_s
        return clocks - round(clocks) if self.delay_compensated else clocks

    @property
    def of_ramps(self) -> list[str]:
        """Names of what is set that acts only where a comparator watches a ramp."""
        given = {
            "delay_s": self.delay_s > 0.0,
            "delay_compensated": self.delay_compensated,
            "noise: per_step": self.noise == "per_step",
        }
        return [name for name, is_set in given.items() if is_set]

    def idealised(self) -> Comparator:
        """The same comparator without offset, noise, delay or leak."""
        return replace(self, offset_V=0.0, noise_V=0.0, delay_s=0.0, hold_F=None, hold_leak_s=None)
