"""A fully connected layer read by a linear ramp."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, OutputConverter, Weights
from mappings.contract import WordFormat
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from mho.config.read import read
from periphery import ConventionalADC, RampColumn, named_function

Readout = Literal["ramp", "conventional"]
INPUTS, OUTPUTS, SAMPLES = 20, 12, 40
IDEAL = Chip(
    bits=8, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()), output=OutputConverter(bits=8)
).idealised()  # fmt: skip


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def outputs(chip: Chip, *, chips: int = 1, limit: float = 8.0, activity: Activity | None = None) -> torch.Tensor:
    rng = ChipStreams.of(Stream.root(3), chips)
    layer = DenseLayer.from_torch(0.4 * normal(OUTPUTS, INPUTS), normal(OUTPUTS, seed=1), limit=limit)
    counts = chip.driver.counts(normal(SAMPLES, INPUTS, seed=2), chip.bits).expand(chips, -1, -1)
    read = layer.map(chip).program(rng=rng).at(0.0)
    return read.run(counts, noise=BlockNoise(rng, [0, 1], 20), activity=activity)


def exact(chip: Chip) -> torch.Tensor:
    x = chip.driver.counts(normal(SAMPLES, INPUTS, seed=2), chip.bits) * chip.driver.lsb(chip.bits)
    return torch.nn.functional.linear(x, 0.4 * normal(OUTPUTS, INPUTS), normal(OUTPUTS, seed=1))


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize("columns", [512, 5])
def test_ideal_outputs_are_the_linear_layer_within_half_a_code(readout: Readout, columns: int) -> None:
    y = outputs(replace(IDEAL, readout=readout, columns=columns))[0]
    wanted = exact(IDEAL)
    lsb = 16.0 / 2**8
    assert float((y - wanted.clamp(-8.0, 8.0 - lsb)).abs().max()) <= lsb / 2 * 1.001


def test_outputs_beyond_the_limit_saturate() -> None:
    y = outputs(IDEAL, limit=1.0)[0]
    wanted = exact(IDEAL)
    assert torch.all(y[wanted > 1.0] == 1.0 - 2.0 / 2**8)
    assert torch.all(y[wanted < -1.0] == -1.0)


def test_digital_partial_sums_err_by_one_rounding_a_tile() -> None:
    chip = replace(IDEAL, readout="conventional", rows=6, partial_sums="digital", adc=ConventionalADC(bits=10))
    y, wanted = outputs(chip)[0], exact(IDEAL)
    tiles, lsb = 4, 16.0 / 2**10
    assert float((y - wanted).abs().max()) <= tiles * lsb / 2 + 16.0 / 2**8 / 2


def test_a_ramp_refuses_digital_partial_sums() -> None:
    with pytest.raises(InputError) as caught:
        outputs(replace(IDEAL, rows=6, partial_sums="digital"))
    assert str(caught.value).startswith("chip.partial_sums: the ramp of a dense layer converts whole sums: 2")
    assert "take partial_sums: charge, or readout: conventional" in str(caught.value)


@pytest.mark.parametrize("device", [TaOx(), PCM()], ids=["taox", "pcm"])
def test_activity_counts_what_was_driven_and_compared(device: TaOx | PCM) -> None:
    chip = replace(IDEAL, weights=Weights(device=device), columns=5)
    seen = Activity()
    y = outputs(chip, chips=2, activity=seen)
    counts = chip.driver.counts(normal(SAMPLES, INPUTS, seed=2), chip.bits)
    rng = ChipStreams.of(Stream.root(3), 2)
    layer = DenseLayer.from_torch(0.4 * normal(OUTPUTS, INPUTS), normal(OUTPUTS, seed=1), limit=8.0)
    mapped = layer.map(chip)
    array, bias_rows = mapped.program(rng=rng).matrix.at(0.0).array, mapped.matrix.bias_rows
    assert seen.samples == 2 * SAMPLES
    assert seen.sums["row_clocks"] == 2 * (float(counts.abs().sum()) + SAMPLES * bias_rows * 127)
    assert seen.sums["row_pulses"] == 2 * (float((counts != 0).sum()) + SAMPLES * bias_rows)
    codes = torch.round((y + 8.0) / (16.0 / 2**8))
    assert seen.sums["gate_compare_steps"] == float((codes + 1).sum()), "columns that fill up a tile do not convert"
    driven = torch.cat([counts, torch.full((SAMPLES, bias_rows), 127.0)], dim=1)
    wanted = (driven.abs().double() @ array.row_S.double().T).mean()
    assert seen.mean_charge_S(array) == pytest.approx(float(wanted), rel=1e-5)


def test_the_format_of_the_inputs_replaces_that_of_the_chip() -> None:
    layer = DenseLayer.from_torch(0.4 * normal(OUTPUTS, INPUTS), None, limit=8.0)
    mapped = layer.map(IDEAL, inputs=WordFormat(bits=6, limit=2.0))
    assert mapped.input_words == WordFormat(bits=6, limit=2.0)
    assert (mapped.shape.bits, mapped.chip.driver.lsb(6)) == (6, WordFormat(bits=6, limit=2.0).lsb)
    with pytest.raises(
        InputError, match=r"inputs: word lines of this layer take signed or unsigned words \(got spike\)"
    ):
        layer.map(IDEAL, inputs=WordFormat(bits=1, kind="spike"))


def test_shapes_that_do_not_fit_are_refused_in_those_of_the_user() -> None:
    rng = ChipStreams.of(Stream.root(3), 3)
    read = DenseLayer.from_torch(torch.ones(4, 10), torch.ones(4), limit=8.0).map(IDEAL).program(rng=rng).at(0.0)
    allowed = r"\(n, 10\) or \(3 or 1, n, 10\) or \(3 or 1, n, steps, 10\)"
    for shape in ((1, 2, 11), (10,), (2, 5, 10), (3, 1, 2, 12)):
        with pytest.raises(InputError, match=rf"inputs: the layer takes {allowed} clock periods \(got \({shape[0]}"):
            read.run(torch.ones(shape), noise=BlockNoise(rng, [0], 2))
    assert read.run(torch.ones(2, 10), noise=BlockNoise(rng, [0], 2)).shape == (3, 2, 4)
    with pytest.raises(InputError, match=r"noise: must be of 3 chips and 2 samples.*\(got 3 chips and 8 samples\)"):
        read.run(torch.ones(2, 10), noise=BlockNoise(rng, [0, 1], 4))
    recurrent = RecurrentLayer.from_torch("lstm", torch.ones(8, 40), torch.ones(8, 2), None).map(IDEAL)
    with pytest.raises(
        InputError, match=r"takes \(n, steps, 40\) or \(3 or 1, n, steps, 40\) clock .*got \(2, 5, 41\)"
    ):
        recurrent.program(rng=rng).at(0.0).run(torch.ones(2, 5, 41), noise=BlockNoise(rng, [0], 2))


@pytest.mark.parametrize("bad", [math.nan, math.inf, 128.0, -1e30])
def test_inputs_that_no_driver_gives_are_refused(bad: float) -> None:
    rng = ChipStreams.of(Stream.root(3), 1)
    read = DenseLayer.from_torch(torch.ones(4, 10), None, limit=8.0).map(IDEAL).program(rng=rng).at(0.0)
    counts = torch.ones(2, 10)
    counts[1, 3] = bad
    with pytest.raises(
        InputError, match=r"inputs: must be from -127 to 127 clock periods, .* \(got (nan|inf|128|-1e\+30)"
    ):
        read.run(counts, noise=BlockNoise(rng, [0], 2))
    counts[1, 3] = -127.0
    read.run(counts, noise=BlockNoise(rng, [0], 2))


def test_weights_and_biases_that_do_not_go_together_are_refused() -> None:
    for weight, bias, text in (
        (torch.ones(4, 10), torch.ones(10), r"bias: shape must be \(4,\), as the weights' \(got \(10,\)\)"),
        (torch.ones(4, 10), torch.ones(4, 1), r"bias: shape must be \(4,\), as the weights' \(got \(4, 1\)\)"),
        (torch.ones(4), None, r"weights: must be matrices of as many rows each \(got \(4,\)\)"),
        (torch.full((4, 10), math.nan), None, "weights: values must be finite"),
        (torch.ones(4, 10), torch.full((4,), math.inf), "bias: values must be finite"),
    ):
        with pytest.raises(InputError, match=text):
            DenseLayer.from_torch(weight, bias, limit=8.0)


def test_weights_without_values_are_not_programmed() -> None:
    mapped = DenseLayer.from_torch(torch.empty(4, 10, device="meta"), None, limit=8.0).map(IDEAL, name="readout")
    with pytest.raises(InputError, match="readout: weights on the meta device have a shape and no values"):
        mapped.program(rng=ChipStreams.of(Stream.root(3), 1))


@pytest.mark.parametrize("name", ["gelu", "hard_swish"])
def test_drift_is_measured_by_outputs_that_one_input_has(name: str) -> None:
    """Behind an ordinary converter GELU's outputs below 0 belong to two inputs each: what they say is left out, and the
    factor is that of relu, whose converter has finer steps: within one step of the clock."""
    chip = read("hermes_core", Chip, folder="chips").value
    chip = replace(chip, compensation=replace(chip.compensation, mode="global"))
    weight = 0.15 * torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    rng = ChipStreams.of(Stream.root(0), 4)
    factors = []
    for function in (named_function("relu", 0.0, 4.0), named_function(name, -4.0, 4.0)):
        layer = DenseLayer.from_torch(weight, None, limit=4.0, function=function, measures_drift=True)
        factors.append(layer.map(chip).program(rng=rng).at(30 * 86400.0).factors[0])
    assert torch.allclose(*factors, rtol=0.0, atol=chip.compensation.resolution)
    assert float(factors[0].max()) < 0.6
