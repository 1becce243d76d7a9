"""Randomly formed cells: how many break down, what they conduct, and that nothing else decides it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from pydantic import TypeAdapter
from scipy.stats import norm

from devices import AnyDevice, ChipStreams, FormedTaOx, Stream
from devices.effects import EFFECTS

SAMPLES = 1_000_000
RECORDS = Path(__file__).parents[2] / "configs" / "devices"


def streams(seed: int = 0, chips: int = 1) -> ChipStreams:
    return ChipStreams.of(Stream.root(seed), chips)


def formed(device: FormedTaOx, shape: tuple[int, ...] = (SAMPLES,)) -> torch.Tensor:
    return device.form(shape, rng=streams(), dtype=torch.float64).programmed_S


@pytest.mark.parametrize("forming_V", [3.2, 3.319, 3.433, 3.5, 3.7])
def test_share_of_formed_cells_follows_the_breakdown_voltages(forming_V: float) -> None:
    device = FormedTaOx(forming_V=forming_V)
    wanted = norm.cdf((forming_V - 3.433) / 0.114)
    share = float((formed(device) > 1e-6).double().mean())
    assert device.formed_share == pytest.approx(wanted, rel=1e-12)
    assert share == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / SAMPLES))


@pytest.mark.parametrize(
    ("record", "mean_uS", "sd_uS", "share"),
    [
        ("taox_formed", 33.96, 4.703, 1.0),
        ("taox_formed_deplm", 34.05538, 5.32269, 1.0),
        ("taox_formed_esgnn", 12.3, 1.86, 0.495),
    ],
)
def test_records_have_the_published_moments(record: str, mean_uS: float, sd_uS: float, share: float) -> None:
    plain = yaml.safe_load((RECORDS / f"{record}.yaml").read_text(encoding="utf-8"))
    device = TypeAdapter(AnyDevice).validate_python(plain)
    g = formed(device) * 1e6
    conducting = g[g > 1.0]
    assert float(conducting.mean()) == pytest.approx(mean_uS, rel=0.01)
    assert float(conducting.std()) == pytest.approx(sd_uS, rel=0.01)
    assert len(conducting) / SAMPLES == pytest.approx(share, abs=0.003)
    if share < 1.0:
        torch.testing.assert_close(g[g <= 1.0], torch.full_like(g[g <= 1.0], 0.1))


def test_a_higher_voltage_forms_more_cells_of_the_same_array() -> None:
    low, high = (formed(FormedTaOx(forming_V=v), (300, 300)) for v in (3.4, 3.5))
    assert torch.equal(low[low > 1e-6], high[low > 1e-6])
    assert float((high > 1e-6).double().mean()) > float((low > 1e-6).double().mean())


def test_targets_and_cycles_change_nothing() -> None:
    device = FormedTaOx(forming_V=3.45)
    cells = device.form((40, 50), rng=streams(chips=3), dtype=torch.float64)
    asked = torch.rand((1, 40, 50), dtype=torch.float64, generator=Stream.root(5).torch()) * 60e-6
    for cycle in (0, 4):
        assert torch.equal(device.program(asked, rng=streams(chips=3), cycle=cycle).programmed_S, cells.programmed_S)
    assert cells.shape == (3, 40, 50)


def test_slow_noise_grows_with_the_logarithm_of_time_along_one_path() -> None:
    device = FormedTaOx(slow_noise_S=0.1e-6)
    cells = device.form((SAMPLES // 5,), rng=streams(2), dtype=torch.float64)
    day, hour = (device.conductance_S(cells, t) - cells.programmed_S for t in (86400.0, 3600.0))
    u_hour, u_day = math.log10(3601.0), math.log10(86401.0)
    assert float(hour.std()) == pytest.approx(0.1e-6 * math.sqrt(u_hour), rel=0.01)
    assert float(day.std()) == pytest.approx(0.1e-6 * math.sqrt(u_day), rel=0.01)
    correlation = float(torch.corrcoef(torch.cat([hour, day]))[0, 1])
    assert correlation == pytest.approx(math.sqrt(u_hour / u_day), abs=0.01)


def test_estimated_wander_stays_in_the_measured_band() -> None:
    """After 3e4 read cycles, with one read on top, two standard deviations fill the published +-0.5 to 0.7 uS."""
    device = FormedTaOx()
    cells = device.form((SAMPLES // 5,), rng=streams(2), dtype=torch.float64)
    moved = float((device.conductance_S(cells, 3e4) - cells.programmed_S).std())
    assert 0.5e-6 < 2 * math.hypot(moved, device.read_noise_S) < 0.7e-6


def test_mean_loss_is_per_decade_and_unformed_cells_stay() -> None:
    device = FormedTaOx(forming_V=3.433, slow_noise_S=0.0, drift_per_decade=0.01)
    cells = device.form((1000,), rng=streams(), dtype=torch.float64)
    ratio = device.conductance_S(cells, 999.0) / cells.programmed_S
    conducting = cells.programmed_S > 1e-6
    torch.testing.assert_close(ratio[conducting], torch.full_like(ratio[conducting], 0.97))
    assert torch.all(ratio[~conducting] == 1.0)
    assert not replace(device, drift_per_decade=0.0).drifts


def test_formed_cells_cannot_be_written_or_aimed() -> None:
    writes = [kind for kind in EFFECTS.values() if kind.stage in ("aim", "write")]
    assert writes
    for kind in writes:
        with pytest.raises(ValueError) as caught:
            FormedTaOx(effects=(kind(),))  # type: ignore[arg-type, call-arg]
        assert str(caught.value) == f"effects must not hold {kind().kind}: these cells are formed, never written"  # type: ignore[call-arg]
