"""One weight matrix on tiles: from pulse widths to pre-activations.

A matrix with more rows than a tile is cut into row tiles. With ``partial_sums: charge`` the bit lines of the tiles
above each other share one integrator, so the charge is the whole sum and one product describes it. With ``digital``
each tile is converted linearly and the words are added; so are the slices of a weight that are converted apart, and the
bits of an input that are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch

from crossbar import Array, ArrayRead
from crossbar.encoding import Encoded, RelativeWeights
from devices import BlockNoise, ChipStreams, InputError, Stream
from mappings.chip import INPUT_SIZE, WEIGHT_SIZE, Chip, normal_quantiles, of_ramp
from mappings.front_end import BuiltFrontEnd, FrontEndRead, MappedFrontEnd
from mappings.tile import TileGrid
from periphery.drivers import AnyDriver
from periphery.drivers.base import DriverRead, full_scale
from periphery.drivers.bit_serial import BitSerial
from periphery.front_end import ColumnLoad

MOST_BIAS_ROWS = 4096  # word lines of one matrix for its bias
FEW = 1 << 20  # weights of which a quantile is taken


@dataclass(frozen=True)
class WeightMatrix:
    """Weights and biases before any hardware; tensors on the meta device have a shape and no values.

    ``blocks``: ``(columns, inputs)`` each, side by side along the inputs; ``bias``: ``(columns,)`` or None; ``order``:
    ``(columns,)``, the row of the blocks for each column of the array, where not that of its number; ``bias_pulse``:
    the lines of the bias are driven at ``full`` scale, or by the ``shortest`` pulse for which the largest bias is no
    more than the largest weight. An always driven cell adds its error times its pulse to every sum, so short pulses
    keep that error small; they cost nothing. Raises InputError for shapes that do not go together and values that are
    not finite.
    """

    blocks: tuple[torch.Tensor, ...]
    bias: torch.Tensor | None = None
    order: torch.Tensor | None = None
    bias_pulse: Literal["full", "shortest"] = "full"

    def __post_init__(self) -> None:
        shapes = [tuple(block.shape) for block in self.blocks]
        if any(len(shape) != 2 or shape[0] != shapes[0][0] for shape in shapes):
            raise InputError(f"weights: must be matrices of as many rows each (got {', '.join(map(str, shapes))})")
        if self.bias is not None and self.bias.shape != (self.columns,):
            raise InputError(f"bias: shape must be ({self.columns},), as the weights' (got {tuple(self.bias.shape)})")
        for name, largest in zip(("weights", "bias"), self._largest, strict=True):
            if not math.isfinite(largest):
                raise InputError(f"{name}: values must be finite")

    @property
    def columns(self) -> int:
        """Sums that are formed."""
        return self.blocks[0].shape[0]

    @property
    def inputs(self) -> int:
        """Values that every sum is formed of, the bias left out."""
        return sum(block.shape[1] for block in self.blocks)

    @property
    def parameters(self) -> int:
        """Weights, biases included."""
        return self.columns * (self.inputs + (self.bias is not None))

    @property
    def real(self) -> bool:
        """Whether the weights have values."""
        return not any(block.is_meta for block in self.blocks)

    @cached_property
    def largest(self) -> torch.Tensor:
        """Largest ``|W|`` of every column, in the order of the blocks, ``(columns,)``."""
        ends = [end for block in self.blocks for end in (block.detach().amax(dim=1), -block.detach().amin(dim=1))]
        return torch.stack(ends).amax(dim=0).float()

    @cached_property
    def _largest(self) -> tuple[float, float]:
        """Largest ``|W|`` and largest ``|bias|``, 0 without values; one wait for a GPU that they lie on."""
        nothing = torch.zeros((), device=self.blocks[0].device if self.real else "cpu")
        biased = self.bias is not None and not self.bias.is_meta
        bias = self.bias.detach().float().abs().max() if biased and self.bias is not None else nothing
        weight, bias = torch.stack([self.largest.max() if self.real else nothing, bias]).tolist()
        return float(weight), float(bias)

    def bias_rows(self, chip: Chip) -> int:
        """Word lines that carry the bias, driven at full scale.

        One line carries at most the largest weight of the matrix, so a large bias takes several lines; one is assumed
        where weights have no values. Raises InputError for a bias that the chip has no line for.
        """
        if self.bias is None:
            return 0
        if chip.bias == "none":
            if self.real and bool((self.bias != 0).any()):
                raise InputError(
                    "bias: none: the layer has a bias that is not zero, and this chip has no word line for it"
                )
            return 0
        if not self.real:
            return 1
        level = self._level(chip)
        lines = level / (self._largest[0] or level or 1.0)
        if not lines <= MOST_BIAS_ROWS:
            raise InputError(
                f"the largest bias is {lines:.3g} times the largest weight, at full scale of the inputs, and takes as "
                f"many word lines; at most {MOST_BIAS_ROWS} are allowed"
            )
        return max(1, math.ceil(lines - 1e-6))

    def bias_counts(self, chip: Chip, bias_rows: int) -> int:
        """Clock periods for which the lines of the bias are driven."""
        top = chip.driver.top(chip.bits)
        if self.bias is None or not bias_rows or not self.real or self.bias_pulse == "full":
            return top
        level = self._level(chip, bias_rows)
        return min(top, max(1, math.ceil(top * level / (self._largest[0] or level or 1.0) - 1e-6)))

    def _level(self, chip: Chip, lines: int = 1) -> float:
        """Largest weight that as many lines carry of the bias, driven at full scale."""
        return self._largest[1] / chip.driver.x_max / lines

    def rows(self, bias_rows: int, bias_x: float) -> torch.Tensor:
        """The matrix by word lines, ``(inputs + bias_rows, columns)``; ``bias_x``: the input of the bias's lines."""
        weight = self.blocks[0] if len(self.blocks) == 1 else torch.cat(self.blocks, dim=1)
        bias = self.bias
        if self.order is not None:
            weight, bias = weight[self.order], None if bias is None else bias[self.order]
        rows = [weight.detach().float().T]
        if bias is not None and bias_rows:
            rows.append((bias.detach().float() / bias_x / bias_rows).expand(bias_rows, -1))
        return torch.cat(rows).contiguous()


@dataclass(frozen=True)
class MappedMatrix:
    """Where a matrix goes on the tiles of a chip: word lines, columns, cells; no cell is made."""

    weights: WeightMatrix
    chip: Chip
    bias_rows: int

    @classmethod
    def of(cls, weights: WeightMatrix, chip: Chip) -> MappedMatrix:
        """Find the word lines of the matrix; raises InputError for a bias that the chip has no line for."""
        return cls(weights, chip, weights.bias_rows(chip))

    @property
    def rows(self) -> int:
        """Word lines, those of the bias included."""
        return self.weights.inputs + self.bias_rows

    @cached_property
    def bias_counts(self) -> int:
        """Clock periods for which the lines of the bias are driven."""
        return self.weights.bias_counts(self.chip, self.bias_rows)

    @property
    def bias_x(self) -> float:
        """The input that these lines stand for."""
        return self.bias_counts * self.chip.driver.lsb(self.chip.bits)

    @property
    def columns(self) -> int:
        """Weight columns."""
        return self.weights.columns

    @property
    def grid(self) -> TileGrid:
        """The tiles that the matrix takes."""
        return self.chip.tile.grid(self.rows, self.columns)

    @property
    def parts(self) -> int:
        """Parts of a column that are converted apart at one time: row tiles that are, times slices."""
        return (self.grid.row_tiles if self.chip.partial_sums == "digital" else 1) * self.format.parts

    @property
    def tile_of_column(self) -> torch.Tensor:
        """The column of tiles of each column, ``(columns,)``."""
        return torch.arange(self.columns) // self.chip.columns

    @cached_property
    def full_scale(self) -> torch.Tensor:
        """Weight at full scale of every column, ``(columns,)``; 1 where weights have no values."""
        weights, encoding = self.weights, self.chip.weights.encoding
        if not weights.real:
            return torch.ones(weights.columns)
        order = torch.arange(weights.columns) if weights.order is None else weights.order
        if encoding.clip_quantile == 1.0:
            rows = weights.largest[order][None]
            if self.bias_rows and weights.bias is not None:
                bias = weights.bias.detach().float()[order] / self.bias_x / self.bias_rows
                rows = torch.cat([rows, bias[None].to(rows.device)])
        else:
            step = max(1, weights.parameters // FEW)
            some = WeightMatrix(tuple(block[:, ::step] for block in weights.blocks), None, weights.order)
            rows = some.rows(0, 1.0)
        return encoding.full_scale(rows, self.tile_of_column)

    def line_S(self, weight_size: float) -> tuple[float, int, float]:
        """Mean conductance of a cell on the lines of one conversion, for normal weights of a mean size; how many lines
        there are, the reference included; and their mean squared significance, by which their noise counts."""
        encoded = self.encoded(normal_quantiles(weight_size))
        planes = [p for p in range(encoded.planes) if encoded.part[p] == 0]
        per_column = encoded.target_S[planes].mean(dim=1)
        lines = len(planes) * (1 if encoded.reference is None else 2)
        weight = sum(encoded.significance[p] ** 2 for p in planes) / len(planes)
        return float(per_column.sum()) / lines, lines, weight

    @cached_property
    def values(self) -> torch.Tensor:
        """Weights and biases, ``(rows, columns)``."""
        return self.weights.rows(self.bias_rows, self.bias_x)

    def encoded(self, levels: torch.Tensor) -> Encoded:
        """One column of weights at ``levels (n,)`` of full scale, alone on a tile: what the encoding makes of them."""
        one = torch.zeros(1, dtype=torch.long)
        chip = self.chip
        return chip.weights.encoding.lay(RelativeWeights(levels[:, None], torch.ones(1), one), chip.weights.device)

    @cached_property
    def format(self) -> Encoded:
        """Planes, parts and significances of the encoding, by the example of a weight of zero."""
        return self.encoded(torch.zeros(1))

    @property
    def cells(self) -> int:
        """Cells of one chip that are written, those of reference columns in every row tile included."""
        references = self.format.target_S.shape[-1] - 1
        return self.format.planes * self.rows * (self.columns + references * self.grid.column_tiles)

    @property
    def cells_stand(self) -> int:
        """Cells of all tiles that the matrix takes, empty places included."""
        grid, references = self.grid, self.format.target_S.shape[-1] - 1
        return self.format.planes * grid.tiles * grid.rows * (grid.columns + references)

    def front_end(self, range_z: float) -> MappedFrontEnd:
        """The front ends of the columns, whose converters reach over ``range_z`` from peak to peak."""
        chip, driver, bits = self.chip, self.chip.driver, self.chip.bits
        apart = chip.partial_sums == "digital"
        rows = min(self.rows, chip.rows) if apart else self.rows
        siemens, lines, significance = self.line_S(WEIGHT_SIZE)
        phases, top = driver.phases(bits), torch.tensor([float(driver.top(bits))])
        flowing = driver.charge_counts(torch.round(normal_quantiles(INPUT_SIZE) * top), bits).mean()
        count_C = driver.v_design_V * driver.t_clk_s * driver.count_clocks(bits)
        load = ColumnLoad(
            node_nm=chip.node_nm,
            temperature_K=chip.read_K,
            t_clk_s=driver.t_clk_s,
            read_V=driver.v_design_V,
            charge_per_z_C=count_C * float(self.format.scale_S[0]) / driver.lsb(bits),
            range_z=range_z,
            line_S=rows * siemens,
            lines=lines,
            line_F=chip.line_F(chip.rows * (1 if apart else self.grid.row_tiles)),
            mean_A=rows * siemens * driver.v_design_V * float(flowing) / driver.drive_clocks(bits),
            phases=phases,
            peak_A=rows * siemens * driver.v_design_V,
            drive_s=driver.drive_clocks(bits) * driver.t_clk_s,
            phases_cancel=driver.polarity_turns,
            settle_s=chip.front_end.settle_clocks * driver.t_clk_s,
        )
        return MappedFrontEnd.of(
            chip.front_end,
            load,
            full_scale=self.full_scale,
            tile_of_column=self.tile_of_column,
            row_tiles=self.grid.row_tiles if apart else 1,
            parts=self.format.parts,
            planes=self.format.planes,
            referred=self.format.reference is not None,
            weight=significance * driver.white_clocks(bits) / driver.drive_clocks(bits),
        )

    def program(self, front_end: MappedFrontEnd, *, rng: ChipStreams) -> ProgrammedMatrix:
        """Write the matrix on every chip; weights have one scale for each column of tiles."""
        tile = self.chip.tile
        array = Array.program(
            self.values,
            device=tile.device,
            encoding=self.chip.weights.encoding,
            tile_of_column=self.tile_of_column,
            tile_rows=tile.rows,
            wires=tile.wires,
            rng=rng,
        )
        drivers = tuple(
            self.chip.driver.build(self.rows, self.chip.bits, rng=rng.child("drivers", *([tile] if tile else [])))
            for tile in range(1 if self.chip.driver.exact else self.grid.column_tiles)
        )
        circuits = front_end.build(rng.child("front end"))
        return ProgrammedMatrix(self, array, drivers, circuits, self._ranges(array.encoded))

    def _ranges(self, encoded: Encoded) -> tuple[float, ...]:
        """What share of a whole product's spread each slice's product has, on calibration inputs and ideal cells.

        Low digits of the weights look random, so their sums do not shrink as their significance does.
        """
        if encoded.parts == 1:
            return (1.0,)
        counts, lsb = calibration_counts(self.values, self.chip)[0], self.chip.driver.lsb(self.chip.bits)
        scale = lsb / encoded.scale_S
        whole = float((counts @ self.values * lsb).square().mean().sqrt())
        shares = []
        for part in range(encoded.parts):
            digits = sum(
                weight * encoded.target_S[p] for p, weight in enumerate(encoded.significance) if encoded.part[p] == part
            )
            spread = float((counts @ digits * scale).square().mean().sqrt())
            shares.append(spread / whole if whole > 0 and spread > 0 else 1.0)
        return tuple(shares)


FEW_LINES = 8
"""Word lines that a calibration input drives at least: shorter pulses go before fewer lines, so that sums of large
weights do not come in a few large steps; an estimate."""


def calibration_counts(matrix: torch.Tensor, chip: Chip, reach_z: torch.Tensor | float = 4.0) -> torch.Tensor:
    """Fixed calibration inputs, ``(1, vectors, rows)`` clock periods: pulses of either sign (of one where words have
    none) on so many word lines, and so long, that the spread of the sums of ``matrix (rows, columns)`` is a quarter of
    ``reach_z``: what the converter of each column reaches from zero, a number or ``(columns,)``.

    A share ``p`` of lines with pulses of ``a`` gives sums of mean square ``p a^2 sum w^2``, and ``p^2 a^2 (sum w)^2``
    more where all have one sign. Pulses are of half scale, as usual inputs are: longer ones lose more charge to a front
    end that settles slowly, and a factor measured with them would be too low for all others. They are longer only
    where all lines together do not suffice, and all at full scale is the most there is.
    """
    rows, top, signed = matrix.shape[0], chip.driver.top(chip.bits), chip.driver.signed_words
    relative = 4.0 * chip.driver.x_max * matrix.double() / reach_z
    squares = float(relative.square().sum(0).mean())
    means = 0.0 if signed else float(relative.sum(0).square().mean())

    def share(counts: int) -> float:
        wanted = (top / counts) ** 2
        return 2.0 * wanted / (squares + math.sqrt(squares**2 + 4.0 * means * wanted) + 1e-30)

    half, few = max(1, top // 2), min(1.0, FEW_LINES / rows)
    counts = half
    if share(half) < few:
        counts = max(1, round(top / math.sqrt(few * squares + few**2 * means)))
    elif share(half) > 1.0:
        counts = min(top, math.ceil(top / math.sqrt(squares + means + 1e-30)))
    lines = min(1.0, max(share(counts), 1.0 / rows))
    generator = Stream.root(0).child("calibration inputs").torch()
    draw = torch.rand((1, chip.compensation.vectors, rows), generator=generator)
    signs: torch.Tensor = (draw < lines / 2).float() - (draw > 1 - lines / 2).float()
    return float(counts) * (signs if signed else signs.abs())


def check_chip(chip: Chip, rows: int, what: str) -> None:
    """Raise InputError where a layer of so many rows does not fit this chip; ``what`` names its ramp."""
    try:
        chip.check_layers()
    except InputError as error:
        raise InputError(f"chip.{problem}" for problem in error.problems) from None
    if chip.readout != "ramp":
        return
    if rows > chip.rows and chip.partial_sums == "digital":
        raise InputError(
            f"chip.partial_sums: {what} converts whole sums: {rows} rows need {-(-rows // chip.rows)} tiles of "
            f"{chip.rows}; take partial_sums: charge, or readout: conventional"
        )


def check_columns(chip: Chip) -> None:
    """Raise InputError where the front end of this chip cannot serve a column of a full tile, whose largest weight is
    1, over a range of 8 from peak to peak."""
    full = WeightMatrix((torch.empty((chip.columns, chip.rows), device="meta"),))
    MappedMatrix.of(full, chip).front_end(8.0)
    if chip.readout == "ramp":
        read_V = chip.driver.v_design_V
        try:
            chip.of_ramps.supply(node_nm=chip.node_nm, temperature_K=chip.read_K, read_V=read_V)
        except InputError as error:
            raise of_ramp(error) from None


@dataclass(frozen=True)
class ProgrammedMatrix:
    """A matrix as written on every chip of a batch.

    ``drivers``: of the word lines of each column of tiles, which has drivers of its own; one for all where they are
    exact; ``ranges``: for each slice of a weight that is converted apart, its share of the converter's range [1].
    """

    mapped: MappedMatrix
    array: Array
    drivers: tuple[DriverRead, ...]
    front_end: BuiltFrontEnd
    ranges: tuple[float, ...] = (1.0,)

    def reading(self, chip: Chip) -> ProgrammedMatrix:
        """The same matrix, its cells read at the temperature of ``chip``."""
        return replace(self, array=replace(self.array, device=chip.weights.device))

    def array_at(self, t_s: float) -> list[ArrayRead]:
        """The array ``t_s`` seconds after programming, in siemens, for each slice that is converted apart."""
        chip = self.mapped.chip
        levels = full_scale(chip.bits) if chip.driver.amplitude else None
        return self.array.read_parts(
            t_s,
            v_read_V=chip.driver.v_read_V,
            amplitude_levels=levels,
            window_s=chip.driver.window_s(chip.bits),
            line_gain=self.front_end.lines,
        )

    def at(self, t_s: float) -> MatrixRead:
        """The matrix ``t_s`` seconds after programming, in units of pre-activation per clock period."""
        chip = self.mapped.chip
        scale = (chip.driver.lsb(chip.bits) / self.array.encoded.scale_S).float()
        parts = self.array_at(t_s)
        rows, height = self.mapped.rows, chip.rows if chip.partial_sums == "digital" else self.mapped.rows
        converted = []
        for tile, first in enumerate(range(0, rows, height)):
            last = min(first + height, rows)
            for number, (part, share) in enumerate(zip(parts, self.ranges, strict=True)):
                assert part.node_S is not None
                node_S = part.node_S[:, tile] if chip.partial_sums == "digital" else part.node_S.sum(dim=1)
                circuit = self.front_end.read(
                    tile, number, node_S, chip.driver.supply_gain, by_width=chip.driver.pulse_widths
                )
                array = (part if height == rows else part.rows(first, last)).scaled(scale * circuit.gain[:, None])
                converted.append(ConvertedPart(array, slice(first, last), share, circuit))
        return MatrixRead(
            tuple(converted),
            chip.columns,
            chip.driver,
            chip.bits,
            self.drivers,
            chip.read_supply_noise,
            self._settled() if chip.driver.pulse_widths else None,
        )

    def _settled(self) -> torch.Tensor | None:
        """What arrives of pulses of ``-top .. top`` clock periods, over what the capacitor was sized for, in clock
        periods; None where all of it arrives."""
        chip, design = self.mapped.chip, self.front_end.mapped.designs[0]
        top, t_clk_s = chip.driver.top(chip.bits), chip.driver.t_clk_s
        widths = torch.arange(top + 1, dtype=torch.float64)
        kept = design.settling.kept(widths * t_clk_s, design.load.line_S) / t_clk_s
        if torch.allclose(kept, widths, rtol=1e-12):
            return None
        # The capacitor was sized with what inputs of the usual size lose.
        usual = torch.round(normal_quantiles(INPUT_SIZE).abs() * top).long()
        sized = (kept * widths)[usual].sum() / widths.square()[usual].sum()
        return (torch.cat([-kept.flip(0)[:-1], kept]) / sized).float()


@dataclass(frozen=True)
class PreActivation:
    """What one conversion is given: ``z`` and its variance by fast read noise, both ``(chips, n, columns)``.

    ``range``: the share of the converter's range that this part of a sum is converted over [1].
    """

    z: torch.Tensor
    variance: torch.Tensor | None = None
    range: float = 1.0

    @classmethod
    def beside(cls, tiles: Sequence[PreActivation]) -> PreActivation:
        """The columns of several tiles, side by side."""
        variances = [tile.variance for tile in tiles if tile.variance is not None]
        together = torch.cat(variances, dim=-1) if len(variances) == len(tiles) else None
        return cls(torch.cat([tile.z for tile in tiles], dim=-1), together, tiles[0].range)


@dataclass(frozen=True)
class ConvertedPart:
    """One row tile and slice of a matrix, which a converter of its own takes, at one time.

    ``array``: in units of pre-activation per clock period; ``rows``: its word lines; ``range``: its share of the
    converter's range [1].
    """

    array: ArrayRead
    rows: slice
    range: float
    front_end: FrontEndRead

    def columns(self, first: int, last: int) -> ConvertedPart:
        """Columns ``first .. last - 1`` alone."""
        return replace(self, array=self.array.columns(first, last), front_end=self.front_end.columns(first, last))


@dataclass(frozen=True)
class MatrixRead:
    """A matrix at one time; ``drivers`` as in ``ProgrammedMatrix``, each of ``tile_columns``; ``supply_noise``:
    relative standard deviation of the read voltage from a product to its conversion [1]; ``settled``: ``(2 top + 1,)``,
    what arrives of pulses of ``-top .. top`` clock periods, or None for all of it."""

    parts: tuple[ConvertedPart, ...]
    tile_columns: int
    driver: AnyDriver
    bits: int
    drivers: tuple[DriverRead, ...]
    supply_noise: float = 0.0
    settled: torch.Tensor | None = None

    @property
    def array(self) -> ArrayRead:
        """The array, where all planes of a weight are summed as charge; else its first part."""
        return self.parts[0].array

    def pre_activation(self, counts: torch.Tensor, noise: BlockNoise) -> list[PreActivation]:
        """What is converted for ``counts (chips | 1, n, rows)``.

        One entry, or one for each input bit, row tile and slice where these are converted apart and added digitally,
        the slices of one row tile after one another. Products run block by block, so that the number of blocks moves no
        bit. Noise that columns share is in ``z``.
        """
        if self.settled is not None:
            counts = self.settled[(counts + (len(self.settled) - 1) // 2).round().long()]
        supply = 1.0 + self.supply_noise * noise.normal((1,)) if self.supply_noise > 0.0 else None
        if self.driver.exact:
            return self._products(self.parts, counts, supply, noise)
        tiles = []
        for tile, drivers in enumerate(self.drivers):
            first = tile * self.tile_columns
            columns = self.parts
            if len(self.drivers) > 1:
                columns = tuple(part.columns(first, first + self.tile_columns) for part in self.parts)
            tiles.append(self._products(columns, drivers.driven(counts, noise), supply, noise))
        return tiles[0] if len(tiles) == 1 else [PreActivation.beside(parts) for parts in zip(*tiles, strict=True)]

    def _products(
        self,
        parts: Sequence[ConvertedPart],
        driven: torch.Tensor,
        supply: torch.Tensor | None,
        noise: BlockNoise,
    ) -> list[PreActivation]:
        """What is converted of these parts, whose lines are all ``driven (chips | 1, n, rows)``; ``supply``: read
        voltage of each product over that of its conversion, ``(chips, n, 1)``."""
        chips, n, rows = driven.shape
        blocks = driven.reshape(chips, n // noise.block, noise.block, rows)
        found: list[PreActivation] = []
        for inputs, squares, share, size in self._drives(blocks):
            for part in parts:
                array, circuit = part.array, part.front_end
                z = array.product(inputs[..., part.rows]).flatten(1, 2)
                if supply is not None:
                    z = z * supply
                noisy = squares[..., part.rows]
                common = array.common_sigma(noisy)
                if common is not None and array.reference is not None:
                    shared = noise.normal((int(array.reference.max()) + 1,))[..., array.reference]
                    z = z + common.flatten(1, 2) * shared
                variance = array.variance_of_squares(noisy)
                variance = None if variance is None else variance.flatten(1, 2)
                if circuit.white_z2 is not None:
                    floor = (size**2 * circuit.white_z2)[:, None]
                    variance = floor.expand(z.shape) if variance is None else variance + floor
                if circuit.offset_z is not None:
                    z = z + (size * circuit.offset_z)[:, None]
                found.append(PreActivation(z, variance, part.range * share))
        return found

    def _drives(self, blocks: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor, float, float]]:
        """Inputs as they are converted, whole or bit by bit: counts, noise counts, share of the range, and what counts
        of a whole product's white noise and offset."""
        driver, bits = self.driver, self.bits
        if isinstance(driver, BitSerial) and driver.digital_accumulation:
            top, weights = float(full_scale(bits)), driver.weights(bits)
            whole = math.sqrt(sum(weight**2 for weight in weights))
            planes, noisy = driver.planes(blocks, bits), driver.noise_planes(blocks, bits)
            return [
                (weight * plane, weight**2 * noise, abs(weight) / top, weight / whole)
                for plane, noise, weight in zip(planes, noisy, weights, strict=True)
            ]
        return [(blocks, blocks.square(), 1.0, 1.0)]
