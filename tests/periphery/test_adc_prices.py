from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import InputError
from mappings.sparse.tiles.chip import SparseChip
from periphery import ConventionalADC
from periphery.adc.kinds import SAR, Flash
from periphery.prices.adc import ADC_PRICES, adc_component, adc_name, adc_price, priced_by

REFERENCE = Path(__file__).parents[1] / "reference" / "adc_grid_rows.csv"
WHOLE_GRID = Path(__file__).resolve().parents[3] / "shared" / "facts" / "adc_grid.csv"


def grid(path: Path) -> list[dict[str, float]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    wanted = ("tech_nm", "enob", "throughput_sps", "energy_pj_per_convert", "area_um2")
    return [{name: float(row[name]) for name in wanted} for row in csv.DictReader(lines)]


@pytest.mark.parametrize("path", [REFERENCE, WHOLE_GRID], ids=["rows", "whole"])
def test_andrulis_regression_returns_the_published_models_grid(path: Path) -> None:
    if not path.exists():
        pytest.skip("the whole grid is not beside this checkout")
    rows = grid(path)
    assert len(rows) >= 8
    model = adc_price("andrulis2024")
    for row in rows:
        quote = model.price(int(row["enob"]), row["throughput_sps"], row["tech_nm"])
        assert quote.energy_J * 1e12 == pytest.approx(row["energy_pj_per_convert"], rel=1e-4)
        assert quote.area_m2 * 1e12 == pytest.approx(row["area_um2"], rel=1e-4)
        assert quote.latency_s == pytest.approx(1 / row["throughput_sps"])


@pytest.mark.parametrize(
    ("node_nm", "energy_pJ"), [(130, 0.91), (65, 0.41), (32, 0.142), (22, 0.082), (14, 0.051), (7, 0.021)]
)
def test_neurosim_sar_returns_its_eight_bit_row(node_nm: float, energy_pJ: float) -> None:
    quote = adc_price("neurosim_sar").price(8, 1e8, node_nm)
    assert quote.energy_J * 1e12 == pytest.approx(energy_pJ, rel=0.02)
    assert quote.latency_s == pytest.approx(9e-9)
    assert quote.area_status == "estimate"


def test_isaacs_converter_is_its_own_at_32_nm_and_scaled_elsewhere() -> None:
    part = adc_price("isaac2016").price(8, 1.2e9, 32)
    assert part.energy_J == pytest.approx(2e-3 / 1.2e9, rel=1e-4)
    assert part.area_m2 == pytest.approx(1200e-12)
    assert part.status == "secondary"
    moved = adc_price("isaac2016").price(8, 1.2e9, 16)
    assert moved.energy_J == pytest.approx(part.energy_J * 0.5**1.880037)
    assert moved.status == "derived"
    assert "scaled 32 nm -> 16 nm as analog" in moved.source
    narrow = adc_price("isaac2016").price(5, 1.2e9, 32)
    assert narrow.status == "estimate"
    assert narrow.energy_J == pytest.approx(part.energy_J * 5 / 8)


def test_the_models_differ_on_the_same_conversion_as_much_as_is_known() -> None:
    at_65 = {name: adc_price(name).price(8, 1e8, 65).energy_J for name in ADC_PRICES}
    assert at_65["andrulis2024"] / at_65["neurosim_sar"] == pytest.approx(6.5 / 0.41, rel=0.05)
    assert len(set(at_65.values())) == len(ADC_PRICES)


def test_an_interpolated_node_is_named() -> None:
    model = adc_price("neurosim_sar")
    at_22, at_16, at_14 = (model.price(5, 1e8, node) for node in (22, 16, 14))
    assert at_14.energy_J < at_16.energy_J < at_22.energy_J
    assert "interpolated between 22 and 14 nm" in at_16.source
    assert at_16.status == "derived"
    assert at_14.status == "secondary"


@pytest.mark.parametrize("name", sorted(ADC_PRICES))
@given(bits=st.integers(2, 8), node_nm=st.floats(7, 130), rate_per_s=st.floats(1e5, 1e8))
def test_more_bits_never_cost_less(name: str, bits: int, node_nm: float, rate_per_s: float) -> None:
    model = adc_price(name)
    fewer, more = model.price(bits, rate_per_s, node_nm), model.price(bits + 1, rate_per_s, node_nm)
    assert 0 < fewer.energy_J <= more.energy_J
    assert 0 < fewer.area_m2 <= more.area_m2


@pytest.mark.parametrize("name", sorted(ADC_PRICES))
def test_a_smaller_node_costs_less(name: str) -> None:
    quotes = [adc_price(name).price(8, 1e8, node) for node in (7, 14, 16, 22, 32, 45, 65, 90, 130)]
    assert [quote.energy_J for quote in quotes] == sorted(quote.energy_J for quote in quotes)
    assert [quote.area_m2 for quote in quotes] == sorted(quote.area_m2 for quote in quotes)


def test_below_its_range_the_regression_is_marked_an_estimate() -> None:
    model = adc_price("andrulis2024")
    three, four = model.price(3, 1e8, 16), model.price(4, 1e8, 16)
    assert (three.status, four.status) == ("estimate", "modelled")
    assert three.energy_J == four.energy_J
    assert "estimate: 3 b priced as 4 b" in three.source


@pytest.mark.parametrize(
    ("name", "bits", "rate_per_s", "node_nm", "energy_J", "area_m2"),
    [
        ("forms2021", 4, 2.1e9, 32, 15.2e-3 / 32 / 2.1e9, 9100e-12 / 32),
        ("fan2022", 8, 1e7, 65, 10.2e-15 * 2**7.87, 950e-12),
        ("liu2020", 8, 2e7, 130, 8 * 7.3e-6 * 2**8 / 6e9, 15899e-12),
        ("hong2025", 5, 1e9, 16, 12.58e-15, 24.29e-12),
    ],
)
def test_a_published_part_is_its_own_at_its_node(
    name: str, bits: int, rate_per_s: float, node_nm: float, energy_J: float, area_m2: float
) -> None:
    quote = adc_price(name).price(bits, rate_per_s, node_nm)
    assert quote.energy_J == pytest.approx(energy_J, rel=2e-3)
    assert quote.area_m2 == pytest.approx(area_m2, rel=1e-4)
    assert quote.status in ("secondary", "derived")


def test_parts_too_slow_take_turns_and_other_resolutions_go_with_their_kind() -> None:
    ramp = adc_price("liu2020")
    slow, fast = ramp.price(8, 2.3e7, 130), ramp.price(8, 1e8, 130)
    assert fast.energy_J == slow.energy_J
    assert fast.area_m2 == pytest.approx(5 * slow.area_m2)
    assert fast.latency_s == pytest.approx(1e-8)
    assert "5 parts take turns" in fast.source
    assert ramp.price(5, 2.3e7, 130).energy_J == pytest.approx(slow.energy_J / 8)
    sar = adc_price("forms2021")
    assert sar.price(8, 1e8, 32).energy_J == pytest.approx(2 * sar.price(4, 1e8, 32).energy_J)
    assert sar.price(8, 1e8, 32).status == "estimate"
    assert "estimate: 2 of the 4-bit part, by bits" in sar.price(8, 1e8, 32).source


@pytest.mark.parametrize(
    ("name", "rate_per_s", "node_nm", "message"),
    [
        ("andrulis2024", 1e8, 180, "node_nm: 7 to 130 nm for the ADC price model 'andrulis2024' (got 180)"),
        ("neurosim_sar", 1e8, 5, "node_nm: 7 to 130 nm for the ADC price model 'neurosim_sar' (got 5)"),
        ("neurosim_sar", 1e9, 16, "at most 1.111e+08/s for the ADC price model 'neurosim_sar' (got 1e+09)"),
        ("isaac2016", 2e9, 32, "at most 1.2e+09/s for the ADC price model 'isaac2016' (got 2e+09)"),
        ("andrulis2024", 0.0, 16, "rate_per_s: above 0"),
    ],
)
def test_outside_a_models_reach_there_is_no_price(name: str, rate_per_s: float, node_nm: float, message: str) -> None:
    with pytest.raises(InputError) as caught:
        adc_price(name).price(8, rate_per_s, node_nm)
    assert message in str(caught.value)


def test_an_unknown_model_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"model: one of .* \(got 'isaac2015'\); did you mean 'isaac2016'\?"):
        adc_price("isaac2015")


def test_a_converter_is_a_component_with_its_sources() -> None:
    record = adc_component("neurosim_sar", bits=5, rate_per_s=1e8, node_nm=16)
    quote = adc_price("neurosim_sar").price(5, 1e8, 16)
    assert record.name == adc_name("neurosim_sar", 5) == "adc_neurosim_sar_5b"
    assert record.group == "adc"
    assert record.price("convert").energy_J == quote.energy_J
    assert record.area_m2 == quote.area_m2
    assert record.area.status == "estimate"
    assert record.latency_s == pytest.approx(6e-9)
    assert record.at(16) == record


def test_a_flash_costs_by_its_comparators_and_no_longer_what_a_sar_costs() -> None:
    # Row 14 of the audit: 8 bits of flash and of SAR cost the same to the last digit.
    flash, sar = (adc_price(priced_by(None, kind)).price(8, 1e8, 16) for kind in ("flash", "sar"))
    assert flash.energy_J != sar.energy_J
    assert flash.area_m2 != sar.area_m2
    narrow = adc_price("hong2025").price(5, 1e8, 16)
    assert flash.energy_J == pytest.approx(narrow.energy_J * 255 / 31)
    assert flash.area_m2 == pytest.approx(narrow.area_m2 * 255 / 31)


@pytest.mark.parametrize("name", ADC_PRICES)
def test_the_ideal_quantiser_takes_any_price(name: str) -> None:
    assert priced_by(name, "quantiser") == name
    assert priced_by(name, "a kind of the user's") == name


def test_a_pair_that_does_not_fit_is_refused_with_the_models_that_do() -> None:
    message = "price: a converter of kind flash is priced by hong2025 (got neurosim_sar, which prices quantiser or sar)"
    with pytest.raises(InputError, match=re.escape(message)):
        ConventionalADC(converter=Flash(), price="neurosim_sar")
    assert ConventionalADC(converter=Flash()).price_model == "hong2025"
    assert ConventionalADC().price_model == "andrulis2024"
    with pytest.raises(InputError, match=r"adc_price: a converter of kind sar is priced by .* \(got hong2025"):
        SparseChip(adc=SAR(), adc_price="hong2025")
