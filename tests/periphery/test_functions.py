"""Functions of the ramp: codes, thresholds and inverses."""

from __future__ import annotations

import pytest
import torch

from periphery import FUNCTIONS, SIGMOID, TANH, Function, identity, output_levels, thresholds
from periphery.functions import threshold_levels

ALL = [*FUNCTIONS.values(), identity(1.5)]
BITS = range(2, 9)


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.name)
@pytest.mark.parametrize("bits", BITS)
def test_codes_lie_one_lsb_apart_inside_the_range(function: Function, bits: int) -> None:
    levels = output_levels(function, bits)
    lsb = (function.high - function.low) / 2**bits
    assert len(levels) == 2**bits
    torch.testing.assert_close(torch.diff(levels), torch.full((2**bits - 1,), lsb, dtype=torch.float64))
    assert float(levels[0]) == pytest.approx(function.low + (0.0 if function.midtread else lsb / 2))
    assert float(levels[-1]) < function.high


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.name)
@pytest.mark.parametrize("bits", BITS)
def test_thresholds_are_the_inverse_half_way_between_codes(function: Function, bits: int) -> None:
    theta = thresholds(function, bits)
    assert len(theta) == 2**bits - 1
    assert torch.isfinite(theta).all()
    assert (torch.diff(theta) > 0).all()
    torch.testing.assert_close(function.f(theta), threshold_levels(function, bits), rtol=0.0, atol=1e-12)
    levels = output_levels(function, bits)
    torch.testing.assert_close(function.f(theta), (levels[1:] + levels[:-1]) / 2, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("bits", BITS)
def test_mid_tread_tanh_and_identity_have_an_exact_zero_and_mid_rise_sigmoid_a_threshold_there(bits: int) -> None:
    middle = 2 ** (bits - 1)
    assert float(output_levels(TANH, bits)[middle]) == 0.0
    assert float(output_levels(identity(0.7), bits)[middle]) == pytest.approx(0.0, abs=1e-15)
    assert float(thresholds(SIGMOID, bits)[middle - 1]) == 0.0


@pytest.mark.parametrize(
    ("function", "bits", "ratio"),
    [(TANH, 5, 9.04), (TANH, 8, 70.6), (SIGMOID, 5, 5.80), (SIGMOID, 8, 44.6), (identity(2.0), 5, 1.0)],
    ids=lambda value: getattr(value, "name", value),
)
def test_steps_of_one_function_differ_by_far_more_than_a_cells_window(
    function: Function, bits: int, ratio: float
) -> None:
    """9.0 and 70.6 are also the ratios between the 32 and 256 mid-rise levels of a sigmoid; between the sigmoid's
    thresholds, half an LSB further in, they are 5.8 and 44.6."""
    step = torch.diff(thresholds(function, bits))
    assert float(step.max() / step.min()) == pytest.approx(ratio, rel=2e-3)
