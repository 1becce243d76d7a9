from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from configs.errors import InputError
from periphery.prices.component import Component, Group, component, load_components, read_components
from periphery.prices.records import CONFIGS, Status

SHIPPED = load_components()
FOLDER = CONFIGS / "components"

RECORD = """\
kind: component
name: toy
description: A toy
group: digital
node_nm: 45
scaling: logic
area: {area_m2: 1e-12, status: published, source: a table}
leakage: {leakage_W: 1e-9, status: secondary, source: a note}
latency: {latency_s: 1e-9, status: estimate, source: "estimate: a guess"}
actions:
  run: {energy_J: 25e-15, unit: run, status: published, source: a table}
"""


def write(folder: Path, text: str = RECORD, name: str = "toy") -> Path:
    (folder / f"{name}.yaml").write_text(text)
    return folder


def figures(record: Component) -> list[tuple[str, str, float]]:
    """Status, source and value of every number of a record."""
    return [
        (record.area.status, record.area.source, record.area_m2),
        (record.leakage.status, record.leakage.source, record.leakage_W),
        (record.latency.status, record.latency.source, record.latency_s),
        *((price.status, price.source, price.energy_J) for price in record.actions.values()),
    ]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_number_has_a_source_that_fits_its_status(name: str) -> None:
    record = SHIPPED[name]
    assert record.group in get_args(Group)
    assert record.actions
    assert record.cite
    for status, source, value in figures(record):
        assert status in get_args(Status)
        assert len(source) > 15
        if status == "estimate":
            assert "estimate" in source
        if status == "fitted":
            assert source.startswith("fitted so that")
            assert value > 0
        if status in ("published", "secondary", "derived") and value > 0:
            assert re.search(r"\d", source)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_record_moves_to_every_node_of_the_scaling_table(name: str) -> None:
    for node_nm in (7, 14, 16, 22, 28, 40, 65, 130):
        for _, source, value in figures(SHIPPED[name].at(node_nm)):
            assert value >= 0
            assert source


def test_every_cited_key_has_an_entry() -> None:
    keys = set(re.findall(r"@\w+\{(\w+),", (FOLDER.parent / "references.bib").read_text()))
    priced = [*FOLDER.glob("*.yaml"), *(CONFIGS / "technology").glob("*.yaml")]
    others = [
        path for folder in ("devices", "chips", "experiments", "liquids") for path in (CONFIGS / folder).glob("*.yaml")
    ]
    cited = {key for path in priced for key in yaml.safe_load(path.read_text())["cite"]}
    cited |= {key for path in others for key in yaml.safe_load(path.read_text()).get("cite", [])}
    assert cited <= keys
    data = {"espeakng", "orchard2015", "cramer2022", "anumula2018", "fsdd", "lecun1998", "alpaydin1998"}
    assert keys - cited <= data, "cited by data, not by a record"


def test_a_product_costs_more_than_a_sum_of_the_same_width() -> None:
    product, total = component("multiplier").at(16), component("adder").at(16)
    for bits in (4, 5, 8, 16, 32):
        product_J = bits * bits * product.price("bit_product").energy_J
        assert product_J > 2 * bits * total.price("add_bit").energy_J
        assert bits * bits * product.area_m2 > bits * total.area_m2 or bits < 8


def test_digital_energies_return_horowitzs_table_at_45_nm() -> None:
    product = component("multiplier").price("bit_product").energy_J
    total = component("adder").price("add_bit").energy_J
    assert 64 * product == pytest.approx(0.2e-12)
    assert 1024 * product == pytest.approx(3.1e-12, rel=0.05)
    assert 8 * total == pytest.approx(0.03e-12)
    assert 32 * total == pytest.approx(0.1e-12, rel=0.25)


def test_comparator_step_returns_the_quoted_conversion() -> None:
    # Hong et al. quote 42.82 pJ for one 5-bit ramp conversion: 128 columns of 32 steps.
    assert component("comparator").price("step").energy_J * 128 * 32 == pytest.approx(42.82e-12, rel=1e-3)


def test_memory_is_denser_than_logic_and_latches_lie_between() -> None:
    at_16 = {name: SHIPPED[name].at(16).area_m2 for name in SHIPPED}
    assert at_16["cell_array"] < at_16["code_latch"] < at_16["register"] < at_16["lookup"]
    assert at_16["register"] < at_16["shared_counter"]


def test_latching_a_bit_costs_less_than_a_register_and_both_less_than_a_product() -> None:
    latch = component("code_latch").at(16).price("write_bit").energy_J
    register = component("register").at(16).price("write_bit").energy_J
    product = 25 * component("multiplier").at(16).price("bit_product").energy_J
    assert latch < register < product < component("lookup").at(16).price("evaluate").energy_J


def test_a_moved_number_says_how_and_is_no_longer_published(tmp_path: Path) -> None:
    record = read_components(write(tmp_path))["toy"]
    assert record.at(45) == record
    moved = record.at(16)
    assert moved.node_nm == 16
    assert moved.price("run").energy_J == pytest.approx(25e-15 * 0.161, rel=0.01)
    assert moved.area_m2 == pytest.approx(0.19e-12)
    assert moved.price("run").status == "derived"
    assert moved.leakage.status == "derived"
    assert moved.latency.status == "estimate"
    assert moved.area.source == "a table; scaled 45 nm (1 V) -> 16 nm (0.85 V) by Stillmaker & Baas 2017, HP"


def test_a_number_may_be_stated_at_a_node_of_its_own(tmp_path: Path) -> None:
    text = RECORD.replace("{area_m2: 1e-12,", "{area_m2: 1e-12, node_nm: 16,")
    moved = read_components(write(tmp_path, text))["toy"].at(16)
    assert moved.area_m2 == 1e-12
    assert moved.area.source == "a table"
    assert moved.price("run").energy_J < 25e-15


def test_numbers_without_a_point_are_numbers(tmp_path: Path) -> None:
    record = read_components(write(tmp_path))["toy"]
    assert record.price("run").energy_J == 25e-15
    assert isinstance(record.area_m2, float)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("status: published", "status: measured", "toy.yaml:7:32: area.status: Input should be 'published'"),
        ("25e-15", "-25e-15", "actions.run.energy_J: Input should be greater than or equal to 0"),
        ("25e-15", ".nan", "toy.yaml:11:19: actions.run.energy_J: Input should be a finite number (got .nan)"),
        ("group: digital", "group: misc", "group: Input should be 'array', 'adc'"),
        ("source: a table}", "source: ''}", "area.source: String should have at least 1 character"),
        ("node_nm: 45", "node_nm: 45\nprice: 3", "price: Unexpected keyword argument"),
        ("scaling: logic", "", "scaling: Field required"),
        ("group: digital", "group: digital\ngroup: adc", "toy.yaml:5:1: group: each key once (got it again, first at"),
        ("name: toy", "name: toi", "toy.yaml:2:7: name: 'toy', the file's name (got 'toi')"),
        ("kind: component", "kind: gadget", "toy.yaml:1:7: kind: 'component' or an ADC price model, 'adc_...' (got"),
    ],
)
def test_a_faulty_record_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_components(write(tmp_path, RECORD.replace(old, new, 1)))
    assert message in str(caught.value)
    assert "toy.yaml" in str(caught.value)


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, RECORD.replace("45", "-45").replace("group: digital", "group: misc"))
    write(tmp_path, "- a list\n", "other")
    write(tmp_path, "name: [\n", "broken")
    with pytest.raises(InputError) as caught:
        read_components(tmp_path)
    assert len(caught.value.problems) == 4
    assert any("other.yaml:1:1: the top level must be a mapping" in line for line in caught.value.problems)
    assert any("broken.yaml:2:1" in line for line in caught.value.problems)


def test_an_action_without_a_price_is_an_error_not_zero() -> None:
    with pytest.raises(InputError, match=r"component adder: no price for action 'fly'; it has add_bit"):
        component("adder").price("fly")


def test_an_unknown_component_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"component 'comparater': no such price record; did you mean 'comparator'\?"):
        component("comparater")


@pytest.mark.parametrize(
    ("name", "fF_per_um2"), [("capacitor_mim", 2.0), ("capacitor_stacked_mim", 4.0), ("capacitor_mom", 1.02)]
)
def test_a_picofarad_has_the_area_that_its_density_gives_at_every_node(name: str, fF_per_um2: float) -> None:
    # SkyWater's 130 nm kit; a capacitor of the 9.5 pF of one column's integrator takes thousands of um2.
    for node_nm in (7, 16, 130):
        record = component(name).at(node_nm)
        assert 1000.0 / (record.area_m2 * 1e12) == pytest.approx(fF_per_um2, rel=1e-3)
        assert record.price("charge_J").energy_J == 1.0


def test_a_front_end_is_counted_by_the_square_micrometre_and_its_bias_by_the_joule() -> None:
    for node_nm in (7, 16, 130):
        record = component("column_front_end").at(node_nm)
        assert record.area_m2 == 1e-12
        assert record.price("bias_J").energy_J == 1.0
    assert component("comparator").area_m2 == pytest.approx(40e-12 * (16 / 65) ** 1.5556, rel=2e-3)
