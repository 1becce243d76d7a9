"""A product made ready for the chip: whole inputs, levels of cells, tiles, the converter's range."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from configs.errors import InputError
from crossbar import OneCell, RelativeWeights
from mappings.sparse.tiles.cells import Parts
from mappings.sparse.tiles.chip import SparseChip, SparseMapping
from mappings.sparse.tiles.grouping import ORDERS, order
from mappings.sparse.tiles.kernel import bucket
from mappings.sparse.tiles.layout import TileMap, lay
from periphery.drivers.base import full_scale
from periphery.drivers.bit_serial import BitSerial

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is fixed before the first activation.

    Parameters
    ----------
    a, b : CSR without duplicates and zeros
    parts : conversions of one column
    drive, squares : (phases converted apart, nonzeros of A): counts on the word lines, and what multiplies a cell's
        variance of fast read noise
    phase_weight : what a count of each phase is worth
    loads : (3, nonzeros of A): pulses, driven clock periods, clock periods of loss
    row_scale : value of one count in each row of A, ``(rows,)``
    level : of each nonzero of B, per full scale
    tile_scale : full scale of each tile
    entries : nonzeros of A by group: ``bucket`` of the activation kernel
    rows_at_once : rows driven in one activation at most
    lsb : one step of the converter in each part [units];  lowest, highest : its codes, in steps from zero
    whole : whether every sum is a whole number of units
    quantum : step of a fixed-point accumulator: what one unit of the lowest digit is worth
    """

    mapping: SparseMapping
    a: Any
    b: Any
    tiles: TileMap
    parts: Parts
    drive: NDArray[np.float32]
    squares: NDArray[np.float32]
    phase_weight: Floats
    loads: NDArray[np.float32]
    row_scale: Floats
    level: NDArray[np.float32]
    tile_scale: Floats
    entries: tuple[Any, Any, Any, Any]
    rows_at_once: int
    lsb: Floats
    lowest: float
    highest: float
    whole: bool
    quantum: float

    @property
    def chip(self) -> SparseChip:
        """The chip."""
        return self.mapping.chip

    @property
    def slot_weight(self) -> Floats:
        """Worth of a unit in each conversion of a word: phase after phase, its parts side by side."""
        return np.outer(self.phase_weight, np.array(self.parts.weight)).ravel()

    @property
    def passes(self) -> int:
        """Times that the chip's arrays are written."""
        return max(1, -(-self.tiles.tiles // self.chip.tiles))

    @property
    def bits_exact(self) -> bool:
        """Whether the converter tells all sums apart: whole units, one step each, and none beyond its codes."""
        fullest = min(self.rows_at_once, self.tiles.fullest_line)
        most = fullest * float(np.abs(self.drive).max(initial=0.0)) * np.array(self.parts.top)
        return self.whole and bool((self.lsb == 1.0).all()) and bool((most <= self.highest).all())


def canonical(matrix: Any, name: str) -> Any:
    """CSR of float64 with rising columns, without duplicates and zeros; ``InputError`` where a value is not finite."""
    csr = sparse.csr_array(matrix, copy=True).astype(np.float64)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    if csr.nnz and not np.isfinite(csr.data).all():
        raise InputError(f"{name}: finite numbers (got {csr.data[~np.isfinite(csr.data)][0]})")
    return csr


def plan(a: Any, b: Any, mapping: SparseMapping) -> Plan:
    """Lay B on tiles and turn A into counts.

    Raises ``InputError`` for shapes that do not multiply, values that are not finite, negative values on cells of one
    polarity, and parts of the chip whose errors this path does not model.
    """
    a, b = canonical(a, "A"), canonical(b, "B")
    if a.shape[1] != b.shape[0]:
        raise InputError(
            f"spgemm: B must have as many rows as A has columns (got A of {a.shape[0]} x {a.shape[1]} and B of "
            f"{b.shape[0]} x {b.shape[1]})"
        )
    chip = mapping.chip
    _check(mapping, b)
    parts = chip.parts
    tiles = tiles_of(b, mapping)
    x, level, tile_scale = _levels(a, b, tiles, mapping, parts)
    counts, row_scale = _counts(a, x, mapping)
    drive, squares, phase_weight, loads = _drive(counts, chip)
    whole_b = parts.digital or bool(np.isin(np.abs(level), (0.0, 1.0)).all())
    fullest, largest = tiles.fullest_line, float(np.abs(drive).max(initial=0.0))
    signed = bool((b.data < 0).any()) or (drive.shape[0] == 1 and bool((drive < 0).any()))
    highest = float(2 ** (chip.adc_bits - 1) - 1 if signed else 2**chip.adc_bits - 1)
    lowest = -highest - 1.0 if signed else 0.0
    if highest < 1.0:
        raise InputError(f"adc_bits: at least 2 for sums of both signs (got {chip.adc_bits})")
    at_once = min(chip.rows, chip.rows_at_once or chip.rows)
    if chip.rows_at_once is None and largest > 0 and fullest * largest * max(parts.top) > highest:
        at_once = max(1, min(at_once, int(highest // (largest * max(parts.top)))))
    worst = max(1, min(at_once, fullest)) * max(largest, 1.0) * np.array(parts.top)
    lsb = worst / highest if chip.lsb_units is None else np.full(len(parts), chip.lsb_units)
    if chip.lsb_units is None and whole_b:
        lsb = np.maximum(lsb, 1.0)
    entries = bucket(
        a.indptr, a.indices, (drive != 0).any(axis=0), tiles.position, chip.rows, max(tiles.groups, 1)
    )  # fmt: skip
    quantum = float(np.min(parts.weight) * (tile_scale[0] if tile_scale.size else 1.0))
    return Plan(
        mapping, a, b, tiles, parts, drive, squares, phase_weight, loads, row_scale, level, tile_scale, entries,
        at_once, lsb, lowest, highest, whole_b, quantum,
    )  # fmt: skip


def tiles_of(b: Any, mapping: SparseMapping) -> TileMap:
    """The tiles of B; ``best`` tries all orders and takes the first of those with the fewest."""
    chip = mapping.chip
    found: list[TileMap] = []
    for kind in ORDERS if mapping.order == "best" else (mapping.order,):
        ordering = order(b, kind, group=chip.rows)
        found.append(
            lay(
                b,
                layout=mapping.layout,
                rows=chip.rows,
                columns=chip.values_per_row,
                row_order=ordering.rows,
                column_order=ordering.columns if mapping.layout == "blocks" else None,
            )
        )
    return min(found, key=lambda tiles: tiles.tiles)


def _check(mapping: SparseMapping, b: Any) -> None:
    chip = mapping.chip
    if chip.merge.accumulator == "fixed" and mapping.scale == "tile":
        raise InputError("merge: accumulator: float where tiles have scales of their own (got fixed)")
    if isinstance(chip.encoding, OneCell) and b.nnz and float(b.data.min()) < 0.0:
        raise InputError(
            f"encoding: one_cell holds no negative values (got {b.data.min():g} in B); take differential, offset or "
            "bit_slices"
        )
    if chip.encoding.clip_quantile != 1.0 or chip.encoding.scale != "tile":
        raise InputError("encoding: a sparse product's scale is the mapping's (scale), and nothing of B is clipped")
    if not chip.driver.exact:
        raise InputError("driver: jitter, mismatch, offset and noise of word-line drivers are not in sparse products")
    if not chip.device.linear and chip.driver.amplitude:
        raise InputError("driver: pulses (pwm, bit_serial) on cells whose current is not proportional to the voltage")


def _levels(a: Any, b: Any, tiles: TileMap, mapping: SparseMapping, parts: Parts) -> tuple[Floats, Any, Floats]:
    """Inputs, levels of B's nonzeros per full scale, and the full scale of every tile."""
    steps = round(1.0 / min(parts.weight))
    size, x = np.abs(b.data), a.data
    top = float(size.max(initial=0.0)) or 1.0
    scale = np.full(tiles.tiles, top)
    if mapping.scale == "row":
        peaks = np.ones(b.shape[0])
        filled = np.flatnonzero(np.diff(b.indptr))
        if filled.size:
            peaks[filled] = np.maximum.reduceat(size, b.indptr[filled])
        of_entry = np.repeat(np.arange(b.shape[0]), np.diff(b.indptr))
        return x * peaks[a.indices], (b.data / peaks[of_entry]).astype(np.float32), np.ones(tiles.tiles)
    if parts.digital and steps > 1 and top <= steps and bool((b.data == np.rint(b.data)).all()):
        # Whole numbers that the digits can hold are stored as they are.
        scale[:] = steps
    elif mapping.scale == "tile" and tiles.tiles:
        scale = np.maximum.reduceat(size[tiles.cell_entry], tiles.tile_ptr[:-1])
    of_entry = np.empty(b.nnz)
    of_entry[tiles.cell_entry] = scale[tiles.cell_tile]
    return x, (b.data / of_entry).astype(np.float32), scale


def _counts(a: Any, x: Floats, mapping: SparseMapping) -> tuple[Floats, Floats]:
    """Counts on the word lines, and what one count is worth in each row of A."""
    chip = mapping.chip
    top = full_scale(chip.input_bits)
    largest = float(np.abs(x).max(initial=0.0)) or 1.0
    peaks = np.full(a.shape[0], largest)
    if largest <= top and bool((x == np.rint(x)).all()):
        peaks[:] = top
    elif mapping.input_scale == "row":
        filled = np.flatnonzero(np.diff(a.indptr))
        if filled.size:
            peaks[filled] = np.maximum.reduceat(np.abs(x), a.indptr[filled])
    unit = replace(chip.driver, x_max=1.0)
    normal = x / np.repeat(peaks, np.diff(a.indptr))
    return unit.counts(torch.from_numpy(normal), chip.input_bits).numpy(), peaks / top


def _drive(counts: Floats, chip: SparseChip) -> tuple[Any, Any, Floats, Any]:
    """Counts of every phase that is converted apart, their noise counts, phase weights, and loads."""
    n = torch.from_numpy(counts)
    driver, bits = chip.driver, chip.input_bits
    loads = torch.stack([driver.pulses(n, bits), driver.driven_clocks(n, bits), driver.loss_counts(n, bits)])
    if isinstance(driver, BitSerial) and driver.digital_accumulation:
        weights = driver.weights(bits)
        planes = driver.planes(n, bits)
        return planes.float().numpy(), planes.float().numpy(), np.array(weights), loads.float().numpy()
    squares = driver.noise_counts(n, bits)[None]
    return n[None].float().numpy(), squares.float().numpy(), np.ones(1), loads.float().numpy()


def clocks_of(plan: Plan) -> tuple[float, float]:
    """Clock periods of an activation: for each sign that occurs, and for each phase that is converted apart."""
    driver, bits = plan.chip.driver, plan.chip.input_bits
    if driver.digital_accumulation:
        return 0.0, driver.drive_clocks(bits) / driver.phases(bits)
    if driver.phases(bits) == 1 or getattr(driver, "signed", "") == "twos_complement":
        return 0.0, float(driver.drive_clocks(bits))
    return driver.drive_clocks(bits) / 2.0, 0.0


def windows_of(plan: Plan, products: NDArray[np.int64]) -> NDArray[np.int64]:
    """Window of each row of C: consecutive rows whose entries surely fit the scratchpad's table."""
    bound = np.minimum(products, plan.b.shape[1])
    capacity = plan.chip.merge.capacity
    ends = np.zeros(bound.size, np.int64)
    filled, window = 0, 0
    for i, entries in enumerate(bound.tolist()):
        if filled and filled + entries > capacity:
            window, filled = window + 1, 0
        filled += entries
        ends[i] = window
    return ends


def rest_load_S(plan: Plan) -> tuple[NDArray[np.float32], float]:
    """What each nonzero adds to its word line's load over an off cell's, and the load of a word line of off cells [S].

    All bit lines of a tile conduct in every driven row, converted or not, reference columns included.
    """
    chip, parts = plan.chip, plan.parts
    level = torch.from_numpy(np.concatenate([plan.level, np.zeros(1, np.float32)]))[None]
    tile = torch.zeros(level.shape[1], dtype=torch.long)
    target = chip.encoding.lay(RelativeWeights(level, torch.ones(level.shape[1]), tile), chip.device).target_S
    cells = target[:, 0, : level.shape[1]].sum(0).double().numpy()
    reference = float(target[:, 0, level.shape[1] :].sum())
    idle = chip.values_per_row * float(cells[-1]) + reference
    extra = (cells[:-1] - cells[-1])[plan.tiles.cell_entry]
    return extra.astype(np.float32), idle if math.isfinite(idle) and parts.planes else 0.0
