"""Log-normal cells: mean, spread absolute or proportional, and the drift of generic cells."""

from __future__ import annotations

import math

import pytest
import torch

from devices import LogNormal
from tests.devices.moments import DAY_S, MILLION, at_level, correlation


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_absolute_spread_is_the_same_at_every_level(share: float) -> None:
    device = LogNormal(sigma_absolute=0.03)
    g = at_level(device, share * device.g_max_S).programmed_S
    assert float(g.std()) == pytest.approx(3e-6, rel=0.01)
    assert float(g.mean()) == pytest.approx(share * device.g_max_S, rel=2e-3)
    target = torch.tensor([share * device.g_max_S], dtype=torch.float64)
    assert float(device.programming_sigma_S(target)) == pytest.approx(3e-6, rel=1e-9)


@pytest.mark.parametrize("share", [0.001, 0.5, 1.0])
def test_proportional_spread_is_a_normal_logarithm(share: float) -> None:
    """ln G has the standard deviation asked for, at every level, and no skew; the mean of G is the target."""
    device = LogNormal(sigma_ln=0.3)
    target_S = share * device.g_max_S
    g = at_level(device, target_S).programmed_S
    log_g = torch.log(g / target_S)
    assert float(log_g.std()) == pytest.approx(0.3, rel=0.01)
    assert float(((log_g - log_g.mean()) ** 3).mean()) / 0.3**3 == pytest.approx(0.0, abs=5 * math.sqrt(6 / MILLION))
    assert float(g.mean()) == pytest.approx(target_S, rel=5 * 0.31 / math.sqrt(MILLION))
    assert float(g.std()) == pytest.approx(target_S * math.sqrt(math.expm1(0.09)), rel=0.01)


def test_both_parts_add_in_the_variance_of_the_logarithm() -> None:
    device = LogNormal(sigma_ln=0.2, sigma_absolute=0.05)
    log_g = torch.log(at_level(device, 20e-6).programmed_S)
    assert float(log_g.std()) == pytest.approx(math.sqrt(0.04 + math.log1p(0.25**2)), rel=0.01)


def test_conductance_is_never_negative_and_zero_stays_zero() -> None:
    device = LogNormal(sigma_absolute=0.5, sigma_ln=0.5)
    assert (at_level(device, 1e-6, 10_000).programmed_S > 0.0).all()
    assert torch.all(at_level(device, 0.0, 100).programmed_S == 0.0)


def test_drift_is_that_of_generic_cells_and_keeps_a_cells_identity() -> None:
    device = LogNormal(sigma_ln=0.1, drift_mean=0.06, drift_sd=0.01, drift_t0_s=2.0)
    cells = at_level(device, 50e-6)
    hour, day = (device.conductance_S(cells, t) for t in (3600.0, DAY_S))
    exponent = -torch.log(day / cells.programmed_S) / math.log1p(DAY_S / 2.0)
    assert float(exponent.mean()) == pytest.approx(0.06, rel=0.01)
    assert float(exponent.std()) == pytest.approx(0.01, rel=0.01)
    l1, l2 = (math.log1p(t / 2.0) for t in (3600.0, DAY_S))
    v1, v2 = (0.01 + (0.01 * x) ** 2 for x in (l1, l2))
    wanted = (0.01 + 1e-4 * l1 * l2) / math.sqrt(v1 * v2)
    assert correlation(torch.log(hour), torch.log(day)) == pytest.approx(wanted, abs=0.001)
