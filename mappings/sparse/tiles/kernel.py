"""Activations of tiles, one by one: what they drive, touch, convert and merge; compiled.

An *activation* is one tile with up to ``rows_at_once`` of the word lines that one row of A needs and that hold
something on this tile. Both functions walk over the same activations in the same order: ``survey`` counts, ``sums``
computes the columns' charge.

Noise of a read is a pure function of tile, row of A, activation and bit line (a counter under a key), so that neither
threads nor batches of tiles move a bit of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from mappings.counter_noise import philox

ACTIVATIONS, ROW_DRIVES, PRODUCTS, TOUCHED, CONVERSIONS, ROUNDS, CLOCKS, PULSES, DRIVEN, LOSS = range(10)
COUNTED = 10


class Entries(NamedTuple):
    """Nonzeros of A by the group of word lines that they drive, those that drive nothing left out.

    ``start``: where each group begins; ``row`` of A, word ``line``, and ``source``, the position in A's arrays. Within
    a group, rows of A rise.
    """

    start: Any
    row: Any
    line: Any
    source: Any


class Tiles(NamedTuple):
    """Nonzeros of B on tiles: what of a ``TileMap`` the kernel needs."""

    ptr: Any
    group: Any
    cell_row: Any
    cell_line: Any
    line_start: Any
    line_column: Any
    rows: int
    columns: int


class Inputs(NamedTuple):
    """What nonzeros of A do on their word lines.

    ``drive``, ``squares``: (phases converted apart, nonzeros of A), counts, and what multiplies a cell's variance of
    fast read noise; ``loads``: (3, nonzeros of A), pulses, driven clock periods, clock periods of loss;
    ``rows_at_once``: rows driven in one activation at most.
    """

    drive: Any
    squares: Any
    loads: Any
    rows_at_once: int


class Rates(NamedTuple):
    """What the survey needs of the chip.

    ``sign_clocks``, ``phase_clocks``, ``settle_clocks``: clock periods of an activation for each sign, for each phase
    converted apart, and before each conversion;
    ``cell_load``, ``idle_load``: load of each nonzero beyond that of an off cell, and of a word line of off cells [S].
    """

    parts: int
    columns_per_adc: int
    tiles_a_pass: int
    sign_clocks: float
    phase_clocks: float
    settle_clocks: float
    t_clk_s: float
    adc_s: float
    cell_load: Any
    idle_load: float


class Tally(NamedTuple):
    """What the survey adds to.

    ``per_tile``: (tiles, COUNTED); ``busy``, ``merged``: (passes, windows), longest time of a tile and words merged;
    ``hits``: words merged into each entry of C, whose pattern is ``c_ptr``, ``c_idx``.
    """

    window_of_row: Any
    c_ptr: Any
    c_idx: Any
    per_tile: Any
    busy: Any
    merged: Any
    hits: Any


class TileCells(NamedTuple):
    """Some tiles at the time of reading, in units.

    ``difference``: (tiles, parts, rows, columns); ``variance``: the same shape, or with one column or none at all;
    ``common``: (tiles, parts, rows) or with no row, noise of the reference; ``floor``, ``offset``: (tiles, parts,
    columns) or with no column, of front ends, the variance of noise and a constant in every conversion; ``supply``:
    relative standard deviation of the read voltage in an activation; ``keys``: (tiles, 2), of the read noise.
    """

    tiles: Any
    difference: Any
    variance: Any
    common: Any
    floor: Any
    offset: Any
    supply: float
    keys: Any


class Words(NamedTuple):
    """Touched bit lines of the activations of one tile: ``row`` of A, bit ``line``, number of the activation
    (``read``), and ``z`` (words, phases * parts), charge [units], nan where nothing was driven."""

    row: Any
    line: Any
    read: Any
    z: Any


class Walk(NamedTuple):
    """One activation after the other on one tile: where each word line's cells begin, the activation's word lines and
    positions in A's arrays, the phase that last touched each bit line, and the bit lines of the present one."""

    row_ptr: Any
    lines: Any
    sources: Any
    mark: Any
    touched: Any


class Converter(NamedTuple):
    """One step in each part [units], and the lowest and highest code, in steps from zero."""

    lsb: Any
    lowest: float
    highest: float


class Sums(NamedTuple):
    """C while it is summed.

    ``slot_weight``: worth of a unit in each conversion of a word; ``tile_scale``: full scale of each tile; ``bits``:
    significant bits of a floating accumulator, or 0 for a fixed one of ``-limit - 1 .. limit`` quanta.
    """

    ptr: Any
    idx: Any
    values: Any
    slot_weight: Any
    tile_scale: Any
    bits: int
    limit: float
    quantum: float


@njit(nogil=True, cache=True, error_model="numpy")
def bucket(a_ptr: Any, a_idx: Any, driven: Any, position: Any, rows: int, groups: int) -> Any:
    """``Entries`` of the nonzeros of A."""
    start = np.zeros(groups + 1, np.int64)
    for p in range(a_idx.size):
        line = position[a_idx[p]]
        if line >= 0 and driven[p]:
            start[line // rows + 1] += 1
    for g in range(groups):
        start[g + 1] += start[g]
    at = start[:-1].copy()
    e_row = np.empty(start[-1], np.int32)
    e_line = np.empty(start[-1], np.int32)
    e_source = np.empty(start[-1], np.int64)
    for i in range(a_ptr.size - 1):
        for p in range(a_ptr[i], a_ptr[i + 1]):
            line = position[a_idx[p]]
            if line >= 0 and driven[p]:
                g = line // rows
                e_row[at[g]], e_line[at[g]], e_source[at[g]] = i, line % rows, p
                at[g] += 1
    return Entries(start, e_row, e_line, e_source)


@njit(nogil=True, cache=True, error_model="numpy")
def _first_at(values: Any, low: Any, high: Any, wanted: Any) -> Any:
    """First position in the rising ``values[low:high]`` that is not below ``wanted``."""
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True, error_model="numpy")
def _entries_of(span: Any, group: Any, entries: Any) -> Any:
    """First and last entry of a group whose row of A is in ``span``."""
    first = _first_at(entries.row, entries.start[group], entries.start[group + 1], span[0])
    return first, _first_at(entries.row, first, entries.start[group + 1], span[1])


@njit(nogil=True, cache=True, error_model="numpy")
def pointers(tiles: Any, t: Any, row_ptr: Any) -> None:
    """Where the cells of each word line of tile ``t`` begin; they are sorted by word line."""
    row_ptr[:] = 0
    for q in range(tiles.ptr[t], tiles.ptr[t + 1]):
        row_ptr[tiles.cell_row[q] + 1] += 1
    row_ptr[0] = tiles.ptr[t]
    for r in range(row_ptr.size - 1):
        row_ptr[r + 1] += row_ptr[r]


@njit(nogil=True, cache=True, error_model="numpy")
def _walk(tiles: Any, rows_at_once: int, row_ptr: Any) -> Any:
    lines, sources = np.empty(rows_at_once, np.int64), np.empty(rows_at_once, np.int64)
    return Walk(row_ptr, lines, sources, np.full(tiles.columns, -1, np.int64), np.empty(tiles.columns, np.int64))


@njit(nogil=True, cache=True, error_model="numpy")
def _next(p: Any, stop: Any, entries: Any, walk: Any) -> Any:
    """Word lines of one activation from entry ``p`` on; how many, and the entry after."""
    row_ptr, lines, sources, _, _ = walk
    i, n = entries.row[p], 0
    while p < stop and entries.row[p] == i and n < lines.size:
        r = entries.line[p]
        if row_ptr[r + 1] > row_ptr[r]:
            lines[n], sources[n] = r, entries.source[p]
            n += 1
        p += 1
    return n, p


@njit(nogil=True, cache=True, error_model="numpy")
def _touch(x: Any, n: Any, cell_line: Any, walk: Any, stamp: Any) -> Any:
    """Bit lines that a phase of an activation of ``n`` word lines touches, under counts ``x``; how many."""
    row_ptr, lines, sources, mark, touched = walk
    found = 0
    for m in range(n):
        if x[sources[m]] == 0:
            continue
        r = lines[m]
        for q in range(row_ptr[r], row_ptr[r + 1]):
            line = cell_line[q]
            if mark[line] != stamp:
                mark[line] = stamp
                touched[found] = line
                found += 1
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def survey(span: Any, entries: Any, tiles: Any, inputs: Any, rates: Any, tally: Any) -> None:
    """Counts of A's rows ``span[0] .. span[1] - 1`` on all tiles, added to ``tally``."""
    row_ptr, load = np.empty(tiles.rows + 1, np.int64), np.empty(tiles.rows)
    walk, mark_all = _walk(tiles, inputs.rows_at_once, row_ptr), np.full(tiles.columns, -1, np.int64)
    lines, sources, touched = walk.lines, walk.sources, walk.touched
    turns = np.zeros((tiles.columns + rates.columns_per_adc - 1) // rates.columns_per_adc, np.int64)
    drive, cell_line, columns_per_adc, parts = inputs.drive, tiles.cell_line, rates.columns_per_adc, rates.parts
    stamp, activation = 0, 0
    for t in range(tiles.group.size):
        p, stop = _entries_of(span, tiles.group[t], entries)
        if p == stop:
            continue
        pointers(tiles, t, row_ptr)
        for r in range(tiles.rows):
            load[r] = rates.idle_load
            for q in range(row_ptr[r], row_ptr[r + 1]):
                load[r] += rates.cell_load[q]
        count = tally.per_tile[t]
        busy, merged = tally.busy[t // rates.tiles_a_pass], tally.merged[t // rates.tiles_a_pass]
        window, in_window = np.int64(-1), 0.0
        while p < stop:
            i = np.int64(entries.row[p])
            n, p = _next(p, stop, entries, walk)
            if n == 0:
                continue
            if tally.window_of_row[i] != window:
                if window >= 0:
                    busy[window] = max(busy[window], in_window)
                window, in_window = tally.window_of_row[i], 0.0
            activation += 1
            positive, negative, rounds, driven_phases, words = 0, 0, 0, 0, 0
            for phase in range(drive.shape[0]):
                stamp += 1
                driven = 0
                for m in range(n):
                    x = drive[phase, sources[m]]
                    driven += x != 0
                    positive |= x > 0
                    negative |= x < 0
                turns[:] = 0
                for f in range(_touch(drive[phase], n, cell_line, walk, stamp)):
                    line = touched[f]
                    turns[line // columns_per_adc] += 1
                    count[CONVERSIONS] += parts
                    if mark_all[line] != activation:
                        mark_all[line] = activation
                        words += 1
                        j = tiles.line_column[tiles.line_start[t] + line]
                        tally.hits[_first_at(tally.c_idx, tally.c_ptr[i], tally.c_ptr[i + 1], j)] += 1
                if driven:
                    driven_phases += 1
                    rounds += turns.max() * parts
            for m in range(n):
                r, source = lines[m], sources[m]
                count[PRODUCTS] += row_ptr[r + 1] - row_ptr[r]
                count[PULSES] += inputs.loads[0, source]
                count[DRIVEN] += inputs.loads[1, source]
                count[LOSS] += inputs.loads[2, source] * load[r]
            clocks = (rates.phase_clocks + rates.settle_clocks) * driven_phases
            clocks += rates.sign_clocks * (positive + negative)
            merged[window] += words
            count[ACTIVATIONS] += 1
            count[ROW_DRIVES] += n
            count[TOUCHED] += words
            count[ROUNDS] += rounds
            count[CLOCKS] += clocks
            in_window += clocks * rates.t_clk_s + rounds * rates.adc_s
        if window >= 0:
            busy[window] = max(busy[window], in_window)


@njit(nogil=True, cache=True, error_model="numpy")
def _normal(line: Any, slot: Any, activation: Any, row: Any, k0: Any, k1: Any) -> Any:
    w0, w1, _, _ = philox(
        np.uint32(line), np.uint32(activation), np.uint32(row), np.uint32(slot), np.uint32(k0), np.uint32(k1)
    )
    u = (np.float64(w0) + 1.0) * 2.0**-32
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * 2.0**-32 * np.float64(w1))


@njit(nogil=True, cache=True, error_model="numpy")
def most_words(span: Any, group: Any, entries: Any, row_ptr: Any) -> Any:
    """Products of a tile of this group: no more words than that can come of it."""
    first, last = _entries_of(span, group, entries)
    total = np.int64(0)
    for q in range(first, last):
        total += row_ptr[entries.line[q] + 1] - row_ptr[entries.line[q]]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def empty_words(most: int, slots: int) -> Any:
    """Memory for so many ``Words``."""
    row, line, read = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    return Words(row, line, read, np.empty((most, slots)))


@njit(nogil=True, cache=True, error_model="numpy")
def sums(span: Any, number: Any, entries: Any, tiles: Any, inputs: Any, cells: Any, row_ptr: Any, words: Any) -> Any:
    """Charge of every touched bit line in every activation of one tile, read noise included, into ``words``; how many.

    ``number``: of the tile among ``cells``.
    """
    drive, squares = inputs.drive, inputs.squares
    difference, variance, common = cells.difference[number], cells.variance[number], cells.common[number]
    k0, k1, parts = cells.keys[number, 0], cells.keys[number, 1], difference.shape[0]
    floor, constant = cells.floor[number], cells.offset[number]
    noisy, separate, shared = variance.shape[1] > 0, variance.shape[2] > 1, common.shape[1] > 0
    white, shifted, supplied = floor.shape[1] > 0, constant.shape[1] > 0, cells.supply > 0.0
    walk = _walk(tiles, inputs.rows_at_once, row_ptr)
    lines, sources, touched = walk.lines, walk.sources, walk.touched
    word, mark_all = np.empty(tiles.columns, np.int64), np.full(tiles.columns, -1, np.int64)
    out_row, out_line, out_read, out_z = words
    stamp, at, activation, before = 0, 0, 0, np.int64(-1)
    p, stop = _entries_of(span, tiles.group[cells.tiles[number]], entries)
    everything = 0
    while p < stop:
        i = np.int64(entries.row[p])
        n, p = _next(p, stop, entries, walk)
        if n == 0:
            continue
        activation = activation + 1 if i == before else 0
        before = i
        everything += 1
        for phase in range(drive.shape[0]):
            stamp += 1
            found = _touch(drive[phase], n, tiles.cell_line, walk, stamp)
            for f in range(found):
                line = touched[f]
                if mark_all[line] != everything:
                    mark_all[line] = everything
                    out_row[at], out_line[at], out_read[at] = i, line, everything - 1
                    out_z[at, :] = np.nan
                    word[line] = at
                    at += 1
            for part in range(parts):
                slot = phase * parts + part
                for f in range(found):
                    out_z[word[touched[f]], slot] = 0.0
                together = 0.0
                for m in range(n):
                    x = drive[phase, sources[m]]
                    if x != 0:
                        r = lines[m]
                        if shared:
                            together += squares[phase, sources[m]] * common[part, r]
                        for f in range(found):
                            out_z[word[touched[f]], slot] += x * difference[part, r, touched[f]]
                if supplied:
                    volts = 1.0 + cells.supply * _normal(tiles.columns + 1, slot, activation, i, k0, k1)
                    for f in range(found):
                        out_z[word[touched[f]], slot] *= volts
                if shifted:
                    for f in range(found):
                        out_z[word[touched[f]], slot] += constant[part, touched[f]]
                if not (noisy or white):
                    continue
                offset = math.sqrt(together) * _normal(tiles.columns, slot, activation, i, k0, k1) if shared else 0.0
                alike = 0.0
                if noisy and not separate:
                    for m in range(n):
                        alike += squares[phase, sources[m]] * variance[part, lines[m], 0]
                for f in range(found):
                    line = touched[f]
                    spread = alike
                    if separate:
                        spread = 0.0
                        for m in range(n):
                            spread += squares[phase, sources[m]] * variance[part, lines[m], line]
                    if white:
                        spread += floor[part, line]
                    noise = math.sqrt(spread) * _normal(line, slot, activation, i, k0, k1)
                    out_z[word[line], slot] += noise - offset
    return at


@njit(nogil=True, cache=True, error_model="numpy")
def quantise(z: Any, values: Any, converter: Any) -> Any:
    """Values [units] of the ideal quantiser, 0 where nothing was driven; how many are outside its codes."""
    outside = 0
    lsb, lowest, highest = converter
    slots, parts = z.shape[1], lsb.size
    for n in range(values.shape[0]):
        for slot in range(slots):
            x = z[n, slot]
            if math.isnan(x):
                values[n, slot] = 0.0
                continue
            step = lsb[slot % parts]
            code = math.floor(x / step + 0.5)
            if code > highest:
                code = highest
                outside += 1
            elif code < lowest:
                outside += code < lowest - 1
                code = lowest
            values[n, slot] = code * step
    return outside


@njit(nogil=True, cache=True, error_model="numpy")
def merge(t: Any, tiles: Any, words: Any, values: Any, c: Any) -> Any:
    """Add the values of tile ``t``'s first words to their entries of C, in counts; how many additions met the
    accumulator's end."""
    c_ptr, c_idx, c_val, slot_weight, tile_scale, bits, limit, quantum = c
    split, scale, start = 2.0 ** (53 - bits) + 1.0, tile_scale[t], tiles.line_start[t]
    ends = 0
    for n in range(values.shape[0]):
        i = words.row[n]
        value = 0.0
        for slot in range(values.shape[1]):
            value += slot_weight[slot] * values[n, slot]
        value *= scale
        at = _first_at(c_idx, c_ptr[i], c_ptr[i + 1], tiles.line_column[start + words.line[n]])
        if bits == 53:
            c_val[at] += value
        elif bits > 0:
            total = c_val[at] + value
            # Dekker's splitting: what is left of a double after rounding to so many bits.
            turned = split * total
            c_val[at] = turned - (turned - total)
        else:
            total = c_val[at] + math.floor(value / quantum + 0.5) * quantum
            if total > limit * quantum:
                total = limit * quantum
                ends += 1
            elif total < -(limit + 1.0) * quantum:
                total = -(limit + 1.0) * quantum
                ends += 1
            c_val[at] = total
    return ends


@njit(nogil=True, cache=True, error_model="numpy")
def run_tiles(span: Any, entries: Any, tiles: Any, inputs: Any, cells: Any, converter: Any, c: Any) -> Any:
    """Rows of A on some tiles with the ideal quantiser, from inputs to C; conversions and additions out of range."""
    row_ptr = np.empty(tiles.rows + 1, np.int64)
    outside, ends, longest = 0, 0, 0
    slots = inputs.drive.shape[0] * cells.difference.shape[1]
    words, values = empty_words(0, slots), np.empty((0, slots))
    for number in range(cells.tiles.size):
        t = cells.tiles[number]
        pointers(tiles, t, row_ptr)
        most = most_words(span, tiles.group[t], entries, row_ptr)
        if most == 0:
            continue
        if most > longest:
            longest = most
            words, values = empty_words(longest, slots), np.empty((longest, slots))
        found = sums(span, number, entries, tiles, inputs, cells, row_ptr, words)
        outside += quantise(words.z, values[:found], converter)
        ends += merge(t, tiles, words, values[:found], c)
    return outside, ends
