"""The machine on which SMASH runs, as parameters: one block of many slow threads around a scratchpad with atomics.

Modelled on one core ("block") of Intel's PIUMA. What is published about the silicon is taken from there; the thesis
simulated another configuration, whose figures are not established, so its numbers may differ. Everything marked
*estimate* is our choice, and ``benchmarks/smash_sensitivity.py`` shows what each is worth.

K. Shivdikar, "SMASH: Sparse Matrix Atomic Scratchpad Hashing", arXiv:2105.14156 (2021);
S. Aananthakrishnan et al., "PIUMA", arXiv:2010.06277 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Interval

Hash = Literal["low_order", "high_order", "mixed"]
Cycles = Annotated[float, Interval(ge=0.0, le=1e6)]
Bytes = Annotated[int, Interval(ge=1, le=64)]
Many = Annotated[int, Interval(ge=1, le=4096)]
HASHES: dict[Hash, int] = {"low_order": 0, "high_order": 1, "mixed": 2}


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """Instructions of the inner loops, beside loads and atomics, one issue slot each; all estimates, counted by hand
    on the loop that a compiler would make of each line of the algorithm.

    Parameters
    ----------
    nonzero : take A[i, k] and the bounds of row k of B
    product : take B[k, j], multiply, form the tag, add
    probe : hash or next slot, compare, branch
    token : take the next piece of work from the counter
    scan : look at one slot at write-back and clear it
    sort : one comparison and exchange
    write : store one entry of C
    match : one step of two pointers along a row and a column (inner product)
    """

    nonzero: Cycles = 10.0
    product: Cycles = 6.0
    probe: Cycles = 4.0
    token: Cycles = 6.0
    scan: Cycles = 3.0
    sort: Cycles = 6.0
    write: Cycles = 4.0
    match: Cycles = 4.0


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """One block: pipelines that switch threads every cycle, a scratchpad with atomic units, a channel of DRAM.

    Parameters
    ----------
    clock_Hz : estimate; not published
    pipelines, threads_per_pipeline : 4 x 16 = 64 workers; 66 threads a core are published, the split into 4 x 16 and
        two single-threaded pipelines is reconstructed
    scratchpad_bytes : 4 MiB a core, published (Hot Chips 2023)
    scratchpad_cycles : from a load to its value, estimate
    tag_bytes, value_bytes : of one slot of the table, estimate
    atomic_units : banks of the scratchpad that each update one word at a time, estimate
    atomic_cycles : a bank is busy so long with one atomic, estimate
    atomic_latency_cycles : from an atomic to its answer, for the thread, estimate
    dram_bandwidth_B_s : 4400 MT/s x 8 B of one DDR5-4400 channel; one channel a block is an estimate
    dram_latency_s : estimate
    dram_granularity_B : 8 B, published
    loads_in_flight : DRAM loads that one thread has under way at a time, estimate
    index_bytes : of a column index or row pointer in DRAM
    """

    clock_Hz: Annotated[float, Interval(ge=1e3, le=1e12)] = 1e9
    pipelines: Many = 4
    threads_per_pipeline: Many = 16
    scratchpad_bytes: Annotated[int, Interval(ge=1024, le=1 << 28)] = 4 << 20
    scratchpad_cycles: Cycles = 10.0
    tag_bytes: Bytes = 8
    value_bytes: Bytes = 8
    atomic_units: Many = 8
    atomic_cycles: Annotated[float, Interval(gt=0.0, le=1e6)] = 2.0
    atomic_latency_cycles: Cycles = 20.0
    dram_bandwidth_B_s: Annotated[float, Interval(ge=1e3, le=1e15)] = 35.2e9
    dram_latency_s: Annotated[float, Interval(ge=0.0, le=1.0)] = 100e-9
    dram_granularity_B: Many = 8
    loads_in_flight: Annotated[float, Interval(ge=1.0, le=1e6)] = 4.0
    index_bytes: Bytes = 4
    instructions: Instructions = field(default_factory=Instructions)

    @property
    def threads(self) -> int:
        """Threads that work."""
        return self.pipelines * self.threads_per_pipeline

    @property
    def stall_cycles(self) -> float:
        """What one DRAM access costs a thread that keeps ``loads_in_flight`` under way."""
        return self.dram_latency_s * self.clock_Hz / self.loads_in_flight

    @property
    def bytes_per_cycle(self) -> float:
        """DRAM bandwidth in bytes a clock period."""
        return self.dram_bandwidth_B_s / self.clock_Hz

    @property
    def entry_bytes(self) -> int:
        """One entry of a matrix in DRAM."""
        return self.index_bytes + self.value_bytes

    def atomics_s(self, updates: Any) -> Any:
        """Time of so many updates of the scratchpad, spread evenly over its units [s]."""
        return updates * self.atomic_cycles / (self.atomic_units * self.clock_Hz)

    def slots(self, tables: int) -> int:
        """Slots of each table where ``tables`` of them share the scratchpad."""
        return self.scratchpad_bytes // (self.tag_bytes + self.value_bytes) // tables


@dataclass(frozen=True, kw_only=True)
class Version:
    """How the product is shared out on the block.

    Parameters
    ----------
    name : in tables
    dynamic : threads take tokens from a counter; otherwise each has as many consecutive rows of a window as any other
    token_nonzeros : nonzeros of A in one token
    hash : which bits of the tag (row in the window, then column) choose the slot; "mixed" multiplies by the golden
        ratio first
    fill : share of the slots that the entries of a window may need at most
    overlapped : tags and values in two arrays, of which the DMA engine copies one pair out while threads fill the
        other; halves the table
    sort : entries of a row rise by column, which no hash of low-order bits gives by itself
    """

    name: str
    dynamic: bool = False
    token_nonzeros: Annotated[int, Interval(ge=1, le=1 << 31)] = 1
    hash: Hash = "low_order"
    fill: Annotated[float, Interval(gt=0.0, le=0.95)] = 0.5
    overlapped: bool = False
    sort: bool = True


VERSIONS: dict[str, Version] = {
    "v1": Version(name="SMASH V1"),
    "v2": Version(name="SMASH V2", dynamic=True),
    "v3": Version(name="SMASH V3", dynamic=True, overlapped=True),
    "v3_mixed": Version(name="SMASH V3, mixed hash", dynamic=True, overlapped=True, hash="mixed"),
}
"""The thesis's three steps, each on top of the one before, and the last with a hash that does not cluster: the baseline
to compare with, since low-order bits and linear probing suit no matrix with hubs."""
