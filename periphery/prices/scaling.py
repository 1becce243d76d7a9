"""How energy, delay and area of digital and analog circuits change with the CMOS node.

Digital logic follows the polynomials of Stillmaker and Baas, Integration 58, 74 (2017), doi 10.1016/j.vlsi.2017.02.002:
energy ``a V^2 + b V + c`` and delay ``d3 V^3 + d2 V^2 + d1 V + d0``, each relative, and a table of area ratios; the
scale from one node to another is the quotient of the two, each at its supply. Analog circuits shrink less: powers
of the node taken from a regression over published converters (Andrulis et al., arXiv 2404.06553). All coefficients
are in ``configs/technology``. Nodes between two of the table are interpolated on logarithmic axes, as the note
says; nodes outside the table are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from configs.errors import InputError
from periphery.prices.records import CONFIGS, Model, Positive, Strict, read_record

Family = Literal["HP", "LP"]
Rule = Literal["logic", "analog", "none"]


@dataclass(frozen=True)
class Scaling:
    """Factors by which a figure is multiplied when it moves to another node; ``note`` describes it, for the report."""

    energy: float
    delay: float
    area: float
    note: str


UNSCALED = Scaling(1.0, 1.0, 1.0, "")


def refuse_outside(low_nm: float, high_nm: float, node_nm: float, reach: str) -> None:
    """Raise InputError for a node outside what a rule reaches; ``reach``: what it is, for the message."""
    if not low_nm <= node_nm <= high_nm:
        raise InputError(f"node_nm: {low_nm:g} to {high_nm:g} nm{reach} (got {node_nm:g})")


def neighbours(nodes_nm: Collection[float], node_nm: float, reach: str) -> tuple[float, float]:
    """The tabulated nodes on either side, larger first; both are ``node_nm`` where the table has it.

    Raises InputError outside the table, as ``refuse_outside`` does.
    """
    refuse_outside(min(nodes_nm), max(nodes_nm), node_nm, reach)
    return min(node for node in nodes_nm if node >= node_nm), max(node for node in nodes_nm if node <= node_nm)


@dataclass(frozen=True, kw_only=True)
class NodeFit(Strict):
    """Polynomial coefficients of one node, highest power of the supply first; ``vdd_V`` is its nominal supply."""

    vdd_V: Positive
    energy_HP: tuple[float, float, float]
    delay_HP: tuple[float, float, float, float]
    energy_LP: tuple[float, float, float] | None = None
    delay_LP: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class StillmakerBaas2017(Model):
    """Stillmaker and Baas's fits to HSpice of predictive technology models.

    ``nodes``: node in nm to its fits; ``area``: multiply an area at the outer node by ``area[outer][inner]``;
    ``vdd_span``: largest relative distance from a node's nominal supply at which its fit is used.
    """

    vdd_span: Positive
    nodes: dict[float, NodeFit]
    area: dict[float, dict[float, Positive]]

    def energy_factor(self, node_nm: float, vdd_V: float | None = None, family: Family = "HP") -> float:
        """Relative switching energy of logic at ``node_nm`` and supply ``vdd_V`` (nominal if not given) [1]."""
        return self._between(node_nm, lambda node: self._polynomial(node, vdd_V, "energy", family))

    def delay_factor(self, node_nm: float, vdd_V: float | None = None, family: Family = "HP") -> float:
        """Relative delay of logic at ``node_nm`` and supply ``vdd_V`` (nominal if not given) [1]."""
        return self._between(node_nm, lambda node: self._polynomial(node, vdd_V, "delay", family))

    def nominal_supply_V(self, node_nm: float) -> float:
        """Nominal supply at ``node_nm`` [V]."""
        return self._between(node_nm, lambda node: self.nodes[node].vdd_V)

    def area_factor(self, from_nm: float, to_nm: float) -> float:
        """Area at ``to_nm`` over area at ``from_nm`` [1]; the published ratios have two digits."""
        return self._between(
            from_nm,
            lambda source: self._between(to_nm, lambda target: self.area[source][target]),
        )

    def scale(
        self,
        from_nm: float,
        to_nm: float,
        *,
        from_V: float | None = None,
        to_V: float | None = None,
        family: Family = "HP",
    ) -> Scaling:
        """Factors from one node and supply to another; a supply that is not given is the node's nominal one."""
        return Scaling(
            self.energy_factor(to_nm, to_V, family) / self.energy_factor(from_nm, from_V, family),
            self.delay_factor(to_nm, to_V, family) / self.delay_factor(from_nm, from_V, family),
            self.area_factor(from_nm, to_nm),
            f"scaled {self._where(from_nm, from_V)} -> {self._where(to_nm, to_V)} by Stillmaker & Baas 2017, {family}",
        )

    def _neighbours(self, node_nm: float) -> tuple[float, float]:
        return neighbours(self.nodes, node_nm, ", the span of the table for digital logic")

    def _between(self, node_nm: float, value: Callable[[float], float]) -> float:
        larger, smaller = self._neighbours(node_nm)
        if larger == smaller:
            return value(larger)
        share = math.log(larger / node_nm) / math.log(larger / smaller)
        return math.exp((1 - share) * math.log(value(larger)) + share * math.log(value(smaller)))

    def _polynomial(self, node_nm: float, vdd_V: float | None, quantity: str, family: Family) -> float:
        fit = self.nodes[node_nm]
        coefficients: tuple[float, ...] | None = getattr(fit, f"{quantity}_{family}")
        if coefficients is None:
            raise InputError(f"scaling: no {family} {quantity} fit at {node_nm:g} nm; use HP")
        volts = fit.vdd_V if vdd_V is None else vdd_V
        if abs(volts / fit.vdd_V - 1) > self.vdd_span:
            low, high = fit.vdd_V * (1 - self.vdd_span), fit.vdd_V * (1 + self.vdd_span)
            raise InputError(f"supply_V: {low:.3g} to {high:.3g} V for the fit at {node_nm:g} nm (got {volts:g})")
        factor = 0.0
        for coefficient in coefficients:
            factor = factor * volts + coefficient
        return factor

    def _where(self, node_nm: float, vdd_V: float | None) -> str:
        larger, smaller = self._neighbours(node_nm)
        if larger != smaller:
            supply = "nominal supply" if vdd_V is None else f"{vdd_V:g} V"
            return f"{node_nm:g} nm ({supply}; interpolated between {larger:g} and {smaller:g} nm)"
        return f"{node_nm:g} nm ({self.nodes[larger].vdd_V if vdd_V is None else vdd_V:g} V)"


@dataclass(frozen=True, kw_only=True)
class AnalogPowerLaw(Model):
    """Analog circuits: energy and area as powers of the node; their speed is set by the clock, not by the node."""

    energy_exponent: Positive
    area_exponent: Positive
    min_node_nm: Positive
    max_node_nm: Positive

    def scale(self, from_nm: float, to_nm: float) -> Scaling:
        """Factors from one node to another; ``InputError`` outside the nodes of the regression."""
        for node_nm in (from_nm, to_nm):
            refuse_outside(self.min_node_nm, self.max_node_nm, node_nm, ", the span of the analog scaling rule")
        ratio = to_nm / from_nm
        return Scaling(
            ratio**self.energy_exponent,
            1.0,
            ratio**self.area_exponent,
            f"scaled {from_nm:g} nm -> {to_nm:g} nm as analog: energy ~ node^{self.energy_exponent:g}, "
            f"area ~ node^{self.area_exponent:g} (ADC regression of Andrulis 2024)",
        )


@cache
def stillmaker_baas_2017() -> StillmakerBaas2017:
    """The shipped table for digital logic."""
    return read_record(StillmakerBaas2017, CONFIGS / "technology" / "stillmaker_baas_2017.yaml")


def nominal_supply_V(node_nm: float) -> float:
    """Nominal supply of a CMOS node by the table for digital logic [V]; InputError outside the table."""
    return stillmaker_baas_2017().nominal_supply_V(node_nm)


@cache
def analog_power_law() -> AnalogPowerLaw:
    """The shipped rule for analog circuits."""
    return read_record(AnalogPowerLaw, CONFIGS / "technology" / "analog_andrulis_2024.yaml")


def _unchanged(from_nm: float, to_nm: float, _from_V: float | None) -> Scaling:
    return Scaling(1.0, 1.0, 1.0, f"stated at {from_nm:g} nm and not scaled to {to_nm:g} nm")


SCALING_RULES: Mapping[Rule, Callable[[float, float, float | None], Scaling]] = {
    "logic": lambda from_nm, to_nm, from_V: stillmaker_baas_2017().scale(from_nm, to_nm, from_V=from_V),
    "analog": lambda from_nm, to_nm, _from_V: analog_power_law().scale(from_nm, to_nm),
    "none": _unchanged,
}


@cache
def scale(rule: Rule, from_nm: float, to_nm: float, from_V: float | None = None) -> Scaling:
    """Factors by the named rule from a node at supply ``from_V`` to another at its nominal one; 1 at the same node."""
    return UNSCALED if from_nm == to_nm else SCALING_RULES[rule](from_nm, to_nm, from_V)
