"""Every partial product of a sparse product, hashed one by one in the order in which the fabric's threads reach it.

The unit of time is the clock period. A thread's next nonzero of A goes to the thread that is free first; its products
are then hashed in a row, with linear probing, into the table that all threads share.

A hash that fits the matrix badly walks past thousands of slots for one product. The walk is not walked here: where a
tag is comes from a second table, where the next free slot is follows from the runs of full ones (sets joined
as they grow), and both give the number of slots between, to the last one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

GOLDEN = 0x9E3779B97F4A7C15


class FabricFactors(NamedTuple):
    """Patterns of A and B, and the columns of B."""

    a_ptr: Any
    a_idx: Any
    b_ptr: Any
    b_idx: Any
    columns: int


def patterns_of(a: Any, b: Any) -> FabricFactors:
    """Of two CSR matrices."""
    a_ptr, a_idx, b_ptr, b_idx = (index.astype(np.int64) for m in (a, b) for index in (m.indptr, m.indices))
    return FabricFactors(a_ptr, a_idx, b_ptr, b_idx, b.shape[1])


class HashTable(NamedTuple):
    """``slots`` of the table; ``hashing``: where a tag starts to look for one; ``units``: atomic units that words are
    dealt out to; ``split``: tags and values are in two arrays."""

    slots: int
    hashing: int
    units: int
    split: bool


class Sharing(NamedTuple):
    """How ``threads`` share the work: ``dynamic``: by tokens of ``token_nonzeros`` nonzeros of A."""

    threads: int
    dynamic: bool
    token_nonzeros: int


class Access(NamedTuple):
    """DRAM: bytes of an index and of a value, and of one access."""

    index_bytes: int
    value_bytes: int
    granularity: int


class Costs(NamedTuple):
    """Clock periods of each part of the inner loops, of an atomic until its answer, and of a DRAM access."""

    nonzero: float
    product: float
    probe: float
    token: float
    atomic: float
    stall: float


@njit(nogil=True, cache=True, error_model="numpy")
def slot_of(tag: Any, hashing: int, slots: int, span: Any) -> Any:
    """The slot at which ``tag`` belongs; ``span``: tags of a window."""
    if hashing == 0:
        return tag % slots
    if hashing == 1:
        return np.int64(np.float64(tag) / np.float64(span) * np.float64(slots))
    return np.int64((np.uint64(tag) * np.uint64(GOLDEN) >> np.uint64(24)) % np.uint64(slots))


@njit(nogil=True, cache=True, error_model="numpy")
def claim(after: Any, slot: Any) -> Any:
    """Take the first free slot from ``slot`` on; runs of full slots are joined as they grow."""
    found = slot
    while after[found] != found:
        after[found] = after[after[found]]
        found = after[found]
    after[found] = found + 1 if found + 1 < after.size else 0
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def cut_windows(bound: Any, capacity: int) -> Any:
    """First rows of the windows (and the number of rows at the end): as many as fit, by their greatest lengths."""
    firsts = np.empty(bound.size + 1, np.int64)
    windows, filled = 0, 0
    for i in range(bound.size):
        if i == 0 or filled + bound[i] > capacity:
            firsts[windows] = i
            windows, filled = windows + 1, 0
        filled += bound[i]
    firsts[windows] = bound.size
    return firsts[: windows + 1]


@njit(nogil=True, cache=True, error_model="numpy")
def _accesses(start: Any, stop: Any, item: Any, granularity: Any) -> Any:
    """DRAM accesses that items ``start`` to ``stop`` of an array take."""
    if stop <= start:
        return 0
    return (stop * item - 1) // granularity - start * item // granularity + 1


@njit(nogil=True, cache=True, error_model="numpy")
def hash_windows(factors: Any, firsts: Any, table: Any, sharing: Any, dram: Any, cost: Any) -> Any:
    """Counts of the hashing phase, by window: per thread (issued instructions, busy cycles), per atomic unit (updates),
    and (products, probes, entries, tokens, DRAM accesses, longest probe); and the length of every row of C."""
    a_ptr, a_idx, b_ptr, b_idx, columns = factors
    slots, hashing, units, split = table
    threads, dynamic, token_nonzeros = sharing
    index_bytes, value_bytes, granularity = dram
    windows = firsts.size - 1
    issued = np.zeros((windows, threads))
    busy = np.zeros((windows, threads))
    updates = np.zeros((windows, units), np.int64)
    counts = np.zeros((windows, 6), np.int64)
    lengths = np.zeros(a_ptr.size - 1, np.int64)
    after = np.arange(slots)
    shadow_size = 1
    while shadow_size < 2 * slots:
        shadow_size *= 2
    mask = np.uint64(shadow_size - 1)
    shadow_tag = np.full(shadow_size, -1, np.int64)
    shadow_slot = np.empty(shadow_size, np.int64)
    used, used_shadow = np.empty(slots, np.int64), np.empty(slots, np.uint64)
    column_bits = 0
    while (1 << column_bits) < columns:
        column_bits += 1
    at = np.zeros(threads, np.int64)
    row = np.zeros(threads, np.int64)
    end = np.zeros(threads, np.int64)
    last_row = np.zeros(threads, np.int64)
    clock = np.zeros(threads)
    for w in range(windows):
        first, last = firsts[w], firsts[w + 1]
        rows = last - first
        span = rows << column_bits
        next_nonzero, stop_nonzero = np.int64(a_ptr[first]), np.int64(a_ptr[last])
        next_row, free = first, 0
        products: Any = 0
        probes, entries, tokens, accesses, longest = 0, 0, 0, 0, 0
        clock[:] = 0.0
        for t in range(threads):
            if dynamic:
                at[t], end[t], row[t] = 0, 0, first
            else:
                row[t] = first + rows * t // threads
                last_row[t] = first + rows * (t + 1) // threads
                at[t], end[t] = a_ptr[row[t]], a_ptr[last_row[t]]
        while True:
            free, least = -1, np.inf
            for t in range(threads):
                if clock[t] < least and (at[t] < end[t] or (dynamic and next_nonzero < stop_nonzero)):
                    free, least = t, clock[t]
            if free < 0:
                break
            work, wait = 0.0, 0.0
            if at[free] == end[free]:
                at[free] = next_nonzero
                next_nonzero = min(next_nonzero + token_nonzeros, stop_nonzero)
                end[free] = next_nonzero
                while a_ptr[next_row + 1] <= at[free]:
                    next_row += 1
                row[free] = next_row
                tokens += 1
                updates[w, 0] += 1
                work += cost.token
                wait += cost.atomic
            p = at[free]
            while a_ptr[row[free] + 1] <= p:
                row[free] += 1
            k = np.int64(a_idx[p])
            start, stop = np.int64(b_ptr[k]), np.int64(b_ptr[k + 1])
            loads = _accesses(p, p + 1, index_bytes, granularity) + _accesses(p, p + 1, value_bytes, granularity)
            loads += _accesses(k, k + 2, index_bytes, granularity)
            loads += _accesses(start, stop, index_bytes, granularity)
            loads += _accesses(start, stop, value_bytes, granularity)
            local = (row[free] - first) << column_bits
            tries = 0
            for q in range(start, stop):
                tag = local | np.int64(b_idx[q])
                slot = slot_of(tag, hashing, slots, span)
                shadow = np.uint64(tag) * np.uint64(GOLDEN) >> np.uint64(20) & mask
                while shadow_tag[shadow] >= 0 and shadow_tag[shadow] != tag:
                    shadow = shadow + np.uint64(1) & mask
                if shadow_tag[shadow] >= 0:
                    found = shadow_slot[shadow]
                else:
                    found = claim(after, slot)
                    shadow_tag[shadow] = tag
                    shadow_slot[shadow] = found
                    used[entries], used_shadow[entries] = found, shadow
                    entries += 1
                    lengths[row[free]] += 1
                length = found - slot + 1
                if length < 1:
                    length += slots
                for n in range(min(length, units)):
                    word = slot + n if split else 2 * (slot + n)
                    updates[w, word % units] += (length - 1 - n) // units + 1
                updates[w, (found + slots if split else 2 * found + 1) % units] += 1
                tries += length
                longest = max(longest, length)
            at[free] = p + 1
            work += cost.nonzero + cost.product * (stop - start) + cost.probe * tries
            wait += cost.stall * loads + cost.atomic * (tries + stop - start)
            issued[w, free] += work
            busy[w, free] += work + wait
            clock[free] += work + wait
            products += stop - start
            probes += tries
            accesses += loads
        for n in range(entries):
            after[used[n]] = used[n]
            shadow_tag[used_shadow[n]] = -1
        counts[w] = products, probes, entries, tokens, accesses, longest
    return issued, busy, updates, counts, lengths
