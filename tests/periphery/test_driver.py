"""Word-line drivers: numbers as pulse widths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from periphery import PWMDriver


@given(bits=st.integers(2, 8), x_max=st.floats(0.1, 10.0), x=st.floats(-20.0, 20.0))
def test_pulses_are_the_nearest_whole_number_of_clocks_and_saturate(bits: int, x_max: float, x: float) -> None:
    driver = PWMDriver(x_max=x_max)
    top = 2 ** (bits - 1) - 1
    count = float(driver.counts(torch.tensor([x], dtype=torch.float64), bits))
    assert count == int(count)
    assert abs(count) <= top
    assert abs(count * driver.lsb(bits) - max(-x_max, min(x_max, x))) <= driver.lsb(bits) / 2 * (1 + 1e-9)


def test_full_scale_is_the_longest_pulse_of_either_sign() -> None:
    driver = PWMDriver(x_max=2.0)
    x = torch.tensor([-9.0, -2.0, -1.0, 0.0, 1.0, 2.0, 9.0])
    assert driver.counts(x, 4).tolist() == [-7.0, -7.0, -4.0, 0.0, 4.0, 7.0, 7.0]
    assert x.tolist() == [-9.0, -2.0, -1.0, 0.0, 1.0, 2.0, 9.0], "the caller's tensor was changed"


def test_the_share_beyond_full_scale_is_reported() -> None:
    assert PWMDriver(x_max=1.0).clipped(torch.tensor([0.0, 0.5, 1.0, -1.0, 1.2, -3.0, 0.1, 0.2])) == pytest.approx(0.25)


def test_charge_grows_with_the_read_voltage() -> None:
    assert PWMDriver(v_read_V=0.25, v_design_V=0.2).supply_gain == pytest.approx(1.25)
    assert PWMDriver().supply_gain == 1.0
