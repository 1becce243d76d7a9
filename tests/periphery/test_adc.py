"""The conventional chain: linear conversion against a fixed reference, then a look-up."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from devices import BlockNoise, ChipStreams, Stream
from periphery import SIGMOID, TANH, Function, LookUpConverter, identity, output_levels


def converter(
    function: Function = TANH, bits: int = 8, output_bits: int = 5, sigma_z: float = 0.0, gain: float = 1.0
) -> LookUpConverter:
    return LookUpConverter(function, bits, output_bits, 4.0, torch.zeros(1, 1, 1), sigma_z, gain)


def noise_of(samples: int) -> BlockNoise:
    return BlockNoise(ChipStreams.of(Stream.root(2), 1), [0], samples)


@given(bits=st.integers(2, 12), z=st.floats(-10.0, 10.0))
def test_linear_word_is_the_nearest_multiple_of_one_lsb_and_saturates(bits: int, z: float) -> None:
    lsb = 8.0 / 2**bits
    word = float(converter(bits=bits).linear(torch.tensor([z], dtype=torch.float64)))
    assert word == pytest.approx(lsb * round(word / lsb))
    assert -4.0 <= word <= 4.0 - lsb
    assert abs(word - min(max(z, -4.0), 4.0 - lsb)) <= lsb / 2 * (1 + 1e-9)


@pytest.mark.parametrize("function", [SIGMOID, TANH, identity(1.5)], ids=lambda f: f.name)
@pytest.mark.parametrize("output_bits", [2, 5, 8])
def test_look_up_gives_the_output_level_nearest_to_the_function(function: Function, output_bits: int) -> None:
    z = torch.linspace(-6, 6, 2001, dtype=torch.float64) + 1e-4
    table = converter(function, output_bits=output_bits)
    levels = output_levels(function, output_bits)
    wanted = (levels - function.f(z)[:, None]).abs().argmin(1)
    assert table.look_up(z).long().tolist() == wanted.tolist()
    torch.testing.assert_close(table.values(table.look_up(z)), levels[wanted])


def test_tanh_of_zero_is_exactly_zero() -> None:
    table = converter()
    assert float(table.values(table.codes(torch.zeros(1, 1, 1, 1), None, noise_of(1)))) == 0.0


def test_a_fixed_reference_sees_the_read_voltage_as_a_gain() -> None:
    z = torch.linspace(-2, 2, 401)[None, :, None, None]
    louder, plain = converter(bits=12, gain=1.25), converter(bits=12)
    assert torch.equal(louder.words(z, None, noise_of(401)), plain.words(z * 1.25, None, noise_of(401)))


@pytest.mark.parametrize("gain", [0.75, 1.25])
def test_noise_of_the_array_grows_with_the_read_voltage_and_that_of_the_comparator_does_not(gain: float) -> None:
    """``sigma_z`` is referred to z at the present read voltage, so a fixed voltage is ``sigma_V / (volts gain)``."""
    samples, array, comparator_z = 40_000, 0.05, 0.04
    chain = converter(bits=12, sigma_z=comparator_z / gain, gain=gain)
    z = torch.full((1, samples, 1, 1), 0.5)
    words = chain.words(z, torch.full_like(z, array**2), noise_of(samples)).double()
    wanted = math.hypot(array * gain, comparator_z)
    assert float(words.std()) == pytest.approx(wanted, rel=5 / math.sqrt(2 * samples))
    assert float(words.mean()) == pytest.approx(0.5 * gain, abs=5 * wanted / math.sqrt(samples))


def test_a_reference_scaled_by_drift_compensation_sees_offsets_scaled_too() -> None:
    """At a reference of half the size the same offset weighs twice as much."""
    gain = torch.tensor([2.0])[:, None, None, None]
    chain = LookUpConverter(TANH, 12, 5, 4.0, torch.full((1, 1, 1), 0.1), 0.0, gain)
    word = chain.words(torch.full((1, 1, 1, 1), 0.3), None, noise_of(1))
    assert float(word) == pytest.approx(0.8, abs=4.0 / 2**12)
