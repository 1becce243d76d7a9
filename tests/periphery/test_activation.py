"""Digital activations: how close they come, and what they count."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from devices import BlockNoise, ChipStreams, InputError, Stream
from periphery import (
    ACTIVATIONS,
    SAR,
    SIGMOID,
    TANH,
    AnyActivation,
    ConventionalADC,
    Cordic,
    Function,
    LinearRamp,
    LookUpConverter,
    LookUpTable,
    PiecewiseLinear,
    Quantiser,
    from_callable,
    identity,
)
from periphery.adc.activation import Activation
from periphery.prices.component import load_components

CURVATURE = {"sigmoid": 1 / (6 * math.sqrt(3)), "tanh": 4 / (3 * math.sqrt(3))}


@pytest.mark.parametrize("function", [SIGMOID, TANH], ids=lambda f: f.name)
@given(segments=st.sampled_from([4, 8, 16, 64]), bits=st.sampled_from([6, 10, 16]), limit=st.floats(1.0, 6.0))
def test_straight_pieces_err_by_curvature_and_rounding(
    function: Function, segments: int, bits: int, limit: float
) -> None:
    z = torch.linspace(-limit, limit, 3001, dtype=torch.float64)
    unit = PiecewiseLinear(segments=segments, bits=bits)
    error = (unit.evaluate(function, z, limit) - function.f(z)).abs().max()
    step = (function.high - function.low) / 2**bits
    width = 2 * limit / segments
    assert float(error) <= width**2 * CURVATURE[function.name] / 8 + 1.01 * step + width * 2**-bits
    knots = torch.linspace(-limit, limit, segments + 1, dtype=torch.float64)
    assert float((unit.evaluate(function, knots, limit) - function.f(knots)).abs().max()) <= 0.5 * step * (1 + 1e-9)
    beyond = unit.evaluate(function, torch.tensor([-9.0, 9.0], dtype=torch.float64), limit)
    torch.testing.assert_close(beyond, unit.evaluate(function, knots[[0, -1]], limit))


@pytest.mark.parametrize("function", [SIGMOID, TANH], ids=lambda f: f.name)
@pytest.mark.parametrize(("iterations", "bits"), [(4, 8), (8, 12), (10, 14), (14, 18), (20, 24)])
def test_cordic_comes_as_close_as_its_iterations_and_bits_allow(function: Function, iterations: int, bits: int) -> None:
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    unit = Cordic(iterations=iterations, bits=bits)
    error = float((unit.evaluate(function, z, 9.0) - function.f(z)).abs().max())
    assert error <= 1.5 * 2.0**-iterations + 2 * iterations * 2.0**-bits
    assert error >= 0.05 * 2.0**-iterations, "an error too small to be that of a circuit"
    symmetric = unit.evaluate(function, -z, 9.0) + unit.evaluate(function, z, 9.0)
    middle = 1.0 if function is SIGMOID else 0.0
    nonzero = z.abs() > 2.0**-bits
    assert float((symmetric - middle)[nonzero].abs().max()) == 0.0


def test_cordic_computes_exponentials_over_many_octaves() -> None:
    exp = Function("exp", 0.0, math.exp(4.0), torch.exp, torch.log)
    z = torch.linspace(-6, 4, 1001, dtype=torch.float64)
    error = Cordic(iterations=16, bits=22).evaluate(exp, z, 6.0) / torch.exp(z) - 1.0
    assert float(error.abs().max()) < 2.0**-15 + 2.0**-22 * 40 * math.exp(6)


def test_repeated_rotations_are_those_that_convergence_needs() -> None:
    rotations = Cordic(iterations=14).rotations
    assert rotations == (1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13, 14)
    angles = [math.atanh(2.0**-i) for i in rotations]
    for i, angle in enumerate(angles[:-1]):
        left = sum(angles[i + 1 :]) + angles[-1]
        assert angle <= left + 2.0**-39, (
            "what a rotation leaves can be turned back, to the third power of the last angle"
        )
    assert Cordic(iterations=14).cycles == len(rotations) + 15


def test_a_function_without_exponentials_is_refused() -> None:
    with pytest.raises(InputError, match=r"cordic computes sigmoid, tanh and exp \(got 'identity'\)"):
        Cordic().evaluate(identity(1.0), torch.zeros(1), 1.0)


def test_a_table_that_bears_the_name_of_an_exponential_is_refused_too() -> None:
    """Else a unit that computes tanh would replace what the user tabulated."""
    mine = from_callable("tanh", lambda z: z.clamp(-0.5, 0.5), -1.0, 1.0)
    with pytest.raises(InputError, match=r"cordic computes sigmoid, tanh and exp \(got 'tanh'\)"):
        Cordic().evaluate(mine, torch.zeros(1), 1.0)


def chain(activation: Activation, bits: int = 5) -> LookUpConverter:
    return LookUpConverter(TANH, 10, bits, 4.0, torch.zeros(1, 1, 1), 0.0, activation=activation)


def test_a_precise_unit_gives_the_tables_codes_and_a_coarse_one_does_not() -> None:
    z = torch.linspace(-4, 3.99, 1001)
    table = chain(LookUpTable()).look_up(z)
    for precise in (PiecewiseLinear(segments=512, bits=20), Cordic(iterations=20, bits=24)):
        assert float((chain(precise).look_up(z) != table).float().mean()) < 0.005
    for coarse in (PiecewiseLinear(segments=4, bits=6), Cordic(iterations=3, bits=6)):
        off = (chain(coarse).look_up(z) - table).abs()
        assert float(off.max()) >= 1.0


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_units_are_priced_and_take_their_time(kind: str) -> None:
    unit, records = ACTIVATIONS[kind](), load_components()
    for name, actions in unit.actions(100.0).items():
        assert all(records[name].price(action).energy_J * count > 0 for action, count in actions.items())
    assert sum(records[name].area_m2 * count for name, count in unit.instances(4).items()) > 0
    assert sum(records[name].latency_s for name in unit.stages) > 0


def test_the_registry_is_what_yaml_may_hold() -> None:
    adapter: TypeAdapter[Activation] = TypeAdapter(AnyActivation)
    for kind, type_ in ACTIVATIONS.items():
        assert type(adapter.validate_python({"kind": kind})) is type_
    assert adapter.validate_python({}) == LookUpTable()
    for bad in ({"kind": "spline"}, {"kind": "cordic", "bits": 40}, {"kind": "piecewise_linear", "segments": 1}):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)


def noise_of(samples: int) -> BlockNoise:
    return BlockNoise(ChipStreams.of(Stream.root(3), 2), [0], samples)


def test_the_chain_with_a_built_quantiser_gives_the_words_of_the_chain_without() -> None:
    """Offset, noise and gain of the front end stay what they are; only the converter behind them is another object."""
    adc, rng = ConventionalADC(range_z=4.0), ChipStreams.of(Stream.root(3), 2)
    offset = 0.05 * rng.child("offset").normal((1, 6))
    plain = LookUpConverter(TANH, 8, 5, 4.0, offset, 0.03, 1.1)
    built = adc.build(adc.grid(8), ramps=1, columns=6, volts_per_z=0.1, rng=rng)
    named = LookUpConverter(TANH, 8, 5, 4.0, offset, 0.03, 1.1, built)
    z = 2.0 * torch.randn(2, 500, 1, 6, generator=torch.Generator().manual_seed(2))
    words = plain.words(z, 0.01 * torch.ones_like(z), noise_of(500))
    assert torch.equal(words, named.words(z, 0.01 * torch.ones_like(z), noise_of(500)))
    assert torch.equal(plain.compare_steps(words), named.compare_steps(words))
    assert torch.equal(plain.compare_steps(words), torch.round(words / (8 / 2**8)) + 129)
    noisy = ConventionalADC(converter=SAR(noise_V=2e-3, capacitor_mismatch=0.02), columns_per_adc=3)
    other = noisy.build(noisy.grid(8), ramps=1, columns=6, volts_per_z=0.1, rng=rng)
    assert not torch.equal(
        LookUpConverter(TANH, 8, 5, 4.0, offset, 0.03, 1.1, other).words(z, None, noise_of(500)), words
    )


def test_a_ratiometric_ramp_does_not_see_the_read_voltage() -> None:
    assert LinearRamp(reference="ratiometric").ratiometric
    assert not any(kind.ratiometric for kind in (LinearRamp(), SAR(), Quantiser()))
