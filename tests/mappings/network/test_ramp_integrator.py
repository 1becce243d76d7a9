"""Noise, offset and gain of a ramp's own integrator, gathered step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from devices import ChipStreams, Stream, TaOx
from mappings.chip import Chip, Weights
from mappings.network.dense import DenseLayer
from periphery import Ramp, RampColumn
from periphery.front_end import IdealFrontEnd, Integrator
from periphery.ramp.integrator import RampIntegrator

QUIET = TaOx(programming_noise_S=0.0, read_noise_S=0.0)
COLUMN = RampColumn(device=QUIET, capacitor_mismatch=0.0, bias_cells=0, calibrate=False)
CHIP = Chip(rows=64, columns=64, weights=Weights(device=QUIET), ramp=COLUMN)


def ramp_of(chip: Chip, chips: int = 1) -> Ramp:
    layer = DenseLayer.from_torch(torch.full((8, 60), 0.05), None, limit=4.0)
    programmed = layer.map(chip).program(rng=ChipStreams.of(Stream.root(5), chips))
    (converter,) = programmed.converters
    assert converter.ramp is not None
    return converter.ramp.ramp


def on_the_lines_S(ramp: Ramp) -> float:
    """Conductance on the lines of a chip's ramp while it rises: all of its cells, or the mean of those driven."""
    cells_S, column = ramp._cells(0.0)[0][0].double().sum((0, 1, 3)), ramp.design.column
    clocks = ramp.design.clocks.abs().double()
    return float(cells_S.sum() if column.unselected == "grounded" else (cells_S * clocks).sum() / clocks.sum())


@pytest.mark.parametrize("unselected", ["gated", "grounded"])
def test_white_noise_comes_with_the_clock_periods_of_each_step(unselected: Any) -> None:
    """2 k T G (1 + gamma G / gm) m T_clk / q^2 a step and more; a ramp without read noise has it all the same."""
    ramp = ramp_of(replace(CHIP, ramp=replace(COLUMN, unselected=unselected)))
    read, integrator = ramp.read(0.0), ramp.integrator
    assert integrator is not None
    assert read.noise is not None
    clocks, load = ramp.design.clocks.abs().double(), integrator.design.load
    variance = read.noise[0, 0].square()
    torch.testing.assert_close(variance / clocks, (variance.sum() / clocks.sum()).expand(len(clocks)))
    total_S = on_the_lines_S(ramp)
    assert float(variance.sum()) == pytest.approx(float(integrator.design.noise_z2(total_S / load.lines)), rel=1e-6)
    q = 0.2 * 1e-9 * ramp.design.unit_S
    johnson = 2 * 1.380649e-23 * 300.0 * total_S * float(clocks.sum()) * 1e-9 / q**2
    assert float(variance.sum()) > 0.9 * johnson
    assert ramp_of(replace(CHIP, ramp_front_end=IdealFrontEnd())).read(0.0).noise is None


def test_a_lower_read_voltage_leaves_the_same_noise_on_less_charge() -> None:
    low = replace(CHIP, driver=replace(CHIP.driver, v_read_V=0.1))
    noises = [ramp_of(chip).read(0.0).noise for chip in (CHIP, low)]
    assert noises[0] is not None
    assert noises[1] is not None
    torch.testing.assert_close(noises[1], 2.0 * noises[0])


def test_an_offset_of_the_virtual_ground_tilts_each_ramp_by_its_own_draw() -> None:
    chip = replace(CHIP, ramp_front_end=Integrator(pair_um2=0.02))
    ramp, level = ramp_of(chip, 400), ramp_of(replace(chip, ramp_front_end=IdealFrontEnd()))
    integrator, read = ramp.integrator, ramp.read(0.0)
    assert integrator is not None
    total_S = torch.tensor(on_the_lines_S(ramp)).expand(1, 1)
    sigma = float(torch.as_tensor(integrator.design.offset_sigma_z(total_S / integrator.design.load.lines))[0, 0])
    first = ramp.design.column.start_cells
    passed = ramp.design.clocks.abs().double().cumsum(0) / ramp.design.clocks.abs().sum()
    ideal = level.read(0.0).levels[0, 0] * integrator.gain(total_S)[0, 0]
    # Its mirror and capacitor stretch the ramp beside that, by one draw as well.
    wanted = torch.hypot(sigma * passed[first:], integrator.design.gain_sigma * ideal)
    torch.testing.assert_close(read.levels.std(0)[0], wanted, rtol=0.1, atol=0.0)
    torch.testing.assert_close(read.levels.mean(0)[0], ideal, rtol=0.0, atol=0.2 * float(wanted.max()))


def test_redundant_columns_share_the_integrator_of_their_ramp() -> None:
    chip = replace(CHIP, ramp=replace(COLUMN, device=TaOx(), redundant_columns=4))
    integrator = ramp_of(chip, 3).integrator
    assert isinstance(integrator, RampIntegrator)
    assert integrator.offset.shape == (3, 1)
