"""HERMES phase-change cells against the moments of an independent implementation, and as trajectories."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from devices import PCMHermes1, PCMHermes2
from devices.pcm_hermes import Hermes
from tests.devices.moments import DAY_S, MILLION, REFERENCE, at_level, correlation

CELLS: list[Hermes] = [PCMHermes1(), PCMHermes2()]
ROWS = [
    pytest.param(cell, row, id=f"{kind}, r={row['r']}")
    for cell, kind in zip(CELLS, ("pcm_hermes_1", "pcm_hermes_2"), strict=True)
    for row in REFERENCE[kind]
]


@pytest.mark.parametrize(("device", "row"), ROWS)
def test_programming_error_and_drift_exponent_have_the_published_moments(device: Hermes, row: dict[str, Any]) -> None:
    cells = at_level(device, row["r"] * device.g_max_S)
    error_uS, nu = (cells.programmed_S - cells.target_S) * 1e6, cells.state["nu"]
    assert float(error_uS.std()) == pytest.approx(row["sigma_uS"], rel=0.01)
    assert float(nu.mean()) == pytest.approx(row["nu_mean"], rel=0.01)
    assert float(nu.std()) == pytest.approx(row["nu_sd"], rel=0.01)


@pytest.mark.parametrize(("device", "row"), ROWS)
def test_slow_noise_after_one_day_has_the_published_relative_spread(device: Hermes, row: dict[str, Any]) -> None:
    quiet = replace(device, programming_scale=0.0, drift_scale=0.0)
    cells = at_level(quiet, row["r"] * device.g_max_S)
    relative = quiet.conductance_S(cells, DAY_S) / cells.target_S
    assert float(relative.std()) == pytest.approx(row["slow_1_day"], rel=0.01)


@pytest.mark.parametrize("device", CELLS, ids=["1", "2"])
def test_conductance_of_one_cell_at_an_hour_and_a_day_is_one_path(device: Hermes) -> None:
    """1/f noise alone: correlation sqrt(u1 / u2); with the drift's and the error's own part, more."""
    quiet = replace(device, programming_scale=0.0, drift_scale=0.0)
    u1, u2 = (math.log((t + device.t0_s + 512e-9) / 1024e-9) for t in (3600.0, DAY_S))
    cells = at_level(quiet, 0.5 * device.g_max_S, MILLION // 4)
    found = correlation(*(quiet.conductance_S(cells, t) for t in (3600.0, DAY_S)))
    assert found == pytest.approx(math.sqrt(u1 / u2), abs=0.002)
    cells = at_level(device, 0.5 * device.g_max_S, MILLION // 4)
    assert correlation(*(device.conductance_S(cells, t) for t in (3600.0, DAY_S))) > found


@pytest.mark.parametrize("device", CELLS, ids=["1", "2"])
def test_drift_counts_time_from_the_first_read(device: Hermes) -> None:
    quiet = replace(device, slow_noise_scale=0.0)
    cells = at_level(quiet, 0.3 * device.g_max_S, 1000)
    t0_s = {10.35e-6: 200.0, 20.7e-6: 300.0}[device.g_max_S]
    ratio = quiet.conductance_S(cells, DAY_S) / cells.programmed_S
    torch.testing.assert_close(ratio, ((DAY_S + t0_s) / t0_s) ** -cells.state["nu"], rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("device", CELLS, ids=["1", "2"])
def test_a_smaller_range_scales_the_error_and_a_larger_one_is_refused(device: Hermes) -> None:
    half = replace(device, g_max_S=0.5 * device.g_max_S)
    target = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)
    torch.testing.assert_close(
        half.programming_sigma_S(target * half.g_max_S), 0.5 * device.programming_sigma_S(target * device.g_max_S)
    )
    with pytest.raises(ValueError, match=r"g_max_S must be at most .* S, the largest conductance characterised \(got"):
        replace(device, g_max_S=1.01 * device.g_max_S)
