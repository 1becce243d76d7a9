"""Successive approximation: a binary search with a capacitive converter and one comparator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval

from devices import BlockNoise, ChipStreams
from periphery.adc.base import ADC, Bank, BuiltADC
from periphery.adc.capacitors import capacitor_steps, capacitors
from periphery.adc.decide import approximate
from periphery.adc.grid import Grid


@dataclass(frozen=True)
class BuiltSAR(BuiltADC):
    """``trials``: what each converter compares with at every code, ``(chips, ramps, converters, 2^bits)`` [LSB];
    ``offset_V``: ``(chips, ramps, converters)``."""

    trials: torch.Tensor
    offset_V: torch.Tensor
    noise_V: float

    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """One comparison a bit, each with separate noise."""
        return approximate(
            u,
            self.trials,
            self.bank.columns_per_adc,
            offset=self.in_lsb(self.bank.of_columns(self.offset_V)[:, None], gain),
            sigma=self.in_lsb(self.noise_V, gain),
            noise=noise,
        )


@dataclass(frozen=True, kw_only=True)
class SAR(ADC):
    """Bits found one after another, the highest first, by comparing with levels of a capacitive converter.

    Capacitors differ from converter to converter: neighbours do not share their mismatch.

    Parameters
    ----------
    capacitors : ``binary`` weights from one end of the range, or ``symmetric`` about its middle (CrossSim's)
    capacitor_mismatch : relative standard deviation of one unit capacitor [1]
    amplifier_gain : open-loop gain of the symmetric converter's amplifier [1]; None for no end of it
    offset_V : standard deviation over converters of the comparator's offset [V]; an estimate
    noise_V : standard deviation of each comparison [V]; an estimate
    """

    kind: Literal["sar"] = "sar"
    capacitors: Literal["binary", "symmetric"] = "binary"
    capacitor_mismatch: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.0
    amplifier_gain: Annotated[float, Ge(1.0)] | None = None
    offset_V: Annotated[float, Ge(0.0)] = 0.0
    noise_V: Annotated[float, Ge(0.0)] = 0.0

    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltSAR:
        """Capacitors and comparator of every converter."""
        places = (bank.ramps, bank.converters)
        units = capacitors(grid.bits, self.capacitor_mismatch, places, rng=rng.child("sar capacitors"))
        offset = self.offset_V * rng.child("sar offset").normal(places)
        steps = capacitor_steps(units, self.capacitors, self.amplifier_gain)
        return BuiltSAR(grid, bank, (steps + grid.origin).float(), offset, self.noise_V)
