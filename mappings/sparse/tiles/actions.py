"""What a sparse product in memory does, counted for the price list.

Area and leakage are those of the arrays that B needs at a time, with their converters, column lists and controllers,
and of the scratchpad; further arrays of the chip are taken as switched off.
"""

from __future__ import annotations

import math

from mappings.actions import Action, Actions, Instance, Schedule, ScheduledTask
from mappings.sparse.tiles.chip import SparseChip, SparseMapping
from mappings.sparse.tiles.counting import SparseCounts
from mappings.sparse.tiles.writing import Written
from periphery.prices.adc import adc_component, adc_name
from periphery.prices.component import Component, load_components

BANK_BYTES, LIST_BYTES = 1 << 16, 1 << 11
"""Memory in one ``merge_bank`` and in one ``index_bank``."""
SCALE_BITS = 16
"""Of the factor by which words are multiplied where tiles or rows have scales of their own; an estimate."""


def sparse_components(chip: SparseChip) -> dict[str, Component]:
    """The price list with the converter that the chip names."""
    records = load_components()
    adc = adc_component(chip.adc_price, bits=chip.adc_bits, rate_per_s=chip.adc_rate_per_s, node_nm=chip.node_nm)
    return {**records, adc.name: adc}


def word_bits(chip: SparseChip) -> int:
    """Width of a word after its digits, and the bits of its input, have been shifted and added."""
    parts = chip.parts
    shift = round(math.log2(max(parts.weight) / min(parts.weight)))
    bits = chip.input_bits - 1 if chip.driver.digital_accumulation else 0
    return chip.adc_bits + shift + bits


def sparse_actions(
    counts: SparseCounts, mapping: SparseMapping, *, written: Written | None = None, layer: str = "tiles"
) -> Actions:
    """Actions, instances and schedule of one product. ``written``: what a modelled write loop took, where there is one;
    otherwise every place of a tile costs the ``cell_write`` record's price."""
    chip, fabric = mapping.chip, mapping.chip.merge.fabric
    driver, parts, width = chip.driver, chip.parts, word_bits(mapping.chip)
    adc = adc_name(chip.adc_price, chip.adc_bits)
    latency_of_adc = adc_component(
        chip.adc_price, bits=chip.adc_bits, rate_per_s=chip.adc_rate_per_s, node_nm=chip.node_nm
    ).latency_s
    activations = max(1.0, counts.activations)
    # A touched line's integrator holds its charge until its turn at the shared converter: half the rounds on average.
    held = counts.clocks / activations + 0.5 * (counts.rounds / activations + 1.0) * latency_of_adc / driver.t_clk_s
    busy_s = counts.clocks * driver.t_clk_s + counts.rounds * latency_of_adc
    read_J = counts.loss_S_clocks * driver.v_read_V**2 * driver.t_clk_s
    counted = [
        ("cell_array", "read_J", read_J),
        ("word_line", "cell_pulse", counts.pulses * chip.columns),
        ("column_front_end", "clock", counts.touched * parts.planes * held),
        (adc, "convert", counts.conversions),
        ("code_latch", "write_bit", counts.conversions * chip.adc_bits),
        ("adder", "add_bit", (counts.conversions - counts.touched) * width),
        ("index_bank", "read_byte", counts.index_read_B),
        ("index_bank", "write_byte", counts.nonzeros + counts.lines * float(fabric.index_bytes)),
        ("controller", "clock", busy_s / driver.t_clk_s),
        (
            "merge_bank",
            "read_byte",
            counts.probes * fabric.tag_bytes
            + counts.touched * fabric.value_bytes
            + counts.entries * float(fabric.tag_bytes + fabric.value_bytes),
        ),
        (
            "merge_bank",
            "write_byte",
            counts.touched * fabric.value_bytes + counts.entries * float(fabric.tag_bytes),
        ),
        ("merge_bank", "add", counts.touched),
        ("dram", "access_byte", counts.dram_read_B + counts.dram_write_B),
    ]
    if mapping.scale == "tile" or mapping.input_scale == "row":
        # A tile's factor multiplies every word, a row's its entries on their way back to memory.
        scaled = counts.touched * (mapping.scale == "tile") + counts.entries * (mapping.input_scale == "row")
        counted.append(("multiplier", "bit_product", scaled * width * SCALE_BITS))
    if driver.kind == "pwm":
        counted.append(("shared_counter", "count_bit", counts.clocks * chip.input_bits))
    if written is None:
        counted.append(("cell_write", "write", counts.cells_written))
    else:
        counted.append(("cell_write", "write_J", written.energy_J))
    did = driver.actions(chip.input_bits, rows=counts.row_drives, pulses=counts.pulses, clocks=counts.driven_clocks)
    for part, actions in did.items():
        counted += [(part, action, count) for action, count in actions.items()]
    notes = (
        f"{counts.tiles} tiles of {chip.rows} x {chip.columns} cells, {counts.utilisation:.2%} of their places filled, "
        f"written in {counts.passes} pass{'es' if counts.passes > 1 else ''}",
    )
    return Actions(
        tuple(Action(layer, component, action, float(count)) for component, action, count in counted if count),
        tuple(Instance(layer, *one) for one in _instances(counts, mapping, adc, width)),
        _schedule(counts, written, layer),
        ops=2.0 * counts.products,
        notes=notes,
    )


def _instances(counts: SparseCounts, mapping: SparseMapping, adc: str, width: int) -> list[tuple[str, float]]:
    chip, fabric = mapping.chip, mapping.chip.merge.fabric
    arrays = float(min(counts.tiles, chip.tiles))
    converters = chip.adcs_per_tile * arrays
    listed = (counts.nonzeros + counts.lines * fabric.index_bytes) / max(1, counts.tiles)
    found = [
        ("cell_array", arrays * chip.rows * chip.columns),
        ("word_line", arrays * chip.rows),
        ("column_front_end", arrays * chip.columns),
        (adc, converters),
        ("code_latch", converters * chip.adc_bits),
        ("adder", converters * width),
        ("index_bank", arrays * math.ceil(listed / LIST_BYTES)),
        ("controller", arrays),
        ("merge_bank", float(math.ceil(fabric.scratchpad_bytes / BANK_BYTES))),
        ("dram", 1.0),
    ]
    if chip.driver.kind == "pwm":
        found.append(("shared_counter", arrays * chip.input_bits))
    if mapping.scale == "tile" or mapping.input_scale == "row":
        found.append(("multiplier", arrays * width * SCALE_BITS))
    return found + list(chip.driver.instances(chip.input_bits, rows=arrays * chip.rows).items())


def _schedule(counts: SparseCounts, written: Written | None, layer: str) -> tuple[ScheduledTask, ...]:
    schedule = Schedule(layer)
    write_s = counts.write_s if written is None else written.time_s
    ready = schedule.add(f"write B ({counts.passes}x)", "write drivers", write_s)
    schedule.add("windows, one after the other", "windows", counts.latency_s - counts.write_s, after=(ready,))
    schedule.add("drive, integrate, convert", "tiles", counts.tile_s, after=(ready,))
    schedule.add("merge words", "atomic units", counts.merge_s, after=(ready,))
    schedule.add("read A, write C", "DRAM", counts.dram_s, after=(ready,))
    return tuple(schedule.tasks)
