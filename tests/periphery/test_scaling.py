from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import InputError
from periphery.prices.scaling import analog_power_law, nominal_supply_V, scale, stillmaker_baas_2017

TABLE = stillmaker_baas_2017()
NODES = sorted(TABLE.nodes)


def test_energy_factors_reproduce_the_papers_erratum_example() -> None:
    # Stillmaker & Baas, erratum: 32 nm HP at 0.9 V and 65 nm at 1.3 V.
    assert TABLE.energy_factor(32, 0.9) == pytest.approx(0.4571, abs=5e-5)
    assert TABLE.energy_factor(65, 1.3) == pytest.approx(2.604, abs=5e-4)


@pytest.mark.parametrize(
    ("node_nm", "energy", "delay"),
    [
        (130, 7.32, 2.56),
        (90, 3.73, 1.89),
        (65, 1.95, 1.53),
        (32, 0.531, 0.669),
        (20, 0.233, 0.757),
        (16, 0.161, 0.512),
        (14, 0.112, 0.361),
        (10, 0.082, 0.307),
        (7, 0.056, 0.259),
    ],
)
def test_ratios_to_45_nm_at_nominal_supply(node_nm: float, energy: float, delay: float) -> None:
    factors = TABLE.scale(45, node_nm)
    assert factors.energy == pytest.approx(energy, rel=0.01)
    assert factors.delay == pytest.approx(delay, rel=0.01)


@pytest.mark.parametrize("outer", NODES)
def test_area_table_is_its_own_inverse_to_two_digits(outer: float) -> None:
    for inner in NODES:
        assert TABLE.area_factor(outer, inner) * TABLE.area_factor(inner, outer) == pytest.approx(1.0, abs=0.06)


def test_area_shrinks_with_every_node() -> None:
    for source in NODES:
        to_smaller = [TABLE.area_factor(source, node) for node in NODES]
        assert to_smaller == sorted(to_smaller)


def test_a_node_between_two_of_the_table_is_interpolated_and_says_so() -> None:
    factors = scale("logic", 40, 16)
    assert "40 nm (nominal supply; interpolated between 45 and 32 nm)" in factors.note
    assert "Stillmaker & Baas 2017, HP" in factors.note
    for name in ("energy", "delay", "area"):
        larger, between, smaller = (getattr(TABLE.scale(node, 16), name) for node in (45, 40, 32))
        assert larger < between < smaller
    tabulated = scale("logic", 45, 16).note
    assert "interpolated" not in tabulated
    assert "45 nm (1 V) -> 16 nm (0.85 V)" in tabulated


@given(st.floats(7, 130), st.floats(7, 130))
def test_scaling_there_and_back_leaves_energy_and_delay(here_nm: float, there_nm: float) -> None:
    there, back = TABLE.scale(here_nm, there_nm), TABLE.scale(there_nm, here_nm)
    assert there.energy * back.energy == pytest.approx(1.0)
    assert there.delay * back.delay == pytest.approx(1.0)


@given(st.floats(0.85, 1.15))
def test_energy_rises_with_supply(relative: float) -> None:
    for node_nm in NODES:
        vdd_V = TABLE.nodes[node_nm].vdd_V * relative
        assert TABLE.energy_factor(node_nm, vdd_V * 1.05) > TABLE.energy_factor(node_nm, vdd_V)


def test_nodes_outside_the_table_are_refused() -> None:
    with pytest.raises(InputError, match=r"node_nm: 7 to 130 nm, the span of the table for digital logic \(got 180\)"):
        scale("logic", 180, 16)
    with pytest.raises(InputError, match=r"node_nm: 7 to 130 nm, the span of the analog scaling rule \(got 5\)"):
        scale("analog", 16, 5)


def test_supplies_far_from_nominal_are_refused() -> None:
    with pytest.raises(InputError, match=r"supply_V: 0.65 to 1.35 V for the fit at 45 nm \(got 1.8\)"):
        scale("logic", 45, 16, 1.8)


def test_low_power_delay_is_not_on_record_below_32_nm() -> None:
    assert TABLE.energy_factor(16, family="LP") == pytest.approx(0.2139 * 0.85**2 - 0.1187 * 0.85 + 0.05639)
    with pytest.raises(InputError, match="no LP delay fit at 16 nm; use HP"):
        TABLE.delay_factor(16, family="LP")


def test_analog_circuits_shrink_less_than_logic() -> None:
    logic, analog = scale("logic", 65, 16), scale("analog", 65, 16)
    assert analog.delay == 1.0
    assert analog.energy > logic.energy * 0.8
    assert analog.energy == pytest.approx((16 / 65) ** 1.880037)
    rule = analog_power_law()
    assert rule.area_exponent == pytest.approx(0.993279 + 0.299124 * 1.880037, abs=1e-3)


def test_rule_none_keeps_the_number_and_says_at_which_node_it_holds() -> None:
    factors = scale("none", 22, 16)
    assert (factors.energy, factors.delay, factors.area) == (1.0, 1.0, 1.0)
    assert factors.note == "stated at 22 nm and not scaled to 16 nm"


def test_the_same_node_needs_no_note() -> None:
    assert scale("logic", 16, 16, 0.7).note == ""


def test_nominal_supply_of_a_node_is_that_of_the_table() -> None:
    """Between two nodes on logarithmic axes; outside the table refused."""
    assert nominal_supply_V(16) == 0.85
    assert 0.85 < nominal_supply_V(18) < 0.9
    with pytest.raises(InputError, match="7 to 130 nm"):
        nominal_supply_V(180)
