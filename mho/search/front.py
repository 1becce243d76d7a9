"""Dominance between vectors of figures, and the set that nothing dominates.

One vector dominates another where it is at least as good in every figure and better in one (Deb, Multi-Objective
Optimization using Evolutionary Algorithms, 2001, section 2.4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def dominated(figures: ArrayLike, by: ArrayLike) -> NDArray[np.bool_]:
    """Which rows of ``figures`` (n, m) some row of ``by`` (k, m) dominates; smaller is better. Returns (n,)."""
    rows, others = np.asarray(figures, dtype=float), np.asarray(by, dtype=float)
    found = np.zeros(len(rows), dtype=bool)
    for other in others:
        found |= (other <= rows).all(axis=1) & (other < rows).any(axis=1)
    return found


def front(figures: ArrayLike) -> NDArray[np.bool_]:
    """Which rows of (n, m) no other row dominates; smaller is better, equal rows all stay. Returns (n,)."""
    rows = np.asarray(figures, dtype=float)
    on = np.ones(len(rows), dtype=bool)
    # A row can only be dominated by one that comes before it in lexical order.
    kept: list[int] = []
    for index in np.lexsort(rows.T[::-1]) if len(rows) else ():
        on[index] = not (kept and dominated(rows[index : index + 1], rows[kept])[0])
        if on[index]:
            kept.append(int(index))
    return on
