"""The linear ramp: one rising reference for all columns, a comparator and a counter's code for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Interval

from devices import BlockNoise, ChipStreams
from periphery.adc.base import ADC, Bank, BuiltADC, Counts
from periphery.adc.capacitors import capacitor_steps, capacitors
from periphery.adc.decide import search
from periphery.adc.grid import Grid


@dataclass(frozen=True)
class BuiltLinearRamp(BuiltADC):
    """``steps``: the ramp's running maximum, ``(chips, ramps, 1, 2^bits - 1)`` [LSB]; ``offset_V``: ``(chips, ramps,
    columns)``."""

    steps: torch.Tensor
    offset_V: torch.Tensor
    noise_V: float

    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """The first crossing of the common ramp, with noise drawn once a conversion."""
        seen = u + self.in_lsb(self.offset_V[:, None], gain) if bool((self.offset_V != 0).any()) else u
        if self.noise_V > 0.0:
            seen = seen + self.in_lsb(self.noise_V, gain) * noise.normal(u.shape[2:])
        return search(seen, self.steps, self.bank.columns, self.grid.origin)


@dataclass(frozen=True, kw_only=True)
class LinearRamp(ADC):
    """A staircase from a capacitive converter, the same for all columns of a tile; a comparator each stops the code.

    Parameters
    ----------
    reference : ``fixed``, or ``ratiometric``: made from V_read, so that a changed read voltage cancels
    capacitors : ``binary`` weights from one end of the range, or ``symmetric`` about its middle (CrossSim's)
    capacitor_mismatch : relative standard deviation of one unit capacitor of the ramp's converter [1]
    amplifier_gain : open-loop gain of the symmetric converter's amplifier [1]; None for no end of it
    bow : how far the ramp is above a straight line in its middle, as a share of the range [1]; a parabola
    offset_V : standard deviation over columns of the comparators' offset [V]; an estimate
    noise_V : standard deviation of one conversion [V]; an estimate
    shut_off : whether a comparator stops at its crossing, so that its energy follows the code
    """

    per_column: ClassVar[bool] = True

    kind: Literal["linear_ramp"] = "linear_ramp"
    reference: Literal["fixed", "ratiometric"] = "fixed"
    capacitors: Literal["binary", "symmetric"] = "binary"
    capacitor_mismatch: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.0
    amplifier_gain: Annotated[float, Ge(1.0)] | None = None
    bow: Annotated[float, Interval(ge=-0.2, le=0.2)] = 0.0
    offset_V: Annotated[float, Ge(0.0)] = 0.0
    noise_V: Annotated[float, Ge(0.0)] = 0.0
    shut_off: bool = True

    @property
    def ratiometric(self) -> bool:
        """Whether the reference follows the read voltage."""
        return self.reference == "ratiometric"

    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltLinearRamp:
        """One ramp a group, a comparator a column."""
        units = capacitors(grid.bits, self.capacitor_mismatch, (bank.ramps,), rng=rng.child("ramp capacitors"))
        steps = capacitor_steps(units, self.capacitors, self.amplifier_gain)[..., 1:]
        share = steps / 2.0**grid.bits
        bent = steps + 4.0 * self.bow * 2.0**grid.bits * share * (1.0 - share) + grid.origin
        offset = self.offset_V * rng.child("ramp offset").normal((bank.ramps, bank.columns))
        rising = torch.cummax(bent, dim=-1).values.float()[:, :, None]
        return BuiltLinearRamp(grid, bank, rising, offset, self.noise_V)

    def convert_s(self, bits: int, t_clk_s: float) -> float:
        """One clock period a step."""
        return t_clk_s * 2.0**bits

    def actions(self, adc: str, bits: int, *, conversions: float, steps: float, ramps: float) -> Counts:
        """Comparator steps up to each crossing (or the whole ramp), and steps of the ramps and of their counters."""
        taken = steps if self.shut_off else conversions * 2**bits
        return {
            "comparator": {"step": taken},
            "ramp_generator": {"step": ramps * 2**bits},
            "code_line": {"step": conversions * 2**bits},
        }

    def instances(self, adc: str, bits: int, *, adcs: float, columns: float, ramps: float) -> Mapping[str, float]:
        """A comparator for every column and the capacitors of every ramp."""
        return {"comparator": columns, "ramp_generator": ramps * 2**bits}
