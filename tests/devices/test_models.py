"""The simpler cells: what is drawn follows from their parameters."""

from __future__ import annotations

import math

import pytest
import torch

from devices import ChipStreams, Device, Gaussian, Ideal, Stream, TaOx

SAMPLES = 1_000_000


def drawn(device: Device, target_S: float, t_s: float = 0.0) -> torch.Tensor:
    cells = device.program(
        torch.full((1, SAMPLES), target_S, dtype=torch.float64), rng=ChipStreams.of(Stream.root(1), 1)
    )
    return device.conductance_S(cells, t_s)


@pytest.mark.parametrize("target_S", [100e-6, 250e-6, 400e-6])
def test_taox_residual_after_verify_is_the_same_at_every_level(target_S: float) -> None:
    error = drawn(TaOx(), target_S) - target_S
    assert float(error.std()) == pytest.approx(2.73e-6, rel=4 / math.sqrt(2 * SAMPLES))
    assert float(error.mean()) == pytest.approx(0.0, abs=4 * 2.73e-6 / math.sqrt(SAMPLES))


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_gaussian_error_adds_absolute_and_proportional_parts_in_quadrature(share: float) -> None:
    device = Gaussian(sigma_absolute=0.03, sigma_proportional=0.04)
    error = drawn(device, share * device.g_max_S) - share * device.g_max_S
    wanted = device.g_max_S * math.hypot(0.03, 0.04 * share)
    assert float(error.std()) == pytest.approx(wanted, rel=4 / math.sqrt(2 * SAMPLES))


def test_gaussian_drift_is_a_power_law_with_a_spread_of_exponents() -> None:
    device = Gaussian(drift_mean=0.06, drift_sd=0.01, drift_t0_s=2.0)
    exponent = -torch.log(drawn(device, 50e-6, 86400.0) / 50e-6) / math.log1p(86400.0 / 2.0)
    assert float(exponent.mean()) == pytest.approx(0.06, abs=4 * 0.01 / math.sqrt(SAMPLES))
    assert float(exponent.std()) == pytest.approx(0.01, rel=4 / math.sqrt(2 * SAMPLES))


def test_ideal_cells_hold_what_they_were_given() -> None:
    assert torch.all(drawn(Ideal(), 33e-6, 1e7) == 33e-6)


def test_errors_never_make_a_conductance_negative() -> None:
    g = drawn(Gaussian(sigma_absolute=0.2), 1e-6)
    assert float(g.min()) == 0.0
    assert float((g == 0.0).double().mean()) == pytest.approx(0.48, abs=0.01)
