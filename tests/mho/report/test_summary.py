"""The summary of a run names its stages, and shows no deviation that one chip does not have."""

from __future__ import annotations

from typing import Any

from mho.report.summary import summary

COST = {"area_m2": 1e-9, "energy_J": 1e-9, "latency_s": 1e-6}


def metrics(std: float | None, chips: int, **more: Any) -> dict[str, Any]:
    quality = [{"t_s": 0.0, "chips": chips, "accuracy": {"mean": 0.5, "std": std}}]
    return {
        "experiment": "kws",
        "data": {"name": "clips", "train": 2, "test": 1, "synthetic": False},
        "metrics": {"accuracy": {"higher_is_better": True, "unit": "1"}},
        "software": {"accuracy": 0.8},
        "quantised": {"accuracy": 0.6},
        "variants": [{"name": "taox", "default": True, "quality": quality, "cost": COST}],
        **more,
    }


def test_the_stages_of_a_run_are_shown_in_their_order() -> None:
    assert "software 80.0 %, ideal chip 60.0 %" in summary(metrics(0.1, 2))
    more: dict[str, Any] = {"retrained": {"accuracy": 0.7}, "weights": "--weights mine: classes in the order yes, no."}
    text = summary(metrics(0.1, 2, **more))
    assert "software 80.0 %, retrained 70.0 %, ideal chip 60.0 %" in text
    assert more["weights"] in text


def test_one_chip_has_no_deviation() -> None:
    assert "0: 50.0 % ± 10.0 %" in summary(metrics(0.1, 2))
    one = summary(metrics(None, 1))
    assert "0: 50.0 % (one chip)" in one
    assert "±" not in one


def test_what_stands_behind_a_mean_is_said_once_with_the_number_of_chips() -> None:
    found = metrics(0.1, 2)
    assert "±: standard deviation over 2 chips." in summary(found).splitlines()
    found["data"]["splits"] = 3
    assert "±: standard deviation over 2 chips of each of 3 splits." in summary(found).splitlines()


def test_a_mean_has_the_decimals_of_its_deviation() -> None:
    found = metrics(0.007005, 2)
    found["metrics"] = {"accuracy": {"higher_is_better": False, "unit": "bit"}}
    found["variants"][0]["quality"][0]["accuracy"]["mean"] = 6.268
    assert "0: 6.2680 ± 0.0070 bit" in summary(found)


def test_a_cost_carries_the_interval_of_its_prices_and_the_average_power() -> None:
    found = metrics(0.1, 2)
    variant = found["variants"][0]
    variant["cost"] = {**COST, "average_power_W": 1.1e-5}
    variant["cost_interval"] = {"energy_J": [5e-10, 2e-9], "average_power_W": [4e-6, 3e-5]}
    text = summary(found)
    assert "1.00 nJ (0.50 to 2.0 nJ)" in text
    assert "11.0 µW (4.0 to 30 µW)" in text
    assert "average power" in text
    assert "90 % interval" in text


def test_ideal_wires_are_marked() -> None:
    assert "IDEAL WIRES" not in summary(metrics(0.1, 2))
    bare = metrics(0.1, 2)
    bare["variants"][0]["wires"] = "ideal"
    assert "IDEAL WIRES: no line of taox has a resistance" in summary(bare)


def test_what_the_command_line_changed_stands_with_the_variants_it_changed() -> None:
    """A variant keeps its name whatever device is put into it, so the option must stand beside it."""
    found = metrics(0.1, 2, sets=["evaluation.chips=2"])
    first = {**found["variants"][0], "sets": ["chip.weights.device=pcm"]}
    changed = {"chip.weights.device": "published, changed: g_max_S"}
    found["variants"] = [first, {**first, "name": "other", "default": False, "changed": changed}]
    lines = summary(found).splitlines()
    assert "set evaluation.chips=2" in lines
    assert "taox, other: set chip.weights.device=pcm" in lines
    assert "other: weights.device published, changed: g_max_S" in lines
    assert any(line.startswith("* taox (set)") for line in lines)


def test_an_average_power_names_its_library_of_leakage() -> None:
    found = metrics(0.1, 2)
    found["variants"][0] |= {"cost": {**COST, "average_power_W": 1.1e-5}, "leakage_library": "aladdin"}
    assert "average power (leakage of aladdin)" in summary(found)
