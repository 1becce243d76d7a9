"""The interval of a cost against the quantiles of one and of two log-uniform prices."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mappings.cost import CostLine
from mappings.price_spread import spread
from periphery.prices.component import Price
from periphery.prices.ranges import price_ranges

LINE = CostLine(
    variant="v", layer="l", component="a", group="adc", action="run", count=1.0, unit_energy_J=1e-9, energy_J=1e-9,
    node_nm=16, status="derived", source="made up", low_factor=0.5, high_factor=2.0,
)  # fmt: skip
AREA = replace(LINE, action="", count=0.0, energy_J=0.0, instances=1.0, area_m2=1e-9)


def test_one_price_gives_the_quantiles_of_a_log_uniform_number() -> None:
    low, high = spread([LINE, AREA], 1e-6, 1000.0)["energy_J"]
    assert low == pytest.approx(1e-9 * 0.5 * 4**0.05, rel=0.03)
    assert high == pytest.approx(1e-9 * 0.5 * 4**0.95, rel=0.03)


def test_efficiency_is_the_energy_turned_round() -> None:
    found = spread([LINE, AREA], 1e-6, 1000.0)
    low, high = found["energy_J"]
    assert found["tops_per_W"] == pytest.approx((1000e-12 / high, 1000e-12 / low), rel=1e-3)
    assert found["power_W"] == pytest.approx((low / 1e-6, high / 1e-6))


def test_lines_of_one_record_move_together_and_those_of_two_partly_cancel() -> None:
    same, apart = [LINE, LINE], [LINE, replace(LINE, component="b")]
    widths = [
        math.log(high / low) for lines in (same, apart) for low, high in [spread([*lines, AREA], 1e-6, 1.0)["energy_J"]]
    ]
    assert widths[0] == pytest.approx(0.9 * math.log(4.0), rel=0.03)
    assert widths[1] < 0.85 * widths[0]


def test_leakage_of_all_circuits_moves_as_one_process() -> None:
    first = replace(LINE, action="leakage")
    low, high = spread([first, replace(first, component="b"), AREA], 1e-6, 1.0)["energy_J"]
    assert math.log(high / low) == pytest.approx(0.9 * math.log(4.0), rel=0.03)


def test_an_exact_price_spreads_nothing_and_the_seed_decides_the_draws() -> None:
    exact = replace(LINE, low_factor=1.0, high_factor=1.0)
    assert spread([exact, AREA], 1e-6, 1.0)["energy_J"] == (1e-9, 1e-9)
    assert spread([LINE, AREA], 1e-6, 1.0) == spread([LINE, AREA], 1e-6, 1.0)
    assert spread([LINE, AREA], 1e-6, 1.0) != spread([LINE, AREA], 1e-6, 1.0, seed=1)


def test_a_price_without_a_range_takes_that_of_its_status_and_a_range_encloses_its_number() -> None:
    price = Price(energy_J=2e-12, unit="run", status="estimate", source="estimate: a guess")
    factor = price_ranges().factors["estimate"]
    assert price.span == (1 / factor, factor)
    assert replace(price, low=1e-12, high=8e-12).span == pytest.approx((0.5, 4.0))
    assert replace(price, low=1e-12, high=8e-12).times(3.0).span == pytest.approx((0.5, 4.0))
    with pytest.raises(ValueError, match=r"low and high: around energy_J, 2e-12 \(got 3e-12 to 8e-12\)"):
        replace(price, low=3e-12, high=8e-12)
    with pytest.raises(ValueError, match="low and high: both or neither"):
        replace(price, low=1e-12)
