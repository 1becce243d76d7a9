"""The scratchpad's hash table while words of all tiles meet in it: windows, slots looked at, what goes back to DRAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from mappings.sparse.fabric.kernel import claim, slot_of
from mappings.sparse.fabric.machine import HASHES
from mappings.sparse.tiles.chip import Merge

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("first_row", "rows", "entries", "atomics", "probes", "collisions", "tables")


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(
    pattern: Any, hits: Any, window_of_row: Any, slots: int, capacity: int, hashing: int, bits: int, out: Any
) -> None:
    """Put every entry of each window into its table, in the order of C, by linear probing.

    How far all entries together are from where they belong does not depend on the order in which they came (W. W.
    Peterson, IBM J. Res. Dev. 1, 130, 1957, doi 10.1147/rd.12.0130); each of an entry's words walks that far.
    Runs of full slots are joined as they grow, so that a walk past thousands of them is not walked here.
    """
    c_ptr, c_idx = pattern
    rows_of = np.zeros(out.shape[0], np.int64)
    for i in range(window_of_row.size):
        rows_of[window_of_row[i]] += 1
    after = np.arange(slots)
    used = np.empty(slots, np.int64)
    filled, window, first = 0, np.int64(-1), 0
    for i in range(window_of_row.size):
        if window_of_row[i] != window:
            for n in range(filled):
                after[used[n]] = used[n]
            filled, window, first = 0, window_of_row[i], i
            out[window, 0] = i
            out[window, 6] = 1
        out[window, 1] += 1
        local = np.int64(i - first) << bits
        for p in range(c_ptr[i], c_ptr[i + 1]):
            if hits[p] == 0:
                continue
            if filled == capacity:
                for n in range(filled):
                    after[used[n]] = used[n]
                filled = 0
                out[window, 6] += 1
            tag = local | np.int64(c_idx[p])
            slot = slot_of(tag, hashing, slots, rows_of[window] << bits)
            found = claim(after, slot)
            used[filled] = found
            filled += 1
            distance = found - slot
            if distance < 0:
                distance += slots
            out[window, 2] += 1
            out[window, 3] += hits[p]
            out[window, 4] += hits[p] * (distance + 1)
            out[window, 5] += hits[p] * distance


def hash_windows(c_ptr: Any, c_idx: Any, hits: Any, window_of_row: Any, columns: int, merge: Merge) -> pd.DataFrame:
    """One row a window: where it begins, entries, atomics (words merged), slots looked at, collisions, and tables
    filled one after the other (more than one where a single row of C is longer than a table)."""
    import pandas as pd

    windows = int(window_of_row.max()) + 1 if window_of_row.size else 0
    out = np.zeros((windows, len(COLUMNS)), np.int64)
    bits = max(1, int(columns - 1).bit_length())
    _fill((c_ptr, c_idx), hits, window_of_row, merge.fabric.slots(1), merge.capacity, HASHES[merge.hash], bits, out)
    return pd.DataFrame(out, columns=list(COLUMNS))
