"""Gustavson's row-wise product, compiled: C[i, :] is the sum over k of A[i, k] B[k, :], merged as it is made.

Every row of C chooses how its partial products meet:

- *copy*: one nonzero in the row of A, so the row of B is scaled and nothing meets;
- *insert*: a handful of products, kept sorted in the output itself;
- *rank*: few products, far apart: each is put at the position that the number of smaller ones gives;
- *dense*: one slot a column, added to without asking whether it is empty; which slots were touched is written beside
  it, as one byte a column where the row is well filled, else as one bit a column and one byte for 64 of them, so that
  reading the touched slots in order costs next to nothing and sorts the row;
- *hash*: a table of the row's size with linear probing, then a sort, where a slot a column would not fit the cache.

Indices are unsigned throughout: for a signed one, compiled code first asks whether it counts from the end.

Products are added in the order in which A's row and B's rows are stored, in every path, so the result does not depend
on path, threads or blocks, and is the one that any row-wise code with a plain sum gives, to the last bit.

F. G. Gustavson, ACM Trans. Math. Softw. 4(3), 250 (1978), doi 10.1145/355791.355796.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

PLUS_TIMES, MIN_PLUS, MAX_MIN = 0, 1, 2
INSERT_LIMIT = 6
"""Products up to which a row is kept sorted by insertion."""
RANK_LIMIT = 32
"""Products up to which a row is sorted by counting, for each of them, those that come before it."""
NARROW = 1 << 12
"""Columns between a row's first and last up to which a look at all of them beats sorting."""
FAR = 1 << 25
"""Columns between a row's first and last below which column and position in the row share one 32-bit key."""
LAST_KEY = (1 << 31) - 1
DENSE_COLUMNS = 1 << 19
"""Columns up to which a slot a column is cheap to reach: 4 MB of float64."""
HASH_LIMIT = 1 << 14
"""Products up to which a hash table beats reaching into slots outside the cache."""
FILL = 4
"""Columns per product up to which one byte a column is cheaper than bits."""


class CsrFactors(NamedTuple):
    """A and B as CSR with unsigned indices, whether B's rows are sorted without duplicates, the columns of B, and the
    partial products before each row of C."""

    a_ptr: Any
    a_idx: Any
    a_val: Any
    b_ptr: Any
    b_idx: Any
    b_val: Any
    sorted_b: bool
    columns: int
    work: Any


def _lowest_bit(context: Any, word: Any) -> Any:
    """Position of the lowest bit set in a word that is not 0: one instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


_trailing_zeros: Any = intrinsic(_lowest_bit)


@njit(nogil=True, cache=True, error_model="numpy")
def _meet(semiring: int, old: Any, a: Any, b: Any) -> Any:
    """What a slot holds after the product of ``a`` and ``b`` has met it."""
    if semiring == PLUS_TIMES:
        return old + a * b
    if semiring == MIN_PLUS:
        total = a + b
        return total if total < old else old
    least = a if a < b else b
    return least if least > old else old


@njit(nogil=True, cache=True, error_model="numpy")
def survey(a_ptr: Any, a_idx: Any, b_ptr: Any, b_idx: Any, columns: int, work: Any) -> tuple[int, int, bool]:
    """Partial products before each row in ``work`` (rows + 1), the entries they can give at most, and whether B's rows
    are sorted without duplicates; -1 or -2 for the products where an index of A or of B is out of range."""
    inner = b_ptr.size - 1
    sorted_b = True
    limit, rows_b, one = np.uint64(columns), np.uint64(inner), np.uint64(1)
    for k in range(inner):
        start: Any = np.int64(b_ptr[k])
        stop: Any = np.int64(b_ptr[k + 1])
        if stop < start or start < 0 or stop > b_idx.size:
            return -2, 0, False
        if stop > start:
            largest: Any = np.uint64(b_idx[start])
            falls: Any = 0
            for q in range(np.uint64(start) + one, np.uint64(stop)):
                falls += b_idx[q] <= b_idx[q - one]
                largest = max(largest, np.uint64(b_idx[q]))
            if largest >= limit:
                return -2, 0, False
            sorted_b &= falls == 0
    total: Any = 0
    bound: Any = 0
    work[0] = 0
    for i in range(a_ptr.size - 1):
        start, stop = np.int64(a_ptr[i]), np.int64(a_ptr[i + 1])
        if stop < start or start < 0 or stop > a_idx.size:
            return -1, 0, False
        products: Any = np.int64(0)
        for p in range(np.uint64(start), np.uint64(stop)):
            row: Any = np.uint64(a_idx[p])
            if row >= rows_b:
                return -1, 0, False
            products += np.int64(b_ptr[row + one]) - np.int64(b_ptr[row])
        total += products
        bound += min(products, columns)
        work[i + 1] = total
    return total, bound, sorted_b


@njit(nogil=True, cache=True, error_model="numpy")
def _entries(i: Any, a_ptr: Any, a_idx: Any, b_ptr: Any, b_idx: Any, seen: Any) -> tuple[int, int]:
    """Partial products and entries of row ``i``; ``seen``: the last row in which each column was met."""
    one = np.uint64(1)
    products, entries = 0, 0
    for p in range(np.uint64(a_ptr[i]), np.uint64(a_ptr[i + 1])):
        k = np.uint64(a_idx[p])
        for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
            j = b_idx[q]
            entries += seen[j] != i
            seen[j] = i
            products += 1
    return products, entries


@njit(nogil=True, cache=True, error_model="numpy")
def count(first: int, last: int, a_ptr: Any, a_idx: Any, b_ptr: Any, b_idx: Any, columns: int, c_ptr: Any) -> None:
    """Symbolic phase: entries of rows ``first`` to ``last`` of C into ``c_ptr[i + 1]``."""
    seen = np.full(columns, -1, np.int64)
    for i in range(first, last):
        c_ptr[i + 1] = _entries(i, a_ptr, a_idx, b_ptr, b_idx, seen)[1]


@njit(nogil=True, cache=True, error_model="numpy")
def sample(stride: int, a_ptr: Any, a_idx: Any, b_ptr: Any, b_idx: Any, columns: int) -> tuple[int, int]:
    """Partial products and entries of every ``stride``-th row of C."""
    seen = np.full(columns, -1, np.int64)
    products, entries = 0, 0
    for i in range(0, a_ptr.size - 1, stride):
        row = _entries(i, a_ptr, a_idx, b_ptr, b_idx, seen)
        products, entries = products + row[0], entries + row[1]
    return products, entries


@njit(nogil=True, cache=True, error_model="numpy")
def move(array: Any, start: int, stop: int, to: int) -> None:
    """Bring ``array[start:stop]`` forward to ``to``, which is before it."""
    for n in range(stop - start):
        array[to + n] = array[start + n]


@njit(nogil=True, cache=True, error_model="numpy")
def _sort_pairs(keys: Any, values: Any, start: Any, stop: Any) -> None:
    """Sort ``keys[start:stop]``, which are distinct, and carry ``values`` along (Shell's method, Ciura's gaps)."""
    gap = 1
    while gap < (stop - start) // 2:
        gap = int(gap * 2.25) + 1
    while gap > 0:
        for n in range(start + gap, stop):
            key, value, m = keys[n], values[n], n
            while m >= start + gap and keys[m - gap] > key:
                keys[m], values[m] = keys[m - gap], values[m - gap]
                m -= gap
            keys[m], values[m] = key, value
        gap = 0 if gap == 1 else max(1, int(gap / 2.25))


@njit(nogil=True, cache=True, error_model="numpy")
def multiply(
    semiring: int, first: Any, last: Any, factors: CsrFactors, empty: Any, sort: bool, out: Any, begin: Any
) -> Any:
    """Numeric phase: rows ``first`` to ``last`` of C, one after the other from ``begin`` on; where they end.

    ``empty``: what a slot holds before anything has met it, in an array of one; ``out``: row pointers, indices and data
    of C, where the number of entries of a row goes into ``c_ptr[i + 1]``.
    """
    a_ptr, a_idx, a_val, b_ptr, b_idx, b_val, sorted_b, columns, work = factors
    c_ptr, c_idx, c_val = out
    nothing = empty[0]
    slots_fit = columns <= DENSE_COLUMNS
    widest, largest_hash = 0, 0
    for i in range(first, last):
        products = work[i + 1] - work[i]
        if products and not (sorted_b and a_ptr[i + 1] - a_ptr[i] == 1):
            if slots_fit or products > HASH_LIMIT:
                widest = columns
            else:
                largest_hash = max(largest_hash, products)
    groups = (widest + 63) // 64
    slots = np.full(widest, nothing, c_val.dtype)
    touched = np.zeros((groups + 7) // 8 * 8 * 64, np.uint8)
    touched_words = touched.view(np.uint64)
    bits = np.zeros(groups, np.uint64)
    met = np.zeros((groups + 7) // 8 * 8, np.uint8)
    met_words = met.view(np.uint64)
    size = 64
    while size < 2 * largest_hash:
        size *= 2
    table = np.full(size if largest_hash else 0, -1, np.int64)
    keys, order = np.empty(RANK_LIMIT, np.int32), np.empty(RANK_LIMIT, np.int32)
    left, right = np.empty(RANK_LIMIT, c_val.dtype), np.empty(RANK_LIMIT, c_val.dtype)
    one, gather, top = np.uint64(1), np.uint64(0x0102040810204080), np.uint64(56)

    at: Any = np.uint64(begin)
    for i in range(first, last):
        start = at
        products = work[i + 1] - work[i]
        a_start, a_stop = np.uint64(a_ptr[i]), np.uint64(a_ptr[i + 1])
        if products == 0:
            c_ptr[i + 1] = 0
            continue
        if sorted_b and a_stop - a_start == one:
            k, a = np.uint64(a_idx[a_start]), a_val[a_start]
            for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
                c_idx[at] = b_idx[q]
                c_val[at] = _meet(semiring, nothing, a, b_val[q])
                at += one
            c_ptr[i + 1] = at - start
            continue
        if products <= INSERT_LIMIT:
            for p in range(a_start, a_stop):
                k, a = np.uint64(a_idx[p]), a_val[p]
                for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
                    spot = at
                    while spot > start and c_idx[spot - one] >= b_idx[q]:
                        spot -= one
                    if spot < at and c_idx[spot] == b_idx[q]:
                        c_val[spot] = _meet(semiring, c_val[spot], a, b_val[q])
                    else:
                        hole = at
                        while hole > spot:
                            c_idx[hole], c_val[hole] = c_idx[hole - one], c_val[hole - one]
                            hole -= one
                        c_idx[hole], c_val[hole] = b_idx[q], _meet(semiring, nothing, a, b_val[q])
                        at += one
            c_ptr[i + 1] = at - start
            continue
        low, high = np.int64(0), np.int64(columns - 1)
        if sorted_b and columns > NARROW:
            low, high = high, low
            for p in range(a_start, a_stop):
                k = np.uint64(a_idx[p])
                if b_ptr[k + one] > b_ptr[k]:
                    low = min(low, np.int64(b_idx[b_ptr[k]]))
                    high = max(high, np.int64(b_idx[b_ptr[k + one] - 1]))
        if products <= RANK_LIMIT and high - low < FAR and (high - low >= NARROW or not slots_fit):
            n = 0
            for p in range(a_start, a_stop):
                k, a = np.uint64(a_idx[p]), a_val[p]
                for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
                    keys[n] = (np.int64(b_idx[q]) - low) << 6 | n
                    left[n], right[n] = a, b_val[q]
                    n += 1
            padded = (n + 15) // 16 * 16
            for m in range(n, padded):
                keys[m] = LAST_KEY
            for m in range(n):
                key, rank = keys[m], np.int32(0)
                for other in range(padded):
                    rank += np.int32(keys[other] < key)
                order[rank] = key
            at -= one
            column, value = np.int64(-1), nothing
            for m in range(n):
                j, source = low + (order[m] >> 6), order[m] & 63
                fresh = j != column
                at += np.uint64(fresh)
                value = c_val.dtype.type(_meet(semiring, nothing if fresh else value, left[source], right[source]))
                column = j
                c_idx[at], c_val[at] = j, value
            at += one
        elif not slots_fit and products <= HASH_LIMIT:
            size = 64
            while size < 2 * products:
                size *= 2
            wrap = np.uint64(size - 1)
            for p in range(a_start, a_stop):
                k, a = np.uint64(a_idx[p]), a_val[p]
                for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
                    j = np.int64(b_idx[q])
                    slot = np.uint64(j) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32) & wrap
                    while table[slot] >= 0 and np.int64(c_idx[table[slot]]) != j:
                        slot = slot + one & wrap
                    entry = table[slot]
                    if entry < 0:
                        table[slot] = at
                        c_idx[at] = j
                        c_val[at] = _meet(semiring, nothing, a, b_val[q])
                        at += one
                    else:
                        c_val[entry] = _meet(semiring, c_val[entry], a, b_val[q])
            table[:size] = -1
            if sort:
                _sort_pairs(c_idx, c_val, start, at)
        else:
            if high - low < FILL * products:
                for p in range(a_start, a_stop):
                    k, a = np.uint64(a_idx[p]), a_val[p]
                    for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
                        j = b_idx[q]
                        slots[j] = _meet(semiring, slots[j], a, b_val[q])
                        touched[j] = 1
                for group in range(low >> 6, (high >> 6) + 1):
                    mask: Any = np.uint64(0)
                    for word in range(8):
                        mask |= (touched_words[group * 8 + word] * gather >> top) << np.uint64(word * 8)
                        touched_words[group * 8 + word] = 0
                    while mask:
                        j = np.uint64(group << 6) + _trailing_zeros(mask)
                        c_idx[at], c_val[at] = j, slots[j]
                        slots[j] = nothing
                        at += one
                        mask &= mask - one
            else:
                for p in range(a_start, a_stop):
                    k, a = np.uint64(a_idx[p]), a_val[p]
                    for q in range(np.uint64(b_ptr[k]), np.uint64(b_ptr[k + one])):
                        j = np.uint64(b_idx[q])
                        slots[j] = _meet(semiring, slots[j], a, b_val[q])
                        column_group = j >> np.uint64(6)
                        bits[column_group] |= one << (j & np.uint64(63))
                        met[column_group] = 1
                for word in range(low >> 9, (high >> 9) + 1):
                    if met_words[word]:
                        groups_met = met_words[word] * gather >> top
                        met_words[word] = 0
                        while groups_met:
                            group = np.uint64(word << 3) + _trailing_zeros(groups_met)
                            groups_met &= groups_met - one
                            mask = bits[group]
                            bits[group] = 0
                            while mask:
                                j = (group << np.uint64(6)) + _trailing_zeros(mask)
                                c_idx[at] = j
                                c_val[at] = slots[j]
                                slots[j] = nothing
                                at += one
                                mask &= mask - one
        c_ptr[i + 1] = at - start
    return np.int64(at)
