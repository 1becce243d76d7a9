"""SMASH on the fabric: windows of rows, hashing by atomics, write-back; how long each takes and what limits it.

Counts are exact: every partial product of the given matrices is hashed. Time is a bound, not a cycle-accurate
simulation: a phase lasts as long as its most loaded resource needs, be it the slowest thread (its instructions, its
waits for DRAM and for atomics), the issue slots of a pipeline, the busiest atomic unit, or the DRAM channel. Threads
meet at the end of each phase.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from mappings.sparse.exact.product import partial_products
from mappings.sparse.fabric.kernel import Access, Costs, HashTable, Sharing, cut_windows, hash_windows, patterns_of
from mappings.sparse.fabric.machine import HASHES, Fabric, Version

if TYPE_CHECKING:
    import pandas as pd

LIMITS = ("slowest thread", "pipelines", "atomics", "DRAM")


@dataclass(frozen=True, kw_only=True)
class FabricRun:
    """What one product did on the fabric, and how long it took.

    Parameters
    ----------
    approach : version or competing dataflow
    products, entries : F, and nnz(C)
    windows : tables filled one after the other
    probes, collisions : slots looked at, and those of them with another tag
    longest_probe : slots looked at for one product, at most
    atomics : updates of scratchpad words that no other thread may split: one a probe, one a product, one a token
    tokens : pieces of work taken from the counter
    instructions : issue slots used
    scratchpad_words : loads and stores of the scratchpad that are no atomics
    dram_read_B, dram_write_B : traffic, in whole accesses
    time_s : of the whole product; ``hash_s`` and ``write_back_s`` are parts of it (``hash_s`` is for multiplying and
        merging where nothing is hashed), the rest is the distribution of rows to windows
    utilisation : mean over threads of busy time by the time of their phases; a waiting thread is busy
    limit : resource that sets most of the time
    per_window : one row a window (products, entries, probes, collisions, longest probe, fill, utilisation, time)
    """

    approach: str
    products: int
    entries: int
    windows: int = 0
    probes: int = 0
    collisions: int = 0
    longest_probe: int = 0
    atomics: int = 0
    tokens: int = 0
    instructions: float
    scratchpad_words: float
    dram_read_B: float
    dram_write_B: float
    time_s: float
    hash_s: float
    write_back_s: float
    utilisation: float
    limit: str
    per_window: pd.DataFrame | None = None

    def row(self) -> dict[str, Any]:
        """One row of a table."""
        return {key: value for key, value in asdict(self).items() if key != "per_window"}


def table(runs: list[FabricRun]) -> pd.DataFrame:
    """All runs below one another, with how many times faster each is than the first."""
    import pandas as pd

    frame = pd.DataFrame([run.row() for run in runs])
    frame["gain"] = frame["time_s"].iloc[0] / frame["time_s"]
    return frame


def phase_cycles(
    fabric: Fabric,
    *,
    issued: NDArray[np.float64],
    busy: NDArray[np.float64],
    dram_B: NDArray[np.float64],
    atomics: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """What each resource of ``LIMITS`` needs for a phase, in clock periods: (phases, 4).

    ``issued``, ``busy``: (phases, threads); ``dram_B``: (phases,); ``atomics``: of the busiest unit, (phases,).
    """
    by_pipeline = issued.reshape(len(issued), -1, fabric.pipelines).sum(1)
    updating = np.zeros(len(issued)) if atomics is None else atomics * fabric.atomic_cycles
    return np.stack([busy.max(1), by_pipeline.max(1), updating, dram_B / fabric.bytes_per_cycle], axis=1)


def run_smash(a: Any, b: Any, *, fabric: Fabric, version: Version) -> FabricRun:
    """One product on the fabric.

    ``a``, ``b``: CSR; their values play no part. Raises ``InputError`` where a single row may be longer than a window.
    """
    import pandas as pd

    cost, grain = fabric.instructions, fabric.dram_granularity_B
    work = partial_products(a, b)
    columns = b.shape[1]
    bound = np.minimum(work, columns)
    slots = fabric.slots(2 if version.overlapped else 1)
    capacity = int(version.fill * slots)
    if work.size and bound.max() > capacity:
        longest = int(bound.argmax())
        raise InputError(
            f"scratchpad_bytes: row {longest} may hold {bound[longest]} entries, and a window {capacity} "
            f"({fabric.scratchpad_bytes} bytes, {'two tables' if version.overlapped else 'one table'}, filled to "
            f"{version.fill:g}): a larger scratchpad or fill"
        )
    firsts = cut_windows(bound, capacity) if work.size else np.zeros(1, np.int64)
    issued, busy, updates, counts, lengths = hash_windows(
        patterns_of(a, b),
        firsts,
        HashTable(slots, HASHES[version.hash], fabric.atomic_units, version.overlapped),
        Sharing(fabric.threads, version.dynamic, version.token_nonzeros),
        Access(fabric.index_bytes, fabric.value_bytes, grain),
        Costs(cost.nonzero, cost.product, cost.probe, cost.token, fabric.atomic_latency_cycles, fabric.stall_cycles),
    )
    entries = counts[:, 2].astype(float)
    read_B = counts[:, 4] * float(grain)
    written_B = entries * (-(-fabric.index_bytes // grain) + -(-fabric.value_bytes // grain)) * grain
    hashing = phase_cycles(fabric, issued=issued, busy=busy, dram_B=read_B, atomics=updates.max(1).astype(float))
    out_issued, out_busy, words = _write_back(fabric, version, firsts, lengths, slots, columns)
    writing = phase_cycles(
        fabric, issued=out_issued, busy=out_busy, dram_B=np.zeros_like(written_B) if version.overlapped else written_B
    )
    hash_cycles, write_cycles = hashing.max(1), writing.max(1)
    if version.overlapped:
        # The channel serves the window's reads and the copying of the one before; the last copy overlaps with nothing.
        shared_B = read_B + np.concatenate([[0.0], written_B])[:-1]
        together = np.maximum(hash_cycles + write_cycles, shared_B / fabric.bytes_per_cycle)
        hash_cycles = together - write_cycles
        hashing[:, 3] = np.maximum(hashing[:, 3], shared_B / fabric.bytes_per_cycle - write_cycles)
        tail = float(written_B[-1]) / fabric.bytes_per_cycle if written_B.size else 0.0
    else:
        tail = 0.0
    distribution = _distribute(fabric, a)
    total = distribution.max() + hash_cycles.sum() + write_cycles.sum() + tail
    limits = np.zeros(4)
    for part in (hashing, writing, distribution):
        np.add.at(limits, part.argmax(1), part.max(1))
    limits[3] += tail
    spent = np.maximum(hash_cycles + write_cycles, 1e-30)
    per_window = pd.DataFrame(
        {
            "window": np.arange(len(counts)),
            "first_row": firsts[:-1],
            "products": counts[:, 0],
            "entries": counts[:, 2],
            "probes": counts[:, 1],
            "collisions": counts[:, 1] - counts[:, 0],
            "longest_probe": counts[:, 5],
            "fill": entries / slots,
            "utilisation": (busy + out_busy).mean(1) / spent,
            "time_s": spent / fabric.clock_Hz,
        }
    )
    busy_total = float((busy + out_busy).mean(1).sum())
    return FabricRun(
        approach=version.name,
        products=int(counts[:, 0].sum()),
        entries=int(counts[:, 2].sum()),
        windows=len(counts),
        probes=int(counts[:, 1].sum()),
        collisions=int((counts[:, 1] - counts[:, 0]).sum()),
        longest_probe=int(counts[:, 5].max(initial=0)),
        atomics=int(updates.sum()),
        tokens=int(counts[:, 3].sum()),
        instructions=float(issued.sum() + out_issued.sum() + distribution_instructions(fabric, a)),
        scratchpad_words=words,
        dram_read_B=float(read_B.sum() + distribution_B(fabric, a)),
        dram_write_B=float(written_B.sum()),
        time_s=float(total / fabric.clock_Hz),
        hash_s=float(hash_cycles.sum() / fabric.clock_Hz),
        write_back_s=float((write_cycles.sum() + tail) / fabric.clock_Hz),
        utilisation=busy_total / float(spent.sum()) if len(counts) else 0.0,
        limit=LIMITS[int(limits.argmax())],
        per_window=per_window,
    )


def distribution_B(fabric: Fabric, a: Any) -> float:
    """DRAM bytes behind cutting the rows into windows: A's column indices once, and two row pointers of B for each."""
    return float(a.nnz * fabric.index_bytes + a.nnz * max(2 * fabric.index_bytes, fabric.dram_granularity_B))


def distribution_instructions(fabric: Fabric, a: Any) -> float:
    """Issue slots behind it."""
    return fabric.instructions.nonzero * float(a.nnz)


def _distribute(fabric: Fabric, a: Any) -> NDArray[np.float64]:
    """Cycles of cutting the rows into windows, by resource: (1, 4); equal shares of A's nonzeros a thread."""
    share = np.full((1, fabric.threads), distribution_instructions(fabric, a) / fabric.threads)
    moved_B = distribution_B(fabric, a)
    waits = moved_B / fabric.dram_granularity_B * fabric.stall_cycles / fabric.threads
    return phase_cycles(fabric, issued=share, busy=share + waits, dram_B=np.array([moved_B]))


def _write_back(
    fabric: Fabric, version: Version, firsts: NDArray[np.int64], lengths: NDArray[np.int64], slots: int, columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Instructions and busy cycles of the write-back, (windows, threads), and the scratchpad words it touches.

    Threads scan all slots in equal shares, sort the entries of each row by eight bits of the column a pass and store
    them; where the DMA engine copies, it finds the entries by their list, and only the sort is left to the threads.
    Static versions share rows as in the hashing phase, dynamic ones share entries equally.
    """
    windows, threads, cost = firsts.size - 1, fabric.threads, fabric.instructions
    passes = sort_passes(columns) if version.sort else 0
    per_entry = passes * cost.sort + (0.0 if version.overlapped else cost.write)
    loads = shared_rows(lengths.astype(float), firsts=firsts, threads=threads)
    if version.dynamic:
        loads = np.repeat(loads.mean(1, keepdims=True), threads, axis=1)
    scan_issued, scan_waits = 0.0, 0.0
    if not version.overlapped:
        scan_issued = slots / threads * cost.scan
        scan_waits = slots / threads * fabric.scratchpad_cycles / fabric.loads_in_flight
    issued = loads * per_entry + scan_issued
    busy = issued + loads * passes * fabric.scratchpad_cycles + scan_waits
    touched = (4.0 * passes + 2.0) * float(lengths.sum()) + (0.0 if version.overlapped else 2.0 * slots * windows)
    return issued, busy, touched


def sort_passes(columns: int) -> int:
    """Passes over a row's entries that sort them by column, eight bits a pass."""
    return -(-max(1, int(columns - 1).bit_length()) // 8)


def shared_rows(loads: NDArray[np.float64], *, firsts: NDArray[np.int64], threads: int) -> NDArray[np.float64]:
    """Load of each thread, (windows, threads), where each has equally many consecutive rows of every window."""
    summed = np.concatenate([[0.0], np.cumsum(loads)])
    rows = np.diff(firsts)[:, None]
    edges = firsts[:-1, None] + rows * np.arange(threads + 1) // threads
    return np.asarray(np.diff(summed[edges], axis=1))
