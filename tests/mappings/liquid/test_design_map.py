"""The design rule of a liquid: memory against delay lines of given length, and what the map depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from devices import ChipStreams, Stream
from mappings.liquid.design_map import Probe, design_map, measured, memory_capacity, spectral_radius
from mappings.liquid.liquid import Liquid
from mho.report import plots_liquid

SOURCE = Stream.root(0).child("rule")
CHIPS = ChipStreams.of(SOURCE, 1)
SMALL = Probe(recordings=8, windows=60, delays=6)


@pytest.mark.parametrize("length", [0, 1, 4])
def test_memory_of_a_delay_line_is_its_length(length: int) -> None:
    draw = np.random.default_rng(0)
    signal = draw.uniform(-1.0, 1.0, (40, 100))
    states = draw.normal(0.0, 1e-3, (40, 100, 12))
    for k in range(length):
        states[..., k] = np.roll(signal, k, axis=1)
    # What is not in the line is noise: of 500 and more samples tested, chance leaves a few hundredths.
    assert memory_capacity(states * 30.0, signal, delays=8) == pytest.approx(length, abs=0.05)


def test_half_noise_halves_memory() -> None:
    draw = np.random.default_rng(1)
    signal = draw.uniform(-1.0, 1.0, (80, 100))
    noisy = signal + draw.normal(0.0, signal.std(), signal.shape)
    assert memory_capacity(noisy[..., None] * 10.0, signal, delays=3) == pytest.approx(0.5, abs=0.06)


def test_spectral_radius_follows_the_circular_law() -> None:
    # Independent weights of variance v fill a disc of radius sqrt(v N); neighbours' differences reach somewhat further.
    how = replace(Liquid(), neurons=400, array_columns=1024, pairing="pairs", array_rows=1024)
    expected = 6.651 * 20.0 * 0.07 / 5.0
    assert spectral_radius(how.map().program(rng=CHIPS))[0] == pytest.approx(expected, rel=0.06)
    assert spectral_radius(how.map().software(rng=CHIPS))[0] == pytest.approx(expected, rel=0.06)


def test_only_weight_scale_over_threshold_matters() -> None:
    how = Liquid(adc_bits=None)
    both = replace(how, gain_per_uS=0.14, neuron=replace(how.neuron, threshold=10.0))
    one = measured(how, SMALL, rng=CHIPS, source=SOURCE)
    other = measured(both, SMALL, rng=CHIPS, source=SOURCE)
    assert vars(one) == pytest.approx(vars(other), rel=1e-3)
    assert 0.03 < one.rate < 0.12


def test_map_marks_the_configured_point_in_its_middle() -> None:
    how = Liquid(inputs=64, neurons=60)
    found = design_map(how, rng=CHIPS, source=SOURCE, probe=SMALL, points=3, reach=2.0)
    assert found.gains_per_uS == pytest.approx([0.035, 0.07, 0.14])
    assert found.thresholds == pytest.approx([2.5, 5.0, 10.0])
    configured = found.configured
    assert (found.rate[1, 1], found.spectral_radius[1, 1], found.memory[1, 1]) == (
        configured.rate,
        configured.spectral_radius,
        configured.memory,
    )
    rises, falls = np.diff(found.rate, axis=1), np.diff(found.rate, axis=0)
    assert np.all((rises > 0) | (found.rate[:, 1:] == 0.0)), "a larger weight fires more, unless both are silent"
    assert np.all((falls < 0) | (found.rate[:-1] == 0.0)), "a higher threshold fires less, unless both are silent"
    assert np.count_nonzero(found.rate) >= 6
    assert found.spectral_radius[0, 0] == pytest.approx(configured.spectral_radius)


def test_picture_has_three_panels_with_the_point_marked() -> None:
    from matplotlib.figure import Figure

    found = design_map(Liquid(inputs=64, neurons=60), rng=CHIPS, source=SOURCE, probe=SMALL, points=3)
    figure = Figure()
    for ax, draw in zip(
        figure.subplots(1, 3), (plots_liquid.rate, plots_liquid.radius, plots_liquid.memory), strict=True
    ):
        draw(ax, found)
        (point,) = [line for line in ax.lines if line.get_label() == "configured"]
        assert point.get_xdata()[0] == pytest.approx(0.07)
        assert point.get_ydata()[0] == pytest.approx(5.0)
        assert ax.get_xlabel() == "weight scale [1/µS]"
