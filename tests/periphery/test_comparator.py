"""A comparator's offset and noise follow from what it costs."""

from __future__ import annotations

import math

import pytest

from periphery import Comparator
from periphery.prices.component import component


def test_offset_follows_from_the_area_of_the_pair() -> None:
    """At 16 nm 1 mV um over the root of 0.25 um2, of which auto-zeroing leaves a quarter; four times the area, half."""
    assert Comparator().offset_sigma_V(16.0) == pytest.approx(0.5e-3)
    assert Comparator(pair_um2=1.0).offset_sigma_V(16.0) == pytest.approx(0.25e-3)
    assert Comparator(pair_um2=1.0).pair_area_um2 == pytest.approx(4 * Comparator().pair_area_um2)
    assert Comparator(A_VT_Vum=3e-3, autozero=1.0).offset_sigma_V(65.0) == pytest.approx(6e-3)


def test_noise_follows_from_the_energy_of_a_decision() -> None:
    """kT / C of what 10.45 fJ charge to 0.85 V, 14.5 fF: 0.535 mV; four times the energy, half."""
    listed_J = component("comparator").at(16.0).price("step").energy_J
    wanted = 0.85 * math.sqrt(1.380649e-23 * 300.0 / listed_J)
    assert Comparator().noise_sigma_V(16.0) == pytest.approx(wanted) == pytest.approx(0.535e-3, rel=2e-3)
    assert Comparator(step_J=4 * listed_J).noise_sigma_V(16.0) == pytest.approx(wanted / 2)
    assert Comparator(step_J=4 * listed_J).step_share(16.0) == pytest.approx(4.0)
    assert Comparator(temperature_K=600.0).noise_sigma_V(16.0) == pytest.approx(wanted * math.sqrt(2.0))


def test_measured_numbers_stand_before_the_law() -> None:
    measured = Comparator(offset_V=2e-3, noise_V=0.0)
    assert measured.offset_sigma_V(130.0) == 2e-3
    assert measured.noise_sigma_V(130.0) == 0.0
    assert Comparator().idealised().noise_sigma_V(16.0) == Comparator().idealised().offset_sigma_V(16.0) == 0.0
