"""NeuRRAM memristors: two published fits kept apart, and the stated coupling between the published times."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from devices import WanCubic, WanQuartic
from tests.devices.moments import DAY_S, MILLION, REFERENCE, at_level, correlation

ROWS: list[dict[str, Any]] = REFERENCE["rram_wan_aihwkit"]
TIMES = (("1_s", 1.0), ("1_day", DAY_S), ("2_days", 2 * DAY_S))


@pytest.mark.parametrize(("row", "rho"), [*((row, 1.0) for row in ROWS), (ROWS[2], 0.5)])
def test_quartic_fit_has_the_published_spread_at_each_time_whatever_the_coupling(
    row: dict[str, Any], rho: float
) -> None:
    device = WanQuartic(correlation=rho)
    cells = at_level(device, row["g_uS"] * 1e-6)
    for name, t_s in TIMES:
        found = float(device.conductance_S(cells, t_s).std()) * 1e6
        assert found == pytest.approx(row[f"sigma_{name}_uS"], rel=0.01)


@pytest.mark.parametrize("row", REFERENCE["rram_wan_crosssim"], ids=lambda row: f"{row['g_uS']:g} uS")
def test_cubic_fit_has_the_published_spread(row: dict[str, Any]) -> None:
    device = WanCubic()
    error = at_level(device, row["g_uS"] * 1e-6).programmed_S - row["g_uS"] * 1e-6
    assert float(error.std()) * 1e6 == pytest.approx(row["sigma_1_s_uS"], rel=0.01)
    assert abs(float(error.mean())) * 1e6 < 5 * row["sigma_1_s_uS"] / math.sqrt(MILLION)


@pytest.mark.parametrize(
    ("g_uS", "quartic", "cubic"),
    [(0, 0.348, 1.053), (10, 2.258, 2.414), (20, 2.023, 2.362), (30, 1.533, 1.819), (39.26, 1.151, 1.681)],
)
def test_the_two_fits_of_one_figure_differ_as_documented(g_uS: float, quartic: float, cubic: float) -> None:
    target = torch.tensor(g_uS * 1e-6, dtype=torch.float64)
    assert float(WanQuartic().programming_sigma_S(target)) * 1e6 == pytest.approx(quartic, abs=6e-4)
    assert float(WanCubic().programming_sigma_S(target)) * 1e6 == pytest.approx(cubic, abs=6e-4)


def test_quartic_fit_scales_with_the_range_from_its_reference_of_40_uS() -> None:
    """At g_max 25 and half range: 2.0225 * 25 / 40 = 1.264 uS, where the peer, not rescaling, draws 2.02."""
    device = WanQuartic(g_max_S=25e-6)
    error_uS = (at_level(device, 12.5e-6).programmed_S - 12.5e-6) * 1e6
    assert float(error_uS.std()) == pytest.approx(2.0225 * 25 / 40, rel=0.01)


@pytest.mark.parametrize("rho", [1.0, 0.6, 0.0])
def test_a_cells_score_is_correlated_as_stated_between_published_times_and_within(rho: float) -> None:
    """An hour lies a share w of the way from 1 s to 1 day in ln t; scores are interpolated, variance restored."""
    device = WanQuartic(correlation=rho)
    cells = at_level(device, 20e-6, MILLION // 4)
    second, hour, day, two = (device.conductance_S(cells, t) for t in (1.0, 3600.0, DAY_S, 2 * DAY_S))
    w = math.log(3600.0) / math.log(DAY_S)
    between = ((1 - w) * rho + w) / math.sqrt((1 - w) ** 2 + w**2 + 2 * w * (1 - w) * rho)
    for a, b, wanted in ((second, day, rho), (day, two, rho), (second, two, rho**2), (hour, day, between)):
        assert correlation(a, b) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("rho", [1.0, 0.3])
def test_spread_between_published_times_is_interpolated_in_log_time(rho: float) -> None:
    device = WanQuartic(correlation=rho)
    cells = at_level(device, 20e-6)
    w = math.log(3600.0) / math.log(DAY_S)
    found = float(device.conductance_S(cells, 3600.0).std()) * 1e6
    assert found == pytest.approx((1 - w) * 2.0225 + w * 3.9137, rel=0.01)


def test_cells_are_as_programmed_until_the_first_published_time() -> None:
    device = WanQuartic()
    cells = at_level(device, 20e-6, 1000)
    for t_s in (0.0, 0.5, 1.0):
        assert torch.equal(device.conductance_S(cells, t_s), cells.programmed_S)


@pytest.mark.parametrize(("device", "last"), [(WanQuartic(), "172800"), (WanCubic(), "1")], ids=["quartic", "cubic"])
def test_times_after_the_last_published_one_are_refused(device: WanQuartic | WanCubic, last: str) -> None:
    cells = at_level(device, 20e-6, 10)
    with pytest.raises(
        ValueError, match=rf"t_s must be at most {last} s, the last time published .*hold.*got 1e\+06 s"
    ):
        device.conductance_S(cells, 1e6)


def test_holding_keeps_the_last_published_distribution() -> None:
    device = WanQuartic(beyond="hold", correlation=0.5)
    cells = at_level(device, 20e-6, 1000)
    assert torch.equal(device.conductance_S(cells, 1e7), device.conductance_S(cells, 2 * DAY_S))
    alone = WanCubic(beyond="hold")
    cells = at_level(alone, 20e-6, 1000)
    assert not alone.drifts
    assert torch.equal(alone.conductance_S(cells, 1e7), cells.programmed_S)


def test_spread_can_be_switched_off_and_the_cubic_fit_ends_at_its_range() -> None:
    quiet = WanQuartic(spread_scale=0.0)
    assert not quiet.drifts
    assert torch.all(quiet.conductance_S(at_level(quiet, 20e-6, 10), DAY_S) == 20e-6)
    with pytest.raises(ValueError, match=r"g_max_S must be at most 3\.926e-05 S, where the fit ends \(got 4e-05 S\)"):
        WanCubic(g_max_S=40e-6)
