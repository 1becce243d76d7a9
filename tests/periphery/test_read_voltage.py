"""A changed read voltage at the level of codes: what a ramp from the same supply cancels, and what it does not."""

from __future__ import annotations

import pytest
import torch

from devices import ChipStreams, Stream, TaOx
from periphery import SIGMOID, TANH, Comparator, Function, RampColumn, thresholds
from periphery.ramp.cells import Ramp
from periphery.ramp.read_voltage import CodeShift, read_voltage_sweep

VOLTAGES_V = (0.15, 0.175, 0.19, 0.21, 0.225, 0.25)
CHIPS, INPUTS = 8, 2001


def sweep(function: Function, bits: int, *, disturbed: float, supply: float = 0.0) -> list[CodeShift]:
    rng = ChipStreams.of(Stream.root(6), CHIPS)
    ramp = Ramp.program(RampColumn(device=TaOx()).design(function, bits), ramps=1, rng=rng)
    comparator = Comparator()
    return read_voltage_sweep(
        ramp.read(0.0),
        v_design_V=0.2,
        v_read_V=VOLTAGES_V,
        swing_V=0.5,
        offset_V=disturbed * comparator.offset_sigma_V() * rng.child("offset").normal((INPUTS,)).double(),
        noise_V=disturbed * comparator.noise_sigma_V() * rng.child("noise").normal((INPUTS,)).double(),
        adc_bits=bits,
        supply=supply * rng.child("supply").normal((INPUTS,)).double(),
    )


@pytest.mark.parametrize("function", [SIGMOID, TANH], ids=lambda f: f.name)
@pytest.mark.parametrize("bits", [5, 8])
def test_ramp_tracks_the_read_voltage_and_a_fixed_reference_shifts_as_its_gain(function: Function, bits: int) -> None:
    shifts = sweep(function, bits, disturbed=0.0)
    assert len(shifts) == 2 * len(VOLTAGES_V)
    for shift in shifts:
        if shift.readout == "ramp":
            assert abs(shift.mean_shift_lsb) < 0.1
        else:
            assert shift.mean_shift_lsb == pytest.approx(shift.predicted_shift_lsb, rel=0.05)
            assert (shift.predicted_shift_lsb > 0) is (shift.v_read_V > 0.2)


def test_fixed_reference_moves_by_more_than_an_lsb_where_the_ramp_stays() -> None:
    lowest = {shift.readout: shift for shift in sweep(SIGMOID, 5, disturbed=0.0) if shift.v_read_V == 0.15}
    assert lowest["fixed reference"].mean_shift_lsb < -1.0
    assert lowest["ramp"].mean_shift_lsb == 0.0


def test_comparator_offset_does_not_scale_with_the_read_voltage_and_shows() -> None:
    """A fixed offset is worth more z at a lower voltage: codes move a little, without a gain."""
    off, on = (
        [shift for shift in sweep(SIGMOID, 8, disturbed=size) if shift.readout == "ramp"] for size in (0.0, 30.0)
    )
    assert not any(shift.offset_and_noise for shift in off)
    assert all(shift.offset_and_noise for shift in on)
    assert all(shift.mean_shift_lsb == 0.0 for shift in off)
    assert any(shift.mean_shift_lsb != 0.0 for shift in on)


def test_gain_of_the_prediction_is_that_of_the_voltage() -> None:
    by_voltage = {s.v_read_V: s.predicted_shift_lsb for s in sweep(TANH, 5, disturbed=0.0) if s.readout != "ramp"}
    per_volt = torch.tensor([shift / (v / 0.2 - 1.0) for v, shift in by_voltage.items()])
    torch.testing.assert_close(per_volt, per_volt[:1].expand_as(per_volt))


def test_what_the_supply_moves_between_product_and_ramp_remains() -> None:
    """The mean shift cancels; its root mean square is the share of inputs that a relative change e sigma carries over a
    threshold: ``sqrt(E|z| e sqrt(2/pi) / LSB)`` for small e, on the linear part of tanh at 8 bits."""
    share = 0.5e-3 / 0.2 * 2**0.5
    moved = [shift for shift in sweep(TANH, 8, disturbed=0.0, supply=share) if shift.readout == "ramp"]
    still = [shift for shift in sweep(TANH, 8, disturbed=0.0) if shift.readout == "ramp"]
    assert all(shift.rms_shift_lsb == 0.0 for shift in still)
    assert all(abs(shift.mean_shift_lsb) < 0.02 for shift in moved)
    theta = thresholds(TANH, 8)
    z = torch.linspace(-0.6, 0.6, INPUTS, dtype=torch.float64) * theta.abs().max()
    lsb = torch.diff(theta)[(torch.searchsorted(theta, z) - 1).clamp(0, len(theta) - 2)]
    wanted = (z.abs() / lsb * share * (2 / torch.pi) ** 0.5).mean().sqrt()
    assert all(shift.rms_shift_lsb == pytest.approx(float(wanted), rel=0.05) for shift in moved)
