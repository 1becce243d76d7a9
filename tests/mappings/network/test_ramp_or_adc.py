"""Ramp and ordinary converters over all price models: who is below whom, and by what part of the step."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from benchmarks.ramp_or_adc import BITS, RATES, cheaper, conventional, draw, meeting, ramp, span
from benchmarks.studies import FOLDER, RC
from configs.errors import InputError
from periphery.prices.adc import ADC_PRICES, adc_price


def test_every_model_is_asked_at_every_rate_that_it_prices() -> None:
    found = {(one.model, one.rate_per_s) for one in conventional(5)}
    for name in ADC_PRICES:
        for rate in RATES:
            try:
                adc_price(name).price(5, rate, 16.0)
            except InputError:
                assert (name, rate) not in found
                assert meeting(name, rate, "energy_J") == "not priced"
            else:
                assert (name, rate) in found
    assert {one.model for one in conventional(5)} == set(ADC_PRICES)


@pytest.mark.parametrize("bits", BITS)
def test_the_converter_moves_what_it_should_and_nothing_else(bits: int) -> None:
    """Prices of one conversion move a step by less than all that both share; eight columns take turns of 100 ns."""
    low, high = span(bits, "energy_J")
    assert 0.0 < low.cost["energy_J"] < high.cost["energy_J"] < 4.0 * low.cost["energy_J"]
    (slow, fast) = (
        one.cost["latency_s"] for one in conventional(bits) if one.model == "isaac2016" and one.rate_per_s in (1e7, 1e9)
    )
    assert slow - fast == pytest.approx(8 * (100e-9 - 1e-9))


def test_the_ramp_pays_for_its_steps_as_bits_grow() -> None:
    """2^n steps: below some converters at 4 and 5 bits, above all of them in energy at 8."""
    assert cheaper(4, "energy_J") > 0.0
    assert cheaper(8, "energy_J") == 0.0
    assert cheaper(4, "area_m2") > cheaper(8, "area_m2")
    assert cheaper(3, "latency_s") == 1.0
    costs = [ramp(bits)["energy_J"] for bits in BITS]
    assert all(1.5 < after / before < 2.5 for before, after in pairwise(costs[1:]))


def test_the_figure_is_drawn_from_these_costs_and_ships() -> None:
    figure = Figure(figsize=(9.0, 3.2))
    with mpl.rc_context(RC):
        draw(figure)
    energy, area, rates = figure.axes
    (line,) = energy.lines
    assert list(line.get_ydata()) == pytest.approx([ramp(bits)["energy_J"] * 1e9 for bits in BITS])
    assert "mm2" in area.get_ylabel()
    assert {one.get_label() for one in rates.lines} == {"ramp", *ADC_PRICES}
    assert 5_000 < (FOLDER / "ramp_or_adc.svg").stat().st_size < 150_000
