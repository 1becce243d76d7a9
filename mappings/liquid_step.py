"""Steps of a liquid, compiled: sums of columns, their noise and conversion, differences, neurons that leak and fire.

Two engines bring the column sums of a step: ``events`` adds the rows of the active word lines, ``dense`` leaves the
product of a block of recordings to a matrix multiplication. Rows lie on a binary grid so fine (``on_grid``) that their
sums are exact in single precision, in any order: both engines, any batch and any number of threads give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from mappings.liquid_noise import normals

READ, DECISION = np.uint32(0), np.uint32(1)
"""Origins of noise: the cells of a read, the decision of a neuron."""
_MANTISSA_BITS = 24
_0, _1, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)


def on_grid(rows: torch.Tensor) -> torch.Tensor:
    """``rows`` (chips, rows, columns) rounded to multiples of a power of two, each chip's own, so that no sum over any
    of its rows needs more than the 24 bits of a single-precision number.

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


@njit(nogil=True, cache=True, error_model="numpy")
def _advance(
    sums: Any,
    variance: Any,
    active: Any,
    sigma: Any,
    offset: Any,
    lsb: Any,
    top: Any,
    segments: Any,
    gain: Any,
    decay: Any,
    residue: Any,
    refractory: Any,
    threshold: Any,
    wobble: Any,
    key: Any,
    recording: Any,
    step: Any,
    z: Any,
    x: Any,
    membrane: Any,
    kept: Any,
    waiting: Any,
    fired: Any,
) -> tuple[int, int]:
    """One step of one recording; how many fired, the first of ``fired``, and how many conversions were clipped.

    ``sums``: (tiles, width) column sums less ``active * offset``; or (1, width) differences where ``lsb`` is 0;
    ``variance``: (tiles, width) of columns or of size 0, where ``sigma`` is the same for every cell.
    """
    tiles = sums.shape[0]
    neurons = membrane.shape[0]
    clipped = 0
    noisy = sigma > _0 or variance.size > 0
    converts = lsb > _0
    if converts:
        x[:] = _0
    for tile in range(tiles):
        if active[tile] == 0:
            continue
        if noisy:
            normals(key[0], key[1], recording, step, np.uint32(2 * tile) + READ, z)
            if variance.size > 0:
                for i in range(variance.shape[1]):
                    z[i] *= np.sqrt(variance[tile, i])
            else:
                scale = sigma * np.float32(np.sqrt(np.float64(active[tile])))
                for i in range(z.shape[0]):
                    z[i] *= scale
        row = sums[tile]
        if converts:
            base = np.float32(active[tile]) * offset
            for i in range(row.shape[0]):
                seen = row[i] + base
                if noisy:
                    seen += z[i]
                code = np.floor(seen / lsb + _HALF)
                bounded = min(max(code, _0), top)
                clipped += code != bounded
                row[i] = bounded
            for s in range(segments.shape[0]):
                lo, hi, plus, minus = segments[s]
                for j in range(lo, hi):
                    x[j] += row[j + plus] - row[j + minus]
        elif noisy:
            for s in range(segments.shape[0]):
                lo, hi, plus, minus = segments[s]
                for j in range(lo, hi):
                    x[j] = row[j] + (z[j + plus] - z[j + minus])
        else:
            for j in range(neurons):
                x[j] = row[j]
    scale = gain * lsb if converts else gain
    if not converts and active[0] == 0:
        x[:] = _0
    if refractory > 0:
        for j in range(neurons):
            membrane[j] = kept[j] * membrane[j] + (x[j] * scale if waiting[j] == 0 else _0)
    else:
        for j in range(neurons):
            membrane[j] = kept[j] * membrane[j] + x[j] * scale
    for j in range(neurons):
        kept[j] = decay
    if wobble > _0:
        normals(key[0], key[1], recording, step, DECISION, z)
    last = 0
    for j in range(neurons):
        seen = membrane[j] + wobble * z[j] if wobble > _0 else membrane[j]
        if seen > threshold[j] and (refractory == 0 or waiting[j] == 0):
            fired[last] = j
            last += 1
    if refractory > 0:
        for j in range(neurons):
            waiting[j] = max(waiting[j] - 1, 0)
    for k in range(last):
        kept[fired[k]] = decay * residue
        if refractory > 0:
            waiting[fired[k]] = refractory
    return last, clipped


@njit(nogil=True, cache=True, error_model="numpy")
def _add_rows(rows: Any, lines: Any, out: Any) -> None:
    """Add the rows ``lines`` to ``out``, four at a time: a sum is stored once for four that are read."""
    n, width = lines.shape[0], out.shape[0]
    whole = n - n % 4
    for k in range(0, whole, 4):
        a, b, c, d = rows[lines[k]], rows[lines[k + 1]], rows[lines[k + 2]], rows[lines[k + 3]]
        for j in range(width):
            out[j] += (a[j] + b[j]) + (c[j] + d[j])
    for k in range(whole, n):
        a = rows[lines[k]]
        for j in range(width):
            out[j] += a[j]


@njit(nogil=True, cache=True, error_model="numpy")
def run_events(
    rows: Any,
    row_variance: Any,
    edges: Any,
    sigma: Any,
    offset: Any,
    lsb: Any,
    top: Any,
    segments: Any,
    gain: Any,
    decay: Any,
    residue: Any,
    refractory: Any,
    threshold: Any,
    wobble: Any,
    key: Any,
    z_width: Any,
    inputs: Any,
    steps: Any,
    lines: Any,
    offsets: Any,
    numbers: Any,
    first: Any,
    last: Any,
    counts: Any,
    reads: Any,
    clipped: Any,
    raster: Any,
) -> None:
    """Recordings ``first .. last - 1`` on one chip: of each step only the rows of active lines and of neurons that
    fired are added.

    ``rows``: (rows, width), inputs first, then neurons; ``edges``: first rows of the row tiles, and their end;
    ``counts``: (n, neurons); ``reads``, ``clipped``: (n,), lines driven and conversions clipped over all steps;
    ``raster``: (n, steps, neurons) or of size 0.
    """
    neurons, tiles, width = threshold.shape[0], edges.shape[0] - 1, rows.shape[1]
    shared = lsb == _0
    blocks = 1 if shared else tiles
    membrane, x = np.empty(neurons, np.float32), np.empty(neurons, np.float32)
    kept, waiting = np.empty(neurons, np.float32), np.empty(neurons, np.int32)
    fired, driven = np.empty(neurons, np.int64), np.empty(rows.shape[0], np.int64)
    sums, z = np.empty((blocks, width), np.float32), np.zeros(z_width, np.float32)
    variance = np.empty((blocks if row_variance.size else 0, row_variance.shape[1]), np.float32)
    active = np.empty(blocks, np.int64)
    for n in range(first, last):
        membrane[:] = _0
        kept[:] = decay
        waiting[:] = 0
        spiking = 0
        for step in range(steps):
            at = n * steps + step
            start, stop = offsets[at], offsets[at + 1]
            count = stop - start + spiking
            for k in range(start, stop):
                driven[k - start] = lines[k]
            for k in range(spiking):
                driven[stop - start + k] = inputs + fired[k]
            reads[n] += count
            sums[:] = _0
            if row_variance.size:
                variance[:] = _0
            begin = 0
            for tile in range(blocks):
                end = count if shared else begin
                while end < count and driven[end] < edges[tile + 1]:
                    end += 1
                active[tile] = end - begin
                _add_rows(rows, driven[begin:end], sums[tile])
                if row_variance.size:
                    _add_rows(row_variance, driven[begin:end], variance[tile])
                begin = end
            spiking, lost = _advance(
                sums, variance, active, sigma, offset, lsb, top, segments, gain, decay, residue, refractory, threshold,
                wobble, key, np.uint32(numbers[n]), np.uint32(step), z, x, membrane, kept, waiting, fired,
            )  # fmt: skip
            clipped[n] += lost
            for k in range(spiking):
                counts[n, fired[k]] += 1
                if raster.size:
                    raster[n, step, fired[k]] = 1


@njit(nogil=True, cache=True, error_model="numpy")
def fill_inputs(driven: Any, lines: Any, offsets: Any, steps: Any, step: Any, inputs: Any, first: Any) -> None:
    """Ones where a line is active in this step: the first ``inputs`` columns of ``driven`` (block, rows)."""
    driven[:, :inputs] = _0
    recordings = (offsets.shape[0] - 1) // steps
    for i in range(min(driven.shape[0], recordings - first)):
        at = (first + i) * steps + step
        for k in range(offsets[at], offsets[at + 1]):
            driven[i, lines[k]] = _1


@njit(nogil=True, cache=True, error_model="numpy")
def advance_block(
    sums: Any,
    variances: Any,
    driven: Any,
    edges: Any,
    sigma: Any,
    offset: Any,
    lsb: Any,
    top: Any,
    segments: Any,
    gain: Any,
    decay: Any,
    residue: Any,
    refractory: Any,
    threshold: Any,
    wobble: Any,
    key: Any,
    z_width: Any,
    inputs: Any,
    step: Any,
    numbers: Any,
    membrane: Any,
    kept: Any,
    waiting: Any,
    counts: Any,
    reads: Any,
    clipped: Any,
    raster: Any,
) -> None:
    """One step of a block of recordings on one chip, after the product: ``sums`` and ``variances`` (tiles, block,
    width), ``driven`` (block, rows), whose last columns take the spikes for the next step."""
    neurons = threshold.shape[0]
    shared = lsb == _0
    x, z, fired = np.empty(neurons, np.float32), np.zeros(z_width, np.float32), np.empty(neurons, np.int64)
    active = np.zeros(sums.shape[0], np.int64)
    for i in range(counts.shape[0]):
        for tile in range(sums.shape[0]):
            lo, hi = (0, driven.shape[1]) if shared else (edges[tile], edges[tile + 1])
            count = _0
            for k in range(lo, hi):
                count += driven[i, k]
            active[tile] = np.int64(count)
            reads[i] += active[tile]
        spiking, lost = _advance(
            sums[:, i], variances[:, i], active, sigma, offset, lsb, top, segments, gain, decay, residue, refractory,
            threshold, wobble, key, np.uint32(numbers[i]), np.uint32(step), z, x, membrane[i], kept[i], waiting[i],
            fired,
        )  # fmt: skip
        clipped[i] += lost
        driven[i, inputs:] = _0
        for k in range(spiking):
            counts[i, fired[k]] += 1
            driven[i, inputs + fired[k]] = _1
            if raster.size:
                raster[i, step, fired[k]] = 1
