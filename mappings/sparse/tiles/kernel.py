"""Activations of tiles, one by one: what they drive, touch, convert and merge; compiled.

An *activation* is one tile with up to ``rows_at_once`` of the word lines that one row of A needs and that hold
something on this tile. Both functions walk over the same activations in the same order: ``survey`` counts, ``sums``
computes the columns' charge.

Noise of a read is a pure function of tile, row of A, activation and bit line (a counter under a key), so that neither
threads nor batches of tiles move a bit of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from mappings.counter_noise import philox

ACTIVATIONS, ROW_DRIVES, PRODUCTS, TOUCHED, CONVERSIONS, ROUNDS, CLOCKS, PULSES, DRIVEN, LOSS = range(10)
COUNTED = 10


@njit(nogil=True, cache=True, error_model="numpy")
def bucket(a_ptr: Any, a_idx: Any, driven: Any, position: Any, rows: int, groups: int) -> Any:
    """Nonzeros of A by the group of word lines that they drive: where each group begins, row of A, word line, and
    place in A's arrays; those that drive nothing left out. Within a group, rows of A rise."""
    start = np.zeros(groups + 1, np.int64)
    for p in range(a_idx.size):
        place = position[a_idx[p]]
        if place >= 0 and driven[p]:
            start[place // rows + 1] += 1
    for g in range(groups):
        start[g + 1] += start[g]
    at = start[:-1].copy()
    e_row = np.empty(start[-1], np.int32)
    e_line = np.empty(start[-1], np.int32)
    e_source = np.empty(start[-1], np.int64)
    for i in range(a_ptr.size - 1):
        for p in range(a_ptr[i], a_ptr[i + 1]):
            place = position[a_idx[p]]
            if place >= 0 and driven[p]:
                g = place // rows
                e_row[at[g]], e_line[at[g]], e_source[at[g]] = i, place % rows, p
                at[g] += 1
    return start, e_row, e_line, e_source


@njit(nogil=True, cache=True, error_model="numpy")
def _first_at(values: Any, low: Any, high: Any, wanted: Any) -> Any:
    """First place in the rising ``values[low:high]`` that is not below ``wanted``."""
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True, error_model="numpy")
def _pointers(cell_row: Any, start: Any, stop: Any, row_ptr: Any) -> None:
    """Where each word line's cells begin; they are sorted by word line."""
    row_ptr[:] = 0
    for q in range(start, stop):
        row_ptr[cell_row[q] + 1] += 1
    row_ptr[0] = start
    for r in range(row_ptr.size - 1):
        row_ptr[r + 1] += row_ptr[r]


@njit(nogil=True, cache=True, error_model="numpy")
def _next(p: Any, stop: Any, e_row: Any, e_line: Any, e_source: Any, row_ptr: Any, lines: Any, sources: Any) -> Any:
    """Word lines of one activation from place ``p`` on, at most as many as ``lines`` holds; how many, and the place
    after."""
    i, n = e_row[p], 0
    while p < stop and e_row[p] == i and n < lines.size:
        r = e_line[p]
        if row_ptr[r + 1] > row_ptr[r]:
            lines[n], sources[n] = r, e_source[p]
            n += 1
        p += 1
    return n, p


@njit(nogil=True, cache=True, error_model="numpy")
def survey(
    row_low: Any,
    row_high: Any,
    start: Any,
    e_row: Any,
    e_line: Any,
    e_source: Any,
    tile_ptr: Any,
    tile_group: Any,
    cell_row: Any,
    cell_line: Any,
    cell_load: Any,
    idle_load: Any,
    line_start: Any,
    line_column: Any,
    rows: int,
    columns: int,
    rows_at_once: int,
    parts: int,
    drive: Any,
    sign_clocks: Any,
    all_clocks: Any,
    loads: Any,
    columns_per_adc: int,
    tiles_a_pass: int,
    window_of_row: Any,
    t_clk: float,
    adc_s: float,
    c_ptr: Any,
    c_idx: Any,
    per_tile: Any,
    busy: Any,
    merged: Any,
    hits: Any,
) -> None:
    """Counts of A's rows ``row_low .. row_high - 1`` on all tiles.

    ``drive``: (phases converted apart, nonzeros of A); ``loads``: (3, nonzeros of A), pulses, driven clocks and loss
    clocks; ``per_tile``: (tiles, COUNTED), added to; ``busy``, ``merged``: (passes, windows), longest time of a tile
    and words merged; ``hits``: words merged into each entry of C, or empty.
    """
    phases = drive.shape[0]
    row_ptr = np.empty(rows + 1, np.int64)
    load = np.empty(rows)
    lines, sources = np.empty(rows_at_once, np.int64), np.empty(rows_at_once, np.int64)
    mark, mark_all = np.full(columns, -1, np.int64), np.full(columns, -1, np.int64)
    turns = np.zeros((columns + columns_per_adc - 1) // columns_per_adc, np.int64)
    stamp, activation = 0, 0
    for t in range(tile_group.size):
        g = tile_group[t]
        p = _first_at(e_row, start[g], start[g + 1], row_low)
        stop = _first_at(e_row, p, start[g + 1], row_high)
        if p == stop:
            continue
        _pointers(cell_row, tile_ptr[t], tile_ptr[t + 1], row_ptr)
        for r in range(rows):
            load[r] = idle_load
            for q in range(row_ptr[r], row_ptr[r + 1]):
                load[r] += cell_load[q]
        count = per_tile[t]
        part_of_b = t // tiles_a_pass
        window, in_window = np.int64(-1), 0.0
        while p < stop:
            i = np.int64(e_row[p])
            n, p = _next(p, stop, e_row, e_line, e_source, row_ptr, lines, sources)
            if n == 0:
                continue
            if window_of_row[i] != window:
                if window >= 0:
                    busy[part_of_b, window] = max(busy[part_of_b, window], in_window)
                window, in_window = window_of_row[i], 0.0
            activation += 1
            positive, negative, clocks, rounds, driven_phases = 0, 0, 0.0, 0, 0
            touched = 0
            for phase in range(phases):
                stamp += 1
                turns[:] = 0
                driven = 0
                for m in range(n):
                    x = drive[phase, sources[m]]
                    if x == 0:
                        continue
                    driven += 1
                    if x > 0:
                        positive = 1
                    else:
                        negative = 1
                    r = lines[m]
                    for q in range(row_ptr[r], row_ptr[r + 1]):
                        line = cell_line[q]
                        if mark[line] != stamp:
                            mark[line] = stamp
                            turns[line // columns_per_adc] += 1
                            count[CONVERSIONS] += parts
                            if mark_all[line] != activation:
                                mark_all[line] = activation
                                touched += 1
                                merged[part_of_b, window] += 1
                                if hits.size:
                                    j = line_column[line_start[t] + line]
                                    hits[_first_at(c_idx, c_ptr[i], c_ptr[i + 1], j)] += 1
                if driven:
                    driven_phases += 1
                    rounds += turns.max() * parts
            for m in range(n):
                r, source = lines[m], sources[m]
                count[PRODUCTS] += row_ptr[r + 1] - row_ptr[r]
                count[PULSES] += loads[0, source]
                count[DRIVEN] += loads[1, source]
                count[LOSS] += loads[2, source] * load[r]
            clocks = all_clocks * driven_phases + sign_clocks * (positive + negative)
            count[ACTIVATIONS] += 1
            count[ROW_DRIVES] += n
            count[TOUCHED] += touched
            count[ROUNDS] += rounds
            count[CLOCKS] += clocks
            in_window += clocks * t_clk + rounds * adc_s
        if window >= 0:
            busy[part_of_b, window] = max(busy[part_of_b, window], in_window)


@njit(nogil=True, cache=True, error_model="numpy")
def _normal(line: Any, slot: Any, activation: Any, row: Any, k0: Any, k1: Any) -> Any:
    w0, w1, _, _ = philox(
        np.uint32(line), np.uint32(activation), np.uint32(row), np.uint32(slot), np.uint32(k0), np.uint32(k1)
    )
    u = (np.float64(w0) + 1.0) * 2.0**-32
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * 2.0**-32 * np.float64(w1))


@njit(nogil=True, cache=True, error_model="numpy")
def size(row_low: Any, row_high: Any, first: Any, last: Any, e_row: Any, e_line: Any, row_ptr: Any) -> Any:
    """Products of a tile: no more words than that can come of it."""
    p = _first_at(e_row, first, last, row_low)
    stop = _first_at(e_row, p, last, row_high)
    total = np.int64(0)
    for q in range(p, stop):
        total += row_ptr[e_line[q] + 1] - row_ptr[e_line[q]]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def sums(
    row_low: Any,
    row_high: Any,
    first: Any,
    last: Any,
    e_row: Any,
    e_line: Any,
    e_source: Any,
    row_ptr: Any,
    cell_line: Any,
    columns: int,
    rows_at_once: int,
    drive: Any,
    squares: Any,
    difference: Any,
    variance: Any,
    common: Any,
    key: Any,
    out_row: Any,
    out_line: Any,
    out_read: Any,
    out_z: Any,
) -> Any:
    """Charge of every touched bit line in every activation of one tile [units], read noise included; how many.

    ``first .. last``: the entries of the tile's group; ``drive``, ``squares``: (phases, nonzeros of A), counts and what
    multiplies a cell's variance; ``difference``: (parts, rows, columns) [units]; ``variance``: the same shape, or with
    one column or none at all; ``common``: (parts, rows) or with no row, noise of the reference; ``key``: two words of
    the tile; ``out_read``: number of the activation on this tile; ``out_z``: (words, phases * parts), nan where nothing
    was driven.
    """
    phases, parts = drive.shape[0], difference.shape[0]
    noisy, own, shared = variance.shape[1] > 0, variance.shape[2] > 1, common.shape[1] > 0
    lines, sources = np.empty(rows_at_once, np.int64), np.empty(rows_at_once, np.int64)
    mark, mark_all = np.full(columns, -1, np.int64), np.full(columns, -1, np.int64)
    word = np.empty(columns, np.int64)
    touched = np.empty(columns, np.int64)
    stamp, at, activation, before = 0, 0, 0, np.int64(-1)
    p = _first_at(e_row, first, last, row_low)
    stop = _first_at(e_row, p, last, row_high)
    everything = 0
    while p < stop:
        i = np.int64(e_row[p])
        n, p = _next(p, stop, e_row, e_line, e_source, row_ptr, lines, sources)
        if n == 0:
            continue
        activation = activation + 1 if i == before else 0
        before = i
        everything += 1
        for phase in range(phases):
            stamp += 1
            found = 0
            for m in range(n):
                if drive[phase, sources[m]] == 0:
                    continue
                r = lines[m]
                for q in range(row_ptr[r], row_ptr[r + 1]):
                    line = cell_line[q]
                    if mark[line] != stamp:
                        mark[line] = stamp
                        touched[found] = line
                        found += 1
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
                if not noisy:
                    continue
                offset = math.sqrt(together) * _normal(columns, slot, activation, i, key[0], key[1]) if shared else 0.0
                alike = 0.0
                if not own:
                    for m in range(n):
                        alike += squares[phase, sources[m]] * variance[part, lines[m], 0]
                for f in range(found):
                    line = touched[f]
                    spread = alike
                    if own:
                        spread = 0.0
                        for m in range(n):
                            spread += squares[phase, sources[m]] * variance[part, lines[m], line]
                    noise = math.sqrt(spread) * _normal(line, slot, activation, i, key[0], key[1])
                    out_z[word[line], slot] += noise - offset
    return at


@njit(nogil=True, cache=True, error_model="numpy")
def quantise(z: Any, words: Any, lsb: Any, lowest: Any, highest: Any) -> Any:
    """Words [units] of the ideal quantiser, 0 where nothing was driven; how many lie outside its codes."""
    outside = 0
    slots, parts = z.shape[1], lsb.size
    for n in range(words.shape[0]):
        for slot in range(slots):
            x = z[n, slot]
            if math.isnan(x):
                words[n, slot] = 0.0
                continue
            step = lsb[slot % parts]
            code = math.floor(x / step + 0.5)
            if code > highest:
                code = highest
                outside += 1
            elif code < lowest:
                outside += code < lowest - 1
                code = lowest
            words[n, slot] = code * step
    return outside


@njit(nogil=True, cache=True, error_model="numpy")
def merge(
    rows: Any,
    lines: Any,
    words: Any,
    slot_weight: Any,
    tile_scale: Any,
    start: Any,
    line_column: Any,
    c_ptr: Any,
    c_idx: Any,
    c_val: Any,
    bits: int,
    limit: float,
    quantum: float,
) -> Any:
    """Add words to their entries of C, in counts; how many additions met the accumulator's end.

    ``bits``: significant bits of a floating accumulator, or 0 for a fixed one of ``-limit - 1 .. limit`` quanta.
    """
    split = 2.0 ** (53 - bits) + 1.0
    ends = 0
    for n in range(rows.size):
        i = rows[n]
        value = 0.0
        for slot in range(words.shape[1]):
            value += slot_weight[slot] * words[n, slot]
        value *= tile_scale
        at = _first_at(c_idx, c_ptr[i], c_ptr[i + 1], line_column[start + lines[n]])
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
def run_tiles(
    row_low: Any,
    row_high: Any,
    tiles: Any,
    start: Any,
    e_row: Any,
    e_line: Any,
    e_source: Any,
    tile_ptr: Any,
    tile_group: Any,
    cell_row: Any,
    cell_line: Any,
    line_start: Any,
    line_column: Any,
    rows: int,
    columns: int,
    rows_at_once: int,
    drive: Any,
    squares: Any,
    difference: Any,
    variance: Any,
    common: Any,
    keys: Any,
    lsb: Any,
    lowest: Any,
    highest: Any,
    slot_weight: Any,
    tile_scale: Any,
    c_ptr: Any,
    c_idx: Any,
    c_val: Any,
    bits: int,
    limit: float,
    quantum: float,
) -> Any:
    """The whole way of some rows of A on some tiles with the ideal quantiser; conversions and additions out of range.

    ``difference``, ``variance``, ``common``, ``keys`` carry the tiles' dimension first."""
    row_ptr = np.empty(rows + 1, np.int64)
    outside, ends = 0, 0
    slots = drive.shape[0] * difference.shape[1]
    held = 0
    out_row, out_line, out_read = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int32)
    out_z, words = np.empty((0, slots)), np.empty((0, slots))
    for n in range(tiles.size):
        t = tiles[n]
        g = tile_group[t]
        _pointers(cell_row, tile_ptr[t], tile_ptr[t + 1], row_ptr)
        most = size(row_low, row_high, start[g], start[g + 1], e_row, e_line, row_ptr)
        if most == 0:
            continue
        if most > held:
            held = most
            out_row, out_line = np.empty(held, np.int32), np.empty(held, np.int32)
            out_read = np.empty(held, np.int32)
            out_z, words = np.empty((held, slots)), np.empty((held, slots))
        found = sums(
            row_low, row_high, start[g], start[g + 1], e_row, e_line, e_source, row_ptr, cell_line, columns,
            rows_at_once, drive, squares, difference[n], variance[n], common[n], keys[n], out_row, out_line,
            out_read, out_z,
        )  # fmt: skip
        outside += quantise(out_z, words[:found], lsb, lowest, highest)
        ends += merge(
            out_row[:found], out_line[:found], words[:found], slot_weight, tile_scale[t], line_start[t],
            line_column, c_ptr, c_idx, c_val, bits, limit, quantum,
        )  # fmt: skip
    return outside, ends


@njit(nogil=True, cache=True, error_model="numpy")
def pointers_of(cell_row: Any, start: Any, stop: Any, rows: int) -> Any:
    """Where each word line's cells of one tile begin."""
    row_ptr = np.empty(rows + 1, np.int64)
    _pointers(cell_row, start, stop, row_ptr)
    return row_ptr
