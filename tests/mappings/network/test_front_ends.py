"""What front ends do to a layer: mirrors err line by line, pulses settle by their width, cell states come back so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from devices import BlockNoise, ChipStreams, Ideal, Stream
from mappings.chip import Chip, Weights
from mappings.cost import price
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, RampColumn
from periphery.drivers.base import full_scale
from periphery.front_end import IdealFrontEnd, Integrator
from periphery.supply import Regulated
from tests.quiet import CIRCUIT

CELL = Ideal(g_min_S=10e-6, g_max_S=150e-6)
CHIP = Chip(rows=32, columns=16, weights=Weights(device=CELL), ramp=RampColumn(device=CELL))
QUIET = replace(CHIP, **CIRCUIT)
CHIPS = 400


def streams(chips: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(4), chips)


def z_of(chip: Chip, counts: torch.Tensor, *, weight: float, chips: int = CHIPS) -> torch.Tensor:
    """Pre-activations ``(chips, n, columns)`` of a layer of equal weights."""
    layer = DenseLayer.from_torch(torch.full((16, 32), weight), None, limit=4.0)
    read = layer.map(chip).program(rng=streams(chips)).at(0.0).columns.matrix
    (part,) = read.pre_activation(counts, BlockNoise(streams(chips), [0], counts.shape[1]))
    return part.z


def test_mirrors_of_a_pair_err_apart_on_the_whole_current_of_their_lines() -> None:
    """d+ S+ - d- S-: lines of 150 and 10 uS a cell, sqrt(150^2 + 10^2) / 140 of one mirror."""
    chip = replace(QUIET, front_end=Integrator(pair_um2=1e4, capacitor="stacked_mim"))
    layer = DenseLayer.from_torch(torch.full((16, 32), 0.5), None, limit=4.0)
    sigma = layer.map(chip).front_end.designs[0].mirror_sigma
    counts = torch.full((1, 1, 32), 4.0)
    z = z_of(chip, counts, weight=0.5)
    assert float(z.std() / z.mean()) == pytest.approx(sigma * (150**2 + 10**2) ** 0.5 / 140, rel=0.03)


def test_a_pulse_loses_what_has_not_settled_when_its_phase_ends() -> None:
    """Pulses that end early arrive whole; the widest one lacks the budget's share of settling, less the usual one."""
    chip = replace(QUIET, front_end=Integrator(gain_error=0.1))
    layer = DenseLayer.from_torch(torch.full((16, 32), 0.5), None, limit=4.0)
    design, top = layer.map(chip).front_end.designs[0], full_scale(chip.bits)
    counts = torch.arange(1.0, top + 1)[None, :, None].expand(1, top, 32)
    a_clock = (z_of(chip, counts, weight=0.5, chips=1).mean(-1)[0] / torch.arange(1.0, top + 1)).double()
    share = a_clock / a_clock[0]
    assert float(1.0 - share[-1]) == pytest.approx(design.settling.loss(design.load.line_S), rel=0.02)
    assert float(1.0 - share[top // 2]) < 0.1 * float(1.0 - share[-1])


def test_more_clocks_to_settle_take_time_and_less_bias() -> None:
    layer = DenseLayer.from_torch(torch.full((16, 32), 0.5), None, limit=4.0)
    one, four = (layer.map(replace(CHIP, front_end=Integrator(settle_clocks=clocks))) for clocks in (1, 4))
    assert four.actions().latency_s - one.actions().latency_s == pytest.approx(2 * 3 * 1e-9)
    assert four.front_end.designs[0].bias_A < 0.8 * one.front_end.designs[0].bias_A


@pytest.mark.parametrize(
    ("circuit", "least"),
    [
        ({"ramp_front_end": Integrator(mirror_um2=0.01, division=8.0, auto_zero_F=1e-13)}, 2.0),
        ({"read_supply": Regulated(noise_V=5e-3)}, 0.3),
    ],
    ids=["mirrors", "supply"],
)
def test_a_cell_state_comes_back_through_an_integrator_of_its_own(circuit: dict[str, object], least: float) -> None:
    """Hidden states of chips that differ in nothing but the front end of cell states and ramps, or in the supply."""

    def spread(chip: Chip) -> float:
        draw = torch.Generator().manual_seed(2)
        tensors = [0.5 * torch.randn(shape, generator=draw) for shape in ((16, 4), (16, 4), (16,))]
        read = RecurrentLayer.from_torch("lstm", *tensors).map(chip).program(rng=streams(16)).at(0.0)
        x = torch.rand((8, 6, 4), generator=draw) * 2 - 1
        states = read.run(chip.driver.counts(x, chip.bits), noise=BlockNoise(streams(16), [0], 8))
        return float(states.std(0).mean())

    fine = replace(QUIET, bits=8, ramp=replace(QUIET.ramp, capacitor_mismatch=0.0))
    bare = spread(fine)
    assert bare < 0.05
    assert spread(replace(fine, **circuit)) > bare + least  # type: ignore[arg-type]


def test_an_ideal_front_end_keeps_everything() -> None:
    counts = torch.arange(-15.0, 16.0)[None, :, None].expand(1, 31, 32)
    assert isinstance(QUIET.front_end, IdealFrontEnd)
    z = z_of(QUIET, counts, weight=0.5, chips=2)
    exact = counts.sum(-1) * 0.5 / 15
    torch.testing.assert_close(z, exact[..., None].expand(2, 31, 16), rtol=1e-5, atol=1e-5)


def test_devices_are_as_long_as_the_node_at_least() -> None:
    layer = DenseLayer.from_torch(torch.full((16, 32), 0.5), None, limit=4.0)
    small, large = (layer.map(replace(CHIP, node_nm=node)).front_end.designs[0] for node in (16.0, 130.0))
    stated = replace(CHIP, node_nm=130.0, front_end=replace(CHIP.front_end, length_um=0.13))
    assert layer.map(stated).front_end.designs[0].area_m2 == large.area_m2 > small.area_m2


def test_a_comparator_that_answers_late_or_holds_takes_time_area_and_energy() -> None:
    layer = DenseLayer.from_torch(torch.full((16, 32), 0.5), None, limit=4.0)

    def cost(comparator: Comparator) -> tuple[float, float, float]:
        mapped = layer.map(replace(CHIP, comparator=comparator))
        actions = mapped.actions()
        lines = price(actions, node_nm=CHIP.node_nm, components=mapped.components())
        return sum(x.area_m2 for x in lines), sum(x.energy_J for x in lines), actions.latency_s

    area_m2, energy_J, latency_s = cost(Comparator())
    late = cost(Comparator(delay_s=2.5 * CHIP.driver.t_clk_s))
    assert late[2] == pytest.approx(latency_s + 3 * CHIP.driver.t_clk_s)
    held = cost(Comparator(hold_F=10e-15))
    assert held[0] > area_m2
    assert held[1] > energy_J
