"""Orders of the rows of a sparse matrix, so that rows which share columns share a tile.

Tiles with compacted columns number ``sum_g ceil(L_g / C)``, where L_g counts the different columns in the R rows of
group g. A nonzero whose column its group has already costs no bit line; ``shared`` counts those, the figure that every
order here tries to raise.

- ``natural``: in B's order, empty rows included;
- ``packed``: the same without empty rows;
- ``rcm``: reverse Cuthill-McKee on the pattern of B + B^T, or of the bipartite graph of rows and columns where B is not
  square (E. Cuthill, J. McKee, ACM 1969, doi 10.1145/800195.805928);
- ``leading``: by the first columns of each row;
- ``minhash``: by signatures that two rows share with the probability of their Jaccard similarity (A. Broder, 1997, doi
  10.1109/SEQUEN.1997.666900);
- ``greedy``: one group after the other; each next row is the one that shares most columns with its group, of those the
  shortest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

Order = Literal["natural", "packed", "rcm", "leading", "minhash", "greedy"]
Ints = NDArray[np.int64]
SIGNATURES = 4
HUB_GROUPS = 32
"""A column in more rows than so many groups hold distinguishes no two rows: it is left out of the greedy search."""


@dataclass(frozen=True)
class Ordering:
    """Rows in the order of their word lines, and columns in that of the blocks; None: in B's order."""

    rows: Ints | None
    columns: Ints | None = None


def order(b: Any, kind: Order, *, group: int) -> Ordering:
    """Rows of the CSR matrix ``b`` in an order for groups of ``group`` word lines."""
    return ORDERS[kind](b, group)


def shared(b: Any, rows: Ints, group: int) -> int:
    """Nonzeros whose column another row of their group holds before them."""
    group_of = np.full(b.shape[0], -1, np.int64)
    group_of[rows] = np.arange(rows.size) // group
    key = np.repeat(group_of, np.diff(b.indptr)) * b.shape[1] + b.indices
    return int(key.size - np.unique(key).size)


def _filled(b: Any) -> Ints:
    return np.flatnonzero(np.diff(b.indptr)).astype(np.int64)


def _natural(b: Any, group: int) -> Ordering:
    return Ordering(None)


def _packed(b: Any, group: int) -> Ordering:
    return Ordering(_filled(b))


def _rcm(b: Any, group: int) -> Ordering:
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    height, width = b.shape
    if height == width == 0:  # SciPy's ordering asks for a node
        return Ordering(np.zeros(0, np.int64), np.zeros(0, np.int64))
    pattern = sparse.csr_matrix((np.ones(b.nnz, np.int8), b.indices, b.indptr), shape=b.shape)
    if height == width:
        both = reverse_cuthill_mckee(sparse.csr_matrix(pattern + pattern.T), symmetric_mode=True).astype(np.int64)
        rows, columns = both, both
    else:
        graph = sparse.csr_matrix(sparse.bmat([[None, pattern], [pattern.T, None]]))
        both = reverse_cuthill_mckee(graph, symmetric_mode=True).astype(np.int64)
        rows, columns = both[both < height], both[both >= height] - height
    holds = np.diff(b.indptr) > 0
    return Ordering(rows[holds[rows]], columns)


def _leading(b: Any, group: int) -> Ordering:
    rows = _filled(b)
    length = np.diff(b.indptr)[rows]
    keys = []
    for n in range(SIGNATURES):
        at = b.indptr[rows] + np.minimum(n, length - 1)
        keys.append(np.where(n < length, b.indices[at] if rows.size else 0, b.shape[1]))
    return Ordering(rows[np.lexsort(keys[::-1])])


def _minhash(b: Any, group: int) -> Ordering:
    rows = _filled(b)
    if not rows.size:
        return Ordering(rows)
    column = b.indices.astype(np.uint64)
    keys = []
    for n in range(SIGNATURES):
        # A bijection of 64-bit words (the finisher of SplitMix64) ranks the columns, differently for every n.
        z = column * np.uint64(0x9E3779B97F4A7C15) + np.uint64((0xBF58476D1CE4E5B9 * (2 * n + 1)) & (2**64 - 1))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        keys.append(np.minimum.reduceat(z, b.indptr[rows]))
    return Ordering(rows[np.lexsort(keys[::-1])])


def _greedy(b: Any, group: int) -> Ordering:
    transposed = sparse.csc_matrix((np.ones(b.nnz, np.int8), b.indices, b.indptr), shape=b.shape[::-1]).tocsr()
    by_length = _filled(b)[np.argsort(-np.diff(b.indptr)[_filled(b)], kind="stable")]
    rows = _gather(
        b.indptr.astype(np.int64), b.indices.astype(np.int64), transposed.indptr.astype(np.int64),
        transposed.indices.astype(np.int64), by_length, group, HUB_GROUPS * group,
    )  # fmt: skip
    return Ordering(rows)


@njit(nogil=True, cache=True, error_model="numpy")
def _unlink(k: Any, n: Any, head: Any, before: Any, after: Any) -> None:
    """Take row ``k`` out of the ``n``-th list."""
    if before[k] >= 0:
        after[before[k]] = after[k]
    else:
        head[n] = after[k]
    if after[k] >= 0:
        before[after[k]] = before[k]


@njit(nogil=True, cache=True, error_model="numpy")
def _gather(ptr: Any, idx: Any, t_ptr: Any, t_idx: Any, by_length: Any, group: int, hub: int) -> Any:
    """Greedy groups. Rows that share n columns with the present group are in the n-th of a set of linked lists, so
    that the best one is found without a search."""
    height, longest = ptr.size - 1, 0
    for k in range(height):
        longest = max(longest, ptr[k + 1] - ptr[k])
    score = np.zeros(height, np.int64)
    before, after = np.full(height, -1, np.int64), np.full(height, -1, np.int64)
    head = np.full(longest + 2, -1, np.int64)
    taken = np.zeros(height, np.bool_)
    in_group = np.full(t_ptr.size - 1, -1, np.int64)
    met = np.empty(height, np.int64)
    rows = np.empty(by_length.size, np.int64)
    seed = 0
    at = 0
    g = 0
    while at < by_length.size:
        most, found = 0, 0
        for _ in range(group):
            if at == by_length.size:
                break
            while most > 0 and head[most] < 0:
                most -= 1
            if most > 0:
                # Of those that share as much, the shortest adds the fewest lines; a few are looked at.
                best, other, looked = head[most], head[most], 0
                while other >= 0 and looked < 16:
                    if ptr[other + 1] - ptr[other] < ptr[best + 1] - ptr[best]:
                        best = other
                    other = after[other]
                    looked += 1
                k = best
                _unlink(k, most, head, before, after)
            else:
                while taken[by_length[seed]]:
                    seed += 1
                k = by_length[seed]
            taken[k] = True
            rows[at] = k
            at += 1
            for p in range(ptr[k], ptr[k + 1]):
                j = idx[p]
                if in_group[j] == g or t_ptr[j + 1] - t_ptr[j] > hub:
                    continue
                in_group[j] = g
                for q in range(t_ptr[j], t_ptr[j + 1]):
                    other = t_idx[q]
                    if taken[other]:
                        continue
                    n = score[other]
                    if n > 0:
                        _unlink(other, n, head, before, after)
                    else:
                        met[found] = other
                        found += 1
                    n += 1
                    score[other] = n
                    before[other], after[other] = -1, head[n]
                    if head[n] >= 0:
                        before[head[n]] = other
                    head[n] = other
                    most = max(most, n)
        for m in range(found):
            head[score[met[m]]] = -1
            score[met[m]] = 0
        g += 1
    return rows


ORDERS: dict[Order, Callable[[Any, int], Ordering]] = {
    "natural": _natural,
    "packed": _packed,
    "rcm": _rcm,
    "leading": _leading,
    "minhash": _minhash,
    "greedy": _greedy,
}
