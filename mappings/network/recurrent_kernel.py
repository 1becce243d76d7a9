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
from mappings.panel_product import product
from periphery.ramp.crossing import COUNTED_EACH, FINENESS, build_grid, count_passed, look_up, rise

LSTM, GRU, RNN = 0, 1, 2
SAMPLES = 64  # at most, of one unit of work
# Origins of noise within one run of a layer, and of the ramps' cells, one a ramp.
GATES, STATE, SUPPLY, STATE_SUPPLY, CANDIDATE_SUPPLY, RAMPS, STATE_RAMPS = 0, 1, 2, 3, 4, 16, 1 << 18
ORIGINS_BITS = 20
GATE_STEPS, ADC_STEPS, STATE_PULSES, STATE_CLOCKS, STATE_STEPS = range(5)

_f, _u = np.float32, np.uint32
_0, _1, _HALF = _f(0.0), _f(1.0), _f(0.5)
_MAGIC, _FAR = _f(1.5 * 2**23), _f(2.0**21)  # adding and taking away the first rounds to even, up to the second


class Bank(NamedTuple):
    """Converters of all columns, ramps or quantisers; columns are numbered with what fills up their panels.

    ``columns``: ``(ramps, 3)`` int64, first column, last, and group; ``levels``: ``(chips, ramps, thresholds)``, or of
    size 0 where quantisers of ``lsb`` and ``half`` codes of either sign convert; ``walk_sigma``: ``(chips, ramps,
    cells)``, cells a multiple of 4, or of size 0; ``values``, ``steps``, ``words``: ``(groups, codes)``, value of a
    code, comparator steps counted for it, and those of an ordinary converter; ``noisy``: whether decisions are.
    """

    columns: NDArray[np.int64]
    levels: NDArray[np.float32]
    walk_sigma: NDArray[np.float32]
    lsb: np.float32
    half: np.float32
    values: NDArray[np.float32]
    steps: NDArray[np.int64]
    words: NDArray[np.int64]
    noisy: bool


class Sums(NamedTuple):
    """Products of all columns: ``weights``, ``variances``: ``(chips, rows * wide)`` as ``panels`` makes them, the latter
    of width 0 without read noise; ``shift``, ``floor``: ``(chips, wide)``; ``settled``: what arrives of pulses of
    ``-top .. top`` clock periods, or of size 0 where all of it does."""

    weights: NDArray[np.float32]
    variances: NDArray[np.float32]
    shift: NDArray[np.float32]
    floor: NDArray[np.float32]
    settled: NDArray[np.float32]


class Back(NamedTuple):
    """The way of a cell state to its tanh: ``bank`` with ``gain, offset, variance, white, shift (chips, hidden)`` of the
    pulses ``c per_clock``; or, where ``gain`` has size 0, ``table``, tanh by code of the state. ``sigma2``: of a
    decision."""

    bank: Bank
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    variance: NDArray[np.float32]
    white: NDArray[np.float32]
    shift: NDArray[np.float32]
    sigma2: np.float32
    per_clock: np.float32
    table: NDArray[np.float32]


class Layer(NamedTuple):
    """A recurrent layer on its chips at one time; ``first``: ``(groups, 2)``, panels' first and last column of each
    group; ``top``: the longest pulse; ``per_value``: clock periods of an output of 1; ``state_lsb``, ``state_half``: of
    the cell state's register; ``supply_noise``: of the read voltage [1]."""

    cell: int
    inputs: int
    hidden: int
    rows: int
    wide: int
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
    """What is computed: ``x (chips | 1, n, steps, inputs)`` to ``y (chips, n, steps, hidden)``, clock periods;
    ``candidates``: of a GRU, the pulses of its second product, as ``y``, or of size 0; ``keys``: ``(chips, 2)``;
    ``samples``: ``(n,)``, numbers of the samples; ``read``: number of the run; ``counts``: ``(chips, n, 5)`` of what was
    done, or of size 0."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
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


@njit(nogil=True, cache=True, error_model="numpy")
def _see(z: Any, variance: Any, gain: Any, shift: Any, floor: Any, xi: Any, seen: Any) -> None:
    for j in range(seen.size):
        seen[j] = z[j] * gain + shift[j]
    if xi.size and variance.size:
        for j in range(seen.size):
            seen[j] += math.sqrt(variance[j] + floor[j]) * xi[j]
    elif xi.size:
        for j in range(seen.size):
            seen[j] += math.sqrt(floor[j]) * xi[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _quantise(seen: Any, lsb: Any, half: Any, codes: Any) -> None:
    for j in range(seen.size):
        code = np.floor(seen[j] / lsb + _HALF)
        codes[j] = np.int32(min(max(code, -half), half - _1) + half)


@njit(nogil=True, cache=True, error_model="numpy")
def _grids(bank: Any, chip: Any) -> Any:
    """Grids of all ramps of a chip, where their thresholds are many and the same for all samples."""
    count, ramps = bank.levels.shape[2], bank.columns.shape[0]
    used = count > COUNTED_EACH and bank.walk_sigma.size == 0
    below = np.empty((ramps, FINENESS * (count + 1) if used else 0), np.uint16)
    padded = np.empty((ramps, 2 * count if used else 0), np.float32)
    scale, most = np.empty((ramps, 3), np.float32), np.empty(ramps, np.int64)
    bucket = np.empty(count, np.int32)
    if used:
        for r in range(ramps):
            low, per_unit, top, many = build_grid(bank.levels[chip, r], FINENESS, bucket, below[r], padded[r])
            scale[r, 0], scale[r, 1], scale[r, 2], most[r] = low, per_unit, top, many
    return below, padded, scale, most


@njit(nogil=True, cache=True, error_model="numpy")
def _convert(seen: Any, bank: Any, grids: Any, chip: Any, group: Any, counter: Any, codes: Any, scratch: Any) -> None:
    """Codes of one sample's columns of a group; ``counter``: key, sample, step and origin of the ramps' noise."""
    below, padded, scale, most = grids
    walk, table, bucket = scratch
    k0, k1, sample, step, origin = counter
    for r in range(bank.columns.shape[0]):
        first, last, of = bank.columns[r]
        if of != group:
            continue
        here, found = seen[first:last], codes[first:last]
        if bank.levels.size == 0:
            _quantise(here, bank.lsb, bank.half, found)
        elif bank.walk_sigma.size:
            normals(k0, k1, sample, step, _u(origin + r), walk)
            rise(bank.levels[chip, r], bank.walk_sigma[chip, r], walk, table)
            count_passed(here, table, found)
        elif below.shape[1]:
            grid = (scale[r, 0], scale[r, 1], scale[r, 2], most[r])
            look_up(here, grid, below[r], padded[r], bucket, found)
        else:
            count_passed(here, bank.levels[chip, r], found)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(count: Any, settled: Any, top: Any, x: Any, square: Any) -> None:
    """What reaches the word lines for pulses of so many clock periods, and its square."""
    for j in range(count.size):
        arrived = settled[np.int64(count[j] + top + _HALF)] if settled.size else count[j]
        x[j] = arrived
        square[j] = arrived * arrived


@njit(nogil=True, cache=True, error_model="numpy")
def _store(c: Any, lsb: Any, half: Any) -> None:
    """A cell state as its register keeps it: whole steps, saturating."""
    for j in range(c.size):
        c[j] = _rounded(c[j] / lsb, -half, half - _1) * lsb


@njit(nogil=True, cache=True, error_model="numpy")
def _pulses(h: Any, per_value: Any, top: Any, count: Any) -> None:
    """Pulse widths of values; the driver's range limits them."""
    for j in range(count.size):
        count[j] = _rounded(h[j] * per_value, -top, top)


@njit(nogil=True, cache=True, error_model="numpy")
def _tanh_of_state(layer: Any, chip: Any, grids: Any, counter: Any, c: Any, out: Any, scratch: Any, did: Any) -> None:
    """tanh of a sample's cell states: pulses into one cell pair a unit and the second ramp, or a look-up."""
    back = layer.back
    if back.gain.size == 0:
        for j in range(layer.hidden):
            out[j] = back.table[np.int64(c[j] / layer.state_lsb + layer.state_half + _HALF)]
        return
    walk, table, bucket, codes, xi, seen, one = scratch
    k0, k1, sample, step, base = counter
    gain, offset, shift = back.gain[chip], back.offset[chip], back.shift[chip]
    supply = _1
    if layer.supply_noise > _0:
        normals(k0, k1, sample, step, _u(base + STATE_SUPPLY), one)
        supply += layer.supply_noise * one[0]
    for j in range(layer.hidden):
        pulse = _rounded(c[j] * back.per_clock, -layer.top, layer.top)
        out[j] = pulse
        seen[j] = (pulse * gain[j] + offset[j]) * supply + shift[j]
    if back.bank.noisy:
        normals(k0, k1, sample, step, _u(base + STATE), xi)
        variance, white = back.variance[chip], back.white[chip]
        for j in range(layer.hidden):
            seen[j] += math.sqrt(out[j] * out[j] * variance[j] + white[j] + back.sigma2) * xi[j]
    counter = (k0, k1, sample, step, _u(base + STATE_RAMPS))
    _convert(seen, back.bank, grids, chip, 0, counter, codes, (walk, table, bucket))
    values, steps = back.bank.values[0], back.bank.steps[0]
    if did.size:
        for j in range(layer.hidden):
            did[STATE_PULSES] += out[j] != _0
            did[STATE_CLOCKS] += np.int64(abs(out[j]))
            did[STATE_STEPS] += steps[codes[j]]
    for j in range(layer.hidden):
        out[j] = values[codes[j]]


@njit(nogil=True, cache=True, error_model="numpy")
def run(layer: Any, work: Any, units: Any) -> None:
    """Run ``units (units, 3)``: a chip, its first sample and its last, at most 64 apart, of ``work``."""
    hidden, rows, wide, inputs, bank, sums = layer.hidden, layer.rows, layer.wide, layer.inputs, layer.bank, layer.sums
    fed, groups, steps = inputs + hidden, layer.first.shape[0], work.x.shape[2]
    padded_hidden = -(-hidden // 64) * 64
    x, square = np.empty((SAMPLES, rows), np.float32), np.empty((SAMPLES, rows), np.float32)
    z, variance = np.empty((SAMPLES, wide), np.float32), np.empty((SAMPLES, wide), np.float32)
    seen, xi, codes = np.empty(wide, np.float32), np.empty(wide, np.float32), np.zeros(wide, np.int32)
    gates, one, nothing = np.empty(wide, np.float32), np.empty(4, np.float32), np.empty(0, np.float32)
    c, h = np.empty((SAMPLES, hidden), np.float32), np.empty(hidden, np.float32)
    kept = np.empty((SAMPLES, wide), np.float32)
    thresholds = max(bank.levels.shape[2], layer.back.bank.levels.shape[2])
    bucket = np.empty(max(wide, thresholds), np.int32)
    scratch = (np.empty(bank.walk_sigma.shape[2], np.float32), np.empty(bank.levels.shape[2], np.float32), bucket)
    state_bank = layer.back.bank
    state_scratch = (
        np.empty(state_bank.walk_sigma.shape[2], np.float32),
        np.empty(state_bank.levels.shape[2], np.float32),
        bucket,
        np.zeros(padded_hidden, np.int32),
        np.empty(padded_hidden, np.float32),
        np.empty(padded_hidden, np.float32),
        one,
    )
    no_counts, reset_state = np.empty(0, np.int64), np.empty(hidden, np.float32)
    start_rows = np.zeros(rows - inputs, np.float32)
    start_rows[hidden:] = layer.top
    base = _u(work.read << _u(ORIGINS_BITS))
    for u in range(units.shape[0]):
        chip, start, end = units[u]
        n = end - start
        k0, k1 = work.keys[chip]
        given = work.x[chip if work.x.shape[0] > 1 else 0]
        weights, variances = sums.weights[chip], sums.variances[chip]
        grids, state_grids = _grids(bank, chip), _grids(state_bank, chip)
        noisy = variances.size > 0
        c[:n] = _0
        for s in range(n):
            _fill(start_rows, sums.settled, layer.top, x[s, inputs:], square[s, inputs:])
        for t in range(steps):
            for s in range(n):
                _fill(given[start + s, t], sums.settled, layer.top, x[s, :inputs], square[s, :inputs])
            for g in range(groups):
                again = layer.cell == GRU and g == 1
                ends = (layer.first[g, 0], layer.first[g, 1], wide)
                product(x.reshape(-1), weights, z.reshape(-1), rows, n, ends)
                if noisy:
                    product(square.reshape(-1), variances, variance.reshape(-1), rows, n, ends)
                if g < groups - 1 and layer.cell != GRU:
                    continue
                lowest = layer.first[g, 0] if layer.cell == GRU else 0
                here = slice(lowest, layer.first[g, 1])
                for s in range(n):
                    sample, step = work.samples[start + s], _u(t)
                    did = work.counts[chip, start + s] if work.counts.size else no_counts
                    gain = _1
                    if layer.supply_noise > _0:
                        normals(k0, k1, sample, step, _u(base + (CANDIDATE_SUPPLY if again else SUPPLY)), one)
                        gain += layer.supply_noise * one[0]
                    if bank.noisy:
                        # All columns are drawn at each pass: a number depends on how many there are.
                        normals(k0, k1, sample, step, _u(base + GATES), xi)
                    _see(
                        z[s, here],
                        variance[s, here] if noisy else nothing,
                        gain,
                        sums.shift[chip, here],
                        sums.floor[chip, here],
                        xi[here] if bank.noisy else nothing,
                        seen[here],
                    )
                    values = kept[s] if layer.cell == GRU else gates
                    for k in range(groups):
                        if layer.cell == GRU and k != g:
                            continue
                        counter = (k0, k1, sample, step, _u(base + RAMPS))
                        _convert(seen, bank, grids, chip, k, counter, codes, scratch)
                        for j in range(layer.first[k, 0], layer.first[k, 1]):
                            values[j] = bank.values[k, codes[j]]
                        if did.size:
                            for j in range(bank.columns.shape[0]):
                                if bank.columns[j, 2] == k:
                                    for i in range(bank.columns[j, 0], bank.columns[j, 1]):
                                        did[GATE_STEPS] += bank.steps[k, codes[i]]
                                        did[ADC_STEPS] += bank.words[k, codes[i]]
                    out = work.y[chip, start + s, t]
                    state = c[s]
                    if layer.cell == LSTM:
                        other = layer.first[1, 0]
                        for j in range(hidden):
                            state[j] = values[hidden + j] * state[j] + values[j] * values[other + j]
                        _store(state, layer.state_lsb, layer.state_half)
                        counter = (k0, k1, sample, step, base)
                        _tanh_of_state(layer, chip, state_grids, counter, state, h, state_scratch, did)
                        for j in range(hidden):
                            h[j] *= values[2 * hidden + j]
                    elif layer.cell == GRU and not again:
                        for j in range(hidden):
                            h[j] = values[j] * state[j]
                        out = reset_state
                        if work.candidates.size:
                            out = work.candidates[chip, start + s, t]
                    elif layer.cell == GRU:
                        other = layer.first[1, 0]
                        for j in range(hidden):
                            update = values[hidden + j]
                            state[j] = (_1 - update) * values[other + j] + update * state[j]
                        _store(state, layer.state_lsb, layer.state_half)
                        h[:] = state
                    else:
                        h[:] = values[:hidden]
                    _pulses(h, layer.per_value, layer.top, out)
                    _fill(out, sums.settled, layer.top, x[s, inputs:fed], square[s, inputs:fed])
