"""Other ways to order a sparse product, on the same fabric, where an instruction and a DRAM access cost the same.

What each dataflow reads, writes and compares follows from the matrices alone (row and column lengths, partial products,
nnz(C)), so no product has to be run. Rows of C are handed to threads as they become free, one row a thread; the three
competitors that merge by row therefore wait for their longest row, as published row-wise codes do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mappings.sparse.exact.product import partial_products
from mappings.sparse.fabric.machine import Fabric
from mappings.sparse.fabric.run import LIMITS, FabricRun, phase_cycles, sort_passes

PAIR_BYTES = 16
"""Row, column and value of one stored partial product."""


@dataclass(frozen=True)
class _Work:
    """One phase: instructions and waits of each row or piece, cycles; and what goes to and from the DRAM, bytes."""

    instructions: NDArray[np.float64]
    waits: NDArray[np.float64]
    read_B: float
    write_B: float
    equal: bool = False


def _lengths(matrix: Any) -> NDArray[np.int64]:
    return np.asarray(np.diff(matrix.indptr), np.int64)


def _turns(pieces: NDArray[np.float64], order: NDArray[np.int64], threads: int) -> NDArray[np.float64]:
    """Load of each thread where the pieces, the longest first, go round the threads forth and back."""
    padded = np.zeros(-(-max(pieces.size, 1) // threads) * threads)
    padded[: pieces.size] = pieces[order]
    rounds = padded.reshape(-1, threads)
    rounds[1::2] = rounds[1::2, ::-1].copy()
    return np.asarray(rounds.sum(0))


def _run(name: str, fabric: Fabric, phases: list[_Work], *, products: int, entries: int, words: float) -> FabricRun:
    cycles, limits, busy_sum, instructions = [], np.zeros(4), 0.0, 0.0
    for work in phases:
        if work.equal:
            issued = np.full(fabric.threads, work.instructions.sum() / fabric.threads)
            busy = issued + work.waits.sum() / fabric.threads
        else:
            order = np.argsort(-(work.instructions + work.waits), kind="stable")
            issued = _turns(work.instructions, order, fabric.threads)
            busy = issued + _turns(work.waits, order, fabric.threads)
        needs = phase_cycles(
            fabric, issued=issued[None], busy=busy[None], dram_B=np.array([work.read_B + work.write_B])
        )[0]
        cycles.append(float(needs.max()))
        limits[int(needs.argmax())] += needs.max()
        busy_sum += float(busy.mean())
        instructions += float(work.instructions.sum())
    return FabricRun(
        approach=name,
        products=products,
        entries=entries,
        instructions=instructions,
        scratchpad_words=words,
        dram_read_B=sum(work.read_B for work in phases),
        dram_write_B=sum(work.write_B for work in phases),
        time_s=sum(cycles) / fabric.clock_Hz,
        hash_s=cycles[0] / fabric.clock_Hz,
        write_back_s=sum(cycles[1:]) / fabric.clock_Hz,
        utilisation=busy_sum / max(sum(cycles), 1e-30),
        limit=LIMITS[int(limits.argmax())],
    )


def _row_reads(fabric: Fabric, a: Any, b: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DRAM accesses and instructions of each row of C where every nonzero of A fetches its row of B."""
    grain, index, value = fabric.dram_granularity_B, fabric.index_bytes, fabric.value_bytes
    b_rows = _lengths(b)
    of_nonzero = -(-b_rows * index // grain) + -(-b_rows * value // grain)
    summed = np.concatenate([[0], np.cumsum(of_nonzero[a.indices])])
    row_of_a = -(-_lengths(a) * (index + value) // grain) + _lengths(a)
    accesses = np.diff(summed[a.indptr]) + row_of_a
    work = partial_products(a, b)
    issued = fabric.instructions.nonzero * _lengths(a) + fabric.instructions.product * work
    return accesses.astype(float), issued.astype(float)


def _written(fabric: Fabric, entries: NDArray[np.int64]) -> NDArray[np.float64]:
    grain = fabric.dram_granularity_B
    return (-(-entries * fabric.index_bytes // grain) + -(-entries * fabric.value_bytes // grain)).astype(float) * grain


def _log2(numbers: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.log2(np.maximum(numbers, 1)))


def inner(a: Any, b: Any, entries: NDArray[np.int64], *, fabric: Fabric) -> FabricRun:
    """Each row of A against each column of B: index lists are matched step by step, and mostly in vain.

    A row of A stays in the scratchpad while all columns pass; values of B are fetched for matches only. No partial
    product is ever stored. Empty rows and columns are skipped.
    """
    rows, columns = _lengths(a), np.bincount(b.indices, minlength=b.shape[1])
    work = partial_products(a, b)
    full_rows, full_columns = int((rows > 0).sum()), int((columns > 0).sum())
    steps = float(a.nnz) * full_columns + float(b.nnz) * full_rows
    passed_B = float(b.nnz) * full_rows * fabric.index_bytes
    products = int(work.sum())
    read_B = a.nnz * float(fabric.index_bytes + fabric.value_bytes) + passed_B + products * float(fabric.value_bytes)
    issued = np.array([steps * fabric.instructions.match + products * fabric.instructions.product])
    waits = np.array([read_B / fabric.dram_granularity_B * fabric.stall_cycles])
    phase = _Work(issued, waits, read_B, float(_written(fabric, entries).sum()), equal=True)
    return _run("inner product", fabric, [phase], products=products, entries=int(entries.sum()), words=steps)


def outer(a: Any, b: Any, entries: NDArray[np.int64], *, fabric: Fabric) -> FabricRun:
    """Each column of A against its row of B: both read once, every partial product stored in DRAM and read again.

    The lists of one row of C, as many as A's row has nonzeros, are then merged pairwise in log2 of their number steps.
    """
    work, stall, grain = partial_products(a, b), fabric.stall_cycles, fabric.dram_granularity_B
    products = float(work.sum())
    read_B = float(a.nnz + b.nnz) * (fabric.index_bytes + fabric.value_bytes)
    multiply = _Work(
        np.array([products * fabric.instructions.product + a.nnz * fabric.instructions.nonzero]),
        np.array([read_B / grain * stall]),
        read_B,
        products * PAIR_BYTES,
        equal=True,
    )
    merge = _Work(
        _log2(_lengths(a)) * work * fabric.instructions.sort + entries * fabric.instructions.write,
        np.asarray(work * (PAIR_BYTES / grain * stall), np.float64),
        products * PAIR_BYTES,
        float(_written(fabric, entries).sum()),
    )
    words = 2 * products
    return _run(
        "outer product", fabric, [multiply, merge], products=int(products), entries=int(entries.sum()), words=words
    )


def row_sorted(a: Any, b: Any, entries: NDArray[np.int64], *, fabric: Fabric) -> FabricRun:
    """Row by row, without hashing: the products of a row are listed, sorted by column and added up.

    Sorting takes eight bits a pass, as in SMASH's write-back, and adding up one comparison a product. A row whose
    products exceed the thread's share of the scratchpad is sorted in DRAM instead, each pass reading and writing all of
    them once.
    """
    accesses, issued = _row_reads(fabric, a, b)
    work, grain, stall = partial_products(a, b), fabric.dram_granularity_B, fabric.stall_cycles
    share_B = fabric.scratchpad_bytes / fabric.threads
    passes = sort_passes(b.shape[1])
    spilled = np.where(work * PAIR_BYTES > share_B, work * (PAIR_BYTES / grain * passes), 0.0)
    steps = np.asarray(work * passes, np.float64)
    issued = issued + work * fabric.instructions.probe
    phase = _Work(
        issued + steps * fabric.instructions.sort + entries * fabric.instructions.write,
        (accesses + spilled) * stall + steps * fabric.scratchpad_cycles,
        float(accesses.sum() + spilled.sum()) * grain,
        float(spilled.sum()) * grain + float(_written(fabric, entries).sum()),
    )
    return _run(
        "row-wise, sorted", fabric, [phase], products=int(work.sum()), entries=int(entries.sum()), words=4 * steps.sum()
    )


def row_dense(a: Any, b: Any, entries: NDArray[np.int64], *, fabric: Fabric) -> FabricRun:
    """Row by row, as Gustavson's code runs on a processor: each thread adds into an array of all columns, in DRAM.

    64 arrays of 16,384 columns do not fit a scratchpad of 4 MiB, and there is no cache here; each product reads and
    writes its slot after a comparison with empty, and the touched ones are then read again, sorted and cleared.
    """
    accesses, issued = _row_reads(fabric, a, b)
    work, grain, stall = partial_products(a, b), fabric.dram_granularity_B, fabric.stall_cycles
    slot = -(-fabric.value_bytes // grain)
    steps = np.asarray(entries * sort_passes(b.shape[1]), np.float64)
    issued = issued + work * fabric.instructions.probe + entries * fabric.instructions.scan
    phase = _Work(
        issued + steps * fabric.instructions.sort + entries * fabric.instructions.write,
        (accesses + (work + entries) * slot) * stall + steps * fabric.scratchpad_cycles,
        (float(accesses.sum()) + float((work + entries).sum()) * slot) * grain,
        float((work + entries).sum()) * slot * grain + float(_written(fabric, entries).sum()),
    )
    return _run(
        "row-wise, dense accumulator", fabric, [phase], products=int(work.sum()), entries=int(entries.sum()),
        words=4 * float(steps.sum()),
    )  # fmt: skip


DATAFLOWS = {"inner": inner, "outer": outer, "row_sorted": row_sorted, "row_dense": row_dense}
