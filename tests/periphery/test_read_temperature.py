"""Codes of chips that are read at other temperatures: what a ramp of the same cells cancels, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devices import ChipStreams, Stream, TaOx
from devices.effects import Temperature
from periphery import SIGMOID, RampColumn
from periphery.ramp.read_temperature import TemperatureShift, temperature_sweep

COLUMN = RampColumn(device=TaOx(read_noise_S=0.0), capacitor_mismatch=0.0)


def swept(column: RampColumn = COLUMN, *temperatures_K: float, weights: TaOx | None = None) -> list[TemperatureShift]:
    return temperature_sweep(
        weights or TaOx(read_noise_S=0.0),
        column,
        SIGMOID,
        5,
        temperatures_K=temperatures_K,
        adc_bits=5,
        v_read_V=0.2,
        rng=ChipStreams.of(Stream.root(2), 2),
    )


def test_what_all_states_have_in_common_cancels_and_a_fixed_reference_sees_it() -> None:
    by_law = {(s.law, s.readout, s.temperature_K): s for s in swept(COLUMN, 300.0, 360.0)}
    laws = sorted({law for law, _, _ in by_law})
    assert len(laws) == 2
    common, states = laws[1], laws[0]
    assert common.startswith("one activation energy")
    for law in laws:
        for readout in ("ramp", "fixed reference"):
            still = by_law[law, readout, 300.0]
            assert (still.mean_shift_lsb, still.rms_shift_lsb) == (0.0, 0.0), "where it was programmed, nothing moves"
    # exp(0.04 eV / k (1/300 - 1/360)) = 1.295: all conductances grow by that, and codes of a fixed reference with them.
    ramp, fixed = (by_law[common, readout, 360.0] for readout in ("ramp", "fixed reference"))
    assert ramp.rms_shift_lsb < 0.05
    assert fixed.mean_shift_lsb > 0.5
    assert by_law[states, "ramp", 360.0].rms_shift_lsb > 5 * ramp.rms_shift_lsb


def test_a_law_of_the_cells_own_is_taken_and_one_of_two_refused() -> None:
    hot = Temperature(activation_off_eV=0.02, activation_on_eV=0.02)
    weights = TaOx(read_noise_S=0.0, effects=(hot,))
    with pytest.raises(ValueError, match=r"a temperature effect on one asks for one on the other \(got one of two\)"):
        swept(COLUMN, 330.0, weights=weights)
    found = swept(replace(COLUMN, device=weights), 330.0, weights=weights)
    assert {shift.law for shift in found} == {"of the device"}
    assert len(found) == 3
