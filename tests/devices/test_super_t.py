"""The integrated memristor: shares that write-verify leaves, error of one pulse, read noise of each cell's own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import norm

from devices import ChipStreams, Stream, SuperT
from devices.effects import ProgramVerify, Stuck
from tests.devices.moments import at_level

UNVERIFIED = SuperT(verified=False)


def law_uS(g_uS: float, xi: torch.Tensor) -> torch.Tensor:
    """The published law, written out apart."""
    return torch.tensor(math.exp(-2.168) * min(g_uS, 50.0) ** 0.782 * math.e ** xi.numpy()).clamp(max=20.0)


@pytest.mark.parametrize("target_uS", [30.0, 75.0, 140.0])
def test_verified_cells_have_the_published_shares_within_the_inner_and_the_outer_tolerance(target_uS: float) -> None:
    error = at_level(SuperT(), target_uS * 1e-6).programmed_S * 1e6 - target_uS
    for within_uS, low, high in ((4.0, 0.80, 0.89), (10.0, 0.93, 0.995)):
        share = float((error.abs() <= within_uS).double().mean())
        mixture = 0.9 * (2 * norm.cdf(within_uS / 2.4) - 1) + 0.1 * (2 * norm.cdf(within_uS / 8.0) - 1)
        assert share == pytest.approx(mixture, abs=0.002)
        assert low < share < high
    assert float(error.std()) == pytest.approx(3.4, abs=0.03)
    assert float(error.mean()) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("target_uS", "sigma_uS"), [(19.9, 5.0), (20.1, 15.0), (50.0, 15.0), (80.0, 15.0), (80.1, 5.0)]
)
def test_one_pulse_errs_by_15_uS_in_the_middle_and_by_5_outside(target_uS: float, sigma_uS: float) -> None:
    g_uS = at_level(UNVERIFIED, target_uS * 1e-6).programmed_S * 1e6
    assert float((g_uS - target_uS).square().mean().sqrt()) <= sigma_uS * 1.005
    assert float(g_uS.min()) >= 0.0
    # The folded normal law keeps the second moment about zero.
    assert float(g_uS.square().mean()) == pytest.approx(target_uS**2 + sigma_uS**2, rel=0.01)


@pytest.mark.parametrize(("g_uS", "median_uS"), [(10.0, 0.69), (50.0, 2.44), (120.0, 2.44)])
def test_read_noise_is_log_normal_over_cells_and_held_above_50_uS(g_uS: float, median_uS: float) -> None:
    device = SuperT()
    cells = at_level(device, 75e-6)
    g = torch.full_like(cells.programmed_S, g_uS * 1e-6)
    sigma_uS = device.read_sigma_S(g, cells) * 1e6
    assert float(sigma_uS.median()) == pytest.approx(median_uS, rel=0.01)
    assert float(sigma_uS.max()) <= 20.0 + 1e-9
    loudness = cells.state["loudness"]
    torch.testing.assert_close(sigma_uS, law_uS(g_uS, loudness))
    assert float(loudness.std()) == pytest.approx(1.0, abs=0.005)


def test_read_noise_has_the_root_mean_squares_of_the_facts() -> None:
    device = SuperT()
    cells = at_level(device, 75e-6)
    for g_uS, rms_uS in ((10.0, 1.8), (60.0, 5.6)):
        sigma = device.read_sigma_S(torch.full_like(cells.programmed_S, g_uS * 1e-6), cells)
        assert float(sigma.square().mean().sqrt()) * 1e6 == pytest.approx(rms_uS, abs=0.05)


def test_a_cell_keeps_its_loudness_and_its_noise_follows_its_state() -> None:
    device = replace(SuperT(), effects=(Stuck(on_rate=0.5),))
    cells = device.program(torch.full((1, 400), 10e-6), rng=ChipStreams.of(Stream.root(3), 2))
    g = device.conductance_S(cells, 0.0)
    sigma = device.read_sigma_S(g, cells)
    assert torch.equal(sigma, device.read_sigma_S(device.conductance_S(cells, 3600.0), cells))
    stuck = cells.stuck
    assert stuck is not None
    assert float(sigma[stuck].median()) > 2.5 * float(sigma[~stuck].median())


def test_half_the_state_has_a_quieter_read() -> None:
    device = SuperT()
    cells = at_level(device, 40e-6, 1000)
    g = cells.programmed_S.clamp(1e-6, 50e-6)
    quiet, loud = device.read_sigma_S(0.5 * g, cells), device.read_sigma_S(g, cells)
    clipped = loud > 19.99e-6
    torch.testing.assert_close(quiet[~clipped] / loud[~clipped], torch.full_like(quiet[~clipped], 0.5**0.782))


def test_drift_is_marked_as_unknown() -> None:
    assert "drift and retention of rram_superT are not established" in SuperT().unknown_drift


def test_program_and_verify_with_the_published_tolerance_and_pulses_leaves_the_published_shares() -> None:
    """The loop of docs/devices.md: 4 uS, set pulses of 10 us and reset pulses of 1 ms."""
    loop = ProgramVerify(
        tolerance_S=4e-6,
        max_iterations=12,
        overshoot="step",
        start_S=5e-6,
        start_sd_S=3e-6,
        pulse_noise_S=8e-6,
        verify_noise_S=1.5e-6,
        set_s=10e-6,
        reset_s=1e-3,
    )
    device = SuperT(effects=(loop,))
    target = torch.linspace(0.0, 150e-6, 31, dtype=torch.float64).repeat_interleave(2000)[None]
    cells = device.program(target, rng=ChipStreams.of(Stream.root(0), 1))
    error = (cells.programmed_S - target).abs()
    assert 0.80 < float((error <= 4e-6).double().mean()) < 0.89
    assert 0.93 < float((error <= 10e-6).double().mean()) < 0.995
    assert cells.write is not None
    pulses = cells.write.iterations.double()
    time_s = loop.verify_s * (pulses + 1.0) + (pulses - cells.write.resets) * 10e-6 + cells.write.resets * 1e-3
    # A cell that verifying gave up on was read as often as it got pulses, and once more.
    torch.testing.assert_close(cells.write.time_s, time_s)
