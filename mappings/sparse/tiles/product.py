"""A product made ready for the chip: whole inputs, levels of cells, tiles, the converter's range."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from configs.errors import InputError
from crossbar import OneCell, RelativeWeights
from mappings.sparse.exact.product import conform
from mappings.sparse.tiles.cells import Parts
from mappings.sparse.tiles.chip import SparseChip, SparseMapping
from mappings.sparse.tiles.front_end import Activation, circuits
from mappings.sparse.tiles.grouping import ORDERS, order
from mappings.sparse.tiles.kernel import Converter, Entries, Inputs, bucket
from mappings.sparse.tiles.layout import TileMap, lay
from periphery.drivers.base import full_scale
from periphery.drivers.bit_serial import BitSerial
from periphery.front_end import FrontEndDesign

Floats = NDArray[np.float64]
Product = TypeVar("Product", bound="ProductLayout")


def canonical(matrix: Any, name: str) -> Any:
    """CSR of float64 with rising columns, without duplicates and zeros; ``InputError`` where a value is not finite."""
    csr = sparse.csr_array(matrix, copy=True).astype(np.float64)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    if csr.nnz and not np.isfinite(csr.data).all():
        raise InputError(f"{name}: finite numbers (got {csr.data[~np.isfinite(csr.data)][0]})")
    return csr


@dataclass(frozen=True, eq=False)
class ProductLayout:
    """Everything that is fixed before the first cell is written.

    Parameters
    ----------
    a, b : CSR without duplicates and zeros
    tiles : where B's nonzeros are
    parts : conversions of one column
    inputs : what A's nonzeros do on their word lines
    phase_weight : what a count of each phase is worth
    row_scale : value of one count in each row of A, ``(rows,)``
    level : of each nonzero of B, per full scale
    tile_scale : full scale of each tile
    entries : nonzeros of A by group
    converter : its range
    whole : whether every sum is a whole number of units
    """

    mapping: SparseMapping
    a: Any
    b: Any
    tiles: TileMap
    parts: Parts
    inputs: Inputs
    phase_weight: Floats
    row_scale: Floats
    level: NDArray[np.float32]
    tile_scale: Floats
    entries: Entries
    converter: Converter
    whole: bool
    name: str = "tiles"

    @property
    def chip(self) -> SparseChip:
        """The chip."""
        return self.mapping.chip

    @property
    def slot_weight(self) -> Floats:
        """Worth of a unit in each conversion of a word: phase after phase, its parts side by side."""
        return np.outer(self.phase_weight, np.array(self.parts.weight)).ravel()

    @property
    def quantum(self) -> float:
        """Step of a fixed-point accumulator: what one unit of the lowest digit is worth."""
        return float(np.min(self.parts.weight) * (self.tile_scale[0] if self.tile_scale.size else 1.0))

    @property
    def passes(self) -> int:
        """Times that the chip's arrays are written."""
        return max(1, -(-self.tiles.tiles // self.chip.tiles))

    @cached_property
    def circuits(self) -> tuple[FrontEndDesign, ...]:
        """Front ends of a column, one for each part. Raises InputError where the circuit does not close."""
        drive, converter, tiles = self.inputs.drive, self.converter, self.tiles
        sign_clocks, phase_clocks = clocks_of(self.chip)
        signs = bool((drive > 0).any()) + bool((drive < 0).any())
        extra, idle = rest_load_S(self)
        crossings = max(1, tiles.tiles) * self.chip.rows
        largest = Activation(
            rows=self.inputs.rows_at_once,
            count=float(np.abs(drive).max(initial=0.0)),
            span=converter.highest - converter.lowest + 1.0,
            highest=converter.highest,
            lsb=converter.lsb,
            clocks=max(1.0, sign_clocks * signs + phase_clocks),
            line_S=(idle + float(extra.sum()) / crossings) * self.chip.rows / self.chip.bit_lines,
        )
        return circuits(self.chip, largest)

    @property
    def bits_exact(self) -> bool:
        """Whether the converter distinguishes all sums: whole units, one step each, and none beyond its codes."""
        fullest = min(self.inputs.rows_at_once, self.tiles.fullest_line)
        most = fullest * float(np.abs(self.inputs.drive).max(initial=0.0)) * np.array(self.parts.top)
        one_step = bool((self.converter.lsb == 1.0).all())
        return self.whole and one_step and bool((most <= self.converter.highest).all())

    def windows(self, products: NDArray[np.int64]) -> NDArray[np.int64]:
        """Window of each row of C: consecutive rows whose entries surely fit the scratchpad's table."""
        bound = np.minimum(products, self.b.shape[1])
        capacity = self.chip.merge.capacity
        ends = np.zeros(bound.size, np.int64)
        filled, window = 0, 0
        for i, entries in enumerate(bound.tolist()):
            if filled and filled + entries > capacity:
                window, filled = window + 1, 0
            filled += entries
            ends[i] = window
        return ends

    @classmethod
    def of(cls: type[Product], a: Any, b: Any, mapping: SparseMapping, *, name: str = "tiles") -> Product:
        """Lay the canonical ``b`` on tiles and turn A into counts.

        Raises ``InputError`` for shapes that do not multiply, values that are not finite, negative values on cells of
        one polarity, and parts of the chip whose errors this path does not model.
        """
        a, chip = canonical(a, "A"), mapping.chip
        conform(a, b)
        _check(mapping, b)
        parts, tiles = chip.parts, tiles_of(b, mapping)
        x, level, tile_scale = _levels(a, b, tiles, mapping, parts)
        counts, row_scale = _counts(a, x, mapping)
        drive, squares, phase_weight = _drive(counts, chip)
        inputs = Inputs(drive, squares, _loads(counts, chip), 0)
        whole = parts.digital or bool(np.isin(np.abs(level), (0.0, 1.0)).all())
        at_once, converter = _range(b, tiles, chip, parts, drive, whole)
        driven, groups = (drive != 0).any(axis=0), max(tiles.groups, 1)
        entries = bucket(a.indptr, a.indices, driven, tiles.position, chip.rows, groups)
        product = cls(
            mapping,
            a,
            b,
            tiles,
            parts,
            inputs._replace(rows_at_once=at_once),
            phase_weight,
            row_scale,
            level,
            tile_scale,
            entries,
            converter,
            whole,
            name,
        )
        assert product.circuits
        return product


def tiles_of(b: Any, mapping: SparseMapping) -> TileMap:
    """The tiles of B; ``best`` tries all orders and takes the first of those with the fewest."""
    chip = mapping.chip
    found: list[TileMap] = []
    for kind in ORDERS if mapping.order == "best" else (mapping.order,):
        ordering = order(b, kind, group=chip.rows)
        columns = ordering.columns if mapping.layout == "blocks" else None
        found.append(
            lay(
                b,
                layout=mapping.layout,
                rows=chip.rows,
                columns=chip.values_per_row,
                row_order=ordering.rows,
                column_order=columns,
            )
        )
    return min(found, key=lambda tiles: tiles.tiles)


def check_columns(mapping: SparseMapping) -> None:
    """Raise ``InputError`` where a chip multiplies no matrices at all: what ``_check`` refuses, and front ends that do
    not close for the smallest load of their columns, one word line of an array of off cells driven for one clock."""
    chip = mapping.chip
    _check(mapping, sparse.csr_array((1, 1)))
    highest = 2.0**chip.adc_bits - 1.0
    lsb = np.full(len(chip.parts), 1.0 if chip.lsb_units is None else chip.lsb_units)
    idle_S = row_load_S(chip, np.zeros(0, np.float32))[1] * chip.rows / chip.bit_lines
    clocks = max(1.0, sum(clocks_of(chip)))
    least = Activation(rows=1, count=1.0, span=highest + 1.0, highest=highest, lsb=lsb, clocks=clocks, line_S=idle_S)
    circuits(chip, least)


def _check(mapping: SparseMapping, b: Any) -> None:
    chip = mapping.chip
    if chip.merge.accumulator == "fixed" and mapping.scale == "tile":
        raise InputError("merge: accumulator: float where tiles have separate scales (got fixed)")
    if isinstance(chip.encoding, OneCell) and b.nnz and float(b.data.min()) < 0.0:
        raise InputError(
            f"encoding: one_cell holds no negative values (got {b.data.min():g} in B); take differential, offset or "
            "bit_slices"
        )
    if chip.encoding.clip_quantile != 1.0 or chip.encoding.scale != "tile":
        raise InputError("encoding: a sparse product's scale is the mapping's (scale), and nothing of B is clipped")
    if not chip.driver.exact:
        raise InputError("driver: jitter, mismatch, offset and noise of word-line drivers are not in sparse products")
    try:
        chip.device.check_voltage(chip.driver.v_read_V)
    except InputError as error:
        raise InputError(f"driver.v_read_V: {chip.device.kind}: {error}") from None
    if not chip.device.linear and chip.driver.amplitude:
        raise InputError("driver: pulses (pwm, bit_serial) on cells whose current is not proportional to the voltage")


def _levels(a: Any, b: Any, tiles: TileMap, mapping: SparseMapping, parts: Parts) -> tuple[Floats, Any, Floats]:
    """Inputs, levels of B's nonzeros per full scale, and the full scale of every tile."""
    steps = round(1.0 / min(parts.weight))
    size, x = np.abs(b.data), a.data
    top = float(size.max(initial=0.0)) or 1.0
    scale = np.full(tiles.tiles, top)
    if mapping.scale == "row":
        peaks = _row_peaks(b, size, np.ones(b.shape[0]))
        of_entry = np.repeat(peaks, np.diff(b.indptr))
        return x * peaks[a.indices], (b.data / of_entry).astype(np.float32), np.ones(tiles.tiles)
    if parts.digital and steps > 1 and top <= steps and bool((b.data == np.rint(b.data)).all()):
        # Whole numbers that the digits can hold are stored as they are.
        scale[:] = steps
    elif mapping.scale == "tile" and tiles.tiles:
        scale = np.maximum.reduceat(size[tiles.cell_entry], tiles.tile_ptr[:-1])
    of_entry = np.empty(b.nnz)
    of_entry[tiles.cell_entry] = scale[tiles.cell_tile]
    return x, (b.data / of_entry).astype(np.float32), scale


def _row_peaks(matrix: Any, size: Floats, peaks: Floats) -> Floats:
    """``peaks`` with the largest ``size`` of each row that has any."""
    filled = np.flatnonzero(np.diff(matrix.indptr))
    if filled.size:
        peaks[filled] = np.maximum.reduceat(size, matrix.indptr[filled])
    return peaks


def _counts(a: Any, x: Floats, mapping: SparseMapping) -> tuple[Floats, Floats]:
    """Counts on the word lines, and what one count is worth in each row of A."""
    chip = mapping.chip
    top = full_scale(chip.input_bits)
    largest = float(np.abs(x).max(initial=0.0)) or 1.0
    peaks = np.full(a.shape[0], largest)
    if largest <= top and bool((x == np.rint(x)).all()):
        peaks[:] = top
    elif mapping.input_scale == "row":
        peaks = _row_peaks(a, np.abs(x), peaks)
    unit = replace(chip.driver, x_max=1.0)
    normal = x / np.repeat(peaks, np.diff(a.indptr))
    return unit.counts(torch.from_numpy(normal), chip.input_bits).numpy(), peaks / top


def _drive(counts: Floats, chip: SparseChip) -> tuple[Any, Any, Floats]:
    """Counts of every phase that is converted apart, what multiplies a cell's variance, and phase weights."""
    n, driver, bits = torch.from_numpy(counts), chip.driver, chip.input_bits
    if isinstance(driver, BitSerial) and driver.digital_accumulation:
        planes, noise = (driver.planes(n, bits), driver.noise_planes(n, bits))
        return planes.float().numpy(), noise.float().numpy(), np.array(driver.weights(bits))
    return n[None].float().numpy(), n.square()[None].float().numpy(), np.ones(1)


def _loads(counts: Floats, chip: SparseChip) -> Any:
    n, driver, bits = torch.from_numpy(counts), chip.driver, chip.input_bits
    loads = torch.stack([driver.pulses(n, bits), driver.driven_clocks(n, bits), driver.charge_counts(n, bits)])
    return loads.float().numpy()


def _range(b: Any, tiles: TileMap, chip: SparseChip, parts: Parts, drive: Any, whole: bool) -> tuple[int, Converter]:
    """Rows driven in one activation at most, and the converter that holds their sums."""
    fullest, largest = tiles.fullest_line, float(np.abs(drive).max(initial=0.0))
    signed = bool((b.data < 0).any()) or (drive.shape[0] == 1 and bool((drive < 0).any()))
    highest = float(2 ** (chip.adc_bits - 1) - 1 if signed else 2**chip.adc_bits - 1)
    if highest < 1.0:
        raise InputError(f"adc_bits: at least 2 for sums of both signs (got {chip.adc_bits})")
    at_once = min(chip.rows, chip.rows_at_once or chip.rows)
    if chip.rows_at_once is None and largest > 0 and fullest * largest * max(parts.top) > highest:
        at_once = max(1, min(at_once, int(highest // (largest * max(parts.top)))))
    worst = max(1, min(at_once, fullest)) * max(largest, 1.0) * np.array(parts.top)
    lsb = worst / highest if chip.lsb_units is None else np.full(len(parts), chip.lsb_units)
    if chip.lsb_units is None and whole:
        lsb = np.maximum(lsb, 1.0)
    return at_once, Converter(lsb, -highest - 1.0 if signed else 0.0, highest)


def clocks_of(chip: SparseChip) -> tuple[float, float]:
    """Clock periods of an activation: for each sign that occurs, and for each phase that is converted apart."""
    driver, bits = chip.driver, chip.input_bits
    if driver.digital_accumulation:
        return 0.0, driver.drive_clocks(bits) / driver.phases(bits)
    if driver.phases(bits) == 1 or getattr(driver, "signed", "") == "twos_complement":
        return 0.0, float(driver.drive_clocks(bits))
    return driver.drive_clocks(bits) / 2.0, 0.0


def rest_load_S(product: ProductLayout) -> tuple[NDArray[np.float32], float]:
    """What each nonzero adds to its word line's load over an off cell's, and the load of a word line of off cells [S].

    All bit lines of a tile conduct in every driven row, converted or not, reference columns included.
    """
    extra, idle = row_load_S(product.chip, product.level)
    return extra[product.tiles.cell_entry], idle


def row_load_S(chip: SparseChip, level: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """What values of these levels add to a word line's load over off cells, and the load of a line of off cells [S]."""
    levels = torch.from_numpy(np.concatenate([level, np.zeros(1, np.float32)]))[None]
    tile = torch.zeros(levels.shape[1], dtype=torch.long)
    target = chip.encoding.lay(RelativeWeights(levels, torch.ones(levels.shape[1]), tile), chip.device).target_S
    cells = target[:, 0, : levels.shape[1]].sum(0).double().numpy()
    reference = float(target[:, 0, levels.shape[1] :].sum())
    idle = chip.values_per_row * float(cells[-1]) + reference
    return (cells[:-1] - cells[-1]).astype(np.float32), idle if math.isfinite(idle) and chip.parts.planes else 0.0
