"""The conventional chain: a linear converter with a fixed reference, then a digital look-up of the activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Interval

from devices import BlockNoise
from periphery.functions import Function, output_levels


@dataclass(frozen=True, kw_only=True)
class ConventionalADC:
    """A uniform mid-tread quantiser of the pre-activation, shared by several columns.

    Parameters
    ----------
    bits : resolution; None takes the chip's bits
    range_z : pre-activation at full scale, either sign, at the design read voltage; larger values saturate
    columns_per_adc : columns that take turns on one converter
    price : name of the price model (``andrulis2024``, ``neurosim_sar``, ``isaac2016``)
    rate_per_s : conversions per second of one converter [1/s]
    """

    bits: Annotated[int, Interval(ge=2, le=12)] | None = None
    range_z: Annotated[float, Gt(0.0)] = 4.0
    columns_per_adc: Annotated[int, Interval(ge=1, le=4096)] = 8
    price: str = "andrulis2024"
    rate_per_s: Annotated[float, Gt(0.0)] = 1e8


@dataclass(frozen=True)
class LookUpConverter:
    """Columns converted linearly, then passed through a table with ``2^output_bits`` output codes.

    ``gain`` is what a fixed reference makes of a changed read voltage, ``V_read / V_design``; a number, or a tensor
    ``(chips, 1, ramps, 1)`` where drift compensation scales the reference of every chip. ``offset_z``: ``(chips, ramps,
    columns)`` [z].
    """

    function: Function
    bits: int
    output_bits: int
    range_z: float
    offset_z: torch.Tensor
    sigma_z: float
    gain: torch.Tensor | float = 1.0

    def codes(self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise) -> torch.Tensor:
        """Output codes of ``z (chips, n, ramps, columns)``; ``variance`` is the array's read noise [z^2]."""
        return self.look_up(self.words(z, variance, noise))

    def words(self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise) -> torch.Tensor:
        """Digital words of ``z``, as values of z. The gain acts on z, its noise and the offset alike."""
        return self.linear(with_noise(z + self.offset_z[:, None], variance, self.sigma_z, noise) * self.gain)

    def linear(self, z: torch.Tensor) -> torch.Tensor:
        """The digital word of the converter, as a value of z."""
        lsb = 2.0 * self.range_z / float(2**self.bits)
        half = float(2 ** (self.bits - 1))
        return torch.floor(z / lsb + 0.5).clamp(-half, half - 1) * lsb

    def look_up(self, z: torch.Tensor) -> torch.Tensor:
        """The table: code of the output level in which ``g(z)`` falls; a tie goes up."""
        top = 2**self.output_bits
        lsb = (self.function.high - self.function.low) / top
        shift = 0.5 if self.function.midtread else 0.0
        return torch.floor((self.function.f(z) - self.function.low) / lsb + shift).clamp(0, top - 1)

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Output values of codes."""
        levels = output_levels(self.function, self.output_bits)
        return float(levels[0]) + codes * float(levels[1] - levels[0])


def with_noise(z: torch.Tensor, variance: torch.Tensor | None, sigma_z: float, noise: BlockNoise) -> torch.Tensor:
    """Add the array's read noise and the decision noise, both Gaussian and independent, as one draw."""
    if variance is None:
        return z + sigma_z * noise.normal(z.shape[2:]) if sigma_z > 0.0 else z
    return torch.addcmul(z, (variance + sigma_z**2).sqrt_(), noise.normal(z.shape[2:]))
