"""Linear converters where inputs, ranges and noise are out of the ordinary."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from devices import BlockNoise, ChipStreams, Stream
from periphery import CCO, Bank, Flash, Grid
from periphery.adc import decide as adc_decide
from periphery.adc.decide import FIRST_ZERO, HIGHEST_ONE, ONES, _chance, thermometer


def chips(count: int = 1) -> ChipStreams:
    return ChipStreams.of(Stream.root(5), count)


@pytest.mark.parametrize("bow", [-0.2, 0.2])
def test_a_bowed_oscillator_saturates_however_far_the_input_lies_outside(bow: float) -> None:
    z = torch.tensor([-math.inf, -1e4, -3.0, 0.0, 16.0, 20.0, 1e4, math.inf])
    codes = (
        CCO(nonlinearity=bow)
        .build(Grid(4, 0.0, 16.0), Bank(1, 1), rng=chips())
        .codes(z[None, :, None, None], None, BlockNoise(chips(), [0], len(z)))
    )
    assert codes.flatten().tolist() == [0, 0, 0, 0, 15, 15, 15, 15]


@pytest.mark.parametrize("encoder", [ONES, FIRST_ZERO, HIGHEST_ONE])
@pytest.mark.parametrize(("bits", "sigma"), [(1, 0.4), (5, 0.05), (8, 0.5), (8, 4.0), (12, 1.0)])
def test_comparators_that_are_not_asked_would_have_said_the_same(
    bits: int, sigma: float, encoder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond ``DOUBT`` sigma no number that can be drawn turns a decision: the codes are the same to the bit."""
    count, draw = 2**bits - 1, torch.Generator().manual_seed(bits)
    u = torch.rand(2, 64, 3, 11, generator=draw) * (count + 6) - 3
    u[0, 0, 0, :3] = torch.tensor([math.nan, math.inf, -math.inf])
    table = torch.arange(1, count + 1) + 0.4 * torch.randn(2, 3, 3, count, generator=draw)

    def codes() -> torch.Tensor:
        noise = BlockNoise(chips(2), [0], 64)
        return thermometer(u, table, 4, 0.0, sigma=torch.full((1, 1, 1, 1), sigma), noise=noise, encoder=encoder)

    some = codes()
    monkeypatch.setattr(adc_decide, "DOUBT", 1e6)
    assert torch.equal(some, codes())
    assert some[0, 0, 0, :3].tolist() == [0, count, 0]
    smallest, largest = np.float32(0.5 * 2.0**-23), np.float32(1.0) - np.float32(0.5 * 2.0**-23)
    assert _chance(np.float32(-5.5)) < smallest
    assert _chance(np.float32(5.5)) > largest


@pytest.mark.parametrize("noise_V", [0.0, 1e-6])
def test_an_offset_in_volts_is_another_share_of_an_lsb_in_a_column_of_another_range(noise_V: float) -> None:
    grid = Grid(4, torch.tensor([[-1.0, -4.0]]), torch.tensor([[1.0, 4.0]]))
    ideal = Grid(4, -1.0, 1.0), Grid(4, -4.0, 4.0)
    z = torch.linspace(-4.2, 4.2, 3001)
    flash = Flash(offset_V=0.02, noise_V=noise_V).build(grid, Bank(1, 2, 2, 1.0), rng=chips())
    codes = flash.codes(z[None, :, None, None].expand(1, -1, 1, 2), None, BlockNoise(chips(), [0], 3001))[0, :, 0]
    for column, grid in enumerate(ideal):
        table = torch.arange(1, 16) * grid.lsb.float()[0] + (grid.first * grid.lsb).float()[0] - flash.offset_V[0, 0, 0]
        clear = ((z[:, None] - table).abs() > 1e-4).all(1)
        assert torch.equal(codes[clear, column], (z[:, None] >= table).sum(1).int()[clear])
