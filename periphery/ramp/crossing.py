"""The search behind a conversion, compiled: how many thresholds are at or below what the comparator sees.

One pass adds offset and noise and looks the code up, so nothing the size of the conversions is written but the codes.
A uniform grid over the table's range gives, for every bucket, how many thresholds are in the buckets below; only those
of the bucket itself are compared. That is exact: the bucket of a number is a rising function of it in floating point
too, so thresholds of lower buckets are below what is seen, and those of higher buckets above. Where no bucket has two
thresholds (at 8 buckets a threshold, the smallest step is above an eighth of the mean) one comparison settles it.

A short table is counted through, all columns beside each other, as the comparators do it: that needs no grid. Where
every sample has a separate ramp (noise of the ramp's cells), a grid serves one row of columns only, and counting pays
for longer tables.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit

from devices.counters import has_triton

# With one ramp for all samples, and with a ramp for every sample.
FINENESS, FINENESS_EACH = 8, 2
COUNTED, COUNTED_EACH = 12, 40


@njit(nogil=True, cache=True, error_model="numpy")
def buckets(values: Any, low: Any, per_unit: Any, top: Any, bucket: Any) -> None:
    """Bucket of each value, 0 to ``top``; not-a-number falls into the first, where no threshold is below it."""
    for k in range(values.size):
        at = (values[k] - low) * per_unit
        at = at if at > np.float32(0.0) else np.float32(0.0)
        bucket[k] = np.int32(at if at < top else top)


@njit(nogil=True, cache=True, error_model="numpy")
def build_grid(table: Any, fineness: int, bucket: Any, below: Any, padded: Any) -> Any:
    """Fill ``below`` (thresholds under each bucket) and ``padded`` (the table, then numbers that nothing reaches).

    Returns the grid's origin, its buckets per unit, its last bucket, and the most thresholds in one bucket.
    """
    count = table.size
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for k in range(count):
        padded[k] = table[k]
        padded[count + k] = np.nan
        if abs(table[k]) < np.inf:
            low, high = min(low, table[k]), max(high, table[k])
    last = fineness * (count + 1) - 1
    top = np.float32(last)
    per_unit = top / (high - low) if high > low else np.float32(0.0)
    if not per_unit < np.inf:
        per_unit = np.float32(0.0)
    buckets(table, low, per_unit, top, bucket)
    filled, most, run = 0, 1, 0
    for k in range(count):
        run = run + 1 if k > 0 and bucket[k] == bucket[k - 1] else 1
        most = max(most, run)
        while filled <= bucket[k]:
            below[filled] = k
            filled += 1
    while filled <= last:
        below[filled] = count
        filled += 1
    return low, per_unit, top, most


@njit(nogil=True, cache=True, error_model="numpy")
def look_up(seen: Any, grid: Any, below: Any, padded: Any, bucket: Any, codes: Any) -> None:
    low, per_unit, top, most = grid
    buckets(seen, low, per_unit, top, bucket)
    for column in range(seen.size):
        first = below[bucket[column]]
        codes[column] = first + (padded[first] <= seen[column])
    for k in range(1, most):
        for column in range(seen.size):
            codes[column] += padded[below[bucket[column]] + k] <= seen[column]


@njit(nogil=True, cache=True, error_model="numpy")
def count_passed(seen: Any, table: Any, codes: Any) -> None:
    codes[:] = 0
    for threshold in table:
        for column in range(seen.size):
            codes[column] += threshold <= seen[column]


@njit(nogil=True, cache=True, error_model="numpy")
def _see(z: Any, offset: Any, variance: Any, sigma2: Any, sigma: Any, xi: Any, seen: Any) -> None:
    """What the comparators of one ramp see; ``variance`` and ``xi`` may have size 0."""
    for column in range(z.size):
        seen[column] = z[column] + offset[column]
    if xi.size and variance.size:
        for column in range(z.size):
            spread = np.float32(math.sqrt(variance[column] + sigma2))
            seen[column] += spread * xi[column]
    elif xi.size:
        for column in range(z.size):
            seen[column] += sigma * xi[column]


@njit(nogil=True, cache=True, error_model="numpy")
def rise(levels: Any, walk_sigma: Any, walk: Any, table: Any) -> None:
    """The running maximum of one ramp whose steps err by ``walk_sigma * walk``, summed in double precision."""
    first = walk_sigma.size - levels.size
    total, highest = 0.0, np.float32(-np.inf)
    for k in range(walk_sigma.size):
        total += walk_sigma[k] * walk[k]
        if k >= first:
            highest = max(highest, levels[k - first] + np.float32(total))
            table[k - first] = highest


@njit(nogil=True, cache=True, error_model="numpy")
def _convert(z: Any, offset: Any, noise: Any, levels: Any, steps: Any, codes: Any) -> None:
    """Arrays as in ``first_crossing``; ``noise``: variance, sigma^2 and xi, and ``steps``: walk_sigma and walk, of
    which ``variance``, ``xi`` and ``walk`` may have size 0."""
    (variance, sigma2, xi), (walk_sigma, walk) = noise, steps
    chips, samples, ramps, columns = z.shape
    sigma = np.float32(math.sqrt(sigma2))
    nothing = np.empty(0, np.float32)
    each = walk.size > 0
    count = levels.shape[2]
    fineness = FINENESS_EACH if each else FINENESS
    counted = count <= (COUNTED_EACH if each else COUNTED)
    seen, table = np.empty(columns, np.float32), np.empty(count, np.float32)
    below = np.empty(fineness * (count + 1), np.uint16)
    padded = np.empty(2 * count, np.float32)
    bucket = np.empty(max(columns, count), np.int32)
    grid = (np.float32(0.0), np.float32(0.0), np.float32(0.0), 1)
    for chip in range(chips):
        for ramp in range(ramps):
            if not each:
                table = levels[chip, ramp]
                grid = build_grid(table, fineness, bucket, below, padded)
            for sample in range(samples):
                _see(
                    z[chip, sample, ramp],
                    offset[chip, ramp],
                    variance[chip, sample, ramp] if variance.size else nothing,
                    sigma2,
                    sigma,
                    xi[chip, sample, ramp] if xi.size else nothing,
                    seen,
                )
                if each:
                    rise(levels[chip, ramp], walk_sigma[chip, ramp], walk[chip, sample, ramp], table)
                    if not counted:
                        grid = build_grid(table, fineness, bucket, below, padded)
                if counted:
                    count_passed(seen, table, codes[chip, sample, ramp])
                else:
                    look_up(seen, grid, below, padded, bucket, codes[chip, sample, ramp])


NOTHING = np.empty((1, 0, 0, 0), np.float32)


def first_crossing(
    z: torch.Tensor,
    levels: torch.Tensor,
    *,
    offset: torch.Tensor,
    variance: torch.Tensor | None = None,
    sigma: float = 0.0,
    xi: torch.Tensor | None = None,
    walk_sigma: torch.Tensor | None = None,
    walk: torch.Tensor | None = None,
) -> torch.Tensor:
    """Codes (chips, n, ramps, columns), int32, of ``z`` in the same shape; a tie goes up.

    ``levels``: (chips, ramps, thresholds), rising where there is no ``walk``; ``offset``: (chips, 1, ramps, columns).
    ``xi``: standard normal numbers in the shape of ``z``, scaled by ``sqrt(variance + sigma^2)``; None adds no noise.
    ``walk``: standard normal numbers (chips, n, ramps, cells) for the steps of the ramp of every conversion, scaled by
    ``walk_sigma`` (chips, ramps, cells); the last ``thresholds`` cells are steps, those before them the start.
    """
    shape = z.shape
    if z.device.type != "cpu":
        seen = z + offset
        if xi is not None:
            seen = seen + xi * (sigma if variance is None else (variance + sigma**2).sqrt())
        return crossed(seen, levels, walk_sigma, walk)
    codes = np.empty(tuple(shape), np.int32)
    _convert(
        _array(z),
        _array(offset.expand(shape[0], 1, *shape[2:])[:, 0]),
        (
            NOTHING if variance is None else _array(variance),
            np.float32(sigma**2),
            NOTHING if xi is None else _array(xi),
        ),
        _array(levels),
        (
            NOTHING[0] if walk_sigma is None else _array(walk_sigma),
            NOTHING if walk is None else _array(walk),
        ),
        codes,
    )
    return torch.from_numpy(codes)


def crossed(
    seen: torch.Tensor, levels: torch.Tensor, walk_sigma: torch.Tensor | None, walk: torch.Tensor | None
) -> torch.Tensor:
    """Codes of what comparators see in torch, for other devices; arguments as of ``first_crossing``."""
    chips, n, ramps, columns = seen.shape
    if walk_sigma is None or walk is None:
        columnwise = seen.transpose(1, 2).reshape(chips, ramps, n * columns).contiguous()
        table = levels.expand(chips, ramps, -1).contiguous()
        found: torch.Tensor = torch.searchsorted(table, columnwise, right=True, out_int32=True)
        codes: torch.Tensor = found.unflatten(2, (n, columns)).transpose(1, 2)
        return codes
    thresholds = levels.shape[-1]
    if seen.is_cuda and has_triton():
        from periphery.ramp.rise import rise

        size = 1 << thresholds.bit_length()
        table = torch.nn.functional.pad(levels.expand(chips, ramps, -1).float(), (0, size - thresholds))
        rising = rise(table.contiguous(), walk_sigma.float().contiguous(), walk.flatten(2)[:, :, None], 0, thresholds)
        rising = rising[:, :, 0, :, :thresholds].contiguous()
    else:
        total = (walk_sigma[:, None] * walk).cumsum(-1)[..., walk.shape[-1] - thresholds :]
        rising = torch.cummax(levels[:, None] + total, dim=-1).values
    codes = torch.searchsorted(rising, seen.contiguous(), right=True, out_int32=True)
    return codes


def _array(values: torch.Tensor) -> Any:
    return values.float().contiguous().numpy()
