"""Front ends between bit lines and membranes: what they cost, and what they do to a liquid."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.constants import Boltzmann

from devices import ChipStreams, FormedTaOx, InputError, Stream
from mappings.liquid.chip import MEMBRANE
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LineSpikes
from mappings.liquid.step import on_grid
from periphery.front_end import Integrator, Transimpedance
from periphery.prices.scaling import nominal_supply_V
from periphery.supply import Rail, ReadSupply, Regulated
from tests.mappings.liquid.test_actions import BUSY, counts
from tests.mappings.liquid.test_liquid import QUIET, _noise
from tests.quiet import COLUMN

CHIPS = ChipStreams.of(Stream.root(0).child("membranes"), 4)
STILL = Regulated(noise_V=0.0)
PAPER = Liquid(device=QUIET, read_path="capacitor", read_supply=STILL)


def instances(how: Liquid) -> dict[str, float]:
    return {one.component: one.count for one in how.map().actions(BUSY).instances}


def test_membrane_is_the_capacitor_of_the_front_end() -> None:
    mapped = PAPER.map()
    design, neuron = mapped.membranes.design, mapped.neuron
    assert design.capacitor_F == pytest.approx(neuron.c_membrane_F)  # type: ignore[union-attr]
    assert design.volts_per_z == pytest.approx(0.45 / 5.0)
    halved = replace(PAPER, front_end=replace(MEMBRANE, division=16.0)).map().membranes.design
    assert halved.capacitor_F == pytest.approx(design.capacitor_F / 2)
    assert instances(PAPER)["capacitor_stacked_mim"] == pytest.approx(200 * design.capacitor_F * 1e12)


def test_every_volt_second_and_coulomb_of_the_read_path_is_paid() -> None:
    step, mapped = counts(PAPER.map().actions(BUSY)), PAPER.map()
    charge_C = BUSY.lines * BUSY.load_S * 0.1 * 100e-9
    assert step["cell_array", "read_J"] == pytest.approx(charge_C * 0.1)
    assert step["read_supply", "loss_J"] == pytest.approx(charge_C * (1.1 * nominal_supply_V(40) - 0.1))
    assert step["column_front_end", "bias_J"] == pytest.approx(201 * mapped.membranes.design.bias_W / 2 * 110e-9)
    assert instances(PAPER)["column_front_end"] == pytest.approx(201 * mapped.membranes.design.area_m2 / 2 * 1e12)
    rail = replace(PAPER, read_supply=Rail(noise_V=0.0))
    assert counts(rail.map().actions(BUSY))["read_supply", "loss_J"] == pytest.approx(charge_C * 0.1 * 0.25)
    assert instances(rail)["read_supply"] == pytest.approx(1e4)
    slower = replace(PAPER, circuit=replace(PAPER.circuit, t_gap_s=110e-9))
    longer = counts(slower.map().actions(BUSY))["column_front_end", "bias_J"]
    assert longer > 1.5 * step["column_front_end", "bias_J"], "bias is watts times seconds"


@pytest.mark.parametrize("active", [0, 60])
def test_noise_of_front_ends_does_not_wait_for_lines(active: int) -> None:
    design = PAPER.map().membranes.design
    x = _noise(PAPER, active, 1500)
    x = x - x.mean(axis=0)
    node_S = PAPER.map().program(rng=CHIPS).conductance_uS().sum(1).mean() * 1e-6
    expected = float(design.noise_z2(float(node_S))) / 0.07**2
    assert x.var() == pytest.approx(expected, rel=0.03)
    (johnson,) = [term.at(float(node_S)) for term in design.noises if term.name.startswith("Johnson")]
    kept = -math.expm1(math.log(0.9)) / -math.log(0.9)
    volts_seconds = 0.1 * 1e-6 / 0.07 * 100e-9 * kept
    assert johnson == pytest.approx(4 * Boltzmann * 300.0 * float(node_S) * 110e-9 / volts_seconds**2)
    assert (x[:, 1:] * x[:, :-1]).mean() / x.var() == pytest.approx(-0.5, abs=0.02), "neighbours share a bit line"


def test_mirrors_err_apart_on_the_whole_current_of_a_line() -> None:
    coarse = replace(PAPER, front_end=replace(MEMBRANE, trim_bits=0))
    design = coarse.map().membranes.design
    made = coarse.map().program(rng=CHIPS)
    ideal = replace(PAPER, **COLUMN).map().program(rng=CHIPS)  # type: ignore[arg-type]
    shift = (made.weights_uS() - ideal.weights_uS()).mean(dim=1)
    gain = float(design.gain(456 * 34e-6))
    expected = math.sqrt(2.0) * design.mirror_sigma * gain * 34.0
    assert float(shift.std()) == pytest.approx(expected, rel=0.1), "of two cells' sum, not of their difference"
    trimmed = PAPER.map().program(rng=CHIPS).weights_uS() / gain
    assert float((trimmed - ideal.weights_uS()).abs().mean()) < 0.05


def test_a_mirror_without_trim_or_auto_zero_breaks_a_liquid() -> None:
    """Offsets and mirrors set neurons off, or still them, whatever comes in."""
    lines = LineSpikes.of(np.random.default_rng(0).random((4, 50, 256)) < 0.086)
    silent = LineSpikes.of(np.zeros((4, 50, 256)))
    bare = replace(PAPER, front_end=replace(MEMBRANE, auto_zero_F=None)).map().program(rng=CHIPS).at()
    assert float(bare.run(lines, noise=CHIPS).rates.mean()) > 0.2
    assert float(bare.run(silent, noise=CHIPS).rates.mean()) > 0.2, "offsets do not wait for lines"
    coarse = replace(PAPER, front_end=replace(MEMBRANE, trim_bits=0)).map().program(rng=CHIPS).at()
    assert float(coarse.run(lines, noise=CHIPS).rates.mean()) > 0.2
    made = PAPER.map().program(rng=CHIPS).at()
    assert 0.03 < float(made.run(lines, noise=CHIPS).rates.mean()) < 0.12
    assert float(made.run(silent, noise=CHIPS).rates.mean()) < 0.01


def test_both_engines_agree_to_the_bit_with_every_noise() -> None:
    how = replace(PAPER, device=FormedTaOx(), read_supply=Regulated(noise_V=5e-3))
    made, lines = how.map().program(rng=CHIPS), LineSpikes.of(np.random.default_rng(1).random((6, 40, 256)) < 0.1)
    events, dense = (made.at().run(lines, noise=CHIPS, engine=engine, record=True) for engine in ("events", "dense"))  # type: ignore[arg-type]
    assert events.raster is not None
    assert dense.raster is not None
    assert torch.equal(events.raster, dense.raster)
    still = replace(how, read_supply=STILL).map().program(rng=CHIPS).at().run(lines, noise=CHIPS)
    assert not torch.equal(still.counts, events.counts), "a read voltage that moves"
    assert torch.equal(on_grid(made.weights_uS()), made.at().rows)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"front_end": replace(MEMBRANE, swing_V=0.8)}, "front_end.swing_V: at most 0.764 V"),
        ({"neuron": replace(PAPER.neuron, decay=0.0)}, "neuron.decay: more than 0"),
        ({"front_end": replace(MEMBRANE, bias_A=1e-5)}, "front_end.bias_A: more than 0.00077 A"),
    ],
)
def test_a_circuit_that_does_not_close_is_refused_with_what_would_do(how: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        assert replace(PAPER, **how).map().membranes  # type: ignore[arg-type]


def test_membranes_need_a_division_and_a_read_voltage_that_the_supply_gives() -> None:
    for front_end in (Transimpedance(), Integrator(division=None, capacitor_F=1e-12)):
        with pytest.raises(ValueError, match="front_end: an integrator with a division"):
            replace(PAPER, front_end=front_end)
        assert replace(Liquid(), front_end=front_end).read_path == "board"
    with pytest.raises(ValueError, match=r"circuit.v_read_V: at most 0\.864 V"):
        replace(PAPER, circuit=replace(PAPER.circuit, v_read_V=0.9), device=FormedTaOx(read_voltage_max_V=2.0))


@pytest.mark.parametrize("supply", [Regulated, Rail])
def test_noise_of_the_read_voltage_is_refused_where_nothing_reads_it(supply: type[ReadSupply]) -> None:
    for moves_V in (0.0, supply.noise_V):
        assert Liquid(read_supply=supply(noise_V=moves_V)).read_path == "board"
    with pytest.raises(ValueError, match=r"read_supply.noise_V: acts on read_path: capacitor alone.* \(got 0.001\)"):
        Liquid(read_supply=supply(noise_V=1e-3))
    assert Liquid(read_path="capacitor", read_supply=supply(noise_V=1e-3)).read_supply.noise_V == 1e-3
