"""CMO/HfOx memristors: both windows, relaxation with the logarithm of time, 1/f noise as a path."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from devices import CMO
from tests.devices.moments import DAY_S, MILLION, REFERENCE, at_level, correlation

ROWS: list[dict[str, Any]] = REFERENCE["rram_cmo"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['g_uS']:g} uS")
@pytest.mark.parametrize(("acceptance", "name"), [(0.002, "02"), (0.02, "2")])
def test_programming_error_has_the_published_spread_in_both_windows(
    row: dict[str, Any], acceptance: float, name: str
) -> None:
    error = at_level(CMO(acceptance=acceptance), row["g_uS"] * 1e-6).programmed_S - row["g_uS"] * 1e-6
    assert float(error.std()) * 1e6 == pytest.approx(row[f"sigma_{name}_uS"], rel=0.01)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['g_uS']:g} uS")
@pytest.mark.parametrize(("name", "t_s"), [("1_h", 3600.0), ("1_day", DAY_S)])
def test_relaxed_conductance_has_the_published_mean_and_spread(row: dict[str, Any], name: str, t_s: float) -> None:
    device = CMO(programming_scale=0.0)
    shift_uS = (device.conductance_S(at_level(device, row["g_uS"] * 1e-6), t_s)) * 1e6 - row["g_uS"]
    assert float(shift_uS.mean()) == pytest.approx(row[f"mean_{name}_uS"], rel=0.01)
    assert float(shift_uS.std()) == pytest.approx(row[f"spread_{name}_uS"], rel=0.01)


@pytest.mark.parametrize("t_s", [1.0, DAY_S])
def test_slow_noise_alone_has_the_published_spread(t_s: float) -> None:
    device = CMO(programming_scale=0.0, relaxation_scale=0.0)
    g = device.conductance_S(at_level(device, 50e-6), t_s)
    u = math.log((t_s + 1e-6) / 2e-6)
    assert float(g.std()) * 1e6 == pytest.approx(0.0277316483 * math.log10(50.0) * math.sqrt(u), rel=0.01)


def test_conductance_at_an_hour_and_a_day_is_correlated_as_the_coupling_says() -> None:
    """Rank kept in the relaxation, one Brownian path of 1/f noise, the programming error common to both."""
    device = CMO(acceptance=0.02)
    cells = at_level(device, 50e-6)
    hour, day = (device.conductance_S(cells, t) for t in (3600.0, DAY_S))
    error = 0.0112185391 + 0.01129027418 * 50.0
    s1, s2 = (0.04201137 * math.log(t) + 0.41183342 for t in (3600.0, DAY_S))
    u1, u2 = (math.log((t + 1e-6) / 2e-6) for t in (3600.0, DAY_S))
    f1, f2 = (
        0.0277316483 * math.log10(50.0 - 0.08900206 * math.log(t)) * math.sqrt(u)
        for t, u in ((3600.0, u1), (DAY_S, u2))
    )
    covariance = error**2 + s1 * s2 + f1 * f2 * math.sqrt(u1 / u2)
    wanted = covariance / math.sqrt((error**2 + s1**2 + f1**2) * (error**2 + s2**2 + f2**2))
    assert correlation(hour, day) == pytest.approx(wanted, abs=5 * (1 - wanted**2) / math.sqrt(MILLION) + 2e-4)


def test_a_cell_is_as_programmed_at_zero_and_as_after_a_second_within_the_first() -> None:
    device = CMO()
    cells = at_level(device, 50e-6, 1000)
    assert torch.equal(device.conductance_S(cells, 0.0), cells.programmed_S)
    second = device.conductance_S(cells, 1.0)
    assert not torch.equal(second, cells.programmed_S)
    assert torch.equal(device.conductance_S(cells, 1e-3), second)


def test_conductance_stays_in_the_range_of_the_filament() -> None:
    device = CMO()
    for target_S in (device.g_min_S, device.g_max_S):
        g = device.conductance_S(at_level(device, target_S, 10_000), DAY_S)
        assert float(g.min()) >= device.g_min_S
        assert float(g.max()) <= device.g_max_S


def test_only_the_two_published_windows_are_taken() -> None:
    for wrong in (0.2, 2, 0.01):
        with pytest.raises(
            ValueError, match=rf"acceptance must be 0\.002 or 0\.02, the windows published .*got {wrong}"
        ):
            CMO(acceptance=wrong)


def test_more_than_ten_years_is_refused() -> None:
    device = CMO()
    with pytest.raises(ValueError, match=r"t_s must be at most .* ten years"):
        device.conductance_S(at_level(device, 50e-6, 10), 4e8)
