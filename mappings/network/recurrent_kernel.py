"""All steps of a recurrent layer for a few samples of one chip, compiled: product, noise, conversion, state, feedback.

The arithmetic is that of ``mappings.network.recurrent_run``, a sample at a time, so that nothing of a step leaves the
second cache. A conversion's constants are folded: what a comparator sees is ``z gain + shift`` with a variance of
``variance + floor``. Every noise number is a function of chip, sample, step, origin and column
(``mappings.counter_noise``): nothing depends on which samples or chips are computed beside, nor on the threads.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mappings.counter_noise import normals
from mappings.panel_product import borrowed, product

LSTM, GRU, RNN = 0, 1, 2
SAMPLES = 64  # at most, of one unit of work
SEVERAL = 8  # thresholds that are compared at a time; tables are filled up with not-a-number
DRAWN = 64  # noise numbers are drawn in multiples of so many
# Origins of noise within one run of a layer; and counters of what was done.
STEP, SUPPLY, STATE_SUPPLY, CANDIDATE_SUPPLY = range(4)
ORIGINS_BITS = 2
GATE_STEPS, ADC_STEPS, STATE_PULSES, STATE_CLOCKS, STATE_STEPS = range(5)

_f, _u = np.float32, np.uint32
_0, _1, _HALF = _f(0.0), _f(1.0), _f(0.5)
_MAGIC, _FAR = _f(1.5 * 2**23), _f(2.0**21)  # adding and taking away the first rounds to even, up to the second


class Bank(NamedTuple):
    """Converters of all columns, ramps or quantisers; columns are numbered with what fills up their panels.

    ``columns``: ``(ramps, 3)`` int64, first column, last, and group; ``levels``: ``(chips, ramps, thresholds)``, filled
    up to a multiple of 8, or of size 0 where quantisers of ``lsb`` and ``half`` codes of either sign convert;
    ``thresholds``: how many there are; ``walk_sigma``: ``(chips, ramps, cells)``, or of size 0; ``values``, ``steps``,
    ``words``: ``(groups, codes)``, value of a code, comparator steps counted for it, and those of an ordinary
    converter; ``decisions``, ``walks``: places of their noise among the numbers of a step, -1 where they have none.
    """

    columns: NDArray[np.int64]
    levels: NDArray[np.float32]
    thresholds: int
    walk_sigma: NDArray[np.float32]
    lsb: np.float32
    half: np.float32
    values: NDArray[np.float32]
    steps: NDArray[np.int64]
    words: NDArray[np.int64]
    decisions: int
    walks: int


class Sums(NamedTuple):
    """Products of all columns.

    ``weights``, ``variances``: ``(chips, rows * wide)`` as ``panels`` makes them, the latter of width 0 without read
    noise. Where cells differ by row and by column alone, ``variances`` is ``(chips, wide)``, times ``by_row (chips,
    rows)``, which else has width 0. ``shift``, ``floor``: ``(chips, wide)``; ``settled``: what arrives of pulses of
    ``-top .. top`` clock periods, or of size 0 where all of it does.
    """

    weights: NDArray[np.float32]
    variances: NDArray[np.float32]
    by_row: NDArray[np.float32]
    shift: NDArray[np.float32]
    floor: NDArray[np.float32]
    settled: NDArray[np.float32]


class Back(NamedTuple):
    """The way of a cell state to its tanh: a ``bank`` and ``gain, offset, variance, floor, shift (chips, hidden)`` of
    the pulses ``c per_clock``; or, where ``gain`` has size 0, ``table``, tanh by code of the state."""

    bank: Bank
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    variance: NDArray[np.float32]
    floor: NDArray[np.float32]
    shift: NDArray[np.float32]
    per_clock: np.float32
    table: NDArray[np.float32]


class Layer(NamedTuple):
    """A recurrent layer on its chips at one time.

    ``first``: ``(groups, 2)``, panels' first and last column of each group; ``draws``: noise numbers of a step;
    ``top``: the longest pulse; ``per_value``: clock periods of an output of 1; ``state_lsb``, ``state_half``: of the
    cell state's register; ``supply_noise``: of the read voltage [1].
    """

    cell: int
    inputs: int
    hidden: int
    rows: int
    wide: int
    draws: int
    first: NDArray[np.int64]
    sums: Sums
    bank: Bank
    back: Back
    top: np.float32
    per_value: np.float32
    state_lsb: np.float32
    state_half: np.float32
    supply_noise: np.float32


class Work(NamedTuple):
    """What is computed: ``x (chips | 1, n, steps, inputs)`` to ``y (chips, n, steps, hidden)``, clock periods.

    ``start (chips, n, 1, hidden + bias rows)``: pulses of the rows behind the inputs before the first step; ``state
    (chips, n, hidden)``: stored states before it, and in the end behind the last step;
    ``candidates``: of a GRU, the pulses of its second product, as ``y``, or of size 0; ``keys``: ``(chips, 2)``;
    ``samples``: ``(n,)``, numbers of the samples; ``read``: number of the run; ``counts``: ``(chips, n, 5)`` of what
    was done, or of size 0.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    start: NDArray[np.float32]
    state: NDArray[np.float32]
    candidates: NDArray[np.float32]
    keys: NDArray[np.uint32]
    samples: NDArray[np.uint32]
    read: np.uint32
    counts: NDArray[np.int64]


@njit(inline="always", error_model="numpy")
def _rounded(x: Any, low: Any, high: Any) -> Any:
    """The nearest whole number, a tie to the even one, within the limits, which are whole numbers."""
    x = min(max(x, -_FAR), _FAR)
    return min(max((x + _MAGIC) - _MAGIC, low), high)


# Functions of a block take arrays of n samples, since a row that is handed over counts its references. A row is cut to
# its columns, since numbers that may be negative do not become vectors.


@njit(nogil=True, cache=True, error_model="numpy")
def _drive(counts: Any, t: Any, n: int, settled: Any, top: Any, first: Any, x: Any, square: Any) -> None:
    """What reaches the word lines from ``first`` on for pulses ``counts (n, steps, lines)``, and its square."""
    for s in range(n):
        for j in range(counts.shape[2]):
            count = counts[s, t, j]
            arrived = settled[np.int64(count + top + _HALF)] if settled.size else count
            x[s, first + j] = arrived
            square[s, first + j] = arrived * arrived


@njit(nogil=True, cache=True, error_model="numpy")
def _draw(key: Any, samples: Any, step: Any, origin: Any, n: int, out: Any) -> None:
    for s in range(n):
        normals(key[0], key[1], samples[s], step, origin, out[s])


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _spread(square: Any, by_row: Any, by_column: Any, columns: Any, n: int, variance: Any) -> None:
    """Variances of columns whose cells differ by row and by column alone."""
    factor = by_column[columns[0] : columns[1]]
    for s in range(n):
        total, found = _0, variance[s][columns[0] : columns[1]]
        for k in range(by_row.size):
            total += square[s, k] * by_row[k]
        for j in range(found.size):
            found[j] = total * factor[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _see(z: Any, columns: Any, n: int, gain: Any, shift: Any, variance: Any, floor: Any, drawn: Any, at: int) -> None:
    """What comparators see of ``columns (first, last)``, in place; noise from ``drawn`` on ``at``, -1 where none is."""
    first, last = columns
    shift, floor = shift[first:last], floor[first:last]
    for s in range(n):
        by, seen = gain[s], z[s][first:last]
        for j in range(seen.size):
            seen[j] = seen[j] * by + shift[j]
        if at >= 0 and variance.size:
            xi, spread = drawn[s][at + first : at + last], variance[s][first:last]
            for j in range(seen.size):
                seen[j] += math.sqrt(spread[j] + floor[j]) * xi[j]
        elif at >= 0:
            xi = drawn[s][at + first : at + last]
            for j in range(seen.size):
                seen[j] += math.sqrt(floor[j]) * xi[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _quantise(seen: Any, columns: Any, n: int, lsb: Any, half: Any, codes: Any) -> None:
    first, last = columns
    for s in range(n):
        z, found = seen[s][first:last], codes[s][first:last]
        for j in range(z.size):
            code = np.floor(z[j] / lsb + _HALF)
            found[j] = np.int32(min(max(code, -half), half - _1) + half)


@njit(nogil=True, cache=True, error_model="numpy")
def _rise(levels: Any, thresholds: int, sigma: Any, n: int, drawn: Any, at: int, tables: Any) -> None:
    """The running maximum of the ramps of ``n`` conversions, whose steps err; the last cells are the steps."""
    first = sigma.size - thresholds
    for s in range(n):
        total, highest, xi = 0.0, _f(-np.inf), drawn[s][at : at + sigma.size]
        for k in range(sigma.size):
            total += sigma[k] * xi[k]
            if k >= first:
                highest = max(highest, levels[k - first] + _f(total))
                tables[s, k - first] = highest


@njit(nogil=True, cache=True, error_model="numpy")
def _count(seen: Any, columns: Any, n: int, tables: Any, codes: Any) -> None:
    """Thresholds that each column passes; ``tables``: ``(1 | n, thresholds)``, not-a-number behind the last."""
    first, last = columns
    for s in range(n):
        z, found, table = seen[s][first:last], codes[s][first:last], tables[s if tables.shape[0] > 1 else 0]
        found[:] = 0
        for k in range(0, table.size, SEVERAL):
            a, b, c, d, e, f, g, h = (
                table[k],
                table[k + 1],
                table[k + 2],
                table[k + 3],
                table[k + 4],
                table[k + 5],
                table[k + 6],
                table[k + 7],
            )
            for j in range(z.size):
                low = np.int32(a <= z[j]) + np.int32(b <= z[j]) + np.int32(c <= z[j]) + np.int32(d <= z[j])
                high = np.int32(e <= z[j]) + np.int32(f <= z[j]) + np.int32(g <= z[j]) + np.int32(h <= z[j])
                found[j] += np.int32(low + high)


@njit(nogil=True, cache=True, error_model="numpy")
def _convert(seen: Any, bank: Any, chip: Any, group: Any, n: int, drawn: Any, codes: Any, tables: Any) -> None:
    """Codes of a group's columns for ``n`` samples."""
    for r in range(bank.columns.shape[0]):
        columns = (bank.columns[r, 0], bank.columns[r, 1])
        if bank.columns[r, 2] != group:
            continue
        if bank.levels.size == 0:
            _quantise(seen, columns, n, bank.lsb, bank.half, codes)
        elif bank.walks >= 0:
            at = bank.walks + r * bank.walk_sigma.shape[2]
            _rise(bank.levels[chip, r], bank.thresholds, bank.walk_sigma[chip, r], n, drawn, at, tables)
            _count(seen, columns, n, tables, codes)
        else:
            _count(seen, columns, n, bank.levels[chip, r : r + 1], codes)


@njit(nogil=True, cache=True, error_model="numpy")
def _look(codes: Any, columns: Any, n: int, table: Any, values: Any) -> None:
    first, last = columns
    for s in range(n):
        code, value = codes[s][first:last], values[s][first:last]
        for j in range(code.size):
            value[j] = table[code[j]]


@njit(nogil=True, cache=True, error_model="numpy")
def _sum(codes: Any, columns: Any, n: int, table: Any, counts: Any, what: int) -> None:
    for s in range(n):
        for j in range(columns[0], columns[1]):
            counts[s, what] += table[codes[s, j]]


@njit(nogil=True, cache=True, error_model="numpy")
def _store(c: Any, n: int, lsb: Any, half: Any) -> None:
    """Cell states as their register keeps them: whole steps, saturating."""
    for s in range(n):
        for j in range(c.shape[1]):
            c[s, j] = _rounded(c[s, j] / lsb, -half, half - _1) * lsb


@njit(nogil=True, cache=True, error_model="numpy")
def _pulses(h: Any, n: int, per_value: Any, top: Any, counts: Any, t: Any) -> None:
    """Pulse widths of values, ``counts[:, t]``; the driver's range limits them."""
    for s in range(n):
        for j in range(h.shape[1]):
            counts[s, t, j] = _rounded(h[s, j] * per_value, -top, top)


@njit(nogil=True, cache=True, error_model="numpy")
def _drive_state(back: Any, chip: Any, c: Any, n: int, top: Any, pulses: Any, variance: Any) -> None:
    """Pulses of cell states and the variance of what they bring, whose mean goes to ``pulses (2, n, hidden)``, last."""
    gain, offset, spread, floor = back.gain[chip], back.offset[chip], back.variance[chip], back.floor[chip]
    per_clock = back.per_clock
    for s in range(n):
        for j in range(c.shape[1]):
            pulse = _rounded(c[s, j] * per_clock, -top, top)
            pulses[0, s, j] = pulse
            pulses[1, s, j] = pulse * gain[j] + offset[j]
            variance[s, j] = pulse * pulse * spread[j] + floor[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _tanh_of_state(
    layer: Any, chip: Any, n: int, c: Any, gain: Any, drawn: Any, pulses: Any, variance: Any, found: Any, counts: Any
) -> None:
    """tanh of cell states, to ``pulses[0]``: pulses into one cell pair a unit and the second ramp, or a look-up."""
    back, bank, columns = layer.back, layer.back.bank, (0, layer.hidden)
    out = pulses[0]
    if back.gain.size == 0:
        for s in range(n):
            for j in range(layer.hidden):
                out[s, j] = back.table[np.int64(c[s, j] / layer.state_lsb + layer.state_half + _HALF)]
        return
    codes, tables, none = found
    _drive_state(back, chip, c, n, layer.top, pulses, variance)
    _see(pulses[1], columns, n, gain, back.shift[chip], variance, none, drawn, bank.decisions)
    _convert(pulses[1], bank, chip, 0, n, drawn, codes, tables)
    if counts.size:
        for s in range(n):
            for j in range(layer.hidden):
                counts[s, STATE_PULSES] += out[s, j] != _0
                counts[s, STATE_CLOCKS] += np.int64(abs(out[s, j]))
        _sum(codes, columns, n, bank.steps[0], counts, STATE_STEPS)
    _look(codes, columns, n, bank.values[0], out)


@njit(nogil=True, cache=True, error_model="numpy")
def _lstm(gates: Any, other: Any, n: int, c: Any) -> None:
    hidden = c.shape[1]
    for s in range(n):
        i, f, g, state = gates[s][:hidden], gates[s][hidden : 2 * hidden], gates[s][other : other + hidden], c[s]
        for j in range(hidden):
            state[j] = f[j] * state[j] + i[j] * g[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _gru(gates: Any, other: Any, n: int, c: Any) -> None:
    hidden = c.shape[1]
    for s in range(n):
        update, candidate, state = gates[s][hidden : 2 * hidden], gates[s][other : other + hidden], c[s]
        for j in range(hidden):
            state[j] = (_1 - update[j]) * candidate[j] + update[j] * state[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _times(gates: Any, first: Any, n: int, values: Any, out: Any) -> None:
    hidden = out.shape[1]
    for s in range(n):
        gate, value, found = gates[s][first : first + hidden], values[s], out[s]
        for j in range(hidden):
            found[j] = gate[j] * value[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _supply(layer: Any, key: Any, samples: Any, t: Any, origin: Any, n: int, drawn: Any, gain: Any) -> None:
    """Read voltage of each sample's product over that of its conversion; numbers are drawn for 64 steps."""
    if layer.supply_noise == _0:
        gain[:n] = _1
        return
    if t % DRAWN == 0:
        _draw(key, samples, _u(t // DRAWN), origin, n, drawn)
    for s in range(n):
        gain[s] = _1 + layer.supply_noise * drawn[s, t % DRAWN]


@njit(nogil=True, cache=True, error_model="numpy")
def run(layer: Any, work: Any, units: Any) -> None:
    """Run ``units (units, 3)``: a chip, its first sample and its last, at most 64 apart, of ``work``."""
    layer, work = borrowed(layer), borrowed(work)
    hidden, rows, wide, inputs, bank, sums = layer.hidden, layer.rows, layer.wide, layer.inputs, layer.bank, layer.sums
    most = 0
    for u in range(units.shape[0]):
        most = max(most, units[u, 2] - units[u, 1])
    x, square = np.empty((most, rows), np.float32), np.empty((most, rows), np.float32)
    z, variance = np.empty((most, wide), np.float32), np.empty((most, wide), np.float32)
    codes, gates, drawn = (
        np.zeros((most, wide), np.int32),
        np.empty((most, wide), np.float32),
        np.empty((most, layer.draws), np.float32),
    )
    supplies, gain = np.empty((3, most, DRAWN), np.float32), np.empty(most, np.float32)
    c, h = np.empty((most, hidden), np.float32), np.empty((most, hidden), np.float32)
    pulses, spread = np.empty((2, most, hidden), np.float32), np.empty((most, hidden), np.float32)
    tables = np.full((max(most, 2), bank.levels.shape[2]), np.nan, np.float32)
    found = (
        np.empty((most, hidden), np.int32),
        np.full((max(most, 2), layer.back.bank.levels.shape[2]), np.nan, np.float32),
        np.zeros(hidden, np.float32),
    )
    reset, no_variance, no_counts = (
        np.empty((most, 1, hidden), np.float32),
        np.empty((0, 0), np.float32),
        np.empty((0, 0), np.int64),
    )
    base = _u(work.read << _u(ORIGINS_BITS))
    groups, passes = layer.first.shape[0], 2 if layer.cell == GRU else 1
    other = layer.first[groups - 1, 0]
    for u in range(units.shape[0]):
        chip, begin, end = units[u]
        n, key, samples = end - begin, work.keys[chip], work.samples[begin:end]
        given, out = work.x[chip if work.x.shape[0] > 1 else 0][begin:end], work.y[chip, begin:end]
        weights, variances = sums.weights[chip], sums.variances[chip]
        by_row = sums.by_row[chip]
        shift, floor = sums.shift[chip], sums.floor[chip]
        counts = work.counts[chip, begin:end] if work.counts.size else no_counts
        c[:n] = work.state[chip, begin:end]
        _drive(work.start[chip, begin:end], 0, n, sums.settled, layer.top, inputs, x, square)
        for t in range(given.shape[1]):
            _drive(given, t, n, sums.settled, layer.top, 0, x, square)
            if layer.draws:
                _draw(key, samples, _u(t), _u(base + STEP), n, drawn)
            for again in range(passes):
                one, after = (again, again + 1) if passes > 1 else (0, groups)
                columns = (layer.first[one, 0], layer.first[after - 1, 1])
                product(x.reshape(-1), weights, z.reshape(-1), rows, n, (columns[0], columns[1], wide))
                if by_row.size:
                    _spread(square, by_row, variances, columns, n, variance)
                elif variances.size:
                    product(
                        square.reshape(-1), variances, variance.reshape(-1), rows, n, (columns[0], columns[1], wide)
                    )
                origin = _u(base + (CANDIDATE_SUPPLY if again else SUPPLY))
                _supply(layer, key, samples, t, origin, n, supplies[again], gain)
                _see(
                    z,
                    columns,
                    n,
                    gain,
                    shift,
                    variance if variances.size else no_variance,
                    floor,
                    drawn,
                    bank.decisions,
                )
                for group in range(one, after):
                    columns = (layer.first[group, 0], layer.first[group, 1])
                    _convert(z, bank, chip, group, n, drawn, codes, tables)
                    _look(codes, columns, n, bank.values[group], gates)
                    for r in range(bank.columns.shape[0] if counts.size else 0):
                        if bank.columns[r, 2] == group:
                            columns = (bank.columns[r, 0], bank.columns[r, 1])
                            _sum(codes, columns, n, bank.steps[group], counts, GATE_STEPS)
                            _sum(codes, columns, n, bank.words[group], counts, ADC_STEPS)
                if passes > 1 and again == 0:
                    _times(gates, 0, n, c, h)
                    back, at = (work.candidates[chip, begin:end], t) if work.candidates.size else (reset, 0)
                    _pulses(h, n, layer.per_value, layer.top, back, at)
                    _drive(back, at, n, sums.settled, layer.top, inputs, x, square)
            if layer.cell == LSTM:
                _lstm(gates, other, n, c)
                _store(c, n, layer.state_lsb, layer.state_half)
                _supply(layer, key, samples, t, _u(base + STATE_SUPPLY), n, supplies[2], gain)
                _tanh_of_state(layer, chip, n, c, gain, drawn, pulses, spread, found, counts)
                _times(gates, 2 * hidden, n, pulses[0], h)
            elif layer.cell == GRU:
                _gru(gates, other, n, c)
                _store(c, n, layer.state_lsb, layer.state_half)
                h[:n] = c[:n]
            else:
                h[:n] = gates[:n, :hidden]
            _pulses(h, n, layer.per_value, layer.top, out, t)
            _drive(out, t, n, sums.settled, layer.top, inputs, x, square)
        work.state[chip, begin:end] = c[:n]
