from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import InputError
from mappings.actions import Action, Actions, Instance, ScheduledTask
from mappings.cost import CostLine, price, shares, summarise
from periphery.prices.component import Area, Component, Latency, Leakage, Price, component, load_components

ISAAC = yaml.safe_load((Path(__file__).parents[1] / "reference" / "isaac_table1.yaml").read_text())
RUN_DIRECTORY = Path(__file__).parents[2] / "docs" / "run_directory.md"


def toy(name: str = "toy", energy_J: float = 1e-12, area_m2: float = 1e-12, leakage_W: float = 0.0) -> Component:
    source = "made up for this test"
    return Component(
        name=name,
        description=name,
        group="digital",
        node_nm=16,
        scaling="logic",
        area=Area(area_m2=area_m2, status="estimate", source=source),
        leakage=Leakage(leakage_W=leakage_W, status="estimate", source=source),
        latency=Latency(latency_s=0.0, status="estimate", source=source),
        actions={"run": Price(energy_J=energy_J, unit="run", status="published", source=source)},
    )


def one_step(count: float = 3.0, instances: float = 2.0, steps: float = 1.0) -> Actions:
    return Actions(
        (Action("lstm", "toy", "run", count),),
        (Instance("lstm", "toy", instances),),
        (ScheduledTask("lstm", "run", "digital", 0.0, 1e-9),),
        steps=steps,
        ops=10.0,
    )


def test_columns_are_those_of_the_run_directory() -> None:
    (row,) = [line for line in RUN_DIRECTORY.read_text().splitlines() if line.startswith("| `components.csv`")]
    documented = row.split("|")[3].split("`")[1].split(", ")
    assert [field.name for field in fields(CostLine)] == documented


def test_isaacs_table_adds_up_to_its_chip() -> None:
    # Group totals of Table I, each as one component whose cycle of 100 ns takes its power times 100 ns.
    cycle_s, cycles = ISAAC["cycle_s"], ISAAC["cycles"]
    parts = ISAAC["parts"]
    components = {
        name: toy(name, energy_J=part["power_W"] * cycle_s, area_m2=part["area_mm2"] * 1e-6)
        for name, part in parts.items()
    }
    actions = Actions(
        tuple(Action("chip", name, "run", part["groups"]) for name, part in parts.items()),
        tuple(Instance("chip", name, part["groups"]) for name, part in parts.items()),
        (ScheduledTask("chip", "cycle", "arrays", 0.0, cycle_s),),
        steps=cycles,
    )
    lines = price(actions, node_nm=16, components=components)
    cost = summarise(lines, cycle_s * cycles, ISAAC["ops"])
    printed = ISAAC["printed"]
    assert cost["power_W"] == pytest.approx(printed["power_W"], abs=0.05)
    assert cost["area_m2"] * 1e6 == pytest.approx(printed["area_mm2"], abs=0.05)
    assert cost["tops"] == pytest.approx(printed["tops"], abs=0.05)
    assert cost["tops_per_W"] == pytest.approx(0.6275, abs=5e-4)
    # The paper says that the ADCs take 58 % of a tile's power and 31 % of its area; the chip also has its links.
    tiles = [line for line in lines if line.component != "hyper_transport"]
    adc = shares(tiles, "component")["adc"]
    assert adc.energy_share == pytest.approx(0.58, abs=0.01)
    assert adc.area_share == pytest.approx(0.31, abs=0.01)


def test_cost_is_count_times_price() -> None:
    lines = price(one_step(steps=5), node_nm=16, components={"toy": toy()}, variant="a")
    run, pieces = lines
    assert (run.action, run.count, run.energy_J, run.area_m2) == ("run", 15.0, pytest.approx(15e-12), 0.0)
    assert (pieces.action, pieces.instances, pieces.area_m2, pieces.energy_J) == ("", 2.0, pytest.approx(2e-12), 0.0)
    assert {line.variant for line in lines} == {"a"}
    assert run.status == "published"
    assert pieces.status == "estimate"


def test_leakage_is_a_line_of_its_own_and_counted_once() -> None:
    components = {"toy": toy(leakage_W=1e-6)}
    lines = price(one_step(), node_nm=16, components=components)
    (leak,) = [line for line in lines if line.action == "leakage"]
    assert leak.count == pytest.approx(2 * 1e-9)
    assert leak.unit_energy_J == pytest.approx(1e-6)
    assert leak.energy_J == pytest.approx(2e-6 * 1e-9)
    cost = summarise(lines, 1e-9, 10)
    assert cost["leakage_W"] == pytest.approx(2e-6)
    assert cost["energy_J"] == pytest.approx(3e-12 + 2e-15)
    waiting = price(one_step(), node_nm=16, components=components, latency_s=1e-6)
    assert summarise(waiting, 1e-6, 10)["energy_J"] == pytest.approx(3e-12 + 2e-12)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e4)), min_size=1, max_size=5), st.integers(1, 100))
def test_totals_follow_counts(parts: list[tuple[float, float]], steps: int) -> None:
    components = {f"part{k}": toy(f"part{k}", leakage_W=1e-9 * k) for k in range(len(parts))}
    actions = Actions(
        tuple(Action("lstm", f"part{k}", "run", count) for k, (count, _) in enumerate(parts)),
        tuple(Instance("lstm", f"part{k}", pieces) for k, (_, pieces) in enumerate(parts)),
        (ScheduledTask("lstm", "run", "digital", 0.0, 1e-9),),
        steps=steps,
    )
    latency_s = steps * 1e-9
    lines = price(actions, node_nm=16, components=components)
    cost = summarise(lines, latency_s, 1.0)
    dynamic_J = 1e-12 * steps * sum(count for count, _ in parts)
    assert cost["energy_J"] == pytest.approx(dynamic_J + cost["leakage_W"] * latency_s)
    assert cost["power_W"] == pytest.approx(cost["energy_J"] / latency_s)
    assert math.isclose(
        sum(share.energy_J for share in shares(lines, "component").values()), cost["energy_J"], abs_tol=1e-30
    )
    assert all(line.energy_J == pytest.approx(line.count * line.unit_energy_J) for line in lines)
    assert all(line.area_m2 == pytest.approx(line.instances * line.unit_area_m2) for line in lines)


def test_records_are_priced_at_the_chips_node() -> None:
    actions = Actions((Action("lstm", "adder", "add_bit", 1.0),))
    (line,) = price(actions, node_nm=16, components=load_components())
    assert line.node_nm == 16
    assert line.unit_energy_J == component("adder").at(16).price("add_bit").energy_J
    assert "45 nm (0.9 V) -> 16 nm" in line.source
    assert line.status == "derived"


def test_everything_without_a_price_is_named_at_once() -> None:
    actions = Actions(
        (Action("lstm", "toi", "run", 1.0), Action("lstm", "toy", "fly", 1.0)), (Instance("lstm", "gadget", 1.0),)
    )
    with pytest.raises(InputError) as caught:
        price(actions, node_nm=16, components={"toy": toy()})
    assert caught.value.problems == (
        "component 'toi': no such price record; did you mean 'toy'?",
        "component 'gadget': no such price record",
        "component toy: no price for action 'fly'; it has run",
    )


def test_order_of_costs() -> None:
    cost = summarise(price(one_step(), node_nm=16, components={"toy": toy()}), 1e-9, 10)
    assert list(cost) == [
        "area_m2",
        "energy_J",
        "leakage_W",
        "latency_s",
        "power_W",
        "ops",
        "tops",
        "tops_per_W",
        "tops_per_mm2",
    ]
    assert cost["tops"] == pytest.approx(10 / 1e-9 * 1e-12)
    assert cost["tops_per_mm2"] == pytest.approx(cost["tops"] / 2e-6)


def test_a_cost_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="latency_s: above 0"):
        summarise([], 0.0, 1.0)
