"""What a ramp may be built of beyond its defaults, what time does to it, and how it is mended."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Gaussian, Ideal, InputError, Stream, TaOx
from devices.effects import Stuck, Temperature
from periphery import (
    FUNCTIONS,
    SIGMOID,
    TANH,
    Comparator,
    Function,
    RampColumn,
    RampConversion,
    RampConverter,
    identity,
    output_levels,
    quantised,
)
from periphery.ramp.cells import Ramp
from periphery.ramp.levels import optimal_levels
from periphery.ramp.order import following_order, sorted_order
from periphery.ramp.timing import delayed, leaked, settled

QUIET = Comparator(offset_V=0.0, noise_V=0.0)
IDEAL = RampColumn(device=Ideal(), capacitor_mismatch=0.0)
NO_OFF = Ideal(g_min_S=100e-6, g_max_S=400e-6)


def chips(count: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(31), count)


def conversion_of(
    column: RampColumn, function: Function, bits: int, *, comparator: Comparator = QUIET, count: int = 1,
    samples: torch.Tensor | None = None,
) -> RampConversion:  # fmt: skip
    ramp = Ramp.program(column.design(function, bits, samples=samples), ramps=1, rng=chips(count))
    return RampConverter(ramp, comparator, torch.zeros(count, 1, 1), volts_per_z=0.1).read(0.0)


def converted(conversion: RampConversion, z: torch.Tensor) -> torch.Tensor:
    """Steps passed by each input, on the first chip."""
    noise = BlockNoise(chips(1), [0], len(z))
    return conversion.codes(z.float()[None, :, None, None], None, noise)[0, :, 0, 0]


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_a_folded_ramp_converts_both_branches_to_the_nearest_output(name: str, bits: int) -> None:
    function = FUNCTIONS[name]
    conversion = conversion_of(replace(IDEAL, max_clocks=4096), function, bits)
    z = torch.linspace(-6.0, 6.0, 4001, dtype=torch.float64)
    z = z[(z[:, None] - conversion.table[0, 0].double()).abs().amin(1) > 1e-4]
    passed = converted(conversion, z)
    wanted = quantised(function, bits, z.clamp(-4.0, 4.0))
    assert conversion.words(passed).tolist() == wanted.tolist()
    torch.testing.assert_close(
        conversion.values(passed).double(), output_levels(function, bits)[wanted], rtol=0.0, atol=1e-6
    )
    assert int(passed.max()) == conversion.table.shape[-1]


def test_optimal_levels_meet_both_conditions_of_lloyd_and_beat_even_ones() -> None:
    samples = 0.4 * torch.randn(20_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for bits in (1, 3, 5):
        levels = optimal_levels(TANH, bits, samples)
        y = torch.tanh(samples)
        nearest = (levels - y[:, None]).abs().argmin(1)
        means = torch.stack([y[nearest == c].mean() for c in range(2**bits)])
        torch.testing.assert_close(levels, means, rtol=0.0, atol=1e-6)
        best = mean_squared_error(TANH, levels, samples)
        assert best < 0.9 * mean_squared_error(TANH, output_levels(TANH, bits), samples)
    uniform = torch.linspace(-1, 1, 100_001, dtype=torch.float64)
    even = optimal_levels(identity(1.0), 4, uniform)
    torch.testing.assert_close(torch.diff(even), torch.full((15,), 0.125, dtype=torch.float64), rtol=0.0, atol=1e-4)


def mean_squared_error(function: Function, levels: torch.Tensor, samples: torch.Tensor) -> float:
    """Mean squared distance of ``f(samples)`` from the nearest of the rising ``levels``."""
    y = function.f(samples.double()).clamp(function.low, function.high)
    return float((levels - y[:, None]).abs().amin(1).square().mean())


def test_max_quantiser_of_a_normal_distribution() -> None:
    """Max 1960, table I: 4 levels at 0.4528 and 1.510, mean squared error 0.1175, for unit variance."""
    quantiles = torch.special.ndtri((torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000)
    levels = optimal_levels(identity(8.0), 2, quantiles)
    assert levels.tolist() == pytest.approx([-1.510, -0.4528, 0.4528, 1.510], abs=1e-3)
    assert mean_squared_error(identity(8.0), levels, quantiles) == pytest.approx(0.1175, abs=2e-4)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_a_ramp_with_optimal_levels_gives_the_nearest_of_them(name: str) -> None:
    function = FUNCTIONS[name]
    samples = torch.randn(5000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    column = replace(IDEAL, levels="optimal", max_clocks=4096)
    conversion = conversion_of(column, function, 4, samples=samples)
    levels = optimal_levels(function, 4, samples)
    z = torch.linspace(-3.9, 3.9, 999, dtype=torch.float64)
    z = z[(z[:, None] - conversion.table[0, 0].double()).abs().amin(1) > 1e-3]
    wanted = (levels - function.f(z)[:, None]).abs().argmin(1)
    passed = converted(conversion, z)
    assert conversion.words(passed).tolist() == wanted.tolist()
    torch.testing.assert_close(conversion.values(passed).double(), levels[wanted], rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(
    "column",
    [
        RampColumn(device=NO_OFF, columns=3, capacitor_mismatch=0.0),
        RampColumn(device=NO_OFF, small_steps="parallel", parallel_cells=10, capacitor_mismatch=0.0),
        RampColumn(device=NO_OFF, small_steps="parallel", columns=5, parallel_cells=2, capacitor_mismatch=0.0),
        RampColumn(device=NO_OFF, small_steps="differential", capacitor_mismatch=0.0),
        RampColumn(device=NO_OFF, small_steps="differential", parallel_cells=2, start_cells=3, capacitor_mismatch=0.0),
        RampColumn(device=NO_OFF, reorder=True, redundant_columns=3, capacitor_mismatch=0.0),
    ],
    ids=["columns", "parallel", "parallel over columns", "differential", "differential pairs", "redundant"],
)
@pytest.mark.parametrize("function", [SIGMOID, TANH, FUNCTIONS["gelu"]], ids=lambda f: f.name)
def test_every_way_of_building_a_ramp_puts_its_thresholds_where_the_function_has_them(
    column: RampColumn, function: Function
) -> None:
    design = column.design(function, 5)
    assert design.lost_steps == 0
    ramp = Ramp.program(design, ramps=2, rng=chips(2))
    torch.testing.assert_close(ramp.read(0.0).levels, design.theta.expand(2, 2, -1), rtol=0.0, atol=3e-5)
    present = design.present
    one = ramp.steps.programmed_S[0, 0].numel() if present is None else int(present.sum())
    assert design.cells == one * column.redundant_columns + column.bias_cells


def test_one_clock_a_step_with_parallel_or_differential_cells_and_lost_without() -> None:
    """Steps of a 5-bit tanh span 9; a TaOx cell's range spans 4."""
    lost = RampColumn(device=TaOx(), small_steps="lost").design(TANH, 5)
    pairs = RampColumn(device=TaOx(), small_steps="differential").design(TANH, 5)
    parallel = RampColumn(device=TaOx(), small_steps="parallel", parallel_cells=3).design(TANH, 5)
    clocks = RampColumn(device=TaOx()).design(TANH, 5)
    step = torch.diff(lost.theta, prepend=lost.theta[:1])
    step[0] = step[1]
    small = int((step < step.max() / 4 * (1 - 1e-9)).sum())
    # The start's charge fits, so what is lost are the small steps, each of which comes out as a quarter of the largest.
    assert lost.lost_steps == small > 0
    assert lost.lost_z == pytest.approx(float((step - step.max() / 4)[step < step.max() / 4].sum()), rel=1e-6)
    assert [design.lost_steps for design in (pairs, parallel, clocks)] == [0, 0, 0]
    assert [design.ramp_clocks for design in (lost, pairs, parallel)] == [31, 31, 31]
    assert clocks.ramp_clocks > 31
    assert pairs.paired is not None
    assert int(pairs.paired.sum()) == small
    assert pairs.cells == lost.cells + small
    assert parallel.used is not None
    assert int(parallel.used.max()) == 3
    assert int(parallel.used.min()) == 1


def test_parallel_cells_and_columns_average_their_errors() -> None:
    sigma = {}
    for cells, columns in ((1, 1), (4, 1), (1, 4), (2, 8)):
        column = RampColumn(
            device=Gaussian(sigma_absolute=0.01), parallel_cells=cells, columns=columns, calibrate=False
        )
        levels = (
            Ramp.program(replace(column, capacitor_mismatch=0.0).design(TANH, 5), ramps=1, rng=chips(1500))
            .read(0.0)
            .levels
        )
        sigma[cells, columns] = float((levels[..., -1] - levels[..., 0]).std())
    assert sigma[4, 1] == pytest.approx(sigma[1, 1] / 2, rel=0.08)
    assert sigma[1, 4] == pytest.approx(sigma[1, 1] / 2, rel=0.08)
    assert sigma[2, 8] == pytest.approx(sigma[1, 1] / 4, rel=0.08)


def largest_inl(column: RampColumn, function: Function, bits: int, count: int) -> torch.Tensor:
    read = Ramp.program(column.design(function, bits), ramps=1, rng=chips(count)).read(0.0)
    return read.inl_lsb().abs().amax(-1)[:, 0]


def test_redundant_columns_give_the_best_of_their_number_and_mend_stuck_cells() -> None:
    device = TaOx(effects=(Stuck(off_rate=0.02),))
    whole = 0.98**32  # of one ramp's start and steps; a dead cell costs about its step, one LSB
    for r in (1, 3, 8):
        inl = largest_inl(RampColumn(device=device, redundant_columns=r), SIGMOID, 5, 300)
        share = 1.0 - (1.0 - whole) ** r
        assert float((inl < 0.3).double().mean()) == pytest.approx(
            share, abs=4 * math.sqrt(share * (1 - share) / 300) + 0.01
        )


def test_choosing_among_columns_takes_the_one_that_was_measured_best() -> None:
    column = RampColumn(
        device=TaOx(effects=(Stuck(off_rate=0.05),)), redundant_columns=4, calibrate=False, capacitor_mismatch=0.0
    )
    design = column.design(TANH, 5)
    ramp = Ramp.program(design, ramps=3, rng=chips(5))
    assert ramp.choice is not None
    assert ramp.choice.shape == (5, 3)
    every = replace(ramp, choice=None, mismatch=ramp.mismatch.repeat_interleave(4, dim=1))
    inl = every._largest_inl().reshape(5, 3, 4)
    torch.testing.assert_close(ramp._largest_inl(), inl.amin(-1))
    for read in (ramp.read(0.0), ramp.recentred(0.0, chips(5)).read(0.0)):
        assert read.levels.shape == (5, 3, 31)


def test_reordering_never_makes_the_largest_inl_larger_and_pays_where_steps_are_alike() -> None:
    device = Gaussian(sigma_absolute=0.02)
    plain = RampColumn(device=device, calibrate=False, capacitor_mismatch=0.0)
    for function, bits, gain in ((identity(1.0), 6, 1.6), (SIGMOID, 8, 1.6), (SIGMOID, 5, 1.0)):
        design, dealt = (c.design(function, bits) for c in (plain, replace(plain, reorder=True)))
        before = Ramp.program(design, ramps=1, rng=chips(100))._largest_inl()
        after = Ramp.program(dealt, ramps=1, rng=chips(100))._largest_inl()
        assert (after <= before).all()
        assert float(before.mean()) > gain * float(after.mean()), (
            function.name,
            bits,
            float(before.mean() / after.mean()),
        )


def test_reordered_cells_stay_among_steps_of_the_same_clocks() -> None:
    column = RampColumn(device=TaOx(), reorder=True)
    design = column.design(SIGMOID, 8)
    ramp = Ramp.program(design, ramps=1, rng=chips(3))
    assert ramp.order is not None
    assert torch.equal(ramp.order.sort(-1).values, torch.arange(255).expand(3, 1, -1))
    assert torch.equal(design.step_clocks[ramp.order], design.step_clocks.expand(3, 1, -1))
    assert (ramp.order != torch.arange(255)).any()


def test_orders_of_a_group_by_hand() -> None:
    wanted, group = torch.tensor([1.0, 3.0, 2.0, 9.0]), torch.tensor([0, 0, 0, 1])
    measured = torch.tensor([[2.2, 1.1, 2.9, 8.0]])
    assert sorted_order(measured, wanted, group).tolist() == [[1, 2, 0, 3]]
    # Errors of the group, less their mean: 1.1 is right for 1, then 2.9 for 3, then 2.2 for 2.
    assert following_order(measured, wanted, torch.ones(4), group).tolist() == [[1, 2, 0, 3]]
    # 1.4, then 2.6, cancel; in the order of programming the first step would have gained 0.6.
    alike, cells = torch.ones(4) * 2.0, torch.tensor([[2.6, 1.4, 1.9, 2.1]])
    assert following_order(cells, alike, torch.ones(4), torch.zeros(4)).tolist() == [[2, 3, 0, 1]]


def test_a_ramp_read_hot_is_centred_again_at_that_temperature() -> None:
    hot = Temperature(temperature_K=360.0, activation_off_eV=0.02, activation_on_eV=0.0, activation_sd_eV=0.004)
    device = TaOx(effects=(replace(hot, temperature_K=300.0),), read_noise_S=0.0)
    ramp = Ramp.program(RampColumn(device=device, capacitor_mismatch=0.0).design(SIGMOID, 5), ramps=1, rng=chips(100))
    at = ramp.at_K(360.0)
    middle = ramp.design.middle
    cold_error, hot_error, mended = (
        float(r.read(0.0).levels[..., middle].abs().mean())
        for r in (ramp, at, at.recentred(0.0, chips(100).child("hot")))
    )
    assert hot_error > 10 * cold_error
    assert mended < 2 * cold_error


def test_a_drifted_ramp_with_all_its_mending_is_centred_again() -> None:
    month_s = 2592000.0
    column = RampColumn(device=PCM(), reorder=True, redundant_columns=2, capacitor_mismatch=0.0)
    ramp = Ramp.program(column.design(SIGMOID, 5), ramps=1, rng=chips(60))
    renewed = ramp.recentred(month_s, chips(60).child("later"))
    old, new = (r.read(month_s).levels[:, 0, ramp.design.middle].abs().mean() for r in (ramp, renewed))
    assert float(new) < 0.5 * float(old)


def test_jitter_of_a_period_is_charge_noise_that_accumulates() -> None:
    column = replace(IDEAL, jitter_clocks=0.05, bias_cells=0)
    read = Ramp.program(column.design(identity(1.0), 6), ramps=1, rng=chips(1)).read(0.0)
    assert read.noise is not None
    clocks, step = read.design.clocks, read.design.target_S * read.design.clocks.abs() / read.design.unit_S
    torch.testing.assert_close(read.noise[0, 0], step * 0.05 / clocks.abs().sqrt(), rtol=1e-6, atol=0.0)
    conversion = conversion_of(column, identity(1.0), 6)
    k, samples = 50, 20_000
    z = torch.full((1, samples, 1, 1), float(conversion.table[0, 0, k]))
    codes = conversion.codes(z, None, BlockNoise(chips(1), [0], samples)).double()
    sigma = float(read.noise[0, 0, : k + 2].square().sum().sqrt()) / (2.0 / 64)
    assert float(codes.std()) == pytest.approx(math.sqrt(sigma**2 + 1 / 12), rel=0.06)


def test_a_step_that_settles_slowly_lags_by_what_is_left() -> None:
    """After n equal steps of one clock the lag is step times sum of exp(-i / tau)."""
    levels = torch.arange(1, 41, dtype=torch.float64)
    lag = levels - settled(torch.tensor(0.0, dtype=torch.float64), levels, torch.ones(40), 0.7)
    kept = math.exp(-1 / 0.7)
    torch.testing.assert_close(lag, kept * (1 - kept**levels) / (1 - kept))
    for tau, least, most in ((0.05, 0.0, 1e-5), (2.0, 0.1, 1.0)):
        column = replace(IDEAL, settling_clocks=tau, calibrate=False)
        read = Ramp.program(column.design(TANH, 5), ramps=1, rng=chips(1)).read(0.0)
        assert least <= float((read.design.theta - read.levels[0, 0]).amax()) < most


def test_a_late_answer_latches_what_the_counter_has_reached_by_then() -> None:
    """Steps of 1, 2 and 1 clocks; half a clock late."""
    start, levels = torch.tensor(0.0, dtype=torch.float64), torch.tensor([1.0, 3.0, 4.0], dtype=torch.float64)
    clocks = torch.tensor([1.0, 2.0, 1.0])
    assert delayed(start, levels, clocks, 0.0).tolist() == [1.0, 3.0, 4.0]
    assert delayed(start, levels, clocks, 0.5).tolist() == [0.5, 2.5, 3.5]
    assert delayed(start, levels, clocks, 1.0).tolist() == [0.0, 2.0, 3.0]
    assert delayed(start, levels, clocks, -0.5).tolist() == [2.0 - 0.5 + 0.0, 3.5, 4.0]
    fallen = delayed(start, torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64), clocks, 1.0)
    assert fallen.tolist() == [0.0, 2.0, 2.0], "the highest level so far has been crossed"


@pytest.mark.parametrize("delay", [0.4, 1.0, 3.3])
def test_delay_is_a_shift_by_the_slope_of_the_ramp_and_whole_clocks_can_be_waited_for(delay: float) -> None:
    linear = replace(IDEAL, smallest_step=1.0)
    plain = conversion_of(linear, identity(1.0), 5)
    late = Comparator(offset_V=0.0, noise_V=0.0, delay_s=delay * 1e-9)
    lsb = 2.0 / 32
    shift = plain.levels - conversion_of(linear, identity(1.0), 5, comparator=late).levels
    torch.testing.assert_close(shift[..., 4:], torch.full_like(shift[..., 4:], delay * lsb), rtol=1e-4, atol=1e-5)
    waited = conversion_of(linear, identity(1.0), 5, comparator=replace(late, delay_compensated=True))
    left = (delay - round(delay)) * lsb
    shift = plain.levels - waited.levels
    torch.testing.assert_close(shift[..., 4:-1], torch.full_like(shift[..., 4:-1], left), rtol=1e-4, atol=1e-5)


def test_a_leaking_held_voltage_takes_a_larger_input_the_later_it_is_crossed() -> None:
    levels, clocks = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64), torch.tensor([1.0, 2.0, 1.0])
    moved = leaked(levels, clocks, 100.0)
    assert moved.tolist() == pytest.approx([-math.exp(0.01), 0.0, math.exp(0.04)])
    conversion = conversion_of(IDEAL, TANH, 5, comparator=replace(QUIET, hold_leak_s=1e-6))
    plain = conversion_of(IDEAL, TANH, 5)
    ends = IDEAL.design(TANH, 5).step_clocks.cumsum(0)
    torch.testing.assert_close(conversion.levels[0, 0], plain.levels[0, 0] * torch.exp(ends * 1e-3).float())


def test_sampling_noise_of_the_holding_capacitor_adds_to_the_decision() -> None:
    """sqrt(kT / C) of 1 fF at 300 K is 2.035 mV, at 0.1 V per unit 0.0203."""
    comparator = Comparator(offset_V=0.0, noise_V=1e-3, hold_F=1e-15)
    assert comparator.hold_noise_V == pytest.approx(2.035e-3, rel=1e-3)
    samples = 40_000
    for kind in ("per_conversion", "per_step"):
        quiet = replace(comparator, noise=kind, noise_V=0.0)  # type: ignore[arg-type]
        conversion = conversion_of(IDEAL, TANH, 5, comparator=quiet)
        z = torch.full((1, samples, 1, 1), float(conversion.table[0, 0, 20]) + 0.02)
        passed = (conversion.codes(z, None, BlockNoise(chips(1), [0], samples)) > 20).double().mean()
        assert float(passed) == pytest.approx(0.5 * (1 + math.erf(0.02 / (0.02035 * math.sqrt(2)))), abs=0.01)
    both = conversion_of(IDEAL, TANH, 5, comparator=comparator)
    z = torch.full((1, samples, 1, 1), float(both.table[0, 0, 20]) + 0.02)
    passed = (both.codes(z, None, BlockNoise(chips(1), [0], samples)) > 20).double().mean()
    total = math.hypot(0.02035, 0.01)
    assert float(passed) == pytest.approx(0.5 * (1 + math.erf(0.02 / (total * math.sqrt(2)))), abs=0.01)


def test_stuck_cells_of_a_differential_ramp_make_it_fall_and_the_first_crossing_counts() -> None:
    column = RampColumn(device=TaOx(effects=(Stuck(off_rate=0.1),)), step="differential", capacitor_mismatch=0.0)
    read = Ramp.program(column.design(TANH, 5), ramps=1, rng=chips(50)).read(0.0)
    falls = read.falls()
    path = torch.cat([read.start[..., None], read.levels], -1).numpy()
    assert falls.tolist() == (np.diff(path, axis=-1) < 0).sum(-1).tolist()
    assert float(falls.double().mean()) > 1.0
    conversion = conversion_of(column, TANH, 5, count=1)
    levels = conversion.levels[0, 0]
    for z, code in zip(torch.linspace(-3, 3, 101), converted(conversion, torch.linspace(-3, 3, 101)), strict=True):
        above = (levels > z).nonzero()
        assert int(code) == (int(above[0]) if len(above) else len(levels))


@pytest.mark.parametrize("function", [SIGMOID, FUNCTIONS["gelu"]], ids=lambda f: f.name)
def test_one_bit_is_one_threshold_a_level(function: Function) -> None:
    conversion = conversion_of(IDEAL, function, 1)
    assert conversion.table.shape[-1] == 1
    assert conversion.words(converted(conversion, torch.tensor([-4.0, 4.0]))).tolist() == [0, 1]


def test_an_idealised_ramp_and_comparator_have_no_error_left() -> None:
    column = RampColumn(
        device=TaOx(), capacitor_mismatch=0.02, jitter_clocks=0.1, settling_clocks=1.0, reorder=True
    ).idealised()
    comparator = Comparator(delay_s=3e-9, hold_F=1e-15, hold_leak_s=1e-6).idealised()
    conversion = conversion_of(column, SIGMOID, 5, comparator=comparator)
    torch.testing.assert_close(conversion.table, conversion_of(IDEAL, SIGMOID, 5).table, rtol=0.0, atol=2e-6)
    assert conversion.walk_sigma is None
    assert (conversion.sigma_z, conversion.hold_sigma_z) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (lambda: IDEAL.design(SIGMOID, 0), "bits must be a whole number from 1 to 12 (got 0)"),
        (lambda: IDEAL.design(SIGMOID, 13), "bits must be a whole number from 1 to 12 (got 13)"),
        (
            lambda: replace(IDEAL, levels="optimal").design(SIGMOID, 5),
            "levels: optimal needs samples of the inputs (got none)",
        ),
        (
            lambda: replace(IDEAL, levels="optimal").design(SIGMOID, 5, samples=torch.linspace(-1, 1, 31)),
            "levels: optimal needs samples with at least 32 distinct outputs of sigmoid (got 31)",
        ),
    ],
)
def test_designs_that_cannot_be_are_refused(refused: Callable[[], object], text: str) -> None:
    with pytest.raises(InputError) as error:
        refused()
    assert str(error.value) == text


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^small_steps: differential is for step: plain; with step: differential every"
    ):
        RampColumn(device=TaOx(), step="differential", small_steps="differential")
    with pytest.raises(ValueError, match=r"^small_steps: parallel needs parallel_cells or columns above 1$"):
        RampColumn(device=TaOx(), small_steps="parallel")
