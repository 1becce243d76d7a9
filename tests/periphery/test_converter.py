"""Conversions: codes of the ramp against an ideal quantiser, a loop over the steps, and statistics of its noise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import BlockNoise, ChipStreams, Gaussian, Ideal, Stream, TaOx
from periphery import (
    SIGMOID,
    TANH,
    Comparator,
    Function,
    RampColumn,
    RampConversion,
    RampConverter,
    identity,
    named_function,
    output_levels,
    quantised,
    thresholds,
)
from periphery.functions.library import SHAPES
from periphery.ramp.cells import Ramp

QUIET = Comparator(offset_V=0.0, noise_V=0.0)
FUNCTIONS = [SIGMOID, TANH, identity(1.5)]


def conversion_of(
    column: RampColumn, function: Function, bits: int, *, chips: int = 1, ramps: int = 1, columns: int = 1,
    comparator: Comparator = QUIET,
) -> RampConversion:  # fmt: skip
    rng = ChipStreams.of(Stream.root(8), chips)
    ramp = Ramp.program(column.design(function, bits), ramps=ramps, rng=rng)
    offset = comparator.offset_sigma_V() * rng.child("offset").normal((ramps, columns))
    return RampConverter(ramp, comparator, offset, volts_per_z=0.1).read(0.0)


def noise_of(chips: int, samples: int) -> BlockNoise:
    return BlockNoise(ChipStreams.of(Stream.root(9), chips), [0], samples)


IDEAL = {
    (function.name, bits): (function, conversion_of(RampColumn(device=Ideal(), capacitor_mismatch=0.0), function, bits))
    for function in FUNCTIONS
    for bits in range(2, 9)
}


@given(
    name=st.sampled_from([function.name for function in FUNCTIONS]),
    bits=st.integers(2, 8),
    z=st.lists(st.floats(-8.0, 8.0), min_size=1, max_size=40),
)
def test_cells_without_error_make_the_ideal_quantiser(name: str, bits: int, z: list[float]) -> None:
    """The code is the output level nearest to g(z), at either end the last one."""
    function, conversion = IDEAL[name, bits]
    theta = thresholds(function, bits)
    inputs = torch.tensor(z, dtype=torch.float64)
    # Cells are in single precision: within their rounding of a threshold, either code is right.
    inputs = inputs[(inputs[:, None] - theta).abs().amin(1) > 3e-5]
    if not len(inputs):
        return
    codes = conversion.codes(inputs.float()[None, :, None, None], None, noise_of(1, len(inputs)))[0, :, 0, 0]
    wanted = (output_levels(function, bits) - function.f(inputs)[:, None]).abs().argmin(1)
    assert codes.tolist() == wanted.tolist()
    torch.testing.assert_close(
        conversion.values(codes).double(), output_levels(function, bits)[wanted], rtol=0.0, atol=1e-6
    )


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(SHAPES)),
    bits=st.integers(1, 12),
    ends=st.one_of(st.none(), st.tuples(st.floats(-6.0, -0.5), st.floats(0.5, 6.0))),
    shares=st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=30),
    picked=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=10),
)
def test_without_errors_every_function_range_and_resolution_is_the_ideal_quantiser(
    name: str, bits: int, ends: tuple[float, float] | None, shares: list[float], picked: list[float]
) -> None:
    """Inputs inside and outside the range, both end codes, and on a threshold: a tie passes the step, which is up
    wherever the function rises."""
    zero_based = name in ("sqrt", "relu")
    function = named_function(name, *((0.0 if zero_based else ends[0], ends[1]) if ends else (None, None)))
    column = RampColumn(device=Ideal(), capacitor_mismatch=0.0, max_clocks=4096)
    conversion = conversion_of(column, function, bits)
    theta = thresholds(function, bits)
    assert column.design(function, bits).lost_steps == 0
    reach = float(theta.abs().max())
    first, last = float(theta[0]), float(theta[-1])
    inputs = first + torch.tensor(shares, dtype=torch.float64) * max(last - first, 1.0)
    # Cells are in single precision: within their rounding of a threshold, either code is right.
    inputs = inputs[(inputs[:, None] - theta).abs().amin(1) > 4e-6 * max(reach, 1.0)]
    at = conversion.table[0, 0, [int(share * (len(theta) - 1)) for share in picked]]
    below = torch.nextafter(at, torch.tensor(-math.inf))
    seen = torch.cat([inputs.float(), at, below, torch.tensor([-math.inf, -1e30, 1e30, math.inf])])
    passed = conversion.codes(seen[None, :, None, None], None, noise_of(1, len(seen)))[0, :, 0, 0]
    words = conversion.words(passed).long()
    free, tie, under, limits = words.split([len(inputs), len(at), len(at), 4])
    low, high = ends or (SHAPES[name].low, SHAPES[name].high)
    inside = inputs.clamp(0.0 if zero_based else low, high)
    assert free.tolist() == quantised(function, bits, inside).tolist()
    torch.testing.assert_close(
        conversion.values(passed)[: len(inputs)].double(),
        output_levels(function, bits)[free],
        rtol=0.0,
        atol=1e-6 * max(abs(function.low), abs(function.high)),
    )
    every = conversion.words(torch.arange(len(theta) + 1))
    if bool((torch.diff(conversion.table[0, 0]) > 0).all()):
        step = (conversion.table[0, 0] <= at[:, None]).sum(1)
        assert tie.tolist() == every[step].tolist()
        assert under.tolist() == every[step - 1].tolist()
    assert limits.tolist() == [int(every[0])] * 2 + [int(every[-1])] * 2
    if not function.branches:
        assert limits.tolist() == [0, 0, 2**bits - 1, 2**bits - 1]


@pytest.mark.parametrize("name", [function.name for function in FUNCTIONS])
@pytest.mark.parametrize("bits", range(2, 9))
def test_a_tie_goes_up_and_the_next_number_below_does_not(name: str, bits: int) -> None:
    _, conversion = IDEAL[name, bits]
    at = conversion.table[0, 0]
    below = torch.nextafter(at, torch.tensor(-math.inf))
    for z, wanted in ((at, range(1, 2**bits)), (below, range(2**bits - 1))):
        assert conversion.codes(z[None, :, None, None], None, noise_of(1, len(z)))[0, :, 0, 0].tolist() == list(wanted)


@pytest.mark.parametrize("name", [function.name for function in FUNCTIONS])
def test_end_codes_saturate(name: str) -> None:
    _, conversion = IDEAL[name, 5]
    z = torch.tensor([-1e30, -100.0, 100.0, 1e30])[None, :, None, None]
    assert conversion.codes(z, None, noise_of(1, 4))[0, :, 0, 0].tolist() == [0, 0, 31, 31]


@pytest.mark.parametrize("bits", range(2, 9))
def test_tanh_of_zero_is_exactly_zero(bits: int) -> None:
    _, conversion = IDEAL["tanh", bits]
    codes = conversion.codes(torch.zeros(1, 1, 1, 1), None, noise_of(1, 1))
    assert codes.tolist() == [[[[2 ** (bits - 1)]]]]
    assert float(conversion.values(codes)) == 0.0


def first_crossing(z: float, levels: list[float]) -> int:
    """Steps of the ramp, one after another, until it has passed ``z``."""
    for code, level in enumerate(levels):
        if level > z:
            return code
    return len(levels)


@pytest.mark.parametrize("per_step", [False, True], ids=["table", "per_step"])
def test_a_ramp_that_falls_back_is_stopped_at_its_first_crossing(per_step: bool) -> None:
    """Differential steps with large errors are negative now and then; a later, lower level is never reached."""
    column = RampColumn(device=Gaussian(sigma_absolute=0.3), step="differential", smallest_step=0.3, bias_cells=0)
    comparator = Comparator(offset_V=0.0, noise_V=0.0, noise="per_step" if per_step else "per_conversion")
    chips, ramps, columns, n = 3, 2, 4, 30
    conversion = conversion_of(column, TANH, 5, chips=chips, ramps=ramps, columns=columns, comparator=comparator)
    assert (torch.diff(conversion.levels) < 0).any(dim=-1).all(), "every ramp should fall back somewhere"
    z = torch.linspace(-4, 4, n * columns).reshape(1, n, 1, columns).expand(chips, n, ramps, columns)
    codes = conversion.codes(z, None, noise_of(chips, n))
    for chip in range(chips):
        for ramp in range(ramps):
            levels = conversion.levels[chip, ramp].tolist()
            wanted = [[first_crossing(v, levels) for v in row] for row in z[chip, :, ramp].tolist()]
            assert codes[chip, :, ramp].tolist() == wanted


def test_noise_at_every_step_stops_a_comparator_as_often_as_the_levels_say() -> None:
    """P(code = k) = prod_{i < k} P(z + noise passes level i) times P(it does not pass level k)."""
    samples, z, sigma_z = 40_000, 0.3, 0.25
    comparator = Comparator(offset_V=0.0, noise_V=0.1 * sigma_z, noise="per_step")
    conversion = conversion_of(
        RampColumn(device=Ideal(), capacitor_mismatch=0.0), TANH, 4, columns=2, comparator=comparator
    )
    codes = conversion.codes(torch.full((1, samples, 1, 2), z), None, noise_of(1, samples))
    passes = 0.5 * (1 + torch.erf((z - conversion.levels[0, 0].double()) / (sigma_z * math.sqrt(2))))
    reached = torch.cat([torch.ones(1, dtype=torch.float64), passes.cumprod(0)])
    wanted = reached - torch.cat([reached[1:], torch.zeros(1, dtype=torch.float64)])
    found = torch.bincount(codes.flatten(), minlength=16).double() / (2 * samples)
    spread = (wanted * (1 - wanted) / (2 * samples)).sqrt() + 1e-5
    assert float(((found - wanted) / spread).abs().max()) < 4.5
    first, second = codes[0, :, 0, :].double().unbind(1)
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 5 / math.sqrt(samples)
    one_draw = torch.searchsorted(
        conversion.levels[0, 0],
        z + sigma_z * torch.randn(samples, generator=torch.Generator().manual_seed(0)),
        right=True,
    )
    assert float(codes.double().mean()) < float(one_draw.double().mean()) - 0.2, "stopping at the first dip comes early"


def test_noise_once_a_conversion_moves_the_input_by_its_standard_deviation() -> None:
    samples, sigma_z = 40_000, 0.05
    comparator = Comparator(offset_V=0.0, noise_V=0.1 * sigma_z)
    conversion = conversion_of(RampColumn(device=Ideal(), capacitor_mismatch=0.0), TANH, 5, comparator=comparator)
    threshold = float(conversion.table[0, 0, 20])
    for distance in (-0.05, 0.0, 0.08):
        z = torch.full((1, samples, 1, 1), threshold + distance)
        passed = float((conversion.codes(z, None, noise_of(1, samples)) > 20).double().mean())
        wanted = 0.5 * (1 + math.erf(distance / (sigma_z * math.sqrt(2))))
        assert passed == pytest.approx(wanted, abs=4.5 * math.sqrt(wanted * (1 - wanted) / samples))


def test_array_noise_and_comparator_noise_add_in_variance() -> None:
    samples = 40_000
    comparator = Comparator(offset_V=0.0, noise_V=0.1 * 0.03)
    conversion = conversion_of(RampColumn(device=Ideal(), capacitor_mismatch=0.0), TANH, 5, comparator=comparator)
    z = torch.full((1, samples, 1, 1), float(conversion.table[0, 0, 20]) + 0.05)
    passed = (conversion.codes(z, torch.full_like(z, 0.04**2), noise_of(1, samples)) > 20).double().mean()
    wanted = 0.5 * (1 + math.erf(0.05 / (0.05 * math.sqrt(2))))
    assert float(passed) == pytest.approx(wanted, abs=4.5 * math.sqrt(wanted * (1 - wanted) / samples))


def test_offsets_belong_to_columns_and_stay() -> None:
    ideal, comparator = RampColumn(device=Ideal(), capacitor_mismatch=0.0), Comparator(offset_V=5e-3, noise_V=0.0)
    conversion = conversion_of(ideal, TANH, 8, columns=3000, comparator=comparator)
    z = torch.zeros(1, 2, 1, 3000)
    codes = conversion.codes(z, None, noise_of(1, 2)).double()
    assert torch.equal(codes[0, 0], codes[0, 1])
    # 5 mV at 0.1 V per unit is 0.05, or 6.4 LSB at the steepest part of an 8-bit tanh.
    assert float(codes[0, 0].std()) == pytest.approx(6.4, rel=0.05)


def test_noise_of_the_ramp_is_common_to_all_columns_of_a_conversion() -> None:
    """It is drawn anew at every conversion, and for every ramp; comparator noise belongs to each column."""
    samples = 4000
    noisy = RampColumn(device=TaOx(programming_noise_S=0.0, read_noise_S=10e-6), capacitor_mismatch=0.0, bias_cells=0)
    conversion = conversion_of(noisy, identity(1.0), 8, ramps=2, columns=3)
    codes = conversion.codes(torch.full((1, samples, 2, 3), 0.4), None, noise_of(1, samples))[0].double()
    assert torch.equal(codes[..., :1].expand(-1, -1, 3), codes)
    assert float(codes[:, 0, 0].std()) > 2.0
    ramps = torch.corrcoef(codes[:, :, 0].T)
    assert abs(float(ramps[0, 1])) < 5 / math.sqrt(samples)
    both = conversion_of(noisy, identity(1.0), 8, columns=3, comparator=Comparator(offset_V=0.0, noise_V=2e-3))
    codes = both.codes(torch.full((1, samples, 1, 3), 0.4), None, noise_of(1, samples))[0, :, 0].double()
    separate = (2e-3 / 0.1 / (2.0 / 256)) ** 2
    common = float(torch.cov(codes.T)[0, 1])
    assert float(torch.corrcoef(codes.T)[0, 1]) == pytest.approx(common / (common + separate + 1 / 12), abs=0.03)


def test_noise_of_the_ramp_accumulates_along_it() -> None:
    """At step k the ramp has the noise of the start and of k steps; 64 cells share the start, so the steps weigh."""
    samples = 20_000
    device = Ideal(read_noise_S=3e-6)
    noisy = RampColumn(device=device, capacitor_mismatch=0.0, bias_cells=0, start_cells=64)
    conversion = conversion_of(noisy, identity(1.0), 8)
    assert conversion.walk_sigma is not None
    variance = conversion.walk_sigma[0, 0].double().square().cumsum(0)[64:]
    for k in (40, 230):
        z = torch.full((1, samples, 1, 1), float(conversion.table[0, 0, k]))
        codes = conversion.codes(z, None, noise_of(1, samples)).double()
        wanted = math.sqrt(float(variance[k]) / (2.0 / 256) ** 2 + 1 / 12)
        assert float(codes.std()) == pytest.approx(wanted, rel=0.05)
    assert float(variance[230]) > 1.5 * float(variance[40])


def test_stretching_the_ramps_clock_stretches_its_thresholds() -> None:
    rng = ChipStreams.of(Stream.root(8), 2)
    ramp = Ramp.program(RampColumn(device=TaOx()).design(SIGMOID, 5), ramps=1, rng=rng)
    converter = RampConverter(ramp, QUIET, torch.zeros(2, 1, 1), volts_per_z=0.1)
    factor = torch.tensor([0.5, 0.8], dtype=torch.float64)[:, None, None]
    plain, stretched = converter.read(0.0), converter.read(0.0, factor)
    torch.testing.assert_close(stretched.table, (plain.table * factor).float())
    assert plain.walk_sigma is not None
    assert stretched.walk_sigma is not None
    torch.testing.assert_close(stretched.walk_sigma, (plain.walk_sigma * factor).float())
