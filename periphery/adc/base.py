"""What every linear converter is: built once on every chip, then read.

An ``ADC`` is the design: frozen parameters, a kind, and what a conversion counts. ``build`` draws its errors on every
chip, different in each converter, and gives a ``BuiltADC``, which turns a pre-activation into codes. Without errors all
kinds give the codes of the ideal quantiser, end codes and ties included.

Columns of one ramp group take turns on a converter, ``columns_per_adc`` neighbours on each.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from devices import BlockNoise, ChipStreams, InputError
from periphery.adc.grid import Grid, Levels

Counts = Mapping[str, Mapping[str, float]]


def with_noise(z: torch.Tensor, variance: torch.Tensor | None, sigma_z: float, noise: BlockNoise) -> torch.Tensor:
    """Add the array's read noise and the decision noise, both Gaussian and independent, as one draw."""
    if variance is None:
        return z + sigma_z * noise.normal(z.shape[2:]) if sigma_z > 0.0 else z
    return torch.addcmul(z, (variance + sigma_z**2).sqrt_(), noise.normal(z.shape[2:]))


@dataclass(frozen=True)
class Bank:
    """How many converters a ramp group has.

    ``columns_per_adc`` neighbouring columns of a ramp group share one; ``volts_per_z``: integrator voltage per unit of
    pre-activation at the present read voltage [V], by which errors in volts are referred to the input.
    """

    ramps: int
    columns: int
    columns_per_adc: int = 1
    volts_per_z: float = 1.0

    def __post_init__(self) -> None:
        if self.columns_per_adc < 1:
            raise InputError(f"columns_per_adc: at least 1 (got {self.columns_per_adc!r})")

    @property
    def converters(self) -> int:
        """Converters of one ramp group."""
        return math.ceil(self.columns / self.columns_per_adc)

    def of_columns(self, values: torch.Tensor) -> torch.Tensor:
        """What each column sees of values ``(..., converters)``: ``(..., columns)``."""
        return values.repeat_interleave(self.columns_per_adc, dim=-1)[..., : self.columns]


@dataclass(frozen=True)
class BuiltADC(ABC):
    """Converters as built on every chip, all of one design."""

    grid: Grid
    bank: Bank

    def codes(
        self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise, gain: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        """Codes ``(chips, n, ramps, columns)``, int32, of ``z`` in that shape; ``variance``: read noise of the array.

        ``gain``: design of the reference over the reference, a number or ``(chips, 1, ramps, 1)``; the
        converter's voltages weigh by it as much as the input does.
        """
        return self.convert(self.grid.units(with_noise(z, variance, 0.0, noise), gain), noise, gain)

    @abstractmethod
    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """Codes of ``u (chips, n, ramps, columns)`` [LSB]."""

    def words(self, codes: torch.Tensor) -> torch.Tensor:
        """Values of codes [z]."""
        return self.grid.words(codes)

    def in_lsb(self, volts: float | torch.Tensor, gain: torch.Tensor | float) -> torch.Tensor:
        """Voltages at a column's comparator, ``(chips, 1, ramps, columns)`` or a number, in LSB of that column."""
        z = torch.as_tensor(volts / self.bank.volts_per_z * gain)
        return (z / self.grid.lsb.float().to(z.device)).to(torch.float32)


@dataclass(frozen=True, kw_only=True)
class ADC(ABC):
    """A linear converter on paper.

    ``grid_levels``: where its levels are; ``most_bits``: the largest resolution of its kind; ``per_column``: whether
    every column has one, so that columns do not take turns.
    """

    grid_levels: ClassVar[Levels] = "mid_tread"
    most_bits: ClassVar[int] = 12
    per_column: ClassVar[bool] = False

    kind: str

    @property
    def ratiometric(self) -> bool:
        """Whether the reference follows the read voltage, so that a change of it cancels."""
        return False

    @abstractmethod
    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltADC:
        """The converters of one ramp group on every chip."""

    def convert_s(self, bits: int, t_clk_s: float) -> float | None:
        """Time of one conversion where the converter's sequence sets it, else None (the price model) [s]."""
        return None

    def actions(self, adc: str, bits: int, *, conversions: float, steps: float, ramps: float) -> Counts:
        """What ``conversions`` conversions do, ``{component: {action: count}}``; ``adc``: the priced converter's name.

        ``steps``: comparator steps taken, summed over conversions (``code + 1``); ``ramps``: conversions of a whole
        group at once.
        """
        return {adc: {"convert": conversions}}

    def instances(self, adc: str, bits: int, *, adcs: float, columns: float, ramps: float) -> Mapping[str, float]:
        """What is on the chip, ``{component: count}``: ``adcs`` shared ones, unless each column has one."""
        return {adc: adcs}
