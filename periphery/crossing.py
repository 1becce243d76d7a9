"""The search behind a conversion, compiled: how many thresholds lie at or below what the comparator sees.

One pass adds offset and noise and counts, so nothing the size of the conversions is written but the codes. Counting the
thresholds of all columns beside each other, as the comparators do, needs no branch on data and fills the processor's
vectors: at 5 bits it takes a tenth of a binary search, whose branches noise makes unpredictable.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def _count(z: Any, offset: Any, variance: Any, sigma2: Any, xi: Any, tables: Any, codes: Any) -> None:
    """``z``, ``codes``: (chips, n, ramps, columns); ``variance`` and ``xi`` the same or of size 0; ``tables``: (chips,
    n or 1, ramps, thresholds); ``offset``: (chips, ramps, columns)."""
    chips, samples, ramps, columns = z.shape
    noisy, varies = xi.size > 0, variance.size > 0
    own = tables.shape[1] > 1
    sigma = np.float32(math.sqrt(sigma2))
    seen = np.empty(columns, np.float32)
    count = np.empty(columns, np.int32)
    for chip in range(chips):
        for sample in range(samples):
            for ramp in range(ramps):
                for column in range(columns):
                    seen[column] = z[chip, sample, ramp, column] + offset[chip, ramp, column]
                    count[column] = 0
                if noisy and varies:
                    for column in range(columns):
                        spread = np.float32(math.sqrt(variance[chip, sample, ramp, column] + sigma2))
                        seen[column] += spread * xi[chip, sample, ramp, column]
                elif noisy:
                    for column in range(columns):
                        seen[column] += sigma * xi[chip, sample, ramp, column]
                for threshold in tables[chip, sample if own else 0, ramp]:
                    for column in range(columns):
                        count[column] += threshold <= seen[column]
                for column in range(columns):
                    codes[chip, sample, ramp, column] = count[column]


NOTHING = np.empty((0, 0, 0, 0), np.float32)


def first_crossing(
    z: torch.Tensor,
    tables: torch.Tensor,
    *,
    offset: torch.Tensor,
    variance: torch.Tensor | None = None,
    sigma: float = 0.0,
    xi: torch.Tensor | None = None,
) -> torch.Tensor:
    """Codes (chips, n, ramps, columns), int32, of ``z`` in the same shape; a tie goes up.

    ``tables``: rising thresholds (chips, n or 1, ramps, thresholds); ``offset``: (chips, 1, ramps, columns). ``xi``:
    standard normal numbers in the shape of ``z``, scaled by ``sqrt(variance + sigma^2)``; None adds no noise.
    """
    shape = z.shape
    codes = np.empty(tuple(shape), np.int32)
    _count(
        z.float().contiguous().numpy(),
        offset.float().expand(shape[0], 1, *shape[2:])[:, 0].contiguous().numpy(),
        NOTHING if variance is None else variance.float().contiguous().numpy(),
        np.float32(sigma**2),
        NOTHING if xi is None else xi.float().contiguous().numpy(),
        tables.float().contiguous().numpy(),
        codes,
    )
    return torch.from_numpy(codes)
