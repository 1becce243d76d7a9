"""A column's current as a voltage over a resistor: for lines that are driven by levels, not by widths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from periphery.front_end.base import FrontEnd
from periphery.front_end.design import FrontEndDesign, Settling, Term
from periphery.front_end.integrator import NYQUIST
from periphery.front_end.load import ColumnLoad


@dataclass(frozen=True, kw_only=True)
class Transimpedance(FrontEnd):
    """Current through a feedback resistor, its bandwidth cut by a capacitor beside it; the level is sampled at the end.

    The resistor is ``V_swing T / charge over the range``, T the time of one polarity; the capacitor makes the time
    constant the longest at which a level settles but for half of ``gain_error``, since a shorter one only lets more
    noise through. Two polarities are two samples.

    Parameters
    ----------
    resistor_um2_per_ohm : layout area of the resistor [um2/ohm]; an estimate
    """

    kind: Literal["transimpedance"] = "transimpedance"
    resistor_um2_per_ohm: Annotated[float, Gt(0.0)] = 1.0e-3

    def solved(self, load: ColumnLoad, supply_V: float, near_A: float | None = None) -> FrontEndDesign:
        """The amplifier for one column. Raises InputError with the number that would do."""
        least_A = load.lines * self.stages * load.peak_A
        return self.sized(load, least_A, lambda bias_A: self._circuit(load, supply_V, bias_A), near_A)

    def resistor_ohm(self, load: ColumnLoad) -> float:
        """Feedback resistor: the swing over the mean current at full scale [ohm]."""
        return self.swing_V * load.phase_s / load.range_C

    def _circuit(self, load: ColumnLoad, supply_V: float, bias_A: float) -> FrontEndDesign:
        n, ohm = load.lines, self.resistor_ohm(load)
        samples = 2 if load.phases_cancel else 1
        level_s = load.phase_s + load.settle_s
        filter_s = level_s / math.log(2.0 / self.gain_error)
        capacitor_F = filter_s / ohm
        gm, gain, input_F = self.amplifier_S(bias_A / n), self.open_loop_gain, self.input_F(load, bias_A / n)
        loop_s = (input_F + self.load_F + input_F * self.load_F / capacitor_F) / gm
        # A level sampled at the end of its time: what is missing is exp(-t / tau), not a share of a pulse.
        settling = Settling(b0_s=filter_s + loop_s, lag0_s=0.0, pulse_s=level_s, settle_s=0.0, sampled=True)
        # White current noise S of one sided density passes S / (4 tau).
        per_A = samples * (load.phase_s / load.charge_per_z_C) ** 2
        white = load.kT_J * per_A / filter_s
        offset = (
            0.0
            if load.phases_cancel
            else n * (self.offset_V(load, bias_A / n) * load.phase_s / load.charge_per_z_C) ** 2
        )
        amplifier = n * self.gamma * white / gm
        moving_A2 = n * load.kT_J * self.gamma / (gm * loop_s) * per_A / ohm**2 * (1.0 + input_F / capacitor_F) ** 2
        um2 = n * self.layout * self.amplifier_um2(bias_A / n) + n * ohm * self.resistor_um2_per_ohm
        um2 += n * self.auto_zero_um2
        return FrontEndDesign(
            load=load,
            capacitor=self.capacitor,
            capacitor_F=capacitor_F,
            capacitor_m2=self.capacitor_m2(capacitor_F),
            division=1.0,
            volts_per_z=self.swing_V / load.range_z,
            swing_V=self.swing_V,
            bias_A=bias_A,
            supply_V=supply_V,
            area_m2=um2 * 1e-12,
            mirror_sigma=0.0,
            capacitor_sigma=0.0,
            noises=(
                Term(
                    name="Johnson noise of the cells",
                    equation="n k T G / tau (T / q)^2 a sample",
                    source=NYQUIST.replace("integrated over T", "through R C"),
                    coefficients=(0.0, n * white),
                    by_bias=False,
                ),
                Term(
                    name="Johnson noise of the resistor",
                    equation="n k T / (R tau) (T / q)^2 a sample",
                    source=NYQUIST.replace("integrated over T", "through R C"),
                    coefficients=(n * white / ohm,),
                    by_bias=False,
                ),
                Term(
                    name="amplifier",
                    equation="n k T gamma (G + 1/R)^2 / (gm tau) (T / q)^2 a sample",
                    source="4 k T gamma / gm at the input, through line and resistor",
                    coefficients=(amplifier / ohm**2, 2.0 * amplifier / ohm, amplifier),
                ),
                Term(
                    name="amplifier, wide band",
                    equation="n ((1 + C_line / C) v / R)^2 (T / q)^2 a sample, v^2 = k T gamma / (gm tau_loop)",
                    source="white noise in the closed loop's bandwidth",
                    coefficients=(moving_A2,),
                ),
                *self.auto_zero(load, load.phase_s, 1.0 / ohm),
            ),
            offsets=(
                Term(
                    name="virtual ground",
                    equation="cancelled by phases of equal length"
                    if load.phases_cancel
                    else "n (V_os (G + 1/R) T / q)^2",
                    source="V_os = A_VT / sqrt(W L)",
                    coefficients=(offset / ohm**2, 2.0 * offset / ohm, offset),
                ),
            ),
            losses=(
                Term(
                    name="finite gain",
                    equation="(1 + G R) / A",
                    source="virtual ground at -V / A",
                    coefficients=(1.0 / gain, ohm / gain),
                    by_bias=False,
                ),
                Term(
                    name="virtual ground moves by I / gm",
                    equation="(G + 1/R) / gm",
                    source="a transconductor that carries the line's current",
                    coefficients=(1.0 / (ohm * gm), 1.0 / gm),
                ),
            ),
            settling=settling,
        )
