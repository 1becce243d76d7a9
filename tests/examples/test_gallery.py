"""Scripts of the gallery run in a small form: each draws a small figure, and prints what its text claims."""

from __future__ import annotations

import math
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples"
SMALL = {
    "drift_fan": "--cells 100",
    "write_verify": "--cells 500",
    "read_window": "--cells 4000",
    "own_device": "--cells 20",
    "fit_measured": "",
    "product_by_hand": "",
    "encodings": "--chips 2",
    "wire_drop": "--sizes 8 16 32",
    "ramp_functions": "--chips 2",
    "inl_over_chips": "--chips 8",
    "bits_and_noise": "--chips 2 --points 2",
    "ramp_beside_sar": "",
    "lstm_over_time": "--steps 30 --tests 40 --chips 2",
    "lstm_cost": "--units 64 --states 32",
    "energy_by_layer": "--side 8",
    "price_spread": "",
    "liquid_memory": "--sizes 25 100 --chips 2",
    "sparse_density": "--rows 64 --per-row 1 8",
    "sparse_dataflows": "--scale 7",
}


@pytest.fixture
def printed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What a script prints in its small form, once its figure is there and not too large for a page."""
    name, figure = request.param, tmp_path / "figure.svg"
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, *SMALL[name].split(), "--figure", str(figure)])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert b"</svg>" in figure.read_bytes()
    assert 1_000 < figure.stat().st_size < 60_000
    return capsys.readouterr().out


def numbers(text: str, after: str) -> list[float]:
    """The first number behind each place of a pattern."""
    return [float(found) for found in re.findall(rf"{after}\s*(-?\d[\d.]*)", text)]


def of(name: str) -> pytest.MarkDecorator:
    """Run this script for the test."""
    return pytest.mark.parametrize("printed", [name], indirect=True, ids=[name])


@of("drift_fan")
def test_every_level_falls_by_drift(printed: str) -> None:
    start, end = numbers(printed, "median"), numbers(printed, "second,")
    assert len(start) == 5
    assert all(0.3 < late / early < 0.6 for early, late in zip(start, end, strict=True))


@of("write_verify")
def test_more_pulses_leave_a_smaller_error(printed: str) -> None:
    assert (found := numbers(printed, "pulses:")) == sorted(found, reverse=True)
    assert numbers(printed, "5, ")[-1] < 7.0  # pulses used in the mean, published: 5.57


@of("read_window")
def test_noise_falls_with_the_window_as_the_root_of_a_logarithm(printed: str) -> None:
    ages_s = [20.0 + t for t in (1.0, 3600.0, 86400.0, 3.1536e7)]  # the first read is 20 s after writing
    expected = [(math.log((age + 1e-8) / 2e-8) / math.log((age + 0.1) / 0.2)) ** 0.5 for age in ages_s]
    short, long = numbers(printed, r"\w\s*:"), numbers(printed, "ns,")
    assert [a / b for a, b in zip(short, long, strict=True)] == pytest.approx(expected, rel=0.03)


@of("own_device")
def test_the_record_is_of_the_class(printed: str) -> None:
    assert numbers(printed, "Relaxing, tau") == [1e5, 1e4]


@of("fit_measured")
def test_64_values_give_a_device(printed: str) -> None:
    assert "gaussian_absolute, level by level" in printed
    assert "the unit matrix on such cells" in printed


@of("product_by_hand")
def test_three_ways_agree(printed: str) -> None:
    hand, array, exact = (re.findall(r"-?\d+\.\d*", line) for line in printed.splitlines()[2:])
    assert hand == array == exact


@of("encodings")
def test_one_cell_errs_more_than_a_pair_and_two_pairs_less(printed: str) -> None:
    error = {line[22:43].strip(): numbers(line, "error")[0] for line in printed.splitlines() if line[:4] == "TaOx"}
    assert error["one cell, reference"] == pytest.approx(2.0 * error["pair"], rel=0.15)
    assert error["two pairs"] == pytest.approx(error["pair"] / 2.0**0.5, rel=0.1)


@of("wire_drop")
def test_errors_grow_with_size_and_finer_nodes(printed: str) -> None:
    rows = [numbers(line, "[:,]") for line in printed.splitlines()]
    assert all(row == sorted(row) for row in rows)
    assert all(list(column) == sorted(column) for column in zip(*rows, strict=True))


@of("ramp_functions")
def test_the_three_ramps_give_their_bits(printed: str) -> None:
    assert numbers(printed, "LSB,") == pytest.approx([4.0] * 3, abs=0.3)


@of("inl_over_chips")
def test_taox_is_the_most_linear(printed: str) -> None:
    assert (found := numbers(printed, r"\|INL\|:")) == sorted(found)


@of("bits_and_noise")
def test_a_loud_comparator_takes_the_bits(printed: str) -> None:
    quiet, loud = ([float(cell) for cell in line.split()[1:]] for line in printed.splitlines()[-2:])
    assert quiet == pytest.approx([3, 4, 5, 6, 7], abs=0.3)
    assert max(loud) < 3.0


@of("ramp_beside_sar")
def test_time_turns_to_the_sar_with_more_bits(printed: str) -> None:
    time = [float(word) for word in printed.splitlines()[2].split("step")[1].split("times")[0].split(",")]
    assert time == sorted(time, reverse=True)
    assert time[0] > 1.0 > time[-1]


@of("lstm_over_time")
def test_all_modes_are_judged_at_all_times(printed: str) -> None:
    assert [line.count("%") for line in printed.splitlines()] == [4, 4, 4]


@of("lstm_cost")
def test_a_layer_and_its_projection_are_priced(printed: str) -> None:
    assert "lstm of 64 units to 32" in printed
    assert "'energy_J'" in printed


@of("energy_by_layer")
def test_early_layers_take_the_most(printed: str) -> None:
    table = [[float(cell) for cell in line.split()] for line in printed.splitlines()[3:]]
    assert [int(row[0]) for row in table] == [0, 2, 5]
    assert sum(table[0][1:]) > sum(table[2][1:])


@of("price_spread")
def test_stated_prices_lie_inside_the_interval(printed: str) -> None:
    for line in printed.splitlines()[:2]:
        stated, (low, high) = (
            numbers(line, "(?:ramp|conventional)")[0],
            (numbers(line, word)[0] for word in ("from", "to")),
        )
        assert low < stated < high


@of("liquid_memory")
def test_more_neurons_remember_more(printed: str) -> None:
    few, many, few_software, many_software = numbers(printed, "capacity")
    assert 0.0 < 1.5 * few < many
    assert 0.0 < 1.5 * few_software < many_software == pytest.approx(many, rel=0.25)


@of("sparse_density")
def test_every_way_moves_more_than_the_least(printed: str) -> None:
    for line in printed.splitlines():
        moved = [float(value) for value in re.findall(r"([\d.]+) MB", line)]
        assert min(moved[:-1]) >= moved[-1]


@of("sparse_dataflows")
def test_the_inner_product_is_the_slowest(printed: str) -> None:
    times = [float(line.split(" ms")[0].split()[-1]) for line in printed.splitlines()]
    assert len(times) == 7
    assert max(times[1:4]) < times[0]


def test_every_script_is_on_the_page() -> None:
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")
    page = runpy.run_path(str(ROOT / "docs" / "gallery.py"))
    shown = [name for names in page["SECTIONS"].values() for name in names]
    assert set(shown) == set(SMALL)
    assert {*shown, *page["LONGER"], "digits"} == {path.stem for path in FOLDER.glob("*.py")}
