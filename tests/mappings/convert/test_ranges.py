"""Ranges of inputs and pre-activations that follow data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mho
from mappings.chip import Compensation
from mappings.convert.tiles import CALIBRATION, KEPT, Observed
from mappings.network.dense import ends_z
from mho.network.convert import chip_named
from periphery.functions.library import named_function


@pytest.mark.parametrize("columns", [8, 12, 64])
def test_a_percentile_meets_all_columns_of_a_batch_that_is_only_sampled(columns: int) -> None:
    """One column in each row is 100 times as large as the rest; a stride that shares a factor with them misses it."""
    for place in range(columns):
        x = torch.rand(8 * KEPT // columns, columns)
        x[:, place] = 100.0
        seen = Observed()
        seen.add(x, x)
        assert seen.range_of_inputs(100.0 - 50.0 / columns) == 100.0
        assert seen.range_of_inputs(100.0 - 200.0 / columns) < 1.0
        assert seen.range_of_inputs(100.0) == 100.0


@pytest.mark.parametrize("batches", [1, 3, 40])
def test_what_ranges_follow_is_taken_from_all_of_the_data(batches: int) -> None:
    """Samples in the order of their classes: every part of them is heard."""
    x = torch.arange(100.0 * batches)[:, None]
    seen = Observed()
    for one in x.split(100):
        seen.add(one, one)
    kept = torch.cat(seen.inputs)
    assert len(kept) <= 4 * CALIBRATION
    assert kept.min() < 0.05 * len(x)
    assert kept.max() > 0.95 * len(x)


@pytest.mark.parametrize("mode", ["off", "affine"])
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_an_ordinary_converter_in_front_of_a_relu_spends_its_codes_on_what_is_above_zero(bits: int, mode: str) -> None:
    """Against the codes of a driver, a converter and a table written down in NumPy: from zero on, or from an eighth of
    the codes below where a column's offset is taken off behind the converter."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(12, 40), nn.ReLU()).eval()
    x = torch.rand(200, 12) - 0.3
    chip = replace(chip_named("hermes_core").idealised(), bits=bits)
    chip = replace(chip, adc=replace(chip.adc, bits=bits), compensation=Compensation(mode=mode, baseline="exact"))
    converted = mho.convert(net, chip, example=x)
    with torch.no_grad():
        weight, bias = (one.double().numpy() for one in (net[0].weight, net[0].bias))
        sums = x.double().numpy() @ weight.T + bias
        per_clock = (2 ** (bits - 1) - 1) / float(x.abs().max())
        z = np.round(x.double().numpy() * per_clock) / per_clock @ weight.T + bias
        high = sums.max()
        lsb = high / 2**bits if mode == "off" else high / (7 / 8 * 2**bits)
        first = 0 if mode == "off" else -(2**bits) // 8
        word = np.clip(np.floor(z / lsb + 0.5), first, first + 2**bits - 1) * lsb
        step = high / 2**bits
        wanted = np.clip(np.floor(np.maximum(word, 0.0) / step + 0.5), 0, 2**bits - 1) * step
        found = [converted(x)]
        if mode == "off":  # else what a calibration measures goes through the same few codes
            found.append(converted.program(1).at(0.0)(x)[0])
    for outputs in found:
        assert (np.abs(outputs.numpy() - wanted) > 1e-5 * high).mean() < 0.005
    assert len(np.unique(wanted.round(6))) > 0.6 * 2**bits  # with both signs it would be at most a half


def test_sums_whose_negative_values_count_keep_both_signs() -> None:
    chip = chip_named("hermes_core")
    signed = (-3.0, 3.0)
    assert ends_z(chip, named_function("relu", 0.0, 2.5), 3.0) == (0.0, 2.5)
    assert ends_z(chip, named_function("sigmoid"), 3.0) == signed
    assert ends_z(chip, named_function("leaky_relu", -3.0, 2.5), 3.0) == signed
    assert ends_z(chip, named_function("gelu", -3.0, 2.5), 3.0) == signed
    assert ends_z(replace(chip, partial_sums="digital"), named_function("relu", 0.0, 2.5), 3.0) == signed
    offsets = replace(chip, compensation=Compensation(mode="affine"))
    assert ends_z(offsets, named_function("relu", 0.0, 2.8), 3.0) == pytest.approx((-0.4, 2.8))


def test_calibrated_after_a_training_a_network_keeps_the_ranges_in_which_that_was() -> None:
    """Vectors to compensate with are those of today's data, and no code changes with weights that have not."""
    torch.manual_seed(2)
    net, x = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 5)).eval(), torch.rand(300, 12) - 0.3
    chip = replace(chip_named("hermes_core"), compensation=Compensation(mode="affine", baseline="exact"))
    converted = mho.convert(net, chip, example=x).eval()
    ranges = {name: one.clone() for name, one in converted.named_buffers() if one.dim() == 0}
    vectors = {name: tile.calibration.clone() for name, tile in converted.tiles.items() if tile.calibration is not None}
    expected = converted(x)
    assert len(ranges) == 8
    assert len(vectors) == 2
    converted.calibrate(3.0 * x, ranges=False)
    assert all(torch.equal(one, ranges[name]) for name, one in converted.named_buffers() if one.dim() == 0)
    assert torch.equal(converted(x), expected)
    for name, before in vectors.items():
        now = converted.tiles[name].calibration
        assert now is not None
        assert float(now.abs().max()) > 2.0 * float(before.abs().max())
    converted.calibrate(3.0 * x)
    assert not torch.equal(converted(x), expected)
