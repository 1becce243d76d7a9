"""SONOS cells: mean, spread and read noise of the current over five days, and its coupling in time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from devices import SONOS, Cells
from tests.devices.moments import DAY_S, MILLION, REFERENCE, at_level, correlation

ROWS: list[dict[str, Any]] = REFERENCE["sonos"]
TO_NA = 0.1 * 1e9  # at the read voltage of 0.1 V


@pytest.mark.parametrize(("row", "rho"), [*((row, 1.0) for row in ROWS), (ROWS[2], 0.7)])
def test_current_has_the_published_mean_and_spread_on_and_between_days(row: dict[str, Any], rho: float) -> None:
    device = SONOS(correlation=rho)
    cells = at_level(device, row["i_nA"] / TO_NA)
    for day in ("0", "1", "2.5", "5"):
        i_nA = device.conductance_S(cells, float(day) * DAY_S) * TO_NA
        sigma = row[f"sigma_{day}_nA"]
        assert float(i_nA.std()) == pytest.approx(sigma, rel=0.01)
        assert float(i_nA.mean()) == pytest.approx(row[f"mean_{day}_nA"], abs=5e-3 * sigma)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['i_nA']:g} nA")
def test_fast_noise_follows_the_published_curve_with_a_constant_part_in_quadrature(row: dict[str, Any]) -> None:
    g = torch.tensor([row["i_nA"] / TO_NA], dtype=torch.float64)
    assert float(SONOS().read_sigma_S(g, Cells(g, g))) * TO_NA == pytest.approx(row["read_nA"], rel=1e-4)
    noisy = SONOS(read_noise_S=3e-8)  # 3 nA
    assert float(noisy.read_sigma_S(g, Cells(g, g))) * TO_NA == pytest.approx(
        (row["read_nA"] ** 2 + 9.0) ** 0.5, rel=1e-4
    )


@pytest.mark.parametrize("rho", [1.0, 0.7])
def test_a_cells_score_is_correlated_as_stated_from_day_to_day(rho: float) -> None:
    device = SONOS(correlation=rho)
    cells = at_level(device, 7e-6, MILLION // 4)
    days = [device.conductance_S(cells, day * DAY_S) for day in (1, 2, 4)]
    assert correlation(days[0], days[1]) == pytest.approx(rho, abs=0.01)
    assert correlation(days[0], days[2]) == pytest.approx(rho**3, abs=0.01)
    hour = device.conductance_S(cells, 3600.0)
    w = 1 / 24
    wanted = ((1 - w) * rho + w) / ((1 - w) ** 2 + w**2 + 2 * w * (1 - w) * rho) ** 0.5
    assert correlation(hour, days[0]) == pytest.approx(wanted, abs=0.01)


def test_single_precision_keeps_the_tenth_power() -> None:
    """The polynomial's terms cancel from a million nA to a few: it is evaluated in double precision."""
    device = SONOS()
    target = torch.linspace(0.0, 14e-6, 200, dtype=torch.float64)
    for knot in range(6):
        exact = device.moments_S(target, knot, 0.0)[0]
        single = device.moments_S(target.float(), knot, 0.0)[0]
        torch.testing.assert_close(single.double(), exact, rtol=3e-6, atol=1e-12)


def test_mean_current_sinks_from_day_to_day_where_the_fits_hold() -> None:
    device = SONOS()
    target = torch.linspace(4e-6, 14e-6, 50, dtype=torch.float64)
    means = torch.stack([device.moments_S(target, knot, 0.0)[0] for knot in range(6)])
    assert (means[1:] < means[0]).all()
    assert (means[5] < means[1]).all()


def test_beyond_five_days_and_beyond_the_fits_is_refused() -> None:
    device = SONOS()
    cells = at_level(device, 5e-6, 10)
    with pytest.raises(ValueError, match=r"t_s must be at most 432000 s, the last time published for SONOS"):
        device.conductance_S(cells, 6 * DAY_S)
    with pytest.raises(
        ValueError, match=r"g_max_S v_read_V must be at most 1\.4e-06 A, where the fits end \(got 1\.6e-06"
    ):
        SONOS(g_max_S=16e-6)
    assert SONOS(g_max_S=16e-6, shift_scale=0.0).g_max_S == 16e-6


def test_scales_switch_terms_off() -> None:
    device = SONOS(spread_scale=0.0, shift_scale=0.0, read_noise_scale=0.0)
    cells = at_level(device, 5e-6, 10)
    assert not device.drifts
    torch.testing.assert_close(device.conductance_S(cells, 3 * DAY_S), cells.target_S)
    assert torch.all(device.read_sigma_S(cells.target_S, cells) == 0.0)
