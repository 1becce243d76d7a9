"""Ranges of converters from data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from devices import BlockNoise, ChipStreams, InputError, Stream
from periphery import Bank, Quantiser, RangeCalibration, Ranges


def gaussian(samples: int = 20_000, columns: int = 4, seed: int = 0) -> torch.Tensor:
    """Data ``(samples, 2 ramps, columns)``, the second ramp three times as wide."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 2, columns, generator=draw, dtype=torch.float64) * torch.tensor([[1.0], [3.0]])


@pytest.mark.parametrize(
    ("bits", "half_range", "square_error"), [(2, 1.9914, 0.11885), (3, 2.3440, 0.03744), (4, 2.6816, 0.01154)]
)
def test_minimum_error_is_the_optimum_uniform_quantiser_of_a_gaussian(
    bits: int, half_range: float, square_error: float
) -> None:
    """J. Max, IRE Trans. Inf. Theory 6, 7 (1960), doi 10.1109/TIT.1960.1057548, Table II: steps 0.9957, 0.5860, 0.3352.

    The data are the distribution's own quantiles, so that no scatter of a sample's few largest values is in the way.
    """
    quantiles = torch.tensor(norm.ppf((torch.arange(40_000).double() + 0.5) / 40_000))
    z = quantiles[:, None, None] * torch.tensor([[1.0], [3.0]])
    ranges = RangeCalibration(per="tile").ranges(z, bits, "mid_rise")
    for ramp, scale in enumerate((1.0, 3.0)):
        assert float(ranges.high_z[ramp, 0]) == pytest.approx(half_range * scale, rel=0.01)
        assert float(ranges.error[ramp, 0] ** 2) == pytest.approx(square_error * scale**2, rel=0.005)


@given(seed=st.integers(0, 50), bits=st.integers(2, 6), symmetric=st.booleans())
def test_no_other_way_errs_less_than_minimum_error(seed: int, bits: int, symmetric: bool) -> None:
    z = gaussian(400, 1, seed).exp() - 2.0
    errors = {
        method: RangeCalibration(method=method, symmetric=symmetric, percentile=97.0).ranges(z, bits).error  # type: ignore[arg-type]
        for method in ("minimum_error", "percentile", "max")
    }
    for other in ("percentile", "max"):
        assert bool((errors["minimum_error"] <= errors[other] * 1.02).all()), other


def test_a_percentile_clips_its_share_and_the_maximum_only_the_missing_end_code() -> None:
    z = gaussian(50_000)
    ranges = RangeCalibration(method="percentile", percentile=99.0).ranges(z, 8)
    assert float(ranges.high_z[0, 0]) == pytest.approx(norm.ppf(0.995), rel=0.02)
    assert ranges.clipped_share == pytest.approx(0.01, rel=0.15)
    widest = RangeCalibration(method="max", per="layer").ranges(z, 8)
    assert widest.high_z.shape == (1, 1)
    assert float(widest.high_z) == float(z.abs().max())
    assert widest.clipped_share <= 1e-4
    one_sided = RangeCalibration(method="max", symmetric=False).ranges(z.exp(), 8)
    assert torch.equal(one_sided.low_z[:, 0], z.exp().amin((0, 2)))


def test_one_range_for_each_column_is_what_the_converter_of_that_column_uses() -> None:
    z = gaussian(2000, 3) * torch.tensor([1.0, 5.0, 0.2])
    ranges = RangeCalibration(method="max", per="column").ranges(z, 6)
    assert ranges.high_z.shape == (2, 3)
    rng = ChipStreams.of(Stream.root(0), 1)
    converter = Quantiser().build(ranges.grid(), Bank(2, 3), rng=rng)
    words = converter.words(converter.codes(z[None].float(), None, BlockNoise(rng, [0], 2000)))
    lsb = ranges.grid().lsb
    inside = z[None] < ranges.high_z - 1.5 * lsb
    assert float(((words - z[None]).abs() / lsb)[inside].max()) <= 0.5 + 1e-4
    beside = RangeCalibration(method="max", per="tile").ranges(z, 6)
    assert bool((ranges.error.square().mean(1, keepdim=True) < beside.error.square()).all())
    assert float(ranges.error[0, 2]) < 0.5 * float(beside.error[0, 0]), "a narrow column gains by a range of its own"


def test_clipping_is_counted_beyond_half_a_step_of_the_end_codes() -> None:
    """Range -1 to 1 at 2 bits, mid-tread: levels -1, -0.5, 0, 0.5; clipped is what lies above 0.75."""
    z = torch.tensor([-1.0, -0.9, 0.0, 0.5, 0.74, 0.76, 0.9, 1.0]).reshape(8, 1, 1)
    ranges = RangeCalibration(method="max").ranges(z, 2)
    assert ranges.clipped_share == pytest.approx(3 / 8)
    assert isinstance(ranges, Ranges)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.empty(0, 1, 1), "calibration data: at least one value of every column (got shape (0, 1, 1))"),
        (torch.tensor([[[float("nan")]], [[1.0]]]), "calibration data: finite numbers (got 1 of 2 that are not)"),
        (torch.tensor([[[float("inf")]], [[1.0]]]), "calibration data: finite numbers (got 1 of 2 that are not)"),
        (torch.zeros(4, 1, 2), "calibration data: a range of values (got 0 alone in ramp group 0)"),
    ],
)
def test_data_that_leave_no_range_are_refused(z: torch.Tensor, message: str) -> None:
    for method in ("max", "percentile", "minimum_error"):
        with pytest.raises(InputError) as caught:
            RangeCalibration(method=method).ranges(z, 4)  # type: ignore[arg-type]
        assert message in str(caught.value)


def test_bits_and_percentiles_out_of_reach_are_refused() -> None:
    with pytest.raises(InputError, match=r"bits: 1 to 12 for a converter \(got 13\)"):
        RangeCalibration().ranges(gaussian(10), 13)
    with pytest.raises(InputError, match=r"percentile: above 50 and at most 100 \(got 101.0\)"):
        RangeCalibration(method="percentile", percentile=101.0).ranges(gaussian(10), 4)
    with pytest.raises(InputError, match=r"a range of values \(got 3 alone in ramp group 0\)"):
        RangeCalibration(method="max", symmetric=False).ranges(torch.full((5, 1, 1), 3.0), 4)


def test_a_column_without_values_is_named_and_one_with_few_says_what_helps() -> None:
    z = gaussian(100, 3)
    z[:, 1, 2] = 0.0
    with pytest.raises(InputError, match=r"got 0 alone in column 2 of ramp group 1"):
        RangeCalibration(per="column").ranges(z, 4)
    z[7, 1, 2] = 5.0
    with pytest.raises(InputError, match=r"within the 98 % percentile \(got one value in column 2 of ramp group 1"):
        RangeCalibration(per="column", method="percentile", percentile=98.0).ranges(z, 4)
    for symmetric in (True, False):
        ranges = RangeCalibration(per="column", symmetric=symmetric).ranges(z, 4)
        assert bool((ranges.low_z < ranges.high_z).all())
        assert float(ranges.error[1, 2]) < 0.05


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_mid_tread_range_may_end_where_its_highest_code_reaches_the_largest_value(bits: int, symmetric: bool) -> None:
    """Values at the levels of a converter err by nothing: its range ends an LSB beyond the largest of them."""
    codes = torch.arange(2**bits).double()
    z = ((codes - 2 ** (bits - 1) if symmetric else codes) * 0.25)[:, None, None]
    z = z[1:] if symmetric else z
    ranges = RangeCalibration(symmetric=symmetric).ranges(z, bits)
    assert float(ranges.error) < 0.25 * 0.03
    assert ranges.clipped_share == 0.0
