"""A cost without a run: beside the cost of a run, and from histograms beside cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from crossbar import Array, BitSlices, DifferentialPair, Encoding, OffsetColumn
from devices import BlockNoise, ChipStreams, Ideal, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, Weights
from mappings.chip_wires import OhmWires
from mappings.contract import Layer
from mappings.cost import price, summarise
from mappings.matrix import MappedMatrix, WeightMatrix
from mappings.network.actions import GATES, Cell
from mappings.network.assumed import Assumed
from mappings.network.dense import DenseLayer
from mappings.network.layer import MappedMatrixLayer
from mappings.network.recurrent import RecurrentLayer
from mappings.network.torch_cells import TORCH_ORDER
from mappings.step import StepActivity
from periphery import TANH, ConventionalADC, RampColumn
from periphery.adc.kinds import LinearRamp
from periphery.drivers.amplitude import AmplitudeDAC
from periphery.drivers.bit_serial import BitSerial
from periphery.ramp.cells import Ramp

INPUTS, HIDDEN, SAMPLES, STEPS = 60, 40, 16, 12
CHIP = Chip(rows=64, columns=48, weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))
LINEAR = replace(CHIP, readout="conventional")
CHIPS = {
    "ramp": CHIP,
    "shared converters": LINEAR,
    "linear ramps": replace(LINEAR, adc=ConventionalADC(bits=8, converter=LinearRamp())),
    "digital sums": replace(LINEAR, partial_sums="digital"),
    "amplitudes": replace(LINEAR, driver=AmplitudeDAC()),
    "wires": replace(CHIP, wires=OhmWires(r_word_ohm=4.0, r_bit_ohm=12.0, r_driver_ohm=50.0)),
    "bits, offset columns": replace(CHIP, driver=BitSerial(), weights=Weights(device=TaOx(), encoding=OffsetColumn())),
}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer_of(kind: str, device: str = "cpu") -> Layer:
    if kind == "dense":
        weights = normal(HIDDEN, INPUTS) / 8, normal(HIDDEN, seed=1) / 8
        return DenseLayer.from_torch(*(one.to(device) for one in weights), limit=4.0)
    cell: Cell = kind  # type: ignore[assignment]
    columns = len(TORCH_ORDER[cell]) * HIDDEN
    tensors = normal(columns, INPUTS) / 8, normal(columns, HIDDEN, seed=1) / 8, normal(columns, seed=2) / 8
    w_ih, w_hh, bias = (one.to(device) for one in tensors)
    second = torch.zeros_like(bias) if cell == "gru_after" else None
    return RecurrentLayer.from_torch(cell, w_ih, w_hh, bias, bias_hh=second, reset="before")


def cost_of(mapped: MappedMatrixLayer, activity: StepActivity | None) -> dict[str, float]:
    actions = mapped.actions(activity)
    lines = price(actions, node_nm=16.0, components=mapped.components())
    fixed = [line for line in lines if not line.component.startswith(("capacitor_", "column_front_end"))]
    return summarise(fixed, actions.latency_s, actions.ops)


# States of a relu are zero half of the time, which no assumption knows: plain RNNs stand for them here.
@pytest.mark.parametrize("kind", ["dense", *(cell for cell in GATES if cell != "rnn_relu")])
@pytest.mark.parametrize("name", CHIPS)
def test_energy_without_a_run_is_within_a_third_of_that_of_a_run_and_the_rest_is_equal(kind: str, name: str) -> None:
    """Inputs of a third of full scale, as features are: area and latency do not depend on data at all.

    Capacitors are as large as the charge of one unit, which follows from the largest weight: without values that is
    taken as 1, and front ends are left out of the comparison.
    """
    mapped = layer_of(kind).map(CHIPS[name])
    assert isinstance(mapped, MappedMatrixLayer)
    rng, activity = ChipStreams.of(Stream.root(0), 2), Activity()
    programmed = mapped.program(rng=rng)
    shape = (1, SAMPLES, INPUTS) if kind == "dense" else (SAMPLES, STEPS, INPUTS)
    counts = mapped.chip.driver.counts(normal(*shape, seed=3) / 3, mapped.chip.bits)
    programmed.at(0.0).run(counts, noise=BlockNoise(rng.child("read"), [0], SAMPLES), activity=activity)
    run = cost_of(mapped, programmed.observed(activity))
    by_shape = layer_of(kind, "meta").map(CHIPS[name])
    assert isinstance(by_shape, MappedMatrixLayer)
    for assumed in (cost_of(mapped, None), cost_of(by_shape, None)):
        assert assumed["energy_J"] == pytest.approx(run["energy_J"], rel=1 / 3)
        assert {key: assumed[key] for key in ("area_m2", "latency_s", "leakage_W", "ops")} == {
            key: run[key] for key in ("area_m2", "latency_s", "leakage_W", "ops")
        }


@pytest.mark.parametrize(
    "encoding",
    [
        DifferentialPair(),
        DifferentialPair(balanced=True, cells=2),
        DifferentialPair(scale="column"),
        DifferentialPair(clip_quantile=0.95),
        OffsetColumn(cells=2),
        BitSlices(),
    ],
    ids=str,
)
def test_mean_conductance_of_a_row_follows_from_the_histogram_of_the_weights(encoding: Encoding) -> None:
    device = TaOx(programming_noise_S=0.0, read_noise_S=0.0)
    chip = replace(CHIP, weights=Weights(device=device, encoding=encoding))  # type: ignore[arg-type]
    blocks = normal(100, 70), normal(100, 90, seed=1).abs()
    order = torch.randperm(100, generator=torch.Generator().manual_seed(2))
    matrix = MappedMatrix.of(WeightMatrix(blocks, None, order), chip)
    array = Array.program(
        matrix.values,
        device=device,
        encoding=encoding,
        tile_of_column=matrix.tile_of_column,
        rng=ChipStreams.of(Stream.root(0), 1),
    )
    assert Assumed().row_S(matrix) == pytest.approx(float(array.read(0.0).row_S.mean()), rel=2e-3)
    assert matrix.cells == array.cell_count


@pytest.mark.parametrize(
    "changes",
    [{}, {"step": "differential"}, {"small_steps": "differential"}, {"small_steps": "parallel", "parallel_cells": 4}],
    ids=str,
)
def test_the_loss_of_a_ramp_on_paper_is_that_of_its_cells_without_errors(changes: dict[str, Any]) -> None:
    column = RampColumn(device=Ideal(g_min_S=1e-6, g_max_S=1e-4), calibrate=False, **changes)
    design = column.design(TANH, 5)
    ramp = Ramp.program(design, ramps=1, rng=ChipStreams.of(Stream.root(0), 1))
    assert design.loss_S == pytest.approx(float(ramp.read(0.0).loss_S), rel=1e-5)


def test_assumptions_can_be_replaced_and_are_named() -> None:
    mapped = layer_of("lstm").map(CHIP, name="gates")
    assert isinstance(mapped, MappedMatrixLayer)
    (full, tiles, note) = mapped.actions().notes
    assert full.startswith("gates: ")
    assert full.endswith(" of their places")
    assert tiles.startswith("gates: 2 row tiles")
    assert note == (
        "gates: no run was observed; assumed (estimates): inputs of mean size 0.25 of full scale, cells at their "
        "targets for the layer's weights, comparators that stop after 0.5 of the codes"
    )
    quiet = mapped.expected(Assumed(input_size=0.05))
    assert cost_of(mapped, quiet)["energy_J"] < cost_of(mapped, None)["energy_J"]
    assert len(mapped.actions(quiet).notes) == 2
    by_shape = layer_of("lstm", "meta").map(CHIP)
    assert "cells at their targets for weights of mean size 0.2," in by_shape.actions().notes[-1]


def test_a_bias_of_unknown_size_takes_one_row() -> None:
    mapped = layer_of("dense", "meta").map(CHIP)
    assert isinstance(mapped, MappedMatrixLayer)
    assert mapped.matrix.bias_rows == 1
    assert mapped.grid.row_tiles == 1


def test_a_gru_converts_each_column_once_a_step_for_energy_too() -> None:
    """The first product's candidate columns are not used, and their converters do not run: 0.5 of the codes each."""
    mapped = layer_of("gru").map(CHIPS["linear ramps"])
    assert isinstance(mapped, MappedMatrixLayer)
    rng, activity = ChipStreams.of(Stream.root(0), 1), Activity()
    programmed = mapped.program(rng=rng)
    counts = mapped.chip.driver.counts(normal(SAMPLES, STEPS, INPUTS, seed=3) / 3, mapped.chip.bits)
    programmed.at(0.0).run(counts, noise=BlockNoise(rng.child("read"), [0], SAMPLES), activity=activity)
    steps = programmed.observed(activity).adc_steps
    assert steps / (3 * HIDDEN * mapped.shape.conversions_per_column) == pytest.approx(2**8 / 2, rel=0.05)


def test_words_of_a_dense_layer_on_a_ramp_have_the_bits_of_its_output() -> None:
    mapped = layer_of("dense").map(replace(CHIP, bits=5))
    assert isinstance(mapped, MappedMatrixLayer)
    actions = mapped.actions()
    counts = {(line.component, line.action): line.count for line in actions.actions}
    pieces = {line.component: line.count for line in actions.instances}
    assert counts["code_latch", "write_bit"] == HIDDEN * 8
    assert pieces["code_latch"] == mapped.grid.column_tiles * CHIP.columns * 8
    assert pieces["shared_counter"] == 8 * mapped.grid.tiles
    timing = mapped.timing
    clocks = timing.input_clocks * 5 + timing.gate_ramp_clocks * 8
    assert counts["shared_counter", "count_bit"] == clocks * mapped.grid.tiles


def test_a_bias_above_all_weights_sets_the_full_scale_of_assumed_conductances() -> None:
    weight = torch.full((8, 6), 0.05)
    weight[:4] = 1.0
    bias = torch.cat([torch.zeros(4), torch.full((4,), 0.9)])
    device = TaOx(programming_noise_S=0.0, read_noise_S=0.0)
    chip = replace(CHIP, columns=4, weights=Weights(device=device))
    mapped = DenseLayer.from_torch(weight, bias, limit=1.0).map(chip)
    assert isinstance(mapped, MappedMatrixLayer)
    matrix = mapped.matrix
    array = Array.program(
        matrix.values,
        device=device,
        encoding=chip.weights.encoding,
        tile_of_column=matrix.tile_of_column,
        rng=ChipStreams.of(Stream.root(0), 1),
    )
    inputs = array.read(0.0).row_S[0, :-1]
    assert Assumed().row_S(matrix) == pytest.approx(float(inputs.mean()), rel=2e-3)
