"""What a run on the fabric does, counted for the price list."""

from __future__ import annotations

from mappings.actions import ActionLedger, Actions
from mappings.sparse.fabric.machine import Fabric
from mappings.sparse.fabric.run import FabricRun


def fabric_actions(run: FabricRun, fabric: Fabric, *, layer: str = "fabric") -> Actions:
    """Actions, instances and schedule of one product.

    An atomic reads and writes one scratchpad word and passes an adder or comparator; every partial product is one
    multiplication; DRAM is counted by the byte moved, in whole accesses.
    """
    ledger = ActionLedger(layer)
    schedule = ledger.schedule
    windows = schedule.add(
        "distribute rows to windows", "threads", max(run.time_s - run.hash_s - run.write_back_s, 0.0)
    )
    hashed = schedule.add("multiply and merge", "threads", run.hash_s, after=(windows,))
    schedule.add("write back", "threads", run.write_back_s, after=(hashed,))
    ledger.act("fabric_core", "instruction", run.instructions)
    ledger.act("fabric_core", "multiply", run.products)
    ledger.act("fabric_core", "atomic", run.atomics)
    ledger.act("scratchpad", "access_word", run.scratchpad_words + 2.0 * run.atomics)
    ledger.act("dram", "access_byte", run.dram_read_B + run.dram_write_B)
    ledger.need_all({"fabric_core": 1.0, "scratchpad": fabric.scratchpad_bytes / (4 << 20), "dram": 1.0})
    note = f"{run.approach}: one block of {fabric.threads} threads at {fabric.clock_Hz / 1e9:g} GHz"
    return ledger.close(ops=2.0 * run.products, notes=(note,))
