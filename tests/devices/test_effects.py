"""Effects against their equations: moments, correlations, what persists over a programming, order and bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy import integrate

from devices import PCM, Cells, ChipStreams, Device, Gaussian, Ideal, InputError, Stream, TaOx
from devices.effects import (
    AnyEffect,
    ConductanceSpread,
    DiscreteLevels,
    ProgramVerify,
    ReadDisturb,
    Retention,
    Stuck,
    Temperature,
)
from devices.effects.temperature import BOLTZMANN_EV_PER_K

SAMPLES = 1_000_000
HALF_S = 50e-6
DAY_S = 86400.0


def chips(count: int = 1, seed: int = 0) -> ChipStreams:
    return ChipStreams.of(Stream.root(seed), count)


def with_effects(*effects: AnyEffect) -> Device:
    return Ideal(effects=effects)


def cells_of(device: Device, samples: int = SAMPLES, *, cycle: int = 0, at_S: float = HALF_S) -> Cells:
    return device.program(torch.full((1, samples), at_S, dtype=torch.float64), rng=chips(), cycle=cycle)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("law", ["gaussian", "lognormal"])
def test_spread_has_the_moments_of_a_product_of_two_factors(law: str) -> None:
    g = cells_of(with_effects(ConductanceSpread(device_sd=0.1, cycle_sd=0.05, law=law))).programmed_S / HALF_S  # type: ignore[arg-type]
    if law == "gaussian":
        sd = math.sqrt((1 + 0.1**2) * (1 + 0.05**2) - 1)
    else:
        sd = math.sqrt(math.exp(0.1**2 + 0.05**2) - 1)
        assert float(g.log().std()) == pytest.approx(math.hypot(0.1, 0.05), rel=0.01)
    assert float(g.mean()) == pytest.approx(1.0, abs=0.001)
    assert float(g.std()) == pytest.approx(sd, rel=0.01)


def test_spread_between_devices_survives_programming_again_and_spread_between_cycles_does_not() -> None:
    device, cycle = with_effects(ConductanceSpread(device_sd=0.1)), with_effects(ConductanceSpread(cycle_sd=0.1))
    assert torch.equal(cells_of(device, 1000).programmed_S, cells_of(device, 1000, cycle=3).programmed_S)
    assert abs(correlation(*(cells_of(cycle, cycle=c).programmed_S for c in (0, 1)))) < 0.004
    both = with_effects(ConductanceSpread(device_sd=0.1, cycle_sd=0.05))
    again = correlation(*(cells_of(both, cycle=c).programmed_S for c in (1, 2)))
    expected = 0.1**2 / ((1 + 0.1**2) * (1 + 0.05**2) - 1)
    assert again == pytest.approx(expected, abs=0.003)


def test_programming_again_draws_a_new_error_and_new_slow_noise_for_the_same_defects() -> None:
    device = PCM(effects=(Stuck(off_rate=0.01), Stuck(on_rate=0.02)))
    first, second = (cells_of(device, 100_000, cycle=c, at_S=10e-6) for c in (0, 1))
    assert first.stuck is not None
    assert second.stuck is not None
    assert torch.equal(first.stuck, second.stuck)
    assert float(first.stuck.double().mean()) == pytest.approx(1 - 0.99 * 0.98, abs=0.002)
    works = ~first.stuck
    assert abs(correlation(first.programmed_S[works], second.programmed_S[works])) < 0.015
    assert abs(correlation(first.state["nu"][works], second.state["nu"][works])) < 0.015


def test_an_effect_more_moves_no_random_number_of_the_others() -> None:
    plain = PCM(effects=(ConductanceSpread(device_sd=0.1),))
    off = (ConductanceSpread(device_sd=0.0), Retention(per_decade=0.0), Stuck())
    more = PCM(effects=(*plain.effects, *off))
    a, b = (device.conductance_S(cells_of(device, 1000, at_S=10e-6), DAY_S) for device in (plain, more))
    assert torch.equal(a, b)


def test_effects_that_are_off_change_no_bit() -> None:
    off = (ConductanceSpread(), Retention(per_decade=0.0), ReadDisturb(), Stuck(), Temperature())
    for device in (PCM(), Gaussian(sigma_absolute=0.02, drift_mean=0.05), TaOx()):
        target = torch.linspace(device.g_min_S, device.g_max_S, 501)[None]
        for t_s in (0.0, DAY_S):
            a, b = (
                d.conductance_S(d.program(target, rng=chips(2)), t_s) for d in (device, replace(device, effects=off))
            )
            assert torch.equal(a, b)
        assert replace(device, effects=off).drifts is device.drifts


def test_levels_snap_to_the_nearest_and_say_what_that_took() -> None:
    device = with_effects(DiscreteLevels(count=11))
    target = 100e-6 * chips().child("targets").uniform_like(torch.empty(1, SAMPLES, dtype=torch.float64))
    cells = device.program(target, rng=chips())
    step = 10e-6
    assert cells.asked_S is not None
    assert torch.equal(cells.asked_S, target)
    assert torch.unique((cells.programmed_S / step).round()).numel() == 11
    torch.testing.assert_close(cells.programmed_S, (target / step).round() * step)
    assert float(cells.quantisation_S.var()) == pytest.approx(step**2 / 12, rel=0.01)
    assert float(cells.quantisation_S.abs().max()) <= 0.5 * step * (1 + 1e-9)
    assert torch.count_nonzero(Ideal().program(target, rng=chips()).quantisation_S) == 0


def test_listed_levels_are_kept_and_must_suit_the_device() -> None:
    listed = with_effects(DiscreteLevels(values_S=(0.0, 10e-6, 100e-6)))
    g = listed.program(torch.tensor([[4e-6, 6e-6, 54e-6, 56e-6, 100e-6]]), rng=chips()).programmed_S
    torch.testing.assert_close(g, torch.tensor([[0.0, 10e-6, 10e-6, 100e-6, 100e-6]]))
    with pytest.raises(ValueError, match=r"values_S must lie in \[0.0001, 0.0004\] S \(got 5e-05 to 0.0003 S\)"):
        TaOx(effects=(DiscreteLevels(values_S=(50e-6, 300e-6)),))
    with pytest.raises(ValueError, match=r"values_S must hold at least two levels in ascending order"):
        DiscreteLevels(values_S=(2e-6, 1e-6))


@pytest.mark.parametrize("rest_S", [None, 80e-6])
def test_retention_in_the_logarithm_of_time_has_its_mean_and_spread(rest_S: float | None) -> None:
    device = with_effects(Retention(per_decade=0.02, t0_s=10.0, cell_sd=0.3, rest_S=rest_S))
    assert device.drifts
    cells, way_S = cells_of(device), (rest_S or 0.0) - HALF_S
    assert torch.equal(device.conductance_S(cells, 0.0), cells.programmed_S)
    for t_s in (3600.0, 1e7):
        lost = (device.conductance_S(cells, t_s) - HALF_S) / way_S
        expected = 0.02 * math.log10(1.0 + t_s / 10.0)
        assert float(lost.mean()) == pytest.approx(expected, rel=0.01)
        assert float(lost.std()) == pytest.approx(0.3 * expected, rel=0.01)


def test_retention_by_a_stretched_exponential_has_the_mean_of_its_distribution() -> None:
    device = with_effects(Retention(law="stretched", tau_s=1e6, beta=0.4, cell_sd=0.5))
    cells, s = cells_of(device), math.sqrt(math.log1p(0.5**2))

    def moment(power: int, t_s: float) -> float:
        def density(z: float) -> float:
            pace = math.exp(s * z - 0.5 * s**2)
            return math.exp(-power * (pace * t_s / 1e6) ** 0.4 - 0.5 * z * z) / math.sqrt(2.0 * math.pi)

        return float(integrate.quad(density, -8.0, 8.0)[0])

    for t_s in (1e3, 1e6, 1e8):
        kept = device.conductance_S(cells, t_s) / HALF_S
        assert float(kept.mean()) == pytest.approx(moment(1, t_s), rel=0.01)
        assert float(kept.std()) == pytest.approx(math.sqrt(moment(2, t_s) - moment(1, t_s) ** 2), rel=0.01)


def test_relaxation_is_one_path_per_cell() -> None:
    device = with_effects(Retention(cell_sd=0.5, per_decade=0.01))
    cells = cells_of(device, 100_000)
    hour, day = (device.conductance_S(cells, t_s) for t_s in (3600.0, DAY_S))
    assert (day < hour).all()
    assert correlation(hour, day) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("law", ["log", "linear"])
def test_read_disturb_counts_reads(law: str) -> None:
    shift = 0.02 if law == "log" else 1e-7
    device = with_effects(ReadDisturb(law=law, reads_per_s=100.0, shift=shift, cell_sd=0.3))  # type: ignore[arg-type]
    cells, s = cells_of(device), math.log1p(0.3**2)
    for t_s in (10.0, 1e5):
        reads = 100.0 * t_s
        way = shift * (math.log10(1.0 + reads) if law == "log" else reads)
        x = torch.exp(math.sqrt(s) * torch.linspace(-8, 8, 4001, dtype=torch.float64) - 0.5 * s) * way
        weight = torch.softmax(-0.5 * torch.linspace(-8, 8, 4001, dtype=torch.float64) ** 2, 0)
        shifted = (device.conductance_S(cells, t_s) - HALF_S) / HALF_S
        assert float(shifted.mean()) == pytest.approx(float((weight * -torch.expm1(-x)).sum()), rel=0.01)
    assert not with_effects(ReadDisturb(shift=0.1)).drifts
    assert not with_effects(ReadDisturb(reads_per_s=1.0)).drifts


def test_conductance_at_two_temperatures_is_correlated_as_its_activation_energies_imply() -> None:
    """Lognormal spread s at programming, energies of spread d: cov(ln G1, ln G2) = s^2 + d^2 b1 b2."""
    thermal = Temperature(activation_off_eV=0.1, activation_on_eV=0.1, activation_sd_eV=0.02)
    device = with_effects(ConductanceSpread(device_sd=0.05, law="lognormal"), thermal)
    cells = cells_of(device)
    b1, b2 = ((1.0 / kelvin - 1.0 / 300.0) / BOLTZMANN_EV_PER_K for kelvin in (260.0, 360.0))
    cold, hot = (device.at_K(kelvin).conductance_S(cells, 0.0).log() for kelvin in (260.0, 360.0))
    for log_g, b in ((cold, b1), (hot, b2)):
        assert float(log_g.mean()) - math.log(HALF_S) == pytest.approx(-0.1 * b - 0.5 * 0.05**2, abs=0.001)
        assert float(log_g.std()) == pytest.approx(math.hypot(0.05, 0.02 * b), rel=0.01)
    expected = (0.05**2 + 0.02**2 * b1 * b2) / (math.hypot(0.05, 0.02 * b1) * math.hypot(0.05, 0.02 * b2))
    assert expected < -0.2
    assert correlation(cold, hot) == pytest.approx(expected, abs=0.005)
    torch.testing.assert_close(device.conductance_S(cells, 0.0), cells.programmed_S)


def test_activation_energy_and_linear_coefficient_act_on_the_state() -> None:
    warm = Temperature(temperature_K=350.0, activation_off_eV=0.3, activation_on_eV=0.1, coefficient_per_K=-1e-3)
    device = with_effects(warm)
    g = torch.tensor([[1e-9, 25e-6, 100e-6]], dtype=torch.float64)
    rise = device.conductance_S(device.program(g, rng=chips()), 0.0) / g
    energy = 0.3 - 0.2 * g / 100e-6
    expected = torch.exp(-energy * (1 / 350 - 1 / 300) / BOLTZMANN_EV_PER_K) * (1 - 1e-3 * 50)
    torch.testing.assert_close(rise, expected)


def test_storage_above_the_temperature_of_programming_speeds_up_drift_and_retention_alone() -> None:
    bake = Temperature(storage_K=358.0, ageing_energy_eV=0.8)
    factor = math.exp(-0.8 / BOLTZMANN_EV_PER_K * (1 / 358 - 1 / 300))
    assert bake.acceleration == pytest.approx(factor)
    assert 100 < factor < 1000
    disturb = ReadDisturb(reads_per_s=1.0, shift=0.01)
    cold = Gaussian(drift_mean=0.05, effects=(Retention(), disturb, Temperature()))
    hot = replace(cold, effects=(Retention(), disturb, bake))
    cells = cells_of(hot, 1000)
    no_reads = replace(cold, effects=(Retention(), ReadDisturb(), Temperature()))
    aged = no_reads.conductance_S(cells, 3600.0 * factor)
    reads = torch.tensor(math.exp(-0.01 * math.log10(3601.0)), dtype=torch.float64)
    torch.testing.assert_close(hot.conductance_S(cells, 3600.0), 100e-6 + (aged - 100e-6) * reads)
    baked = PCM(effects=(bake,))
    few = cells_of(baked, 10, at_S=1e-6)
    with pytest.raises(ValueError, match=r"in storage age a cell as .* s: t_s must be at most 3.1536e\+08 s"):
        baked.conductance_S(few, 3e7)


def test_read_noise_scales_with_temperature() -> None:
    device = TaOx(effects=(Temperature(temperature_K=400.0, read_noise_exponent=0.5),))
    g = torch.full((1, 3), 200e-6)
    sigma = device.read_sigma_S(g, Cells(g, g))
    torch.testing.assert_close(sigma, torch.full((1, 3), 0.14e-6 * math.sqrt(4 / 3)))


def test_a_kind_with_noise_of_its_own_meets_each_effect_once() -> None:
    class Noisy(TaOx):
        def fast_noise_S(self, g_S: torch.Tensor, cells: Cells) -> torch.Tensor:
            return 2.0 * super().fast_noise_S(g_S, cells)

    device = Noisy(effects=(Temperature(temperature_K=600.0, read_noise_exponent=1.0),))
    g = torch.ones(1, 2)
    torch.testing.assert_close(device.read_sigma_S(g, Cells(g, g)), torch.full((1, 2), 4 * 0.14e-6))


def test_a_stuck_cell_neither_ages_nor_spreads() -> None:
    effects = (
        ConductanceSpread(device_sd=0.1),
        Retention(per_decade=0.1),
        Stuck(off_rate=0.1, on_rate=0.2, off_S=1e-6, on_S=90e-6),
    )
    device = with_effects(*effects)
    cells = cells_of(device, 200_000)
    for t_s in (0.0, 1e6):
        g = device.conductance_S(cells, t_s)
        for value, rate in ((1e-6, 0.1), (90e-6, 0.2)):
            assert float((g == value).double().mean()) == pytest.approx(rate, abs=0.004)
    torch.testing.assert_close(
        cells.programmed_S[cells.stuck].unique(), torch.tensor([1e-6, 90e-6], dtype=torch.float64)
    )


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_a_map_places_stuck_cells(tmp_path: Path, suffix: str) -> None:
    wanted = np.array([[0, 1, -1], [0, 0, 1]])
    file = tmp_path / f"map{suffix}"
    np.save(file, wanted) if suffix == ".npy" else np.savetxt(file, wanted, fmt="%d", delimiter=",")
    device = with_effects(Stuck(map_file=str(file)))
    for shape in ((2, 3), (2, 1, 3)):
        g = device.program(torch.full((1, *shape), HALF_S), rng=chips(2)).programmed_S.reshape(2, 2, 3)
        expected = torch.tensor([[HALF_S, 100e-6, 0.0], [HALF_S, HALF_S, 100e-6]])
        torch.testing.assert_close(g, expected.expand(2, 2, 3))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.csv",
            b"0,1\n0,1\n",
            r"m\.csv: a map must have the shape of the array, 2 x 3, or more rows and columns \(got 2 x 2\)",
        ),
        ("m.csv", b"0,1,0\n0,1\n", r"m\.csv:2: every row must have 3 cells as the first \(got 2\)"),
        ("m.csv", b"0,1,0\n0,2,0\n", r"m\.csv:2: a cell is -1 \(stuck off\), 0 \(works\) or 1 \(stuck on\) \(got 2\)"),
        ("m.csv", b"0,nan,0\n0,0,0\n", r"m\.csv:1: a map has -1, 0 and 1, .* \(got 0,nan,0\)"),
        ("m.csv", b"a,b,c\n", r"m\.csv:1: a map has -1, 0 and 1, separated by commas \(got a,b,c\)"),
        ("m.csv", b"", r"m\.csv: a map must have the shape of the array, 2 x 3, .* \(got 0 x 0\)"),
        ("m.csv", b"\xff\xfe\x00\x01", r"m\.csv:1: a map has -1, 0 and 1"),
        ("m.npy", b"not numpy", r"m\.npy: must be one NumPy array of numbers, without pickled objects"),
        ("none.csv", None, r"none\.csv: no such file"),
        ("none.npy", None, r"none\.npy: no such file"),
    ],
)
def test_a_bad_map_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    device = with_effects(Stuck(map_file=str(tmp_path / name)))
    with pytest.raises(InputError, match=message) as caught:
        device.program(torch.full((1, 2, 3), HALF_S), rng=chips())
    assert len(caught.value.problems) == 1


def test_a_pickled_map_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([[object()]], dtype=object), allow_pickle=True)
    device = with_effects(Stuck(map_file=str(tmp_path / "m.npy")))
    with pytest.raises(InputError, match="without pickled objects"):
        device.program(torch.full((1, 1, 1), HALF_S), rng=chips())


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        (
            (Temperature(), Stuck()),
            r"order of a cell's life, .*: stuck \(fault\) before temperature \(reading\)",
        ),
        ((ConductanceSpread(), ProgramVerify()), r"program_verify \(write\) before spread \(cell\)"),
        ((Retention(), DiscreteLevels()), r"levels \(aim\) before retention \(ageing\)"),
        ((DiscreteLevels(), DiscreteLevels()), r"effects may hold levels once"),
        ((Stuck(off_S=200e-6),), r"off_S must lie below on_S = 0.0001 S \(got 0.0002 S\)"),
        ((ProgramVerify(start_S=200e-6),), r"start_S must not exceed g_max_S = 0.0001 S \(got 0.0002 S\)"),
        ((ProgramVerify(tolerance_S=1e-3),), r"tolerance_S must be below the range of 0.0001 S"),
    ],
)
def test_effects_in_no_physical_order_or_range_are_refused(effects: tuple[AnyEffect, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ideal(effects=effects)


def test_parameters_that_would_do_nothing_or_cannot_be_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"temperature_K must be .* = 300 K unless one of .* says what it does \(got 358 K\)"
    ):
        Temperature(temperature_K=358.0)
    with pytest.raises(ValueError, match=r"storage_K must be .* unless ageing_energy_eV is set \(got 358 K\)"):
        Temperature(storage_K=358.0)
    with pytest.raises(ValueError, match=r"off_rate \+ on_rate must not exceed 1 \(got 0.7 \+ 0.4\)"):
        Stuck(off_rate=0.7, on_rate=0.4)
    with pytest.raises(ValueError, match="list a temperature effect"):
        PCM().at_K(350.0)
    with pytest.raises(ValueError, match="programmed with 0 effects, not 1"):
        with_effects(ConductanceSpread()).conductance_S(cells_of(Ideal(), 3), 0.0)


def test_a_list_of_effects_is_read_and_bounded_as_every_record() -> None:
    adapter: TypeAdapter[tuple[AnyEffect, ...]] = TypeAdapter(tuple[AnyEffect, ...])
    read = adapter.validate_python([{"kind": "levels", "count": 8}, {"kind": "stuck", "off_rate": 0.01}])
    assert read == (DiscreteLevels(count=8), Stuck(off_rate=0.01))
    for bad in ({"kind": "spread", "device_sd": -0.1}, {"kind": "stuck", "off_rate": 1.5}, {"kind": "radiation"}):
        with pytest.raises(ValidationError):
            adapter.validate_python([bad])
