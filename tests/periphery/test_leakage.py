"""Leakage by library against the Liberty files that the libraries' figures were read from."""

from __future__ import annotations

import pytest

from periphery.prices.component import load_components
from periphery.prices.leakage import leakage_libraries, with_library

SHIPPED = load_components()


def test_an_inverter_of_the_low_power_library_leaks_217_times_more_at_100_celsius() -> None:
    # 5.3 pW at 25 C and 1.16 nW at 100 C; the coefficient is that quotient, to three digits.
    sky = leakage_libraries()["sky130_lp"]
    assert sky.temperature_factor(373.0) / sky.temperature_factor(298.0) == pytest.approx(1.16e-9 / 5.3e-12, rel=0.02)


@pytest.mark.parametrize(
    ("library", "um2", "watts"),
    [("ihp130", 47.0, 539e-12), ("asap7_rvt", 0.29, 115e-12), ("nangate45", 4.5, 79e-9), ("sky130_lp", 20.0, 8.4e-12)],
)
def test_a_flip_flops_leakage_per_area_agrees_with_its_library_within_a_factor(
    library: str, um2: float, watts: float
) -> None:
    # The libraries' figures per area are means or a NAND2's; the flip-flop was not used.
    stated = next(each for name, each in leakage_libraries().items() if name == library)
    assert 1 / 2 < watts / (um2 * 1e-12) / stated.W_per_m2 < 2


def test_an_adder_in_another_library_leaks_by_its_area_there() -> None:
    # 32 bits, 278 um2 at 40 nm, are about 10 times larger at 130 nm: 2.8e3 um2 of 0.56 pW.
    sky = with_library(SHIPPED, "sky130_lp", 298.0)["adder"]
    assert 32 * sky.leakage_W == pytest.approx(278 * 10.0 * 0.56e-12, rel=0.5)
    assert sky.at(7).leakage_W == sky.at(130).leakage_W == sky.leakage_W, "the library's own process"
    assert "sky130_lp at 130 nm and 298 K" in sky.leakage.source


def test_libraries_lie_orders_of_magnitude_apart_and_the_named_one_changes_nothing() -> None:
    assert with_library(SHIPPED, "aladdin", 300.0) == SHIPPED
    watts = {name: with_library(SHIPPED, name)["register"].at(16).leakage_W for name in leakage_libraries()}
    assert watts["sky130_lp"] < watts["ihp130"] < watts["asap7_lvt"] < watts["aladdin"] < watts["nangate45"]
    assert 100 < watts["aladdin"] / watts["sky130_lp"] < 10_000


def test_leakage_that_names_no_library_stays_and_all_others_grow_with_temperature() -> None:
    hot = with_library(SHIPPED, "aladdin", 360.0)
    for name, record in SHIPPED.items():
        factor = 1.0 if record.leakage.library is None else 2.29
        assert hot[name].leakage_W == pytest.approx(factor * record.leakage_W)
    assert hot["cell_array"] == SHIPPED["cell_array"]
