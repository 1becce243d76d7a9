"""Phase-change memory against the published polynomials, as measured on an independent implementation."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from devices import PCM, Cells, ChipStreams, Stream
from devices.slow_noise import KNOTS_S

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "reference" / "pcm_moments.json").read_text())
ROWS: list[dict[str, Any]] = REFERENCE["rows"]
SAMPLES = 1_000_000
G_MAX_S = 25e-6
TOLERANCE = 0.01
ROUNDING = 0.0005  # half a unit of the last place, at worst, of the table's figures


def programmed(device: PCM, r: float, samples: int = SAMPLES) -> Cells:
    rng = ChipStreams.of(Stream.root(11).child(f"{r}"), 1)
    return device.program(torch.full((1, samples), r * device.g_max_S), rng=rng)


def close(value: float | torch.Tensor, wanted: float, *, places: float = ROUNDING) -> bool:
    return abs(float(value) - wanted) <= TOLERANCE * wanted + places


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"r={row['r']}")
def test_programming_error_has_the_published_standard_deviation(row: dict[str, Any]) -> None:
    cells = programmed(PCM(), row["r"])
    error_uS = (cells.programmed_S - cells.target_S).double() * 1e6
    assert close(error_uS.std(), row["sigma_measured_uS"])
    polynomial = PCM().programming_sigma_S(torch.tensor(row["r"] * G_MAX_S, dtype=torch.float64)) * 1e6
    assert float(polynomial) == pytest.approx(row["sigma_polynomial_uS"], abs=ROUNDING)
    if not row["clipped"]:
        assert abs(float(error_uS.mean())) < 4 * row["sigma_measured_uS"] / math.sqrt(SAMPLES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"r={row['r']}")
def test_drift_exponent_has_the_published_mean_and_spread(row: dict[str, Any]) -> None:
    nu = programmed(PCM(), row["r"]).state["nu"].double()
    assert close(nu.mean(), row["nu_mean"], places=0.00005)
    assert close(nu.std(), row["nu_sd"], places=0.00005)
    assert (nu >= 0).all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"r={row['r']}")
def test_slow_noise_after_one_day_has_the_published_relative_spread(row: dict[str, Any]) -> None:
    device = PCM(programming_scale=0.0)
    cells = programmed(device, row["r"])
    drifted = PCM(programming_scale=0.0, slow_noise_scale=0.0).conductance_S(cells, REFERENCE["day_s"])
    relative = (device.conductance_S(cells, REFERENCE["day_s"]) / drifted).double()
    assert close(relative.std(), row["read_sigma_1_day"], places=0.00005 if row["r"] > 0.3 else ROUNDING)


def test_drift_is_a_power_law_of_the_time_since_programming() -> None:
    """G(t1) / G(t2) of one cell is (T2 / T1)^nu with T counted from 20 s before the first read."""
    device = PCM(slow_noise_scale=0.0)
    cells = programmed(device, 0.5, 1000)
    nu = cells.state["nu"].double()
    for t_s in (0.0, 100.0, 86400.0):
        ratio = device.conductance_S(cells, t_s).double() / cells.programmed_S
        torch.testing.assert_close(ratio, ((t_s + 20.0) / 20.0) ** -nu, rtol=1e-5, atol=0.0)


def test_slow_noise_is_one_path_with_the_correlation_of_a_brownian_motion_in_log_time() -> None:
    """Between two knots t1 < t2 the correlation is sqrt(u1 / u2); 0.94 from one hour to one day."""
    device, samples = PCM(), 200_000
    cells = programmed(device, 0.5, samples)
    paths = [device.slow_path(cells, t).flatten() for t in KNOTS_S[:5]]
    for (t1, w1), (t2, w2) in pairwise(zip(KNOTS_S, paths, strict=False)):
        wanted = math.sqrt(device.log_time(t1) / device.log_time(t2))
        found = float(torch.corrcoef(torch.stack([w1, w2]))[0, 1])
        assert found == pytest.approx(wanted, abs=5 * (1 - wanted**2) / math.sqrt(samples))
    assert math.sqrt(device.log_time(3600.0) / device.log_time(86400.0)) == pytest.approx(0.94, abs=0.005)


@pytest.mark.parametrize("t_s", [0.0, 10.0, 60.0, 600.0, 20000.0, 86400.0, 1e6, 1e8, 315360000.0])
def test_slow_noise_has_variance_u_at_and_between_knots(t_s: float) -> None:
    device, samples = PCM(), 200_000
    path = device.slow_path(programmed(device, 0.5, samples), t_s).double()
    assert float(path.var()) == pytest.approx(device.log_time(t_s), rel=5 * math.sqrt(2 / samples))
    assert float(path.mean()) == pytest.approx(0.0, abs=5 * math.sqrt(device.log_time(t_s) / samples))


def test_slow_noise_moves_little_within_a_short_time() -> None:
    device = PCM()
    cells = programmed(device, 0.5, 100_000)
    paths = torch.stack([device.slow_path(cells, t).flatten() for t in (5000.0, 5001.0)])
    assert torch.corrcoef(paths)[0, 1] > 0.9999


def test_scales_switch_effects_off() -> None:
    device = PCM(programming_scale=0.0, drift_scale=0.0, slow_noise_scale=0.0)
    cells = programmed(device, 0.3, 100)
    assert not device.drifts
    assert torch.equal(device.conductance_S(cells, 2592000.0), cells.target_S)


def test_more_than_ten_years_is_refused() -> None:
    device = PCM()
    with pytest.raises(ValueError, match=r"t_s must be at most 3\.1536e\+08 s, ten years \(got 4e\+08 s\)"):
        device.conductance_S(programmed(device, 0.5, 10), 4e8)
    with pytest.raises(ValueError, match=r"t_s must be a finite number \(got inf\)"):
        device.conductance_S(programmed(device, 0.5, 10), float("inf"))


def test_a_read_longer_than_the_wait_before_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"t0_s must be at least t_read_s = 2\.5e-07 s \(got 1e-09 s\)"):
        PCM(t0_s=1e-9)


@pytest.mark.filterwarnings("default")
def test_aihwkit_draws_the_same_moments() -> None:
    """The peer's own implementation, run here, against ours: programming, drift and the spread after one month."""
    inference = pytest.importorskip("aihwkit.inference", reason="aihwkit is not installed", exc_type=ImportError)
    peer = inference.PCMLikeNoiseModel(g_max=25.0)
    device, samples, month_s = PCM(), 200_000, 2592000.0
    torch.manual_seed(5)
    for r in (0.1, 0.5, 1.0):
        target_uS = torch.full((samples,), r * 25.0)
        theirs_start = peer.apply_programming_noise_to_conductance(target_uS)
        nu = peer.generate_drift_coefficients(target_uS)
        theirs = peer.apply_drift_noise_to_conductance(theirs_start, nu, month_s)
        cells = programmed(device, r, samples)
        ours = device.conductance_S(cells, month_s) * 1e6
        for a, b in ((cells.programmed_S * 1e6, theirs_start), (cells.state["nu"], nu), (ours, theirs)):
            standard_error = float(b.std()) / math.sqrt(samples)
            assert float(a.mean()) == pytest.approx(float(b.mean()), abs=6 * standard_error)
            assert float(a.std()) == pytest.approx(float(b.std()), rel=0.012)
