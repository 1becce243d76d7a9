"""What a run on the fabric does, counted for the price list."""

from __future__ import annotations

from mappings.actions import Action, Actions, Instance, Schedule
from mappings.sparse.fabric.machine import Fabric
from mappings.sparse.fabric.run import FabricRun


def fabric_actions(run: FabricRun, fabric: Fabric, *, layer: str = "fabric") -> Actions:
    """Actions, instances and schedule of one product.

    An atomic reads and writes one scratchpad word and passes an adder or comparator; every partial product is one
    multiplication; DRAM is counted by the byte moved, in whole accesses.
    """
    schedule = Schedule(layer)
    windows = schedule.add(
        "distribute rows to windows", "threads", max(run.time_s - run.hash_s - run.write_back_s, 0.0)
    )
    hashed = schedule.add("multiply and merge", "threads", run.hash_s, after=(windows,))
    schedule.add("write back", "threads", run.write_back_s, after=(hashed,))
    counted = (
        ("fabric_core", "instruction", run.instructions),
        ("fabric_core", "multiply", float(run.products)),
        ("fabric_core", "atomic", float(run.atomics)),
        ("scratchpad", "access_word", run.scratchpad_words + 2.0 * run.atomics),
        ("dram", "access_byte", run.dram_read_B + run.dram_write_B),
    )
    return Actions(
        actions=tuple(Action(layer, component, action, count) for component, action, count in counted),
        instances=(
            Instance(layer, "fabric_core", 1.0),
            Instance(layer, "scratchpad", fabric.scratchpad_bytes / (4 << 20)),
            Instance(layer, "dram", 1.0),
        ),
        tasks=tuple(schedule.tasks),
        ops=2.0 * run.products,
        notes=(f"{run.approach}: one block of {fabric.threads} threads at {fabric.clock_Hz / 1e9:g} GHz",),
    )
