"""The converter without errors, the reference for all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from devices import BlockNoise, ChipStreams
from periphery.adc.base import ADC, Bank, BuiltADC
from periphery.adc.decide import search
from periphery.adc.grid import Grid


def quantised(u: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Codes, int32, of ``u (chips, n, ramps, columns)`` [LSB]: how many of the grid's thresholds are at or below."""
    table = (torch.arange(1, grid.top + 1).double() + grid.origin).float()
    return search(u, table[None, None, None], u.shape[-1], grid.origin)


@dataclass(frozen=True)
class BuiltQuantiser(BuiltADC):
    """An even grid of thresholds, the same for every column."""

    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """Codes of an even grid."""
        return quantised(u, self.grid)


@dataclass(frozen=True, kw_only=True)
class Quantiser(ADC):
    """A uniform quantiser of a fixed range, without errors; a tie goes to the upper code."""

    kind: Literal["quantiser"] = "quantiser"

    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltQuantiser:
        """Nothing is drawn."""
        return BuiltQuantiser(grid, bank)
