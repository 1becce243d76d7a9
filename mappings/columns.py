"""Columns of a layer, cut by tiles, and the converters that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from devices import BlockNoise, ChipStreams, Ideal
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.front_end import ramp_load
from mappings.matrix import MatrixRead, PreActivation
from periphery import Function, LookUpConverter, RampColumn, RampConversion, RampConverter, RampDesign, thresholds
from periphery.adc.base import BuiltADC, with_noise
from periphery.adc.grid import Grid
from periphery.adc.kinds import Quantiser
from periphery.functions.function import output_levels
from periphery.ramp.cells import Ramp


@dataclass(frozen=True)
class ColumnGroup:
    """Neighbouring columns that compute one function, cut by tiles; every piece has one ramp.

    ``columns``: ``(ramps, width)`` column numbers, the last piece padded by repeating its last column; ``order``:
    the position of each column of the group in the flattened pieces.
    """

    function: Function
    first: int
    last: int
    columns: torch.Tensor
    order: torch.Tensor

    @classmethod
    def cut(
        cls, function: Function, first: int, last: int, tile_columns: int, per_ramp: int | None = None
    ) -> ColumnGroup:
        """Columns ``first .. last - 1`` on tiles of ``tile_columns`` columns, at most ``per_ramp`` to a ramp."""
        numbers = torch.arange(first, last)
        tiles = numbers // tile_columns
        if per_ramp is not None:
            starts = torch.searchsorted(tiles, tiles)
            tiles = tiles * (tile_columns + 1) + (torch.arange(last - first) - starts) // per_ramp
        _, ramp, counts = torch.unique_consecutive(tiles, return_inverse=True, return_counts=True)
        starts = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)[:-1]])
        width = int(counts.max())
        inside = torch.arange(width).minimum(counts[:, None] - 1)
        columns = numbers[starts[:, None] + inside]
        order = ramp * width + (torch.arange(last - first) - starts[ramp])
        return cls(function, first, last, columns, order)

    @property
    def ramps(self) -> int:
        """Ramp columns that the group needs."""
        return self.columns.shape[0]

    @property
    def width(self) -> int:
        """Most columns on one ramp."""
        return self.columns.shape[1]

    def gather(self, z: torch.Tensor) -> torch.Tensor:
        """``(chips, n, columns of the layer)`` to ``(chips, n, ramps, width)``."""
        if self.ramps == 1:
            return z[..., None, self.first : self.last]
        return z[..., self.columns]

    def scatter(self, y: torch.Tensor) -> torch.Tensor:
        """``(chips, n, ramps, width)`` back to ``(chips, n, columns of the group)``."""
        flat = y.flatten(-2)
        return flat if self.ramps == 1 else flat[..., self.order]


@dataclass(frozen=True, kw_only=True)
class MappedConverter:
    """The converters of one group on paper: what they convert, over which range, by which ramp.

    Parameters
    ----------
    name : what they are called in a list of parts
    stream, renewal : names of the random streams of the converters and, under that of a time, of bias cells that are
        programmed again
    bits, adc_bits : resolution of the output, and of a linear converter
    range_z : largest pre-activation of a linear converter, either sign
    ends_z : ends of the range of converters as they are built, numbers or one for each column; None for ideal ones
    clipped : share of the calibration data beyond the ends [1]
    design : the ramp on paper; None where converters are linear
    """

    name: str
    group: ColumnGroup
    chip: Chip
    stream: tuple[str | int, ...]
    renewal: tuple[str | int, ...]
    bits: int
    adc_bits: int
    range_z: float
    volts_per_z: float
    design: RampDesign | None = None
    ends_z: tuple[float | torch.Tensor, float | torch.Tensor] | None = None
    clipped: float = 0.0

    def following(self, data_z: torch.Tensor | None) -> MappedConverter:
        """The same converters with the ramp's design, and with ranges and levels that follow the data.

        ``data_z``: pre-activations ``(..., ramps, width)``; used where the chip calibrates ranges or chooses levels.
        """
        chip = self.chip
        if chip.readout == "ramp":
            samples = None if data_z is None or chip.ramp.levels == "uniform" else data_z.flatten()
            return replace(self, design=chip.ramp.design(self.group.function, self.bits, samples=samples))
        if chip.adc.calibration is not None and data_z is not None:
            found = chip.adc.calibration.ranges(data_z, self.adc_bits, chip.adc.converter.grid_levels)
            return replace(
                self,
                ends_z=(found.low_z, found.high_z),
                clipped=found.clipped_share,
                range_z=float(torch.maximum(found.high_z.abs().max(), found.low_z.abs().max())),
            )
        if chip.adc.converter != Quantiser() or chip.adc.calibration is not None:
            return replace(self, ends_z=(-self.range_z, self.range_z))
        return self

    def build(self, rng: ChipStreams, parts: int = 1) -> GroupConverter:
        """Program the group's ramps and draw the comparators of its columns; ``rng``: the layer's streams.

        ``parts``: row tiles and slices of a column that are converted apart, each by converters of its own.
        """
        chip, group, rng = self.chip, self.group, rng.child(*self.stream)
        ramps = parts * group.ramps
        offset = chip.comparator.offset_sigma_V(chip.node_nm) * rng.child("comparators").normal((ramps, group.width))
        ramp = adc = None
        if self.design is not None:
            driver = chip.driver
            range_z = chip.front_end.swing_V * driver.supply_gain / self.volts_per_z
            programmed = Ramp.program(
                self.design,
                ramps=group.ramps,
                rng=rng.child("ramp"),
                front_end=chip.design_of_ramps(ramp_load(chip, self.design, range_z)),
                supply_gain=driver.supply_gain,
            )
            ramp = RampConverter(
                programmed, chip.comparator, offset, self.volts_per_z, chip.driver.t_clk_s, chip.node_nm
            )
        if self.ends_z is not None:
            low_z, high_z = (
                end.repeat(parts, 1) if isinstance(end, torch.Tensor) and len(end) > 1 else end for end in self.ends_z
            )
            adc = chip.adc.build(
                chip.adc.grid(self.adc_bits, low_z, high_z),
                ramps=ramps,
                columns=group.width,
                volts_per_z=self.volts_per_z,
                rng=rng.child("adc"),
            )
        return GroupConverter(self, ramp, offset, adc)


@dataclass(frozen=True)
class Unrounded:
    """Converters that round nothing: a "code" is the pre-activation itself, and its value the function of it."""

    function: Function

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Values of pre-activations, same shape."""
        return self.function.f(codes)


Conversion = RampConversion | LookUpConverter | Unrounded


@dataclass(frozen=True)
class GroupConverter:
    """The converters of one group as built on every chip: ramps with comparators, or linear converters and a table.

    ``offset_V``: ``(chips, parts * ramps, width)``; parts of a column that are converted apart have converters of their
    own, those of the first part first.
    """

    mapped: MappedConverter
    ramp: RampConverter | None
    offset_V: torch.Tensor
    adc: BuiltADC | None = None

    @property
    def group(self) -> ColumnGroup:
        """The columns that are converted."""
        return self.mapped.group

    @property
    def design(self) -> RampDesign | None:
        """The ramp on paper, or None for a linear converter."""
        return None if self.ramp is None else self.ramp.ramp.design

    def at(self, t_s: float, factor: torch.Tensor | float = 1.0) -> Conversion:
        """The converters at ``t_s``; ``factor`` (a number or ``(chips, ramps, 1)``) scales the reference."""
        if self.mapped.chip.rounding == "none":
            return Unrounded(self.group.function)
        if self.ramp is not None:
            return self.ramp.read(t_s, factor)
        mapped, chip = self.mapped, self.mapped.chip
        gain = 1.0 if chip.adc.converter.ratiometric else chip.driver.supply_gain
        scale: torch.Tensor | float
        if isinstance(factor, torch.Tensor):
            scale = (gain / factor[:, None]).repeat(1, 1, self.offset_V.shape[1] // self.group.ramps, 1).float()
        else:
            scale = gain / factor
        comparator, kept = chip.comparator, None
        if comparator.hold_leak_s is not None:
            waits_s = chip.adc.waits_s(mapped.adc_bits, self.group.width, chip.driver.t_clk_s)
            kept = torch.exp(-waits_s / comparator.hold_leak_s)
        return LookUpConverter(
            mapped.group.function,
            mapped.adc_bits,
            mapped.bits,
            mapped.range_z,
            self.offset_V / mapped.volts_per_z,
            math.hypot(comparator.noise_sigma_V(chip.node_nm), comparator.hold_noise_V) / mapped.volts_per_z,
            scale,
            self.adc,
            chip.adc.activation,
            kept,
        )

    def reading(self, chip: Chip) -> GroupConverter:
        """The same converters, the cells of their ramps read at the temperature of ``chip``."""
        device = chip.ramp.device
        if self.ramp is None or self.ramp.ramp.device is device:
            return self
        design = self.ramp.ramp.design
        warm = replace(design, column=replace(design.column, device=device))
        return replace(self, ramp=replace(self.ramp, ramp=replace(self.ramp.ramp, design=warm)))

    def recentred(self, t_s: float, rng: ChipStreams) -> GroupConverter:
        """The same converters with the bias cells of their ramps programmed again at ``t_s``."""
        if self.ramp is None:
            return self
        ramp = self.ramp.ramp.recentred(t_s, rng.child(*self.mapped.renewal))
        return replace(self, ramp=replace(self.ramp, ramp=ramp))

    def linearised(self, codes: torch.Tensor) -> torch.Tensor:
        """What a calibration reads from codes: ``g^-1`` of the output; where that is not finite, as at the end codes,
        that of the next code inside."""
        inner = self._inner_z
        levels = self.levels_z.clone()
        levels[0], levels[-1] = inner[0], inner[-1]
        return levels.nan_to_num(nan=float(inner[0]))[codes.long()]

    def without_error(self, z: torch.Tensor, *, whole: bool = True) -> torch.Tensor:
        """What a calibration would read of sums ``z (..., ramps, width)`` if converters were as designed; ``whole``:
        sums are converted as they are, not in parts that are added."""
        if self.design is not None:
            return self.linearised(torch.bucketize(z.double(), self.design.theta, right=True))
        conversion = self.at(0.0)
        assert isinstance(conversion, LookUpConverter)
        if whole:
            grid = self._grid
            z = grid.words(torch.floor(grid.units(z) - grid.origin).clamp(0, grid.top))
        return self.linearised(conversion.look_up(z))

    @property
    def reach_z(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Lowest and highest sum that the codes between the end codes tell apart, ``(ramps | 1, width | 1)`` each; two
        steps of a linear converter at least where it reaches to both sides of zero."""
        low, high = self._inner_z[:1, None].double(), self._inner_z[-1:, None].double()
        if self.design is not None:
            return low, high
        grid = self._grid
        first, step = grid.first + 0.5, grid.lsb
        low, high = torch.maximum(low, (first + 1) * step), torch.minimum(high, (first + grid.top - 1) * step)
        around = (low < 0) & (high > 0)
        return (
            torch.where(around, torch.minimum(low, -2 * step), low),
            torch.where(around, torch.maximum(high, 2 * step), high),
        )

    @property
    def _grid(self) -> Grid:
        mapped = self.mapped
        return mapped.chip.adc.grid(mapped.adc_bits, *(mapped.ends_z or (-mapped.range_z, mapped.range_z)))

    @property
    def _inner_z(self) -> torch.Tensor:
        levels = self.levels_z
        inner = levels[1:-1][levels[1:-1].isfinite()]
        return inner if len(inner) else levels[levels.isfinite()]

    @property
    def levels_z(self) -> torch.Tensor:
        """``g^-1`` of every code's output, ends included.

        Codes of a ramp count the thresholds below, so for optimal levels or a function that turns back, the middle
        between two thresholds represents the inputs between them, and the last threshold those beyond.
        """
        design, function = self.design, self.group.function
        if design is None or (design.uniform and function.rises):
            outputs = output_levels(function, self.mapped.bits)
            levels = function.inverse(outputs).float()
            for branch in function.branches[:-1]:  # an output of several branches tells nothing about the input
                levels[outputs <= max(branch.first, branch.last)] = torch.nan
            return levels
        theta = torch.cat([design.theta[:1], design.theta, design.theta[-1:]])
        return (0.5 * (theta[1:] + theta[:-1])).float()


def range_z(chip: Chip, functions: list[tuple[Function, int]], limit: float | None = None) -> float:
    """Pre-activations that a column's capacitor has to hold, peak to peak: those of the widest ramp (function, bits),
    or the range of an ordinary converter, ``limit`` to either side (None takes the chip's)."""
    if chip.readout != "ramp":
        return 2.0 * (limit or chip.adc.range_z)
    ideal = RampColumn(device=Ideal())
    return 2.0 * max(
        float((thresholds(function, bits) if function.rises else ideal.design(function, bits).theta).abs().max())
        for function, bits in functions
    )


def codes_of(
    conversion: Conversion,
    group: ColumnGroup,
    parts: Sequence[PreActivation],
    noise: BlockNoise,
    *,
    trim: torch.Tensor | None = None,
    shift: torch.Tensor | None = None,
    activity: Activity | None = None,
) -> torch.Tensor:
    """Convert the group's columns of a layer's pre-activation to codes ``(chips, n, ramps, width)``.

    Several parts are the row tiles, weight slices or input bits of a column, whose words are added digitally: each is
    converted linearly, with noise and offset, over its share of the range, and the look-up takes the sum. Row tiles and
    slices have converters of their own, side by side; bits of an input take turns on the same ones. ``trim``,
    ``(chips, ramps, width)``, divides every column's pre-activation, from which ``shift``, the same shape, was taken:
    on its integrator where a ramp converts it, as a digital word otherwise. ``activity`` counts the steps that linear
    converters with comparators took.
    """
    gathered = [
        (group.gather(part.z), None if part.variance is None else group.gather(part.variance), part.range)
        for part in parts
    ]
    if trim is not None:
        trim = trim[:, None].to(gathered[0][0].dtype)
    if shift is not None:
        shift = shift[:, None].to(gathered[0][0].dtype)
    if isinstance(conversion, Unrounded):
        total = torch.stack([with_noise(z, variance, 0.0, noise) for z, variance, _ in gathered]).sum(0)
        total = total if shift is None else total - shift
        return total if trim is None else total / trim
    if len(gathered) == 1 and not isinstance(conversion, LookUpConverter):
        z, variance, _ = gathered[0]
        z = z if shift is None else z - shift
        if trim is not None:
            z, variance = z / trim, None if variance is None else variance / trim.square()
        return conversion.codes(z, variance, noise)
    assert isinstance(conversion, LookUpConverter)
    aside = conversion.offset_z.shape[1] // group.ramps
    words = []
    for first in range(0, len(gathered), aside):
        z, variance, share = _side_by_side(gathered[first : first + aside])
        word = conversion.words(z, variance, noise)
        if activity is not None:
            steps = activity.counted(conversion.compare_steps(word)).unflatten(2, (aside, group.ramps))
            activity.add("adc_steps", group.scatter(steps.transpose(1, 2)))
        words.extend((word * share).unflatten(2, (aside, group.ramps)).unbind(2))
    total = words[0] if len(words) == 1 else torch.stack(words).sum(dim=0)
    total = total if shift is None else total - shift
    return conversion.look_up(total if trim is None else total / trim)


def _side_by_side(
    parts: Sequence[tuple[torch.Tensor, torch.Tensor | None, float]],
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | float]:
    """Parts as one bank of converters takes them, ``(chips, n, parts * ramps, width)``, each over its share of the
    range: pre-activations, variances and shares."""
    (z, variance, share), *more = parts
    if not more:
        return (
            (z, variance, 1.0)
            if share == 1.0
            else (z / share, None if variance is None else variance / share**2, share)
        )
    shares = torch.tensor([share for _, _, share in parts], device=z.device).repeat_interleave(z.shape[2])[:, None]
    variances = [variance for _, variance, _ in parts if variance is not None]
    together = torch.cat(variances, dim=2) / shares.square() if len(variances) == len(parts) else None
    return torch.cat([z for z, _, _ in parts], dim=2) / shares, together, shares


@dataclass(frozen=True)
class DriftFactors:
    """Drift compensation of all groups: ``ramp``, ``(chips, ramps, 1)`` or 1, and ``column`` and ``offset``, ``(chips,
    ramps, width)``; empty where references are not scaled or columns not trimmed."""

    ramp: Sequence[torch.Tensor | float] = ()
    column: Sequence[torch.Tensor] = ()
    offset: Sequence[torch.Tensor] = ()


@dataclass(frozen=True)
class ColumnsRead:
    """A matrix and the converters of all its columns at one time.

    ``trims``: for each group what divides the pre-activation of its columns, ``(chips, ramps, width)``, or None;
    ``shifts``: what is taken from it before; empty for nothing.
    """

    matrix: MatrixRead
    groups: tuple[ColumnGroup, ...]
    conversions: tuple[Conversion, ...]
    trims: tuple[torch.Tensor | None, ...]
    shifts: tuple[torch.Tensor, ...] = ()

    @property
    def rounds(self) -> bool:
        """Whether inputs are whole clock periods and outputs codes."""
        return not isinstance(self.conversions[0], Unrounded)

    @classmethod
    def of(
        cls, matrix: MatrixRead, converters: Sequence[GroupConverter], t_s: float, factors: DriftFactors
    ) -> ColumnsRead:
        """Converters at ``t_s`` whose references and columns are scaled by ``factors``."""
        ramp = factors.ramp or [1.0] * len(converters)
        return cls(
            matrix,
            tuple(converter.group for converter in converters),
            tuple(converter.at(t_s, factor) for converter, factor in zip(converters, ramp, strict=True)),
            tuple(factors.column or [None] * len(converters)),
            tuple(factors.offset),
        )

    def codes(
        self,
        counts: torch.Tensor,
        noise: BlockNoise,
        activity: Activity | None = None,
        *,
        converted: Sequence[int] | None = None,
        used: Sequence[int] | None = None,
    ) -> list[torch.Tensor]:
        """Codes for ``counts (chips | 1, n, rows)``, one tensor ``(chips, n, ramps, width)`` for each group.

        ``converted``: numbers of the groups that are converted, all by default; ``used``: those whose codes are used,
        all that are converted by default. ``activity`` counts the product and the codes that are used.
        """
        converted = range(len(self.groups)) if converted is None else converted
        used = converted if used is None else used
        parts = self.matrix.pre_activation(counts, noise)
        codes = {
            k: codes_of(
                self.conversions[k],
                self.groups[k],
                parts,
                noise,
                trim=self.trims[k],
                shift=self.shifts[k] if self.shifts else None,
                activity=activity if k in used else None,
            )
            for k in converted
        }
        if activity is not None:
            activity.drive(activity.counted(counts), self.matrix.driver, self.matrix.bits)
            for k in used:
                activity.record(str(k), parts[0].z)
                if not isinstance(self.conversions[k], Unrounded):
                    steps = activity.counted(self.groups[k].scatter(codes[k])) + 1
                    activity.add("gate_compare_steps", steps)
        return list(codes.values())

    def values(self, codes: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Values of the codes of all groups, ``(chips, n, columns of the group)`` each."""
        return [
            group.scatter(conversion.values(code))
            for group, conversion, code in zip(self.groups, self.conversions, codes, strict=True)
        ]
