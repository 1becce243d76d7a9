"""C = A B computed by cells: every activation's current, its noise, its code, and the atomic merge of the words.

Tiles are written some at a time, each from separate streams, by the device's model with all its effects, off
cells and reference columns included; the same cells answer every activation. Then rows of A pass over these tiles, and
their words go to C at once. So memory holds A, B, C and a few tiles, and the result depends on neither batch nor
threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossbar import Array
from devices import BlockNoise, Cells, ChipStreams, Ideal
from mappings.sparse.exact.product import partial_products
from mappings.sparse.tiles import kernel
from mappings.sparse.tiles.counting import row_ranges
from mappings.sparse.tiles.front_end import ColumnErrors
from mappings.sparse.tiles.product import ProductLayout
from mappings.sparse.tiles.writing import WrittenTiles
from periphery.adc.base import Bank
from periphery.adc.grid import Grid
from periphery.adc.quantiser import Quantiser

ORDERLY = Ideal()
"""Cells that read back what they were meant to be."""
BLOCK = 64
"""Activations whose converter noise comes from one generator."""


def compute(
    product: ProductLayout, pattern: Any, tiles: Iterable[WrittenTiles], *, t_s: float, threads: int
) -> tuple[NDArray[np.float64], int, int]:
    """Values of C in the order of ``pattern``, ``t_s`` seconds after ``tiles`` were written; conversions beyond the
    codes and additions beyond the accumulator."""
    c = _sums(product, pattern)
    ideal = isinstance(product.chip.adc, Quantiser)
    work = partial_products(product.a, product.b)
    spans = row_ranges(work, product.windows(work), threads) if ideal else [(0, product.a.shape[0])]
    shared = product.entries, product.tiles.arrays, product.inputs
    outside = ends = 0

    def part(cells: kernel.TileCells, span: tuple[int, int]) -> tuple[int, int]:
        found: tuple[int, int] = kernel.run_tiles(span, *shared, cells, product.converter, c)
        return found

    with ThreadPoolExecutor(max(1, len(spans))) as pool:
        pending: list[Any] = []
        for written in tiles:
            cells = _read(product, written, t_s)
            # The next tiles are written while rows of A pass over these.
            for job in pending:
                outside, ends = outside + job.result()[0], ends + job.result()[1]
            if ideal:
                pending = [pool.submit(part, cells, span) for span in spans]
            else:
                more = _through_converters(product, cells, written.streams, c, t_s)
                outside, ends = outside + more[0], ends + more[1]
        for job in pending:
            outside, ends = outside + job.result()[0], ends + job.result()[1]
    # A row's factor is common to all its words: it multiplies entries on their way back to memory.
    c.values[:] *= np.repeat(product.row_scale, np.diff(c.ptr))
    return c.values, outside, ends


def _sums(product: ProductLayout, pattern: Any) -> kernel.Sums:
    """C with nothing in it."""
    merge = product.chip.merge
    bits, limit = (merge.bits, 0.0) if merge.accumulator == "float" else (0, float(2 ** (merge.bits - 1) - 1))
    return kernel.Sums(
        pattern.indptr.astype(np.int64),
        pattern.indices,
        np.zeros(pattern.indices.size),
        product.slot_weight,
        product.tile_scale,
        bits,
        limit,
        product.quantum,
    )


def _read(product: ProductLayout, written: WrittenTiles, t_s: float) -> kernel.TileCells:
    """Tiles as they are ``t_s`` seconds after they were written, in units."""
    chip, parts, array = product.chip, product.parts, written.array
    reads = array.read_parts(t_s, v_read_V=chip.driver.v_read_V, window_s=chip.driver.window_s(chip.input_bits))
    # The number of driven rows times the nominal off current, each digit by its significance.
    off_S = np.array(array.encoded.significance, np.float32)[None, :, None, None] * np.float32(parts.baseline_S)

    def differences(reads: Any) -> Any:
        stacked = np.stack([read.difference_S.numpy() for read in reads], axis=1)
        return stacked - off_S if parts.baseline_S else stacked

    difference = differences(reads)
    units = np.array(parts.unit_S)[None, :, None, None]
    node_S = torch.stack([read.node_S[:, 0] for read in reads if read.node_S is not None], dim=1)
    errors = ColumnErrors.of(product.circuits, node_S, written.streams)
    if errors.gain is not None:
        difference = difference * errors.gain[:, :, None]
    if errors.common is not None:
        difference = difference + errors.common[:, :, None] * np.float32(chip.device.g_min_S)
    if chip.compensation == "tile":
        wanted = Cells(written.wanted_S, written.wanted_S)
        aim = differences(Array(ORDERLY, array.encoded, wanted, array.tiling).read_parts(0.0))
        square = np.maximum((aim**2).sum(axis=(1, 2, 3)), np.finfo(np.float32).tiny)
        units = units * ((difference * aim).sum(axis=(1, 2, 3)) / square)[:, None, None, None]
    variance = np.empty((written.numbers.size, len(parts), 0, 0), np.float32)
    common, keys = np.empty(variance.shape[:3], np.float32), np.zeros((written.numbers.size, 2), np.uint32)
    supply = chip.read_supply.noise_V / chip.driver.v_read_V
    if reads[0].variance_S2 is not None:
        spread = [read.variance_S2.numpy() for read in reads if read.variance_S2 is not None]
        variance = (np.stack(spread, axis=1) / units**2).astype(np.float32)
        if reads[0].common_S2 is not None:
            same = [read.common_S2[..., 0].numpy() for read in reads if read.common_S2 is not None]
            common = (np.stack(same, axis=1) / units[..., 0] ** 2).astype(np.float32)
    if variance.size or supply > 0.0 or errors.floor is not None:
        words = [stream.child("read", repr(float(t_s))).key for stream in written.streams.streams]
        keys = np.array([[word & 0xFFFFFFFF, word >> 32] for word in words], np.uint32)
    none = np.empty((written.numbers.size, len(parts), 0), np.float32)
    return kernel.TileCells(
        written.numbers,
        (difference / units).astype(np.float32),
        variance,
        common,
        none if errors.floor is None else errors.floor,
        none if errors.offset is None else errors.offset,
        supply,
        keys,
    )


def _through_converters(
    product: ProductLayout, cells: kernel.TileCells, streams: ChipStreams, c: kernel.Sums, t_s: float
) -> tuple[int, int]:
    """The same with converters that err: those of a tile are built once, and see its activations in blocks."""
    entries, tiles, span = product.entries, product.tiles.arrays, (0, product.a.shape[0])
    slots = product.inputs.drive.shape[0] * len(product.parts)
    row_ptr = np.empty(tiles.rows + 1, np.int64)
    outside = ends = 0
    for number, tile in enumerate(cells.tiles.tolist()):
        kernel.pointers(tiles, tile, row_ptr)
        most = kernel.most_words(span, tiles.group[tile], entries, row_ptr)
        if most == 0:
            continue
        words = kernel.empty_words(most, slots)
        found = kernel.sums(span, number, entries, tiles, product.inputs, cells, row_ptr, words)
        words = kernel.Words(*(array[:found] for array in words))
        values, beyond = _converted(product, words, ChipStreams((streams.streams[number],)), t_s)
        outside += beyond
        ends += kernel.merge(tile, tiles, words, values, c)
    return outside, ends


def _converted(
    product: ProductLayout, words: kernel.Words, streams: ChipStreams, t_s: float
) -> tuple[NDArray[np.float64], int]:
    """What the converters of one tile make of its words [units], and how many are beyond their codes."""
    chip, lsb, range_ = product.chip, product.converter.lsb, product.converter
    grid = Grid(chip.adc_bits, range_.lowest, range_.lowest + 2.0**chip.adc_bits, chip.adc.grid_levels)
    bank = Bank(1, product.tiles.columns, chip.columns_per_adc, chip.front_end.swing_V / 2.0**chip.adc_bits)
    built = chip.adc.build(grid, bank, rng=streams.child("adc"))
    z = words.z / np.tile(lsb, words.z.shape[1] // len(lsb))
    blocks = -(-(int(words.read.max()) + 1) // BLOCK)
    values, outside = np.zeros_like(z), 0
    for slot in range(z.shape[1]):
        charge = torch.zeros(1, blocks * BLOCK, 1, product.tiles.columns)
        driven = np.isfinite(z[:, slot])
        read, line = (torch.from_numpy(index[driven].astype(np.int64)) for index in (words.read, words.line))
        charge[0, read, 0, line] = torch.from_numpy(z[driven, slot]).float()
        noise = BlockNoise(streams.child("convert", repr(float(t_s)), slot), range(blocks), BLOCK)
        codes = built.codes(charge, None, noise)
        values[driven, slot] = built.words(codes)[0, :, 0].double()[read, line].numpy() * lsb[slot % len(lsb)]
        size = z[driven, slot]
        outside += int((size >= range_.highest + 0.5).sum() + (size < range_.lowest - 1.5).sum())
    return values, outside
