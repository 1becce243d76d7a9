"""Errors of a sparse product that cells computed, against the exact one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class SparseAccuracy:
    """Errors of a sparse product over the entries where a partial product falls; everywhere else both are 0.

    Parameters
    ----------
    relative_frobenius : ``|C - C_exact| / |C_exact|`` [1]
    mean_absolute, largest : of the entries' errors
    mean_relative : of the entries' errors by their exact size, over those that are not 0 [1]
    bias : mean error
    exact_share : entries that are right: to the last bit where ``whole``, else within 1e-6 of their size [1]
    rounded_share : entries that are right once rounded to the next integer [1]; nan unless the exact ones are integers
    missing, false : share of exact nonzeros that the chip gives as 0, and of zeros that it does not [1]; for integers
        after rounding
    """

    relative_frobenius: float
    mean_absolute: float
    largest: float
    mean_relative: float
    bias: float
    exact_share: float
    rounded_share: float
    missing: float
    false: float


def accuracy(found: Any, exact: Any) -> SparseAccuracy:
    """Compare two CSR matrices of one pattern; ValueError for patterns that differ."""
    if found.shape != exact.shape or not (
        np.array_equal(found.indptr, exact.indptr) and np.array_equal(found.indices, exact.indices)
    ):
        raise ValueError("both products must have the same pattern")
    c, e = np.asarray(found.data, np.float64), np.asarray(exact.data, np.float64)
    if not e.size:
        return SparseAccuracy(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
    error, size = c - e, np.abs(e)
    whole = bool((e == np.rint(e)).all())
    shown = np.rint(c) if whole else c
    filled = size > 0
    norm = float(np.linalg.norm(e))
    return SparseAccuracy(
        relative_frobenius=float(np.linalg.norm(error)) / norm if norm else float(np.linalg.norm(error)),
        mean_absolute=float(np.abs(error).mean()),
        largest=float(np.abs(error).max()),
        mean_relative=float((np.abs(error[filled]) / size[filled]).mean()) if filled.any() else 0.0,
        bias=float(error.mean()),
        exact_share=float((error == 0.0).mean() if whole else (np.abs(error) <= 1e-6 * size).mean()),
        rounded_share=float((shown == e).mean()) if whole else float("nan"),
        missing=float((shown[filled] == 0.0).mean()) if filled.any() else 0.0,
        false=float((shown[~filled] != 0.0).mean()) if (~filled).any() else 0.0,
    )
