"""Linear converters: without errors all give the ideal codes; with errors, the moments of their equations."""

from __future__ import annotations

import math
from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.special import ndtr

from devices import BlockNoise, ChipStreams, InputError, Stream
from periphery import ADC, ADCS, CCO, SAR, AnyADC, Bank, BuiltADC, Flash, Grid, LinearRamp, Quantiser, SenseAmp
from periphery.adc.capacitors import capacitor_steps, capacitors
from periphery.adc.decide import _chance, _even, search
from tests.registry import erring, every, named

EXACT: list[ADC] = every(ADCS)


def of(bits: int) -> list[ADC]:
    """Every converter without errors that can have so many bits."""
    return [adc for adc in EXACT if bits <= adc.most_bits]


def chips(count: int = 1, seed: int = 5) -> ChipStreams:
    return ChipStreams.of(Stream.root(seed), count)


def noise_of(samples: int, count: int = 1) -> BlockNoise:
    return BlockNoise(chips(count), [0], samples)


def built(adc: ADC, grid: Grid, columns: int = 1, count: int = 1, per: int = 1, volts: float = 1.0) -> BuiltADC:
    return adc.build(grid, Bank(1, columns, per, volts), rng=chips(count))


def codes_of(converter: BuiltADC, z: torch.Tensor) -> torch.Tensor:
    """Codes of ``z (n,)``, the same input on all chips and columns: (chips, n, columns)."""
    count = 1 if not hasattr(converter, "offset_V") else converter.offset_V.shape[0]
    wide = z[None, :, None, None].expand(count, -1, 1, converter.bank.columns)
    return converter.codes(wide, None, noise_of(z.numel(), count))[:, :, 0]


def exact_code(z: float, bits: int, low: float, high: float, levels: str) -> int:
    """In whole fractions: the highest code that begins at or below z."""
    lsb = (Fraction(high) - Fraction(low)) / 2**bits
    code = math.floor((Fraction(z) - Fraction(low)) / lsb + (Fraction(1, 2) if levels == "mid_tread" else 0))
    return min(max(code, 0), 2**bits - 1)


@given(bits=st.integers(1, 12), exponent=st.integers(-3, 3), data=st.data())
def test_without_errors_every_converter_is_the_ideal_quantiser(bits: int, exponent: int, data: st.DataObject) -> None:
    """Ranges that are powers of two make thresholds exact numbers, so ties and their neighbours are decided exactly."""
    half = 2.0**exponent
    lsb = 2.0 * half / 2**bits
    codes = data.draw(st.lists(st.integers(-2, 2**bits + 2), min_size=1, max_size=20))
    ties = torch.tensor([-half + (code - begin) * lsb for code in codes for begin in (0.5, 0.0)])
    below = torch.nextafter(ties, torch.tensor(-math.inf))
    above = torch.nextafter(ties, torch.tensor(math.inf))
    anywhere = torch.tensor(data.draw(st.lists(st.floats(-3 * half, 3 * half, width=32), min_size=1, max_size=20)))
    z = torch.cat([ties, below, above, anywhere, torch.tensor([-1e30, 1e30, 0.0, -half, half])])
    wanted = {
        levels: [exact_code(float(value), bits, -half, half, levels) for value in z]
        for levels in ("mid_tread", "mid_rise")
    }
    for adc in of(bits):
        got = codes_of(built(adc, Grid(bits, -half, half, adc.grid_levels)), z)[0, :, 0]
        assert got.tolist() == wanted[adc.grid_levels], adc


@given(
    bits=st.integers(1, 10),
    low=st.floats(-5, 5),
    span=st.floats(0.1, 10),
    levels=st.sampled_from(["mid_tread", "mid_rise"]),
)
@example(bits=1, low=2.0, span=2.1214002982416194, levels="mid_tread")  # a threshold between two single floats
def test_all_agree_on_any_range_and_words_are_the_nearest_levels(
    bits: int, low: float, span: float, levels: str
) -> None:
    grid = Grid(bits, low, low + span, levels)  # type: ignore[arg-type]
    z = torch.linspace(low - span, low + 2 * span, 301)
    reference = built(Quantiser(), grid)
    codes = codes_of(reference, z)[0, :, 0]
    for adc in of(bits):
        assert torch.equal(codes_of(built(adc, grid), z)[0, :, 0], codes), adc
    lsb = span / 2**bits
    words = reference.words(codes[:, None])[:, 0].double()
    ends = reference.words(torch.tensor([[0], [grid.top]]))[:, 0].double()
    inside = (z > ends[0] - lsb / 2) & (z < ends[1] + lsb / 2)
    assert float((words - z)[inside].abs().max()) <= lsb / 2 * (1 + 1e-4) + 1e-5
    assert set(codes[z <= low - lsb].tolist()) == {0}
    assert set(codes[z >= low + span].tolist()) == {grid.top}


def test_columns_with_ranges_of_their_own_agree_too() -> None:
    low = torch.tensor([[-1.0, -2.0, 0.0, -0.3]])
    grid = Grid(6, low, low + torch.tensor([[2.0, 3.0, 1.0, 0.6]]))
    z = torch.randn(1, 500, 1, 4, generator=torch.Generator().manual_seed(1))
    noise = noise_of(500)
    reference = Quantiser().build(grid, Bank(1, 4, 2), rng=chips()).codes(z, None, noise)
    for adc in of(6):
        assert torch.equal(adc.build(grid, Bank(1, 4, 2), rng=chips()).codes(z, None, noise), reference), adc
    alone = built(Quantiser(), Grid(6, -2.0, 1.0)).codes(z[..., 1:2], None, noise)
    assert float((alone != reference[..., 1:2]).float().mean()) < 0.005, "only ties may differ by rounding"


def test_one_bit_is_the_sign_about_the_middle_and_two_words_stand_a_quarter_away() -> None:
    amplifier = built(SenseAmp(), Grid(1, -1.0, 3.0, SenseAmp.grid_levels))
    z = torch.tensor([-9.0, 0.99999, 1.0, 1.00001, 9.0])
    codes = codes_of(amplifier, z)[0, :, 0]
    assert codes.tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(codes, codes_of(built(Quantiser(), Grid(1, -1.0, 3.0, "mid_rise")), z)[0, :, 0])
    assert amplifier.words(torch.tensor([[0], [1]]))[:, 0].tolist() == [0.0, 2.0]


@pytest.mark.parametrize("bound", [1.0, 12.0])
@pytest.mark.parametrize("bits", [7, 8])
def test_aihwkits_torch_tile_rounds_to_the_same_levels(bound: float, bits: int) -> None:
    """The same step and the same levels between its bounds; where the conventions differ, it is stated here.

    aihwkit has ``2^n - 1`` levels, as many below as above zero, where ours have one more at the low end; and torch
    rounds ties to even where ours go up.
    """
    tile = pytest.importorskip("aihwkit.simulator.tiles.analog_mvm", reason="aihwkit has no wheel here")
    io = pytest.importorskip("aihwkit.simulator.parameters.io")
    levels = 2**bits - 2
    lsb = 2.0 * bound / levels
    z = torch.linspace(-1.5 * bound, 1.5 * bound, 4001)
    parameters = io.IOParameters(out_res=1.0 / levels, out_bound=bound, out_noise=0.0)
    _, theirs = tile.AnalogMVM._finalize_output(z.clone(), parameters)
    half = 2 ** (bits - 1) * lsb
    ours = built(Quantiser(), Grid(bits, -half, half))
    words = ours.words(codes_of(ours, z)[0])[:, 0]
    tie = (torch.remainder(z / lsb, 1.0) - 0.5).abs() < 1e-3
    same = ~tie & (z > -bound - lsb / 2)
    torch.testing.assert_close(words[same], theirs[same], rtol=0, atol=1e-5 * bound)
    assert int(same.sum()) > 3000
    beyond = z < -bound - lsb / 2
    torch.testing.assert_close(theirs[beyond] - words[beyond], torch.full_like(z[beyond], lsb), rtol=1e-3, atol=0)


def test_capacitor_levels_are_those_of_crosssims_equations() -> None:
    """Written out as CrossSim 3.2's model is stated: half range V, code by code; gain of the amplifier 40 dB."""
    bits, sigma, gain, V = 6, 0.1, 100.0, 1.5
    units = capacitors(bits, sigma, (2,), rng=chips(3).child("c"))
    steps = capacitor_steps(units, "symmetric", gain)
    feedback = 2.0 ** (bits - 1) + (units[..., -1] - 1.0) * 2.0 ** ((bits - 1) / 2)
    for chip in range(3):
        for converter in range(2):
            C, C_N = units[chip, converter], float(feedback[chip, converter])
            for code in range(2**bits):
                size, temp = abs(code - 2 ** (bits - 1)), 0.0
                for n in range(bits):
                    temp += float(C[n]) * ((size >> n) & 1)
                level = math.copysign(V * temp / float(C[bits - 1]), code - 2 ** (bits - 1)) + V / 2**bits
                level /= 1.0 + 1.0 / (gain * C_N / (C_N + temp))
                lsb = 2 * V / 2**bits
                mine = -V + (float(steps[chip, converter, code]) + 0.5) * lsb
                assert mine == pytest.approx(level, abs=1e-12)


def test_a_crosssim_ramp_gives_the_nearest_level_up_to_half_a_differential_nonlinearity() -> None:
    """CrossSim takes the nearest level; a ramp's comparator fires where it is crossed: half an LSB below, by design."""
    bits, ramp = 5, LinearRamp(capacitors="symmetric", capacitor_mismatch=0.05)
    converter = built(ramp, Grid(bits, -1.0, 1.0, "mid_rise"), columns=1)
    begins = converter.steps[0, 0, 0].double()  # type: ignore[attr-defined]
    levels = begins + 0.5
    between = 0.5 * (levels[1:] + levels[:-1])
    step_error = levels.diff() - 1.0
    torch.testing.assert_close(between, begins[1:] - 0.5 * step_error, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [SAR, LinearRamp])
def test_capacitor_mismatch_moves_codes_as_the_unit_count_says(kind: type[SAR | LinearRamp]) -> None:
    """Variance of where code c begins: ``sigma^2 c (1 - c / 2^n)`` [LSB^2]; of the step at half scale: ``2^n - 1``
    units."""
    bits, sigma, count = 8, 0.02, 4000
    units = capacitors(bits, sigma, (1,), rng=chips(count).child("c"))
    steps = capacitor_steps(units, "binary", None)[:, 0]
    for code in (16, 64, 128, 200):
        wanted = sigma**2 * code * (1 - code / 2**bits)
        assert float(steps[:, code].var()) == pytest.approx(wanted, rel=5 * math.sqrt(2 / count)), code
    jump = (steps[:, 128] - steps[:, 127]).var()
    assert float(jump) == pytest.approx(sigma**2 * (2**bits - 1), rel=5 * math.sqrt(2 / count))
    converter = built(kind(capacitor_mismatch=sigma), Grid(bits, -4.0, 4.0), count=3)
    table = converter.trials if isinstance(kind(), SAR) else converter.steps  # type: ignore[attr-defined]
    z = torch.linspace(-4.2, 4.2, 5001)
    wide = z[None, :, None, None].expand(3, -1, 1, 1)
    codes = converter.codes(wide, None, noise_of(5001, 3))[:, :, 0, 0]
    if kind is LinearRamp:
        crossed = (table[:, 0, 0][:, None] <= z[:, None] / (8 / 2**bits)).sum(-1)
        assert torch.equal(codes.long(), crossed)
    else:
        assert len({tuple(row.tolist()) for row in codes}) == 3


def test_neighbouring_sar_converters_have_capacitors_of_their_own() -> None:
    converter = built(SAR(capacitor_mismatch=0.05), Grid(8, -1.0, 1.0), columns=24, per=8, count=2)
    trials = converter.trials  # type: ignore[attr-defined]
    assert trials.shape == (2, 1, 3, 256)
    rows = trials.reshape(6, 256)
    assert all(not torch.equal(rows[i], rows[j]) for i in range(6) for j in range(i))
    codes = codes_of(converter, torch.linspace(-1, 1, 2001))[0]
    for first in (0, 8, 16):
        assert bool((codes[:, first : first + 8] == codes[:, first : first + 1]).all()), "one converter, one transfer"
    assert not torch.equal(codes[:, 0], codes[:, 8])


def test_decision_noise_of_a_sar_is_drawn_at_every_comparison() -> None:
    """Against the probability of every path of a 3-bit search, at several inputs."""
    sigma, samples = 0.4, 200_000
    converter = built(SAR(noise_V=sigma), Grid(3, -4.0, 4.0))
    for place, at in enumerate((-0.6, 0.1, 1.45)):
        z = torch.full((1, samples, 1, 1), at)
        noise = BlockNoise(chips(seed=place), [0], samples)
        seen = torch.bincount(converter.codes(z, None, noise).flatten().long(), minlength=8) / samples
        for code in range(8):
            chance, word = 1.0, 0
            for bit in (4, 2, 1):
                yes = ndtr((at - (-4.5 + word + bit)) / sigma)
                chance *= yes if code & bit else 1 - yes
                word |= code & bit
            margin = 5 * math.sqrt(max(chance * (1 - chance), 1e-6) / samples) + 1e-6
            assert float(seen[code]) == pytest.approx(chance, abs=margin)


def test_the_numbers_behind_decisions_are_even_and_do_not_hang_together() -> None:
    draws = np.array([_even(np.int32(i), np.uint32(7), np.uint32(9)) for i in range(40_000)])
    others = np.array([_even(np.int32(i), np.uint32(8), np.uint32(9)) for i in range(40_000)])
    counts = np.bincount((draws * 50).astype(int), minlength=50)
    assert float(((counts - 800) ** 2 / 800).sum()) < 100, "chi-squared of 49 degrees"
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 5 / math.sqrt(40_000)
    assert abs(np.corrcoef(draws, others)[0, 1]) < 5 / math.sqrt(40_000)
    s = np.linspace(-9, 9, 3001).astype(np.float32)
    assert np.abs(np.array([_chance(x) for x in s]) - ndtr(s)).max() < 1e-6


def test_offsets_and_noise_of_comparators_are_volts_at_the_input() -> None:
    """A column sees ``offset / volts_per_z``; a reference at half its design weighs it twice."""
    volts, count = 0.05, 4000
    for adc in (LinearRamp(offset_V=0.01), SAR(offset_V=0.01), SenseAmp(offset_V=0.01)):
        bits, levels = (1, "mid_rise") if isinstance(adc, SenseAmp) else (12, "mid_tread")
        converter = built(adc, Grid(bits, -4.0, 4.0, levels), count=count, volts=volts)  # type: ignore[arg-type]
        z = torch.zeros(count, 1, 1, 1)
        for gain in (1.0, 2.0):
            if bits == 1:
                share = float(converter.codes(z + 0.1, None, noise_of(1, count), gain).float().mean())
                assert share == pytest.approx(ndtr(0.1 * volts / 0.01), abs=5 * 0.5 / math.sqrt(count))
                continue
            words = converter.words(converter.codes(z, None, noise_of(1, count), gain)[:, 0])
            wanted = gain * 0.01 / volts
            assert float(words.std()) == pytest.approx(wanted, rel=5 / math.sqrt(2 * count))
    noisy = built(LinearRamp(noise_V=0.01), Grid(12, -4.0, 4.0), volts=volts)
    z = torch.full((1, 40_000, 1, 1), 0.3)
    words = noisy.words(noisy.codes(z, None, noise_of(40_000))[0])
    assert float(words.std()) == pytest.approx(0.01 / volts, rel=5 / math.sqrt(80_000))


def test_read_noise_of_the_array_reaches_every_converter() -> None:
    z = torch.full((1, 20_000, 1, 1), 0.2)
    for adc in of(10):
        converter = built(adc, Grid(10, -4.0, 4.0))
        words = converter.words(converter.codes(z, torch.full_like(z, 0.09), noise_of(20_000))[0])
        assert float(words.std()) == pytest.approx(0.3, rel=5 / math.sqrt(40_000)), adc


def test_encoders_of_a_flash_converter_read_bubbles_as_they_say() -> None:
    """Thresholds 1, 3, 2 (in LSB from code 0): between 2 and 3 the thermometer is 1 0 1."""
    table = torch.tensor([[[[1.0, 3.0, 2.0]]]])
    converter = built(Flash(), Grid(2, 0.0, 4.0, "mid_rise"))
    z = torch.tensor([0.5, 1.5, 2.5, 3.5])
    wanted = {"ones": [0, 1, 2, 3], "first_zero": [0, 1, 1, 3], "highest_one": [0, 1, 3, 3]}
    for encoder, codes in wanted.items():
        for noise_V in (0.0, 1e-6):
            changed = type(converter)(
                converter.grid,
                converter.bank,
                table,
                torch.zeros(1, 1, 1, 3),
                noise_V,
                encoder,  # type: ignore[call-arg]
            )
            assert codes_of(changed, z)[0, :, 0].tolist() == codes, (encoder, noise_V)


def test_flash_thresholds_err_by_their_comparators_and_ladder() -> None:
    count, bits = 3000, 4
    offsets = built(Flash(offset_V=0.02), Grid(bits, -1.0, 1.0), count=count, volts=0.5)
    shift = (offsets.offset_V[:, 0, 0] / 0.5).std(0)  # type: ignore[attr-defined]
    assert float((shift / 0.04 - 1).abs().max()) < 5 / math.sqrt(2 * count)
    ladder = built(Flash(resistor_mismatch=0.02), Grid(bits, -1.0, 1.0), count=count).ladder[:, 0, 0]  # type: ignore[attr-defined]
    for code in (2, 8, 13):
        wanted = 0.02**2 * code * (1 - code / 2**bits)
        assert float(ladder[:, code - 1].var()) == pytest.approx(wanted, rel=5 * math.sqrt(2 / count))
    z = torch.full((1, 100_000, 1, 1), 0.06)
    noisy = built(Flash(noise_V=0.03), Grid(bits, -1.0, 1.0))
    mean = float(noisy.codes(z, None, noise_of(100_000)).float().mean())
    assert mean == pytest.approx(sum(ndtr((0.06 - (-1 + (c - 0.5) / 8)) / 0.03) for c in range(1, 16)), abs=0.01)


def test_an_oscillator_counts_whole_periods_with_gain_error_bow_and_jitter() -> None:
    grid, count = Grid(8, 0.0, 256.0), 4000
    z = torch.full((count, 1, 1, 1), 200.0)
    low = built(CCO(gain_error=0.05), grid, count=count).codes(z / 2, None, noise_of(1, count)).double()
    assert float(low.std()) == pytest.approx(100 * 0.05, rel=5 / math.sqrt(2 * count))
    assert float(low.mean()) == pytest.approx(100, abs=5 * 5 / math.sqrt(count))
    middle = torch.tensor([0.0, 128.0, 255.0])
    assert codes_of(built(CCO(nonlinearity=0.02), grid), middle)[0, :, 0].tolist() == [0, 133, 255]
    jitter = built(CCO(jitter=0.3), grid).codes(z.transpose(0, 1), None, noise_of(count)).double()
    assert float(jitter.var()) == pytest.approx(0.3**2 * 200 + 1 / 12, rel=5 * math.sqrt(2 / count))
    floor = codes_of(built(CCO(start_phase=0.0), grid), torch.tensor([9.4, 9.6, 9.999, 10.0]))
    assert floor[0, :, 0].tolist() == [9, 9, 9, 10]


@pytest.mark.parametrize("adc", erring(ADCS, 0.1), ids=named)
def test_chips_and_blocks_beside_move_no_bit(adc: ADC) -> None:
    grid, bank = Grid(min(6, adc.most_bits), -2.0, 2.0, adc.grid_levels), Bank(2, 5, 2)
    z = torch.randn(3, 8, 2, 5, generator=torch.Generator().manual_seed(3))
    whole = adc.build(grid, bank, rng=chips(3)).codes(z, None, BlockNoise(chips(3), [4, 9], 4))
    one = ChipStreams(chips(3).streams[1:2])
    alone = adc.build(grid, bank, rng=one).codes(z[1:2, 4:], None, BlockNoise(one, [9], 4))
    assert torch.equal(whole[1:2, 4:], alone)
    noisy = any("noise" in field.name or "jitter" in field.name for field in fields(adc))
    others = chips(3) if noisy else chips(3, seed=6)
    again = adc.build(grid, bank, rng=others).codes(z, None, BlockNoise(chips(3, seed=6), [4, 9], 4))
    assert not torch.equal(whole, again)


def test_the_registry_is_what_yaml_may_hold() -> None:
    adapter: TypeAdapter[ADC] = TypeAdapter(AnyADC)
    for kind, type_ in ADCS.items():
        assert type(adapter.validate_python({"kind": kind})) is type_
    assert adapter.validate_python({}) == Quantiser()
    assert adapter.validate_json('{"kind": "sar", "noise_V": 0.001}', strict=True) == SAR(noise_V=1e-3)
    with pytest.raises(ValidationError, match="quantiser"):
        adapter.validate_python({"kind": "delta_sigma"})
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        adapter.validate_python({"kind": "sar", "noise_V": -1.0})


def test_what_a_conversion_counts() -> None:
    done = {"conversions": 100.0, "steps": 1500.0, "ramps": 4.0}
    assert SAR().actions("adc_x_5b", 5, **done) == {"adc_x_5b": {"convert": 100.0}}
    ramp = LinearRamp().actions("adc_x_5b", 5, **done)
    lines = {"code_line": {"step": 3200.0}}
    assert ramp == {"comparator": {"step": 1500.0}, "ramp_generator": {"step": 128.0}, **lines}
    assert LinearRamp(shut_off=False).actions("adc_x_5b", 5, **done)["comparator"]["step"] == 3200.0
    assert CCO().actions("adc_x_5b", 5, **done)["oscillator"]["period"] == 1400.0
    assert SenseAmp().actions("adc_x_1b", 1, **done) == {"comparator": {"step": 100.0}}
    assert LinearRamp().instances("a", 5, adcs=3, columns=20, ramps=1) == {"comparator": 20, "ramp_generator": 32}


@pytest.mark.parametrize(
    ("bits", "low", "high", "message"),
    [
        (0, -1.0, 1.0, "bits: 1 to 12 for a converter (got 0)"),
        (13, -1.0, 1.0, "bits: 1 to 12 for a converter (got 13)"),
        (2.5, -1.0, 1.0, "bits: 1 to 12 for a converter (got 2.5)"),
        (True, -1.0, 1.0, "bits: 1 to 12 for a converter (got True)"),
        (8, 1.0, 1.0, "range: two finite numbers, the low end below the high one (got 1, 1)"),
        (8, 2.0, -2.0, "range: two finite numbers, the low end below the high one (got 2, -2)"),
        (8, float("nan"), 1.0, "range: two finite numbers, the low end below the high one (got nan, 1)"),
        (8, torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 2.0]]), "the low end below the high one (got 3, 2)"),
    ],
)
def test_a_grid_that_is_none_is_refused(bits: int, low: float, high: float, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Grid(bits, low, high)
    assert message in str(caught.value)


def test_impossible_converters_are_refused() -> None:
    with pytest.raises(InputError, match=r"bits: 1 for a converter of kind sense_amp \(got 4\)"):
        built(SenseAmp(), Grid(4, -1.0, 1.0))
    with pytest.raises(InputError, match=r"columns_per_adc: at least 1 \(got 0\)"):
        Bank(1, 4, 0)
    with pytest.raises(InputError, match=r"table: thresholds in rising order \(got one that falls after code 2\)"):
        search(torch.zeros(1, 1, 1, 1), torch.tensor([[[[0.0, 2.0, 1.0]]]]), 1, -0.5)
