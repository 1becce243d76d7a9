"""Steps of a liquid, compiled: sums of columns, their noise and conversion, differences, neurons that leak and fire.

Two engines bring the column sums of a step: ``events`` adds the rows of the active word lines, ``dense`` leaves the
product of a block of recordings to a matrix multiplication. Rows are on a binary grid so fine (``on_grid``) that their
sums are exact in single precision, in any order: both engines, any batch and any number of threads give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from mappings.counter_noise import normals

READ, DECISION = np.uint32(0), np.uint32(1)
"""Origins of noise: the cells of a read, the decision of a neuron."""
_MANTISSA_BITS = 24
_0, _1, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_NONE = np.uint64(0)
_LARGEST = np.float32(np.finfo(np.float32).max)


def on_grid(rows: torch.Tensor) -> torch.Tensor:
    """``rows`` (chips, rows, columns) rounded to multiples of a power of two for each chip, so that no sum over any of
    its rows needs more than the 24 bits of a single-precision number.

    For the 456 rows of the paper the grid is 2^-12 uS, a thousandth of the noise of one cell's read.
    """
    largest = rows.double().abs().sum(dim=1).amax(dim=1)
    # Rounding adds half a step for each row, at most.
    step = torch.exp2(torch.ceil(torch.log2(largest.clamp_min(1e-30) / (2.0**_MANTISSA_BITS - rows.shape[1]))))
    return (torch.round(rows.double() / step[:, None, None]) * step[:, None, None]).float()


@dataclass(frozen=True, eq=False)
class Wiring:
    """How columns become neurons: neuron ``j`` of ``lo <= j < hi`` is column ``j + plus`` less column ``j + minus``.

    ``segments``: (segments, 4) int64 of lo, hi, plus, minus; ``columns``: bit lines, those of all arrays side by side.
    """

    neurons: int
    columns: int
    segments: NDArray[np.int64]

    @property
    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The columns that each neuron adds and takes away, ``(neurons,)`` each."""
        columns = torch.arange(self.neurons)
        parts = [(columns[lo:hi] + plus, columns[lo:hi] + minus) for lo, hi, plus, minus in self.segments.tolist()]
        above, below = zip(*parts, strict=True)
        return torch.cat(above), torch.cat(below)

    def differences(self, columns: torch.Tensor) -> torch.Tensor:
        """What each neuron takes of ``columns (..., columns)``: (..., neurons)."""
        parts = [
            columns[..., lo + plus : hi + plus] - columns[..., lo + minus : hi + minus]
            for lo, hi, plus, minus in self.segments.tolist()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class Physics(NamedTuple):
    """What the compiled steps share on one chip.

    ``edges``: first rows of the row tiles, and their end; ``sigma``: read noise of a cell; ``floor``: variance of a bit
    line's noise whatever is driven; ``supply``: relative noise of the read voltage in a step; ``bias``: (neurons,) a
    constant input; ``offset``: what was taken from every cell before; ``lsb, top``: the converter, ``lsb`` 0 without
    one; ``segments``: of a ``Wiring``;
    ``wobble``: noise of a decision; ``key``: (2,) uint32 of the chip's read noise; ``z_width``: numbers drawn a read;
    ``columns``: bit lines, beyond which a row fills vector registers.
    """

    edges: NDArray[np.int64]
    sigma: np.float32
    floor: np.float32
    supply: np.float32
    bias: NDArray[np.float32]
    offset: np.float32
    lsb: np.float32
    top: np.float32
    segments: NDArray[np.int64]
    gain: np.float32
    decay: np.float32
    residue: np.float32
    refractory: int
    threshold: NDArray[np.float32]
    wobble: np.float32
    key: NDArray[np.uint32]
    z_width: int
    columns: int
    inputs: int


class Marks(NamedTuple):
    """What runs write on one chip: ``counts`` (n, neurons); ``reads`` and ``clipped`` (n,), lines driven and
    conversions clipped over all steps; ``raster`` (n, steps, neurons) or of size 0."""

    counts: NDArray[np.int32]
    reads: NDArray[np.int64]
    clipped: NDArray[np.int64]
    raster: NDArray[np.uint8]


class SpikeArrays(NamedTuple):
    """What goes in: step ``s`` of recording ``i`` drives ``lines[offsets[k] : offsets[k + 1]]``, ``k = i * steps + s``;
    ``numbers`` (n,) decide a recording's noise."""

    lines: NDArray[np.int32]
    offsets: NDArray[np.int64]
    steps: int
    numbers: NDArray[np.int64]


class Block(NamedTuple):
    """A block of n recordings on one chip between two steps.

    ``driven`` (n, rows): ones where a line is active; ``lit`` (n, tiles): active lines of each row tile; ``sums`` and
    ``variances`` (tiles, n, width): of columns; ``membrane``, ``waiting`` (n, neurons), and ``kept``, what a membrane
    keeps this step.
    """

    driven: NDArray[np.float32]
    lit: NDArray[np.int64]
    sums: NDArray[np.float32]
    variances: NDArray[np.float32]
    membrane: NDArray[np.float32]
    kept: NDArray[np.float32]
    waiting: NDArray[np.int32]


class Neuron(NamedTuple):
    """The neurons of one recording: of a ``Block``, and what one step needs beside.

    ``x`` (neurons,): input; ``z``: normal numbers; ``over``: bytes for the comparisons, whole words, zeros beyond the
    last; ``fired`` (neurons + 8): the numbers of those that fired, first.
    """

    membrane: NDArray[np.float32]
    kept: NDArray[np.float32]
    waiting: NDArray[np.int32]
    x: NDArray[np.float32]
    z: NDArray[np.float32]
    over: NDArray[np.uint8]
    fired: NDArray[np.int64]


@njit(nogil=True, cache=True, error_model="numpy")
def _convert(row: Any, z: Any, noisy: Any, base: Any, per_code: Any, top: Any) -> int:
    """Codes of the columns of one tile, in place; how many are at an end of the range that they have passed."""
    lost = 0
    for i in range(row.shape[0]):
        current = row[i] + base
        if noisy:
            current += z[i]
        code = np.floor(current * per_code + _HALF)
        bounded = _0 if code < _0 else code
        bounded = top if bounded > top else bounded
        lost += 1 if code != bounded else 0
        row[i] = bounded
    return lost


@njit(nogil=True, cache=True, error_model="numpy")
def neuron_input(how: Any, sums: Any, variance: Any, active: Any, recording: Any, step: Any, z: Any, x: Any) -> int:
    """What the arrays give each neuron, into ``x``; how many conversions were clipped.

    ``sums``: (tiles, width) column sums less ``active * offset``; or (1, width) weights where there is no converter;
    ``variance``: (tiles, columns) or of size 0, where ``sigma`` is that of every cell; ``active``: lines of each tile.
    """
    clipped = 0
    steady = how.floor > _0 or how.supply > _0
    noisy = how.sigma > _0 or variance.size > 0 or steady
    converts = how.lsb > _0
    x[:] = how.bias
    for tile in range(sums.shape[0]):
        if active[tile] == 0 and not steady:
            continue
        row = sums[tile]
        if noisy:
            normals(how.key[0], how.key[1], recording, step, np.uint32(2 * tile) + READ, z)
            common = _1 + how.supply * z[how.columns]
            if variance.size > 0:
                for i in range(variance.shape[1]):
                    z[i] *= np.sqrt(variance[tile, i] + how.floor)
            else:
                square = np.float64(how.sigma) ** 2 * np.float64(active[tile]) + np.float64(how.floor)
                scale = np.float32(np.sqrt(square))
                for i in range(z.shape[0]):
                    z[i] *= scale
        if converts:
            clipped += _convert(
                row[: how.columns], z, noisy, np.float32(active[tile]) * how.offset, _1 / how.lsb, how.top
            )
            for s in range(how.segments.shape[0]):
                lo, hi, plus, minus = how.segments[s]
                above, below, to = row[lo + plus : hi + plus], row[lo + minus : hi + minus], x[lo:hi]
                for j in range(hi - lo):
                    to[j] += (above[j] - below[j]) * how.lsb
        elif noisy:
            for s in range(how.segments.shape[0]):
                lo, hi, plus, minus = how.segments[s]
                above, below, to, of = z[lo + plus : hi + plus], z[lo + minus : hi + minus], x[lo:hi], row[lo:hi]
                for j in range(hi - lo):
                    to[j] += of[j] * common + (above[j] - below[j])
        else:
            for j in range(x.shape[0]):
                x[j] += row[j]
    return clipped


@njit(nogil=True, cache=True, error_model="numpy")
def _fire(how: Any, recording: Any, step: Any, neuron: Any) -> int:
    """Leak, add, compare: how many neurons fired."""
    membrane, kept, waiting, x, z, over, fired = neuron
    neurons, gain, decay = membrane.shape[0], how.gain, how.decay
    if how.refractory > 0:
        for j in range(neurons):
            x[j] *= _1 if waiting[j] == 0 else _0
    for j in range(neurons):
        membrane[j] = kept[j] * membrane[j] + x[j] * gain
        kept[j] = decay
    if how.wobble > _0:
        normals(how.key[0], how.key[1], recording, step, DECISION, z)
        for j in range(neurons):
            x[j] = membrane[j] + how.wobble * z[j]
    else:
        for j in range(neurons):
            x[j] = membrane[j]
    if how.refractory > 0:
        for j in range(neurons):
            x[j] = x[j] if waiting[j] == 0 else -_LARGEST
    # Eight comparisons a word, since few of them are not zero: neurons fire rarely.
    for j in range(neurons):
        over[j] = x[j] > how.threshold[j]
    last = 0
    words = over.view(np.uint64)
    for word in range(words.shape[0]):
        if words[word] != _NONE:
            for j in range(8 * word, 8 * word + 8):
                fired[last] = j
                last += over[j]
    if how.refractory > 0:
        for j in range(neurons):
            waiting[j] = max(waiting[j] - 1, 0)
    for k in range(last):
        kept[fired[k]] = decay * how.residue
        if how.refractory > 0:
            waiting[fired[k]] = how.refractory
    return last


@njit(nogil=True, cache=True, error_model="numpy")
def _add_rows(rows: Any, lines: Any, out: Any) -> None:
    """Add the rows ``lines`` to ``out``, four at a time: a sum is stored once for four that are read."""
    n, width = lines.shape[0], out.shape[0]
    whole = n - n % 4
    for k in range(0, whole, 4):
        a, b, c, d = np.uint64(lines[k]), np.uint64(lines[k + 1]), np.uint64(lines[k + 2]), np.uint64(lines[k + 3])
        for j in range(width):
            out[j] += (rows[a, j] + rows[b, j]) + (rows[c, j] + rows[d, j])
    for k in range(whole, n):
        a = np.uint64(lines[k])
        for j in range(width):
            out[j] += rows[a, j]


@njit(nogil=True, cache=True, error_model="numpy")
def run_events(how: Any, rows: Any, row_variance: Any, recordings: Any, first: Any, last: Any, marks: Any) -> None:
    """Recordings ``first .. last - 1`` on one chip: of each step only the rows of active lines and of neurons that
    fired are added. ``rows``: (rows, width), inputs first, then neurons."""
    neurons, width = how.threshold.shape[0], rows.shape[1]
    lines, offsets, steps, numbers = recordings
    shared = how.lsb == _0
    blocks = 1 if shared else how.edges.shape[0] - 1
    membrane, x = np.empty(neurons, np.float32), np.empty(neurons, np.float32)
    kept, waiting = np.empty(neurons, np.float32), np.empty(neurons, np.int32)
    over, fired = np.zeros(-(-neurons // 8) * 8, np.uint8), np.empty(neurons + 8, np.int64)
    sums, z = np.empty((blocks, width), np.float32), np.zeros(how.z_width, np.float32)
    neuron = Neuron(membrane, kept, waiting, x, z, over, fired)
    driven = np.empty(rows.shape[0], np.int64)
    variance = np.empty((blocks if row_variance.size else 0, row_variance.shape[1]), np.float32)
    active = np.empty(blocks, np.int64)
    for n in range(first, last):
        membrane[:] = _0
        kept[:] = how.decay
        waiting[:] = 0
        spiking = 0
        recording = np.uint32(numbers[n])
        for step in range(steps):
            start, stop = offsets[n * steps + step], offsets[n * steps + step + 1]
            count = stop - start + spiking
            for k in range(start, stop):
                driven[k - start] = lines[k]
            for k in range(spiking):
                driven[stop - start + k] = how.inputs + fired[k]
            marks.reads[n] += count
            sums[:] = _0
            variance[:] = _0
            begin = 0
            for tile in range(blocks):
                end = count if shared else begin
                while end < count and driven[end] < how.edges[tile + 1]:
                    end += 1
                active[tile] = end - begin
                _add_rows(rows, driven[begin:end], sums[tile])
                if row_variance.size:
                    _add_rows(row_variance, driven[begin:end], variance[tile])
                begin = end
            marks.clipped[n] += neuron_input(how, sums, variance, active, recording, np.uint32(step), z, x)
            spiking = _fire(how, recording, np.uint32(step), neuron)
            for k in range(spiking):
                marks.counts[n, fired[k]] += 1
                if marks.raster.size:
                    marks.raster[n, step, fired[k]] = 1


@njit(nogil=True, cache=True, error_model="numpy")
def fill_inputs(block: Any, edges: Any, recordings: Any, step: Any, first: Any) -> None:
    """Ones where a line is active in this step, and no longer where it was a step before; ``lit`` has the neurons that
    drive lines of each row tile, and the inputs are added."""
    driven, lit, lines, offsets = block.driven, block.lit, recordings.lines, recordings.offsets
    for i in range(driven.shape[0]):
        at = (first + i) * recordings.steps + step
        if step > 0:
            for k in range(offsets[at - 1], offsets[at]):
                driven[i, lines[k]] = _0
        tile = 0
        for k in range(offsets[at], offsets[at + 1]):
            driven[i, lines[k]] = _1
            while lines[k] >= edges[tile + 1]:
                tile += 1
            lit[i, tile] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def advance_block(how: Any, block: Any, recordings: Any, step: Any, first: Any, marks: Any) -> None:
    """One step of a block of recordings on one chip, after the product: the last columns of ``driven`` take the spikes
    for the next step."""
    neurons, inputs, driven, lit = how.threshold.shape[0], how.inputs, block.driven, block.lit
    x, z = np.empty(neurons, np.float32), np.zeros(how.z_width, np.float32)
    over, fired = np.zeros(-(-neurons // 8) * 8, np.uint8), np.empty(neurons + 8, np.int64)
    for i in range(driven.shape[0]):
        n = first + i
        recording = np.uint32(recordings.numbers[n])
        marks.reads[n] += lit[i].sum()
        marks.clipped[n] += neuron_input(
            how, block.sums[:, i], block.variances[:, i], lit[i], recording, np.uint32(step), z, x
        )
        neuron = Neuron(block.membrane[i], block.kept[i], block.waiting[i], x, z, over, fired)
        spiking = _fire(how, recording, np.uint32(step), neuron)
        driven[i, inputs:] = _0
        lit[i] = 0
        tile = 0
        for k in range(spiking):
            marks.counts[n, fired[k]] += 1
            driven[i, inputs + fired[k]] = _1
            while inputs + fired[k] >= how.edges[tile + 1]:
                tile += 1
            lit[i, tile] += 1
            if marks.raster.size:
                marks.raster[n, step, fired[k]] = 1
