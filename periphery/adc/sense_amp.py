"""The sense amplifier: one bit, above or below the middle of the range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge

from devices import BlockNoise, ChipStreams, InputError
from periphery.adc.base import ADC, Bank, BuiltADC, Counts
from periphery.adc.grid import Grid, Levels


@dataclass(frozen=True)
class BuiltSenseAmp(BuiltADC):
    """``offset_V``: ``(chips, ramps, converters)``."""

    offset_V: torch.Tensor
    noise_V: float

    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """Whether the input is at or above the threshold."""
        seen = u + self.in_lsb(self.bank.of_columns(self.offset_V)[:, None], gain)
        if self.noise_V > 0.0:
            seen = seen + self.in_lsb(self.noise_V, gain) * noise.normal(u.shape[2:])
        return (seen >= self.grid.origin + 1.0).int()


@dataclass(frozen=True, kw_only=True)
class SenseAmp(ADC):
    """A comparator at the middle of the range; its two words are a quarter of the range to either side.

    Parameters
    ----------
    offset_V : standard deviation over amplifiers of the offset [V]; an estimate
    noise_V : standard deviation of one decision [V]; an estimate
    """

    kind: Literal["sense_amp"] = "sense_amp"
    offset_V: Annotated[float, Ge(0.0)] = 0.0
    noise_V: Annotated[float, Ge(0.0)] = 0.0
    grid_levels: ClassVar[Levels] = "mid_rise"
    most_bits: ClassVar[int] = 1

    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltSenseAmp:
        """The offset of every amplifier; ``InputError`` for more than one bit."""
        if grid.bits > self.most_bits:
            raise InputError(f"bits: 1 for a converter of kind sense_amp (got {grid.bits!r})")
        offset = self.offset_V * rng.child("sense amplifiers").normal((bank.ramps, bank.converters))
        return BuiltSenseAmp(grid, bank, offset, self.noise_V)

    def convert_s(self, bits: int, t_clk_s: float) -> float:
        """One decision, in one clock period."""
        return t_clk_s

    def actions(self, adc: str, bits: int, *, conversions: float, steps: float, ramps: float) -> Counts:
        """One decision of a comparator a conversion."""
        return {"comparator": {"step": conversions}}

    def instances(self, adc: str, bits: int, *, adcs: float, columns: float, ramps: float) -> Mapping[str, float]:
        """An amplifier for every converter; its area is the front end's."""
        return {"comparator": adcs}
