"""The leaky integrate-and-fire neuron against a few lines of NumPy, its closed forms, and its circuit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from devices import ChipStreams, Stream
from periphery.neurons.lif import LIF, MembraneCapacitor, Neurons
from periphery.prices.component import component

FLOATS = st.floats(-3.0, 3.0)


def streams(chips: int | list[int], seed: int = 0) -> ChipStreams:
    return ChipStreams.of(Stream.root(seed).child("lif"), chips)


def inputs(chips: int, n: int, steps: int, neurons: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    draw = np.random.default_rng(seed).normal(0.3, scale, (chips, n, steps, neurons))
    return torch.from_numpy(draw.astype(np.float32))


def paper(x: np.ndarray, recurrent: np.ndarray, threshold: np.ndarray, decay: float) -> np.ndarray:
    """The update as the facts state it, one recording, in double precision."""
    membrane, spike = np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    spikes = []
    for row in x:
        membrane = decay * membrane * (1 - spike) + row + spike @ recurrent
        spike = (membrane > threshold).astype(float)
        spikes.append(spike)
    return np.array(spikes)


def stepped(neurons: Neurons, x: torch.Tensor, recurrent: torch.Tensor | None, xi: torch.Tensor | None) -> torch.Tensor:
    state, spikes = neurons.rest(x.shape[1]), []
    for t in range(x.shape[2]):
        now = x[:, :, t] if recurrent is None else x[:, :, t] + state.spikes @ recurrent
        state = neurons.step(state, now, None if xi is None else xi[:, :, t])
        spikes.append(state.spikes)
    return torch.stack(spikes, dim=2)


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.97, 1.0])
def test_update_equals_the_papers_equations(decay: float) -> None:
    chips, n, steps, count = 2, 3, 50, 20
    x = inputs(chips, n, steps, count)
    recurrent = inputs(1, chips, count, count, seed=1, scale=0.4)[0] - 0.35
    neurons = LIF(decay=decay, threshold=1.7, threshold_sigma=0.2).build(count, rng=streams(chips))
    fired = neurons.run(x, recurrent, record=True)
    assert fired.spikes is not None
    for chip in range(chips):
        for row in range(n):
            expected = paper(
                x[chip, row].double().numpy(),
                recurrent[chip].double().numpy(),
                neurons.threshold[chip].double().numpy(),
                decay,
            )
            assert 0.02 < expected.mean() < 0.9
            np.testing.assert_array_equal(fired.spikes[chip, row].numpy(), expected)
    np.testing.assert_array_equal(fired.counts, fired.spikes.sum(2))
    assert fired.rate == pytest.approx(float(fired.spikes.double().mean()))


@pytest.mark.parametrize("how", [LIF(), LIF(threshold=1.0, residue=0.3, noise=0.4, refractory_steps=2, decay=0.8)])
@pytest.mark.parametrize("recurs", [False, True])
def test_compiled_run_and_single_steps_fire_alike(how: LIF, recurs: bool) -> None:
    x = inputs(2, 4, 60, 16, scale=2.0)
    recurrent = inputs(1, 2, 16, 16, seed=3, scale=0.5)[0] if recurs else None
    xi = inputs(2, 4, 60, 16, seed=5)
    neurons = how.build(16, rng=streams(2))
    fired = neurons.run(x, recurrent, xi=xi, record=True)
    assert fired.spikes is not None
    assert fired.rate > 0.01
    np.testing.assert_array_equal(fired.spikes.float(), stepped(neurons, x, recurrent, xi))
    assert torch.equal(neurons.run(x, recurrent, xi=xi).counts, fired.counts)


def firing_interval(how: LIF, x: float) -> float:
    """Steps from spike to spike under a constant input ``x``; infinite where it never reaches the threshold.

    From rest, k steps bring ``x (1 - decay^k) / (1 - decay)``; the reset is hard, without noise or spread.
    """
    top = math.inf if how.decay == 1.0 else x / (1.0 - how.decay)
    if x <= 0.0 or top <= how.threshold:
        return math.inf
    if how.decay == 1.0:
        steps = how.threshold / x
    else:
        steps = 0.0 if how.decay == 0.0 else math.log1p(-how.threshold / top) / math.log(how.decay)
    return math.floor(steps * (1.0 + 1e-12)) + 1 + how.refractory_steps


@given(
    x=st.floats(0.05, 20.0),
    decay=st.sampled_from([0.0, 0.5, 0.9, 0.97, 1.0]),
    refractory=st.integers(0, 4),
)
def test_firing_interval_of_a_constant_input_is_the_closed_form(x: float, decay: float, refractory: int) -> None:
    how = LIF(decay=decay, threshold=5.0, refractory_steps=refractory)
    interval = firing_interval(how, x)
    top = math.inf if decay == 1.0 else x / (1 - decay)
    # On the very edge, where the membrane meets the threshold to single precision, rounding decides.
    levels = x * np.cumsum(decay ** np.arange(400.0)) if decay else np.full(400, x)
    if np.min(np.abs(levels - 5.0)) < 1e-4 or abs(top - 5.0) < 1e-4:
        return
    fired = how.build(1, rng=streams(1)).run(torch.full((1, 1, 400, 1), x), record=True)
    assert fired.spikes is not None
    times = np.flatnonzero(fired.spikes.numpy())
    if math.isinf(interval):
        assert len(times) == 0
    else:
        assert times[0] == interval - refractory - 1
        assert set(np.diff(times)) <= {int(interval)}
        assert len(times) == 1 + (399 - times[0]) // interval


def test_threshold_spread_is_drawn_once_a_chip_and_by_chip() -> None:
    how = LIF(threshold=5.0, threshold_sigma=0.25)
    threshold = how.build(4000, rng=streams(8)).threshold.double()
    error = 0.25 / math.sqrt(threshold.numel())
    assert abs(float(threshold.mean()) - 5.0) < 4 * error
    assert float(threshold.std()) == pytest.approx(0.25, rel=4 / math.sqrt(2 * threshold.numel()))
    assert abs(float(torch.corrcoef(threshold[:2])[0, 1])) < 4 / math.sqrt(4000)
    torch.testing.assert_close(how.build(4000, rng=streams([5])).threshold[0].double(), threshold[5], rtol=0, atol=0)
    assert torch.equal(LIF().build(3, rng=streams(2)).threshold, torch.full((2, 3), 5.0))


def test_noise_spreads_a_decision_as_the_normal_distribution_says() -> None:
    how = LIF(decay=0.0, threshold=1.0, noise=0.5)
    xi = inputs(1, 1, 40_000, 1)
    xi = (xi - xi.mean()) / xi.std()
    rate = how.build(1, rng=streams(1)).run(torch.full((1, 1, 40_000, 1), 0.7), xi=xi).rate
    expected = 0.5 * math.erfc((1.0 - 0.7) / 0.5 / math.sqrt(2))
    assert rate == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 40_000))


def test_a_reset_leaves_its_residue() -> None:
    neurons = LIF(decay=0.5, threshold=1.0, residue=0.25).build(1, rng=streams(1))
    state = neurons.step(neurons.rest(1), torch.full((1, 1, 1), 4.0))
    assert float(state.spikes) == 1.0
    assert float(neurons.step(state, torch.zeros(1, 1, 1)).membrane) == pytest.approx(0.5 * 0.25 * 4.0)


def test_the_callers_input_and_state_stay_as_they_were() -> None:
    neurons = LIF(threshold=0.5, refractory_steps=1).build(3, rng=streams(1))
    x, start = inputs(1, 2, 5, 3), neurons.rest(2)
    before = x.clone()
    neurons.run(x)
    neurons.step(start, x[:, :, 0])
    assert torch.equal(x, before)
    assert not start.membrane.any()
    assert not start.waiting.any()


@given(
    c=st.floats(0.05e-12, 50e-12), tau=st.floats(20e-9, 1e-3), t=st.floats(5e-9, 1e-6), current=st.floats(1e-8, 1e-4)
)
def test_capacitor_follows_the_differential_equation(c: float, tau: float, t: float, current: float) -> None:
    circuit = MembraneCapacitor(c_membrane_F=c, g_leak_S=c / tau, t_step_s=t)
    assert circuit.decay == pytest.approx(math.exp(-t / tau))
    fine = np.exp(-np.linspace(0.0, t, 20_001) / tau) * current / c
    assert circuit.ohms * current == pytest.approx(np.trapezoid(fine, dx=t / 20_000), rel=1e-6)


@given(decay=st.floats(0.3, 1.0), threshold=st.floats(0.1, 50.0), unit=st.floats(1e-9, 1e-5))
def test_a_circuit_sized_for_a_neuron_is_that_neuron(decay: float, threshold: float, unit: float) -> None:
    lif = LIF(decay=decay, threshold=threshold, threshold_sigma=0.1, noise=0.02, residue=0.1, refractory_steps=3)
    back = MembraneCapacitor.of(lif, unit_A=unit, t_step_s=50e-9).lif(unit)
    for name in ("decay", "threshold", "threshold_sigma", "noise", "residue"):
        assert getattr(back, name) == pytest.approx(getattr(lif, name), rel=1e-9), name
    assert back.refractory_steps == 3


def test_volts_and_units_of_input_fire_alike() -> None:
    circuit = MembraneCapacitor(v_threshold_sigma_V=0.0, v_noise_V=0.0)
    current = inputs(1, 4, 80, 10, scale=2.0) * 1e-5
    unit = 1e-6
    fired = circuit.lif(unit).build(10, rng=streams(1)).run(current / unit, record=True)
    assert fired.spikes is not None
    volts = paper(current[0, 2].double().numpy() * circuit.ohms, np.zeros((10, 10)), 0.45, circuit.decay)
    assert volts.mean() > 0.02
    np.testing.assert_array_equal(fired.spikes[0, 2], volts)
    assert circuit.decay == pytest.approx(0.9, abs=1e-3)


def test_what_neurons_do_is_priced_by_records_that_exist() -> None:
    digital, analog = LIF(), MembraneCapacitor()
    for counts in (digital.actions(1e4, 300, 50), analog.actions(1e4, 300, 50)):
        for name, actions in counts.items():
            for action, count in actions.items():
                assert component(name).price(action).energy_J * count > 0.0
    for count in (digital.instances(200, 50), analog.instances(200, 50)):
        assert all(component(name).area_m2 * n >= 0.0 for name, n in count.items())

    assert analog.actions(1e4, 300, 50)["membrane"] == {"reset": 300}, "the charge is what front ends draw"
    assert digital.actions(1e4, 300, 50)["register"]["write_bit"] == pytest.approx(1e4 * 16 + 300 * (2 - 2 ** (1 - 6)))


def test_counter_turns_over_as_many_bits_as_a_binary_counter() -> None:
    turned = np.mean([bin(value ^ (value + 1) % 2**12).count("1") for value in range(2**12)])
    assert LIF().actions(0, 1, 2**12 - 1)["register"]["write_bit"] == pytest.approx(turned)


def test_a_decay_that_no_capacitor_has_is_refused() -> None:
    with pytest.raises(ValueError, match="decay: allowed is more than 0 for a capacitor"):
        MembraneCapacitor.of(LIF(decay=0.0), unit_A=1e-6)
