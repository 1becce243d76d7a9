"""Signed weights as pairs of conductances."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossbar import DifferentialPair
from devices import PCM, Ideal, TaOx

DEVICES = [Ideal(), PCM(), TaOx()]


def matrix(seed: int, rows: int, columns: int) -> torch.Tensor:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    tile=st.integers(1, 9),
    size=st.sampled_from([1e-6, 1.0, 1e4]),
    balanced=st.booleans(),
    device=st.sampled_from(DEVICES),
)
def test_difference_of_a_pair_is_the_scaled_weight(
    seed: int, rows: int, columns: int, tile: int, size: float, balanced: bool, device: Ideal | PCM | TaOx
) -> None:
    """G+ - G- = s W in every tile, with both cells inside the device's range and the largest weight at full window."""
    weights, tiles = size * matrix(seed, rows, columns), torch.arange(columns) // tile
    encoded = DifferentialPair(balanced=balanced).encode(weights, device, tile_of_column=tiles)
    plus, minus = encoded.target_S
    window_S = device.g_max_S - device.g_min_S
    torch.testing.assert_close(plus - minus, encoded.scale_S * weights, rtol=0.0, atol=1e-12 * window_S)
    assert float(encoded.target_S.min()) >= device.g_min_S * (1 - 1e-12)
    assert float(encoded.target_S.max()) <= device.g_max_S * (1 + 1e-12)
    assert encoded.clipped == 0.0
    for number in range(int(tiles.max()) + 1):
        here = tiles == number
        assert float((plus - minus)[:, here].abs().max()) == pytest.approx(window_S)
        assert len(encoded.scale_S[here].unique()) == 1
    middle_S = 0.5 * (device.g_min_S + device.g_max_S)
    if balanced:
        torch.testing.assert_close(plus + minus, torch.full_like(plus, 2 * middle_S))
    else:
        torch.testing.assert_close(torch.minimum(plus, minus), torch.full_like(plus, device.g_min_S))


@pytest.mark.parametrize("balanced", [False, True])
def test_weights_beyond_the_quantile_are_clipped_and_counted(balanced: bool) -> None:
    """Of |W| = 1 .. 100, the 0.9 quantile is 90.1: ten weights are clipped to it, the others are kept."""
    weights = torch.arange(1.0, 101.0, dtype=torch.float64).reshape(10, 10) * torch.tensor([1.0, -1.0]).repeat(5)
    encoded = DifferentialPair(balanced=balanced, clip_quantile=0.9).encode(
        weights, TaOx(), tile_of_column=torch.zeros(10, dtype=torch.long)
    )
    back = (encoded.target_S[0] - encoded.target_S[1]) / encoded.scale_S
    torch.testing.assert_close(back, weights.clamp(-90.1, 90.1))
    assert encoded.clipped == pytest.approx(0.10)


def test_a_quantile_belongs_to_each_tile() -> None:
    weights = torch.cat([matrix(0, 50, 4), 100 * matrix(1, 50, 4)], dim=1)
    tiles = torch.arange(8) // 4
    encoded = DifferentialPair(clip_quantile=0.95).encode(weights, Ideal(), tile_of_column=tiles)
    assert float(encoded.scale_S[0] / encoded.scale_S[4]) == pytest.approx(100, rel=0.3)
    assert encoded.clipped == pytest.approx(0.05, abs=0.005)


def test_a_tile_of_zeros_rests() -> None:
    encoded = DifferentialPair().encode(torch.zeros(3, 2), TaOx(), tile_of_column=torch.zeros(2, dtype=torch.long))
    assert torch.all(encoded.target_S == TaOx().g_min_S)
    assert torch.isfinite(encoded.scale_S).all()
    assert encoded.clipped == 0.0
