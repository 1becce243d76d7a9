"""The flash converter: a comparator for every threshold, all deciding at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval

from devices import BlockNoise, ChipStreams
from periphery.adc.base import ADC, Bank, BuiltADC
from periphery.adc.decide import FIRST_ZERO, HIGHEST_ONE, ONES, search, thermometer
from periphery.adc.grid import Grid

Encoder = Literal["ones", "first_zero", "highest_one"]
_ENCODERS = {"ones": ONES, "first_zero": FIRST_ZERO, "highest_one": HIGHEST_ONE}


@dataclass(frozen=True)
class BuiltFlash(BuiltADC):
    """``ladder``: thresholds without the comparators' offsets, ``(chips, ramps, converters, 2^bits - 1)`` [LSB];
    ``offset_V``: of the same shape."""

    ladder: torch.Tensor
    offset_V: torch.Tensor
    noise_V: float
    encoder: Encoder

    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """The encoder's word of the thermometer; without noise, that of one sorted table."""
        table, per = self.ladder, self.bank.columns_per_adc
        if bool((self.offset_V != 0).any()):
            table, per = self._with_offsets(gain)
        if self.noise_V == 0.0:
            return search(u, _sorted(table, self.encoder), per, self.grid.origin)
        sigma = self.in_lsb(self.noise_V, gain)
        encoder = _ENCODERS[self.encoder]
        return thermometer(u, table, per, self.grid.origin, sigma=sigma, noise=noise, encoder=encoder)

    def _with_offsets(self, gain: torch.Tensor | float) -> tuple[torch.Tensor, int]:
        """Thresholds as the comparators make them [LSB], and the columns that share a table: an offset in volts is
        another share of an LSB where columns have different ranges."""
        lsb = self.in_lsb(1.0, gain).expand(len(self.ladder), 1, self.bank.ramps, -1)[:, 0]
        if lsb.shape[-1] == 1:
            return self.ladder - self.offset_V * lsb[..., None], self.bank.columns_per_adc
        ladder, offset = (
            self.bank.of_columns(each.transpose(-1, -2)).transpose(-1, -2) for each in (self.ladder, self.offset_V)
        )
        return ladder - offset * lsb[..., None], 1


def _sorted(table: torch.Tensor, encoder: Encoder) -> torch.Tensor:
    """The rising table of what an encoder makes of thresholds that may be out of order."""
    if encoder == "ones":
        return table.sort(dim=-1).values
    if encoder == "first_zero":
        return torch.cummax(table, dim=-1).values
    return torch.cummin(table.flip(-1), dim=-1).values.flip(-1)


@dataclass(frozen=True, kw_only=True)
class Flash(ADC):
    """``2^n - 1`` comparators on a ladder of equal resistors.

    Offsets and noise put zeros below ones (bubbles). The encoder decides what they cost: ``ones`` counts all ones, so
    that neighbours in disorder swap places without a trace; ``first_zero`` stops at the lowest zero and ``highest_one``
    takes the highest one, and err by the bubble's depth, down or up.

    Parameters
    ----------
    encoder : how bubbles are read: ``ones``, ``first_zero`` or ``highest_one``
    resistor_mismatch : relative standard deviation of one resistor of the ladder [1]
    offset_V : standard deviation over comparators of the offset [V]; an estimate
    noise_V : standard deviation of each comparator in each conversion [V]; an estimate
    """

    kind: Literal["flash"] = "flash"
    encoder: Encoder = "ones"
    resistor_mismatch: Annotated[float, Interval(ge=0.0, le=0.2)] = 0.0
    offset_V: Annotated[float, Ge(0.0)] = 0.0
    noise_V: Annotated[float, Ge(0.0)] = 0.0

    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltFlash:
        """Ladder and comparators of every converter."""
        places, count = (bank.ramps, bank.converters), grid.top
        ladder = torch.arange(1, count + 1).double()
        if self.resistor_mismatch > 0.0:
            resistors = 1.0 + self.resistor_mismatch * rng.child("ladder").normal((*places, count + 1)).double()
            sums = resistors.cumsum(-1)
            ladder = sums[..., :-1] / sums[..., -1:] * (count + 1)
        ladder = (ladder + grid.origin).float().expand(len(rng), *places, count)
        offset = self.offset_V * rng.child("flash offset").normal((*places, count))
        return BuiltFlash(grid, bank, ladder, offset, self.noise_V, self.encoder)
