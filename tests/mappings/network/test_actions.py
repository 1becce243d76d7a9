from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.actions import Actions
from mappings.cost import price, summarise
from mappings.network.actions import DenseShape, RecurrentShape, dense_actions, recurrent_actions
from mappings.step import Charge, ColumnCircuit, StepActivity, StepTiming
from periphery.prices.adc import adc_component
from periphery.prices.component import Component, load_components

NODE_NM = 16.0
CIRCUIT = ColumnCircuit(bias_W=5e-6, held_W=1e-6, open_s=3e-8, area_m2=5e-12, capacitor_F=1e-12)
SUPPLY = Charge(v_read_V=0.2, draw_V=0.8)
BUSY = StepActivity(
    array_charge_C=1.5e-9,
    row_pulses=60,
    row_clocks=220,
    gate_compare_steps=2112,
    ramp_charge_C=5e-12,
    state_charge_C=1e-11,
    state_pulses=32,
    state_clocks=96,
    state_compare_steps=528,
)
TIMING = StepTiming(
    t_clk_s=1e-9,
    input_clocks=30,
    gate_ramp_clocks=37,
    state_drive_clocks=16,
    state_ramp_clocks=37,
    adc_latency_s=1e-8,
    multiply_s=6e-10,
    add_s=6e-10,
    lookup_s=8e-10,
    control_s=2e-8,
)


def layer(**changes: Any) -> RecurrentShape:
    values: dict[str, Any] = {
        "layer": "lstm",
        "cell": "lstm",
        "inputs": 40,
        "hidden": 32,
        "bias_rows": 1,
        "row_tiles": 1,
        "column_tiles": 1,
        "cells": 2 * 73 * 128,
        "bits": 5,
        "state_bits": 10,
        "readout": "ramp",
        "groups": 2,
        "ramps": 3,
        "ramp_cells": 111,
        "ramp_lines": 111,
        "circuit": CIRCUIT,
        "ramp_circuit": CIRCUIT,
        "state_circuit": CIRCUIT,
        "charge": SUPPLY,
    }
    return RecurrentShape(**(values | changes))


def counts(step: Actions) -> dict[tuple[str, str], float]:
    return {(line.component, line.action): line.count for line in step.actions}


def pieces(step: Actions) -> dict[str, float]:
    return {line.component: line.count for line in step.instances}


def components(shape: RecurrentShape | DenseShape) -> dict[str, Component]:
    shipped = load_components()
    if shape.linear:
        record = adc_component(shape.adc_model, bits=shape.code_bits, rate_per_s=1e8, node_nm=NODE_NM)
        shipped[record.name] = record
    return shipped


def test_ramp_step_drives_converts_and_updates_in_the_published_order() -> None:
    step = recurrent_actions(layer(), BUSY, TIMING)
    order = [task.name for task in sorted(step.tasks, key=lambda task: (task.start_s, task.end_s))]
    milestones = [
        "reset and hand over",
        "drive inputs (+)",
        "drive inputs (-)",
        "ramp for gates",
        "c = f c + i a",
        "drive c",
        "ramp for tanh(c)",
        "h = o tanh(c)",
    ]
    assert [name for name in order if name in milestones] == milestones
    # control 20 + input 30 + ramp 37 + 8 x (0.6 + 0.6 in 2 clocks) + drive 16 + ramp 37 + 8 x 1
    assert step.latency_s == pytest.approx((20 + 30 + 37 + 16 + 16 + 37 + 8) * 1e-9)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_no_resource_does_two_things_at_once(cell: str, readout: str) -> None:
    step = recurrent_actions(layer(cell=cell, readout=readout), BUSY, TIMING)
    ends: dict[str, float] = {}
    for task in step.tasks:
        assert task.start_s >= ends.get(task.resource, 0.0) - 1e-18
        ends[task.resource] = task.end_s


def test_gates_of_one_column_each() -> None:
    ramp = recurrent_actions(layer(), BUSY, TIMING)
    assert pieces(ramp)["comparator"] == 128 + 32
    assert pieces(ramp)["cell_array"] == 2 * 73 * 128 + 2 * 32
    held_s = 128 * 37e-9 + 32 * 37e-9
    open_s = (128 + 32) * CIRCUIT.open_s + (2 + 1) * 37e-9  # ramps integrate while they rise
    joules = open_s * CIRCUIT.bias_W + held_s * CIRCUIT.held_W
    assert counts(ramp)["column_front_end", "bias_J"] == pytest.approx(joules)
    assert pieces(ramp)["column_front_end"] == pytest.approx((128 + 32 + 3) * 5.0), "in um2"
    assert pieces(ramp)["capacitor_mim"] == pytest.approx(128 + 32 + 3), "in pF"
    assert counts(ramp)["comparator", "step"] == 2112 + 528
    assert counts(ramp)["cell_array", "read_J"] == pytest.approx((1.5e-9 + 1e-11) * 0.2)
    assert counts(ramp)["read_supply", "loss_J"] == pytest.approx((1.5e-9 + 1e-11 + 5e-12) * (0.8 - 0.2))
    assert counts(ramp)["multiplier", "bit_product"] == 32 * (5 * 10 + 2 * 5 * 5)
    assert ramp.ops == 18432
    assert "lookup" not in pieces(ramp)


def test_conventional_readout_shares_adcs_and_looks_up_every_activation() -> None:
    shape = layer(readout="conventional", ramps=0, ramp_cells=0)
    step = recurrent_actions(shape, BUSY, TIMING)
    assert pieces(step)[shape.adc] == 16
    assert counts(step)[shape.adc, "convert"] == 128
    assert counts(step)["lookup", "evaluate"] == 128 + 32
    assert not {"comparator", "ramp_cells"} & set(pieces(step))
    assert "state_ramp" not in {task.resource for task in step.tasks}
    (conversion,) = [task for task in step.tasks if task.resource == "adc"]
    assert conversion.duration_s == pytest.approx(8 * 1e-8)
    alone = recurrent_actions(replace(shape, columns_per_adc=1), BUSY, TIMING)
    assert pieces(alone)[shape.adc] == 128
    assert alone.latency_s < step.latency_s


@pytest.mark.parametrize(("bits", "area_m2"), [(5, 276e-12), (8, 1943e-12)])
def test_rows_of_ramps_have_drivers_and_a_sequencer(bits: int, area_m2: float) -> None:
    """Three ramps of 2^n + 5 lines: 111 at 5 bits, 783 at 8; a driver and a flip-flop each, 2.5 um2 together."""
    lines = 3 * (2**bits + 5)
    shape = layer(bits=bits, ramp_cells=lines, ramp_lines=lines)
    step = recurrent_actions(shape, BUSY, TIMING)
    registers = 32 * (10 + bits) + lines
    assert pieces(step)["word_line"] == 73 + 32 + lines
    assert pieces(step)["register"] == registers
    assert counts(step)["register", "write_bit"] == registers + lines
    priced = price(step, node_nm=NODE_NM, components=components(shape))
    area = {line.component: line.unit_area_m2 for line in priced if line.instances}
    assert lines * (area["word_line"] + area["register"]) == pytest.approx(area_m2, rel=0.02)


@pytest.mark.parametrize(("latency_s", "clocks"), [(0.4e-9, 1), (1e-9, 1), (2.9e-9, 3)])
def test_a_digital_unit_takes_values_at_the_rate_of_its_record(latency_s: float, clocks: int) -> None:
    timing = replace(TIMING, lookup_s=latency_s)
    step = recurrent_actions(layer(readout="conventional", cell="rnn"), BUSY, timing)
    (looked,) = [task for task in step.tasks if task.name == "activation of gates"]
    assert looked.duration_s == pytest.approx(32 / 4 * clocks * 1e-9)


def test_lines_of_the_counter_pass_every_row_and_column() -> None:
    """One Gray-code line turns a clock at every row while inputs are driven, at every column while a ramp rises."""
    step = recurrent_actions(layer(), BUSY, TIMING)
    assert counts(step)["code_line", "step"] == 73 * 30 + 128 * 37 + 32 * (16 + 37)


def test_gru_drives_its_rows_twice_and_has_no_state_ramp() -> None:
    gru, rnn = (recurrent_actions(layer(cell=cell), BUSY, TIMING) for cell in ("gru", "rnn"))
    drives = [task.name for task in gru.tasks if task.resource == "word_lines"]
    assert drives == ["drive inputs (+)", "drive inputs (-)"] * 2
    assert counts(gru)["code_latch", "write_bit"] == 3 * 32 * 5
    assert pieces(gru)["comparator"] == 96
    assert counts(gru)["multiplier", "bit_product"] == (25 + 2 * 5 * 10) * 32
    kept = (10 + 5) * 32  # the state as it is simulated, and what leaves
    assert pieces(gru)["register"] == kept + 111
    assert counts(gru)["register", "write_bit"] == kept + 2 * 111
    assert gru.latency_s > 2 * (30 + 37) * 1e-9
    assert "multiplier" not in pieces(rnn)
    assert rnn.latency_s == pytest.approx((20 + 30 + 37) * 1e-9)


def test_a_gru_of_torch_converts_two_partial_sums_and_goes_back_to_charge_for_its_tanh() -> None:
    """32 units: 128 columns, of 8 bits where the parts' codes are the widest, one pass, and a state as an LSTM's."""
    shape = layer(cell="gru_after", converter_bits=8)
    gru, lstm = recurrent_actions(shape, BUSY, TIMING), recurrent_actions(layer(), BUSY, TIMING)
    drives = [task.name for task in gru.tasks if task.resource == "word_lines"]
    assert drives == ["drive inputs (+)", "drive inputs (-)"]
    assert shape.columns == 4 * 32
    assert gru.ops == 2 * (40 + 32) * 3 * 32, "a quarter of the cells store no weight"
    assert counts(gru)["code_latch", "write_bit"] == 4 * 32 * 8 + 32 * 5
    assert pieces(gru)["comparator"] == pieces(lstm)["comparator"] == 128 + 32
    # r takes 8 bits of U h, z the 10 of the state, and (1 - z) n are two codes.
    assert counts(gru)["multiplier", "bit_product"] == 32 * (5 * 8 + 5 * 10 + 5 * 5)
    assert counts(gru)["adder", "add_bit"] == 32 * (2 * 10 + 2 * 5)
    assert counts(gru)["register", "write_bit"] == 32 * (10 + 5) + 2 * 111
    assert pieces(gru)["register"] == 32 * (10 + 5) + 111
    assert pieces(gru)["multiplier"] == 4 * (5 * 10 + 5 * 5)
    assert counts(gru)["pwm_driver", "load_bit"] == 73 * 5 + 32 * 5
    # control 20 + input 30 + ramp 37 + 8 x 2 + drive 16 + ramp 37 + 8 x 2
    assert gru.latency_s == pytest.approx((20 + 30 + 37 + 16 + 16 + 37 + 16) * 1e-9)
    (note,) = gru.notes
    assert note.startswith("lstm: a GRU as torch has it gates a part of its candidate's sum, so both parts")


def test_a_gru_of_torch_behind_ordinary_converters_looks_three_values_up_for_each_unit() -> None:
    shape = layer(cell="gru_after", readout="conventional", converter_bits=8, ramps=0, ramp_cells=0)
    step = recurrent_actions(shape, BUSY, TIMING)
    assert counts(step)[shape.adc, "convert"] == 128
    assert counts(step)["lookup", "evaluate"] == 2 * 32 + 32
    assert "state_ramp" not in {task.resource for task in step.tasks}


def test_an_rnn_with_relu_does_what_one_with_tanh_does() -> None:
    relu, tanh = (recurrent_actions(layer(cell=cell), BUSY, TIMING) for cell in ("rnn_relu", "rnn"))
    assert counts(relu) == counts(tanh)
    assert pieces(relu) == pieces(tanh)
    assert relu.latency_s == tanh.latency_s


def test_charge_sums_need_switches_and_digital_sums_need_adcs() -> None:
    charge = recurrent_actions(layer(row_tiles=3), BUSY, TIMING)
    assert counts(charge)["column_switch", "close"] == 3 * 128
    assert charge.latency_s == recurrent_actions(layer(), BUSY, TIMING).latency_s
    shape = layer(row_tiles=3, partial_sums="digital")
    digital = recurrent_actions(shape, BUSY, TIMING)
    assert counts(digital)[shape.adc, "convert"] == 3 * 128
    assert shape.sum_bits == 7
    single = recurrent_actions(layer(readout="conventional"), BUSY, TIMING)
    assert counts(digital)["adder", "add_bit"] == counts(single)["adder", "add_bit"] + 2 * 128 * 7
    assert "ramp_cells" not in pieces(digital)
    assert digital.notes == (
        "lstm: 3 row tiles; each part is converted linearly by an ordinary ADC and added digitally, and the sum is "
        "looked up, so the nonlinear ramp is not used here",
    )
    assert "summed as charge" in charge.notes[0]
    assert not recurrent_actions(layer(), BUSY, TIMING).notes


def test_dense_layer_has_a_linear_ramp_and_no_activation() -> None:
    values: dict[str, Any] = {
        "layer": "output",
        "inputs": 32,
        "outputs": 12,
        "bias_rows": 1,
        "row_tiles": 1,
        "column_tiles": 1,
        "cells": 2 * 33 * 12,
        "bits": 8,
        "ramps": 1,
        "ramp_cells": 261,
        "circuit": CIRCUIT,
        "charge": SUPPLY,
    }
    ramp = dense_actions(DenseShape(**values, readout="ramp"), BUSY, TIMING)
    conventional = dense_actions(DenseShape(**values, readout="conventional"), BUSY, TIMING)
    assert ramp.ops == 2 * 32 * 12
    assert pieces(ramp)["comparator"] == 12
    for step in (ramp, conventional):
        assert not {"lookup", "multiplier"} & set(pieces(step))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize(("row_tiles", "partial_sums"), [(1, "charge"), (2, "charge"), (2, "digital")])
def test_every_count_has_a_price(cell: str, readout: str, row_tiles: int, partial_sums: str) -> None:
    shape = layer(cell=cell, readout=readout, row_tiles=row_tiles, partial_sums=partial_sums, converter_bits=8)
    step = recurrent_actions(shape, BUSY, TIMING)
    lines = price(step, node_nm=NODE_NM, components=components(shape))
    named = {(line.component, line.action) for line in lines}
    assert set(counts(step)) <= named
    assert summarise(lines, step.latency_s, step.ops)["energy_J"] > BUSY.array_charge_C * SUPPLY.draw_V
    keys = [(line.component, line.action) for line in step.actions]
    assert len(keys) == len(set(keys))
    assert len(pieces(step)) == len(step.instances)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(2, 8), st.sampled_from(["lstm", "gru", "rnn"]))
def test_a_larger_layer_never_needs_less(inputs: int, hidden: int, bits: int, cell: str) -> None:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell]

    def step(hidden: int) -> Actions:
        cells = 2 * (inputs + hidden) * gates * hidden
        shape = layer(cell=cell, inputs=inputs, hidden=hidden, bits=bits, bias_rows=0, cells=cells)
        return recurrent_actions(shape, BUSY, TIMING)

    small, large = step(hidden), step(hidden + 1)
    assert all(pieces(large)[name] >= count for name, count in pieces(small).items())
    assert large.latency_s >= small.latency_s
    assert large.ops > small.ops


def test_a_shape_without_tiles_is_refused() -> None:
    with pytest.raises(ValueError, match="lstm: row_tiles: at least 1 \\(got 0\\)"):
        layer(row_tiles=0)


def test_timing_takes_its_latencies_from_the_records() -> None:
    shape = layer(readout="conventional", bits=4)
    timing = StepTiming.of(shape, t_clk_s=2e-9, node_nm=NODE_NM, components=components(shape))
    assert timing.input_clocks == 14 + 2, "two phases settle"
    assert timing.state_drive_clocks == 8 + 1
    assert timing.adc_latency_s == pytest.approx(1e-8)
    assert timing.multiply_s == load_components()["multiplier"].at(NODE_NM).latency_s
    ramp = StepTiming.of(layer(), t_clk_s=1e-9, node_nm=NODE_NM, components=load_components(), gate_ramp_clocks=37)
    assert ramp.adc_latency_s == 0.0
    assert ramp.gate_ramp_clocks == 37
