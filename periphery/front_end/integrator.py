"""A column's charge on a capacitor: the plain integrator, and a current conveyor with a dividing mirror.

Full scale sets the capacitor, ``C V_swing = charge over the range / M``, where the lines of a pair are subtracted
before it. With M = 1 the amplifier of each line integrates itself: its transconductance has to stand against the
conductance of the line, and its virtual ground moves by I / gm. With M > 1 the amplifier only drives the gate of an
input device (a boosted current conveyor), which shows the line a resistance of 1 / (gm_m A), and a mirror divides what
flows.

The equations are those of a two-terminal network with white noise sources; each term names its own. Symbols: G a line's
conductance, n lines, T the time for which the node is open, q the charge of one unit of the pre-activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from configs.errors import InputError
from periphery.front_end.base import FrontEnd
from periphery.front_end.design import FrontEndDesign, Settling, Term
from periphery.front_end.load import ColumnLoad

NYQUIST = "Nyquist, Phys. Rev. 32, 110 (1928), doi 10.1103/PhysRev.32.110; integrated over T"
MIRROR = "both devices at their mean current, referred to the input"


@dataclass(frozen=True, kw_only=True)
class Integrator(FrontEnd):
    """Charge on a capacitor behind a virtual ground, its current divided by a mirror where ``division`` is above 1.

    Parameters
    ----------
    division : by how much a line's current is divided before the capacitor [1]; None solves it from ``capacitor_F``
    capacitor_F : integrating capacitor [F]; None solves it from ``division``
    mirror_um2 : gate area of the mirror's smaller device; the larger one has ``division`` times as much [um2]
    A_beta_um : matching of the current factor of a pair [um], 1 % um; an estimate (0.7 % um at 180 nm)
    trim_bits : bits by which each mirror's ratio is trimmed once, over 4 standard deviations either way; 0 for none
    trim_um2 : layout area of one bit of a trim, its memory and its switch [um2]; an estimate
    input_share : share of the bias that flows through the input devices, the rest feeds the amplifiers [1]
    """

    kind: Literal["integrator"] = "integrator"
    division: Annotated[float, Ge(1.0)] | None = 32.0
    capacitor_F: Annotated[float, Gt(0.0)] | None = None
    mirror_um2: Annotated[float, Gt(0.0)] = 0.25
    A_beta_um: Annotated[float, Ge(0.0)] = 0.01
    trim_bits: Annotated[int, Interval(ge=0, le=12)] = 0
    trim_um2: Annotated[float, Gt(0.0)] = 3.0
    input_share: Annotated[float, Interval(gt=0.0, lt=1.0)] = 0.5

    def solved(self, load: ColumnLoad, supply_V: float, near_A: float | None = None) -> FrontEndDesign:
        """The integrator for one column. Raises InputError with the number that would do."""
        division, capacitor_F = self.full_scale(load)
        if division == 1.0 and load.copies > 1.0:
            raise InputError(
                "front_end.division: more than 1 where a line's current goes to several capacitors, which takes mirrors"
            )
        if division == 1.0:
            least_A = load.lines * self.stages * load.peak_A
            return self.sized(load, least_A, lambda bias_A: self._plain(load, capacitor_F, supply_V, bias_A), near_A)
        least_A = load.lines * load.copies * load.peak_A / division
        return self.sized(
            load, least_A, lambda bias_A: self._conveyor(load, division, capacitor_F, supply_V, bias_A), near_A
        )

    def full_scale(self, load: ColumnLoad) -> tuple[float, float]:
        """Division and capacitor [F] of ``C V_swing = charge over the range / M``."""
        most_F = load.range_C / self.swing_V
        if (self.division is None) == (self.capacitor_F is None):
            raise InputError(
                "front_end: exactly one of division and capacitor_F is null, which the other one sets "
                f"(got division {self.division}, capacitor_F {self.capacitor_F})"
            )
        if self.division is not None:
            return self.division, most_F / self.division
        assert self.capacitor_F is not None
        if self.capacitor_F > most_F * (1.0 + 1e-9):
            raise InputError(
                f"front_end.capacitor_F: at most {most_F:.3g} F, which the charge over the range fills to "
                f"{self.swing_V:g} V without division (got {self.capacitor_F:g})"
            )
        return max(1.0, most_F / self.capacitor_F), self.capacitor_F

    def mirror_sigma(self, load: ColumnLoad, division: float, unit_um2: float) -> float:
        """Relative standard deviation of a mirror's ratio [1].

        ``((gm/I)^2 A_VT^2 + A_beta^2) / (W L)`` before trimming, for two devices of W L each (pair convention, Pelgrom
        et al., JSSC 24, 1433 (1989)); of the two here one is ``division`` times as large, so that its half is that much
        smaller.
        """
        pair = (self.gm_per_I * self.A_VT(load)) ** 2 + self.A_beta_um**2
        sigma = math.sqrt(pair / unit_um2 * (1.0 + 1.0 / division) / 2.0)
        # A step of the trim is 8 sigma / 2^bits, and what it leaves is spread evenly over one step.
        return sigma * min(1.0, 8.0 / 2.0**self.trim_bits / math.sqrt(12.0)) if self.trim_bits else sigma

    def _conveyor(
        self, load: ColumnLoad, division: float, capacitor_F: float, supply_V: float, bias_A: float
    ) -> FrontEndDesign:
        n, time_s, q = load.lines, load.open_s, load.charge_per_z_C
        copies = load.copies
        free_A = bias_A / n - copies * load.peak_A / division
        input_A = self.input_share * free_A / (1.0 + copies / division)
        amplifier_A = (1.0 - self.input_share) * free_A
        gm, gm_input = self.amplifier_S(amplifier_A), self.gm_per_I * input_A
        gm_mirror = self.gm_per_I * (load.flowing_A + input_A)
        carrying_um2 = self.carrying_um2(load.peak_A + input_A)
        unit_um2 = max(self.mirror_um2, carrying_um2 / division)
        sigma = self.mirror_sigma(load, division, unit_um2)
        input_F, gate_F = self.input_F(load, amplifier_A), self.load_F + self.gate_F_per_um2 * carrying_um2
        mirror_s = self.gate_F_per_um2 * unit_um2 * (copies + division) / gm_input
        settling = Settling(
            a_s2=input_F * gate_F / (gm_input * gm),
            b0_s=gate_F / gm,
            b1_s_per_S=gate_F / (gm_input * gm),
            lag0_s=mirror_s,
            lag1_s_per_S=gate_F / (gm_input * gm),
            mirror_s=mirror_s,
            pulse_s=load.phase_s,
            settle_s=load.settle_s,
        )
        white = 2.0 * load.kT_J * self.gamma * time_s * n / q**2
        moving_V2 = load.kT_J * self.gamma / (gm * (settling.b0_s + settling.b1_s_per_S * load.line_S))
        seen = 0.0 if load.phases_cancel else n * (time_s / q) ** 2
        gates_um2 = self.amplifier_um2(amplifier_A) + carrying_um2 + self.carrying_um2(input_A)
        gates_um2 += unit_um2 * (copies + division)
        um2 = self.layout * gates_um2 + copies * self.trim_bits * self.trim_um2 + 2.0 * self.auto_zero_um2
        return FrontEndDesign(
            load=load,
            capacitor=self.capacitor,
            capacitor_F=capacitor_F,
            capacitor_m2=self.capacitor_m2(capacitor_F),
            division=division,
            volts_per_z=self.swing_V / load.range_z,
            swing_V=self.swing_V,
            bias_A=bias_A,
            supply_V=supply_V,
            area_m2=n * um2 * 1e-12,
            mirror_sigma=sigma,
            capacitor_sigma=self.capacitor_sigma(capacitor_F),
            noises=(
                _johnson(load),
                _amplifier(load, self.gamma, gm),
                Term(
                    name="amplifier, line capacitance",
                    equation="2 n C_line^2 v^2 / q^2, v^2 = k T gamma / (gm b)",
                    source="white noise through the boosted loop, at both ends of T",
                    coefficients=(2.0 * n * input_F**2 * moving_V2 / q**2,),
                ),
                Term(
                    name="mirror",
                    equation="2 k T gamma gm_in (1 + M) n T / q^2",
                    source=MIRROR,
                    coefficients=(white * gm_mirror * (1.0 + division),),
                    by_bias=False,
                ),
                *self.auto_zero(load, time_s, quiescent_S=gm_input),
                _reset(load, capacitor_F, division),
            ),
            offsets=(
                _offset(load, self.offset_V(load, amplifier_A)),
                Term(
                    name="mismatch of the quiescent current",
                    equation="n (I_q sigma_M T / q)^2, over (1 + A)^2 auto-zeroed"
                    if seen
                    else "cancelled by phases of equal length",
                    source="mirror matching",
                    coefficients=(seen * (self.left_by_auto_zero * input_A * sigma) ** 2,),
                ),
            ),
            losses=(
                Term(
                    name="input resistance",
                    equation="G / (gm_m A), gm_m of the quiescent current",
                    source="boosted common-gate device",
                    coefficients=(0.0, 1.0 / (gm_input * self.open_loop_gain)),
                ),
                Term(
                    name="mirror's output resistance",
                    equation="n gm_in T / (2 a^3 M C), a the gain of a stage",
                    source="cascode boosted by one stage; charge that leaks back, half of T on average",
                    coefficients=(n * gm_mirror * time_s / (2.0 * self.intrinsic_gain**3 * division * capacitor_F),),
                    by_bias=False,
                ),
            ),
            settling=settling,
        )

    def _plain(self, load: ColumnLoad, capacitor_F: float, supply_V: float, bias_A: float) -> FrontEndDesign:
        n, time_s, q = load.lines, load.open_s, load.charge_per_z_C
        gm, gain = self.amplifier_S(bias_A / n), self.open_loop_gain
        input_F = self.input_F(load, bias_A / n)
        loop_s = (input_F + self.load_F + input_F * self.load_F / capacitor_F) / gm
        settling = Settling(
            b0_s=loop_s,
            lag0_s=loop_s,
            pulse_s=load.phase_s,
            settle_s=load.settle_s,
        )
        moving_C2 = load.kT_J * self.gamma / (gm * loop_s) * ((capacitor_F + input_F) ** 2 + input_F**2)
        crossed = 2.0 * load.kT_J * self.gamma * capacitor_F / gm
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
            area_m2=n * (self.layout * self.amplifier_um2(bias_A / n) + self.auto_zero_um2) * 1e-12,
            mirror_sigma=0.0,
            capacitor_sigma=self.capacitor_sigma(capacitor_F),
            noises=(
                _johnson(load),
                _amplifier(load, self.gamma, gm),
                Term(
                    name="amplifier, wide band",
                    equation="n (((C + C_l)^2 + C_l^2) v^2 + 2 k T gamma G C / gm) / q^2, v^2 = k T gamma / (gm tau)",
                    source="white noise in the closed loop's bandwidth, at the end of T and (line) its beginning",
                    coefficients=(n * moving_C2 / q**2, n * crossed / q**2),
                ),
                *self.auto_zero(load, time_s),
                _reset(load, capacitor_F, 1.0),
            ),
            offsets=(_offset(load, self.offset_V(load, bias_A / n)),),
            losses=(
                Term(
                    name="finite gain",
                    equation="(1 + C_line / C) / A + G T / (2 A C)",
                    source="virtual ground at -V / A: charge on the line, and through the cells, half of T on average",
                    coefficients=((1.0 + input_F / capacitor_F) / gain, time_s / (2.0 * gain * capacitor_F)),
                    by_bias=False,
                ),
                Term(
                    name="virtual ground moves by I / gm",
                    equation="G (1 + C_load / C) / gm",
                    source="a transconductor that carries the line's current and charges its load",
                    coefficients=(0.0, (1.0 + self.load_F / capacitor_F) / gm),
                ),
            ),
            settling=settling,
        )


def _johnson(load: ColumnLoad) -> Term:
    """Johnson noise of everything on the lines."""
    return Term(
        name="Johnson noise of the cells",
        equation="2 k T G n T / q^2",
        source=NYQUIST,
        coefficients=(0.0, 2.0 * load.kT_J * load.lines * load.open_s / load.charge_per_z_C**2),
        by_bias=False,
        arrives=True,
    )


def _amplifier(load: ColumnLoad, gamma: float, gm: float) -> Term:
    """An amplifier's white input noise drives the conductance of its line."""
    charge_C2 = 2.0 * load.kT_J * gamma * load.lines * load.open_s / gm
    return Term(
        name="amplifier",
        equation="2 k T gamma G^2 n T / (gm q^2)",
        source="4 k T gamma / gm at the input, through the line's conductance",
        coefficients=(0.0, 0.0, charge_C2 / load.charge_per_z_C**2),
        arrives=True,
    )


def _reset(load: ColumnLoad, capacitor_F: float, division: float) -> Term:
    """What the reset switch leaves on one capacitor."""
    return Term(
        name="reset",
        equation="k T C M^2 / q^2",
        source="k T / C of one capacitor",
        coefficients=(load.kT_J * capacitor_F * (division / load.charge_per_z_C) ** 2,),
        by_bias=False,
    )


def _offset(load: ColumnLoad, offset_V: float) -> Term:
    """The virtual ground's offset drives the whole node, whatever the inputs; equal phases of both signs cancel it."""
    charge_C = 0.0 if load.phases_cancel else offset_V * load.open_s
    return Term(
        name="virtual ground",
        equation="cancelled by phases of equal length" if load.phases_cancel else "n (V_os G T / q)^2",
        source="V_os = A_VT / sqrt(W L), over 1 + A auto-zeroed",
        coefficients=(0.0, 0.0, load.lines * (charge_C / load.charge_per_z_C) ** 2),
    )
