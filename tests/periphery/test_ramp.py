"""Ramps of memristors: how they are designed, what goes wrong, and what calibration mends."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.nladc_table import BITS
from benchmarks.nladc_table import table as functions_table
from benchmarks.ramp_inl import table
from devices import PCM, ChipStreams, Gaussian, Ideal, Stream, TaOx
from devices.effects import Stuck
from periphery import SIGMOID, TANH, Function, RampColumn, identity, named_function, thresholds
from periphery.ramp.cells import Ramp

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "reference" / "ramp_inl.json").read_text())
FUNCTIONS = [SIGMOID, TANH, identity(1.5)]


def chips(count: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(21), count)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("device", [TaOx(), PCM(), Ideal()], ids=lambda d: d.kind)
def test_default_column_has_two_to_the_n_plus_five_cells_and_loses_no_step(
    function: Function, bits: int, device: Ideal | PCM | TaOx
) -> None:
    design = RampColumn(device=device).design(function, bits)
    assert design.cells == 2**bits + 5
    assert design.lost_steps == 0
    assert design.lost_z == pytest.approx(0.0, abs=1e-9)
    assert float(design.target_S.min()) >= device.g_min_S
    assert float(design.target_S.max()) <= device.g_max_S
    assert (design.clocks == design.clocks.round()).all()


@pytest.mark.parametrize("step", ["plain", "differential"])
@pytest.mark.parametrize("parallel_cells", [1, 3])
@pytest.mark.parametrize("start_cells", [1, 4])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_cells_without_error_put_every_threshold_where_the_function_has_it(
    step: str, parallel_cells: int, start_cells: int, function: Function
) -> None:
    """Whatever a step is made of; and the cells counted are the cells programmed."""
    device = Ideal(g_min_S=100e-6, g_max_S=400e-6)
    column = RampColumn(
        device=device,
        step=step,  # type: ignore[arg-type]
        parallel_cells=parallel_cells,
        start_cells=start_cells,
        smallest_step=0.4,
        capacitor_mismatch=0.0,
    )
    design = column.design(function, 5)
    ramp = Ramp.program(design, ramps=2, rng=chips(1))
    read = ramp.read(0.0)
    torch.testing.assert_close(read.thresholds(), design.theta.expand(1, 2, -1), rtol=0.0, atol=2e-5)
    assert float(read.inl_lsb().abs().max()) < 1e-3
    assert ramp.steps.programmed_S[0, 0].numel() + column.bias_cells == design.cells


def test_a_step_is_as_many_clocks_as_its_charge_needs() -> None:
    """Every step takes the fewest clocks that one cell's largest conductance allows."""
    design = RampColumn(device=TaOx()).design(TANH, 5)
    charge = (design.target_S * design.clocks)[1:]
    wanted = torch.diff(design.theta) * design.unit_S
    torch.testing.assert_close(charge[1:], wanted)
    assert (design.clocks[1:] == torch.ceil(charge / 400e-6 - 1e-9)).all()
    assert design.ramp_clocks == int(design.clocks[1:].sum())


def test_steps_that_do_not_fit_a_cell_are_reported_as_lost() -> None:
    """One clock a step and an on/off ratio of 4 against steps that differ by 9."""
    design = RampColumn(device=TaOx(), max_clocks=1).design(TANH, 5)
    wanted = torch.diff(design.theta)
    wanted = torch.cat([wanted[:1], wanted])
    too_large = wanted > 4 * wanted.min() * (1 + 1e-9)
    assert design.lost_steps == int(too_large.sum()) > 0
    assert design.lost_z == pytest.approx(float((wanted - 4 * wanted.min())[too_large].sum()), rel=1e-6)


def test_a_start_shared_by_too_many_cells_is_reported_as_lost() -> None:
    """Sixty-four TaOx cells at their lowest conductance bring more charge than half of a 5-bit ramp."""
    assert RampColumn(device=TaOx(), start_cells=16).design(SIGMOID, 5).lost_steps == 0
    assert RampColumn(device=TaOx(), start_cells=64).design(SIGMOID, 5).lost_steps == 1


def test_ideal_thresholds_move_with_lost_steps() -> None:
    """What the report says was lost is missing from the ramp."""
    column = RampColumn(device=Ideal(g_min_S=100e-6, g_max_S=400e-6), max_clocks=1, capacitor_mismatch=0.0)
    design = column.design(TANH, 5)
    span = Ramp.program(design, ramps=1, rng=chips(1)).read(0.0).levels[0, 0]
    wanted = torch.diff(design.theta)
    lost = design.lost_z - max(0.0, float(wanted[0] - 4 * wanted.min()))
    assert float(span[-1] - span[0]) == pytest.approx(float(design.theta[-1] - design.theta[0]) - lost, rel=1e-5)


SELU = (1.0507009873554805, 1.6732632423543772)
CLOSED: dict[str, tuple[Any, Any, tuple[float, float]]] = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda y: np.log(y / (1 - y)), (-np.inf, np.inf)),
    "tanh": (np.tanh, np.arctanh, (-np.inf, np.inf)),
    "softplus": (lambda z: np.log1p(np.exp(z)), lambda y: np.log(np.expm1(y)), (-4.0, 4.0)),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda y: y / (1 - np.abs(y)), (-4.0, 4.0)),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda y: np.where(y > 0, y, np.log1p(np.minimum(y, 0))),
        (-4.0, 4.0),
    ),
    "selu": (
        lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * np.expm1(np.minimum(z, 0))),
        lambda y: np.where(y > 0, y / SELU[0], np.log1p(np.minimum(y, 0) / SELU[0] / SELU[1])),
        (-4.0, 4.0),
    ),
    "identity": (lambda z: z, lambda y: y, (-4.0, 4.0)),
}


Pair = tuple[float, float]


def reconstruction(name: str, sigma: float, *, points: int = 32, draws: int = 4000) -> tuple[Pair, Pair]:
    """Mean |INL| of the 5-bit ramp of one-clock steps between the output levels, raw and aligned at k = 16, and the
    standard errors of both."""
    g, inverse, ends = CLOSED[name]
    low, high = g(np.array(ends))
    lsb = (high - low) / 32
    y = low + lsb * (np.arange(points) + 0.5)
    x = inverse(y)
    step = np.diff(x) / np.diff(x).max()
    noisy = np.clip(step + sigma * np.random.default_rng(5).standard_normal((draws, points - 1)), 0.0, None)
    moved = x[0] + np.diff(x).max() * np.concatenate([np.zeros((draws, 1)), noisy.cumsum(1)], axis=1)
    aligned = moved - moved[:, 16:17] + x[16]
    inl = [np.abs((g(levels) - y) / lsb).mean(axis=1) for levels in (moved, aligned)]
    raw, raw_error, aligned_inl, aligned_error = (
        float(each) for one in inl for each in (one.mean(), one.std() / np.sqrt(draws))
    )
    return (raw, aligned_inl), (raw_error, aligned_error)


@pytest.mark.parametrize("name", list(CLOSED))
def test_independent_reconstruction_gives_the_tabulated_inl(name: str) -> None:
    """The table has two decimals, and 4000 draws of its own: within half a digit and 3 standard errors of both runs."""
    row = REFERENCE[name]
    for sigma, *tabulated in zip(REFERENCE["sigma"], row["raw"], row["aligned"], strict=True):
        for found, error, wanted in zip(*reconstruction(name, sigma), tabulated, strict=True):
            assert found == pytest.approx(wanted, abs=0.005 + 3.0 * 2.0**0.5 * error)


@pytest.mark.parametrize("sigma", REFERENCE["sigma"])
@pytest.mark.parametrize("name", list(CLOSED))
def test_one_clock_ramp_errs_as_the_reconstruction_does(name: str, sigma: float) -> None:
    """Same scale (largest step = g_max, one clock), start exact, errors placed at the levels: within 4 %."""
    # Thresholds at the levels (k + 1/2) LSB, k = 0 .. 30, where the reconstruction places its errors.
    function = named_function(name, midtread=True)
    lsb = function.lsb(5)
    ideal = RampColumn(device=Ideal()).design(function, 5)
    ratio = ideal.max_over_min_step
    # The 32nd level, which only the reconstruction has, makes the largest step of four of them.
    last = float(function.inverse(torch.tensor(function.high - 0.5 * lsb, dtype=torch.float64)) - ideal.theta[-1])
    steps = torch.cat([torch.diff(ideal.theta), torch.tensor([last], dtype=torch.float64)])
    assert float(steps.max() / steps.min()) == pytest.approx(REFERENCE[name]["max_over_min_step"], rel=0.01)
    column = RampColumn(
        device=Gaussian(sigma_absolute=sigma),
        smallest_step=min(1.0, 1.0 / ratio),
        max_clocks=1,
        capacitor_mismatch=0.0,
        calibrate=False,
    )
    design = column.design(function, 5)
    assert float(design.target_S[1:].max()) == pytest.approx(column.device.g_max_S)
    assert design.ramp_clocks == 31
    levels = Ramp.program(design, ramps=1, rng=chips(2000)).read(0.0).levels[:, 0]
    levels = levels - levels[:, :1] + design.theta[0]
    y = function.f(design.theta)
    raw = float(((function.f(levels) - y) / lsb).abs().mean())
    aligned = float(((function.f(levels - levels[:, 16:17] + design.theta[16]) - y) / lsb).abs().mean())
    assert (raw, aligned) == pytest.approx(reconstruction(name, sigma, points=31)[0], rel=0.04)


def middle_error_S(column: RampColumn, function: Function, bits: int, count: int) -> torch.Tensor:
    ramp = Ramp.program(column.design(function, bits), ramps=1, rng=chips(count))
    design = ramp.design
    return ((ramp.read(0.0).levels[..., design.middle] - design.theta[design.middle]) * design.unit_S)[:, 0]


@pytest.mark.parametrize("bits", [5, 8])
@pytest.mark.parametrize("function", [SIGMOID, TANH], ids=lambda f: f.name)
def test_one_point_calibration_leaves_the_middle_threshold_with_the_error_of_its_last_trim(
    function: Function, bits: int
) -> None:
    """A trim is the difference of two cells: what it leaves is their own error, sqrt(2) of one cell's."""
    column = RampColumn(device=TaOx(read_noise_S=0.0), capacitor_mismatch=0.0)
    raw = middle_error_S(replace(column, calibrate=False), function, bits, 400)
    trimmed = middle_error_S(column, function, bits, 400)
    one_trim_S = math.sqrt(2) * TaOx().programming_noise_S
    assert float(trimmed.square().mean().sqrt()) < 1.1 * one_trim_S
    assert float(raw.square().mean().sqrt()) > 5 * one_trim_S
    assert (trimmed.abs() <= raw.abs() + 1e-12).all(), "a trim that makes the error larger is switched off"


def test_more_trims_leave_less_and_none_leaves_the_raw_error() -> None:
    column = RampColumn(device=TaOx(), capacitor_mismatch=0.0)
    errors = [
        float(middle_error_S(replace(column, bias_cells=n), SIGMOID, 5, 400).abs().mean()) for n in (0, 1, 2, 3, 5)
    ]
    raw = float(middle_error_S(replace(column, calibrate=False), SIGMOID, 5, 400).abs().mean())
    assert errors[0] == raw
    assert errors[1] < raw
    assert errors[3] < 0.5 * errors[1]
    assert errors[4] < 0.7 * errors[2]


def test_calibration_lowers_the_mean_inl_by_moving_the_whole_ramp() -> None:
    ramp = Ramp.program(RampColumn(device=Gaussian(sigma_absolute=0.02)).design(SIGMOID, 5), ramps=1, rng=chips(200))
    raw, trimmed = replace(ramp, bias=()).read(0.0), ramp.read(0.0)
    shift = trimmed.levels - raw.levels
    torch.testing.assert_close(shift, shift[..., :1].expand_as(shift), rtol=0.0, atol=1e-9)
    assert float(trimmed.inl_lsb().abs().mean()) < 0.75 * float(raw.inl_lsb().abs().mean())


def test_stuck_off_cells_are_mended_at_the_middle_only() -> None:
    """Calibration shifts; a step that is missing stays missing."""
    device = TaOx(effects=(Stuck(off_rate=0.05),))
    ramp = Ramp.program(RampColumn(device=device, capacitor_mismatch=0.0).design(SIGMOID, 5), ramps=1, rng=chips(300))
    assert ramp.steps.stuck is not None
    raw, trimmed = replace(ramp, bias=()).read(0.0), ramp.read(0.0)
    middle = ramp.design.middle
    assert float(trimmed.inl_lsb()[..., middle].abs().median()) < 0.1
    assert float(raw.inl_lsb()[..., middle].abs().mean()) > 1.0
    step = torch.diff(trimmed.levels, dim=-1)[:, 0]
    dead = ramp.steps.stuck[:, 0, 0, 2:, 0]
    assert bool(dead.any())
    assert torch.all(step[dead] == 0.0)
    assert torch.all(step[~dead] > 0.0)


def test_thresholds_are_the_running_maximum_of_a_ramp_that_falls_back() -> None:
    device = Gaussian(sigma_absolute=0.3)
    column = RampColumn(device=device, step="differential", smallest_step=0.3, bias_cells=0)
    read = Ramp.program(column.design(TANH, 5), ramps=1, rng=chips(4)).read(0.0)
    levels, found = read.levels.numpy(), read.thresholds(0.5).numpy()
    assert (np.diff(levels) < 0).any()
    assert np.array_equal(found, np.maximum.accumulate(levels * 0.5, axis=-1))


def test_inl_is_the_error_of_the_output_at_a_threshold() -> None:
    """A ramp that is too steep by 2 % errs by g(1.02 z) - g(z)."""
    ramp = Ramp.program(RampColumn(device=Ideal(), calibrate=False).design(SIGMOID, 5), ramps=1, rng=chips(1))
    steep = replace(ramp, mismatch=torch.full((1, 1), 0.02))
    theta = thresholds(SIGMOID, 5)
    wanted = (torch.sigmoid(1.02 * theta) - torch.sigmoid(theta)) * 32
    torch.testing.assert_close(steep.read(0.0).inl_lsb()[0, 0], wanted, rtol=0.0, atol=1e-4)


def test_capacitor_mismatch_has_its_standard_deviation() -> None:
    column = RampColumn(device=Ideal(), capacitor_mismatch=0.02, calibrate=False)
    read = Ramp.program(column.design(identity(1.0), 4), ramps=3, rng=chips(3000)).read(0.0)
    gain = (read.levels[..., -1] - read.levels[..., 0]) / (read.design.theta[-1] - read.design.theta[0])
    assert float(gain.std()) == pytest.approx(0.02, rel=0.05)


def test_read_noise_of_the_ramp_is_that_of_its_steps() -> None:
    """Each step adds sigma sqrt(sum m^2) over its cells, in units of z."""
    column = RampColumn(device=TaOx(), parallel_cells=2, bias_cells=0, capacitor_mismatch=0.0)
    read = Ramp.program(column.design(TANH, 5), ramps=1, rng=chips(1)).read(0.0)
    assert read.noise is not None
    wanted = 0.14e-6 * math.sqrt(2) * read.design.clocks.abs() / read.design.unit_S
    torch.testing.assert_close(read.noise[0, 0], wanted, rtol=1e-6, atol=0.0)


def test_conductance_clocks_of_one_ramp_count_all_cells() -> None:
    column = RampColumn(device=Ideal(g_min_S=100e-6, g_max_S=400e-6), step="differential", calibrate=False)
    design = column.design(TANH, 4)
    ramp = Ramp.program(design, ramps=1, rng=chips(1))
    wanted = sum(
        float(abs(clocks) * (ramp.steps.programmed_S[0, 0, 0, k, 0] + ramp.steps.programmed_S[0, 0, 1, k, 0]))
        for k, clocks in enumerate(design.clocks)
    )
    assert float(ramp.read(0.0).loss_S) == pytest.approx(wanted, rel=1e-6)


def test_first_chips_do_not_move_with_more_chips_beside() -> None:
    design = RampColumn(device=PCM()).design(SIGMOID, 5)
    few, many = (Ramp.program(design, ramps=2, rng=chips(count)) for count in (2, 6))
    for t_s in (0.0, 2592000.0):
        assert torch.equal(few.read(t_s).levels, many.read(t_s).levels[:2])
        again = [ramp.recentred(t_s, chips(len(ramp.mismatch)).child("later")) for ramp in (few, many)]
        assert torch.equal(again[0].read(t_s).levels, again[1].read(t_s).levels[:2])


def test_a_drifted_ramp_is_centred_again_by_new_trims() -> None:
    month_s = 2592000.0
    ramp = Ramp.program(RampColumn(device=PCM(), capacitor_mismatch=0.0).design(SIGMOID, 5), ramps=1, rng=chips(200))
    renewed = ramp.recentred(month_s, chips(200).child("later"))
    middle = ramp.design.middle
    old, new = (r.read(month_s).levels[:, 0, middle].abs().mean() for r in (ramp, renewed))
    assert float(new) < 0.5 * float(old)
    assert all(trim.born_s == month_s for trim in renewed.bias)
    slopes = [torch.diff(r.read(month_s).levels[:, 0]) for r in (ramp, renewed)]
    torch.testing.assert_close(*slopes, rtol=0.0, atol=1e-12)


def test_documented_table_is_what_the_ramps_give() -> None:
    """docs/ramp_inl.md, its 5-bit rows."""
    text = (Path(__file__).parents[2] / "docs" / "ramp_inl.md").read_text(encoding="utf-8")
    documented = {
        (cells[1], cells[2]): [float(number) for number in cells[3:]]
        for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
        if cells[0] == "5" and len(cells) == 9
    }
    rows = table([5])
    assert len(documented) == len(rows) == 16
    for row in rows:
        found = (row.clocks, row.lost_steps, row.raw_mean, row.raw_max, row.calibrated_mean, row.calibrated_max)
        assert documented[row.cells, row.rule] == pytest.approx(found, abs=0.012), (row.cells, row.rule)


def test_documented_table_of_functions_is_what_the_ramps_give() -> None:
    """docs/nladc_table.md, its rows of up to 5 bits."""
    text = (Path(__file__).parents[2] / "docs" / "nladc_table.md").read_text(encoding="utf-8")
    rows = functions_table([bits for bits in BITS if bits <= 5])
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| function")]
    documented = {
        tuple(cells[:2]): cells[2:] for cells in ([c.strip() for c in line.strip("|").split("|")] for line in lines)
    }
    assert len(documented) == 20 * len(BITS) == 100
    for row in rows:
        cells = [float(cell) for cell in documented[row.function, str(row.bits)]]
        found = (row.steps, row.clocks, row.lost, *row.ideal, *row.raw, *row.calibrated)
        assert cells == pytest.approx(found, abs=0.012), (row.function, row.bits)
