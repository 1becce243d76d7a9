"""Values that cannot be meant are found by the unit in their field's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.plausible import problem_of, problems_in, without
from configs.yaml_source import load_yaml, parse_mapping


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("g_max_S", 160.0, "160e-6"),
        ("programming_noise_S", 3.0, "3e-3"),
        ("t_clk_s", 1.0, "1e-6"),
        ("v_read_V", 200.0, "200e-3"),
        ("offset_V", 5.0, "5e-3"),
        ("hold_F", 10.0, "10e-6"),
        ("pair_um2", 250000.0, "250000e-3"),
    ],
)
def test_a_slipped_prefix_is_named(name: str, value: float, meant: str) -> None:
    text = problem_of(name, value)
    assert "is implausible" in text
    assert "did you mean" in text
    assert meant.split("e")[0] in text
    assert f" {name.rpartition('_')[2]} is usual" in text


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_no_quantity_is_infinite(value: float) -> None:
    assert problem_of("anything", value).startswith("must be a finite number")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("g_max_S", 400e-6), ("g_min_S", 0.0), ("t_s", 3.2e7), ("v_read_V", 0.2), ("bits", 5.0), ("clock_Hz", 1e9)),
        *(("pair_um2", 0.25), ("trim_um2", 3.0), ("gate_F_per_um2", 30e-15), ("current_limit_A_per_m2", 7e9)),
    ],
)
def test_values_as_devices_have_them_pass(name: str, value: float) -> None:
    assert problem_of(name, value) == ""


@pytest.mark.parametrize("name", ["pair_um2", "mirror_um2", "trim_um2"])
def test_an_area_given_in_square_metres_is_implausible(name: str) -> None:
    assert problem_of(name, 0.25e-12).startswith("is implausible: 0.0001 to 100000 um2 is usual")


def test_problems_name_file_line_and_field_and_a_word_lets_them_pass(tmp_path: Path) -> None:
    text = b"device:\n  g_max_S: 160\n  noise: .inf\ntimes_s: [0, 1e30]\n"
    node = parse_mapping(text, "mine.yaml", tmp_path)
    lines = list(problems_in(node))
    assert [line.split(": ")[:2] for line in lines] == [
        ["mine.yaml:2:12", "device.g_max_S"],
        ["mine.yaml:3:10", "device.noise"],
        ["mine.yaml:4:14", "times_s[1]"],
    ]
    node = parse_mapping(b"implausible: allow\n" + text, "mine.yaml", tmp_path)
    assert [line.split(": ")[1] for line in problems_in(node)] == ["device.noise"]
    assert "implausible" not in without(node).plain()


def test_every_shipped_record_is_plausible() -> None:
    files = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))
    assert len(files) > 80
    assert [line for file in files for line in problems_in(load_yaml(file))] == []


@pytest.mark.parametrize(("name", "value"), [("sigma_proportional", 5.0), ("drift_mean", 60), ("device_sd", 2.5)])
def test_a_share_given_in_per_cent_is_refused(name: str, value: float, tmp_path: Path) -> None:
    (line,) = problems_in(parse_mapping(f"{name}: {value}\n".encode(), "mine.yaml", tmp_path))
    assert line.startswith(f"mine.yaml:1:{len(name) + 3}: {name}: is implausible: 0 to 1 is usual")
    assert line.endswith(f"(got {value:g}); it is a share of 1, so {value:g} % is {value / 100:g}")
    assert problem_of(name, value / 100) == ""
