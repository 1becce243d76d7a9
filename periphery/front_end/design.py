"""A solved front end: what it does to a column of any conductance, and its budget.

Everything that depends on the conductance of a line is a polynomial in it, except settling, so the same numbers answer
for one column (a float) and for all columns of a chip (a tensor).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch

from periphery.front_end.load import ColumnLoad

Siemens = TypeVar("Siemens", float, torch.Tensor)


@dataclass(frozen=True, kw_only=True)
class Term:
    """One contribution to noise, offset or loss, ``sum_k coefficients[k] line_S^k``, with its equation and source.

    ``by_bias``: whether more bias makes it smaller; ``arrives``: whether it comes with the charge, and with its gain.
    """

    name: str
    equation: str
    source: str
    coefficients: tuple[float, ...]
    by_bias: bool = True
    arrives: bool = False

    def at(self, line_S: Siemens) -> Siemens:
        """Its value for a line of that conductance."""
        total = line_S * 0.0
        for coefficient in reversed(self.coefficients):
            total = total * line_S + coefficient
        return total


@dataclass(frozen=True, kw_only=True)
class Settling:
    """How the charge of a pulse follows: the loop has the roots of ``a s^2 + b s + 1``, ``b = b0 + b1 G``.

    A current I that flows for ``pulse_s`` leaves ``I lag`` behind, which then comes with the time constant ``tau``;
    what has not arrived ``settle_s`` later is lost. G is the line's conductance.

    Parameters
    ----------
    a_s2, b0_s, b1_s_per_S : the loop
    lag0_s, lag1_s_per_S : ``lag = lag0 + lag1 G + 2 a / b``, the last of which bounds what a second pole adds
    mirror_s : a further lag behind the loop; time constants in a row are added, which is never too short
    sampled : what flows is not integrated, its level is taken at the end
    """

    a_s2: float = 0.0
    b0_s: float
    b1_s_per_S: float = 0.0
    lag0_s: float
    lag1_s_per_S: float = 0.0
    mirror_s: float = 0.0
    pulse_s: float
    settle_s: float
    sampled: bool = False

    def tau_s(self, line_S: Siemens) -> Siemens:
        """Time constant [s]: the slower root ``(b + sqrt(b^2 - 4 a)) / 2``, or ``2 a / b`` where the loop rings."""
        b = self.b0_s + self.b1_s_per_S * line_S
        rest = b * b - 4.0 * self.a_s2
        real: Siemens = 0.5 * (b + (0.5 * (rest + abs(rest))) ** 0.5)
        ringing = 2.0 * self.a_s2 / b
        return self.mirror_s + 0.5 * (real + ringing + abs(real - ringing))

    def loss(self, line_S: Siemens) -> Siemens:
        """Share that is lost [1]: ``lag / T (1 - exp(-T / tau)) exp(-settle / tau)`` of a pulse's charge, or
        ``exp(-T / tau)`` of a level."""
        tau = self.tau_s(line_S)
        last: Siemens = math.e ** (-self.pulse_s / tau)
        if self.sampled:
            return last
        lag = self.lag0_s + self.lag1_s_per_S * line_S + 2.0 * self.a_s2 / (self.b0_s + self.b1_s_per_S * line_S)
        share: Siemens = lag / self.pulse_s * (1.0 - last) * math.e ** (-self.settle_s / tau)
        return share

    def kept(self, width_s: torch.Tensor, line_S: float) -> torch.Tensor:
        """What arrives of pulses of these widths that begin with a phase, as time [s]; the lag of a pulse that ends
        early arrives before the phase is over. 0 for a width of 0, any shape."""
        tau = self.tau_s(line_S)
        lag = self.lag0_s + self.lag1_s_per_S * line_S + 2.0 * self.a_s2 / (self.b0_s + self.b1_s_per_S * line_S)
        left_s = self.pulse_s - width_s + self.settle_s
        return width_s - lag * (1.0 - torch.exp(-width_s / tau)) * torch.exp(-left_s / tau)


class BudgetLine(NamedTuple):
    """One line of a budget: a quantity, its value and unit, and where it comes from."""

    name: str
    value: float
    unit: str
    equation: str
    source: str


@dataclass(frozen=True, kw_only=True)
class FrontEndDesign:
    """A front end sized for one load.

    Parameters
    ----------
    load : what it was sized for
    capacitor : its kind
    capacitor_F : capacitor on which the difference of the lines is integrated, or of the feedback [F]
    capacitor_m2 : area of it [m2]
    division : by how much the current of a line is divided before the capacitor [1]
    volts_per_z : swing over range [V]
    swing_V : voltage over the converter's range, peak to peak [V]
    bias_A : current of all branches of one column together, from ``supply_V`` [A]
    supply_V : supply [V]
    area_m2 : transistors and resistors of one column, the capacitor apart [m2]
    mirror_sigma : relative standard deviation of the gain of one line's current division, drawn once a line [1]
    capacitor_sigma : relative standard deviation of the capacitor, drawn once a column [1]
    noises, offsets : variances in units of the pre-activation squared, over the line's conductance
    losses : shares of the charge that finite gain loses, over the line's conductance
    settling : what has not arrived in time
    """

    load: ColumnLoad
    capacitor: str
    capacitor_F: float
    capacitor_m2: float
    division: float
    volts_per_z: float
    swing_V: float
    bias_A: float
    supply_V: float
    area_m2: float
    mirror_sigma: float
    capacitor_sigma: float
    noises: tuple[Term, ...]
    offsets: tuple[Term, ...]
    losses: tuple[Term, ...]
    settling: Settling

    @property
    def gain_sigma(self) -> float:
        """Relative standard deviation of a column's gain, drawn once a column [1].

        Mirrors of different lines err apart; one draw a column is the error of a column whose charge is on one line.
        """
        return math.hypot(self.mirror_sigma, self.capacitor_sigma)

    @property
    def bias_W(self) -> float:
        """What a column draws while it is on [W]."""
        return self.bias_A * self.supply_V

    @property
    def held_W(self) -> float:
        """What a column draws while its capacitor keeps the product [W]: behind a mirror or a switch the amplifiers
        rest, and a plain integrator's holds the capacitor."""
        return self.bias_W if self.division == 1.0 and self.capacitor_F > 0.0 else 0.0

    def noise_z2(self, line_S: Siemens) -> Siemens:
        """Variance of the noise of one product, cells' Johnson noise over all lines included, for lines of ``line_S``,
        in units of the pre-activation squared."""
        gain = self.gain(line_S)
        arriving = [term for term in self.noises if term.arrives]
        others = [term for term in self.noises if not term.arrives]
        return gain * gain * _sum(arriving, line_S) + _sum(others, line_S)

    def offset_sigma_z(self, line_S: Siemens) -> Siemens:
        """Standard deviation over columns of the offset, drawn once a column, in units of the pre-activation; 0 where
        phases cancel it."""
        sigma: Siemens = _sum(self.offsets, line_S) ** 0.5
        return sigma

    def steady_gain(self, line_S: Siemens) -> Siemens:
        """Share of a column's charge that arrives in the end: finite gain, input resistance, no settling [1]."""
        return 1.0 / (1.0 + _sum(self.losses, line_S))

    def gain(self, line_S: Siemens) -> Siemens:
        """Share of a column's charge that arrives: finite gain, input resistance, settling [1]."""
        return (1.0 - self.settling.loss(line_S)) / (1.0 + _sum(self.losses, line_S))

    def bias_loss(self, line_S: Siemens) -> Siemens:
        """Share of the charge lost to what a larger bias would mend: input resistance and settling [1]."""
        return self.settling.loss(line_S) + _sum([term for term in self.losses if term.by_bias], line_S)

    def budget(self, bits: int = 5) -> list[BudgetLine]:
        """What the design comes to at the conductance that it was made for, beside an LSB of ``bits`` over the swing.

        Noise and offset are in volts at the capacitor (standard deviations).
        """
        load, line_S = self.load, self.load.line_S
        lines = [BudgetLine("LSB", self.swing_V / 2**bits, "V", f"V_swing / 2^{bits}", "definition")]
        for kind, terms in (("noise", self.noises), ("offset", self.offsets)):
            for term in terms:
                value = math.sqrt(term.at(line_S)) * self.volts_per_z * (self.gain(line_S) if term.arrives else 1.0)
                lines.append(BudgetLine(f"{kind}: {term.name}", value, "V", term.equation, term.source))
        for term in self.losses:
            lines.append(BudgetLine(f"gain lost: {term.name}", term.at(line_S), "1", term.equation, term.source))
        squares, ratio = "root of the sum of squares", "((gm/I)^2 A_VT^2 + A_beta^2) (1 + 1/M) / (2 W L), root"
        spreads = (
            ("mirror", self.mirror_sigma, ratio, "pair convention, smaller device W L"),
            ("capacitor", self.capacitor_sigma, "1 % um / sqrt(area)", "MIM of 130 nm (IHP)"),
        )
        division = BudgetLine("division", self.division, "1", "M", "given, or solved from the capacitor")
        divided = [] if self.division == 1.0 else [division]
        arrives = "lag / T (1 - exp(-T / tau)) exp(-settle / tau)"
        sized = ("full scale", "solved from or with division and swing")
        if self.settling.sampled:
            arrives, sized = "exp(-T / tau)", ("tau / R", "the longest tau at which a level settles in time")
        noise_V, offset_V = math.sqrt(self.noise_z2(line_S)), self.offset_sigma_z(line_S)
        bias_J = self.bias_A * self.supply_V * load.open_s
        return [
            *lines,
            BudgetLine("time constant", self.settling.tau_s(line_S), "s", "slower root of a s^2 + b s + 1", "derived"),
            BudgetLine("gain lost: settling", self.settling.loss(line_S), "1", arrives, "derived"),
            BudgetLine("noise: all", noise_V * self.volts_per_z, "V", squares, "sum"),
            BudgetLine("offset: all", offset_V * self.volts_per_z, "V", squares, "sum"),
            BudgetLine("gain", self.gain(line_S), "1", "(1 - settling) / (1 + sum of losses)", "sum"),
            *(BudgetLine(f"gain spread: {name}", value, "1", *why) for name, value, *why in spreads if value > 0.0),
            BudgetLine("capacitor", self.capacitor_F, "F", *sized),
            BudgetLine("capacitor area", self.capacitor_m2, "m2", "C / density", "density by kind of capacitor"),
            *divided,
            BudgetLine("transistors", self.area_m2, "m2", "gate areas times layout", "layout factor: an estimate"),
            BudgetLine("bias", self.bias_A, "A", "all branches", "settling, gain, noise and peak current"),
            BudgetLine("supply", self.supply_V, "V", "V_dd", "given, or nominal at the node"),
            BudgetLine("bias energy of a product", bias_J, "J", "I V_dd T", "derived"),
        ]


def _sum(terms: Sequence[Term], line_S: Siemens) -> Siemens:
    total = line_S * 0.0
    for term in terms:
        total = total + term.at(line_S)
    return total
