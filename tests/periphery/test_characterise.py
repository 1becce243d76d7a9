"""Converters of given errors have the figures of their definitions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from devices import PCM, Gaussian, Ideal, InputError, Stream, TaOx
from devices.effects import Stuck
from periphery import FUNCTIONS, SIGMOID, TANH, Comparator, Function, RampColumn, identity
from periphery.ramp.characterise import Characteristic, characterise

QUIET = Comparator(offset_V=0.0, noise_V=0.0)
IDEAL = RampColumn(device=Ideal(), capacitor_mismatch=0.0, max_clocks=4096)


def measured(column: RampColumn, function: Function, bits: int, chips: int = 8, **options: object) -> Characteristic:
    design = column.design(function, bits)
    return characterise(design, chips=chips, rng=Stream.root(4), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [1, 2, 5, 8, 10])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_an_ideal_converter_has_no_nonlinearity_and_all_its_bits(name: str, bits: int) -> None:
    found = measured(IDEAL, FUNCTIONS[name], bits, 1, comparator=QUIET)
    figures = found.figures()
    for figure in ("max |INL| [LSB]", "max |DNL| [LSB]"):
        assert figures[figure][1] < 2e-4 * 2 ** max(0, bits - 8)
    assert figures["missing codes"] == figures["steps at which the ramp falls"] == (0.0, 0.0)
    assert figures["max |error| [LSB]"][1] == pytest.approx(0.5, abs=0.02)
    if bits > 1:  # A square wave is no sine with noise.
        # The sine spans 2^bits - 1 steps of an LSB: what quantisation leaves of it is uniform but at its two ends.
        assert figures["ENOB of the sine test [bit]"][0] == pytest.approx(bits, abs=0.4 / bits)


def test_effective_bits_of_gaussian_noise_follow_its_power() -> None:
    """NAD^2 = LSB^2 / 12 + sigma^2; at 10 bits the sine is rarely so close to an end that noise is cut off."""
    lsb, sigma = 2.0 / 1024, 0.6
    volts_per_z = 0.5 / (2.0 * (1.0 - 0.5 * lsb))
    comparator = Comparator(offset_V=0.0, noise_V=sigma * lsb * volts_per_z)
    found = measured(IDEAL, identity(1.0), 10, 16, comparator=comparator)
    wanted = 10.0 - 0.5 * math.log2(1.0 + 12.0 * sigma**2)
    assert float(found.enob.mean()) == pytest.approx(wanted, abs=0.02)


def test_offset_moves_the_error_and_not_the_nonlinearity() -> None:
    found = measured(IDEAL, identity(1.0), 6, 40, comparator=Comparator(offset_V=20e-3, noise_V=0.0))
    assert float(found.inl.abs().max()) < 1e-4
    shift_lsb = found.error.mean(-1)
    assert float(shift_lsb.std()) == pytest.approx(20e-3 / 0.254 / (2.0 / 64), rel=0.35)


def test_a_straight_gain_error_is_a_triangle_of_inl_around_the_trimmed_middle() -> None:
    column = replace(IDEAL, capacitor_mismatch=0.02)
    found = measured(column, identity(1.0), 6, 30, comparator=QUIET)
    theta = found.design.theta - found.design.theta[found.design.middle]
    slope = found.inl[:, -1] / (theta[-1] / (2.0 / 64))
    assert float(slope.std()) == pytest.approx(0.02, rel=0.3)
    torch.testing.assert_close(found.inl, slope[:, None] * theta / (2.0 / 64), rtol=0.0, atol=1e-3)
    torch.testing.assert_close(found.dnl, slope[:, None].expand_as(found.dnl), rtol=0.0, atol=1e-3)


def test_dnl_sums_to_inl_and_missing_codes_are_steps_of_no_width() -> None:
    column = RampColumn(device=TaOx(effects=(Stuck(off_rate=0.06),)), capacitor_mismatch=0.0)
    found = measured(column, TANH, 5, 64, comparator=QUIET)
    torch.testing.assert_close(found.dnl.cumsum(-1), found.inl[:, 1:] - found.inl[:, :1], rtol=0.0, atol=1e-9)
    dead = (found.dnl < -1.0 + 1e-6).sum(-1)
    assert torch.equal(found.missing, dead)
    assert float(dead.double().mean()) == pytest.approx(30 * 0.06, rel=0.25)
    assert int(found.falls.max()) == 0


def test_a_folded_function_misses_a_code_only_where_both_branches_do() -> None:
    column = RampColumn(device=TaOx(effects=(Stuck(off_rate=0.1),)), capacitor_mismatch=0.0)
    found = measured(column, FUNCTIONS["gelu"], 8, 16, comparator=QUIET)
    turn = int(found.design.words.argmin())
    assert torch.isnan(found.dnl[:, turn - 1]).all()
    assert int(torch.isnan(found.dnl).sum()) == len(found.dnl)
    for chip in range(4):
        outputs = set(np.round(found.transfer[chip].numpy(), 6))
        assert len(outputs) <= 256 - int(found.missing[chip])
    assert float(found.missing.double().mean()) > 10


def test_calibration_shows_in_before_and_after_and_chips_keep_their_figures() -> None:
    few = measured(RampColumn(device=TaOx()), SIGMOID, 5, 4)
    many = measured(RampColumn(device=TaOx()), SIGMOID, 5, 64)
    assert torch.equal(few.inl, many.inl[:4])
    assert torch.equal(few.enob, many.enob[:4])
    figures = many.figures()
    assert figures["mean |INL| before calibration [LSB]"][0] > 3 * figures["mean |INL| [LSB]"][0]


def test_a_drifted_ramp_centred_again_is_better_at_its_middle() -> None:
    day_s = 86400.0
    old, new = (measured(RampColumn(device=PCM()), SIGMOID, 5, 32, t_s=day_s, recentre=each) for each in (False, True))
    middle = old.design.middle
    assert float(new.inl[:, middle].abs().mean()) < 0.5 * float(old.inl[:, middle].abs().mean())


def test_noisier_cells_have_fewer_effective_bits() -> None:
    columns = [RampColumn(device=Gaussian(sigma_absolute=sigma)) for sigma in (0.0, 0.02, 0.1)]
    bits = [float(measured(column, TANH, 8, 16, comparator=QUIET).enob.mean()) for column in columns]
    assert bits[0] > bits[1] + 0.1 > bits[2] + 1.0


def test_bits_outside_one_to_twelve_are_refused() -> None:
    with pytest.raises(InputError, match=r"^bits must be a whole number from 1 to 12 \(got 0\)$"):
        measured(IDEAL, SIGMOID, 0)
