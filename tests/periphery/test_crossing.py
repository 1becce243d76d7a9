"""The compiled search against a plain count of thresholds."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from periphery.ramp.crossing import crossed, first_crossing

single = st.floats(width=32, allow_nan=False)


def counted(z: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    return (table <= z[..., None]).sum(-1)


@given(
    table=st.one_of(
        st.lists(single, min_size=1, max_size=80),
        st.lists(st.floats(-1.0, 1.0, width=32), min_size=13, max_size=300),
        st.lists(st.integers(-3, 3).map(float), min_size=13, max_size=60),
        st.lists(st.floats(0.0, 1.0).map(lambda u: math.ldexp(1.0, int(-100 * u))), min_size=13, max_size=60),
    ),
    z=st.lists(st.floats(width=32), min_size=1, max_size=30),
)
def test_every_number_gets_the_count_of_thresholds_at_or_below_it(table: list[float], z: list[float]) -> None:
    """Also for equal thresholds, thresholds at infinity, ranges beyond single precision, and what is not a number."""
    levels = torch.tensor(table).sort().values
    near = torch.cat([levels, torch.nextafter(levels, torch.tensor(-math.inf)), torch.nextafter(levels, levels + 1e30)])
    seen = torch.cat([torch.tensor(z), near])
    codes = first_crossing(seen[None, None, None], levels[None, None], offset=torch.zeros(1, 1, 1, len(seen)))
    assert codes[0, 0, 0].tolist() == counted(seen, levels).tolist()


@pytest.mark.parametrize("count", [1, 7, 31, 63, 255, 4095])
@pytest.mark.parametrize("columns", [1, 37])
def test_offsets_and_noise_are_added_before_the_count(count: int, columns: int) -> None:
    draw = torch.Generator().manual_seed(count)
    chips, n, ramps = 2, 5, 3
    z, xi = (torch.randn((chips, n, ramps, columns), generator=draw) for _ in range(2))
    offset = 0.1 * torch.randn((chips, 1, ramps, columns), generator=draw)
    variance = torch.rand((chips, n, ramps, columns), generator=draw)
    levels = torch.randn((chips, ramps, count), generator=draw).sort(dim=-1).values
    seen = z + offset + (variance + torch.tensor(0.09)).double().sqrt().float() * xi
    codes = first_crossing(z, levels, offset=offset, variance=variance, sigma=0.3, xi=xi)
    assert torch.equal(codes.long(), counted(seen, levels[:, None, :, None]))
    assert torch.equal(crossed(seen, levels, None, None), codes)  # as on another device


@pytest.mark.parametrize("count", [1, 7, 31, 63, 255])
def test_a_walking_ramp_is_the_running_maximum_of_its_levels_and_summed_noise(count: int) -> None:
    draw = torch.Generator().manual_seed(count)
    chips, n, ramps, columns, start = 2, 6, 2, 9, 3
    z = torch.randn((chips, n, ramps, columns), generator=draw)
    levels = torch.randn((chips, ramps, count), generator=draw).sort(dim=-1).values
    walk = torch.randn((chips, n, ramps, start + count), generator=draw)
    walk_sigma = 0.3 * torch.rand((chips, ramps, start + count), generator=draw)
    risen = levels[:, None] + (walk_sigma[:, None] * walk).cumsum(-1)[..., start:]
    table = torch.cummax(risen, dim=-1).values
    codes = first_crossing(z, levels, offset=torch.zeros(chips, 1, ramps, columns), walk_sigma=walk_sigma, walk=walk)
    assert torch.equal(codes.long(), counted(z, table[..., None, :]))
    assert torch.equal(crossed(z, levels, walk_sigma, walk), codes)
