"""The conventional chain: a linear converter with a fixed reference, then the activation by a digital unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Interval

from devices import BlockNoise, ChipStreams, InputError
from periphery.adc.activation import AnyActivation, LookUpTable
from periphery.adc.base import Bank, BuiltADC, with_noise
from periphery.adc.calibration import RangeCalibration
from periphery.adc.grid import Grid
from periphery.adc.kinds import AnyADC
from periphery.adc.quantiser import Quantiser
from periphery.functions.function import Function, output_levels
from periphery.prices.adc import priced_by


@dataclass(frozen=True, kw_only=True)
class ConventionalADC:
    """A uniform mid-tread converter of the pre-activation, shared by several columns, and the unit behind it.

    Parameters
    ----------
    bits : resolution; None takes the chip's bits
    range_z : pre-activation at full scale, either sign, at the design read voltage; larger values saturate
    columns_per_adc : columns that take turns on one converter
    price : name of the price model, which must be for this kind of converter (``andrulis2024``, ``neurosim_sar``,
        ``hong2025``, ...; ``mho list adc-prices``); None takes the first that is
    rate_per_s : conversions per second of one converter [1/s]
    converter : how it converts, and what it errs by; the comparator of the chip models the front end before it
    activation : how the word becomes the function's value
    calibration : ranges from pre-activations that the layer sees on calibration data, in place of ``range_z``
    """

    bits: Annotated[int, Interval(ge=1, le=12)] | None = None
    range_z: Annotated[float, Gt(0.0)] = 4.0
    columns_per_adc: Annotated[int, Interval(ge=1, le=4096)] = 8
    price: str | None = None
    rate_per_s: Annotated[float, Gt(0.0)] = 1e8
    converter: AnyADC = Quantiser()
    activation: AnyActivation = LookUpTable()
    calibration: RangeCalibration | None = None

    def __post_init__(self) -> None:
        try:
            self.price_model  # noqa: B018 (refuses a pair that does not fit)
        except InputError as error:
            raise InputError(f"price: {problem}" for problem in error.problems) from None

    @property
    def price_model(self) -> str:
        """The price model of its conversions."""
        return priced_by(self.price, self.converter.kind)

    def grid(
        self, bits: int, low_z: float | torch.Tensor | None = None, high_z: float | torch.Tensor | None = None
    ) -> Grid:
        """The converter's grid; without other ends, ``-range_z`` to ``range_z``."""
        low = -self.range_z if low_z is None else low_z
        return Grid(bits, low, self.range_z if high_z is None else high_z, self.converter.grid_levels)

    def waits_s(self, bits: int, columns: int, t_clk_s: float) -> torch.Tensor:
        """How long each column's product has been held in the middle of its conversion, ``(columns,)`` [s].

        Neighbours take turns on a shared converter.
        """
        own_s = self.converter.convert_s(bits, t_clk_s)
        conversion_s = 1.0 / self.rate_per_s if own_s is None else own_s
        turn = torch.arange(columns) % (1 if self.converter.per_column else self.columns_per_adc)
        return (turn + 0.5) * conversion_s

    def build(self, grid: Grid, *, ramps: int, columns: int, volts_per_z: float, rng: ChipStreams) -> BuiltADC:
        """The converters of one ramp group on every chip; ``volts_per_z`` at the present read voltage."""
        bank = Bank(ramps, columns, self.columns_per_adc, volts_per_z)
        return self.converter.build(grid, bank, rng=rng)


@dataclass(frozen=True)
class LookUpConverter:
    """Columns converted linearly, then passed through a digital unit with ``2^output_bits`` output codes.

    ``gain`` is what a fixed reference makes of a changed read voltage, ``V_read / V_design`` (1 for a ratiometric
    one); a number, or a tensor ``(chips, 1, ramps, 1)`` where drift compensation scales the reference of every chip.
    ``offset_z``: ``(chips, ramps, columns)`` [z]. ``adc``: converters as built; None for the ideal quantiser of
    ``bits`` over ``-range_z`` to ``range_z``. ``kept``: share of its held product that each column has left when its
    turn comes, ``(columns,)`` [1]; None where it leaks nothing.
    """

    function: Function
    bits: int
    output_bits: int
    range_z: float
    offset_z: torch.Tensor
    sigma_z: float
    gain: torch.Tensor | float = 1.0
    adc: BuiltADC | None = None
    activation: AnyActivation = LookUpTable()
    kept: torch.Tensor | None = None

    def codes(self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise) -> torch.Tensor:
        """Output codes of ``z (chips, n, ramps, columns)``; ``variance`` is the array's read noise [z^2]."""
        return self.look_up(self.words(z, variance, noise))

    def words(self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise) -> torch.Tensor:
        """Digital words of ``z``, as values of z. The gain acts on z, its noise and the offset alike."""
        if self.kept is not None:
            z, variance = z * self.kept, None if variance is None else variance * self.kept.square()
        seen = with_noise(z + self.offset_z[:, None], variance, self.sigma_z, noise)
        if self.adc is None:
            return self.linear(seen * self.gain)
        return self.adc.words(self.adc.codes(seen, None, noise, self.gain))

    def linear(self, z: torch.Tensor) -> torch.Tensor:
        """The digital word of the ideal quantiser, as a value of z."""
        lsb = 2.0 * self.range_z / float(2**self.bits)
        half = float(2 ** (self.bits - 1))
        return torch.floor(z / lsb + 0.5).clamp(-half, half - 1) * lsb

    def compare_steps(self, words: torch.Tensor) -> torch.Tensor:
        """Steps that a ramp's comparators took for ``words``, ``code + 1``; periods of an oscillator and one."""
        grid = Grid(self.bits, -self.range_z, self.range_z) if self.adc is None else self.adc.grid
        return torch.round(words / grid.lsb.to(words) - grid.first.to(words) + 0.5)

    def look_up(self, z: torch.Tensor) -> torch.Tensor:
        """The digital unit: code of the output level in which ``g(z)`` falls; a tie goes up."""
        top = 2**self.output_bits
        lsb = (self.function.high - self.function.low) / top
        shift = 0.5 if self.function.midtread else 0.0
        y = self.activation.evaluate(self.function, z, self.range_z)
        return torch.floor((y - self.function.low) / lsb + shift).clamp(0, top - 1)

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Output values of codes."""
        levels = output_levels(self.function, self.output_bits)
        return float(levels[0]) + codes * float(levels[1] - levels[0])
