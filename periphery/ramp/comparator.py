"""The comparator of a column, and the capacitor that keeps the product while the ramp runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from periphery.front_end.base import A_VT_law
from periphery.prices.component import component
from periphery.prices.scaling import nominal_supply_V

BOLTZMANN_J_PER_K = 1.380649e-23  # exact, SI 2019
NODE_NM = 16.0  # of a comparator on no chip
LAYOUT = 3.0
"""Layout area over gate area [1]; an estimate."""


@cache
def _listed_J(node_nm: float) -> float:
    """Energy of one decision of the price list's comparator [J]."""
    return component("comparator").at(node_nm).price("step").energy_J


@dataclass(frozen=True, kw_only=True)
class Comparator:
    """The comparator of a column, and what holds the column's product for it.

    A better one costs more: its offset falls with the area of its input pair, its noise with the energy of a decision.

    (1) offset  ``autozero A_VT / sqrt(W L)``          (Pelgrom, JSSC 24, 1433 (1989), doi 10.1109/JSSC.1989.572629)
    (2) noise   ``sqrt(kappa k T V_dd^2 / E)``         k T / C of the capacitance C = E / V_dd^2 that a decision charges

    Parameters
    ----------
    offset_V : standard deviation over columns of the offset that auto-zeroing leaves, where it was measured [V]; None
        follows (1)
    noise_V : standard deviation of the noise of one decision, where it was measured [V]; None follows (2)
    pair_um2 : gate area of one device of the input pair [um2]
    step_J : energy of one decision [J]; None is that of the price list at the chip's node
    autozero : share of the pair's offset that auto-zeroing leaves [1]; an estimate
    A_VT_Vum : threshold matching of a pair [V um]; None is the law of the front end's pairs at the chip's node
    kappa : noise over that of k T / C [1]; 1 is an estimate
    noise : ``per_conversion`` (one draw a conversion) or ``per_step`` (one draw at every step of the ramp)
    delay_s : time from the crossing to the latched code, the same in all columns [s]
    delay_compensated : start the counter later by the whole clock periods nearest to the delay
    hold_F : capacitor that holds the product, whose sampling noise ``sqrt(kT / C)`` adds to every conversion [F]; None
    is a noiseless one
    hold_leak_s : time constant with which the sampled product leaks to zero while the ramp runs, or until a column's
    turn at a shared converter [s]; None for no leak
    temperature_K : temperature of the circuit, for the sampling noise [K]
    """

    offset_V: Annotated[float, Ge(0.0)] | None = None
    noise_V: Annotated[float, Ge(0.0)] | None = None
    pair_um2: Annotated[float, Gt(0.0)] = 0.25
    step_J: Annotated[float, Gt(0.0)] | None = None
    autozero: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.25
    A_VT_Vum: Annotated[float, Gt(0.0)] | None = None
    kappa: Annotated[float, Gt(0.0)] = 1.0
    noise: Literal["per_conversion", "per_step"] = "per_conversion"
    delay_s: Annotated[float, Ge(0.0)] = 0.0
    delay_compensated: bool = False
    hold_F: Annotated[float, Gt(0.0)] | None = None
    hold_leak_s: Annotated[float, Gt(0.0)] | None = None
    temperature_K: Annotated[float, Gt(0.0)] = 300.0

    def offset_sigma_V(self, node_nm: float = NODE_NM) -> float:
        """Standard deviation over columns of the offset that is left [V]: measured, or (1)."""
        if self.offset_V is not None:
            return self.offset_V
        matching = A_VT_law(node_nm) if self.A_VT_Vum is None else self.A_VT_Vum
        return self.autozero * matching / math.sqrt(self.pair_um2)

    def noise_sigma_V(self, node_nm: float = NODE_NM) -> float:
        """Standard deviation of the noise of one decision [V]: measured, or (2)."""
        if self.noise_V is not None:
            return self.noise_V
        step_J = _listed_J(node_nm) if self.step_J is None else self.step_J
        return nominal_supply_V(node_nm) * math.sqrt(self.kappa * BOLTZMANN_J_PER_K * self.temperature_K / step_J)

    def step_share(self, node_nm: float) -> float:
        """Energy of a decision over that of the price list [1]."""
        return 1.0 if self.step_J is None else self.step_J / _listed_J(node_nm)

    @property
    def pair_area_um2(self) -> float:
        """Layout of the two devices of the input pair [um2], on top of the comparator of the price list."""
        return 2.0 * LAYOUT * self.pair_um2

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
