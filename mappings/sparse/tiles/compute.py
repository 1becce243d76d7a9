"""C = A B computed by cells: every activation's current, its noise, its code, and the atomic merge of the words.

Tiles are programmed some at a time, each from streams of its own, by the device's own model with all its effects, off
cells and reference columns included; the same cells answer every activation. Then rows of A pass over these tiles, and
their words go to C at once. So memory holds A, B, C and a few tiles, and the result depends on neither batch nor
threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from crossbar import Array, RelativeWeights
from crossbar.array import Tiling
from devices import BlockNoise, Cells, ChipStreams, Ideal, Stream
from mappings.actions import Actions
from mappings.sparse.accuracy import SparseAccuracy, accuracy
from mappings.sparse.exact.product import partial_products, spgemm
from mappings.sparse.tiles import kernel
from mappings.sparse.tiles.actions import sparse_actions
from mappings.sparse.tiles.chip import SparseMapping
from mappings.sparse.tiles.counting import SparseCounts, count, row_ranges
from mappings.sparse.tiles.plan import Plan, plan, windows_of
from mappings.sparse.tiles.writing import TileWrites, Written
from periphery.adc.base import Bank
from periphery.adc.grid import Grid
from periphery.adc.quantiser import Quantiser

CELLS_AT_ONCE = 1 << 21
"""Cells programmed together: 8 MB of each of a device's quantities."""
ORDERLY = Ideal()
"""Cells that read back what they were meant to be."""
BLOCK = 64
"""Activations whose converter noise comes from one generator."""


@dataclass(frozen=True, eq=False)
class SparseRun:
    """One product in memory.

    Parameters
    ----------
    C : what the chip gives, CSR of float64, an entry wherever a partial product falls, also where its value is 0
    exact : A B in float64, with the same pattern
    counts : what it took
    outside : share of conversions beyond the converter's codes [1]
    overflowed : share of additions that met the end of a fixed accumulator [1]
    plan : how the product was laid out
    t_s : seconds since the cells were written
    written : what a modelled write loop took; None where the device has none
    """

    C: Any
    exact: Any
    counts: SparseCounts
    outside: float
    overflowed: float
    plan: Plan
    t_s: float
    written: Written | None = None

    @property
    def accuracy(self) -> SparseAccuracy:
        """Errors of C."""
        return accuracy(self.C, self.exact)

    def actions(self, layer: str = "tiles") -> Actions:
        """Actions, instances and schedule for the price list."""
        return sparse_actions(self.counts, self.plan.mapping, written=self.written, layer=layer)


def multiply(
    A: Any, B: Any, mapping: SparseMapping, *, rng: Stream, t_s: float = 0.0, threads: int | None = None
) -> SparseRun:
    """The product of two sparse matrices on the chip, ``t_s`` seconds after B was written.

    ``rng`` belongs to one chip: the same stream is the same cells, at any time. Raises ``InputError`` as ``plan`` and
    ``spgemm`` do, and where nothing is known of the cells at ``t_s``.
    """
    workers = torch.get_num_threads() if threads is None else threads
    ready = plan(A, B, mapping)
    exact = spgemm(ready.a, ready.b, threads=workers)
    counts = count(ready, exact, threads=workers)
    writes = TileWrites([], [])
    values, outside, ends = compute(ready, exact, rng=rng, t_s=t_s, threads=workers, writes=writes)
    return SparseRun(
        sparse.csr_array((values, exact.indices, exact.indptr), shape=exact.shape),
        exact,
        counts,
        outside / max(1.0, counts.conversions),
        ends / max(1.0, counts.touched),
        ready,
        t_s,
        writes.total(mapping.chip.tiles),
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Some tiles as they stand at the time of reading, in units: ``difference (tiles, parts, rows, columns)``."""

    tiles: NDArray[np.int64]
    difference: NDArray[np.float32]
    variance: NDArray[np.float32]
    common: NDArray[np.float32]
    keys: NDArray[np.uint32]
    streams: ChipStreams


def compute(
    ready: Plan,
    pattern: Any,
    *,
    rng: Stream,
    t_s: float = 0.0,
    threads: int = 1,
    writes: TileWrites | None = None,
) -> tuple[NDArray[np.float64], int, int]:
    """Values of C in the order of ``pattern``; conversions beyond the codes and additions beyond the accumulator."""
    values = np.zeros(pattern.indices.size)
    c_ptr, c_idx = pattern.indptr.astype(np.int64), pattern.indices
    merge = ready.chip.merge
    bits, limit = (merge.bits, 0.0) if merge.accumulator == "float" else (0, float(2 ** (merge.bits - 1) - 1))
    ideal = isinstance(ready.chip.adc, Quantiser)
    work = partial_products(ready.a, ready.b)
    spans = row_ranges(work, windows_of(ready, work), threads) if ideal else [(0, ready.a.shape[0])]
    t = ready.tiles
    outside = ends = 0

    def part(cells: _Cells, span: tuple[int, int]) -> tuple[int, int]:
        found: tuple[int, int] = kernel.run_tiles(
            span[0], span[1], cells.tiles, *ready.entries, t.tile_ptr, t.tile_group, t.cell_row, t.cell_line,
            t.line_start, t.line_column, t.rows, t.columns, ready.rows_at_once, ready.drive, ready.squares,
            cells.difference, cells.variance, cells.common, cells.keys, ready.lsb, ready.lowest, ready.highest,
            ready.slot_weight, ready.tile_scale, c_ptr, c_idx, values, bits, limit, ready.quantum,
        )  # fmt: skip
        return found

    with ThreadPoolExecutor(max(1, len(spans))) as pool:
        pending: list[Any] = []
        for cells in _programmed(ready, rng=rng, t_s=t_s, writes=writes):
            # The next tiles are written while rows of A pass over these.
            for job in pending:
                outside, ends = outside + job.result()[0], ends + job.result()[1]
            if ideal:
                pending = [pool.submit(part, cells, span) for span in spans]
            else:
                more = _through_converters(ready, cells, c_ptr, c_idx, values, bits, limit, t_s)
                outside, ends = outside + more[0], ends + more[1]
        for job in pending:
            outside, ends = outside + job.result()[0], ends + job.result()[1]
    # A row's factor is common to all its words: it multiplies entries on their way back to memory.
    values *= np.repeat(ready.row_scale, np.diff(c_ptr))
    return values, outside, ends


def _programmed(ready: Plan, *, rng: Stream, t_s: float, writes: TileWrites | None) -> Iterator[_Cells]:
    """All tiles, some at a time, written and read ``t_s`` seconds later."""
    chip, tiles, parts = ready.chip, ready.tiles, ready.parts
    height, width = tiles.rows, tiles.columns
    batch = max(1, CELLS_AT_ONCE // (parts.planes * height * (width + 1)))
    level = ready.level[tiles.cell_entry]
    nominal = np.array(parts.unit_S)[None, :, None, None]
    for first in range(0, tiles.tiles, batch):
        numbers = np.arange(first, min(first + batch, tiles.tiles))
        cells = slice(int(tiles.tile_ptr[numbers[0]]), int(tiles.tile_ptr[numbers[-1] + 1]))
        dense = torch.zeros(height, numbers.size * width)
        of_tile = np.repeat(np.arange(numbers.size), np.diff(tiles.tile_ptr[first : first + numbers.size + 1]))
        dense[
            torch.from_numpy(tiles.cell_row[cells].astype(np.int64)),
            torch.from_numpy(of_tile * width + tiles.cell_line[cells]),
        ] = torch.from_numpy(level[cells])
        tile_of_column = torch.arange(numbers.size).repeat_interleave(width)
        values = RelativeWeights(dense, torch.ones(dense.shape[1]), tile_of_column)
        encoded = chip.encoding.lay(values, chip.device)
        target = encoded.target_S
        own = target[..., : dense.shape[1]].unflatten(2, (numbers.size, width)).permute(2, 0, 1, 3)
        if encoded.reference is not None:
            own = torch.cat([own, target[..., dense.shape[1] :].permute(2, 0, 1)[..., None]], dim=3)
        own = own.contiguous()
        streams = ChipStreams(tuple(rng.child("tile", int(number)) for number in numbers))
        reference = None if encoded.reference is None else torch.zeros(width, dtype=torch.long)
        one = replace(encoded, target_S=own[0], scale_S=encoded.scale_S[:width], reference=reference)
        held = chip.device.program(own, rng=streams)
        if writes is not None:
            writes.add(held, chip.write_rows_at_once)
        array = Array(chip.device, one, held, Tiling(torch.zeros(width, dtype=torch.long), height))
        reads = array.read_parts(t_s, v_read_V=chip.driver.v_read_V)
        difference = np.stack([read.difference_S.numpy() for read in reads], axis=1)
        # The number of driven rows times the nominal off current, each digit by its significance.
        off_S = np.array(encoded.significance, np.float32)[None, :, None, None] * np.float32(parts.baseline_S)
        if parts.baseline_S:
            difference = difference - off_S
        units = nominal
        if chip.compensation == "tile":
            meant = Array(ORDERLY, one, Cells(own, own), array.tiling).read_parts(0.0)
            aim = np.stack([read.difference_S.numpy() for read in meant], axis=1)
            aim = aim - off_S if parts.baseline_S else aim
            square = np.maximum((aim**2).sum(axis=(1, 2, 3)), np.finfo(np.float32).tiny)
            units = nominal * ((difference * aim).sum(axis=(1, 2, 3)) / square)[:, None, None, None]
        variance = np.empty((numbers.size, len(parts), 0, 0), np.float32)
        common, keys = np.empty(variance.shape[:3], np.float32), np.zeros((numbers.size, 2), np.uint32)
        if reads[0].variance_S2 is not None:
            spread = [read.variance_S2.numpy() for read in reads if read.variance_S2 is not None]
            variance = (np.stack(spread, axis=1) / units**2).astype(np.float32)
            if reads[0].common_S2 is not None:
                same = [read.common_S2[..., 0].numpy() for read in reads if read.common_S2 is not None]
                common = (np.stack(same, axis=1) / units[..., 0] ** 2).astype(np.float32)
            words = [stream.child("read", repr(float(t_s))).key for stream in streams.streams]
            keys = np.array([[word & 0xFFFFFFFF, word >> 32] for word in words], np.uint32)
        yield _Cells(numbers, (difference / units).astype(np.float32), variance, common, keys, streams)


def _through_converters(
    ready: Plan, cells: _Cells, c_ptr: Any, c_idx: Any, values: Any, bits: int, limit: float, t_s: float
) -> tuple[int, int]:
    """The same with converters that err: those of a tile are built once, and see its activations in blocks."""
    chip, t = ready.chip, ready.tiles
    start, e_row, e_line, e_source = ready.entries
    slots = ready.drive.shape[0] * len(ready.parts)
    converter = chip.adc
    grid = Grid(chip.adc_bits, ready.lowest, ready.lowest + 2.0**chip.adc_bits, converter.grid_levels)
    bank = Bank(1, t.columns, chip.columns_per_adc, chip.adc_swing_V / ready.highest)
    outside = ends = 0
    for n, tile in enumerate(cells.tiles.tolist()):
        g = t.tile_group[tile]
        row_ptr = kernel.pointers_of(t.cell_row, t.tile_ptr[tile], t.tile_ptr[tile + 1], t.rows)
        most = kernel.size(0, ready.a.shape[0], start[g], start[g + 1], e_row, e_line, row_ptr)
        if most == 0:
            continue
        row, line, read = (np.empty(most, np.int32) for _ in range(3))
        z = np.empty((most, slots))
        found = kernel.sums(
            0, ready.a.shape[0], start[g], start[g + 1], e_row, e_line, e_source, row_ptr, t.cell_line, t.columns,
            ready.rows_at_once, ready.drive, ready.squares, cells.difference[n], cells.variance[n], cells.common[n],
            cells.keys[n], row, line, read, z,
        )  # fmt: skip
        row, line, read = row[:found], line[:found], read[:found]
        z = z[:found] / np.tile(ready.lsb, slots // len(ready.lsb))
        streams = ChipStreams((cells.streams.streams[n],))
        built = converter.build(grid, bank, rng=streams.child("adc"))
        blocks = -(-(int(read.max()) + 1) // BLOCK)
        words = np.zeros_like(z)
        for slot in range(slots):
            seen = torch.zeros(1, blocks * BLOCK, 1, t.columns)
            driven = np.isfinite(z[:, slot])
            place = (torch.from_numpy(read[driven].astype(np.int64)), torch.from_numpy(line[driven].astype(np.int64)))
            seen[0, place[0], 0, place[1]] = torch.from_numpy(z[driven, slot]).float()
            noise = BlockNoise(streams.child("convert", repr(float(t_s)), slot), range(blocks), BLOCK)
            codes = built.codes(seen, None, noise)
            word = built.words(codes)[0, :, 0].double()
            words[driven, slot] = word[place].numpy() * ready.lsb[slot % len(ready.lsb)]
            size = z[driven, slot]
            outside += int((size >= ready.highest + 0.5).sum() + (size < ready.lowest - 1.5).sum())
        ends += kernel.merge(
            row, line, words, ready.slot_weight, ready.tile_scale[tile], t.line_start[tile],
            t.line_column, c_ptr, c_idx, values, bits, limit, ready.quantum,
        )  # fmt: skip
    return outside, ends
