"""What a sparse product in memory does, counted for the price list.

Area and leakage are those of the arrays that B needs at a time, with their converters, column lists and controllers,
and of the scratchpad; further arrays of the chip are taken as switched off.
"""

from __future__ import annotations

import math

from mappings.actions import ActionLedger, Actions, Schedule
from mappings.sparse.tiles.chip import SparseMapping
from mappings.sparse.tiles.counting import SparseCounts
from mappings.sparse.tiles.writing import Written
from periphery.front_end import FrontEndDesign

BANK_BYTES, LIST_BYTES = 1 << 16, 1 << 11
"""Memory in one ``merge_bank`` and in one ``index_bank``."""
SCALE_BITS = 16
"""Of the factor by which words are multiplied where tiles or rows have separate scales; an estimate."""


def product_actions(
    counts: SparseCounts,
    mapping: SparseMapping,
    circuits: tuple[FrontEndDesign, ...],
    *,
    name: str,
    written: Written | None,
    notes: tuple[str, ...] = (),
) -> Actions:
    """Actions, instances and schedule of one product.

    ``circuits``: front ends of a column; ``written``: what a modelled write loop took, where there is one; otherwise
    every cell of a tile costs the ``cell_write`` record's price.
    """
    ledger = ActionLedger(name)
    driver, bits = mapping.chip.driver, mapping.chip.input_bits
    wrote = ("write", counts.cells_written) if written is None else ("write_J", written.energy_J)
    did = driver.actions(bits, rows=counts.row_drives, pulses=counts.pulses, clocks=counts.driven_clocks)
    for component, action, count in (
        *_arrays(counts, mapping, circuits),
        *_memories(counts, mapping),
        ("cell_write", *wrote),
        *((component, action, count) for component, actions in did.items() for action, count in actions.items()),
    ):
        if count:
            ledger.act(component, action, count)
    _instances(ledger, counts, mapping, circuits)
    _schedule(ledger.schedule, counts, written)
    note = (
        f"{counts.tiles} tiles of {mapping.chip.rows} x {mapping.chip.columns} cells, {counts.utilisation:.2%} of "
        f"their crossings filled, written in {counts.passes} pass{'es' if counts.passes > 1 else ''}"
    )
    return ledger.close(ops=2.0 * counts.products, notes=(note, *notes))


def _arrays(
    counts: SparseCounts, mapping: SparseMapping, circuits: tuple[FrontEndDesign, ...]
) -> list[tuple[str, str, float]]:
    """Cells, lines, converters, column lists and controllers of the tiles."""
    chip, adc = mapping.chip, mapping.chip.converter
    driver, width = chip.driver, chip.word_bits
    activations = max(1.0, counts.activations)
    # All columns of a tile are at their virtual grounds while lines are driven; a touched one keeps its charge until
    # its turn at the shared converter: half the rounds on average.
    open_s, held_s = counts.clocks * driver.t_clk_s, 0.5 * (counts.rounds / activations + 1.0) * adc.latency_s
    bias_J = sum(
        chip.values_per_row * open_s * circuit.bias_W + counts.touched * held_s * circuit.held_W for circuit in circuits
    )
    charge_C = counts.loss_S_clocks * driver.v_read_V * driver.t_clk_s
    draw_V = chip.read_supply.draw_V(driver.v_read_V, chip.node_nm)
    busy_s = counts.clocks * driver.t_clk_s + counts.rounds * adc.latency_s
    return [
        ("cell_array", "read_J", charge_C * driver.v_read_V),
        ("read_supply", "loss_J", charge_C * (draw_V - driver.v_read_V)),
        ("word_line", "cell_pulse", counts.pulses * chip.columns),
        ("column_front_end", "bias_J", bias_J),
        (adc.name, "convert", counts.conversions),
        ("code_latch", "write_bit", counts.conversions * chip.adc_bits),
        ("adder", "add_bit", (counts.conversions - counts.touched) * width),
        ("index_bank", "read_byte", counts.index_read_B),
        ("index_bank", "write_byte", counts.nonzeros + counts.lines * float(chip.merge.fabric.index_bytes)),
        ("controller", "clock", busy_s / driver.t_clk_s),
    ]


def _memories(counts: SparseCounts, mapping: SparseMapping) -> list[tuple[str, str, float]]:
    """Scratchpad, DRAM, scales and the count that pulses are compared with."""
    chip, fabric = mapping.chip, mapping.chip.merge.fabric
    read_B = counts.probes * fabric.tag_bytes + counts.touched * fabric.value_bytes
    counted = [
        ("merge_bank", "read_byte", read_B + counts.entries * float(fabric.tag_bytes + fabric.value_bytes)),
        (
            "merge_bank",
            "write_byte",
            counts.touched * fabric.value_bytes + counts.entries * float(fabric.tag_bytes),
        ),
        ("merge_bank", "add", counts.touched),
        ("dram", "access_byte", counts.dram_read_B + counts.dram_write_B),
    ]
    if mapping.scaled:
        # A tile's factor multiplies every word, a row's its entries on their way back to memory.
        words = counts.touched * (mapping.scale == "tile") + counts.entries * (mapping.input_scale == "row")
        counted.append(("multiplier", "bit_product", words * chip.word_bits * SCALE_BITS))
    if chip.driver.kind == "pwm":
        counted.append(("shared_counter", "count_bit", counts.clocks * chip.input_bits))
    return counted


def _instances(
    ledger: ActionLedger, counts: SparseCounts, mapping: SparseMapping, circuits: tuple[FrontEndDesign, ...]
) -> None:
    chip, fabric = mapping.chip, mapping.chip.merge.fabric
    arrays = float(min(counts.tiles, chip.tiles))
    converters = chip.adcs_per_tile * arrays
    listed_B = (counts.nonzeros + counts.lines * fabric.index_bytes) / max(1, counts.tiles)
    ledger.need("cell_array", arrays * chip.rows * chip.columns)
    ledger.need("word_line", arrays * chip.rows)
    for circuit in circuits:
        columns = arrays * chip.values_per_row
        ledger.need("column_front_end", columns * circuit.area_m2 * 1e12)
        ledger.need(f"capacitor_{circuit.capacitor}", columns * circuit.capacitor_F * 1e12)
    ledger.need("read_supply", chip.read_supply.area_m2 * 1e12)
    ledger.need(chip.converter.name, converters)
    ledger.need("code_latch", converters * chip.adc_bits)
    ledger.need("adder", converters * chip.word_bits)
    ledger.need("index_bank", arrays * math.ceil(listed_B / LIST_BYTES))
    ledger.need("controller", arrays)
    ledger.need("merge_bank", math.ceil(fabric.scratchpad_bytes / BANK_BYTES))
    ledger.need("dram", 1.0)
    if chip.driver.kind == "pwm":
        ledger.need("shared_counter", arrays * chip.input_bits)
    if mapping.scaled:
        ledger.need("multiplier", arrays * chip.word_bits * SCALE_BITS)
    ledger.need_all(chip.driver.instances(chip.input_bits, rows=arrays * chip.rows))


def _schedule(schedule: Schedule, counts: SparseCounts, written: Written | None) -> None:
    write_s = counts.write_s if written is None else written.time_s
    ready = schedule.add(f"write B ({counts.passes}x)", "write drivers", write_s)
    for name, resource, duration_s in (
        ("windows, one after the other", "windows", counts.latency_s - counts.write_s),
        ("drive, integrate, convert", "tiles", counts.tile_s),
        ("merge words", "atomic units", counts.merge_s),
        ("read A, write C", "DRAM", counts.dram_s),
    ):
        schedule.add(name, resource, duration_s, after=(ready,))
