"""Every partial product of a sparse product, hashed one by one in the order in which the fabric's threads reach it.

The unit of time is the clock period. A thread's next nonzero of A goes to the thread that is free first; its products
are then hashed in a row, with linear probing, into the table that all threads share.

A hash that fits the matrix badly walks past thousands of slots for one product. The walk is not walked here: where a
tag lies is looked up in a table of our own, where the next free slot is follows from the runs of full ones (sets joined
as they grow), and both give the number of slots between, to the last one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

GOLDEN = 0x9E3779B97F4A7C15


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
def hash_windows(
    a_ptr: Any,
    a_idx: Any,
    b_ptr: Any,
    b_idx: Any,
    columns: Any,
    firsts: Any,
    slots: Any,
    hashing: Any,
    dynamic: Any,
    token_nonzeros: Any,
    threads: Any,
    units: Any,
    split: Any,
    index_bytes: Any,
    value_bytes: Any,
    granularity: Any,
    per_nonzero: Any,
    per_product: Any,
    per_probe: Any,
    per_token: Any,
    atomic_latency: Any,
    stall: Any,
) -> Any:
    """Counts of the hashing phase, by window: per thread (issued instructions, busy cycles), per atomic unit (updates),
    and (products, probes, entries, tokens, DRAM accesses, longest probe); and the length of every row of C."""
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
    used, used_own = np.empty(slots, np.int64), np.empty(slots, np.uint64)
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
                work += per_token
                wait += atomic_latency
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
                if hashing == 0:
                    slot = tag % slots
                elif hashing == 1:
                    slot = np.int64(np.float64(tag) / np.float64(span) * np.float64(slots))
                else:
                    slot = np.int64((np.uint64(tag) * np.uint64(GOLDEN) >> np.uint64(24)) % np.uint64(slots))
                own = np.uint64(tag) * np.uint64(GOLDEN) >> np.uint64(20) & mask
                while shadow_tag[own] >= 0 and shadow_tag[own] != tag:
                    own = own + np.uint64(1) & mask
                if shadow_tag[own] >= 0:
                    found = shadow_slot[own]
                else:
                    found = slot
                    while after[found] != found:
                        after[found] = after[after[found]]
                        found = after[found]
                    after[found] = found + 1 if found + 1 < slots else 0
                    shadow_tag[own] = tag
                    shadow_slot[own] = found
                    used[entries], used_own[entries] = found, own
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
            work += per_nonzero + per_product * (stop - start) + per_probe * tries
            wait += stall * loads + atomic_latency * (tries + stop - start)
            issued[w, free] += work
            busy[w, free] += work + wait
            clock[free] += work + wait
            products += stop - start
            probes += tries
            accesses += loads
        for n in range(entries):
            after[used[n]] = used[n]
            shadow_tag[used_own[n]] = -1
        counts[w] = products, probes, entries, tokens, accesses, longest
    return issued, busy, updates, counts, lengths
