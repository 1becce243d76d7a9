"""Price models of ordinary converters: a regression, a peer's formula, and published parts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from configs.errors import InputError
from periphery.prices.records import Model, Positive, Status
from periphery.prices.scaling import neighbours, refuse_outside, scale

Count = Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True)
class AdcQuote:
    """Cost of one conversion: energy [J], area of the converter [m2], time [s], and where they come from."""

    energy_J: float
    area_m2: float
    latency_s: float
    status: Status
    source: str
    area_status: Status
    area_source: str


@dataclass(frozen=True, kw_only=True)
class AdcPrice(Model, ABC):
    """A price model: answers what a converter of some resolution, speed and node costs.

    ``converters``: kinds of converter that it is a price of; the ideal quantiser takes any.
    """

    converters: tuple[str, ...]

    @abstractmethod
    def price(self, bits: int, rate_per_s: float, node_nm: float) -> AdcQuote:
        """The cost of one conversion; ``InputError`` where the model does not reach."""


@dataclass(frozen=True, kw_only=True)
class Andrulis2024(AdcPrice):
    """Figure-of-merit bounds of speed and of resolution, and powers of node, rate and energy.

    With ENOB b, rate f [1/s] and node t [nm]::

        SNDR = sndr_per_bit b + sndr_offset                                            [dB]
        FOM  = min(speed_bound - k_f ln f, resolution_bound + k_b ceil(b))             [dB]
        E    = 10^((SNDR - FOM)/10) / 2 exp(e0 + e_t ln t - e_b ln b - e_best)         [pJ]
        A    = exp(a0 + a_t ln t + a_f ln f + a_e ln E)                                [um2]

    Source: Andrulis et al., arXiv 2404.06553. Below ``min_bits`` the price is that at
    ``min_bits``, marked as an estimate.
    """

    min_bits: Count
    min_node_nm: Positive
    max_node_nm: Positive
    sndr_per_bit_dB: Positive
    sndr_offset_dB: Positive
    speed_bound_dB: Positive
    speed_bound_per_ln_rate_dB: Positive
    resolution_bound_dB: Positive
    resolution_bound_per_bit_dB: Positive
    energy_offset: Positive
    energy_ln_node: Positive
    energy_ln_bits: Positive
    energy_best_case: Positive
    area_offset: Positive
    area_ln_node: Positive
    area_ln_rate: Positive
    area_ln_energy: Positive

    def price(self, bits: int, rate_per_s: float, node_nm: float) -> AdcQuote:
        """The regression at ENOB = bits; one conversion takes one sampling period."""
        refuse_outside(self.min_node_nm, self.max_node_nm, node_nm, " for the ADC price model 'andrulis2024'")
        _check_rate("andrulis2024", rate_per_s, math.inf)
        enob = max(bits, self.min_bits)
        fom_dB = min(
            self.speed_bound_dB - self.speed_bound_per_ln_rate_dB * math.log(rate_per_s),
            self.resolution_bound_dB + self.resolution_bound_per_bit_dB * math.ceil(enob),
        )
        sndr_dB = self.sndr_per_bit_dB * enob + self.sndr_offset_dB
        energy_pJ = (
            10 ** ((sndr_dB - fom_dB) / 10)
            / 2
            * math.exp(
                self.energy_offset
                + self.energy_ln_node * math.log(node_nm)
                - self.energy_ln_bits * math.log(enob)
                - self.energy_best_case
            )
        )
        area_um2 = math.exp(
            self.area_offset
            + self.area_ln_node * math.log(node_nm)
            + self.area_ln_rate * math.log(rate_per_s)
            + self.area_ln_energy * math.log(energy_pJ)
        )
        status, source = self.status, f"{self.source}; {enob} b, {rate_per_s:.3g}/s, {node_nm:g} nm"
        if bits < self.min_bits:
            status, source = "estimate", f"{source}; estimate: {bits} b priced as {enob} b, where the model begins"
        return AdcQuote(energy_pJ * 1e-12, area_um2 * 1e-12, 1 / rate_per_s, status, source, status, source)


@dataclass(frozen=True, kw_only=True)
class NeuroSimSar(AdcPrice):
    """``E = (a bits + c) (bits + extra) cycle``: a clocked comparator and its logic, one bit a cycle.

    ``power_W``: node in nm to (a, c) [W]; between tabulated nodes the power is interpolated on logarithmic axes.
    """

    max_rate_per_s: Positive
    cycle_s: Positive
    extra_cycles: Count
    power_W: dict[float, tuple[Positive, Positive]]
    area_reference_m2: Positive
    area_reference_bits: Count
    area_reference_node_nm: Positive
    area_status: Status
    area_source: str

    def price(self, bits: int, rate_per_s: float, node_nm: float) -> AdcQuote:
        """Energy and latency by NeuroSim's form, area by the record's estimate."""
        latency_s = (bits + self.extra_cycles) * self.cycle_s
        _check_rate("neurosim_sar", rate_per_s, min(self.max_rate_per_s, 1 / latency_s))
        larger, smaller = neighbours(self.power_W, node_nm, " for the ADC price model 'neurosim_sar'")
        source = f"{self.source}; {bits} b at {node_nm:g} nm"
        power_W, power_small_W = (self.power_W[node][0] * bits + self.power_W[node][1] for node in (larger, smaller))
        if larger != smaller:
            share = math.log(larger / node_nm) / math.log(larger / smaller)
            power_W = power_W ** (1 - share) * power_small_W**share
            source += f", interpolated between {larger:g} and {smaller:g} nm"
        factors = scale("analog", self.area_reference_node_nm, node_nm)
        return AdcQuote(
            power_W * latency_s,
            self.area_reference_m2 * bits / self.area_reference_bits * factors.area,
            latency_s,
            self.status if larger == smaller else "derived",
            source,
            self.area_status,
            f"{self.area_source}; {bits} b at {node_nm:g} nm",
        )


@dataclass(frozen=True, kw_only=True)
class Part(AdcPrice):
    """One converter as it was published, moved to other nodes as an analog circuit."""

    bits: Count
    node_nm: Positive
    max_rate_per_s: Positive
    energy_J: Positive
    area_m2: Positive

    def _quote(self, share: float, of: str, parts: int, rate_per_s: float, bits: int, node_nm: float) -> AdcQuote:
        """The cost of a ``share`` of the part, described by ``of``, with ``parts`` of them side by side."""
        factors = scale("analog", self.node_nm, node_nm)
        status, source = self.status, self.source
        if factors.note:
            status, source = "derived", f"{source}; {factors.note}"
        if bits != self.bits:
            status, source = "estimate", f"{source}; estimate: {of}"
        if parts > 1:
            source += f"; {parts} parts take turns at {rate_per_s:.3g}/s"
        energy_J, area_m2 = self.energy_J * share * factors.energy, parts * self.area_m2 * share * factors.area
        return AdcQuote(energy_J, area_m2, 1 / rate_per_s, status, source, status, source)


@dataclass(frozen=True, kw_only=True)
class Isaac2016(Part):
    """One published part; other resolutions in proportion to the bits."""

    def price(self, bits: int, rate_per_s: float, node_nm: float) -> AdcQuote:
        """The part's energy and area; one conversion takes one sampling period."""
        _check_rate("isaac2016", rate_per_s, self.max_rate_per_s)
        of = f"{bits}/{self.bits} of the {self.bits}-bit part"
        return self._quote(bits / self.bits, of, 1, rate_per_s, bits, node_nm)


@dataclass(frozen=True, kw_only=True)
class PublishedPart(Part):
    """One published converter, of which several take turns where more conversions are asked for than it makes.

    The energy then stays and the area grows. ``growth``: how both go with resolution, in proportion to the ``bits``
    (successive approximation), to the ``levels`` (a step for each) or to the ``comparators`` (2^bits - 1 of a flash).
    """

    growth: Literal["bits", "levels", "comparators"]

    def price(self, bits: int, rate_per_s: float, node_nm: float) -> AdcQuote:
        """Energy and area of as many parts as the rate needs; results come at the rate asked for."""
        _check_rate(self.description, rate_per_s, math.inf)
        share = {
            "bits": bits / self.bits,
            "levels": 2.0 ** (bits - self.bits),
            "comparators": (2.0**bits - 1.0) / (2.0**self.bits - 1.0),
        }[self.growth]
        parts = math.ceil(rate_per_s / self.max_rate_per_s * (1 - 1e-9))
        of = f"{share:.3g} of the {self.bits}-bit part, by {self.growth}"
        return self._quote(share, of, parts, rate_per_s, bits, node_nm)


def _check_rate(model: str, rate_per_s: float, most_per_s: float) -> None:
    if not 0 < rate_per_s <= most_per_s * (1 + 1e-9):
        raise InputError(
            f"rate_per_s: above 0 and at most {most_per_s:.4g}/s for the ADC price model {model!r} "
            f"(got {rate_per_s:.4g})"
        )
