"""Word-line drivers: numbers as pulse widths, as heights, as bits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from devices import BlockNoise, ChipStreams, InputError, Stream
from periphery import DRIVERS, AmplitudeDAC, AnyDriver, BitSerial, Driver, PWMDriver
from periphery.prices.component import load_components
from tests.registry import erring, every, named


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


def chips(count: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(11), count)


ALL = [*every(DRIVERS), BitSerial(signed="twos_complement", bit_clocks=3)]


@pytest.mark.parametrize("driver", ALL, ids=named)
@given(bits=st.integers(2, 10))
def test_every_driver_stands_for_the_same_numbers(driver: Driver, bits: int) -> None:
    x = torch.linspace(-1.5, 1.5, 101)
    counts = driver.counts(x, bits)
    assert torch.equal(counts, PWMDriver().counts(x, bits))
    assert driver.exact
    top = float(2 ** (bits - 1) - 1)
    assert float(driver.driven_clocks(counts, bits).max()) <= driver.drive_clocks(bits)
    assert float(driver.charge_counts(counts, bits).max()) <= driver.drive_clocks(bits)
    for quiet in (driver.charge_counts, driver.pulses, driver.levels_V, driver.driven_clocks):
        assert float(quiet(torch.zeros(1), bits)) == 0.0
    assert float(driver.levels_V(torch.tensor([-top]), bits)) == pytest.approx(driver.v_read_V)
    same = driver.build(4, bits, rng=chips(2)).driven(
        counts[None, :100].reshape(1, 25, 4), BlockNoise(chips(2), [0], 25)
    )
    assert torch.equal(same, counts[:100].reshape(1, 25, 4))


@given(bits=st.integers(2, 10), data=st.data())
def test_bits_add_up_to_the_number_and_their_noise_to_its_square(bits: int, data: st.DataObject) -> None:
    top = 2 ** (bits - 1) - 1
    numbers = data.draw(st.lists(st.integers(-top, top), min_size=1, max_size=20))
    counts = torch.tensor(numbers, dtype=torch.float64)
    for signed, phases in (("two_phases", 2 * (bits - 1)), ("twos_complement", bits)):
        driver = BitSerial(signed=signed, bit_clocks=2)  # type: ignore[arg-type]
        planes, weights = driver.planes(counts, bits), torch.tensor(driver.weights(bits), dtype=torch.float64)
        assert planes.shape[0] == driver.phases(bits) == phases
        assert torch.equal((weights[:, None] * planes).sum(0), counts)
        noise = driver.noise_planes(counts, bits)
        torch.testing.assert_close((weights.square()[:, None] * noise).sum(0), counts.square())
        assert torch.all(noise[planes == 0] == 0.0)
        assert torch.equal(driver.charge_counts(counts, bits), 2.0 * planes.sum(0))
        if signed == "two_phases":
            assert float(noise.max()) <= 3.0


def test_white_noise_counts_each_phase_by_the_square_of_its_weight() -> None:
    """The charge of one count and the white noise of a product, in clock periods at V_read."""
    assert (PWMDriver().count_clocks(5), PWMDriver().white_clocks(5)) == (1.0, 30.0)
    serial = BitSerial(bit_clocks=2)
    assert (serial.count_clocks(5), serial.white_clocks(5)) == (2.0, 2.0 * 2.0 * (1 + 4 + 16 + 64))
    dac = AmplitudeDAC(pulse_clocks=8)
    assert (dac.count_clocks(5), dac.white_clocks(5)) == (8.0 / 15.0, 16.0)
    assert PWMDriver().polarity_turns
    assert not BitSerial(signed="twos_complement").polarity_turns
    assert not AmplitudeDAC(signed="bipolar").polarity_turns


def test_times_of_the_drivers() -> None:
    assert [PWMDriver().drive_clocks(5), PWMDriver().phases(5)] == [30, 2]
    dac = AmplitudeDAC(settle_s=2.5e-9, t_clk_s=1e-9, pulse_clocks=8)
    assert [dac.drive_clocks(5), dac.drive_clocks(8)] == [22, 22], "the same time whatever the resolution"
    assert AmplitudeDAC(settle_s=2e-9, signed="bipolar").drive_clocks(5) == 10
    assert BitSerial().drive_clocks(8) == 14
    assert BitSerial(signed="twos_complement", bit_clocks=4).drive_clocks(8) == 32
    assert [driver for driver in ALL if driver.digital_accumulation] == [BitSerial(accumulation="digital")]


def test_charge_of_an_amplitude_goes_with_the_voltage() -> None:
    """From a rail at V_read a level costs what its charge does: 218 pJ in the audited case, not 107 by the square."""
    dac = AmplitudeDAC(settle_s=2e-9, pulse_clocks=8)
    counts = torch.tensor([0.0, 5.0, -10.0, 15.0])
    torch.testing.assert_close(dac.levels_V(counts, 5), torch.tensor([0.0, 1 / 3, 2 / 3, 1.0]) * 0.2)
    volts = dac.levels_V(counts, 5) / dac.v_read_V
    torch.testing.assert_close(dac.charge_counts(counts, 5), volts * 10.0)


def test_nonlinearity_of_a_string_of_elements_is_largest_in_its_middle() -> None:
    """Variance of level k: ``e^2 k (1 - k / top)``; both ends are exact; offset and noise in counts."""
    bits, count, mismatch = 6, 3000, 0.03
    top = 31
    levels = AmplitudeDAC(element_mismatch=mismatch).build(1, bits, rng=chips(count)).levels
    assert levels is not None
    assert bool((levels[..., 0] == 0).all())
    torch.testing.assert_close(levels[..., top], torch.full((count, 1), 31.0))
    for k in (5, 15, 25):
        wanted = mismatch**2 * k * (1 - k / top)
        assert float(levels[:, 0, k].var()) == pytest.approx(wanted, rel=0.02 + 5 * (2 / count) ** 0.5)
    driver = AmplitudeDAC(offset_V=2e-3, noise_V=1e-3)
    assert not driver.exact
    counts = torch.tensor([-12.0, 0.0, 12.0]).expand(1, 2000, 3)
    built = driver.build(3, bits, rng=chips(200))
    driven = built.driven(counts, BlockNoise(chips(200), [0], 2000))
    assert driven.shape == (200, 2000, 3)
    assert bool((driven[..., 1] == 0).all())
    per_V = top / driver.v_read_V
    assert float(driven.std(1)[:, 0].mean()) == pytest.approx(1e-3 * per_V, rel=0.02)
    assert float(driven.mean(1)[:, 2].std()) == pytest.approx(2e-3 * per_V, rel=5 / 400**0.5)
    assert float(driven.mean(1)[:, 0].mean()) == pytest.approx(-12, abs=0.2)
    alone = driver.build(3, bits, rng=ChipStreams(chips(200).streams[7:8]))
    assert alone.levels is not None
    assert built.levels is not None
    assert torch.equal(alone.levels[0], built.levels[7])


@pytest.mark.parametrize("signed", ["two_phases", "bipolar"])
def test_a_buffers_offset_turns_with_the_integrator_and_not_with_the_input(signed: str) -> None:
    """In two phases the integrator's polarity turns for negative inputs, and the offset with it; bipolar levels stand
    on one side of their offset whatever their sign."""
    built = AmplitudeDAC(signed=signed, offset_V=5e-3).build(4, 5, rng=chips(3))  # type: ignore[arg-type]
    up, none, down = (built.driven(torch.full((1, 1, 4), float(n)), BlockNoise(chips(3), [0], 1)) for n in (9, 0, -9))
    assert bool((up != 9).all())
    assert bool((none == 0).all())
    torch.testing.assert_close(down + 9, up - 9 if signed == "bipolar" else 9 - up)


def test_jitter_of_two_edges_widens_every_pulse() -> None:
    driver = PWMDriver(edge_jitter_s=0.1e-9)
    counts = torch.tensor([0.0, 7.0]).expand(1, 50_000, 2)
    driven = driver.build(2, 5, rng=chips(1)).driven(counts, BlockNoise(chips(1), [0], 50_000))
    assert bool((driven[..., 0] == 0).all())
    assert float(driven[..., 1].std()) == pytest.approx(2**0.5 * 0.1, rel=5 / 100_000**0.5)


@pytest.mark.parametrize("driver", erring(DRIVERS, 0.1), ids=named)
def test_lines_of_other_chips_move_no_bit(driver: Driver) -> None:
    counts, few = driver.counts(torch.linspace(-1.0, 1.0, 24), 5).reshape(1, 8, 3), ChipStreams(chips(4).streams[2:3])
    many, alone = (driver.build(3, 5, rng=rng).driven(counts, BlockNoise(rng, [7, 9], 4)) for rng in (chips(4), few))
    assert torch.equal(many[2:3], alone)
    assert not torch.equal(many[:1], many[1:2])
    assert not driver.exact


@pytest.mark.parametrize("driver", ALL, ids=named)
def test_what_drivers_do_and_need_has_a_price(driver: Driver) -> None:
    records = load_components()
    for name, actions in driver.actions(5, rows=72, pulses=30, clocks=200).items():
        for action, count in actions.items():
            assert records[name].price(action).energy_J > 0
            assert count > 0
    assert all(records[name].area_m2 > 0 and count > 0 for name, count in driver.instances(5, rows=72).items())


def test_the_pulse_width_driver_counts_what_it_always_did() -> None:
    counted = PWMDriver().actions(5, rows=72, pulses=30, clocks=200)
    assert counted == {"pwm_driver": {"compare_bit": 1000, "load_bit": 360}, "code_line": {"step": 72 * 30}}
    assert PWMDriver().instances(5, rows=72) == {"pwm_driver": 360}


def test_the_registry_is_what_yaml_may_hold() -> None:
    adapter: TypeAdapter[Driver] = TypeAdapter(AnyDriver)
    for kind, type_ in DRIVERS.items():
        assert type(adapter.validate_python({"kind": kind})) is type_
    assert adapter.validate_json('{"x_max": 2}', strict=True) == PWMDriver(x_max=2.0)
    with pytest.raises(ValidationError, match="'pwm', 'amplitude', 'bit_serial'"):
        adapter.validate_python({"kind": "pulse_density"})
    with pytest.raises(ValidationError, match="two_phases"):
        adapter.validate_python({"kind": "pwm", "signed": "twos_complement"})


@pytest.mark.parametrize("bits", [0, 1, 13, 2.5])
@pytest.mark.parametrize("driver", ALL, ids=named)
def test_bits_out_of_reach_are_refused(driver: Driver, bits: int) -> None:
    for use in (lambda: driver.counts(torch.ones(2), bits), lambda: driver.phases(bits), lambda: driver.lsb(bits)):
        with pytest.raises(InputError, match=rf"bits: 2 to 12 for a signed input \(got {bits}\)"):
            use()


@pytest.mark.parametrize(
    "driver",
    [
        PWMDriver(),
        BitSerial(),
        BitSerial(signed="twos_complement", bit_clocks=3),
        AmplitudeDAC(),
        AmplitudeDAC(signed="bipolar"),
    ],
    ids=lambda driver: f"{driver.kind}-{driver.signed}",
)
def test_paired_clocks_are_the_time_for_which_two_lines_are_driven_at_once(driver: AnyDriver) -> None:
    """Phase by phase and clock by clock."""
    counts = torch.tensor([[3.0, -2.0, 0.0, 7.0, 7.0, -7.0], [1.0, 1.0, 1.0, -1.0, 2.0, 5.0]])
    if isinstance(driver, AmplitudeDAC):
        signs = [counts] if driver.signed == "bipolar" else [counts.clamp(min=0), counts.clamp(max=0)]
        moments = torch.stack(signs).double() / 7 * math.sqrt(driver.phase_clocks)
    elif isinstance(driver, BitSerial):
        moments = driver.planes(counts, 4).double() * math.sqrt(driver.bit_clocks)
    else:
        moments = torch.stack([(sign * counts > clock).double() for sign in (1, -1) for clock in range(7)])
    pairs = moments.sum(-1).square() - moments.square().sum(-1)
    torch.testing.assert_close(driver.paired_clocks(counts, 4), pairs.sum(0))
