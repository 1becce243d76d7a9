"""Points of a sweep: what axes expand to, in which order, and what is refused before anything runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import InputError
from mho.listings import records
from mho.sweep.plan import Plan, Point, Shard, chip_of
from mho.sweep.spec import Axis, Draw, Samples, read_sheet
from mho.sweep.study import Study, _sample
from mho.sweep.template import Template
from workloads import WORKLOADS

BENCH = "base: {kind: nladc, ramp: {device: rram_taox}, chips: 1}\n"


def plan_of(folder: Path, text: str) -> Plan:
    file = folder / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    sheet = read_sheet(str(file))
    return Plan(sheet, Template(sheet))


def coordinates(plan: Plan) -> list[dict[str, object]]:
    return [dict(point.coordinates) for point in plan.points]


def checked(source: str) -> Study:
    study = Study(source)
    study.check(study.points)
    return study


def refused(folder: Path, text: str) -> list[str]:
    file = folder / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        checked(str(file))
    return [problem.replace(f"{file}", "FILE") for problem in error.value.problems]


def test_lists_ranges_and_zipped_groups_multiply_in_the_order_of_the_file(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        BENCH
        + """axes:
  bits: {first: 3, last: 5, step: 2}
  comparator.offset_V: {first: 1e-4, last: 1e-2, count: 3, scale: log}
  cells: {zip: {ramp.device: [rram_taox, pcm], recentre: [false, true]}}
seeds: [7]
""",
    )
    found = coordinates(plan)
    assert len(found) == 2 * 3 * 2
    assert found[0] == {
        "bits": 3, "comparator.offset_V": 1e-4, "ramp.device": "rram_taox", "recentre": False, "seed": 7,
    }  # fmt: skip
    assert [each["comparator.offset_V"] for each in found[:6]] == [1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2]
    assert {(each["ramp.device"], each["recentre"]) for each in found} == {("rram_taox", False), ("pcm", True)}
    assert [each["bits"] for each in found] == [3] * 6 + [5] * 6


def test_times_of_the_base_count_as_points(tmp_path: Path) -> None:
    text = "base: kws_tiny\nseeds: 90000\n"
    assert refused(tmp_path, text) == [
        "FILE:1:1: base: its 2 times bring the sweep to 180000 points; at most 100000 are allowed "
        "(times_s states fewer times)"
    ]


def test_of_a_long_axis_some_configurations_are_read(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(BENCH + "axes: {bits: [3, 4]}\nseeds: 20000\n", encoding="utf-8")
    looked_at = list(_sample(Study(str(file)).points))
    assert len(looked_at) < 2000
    assert {dict(point.coordinates)["bits"] for point in looked_at} == {3, 4}
    assert max(point.index for point in looked_at) > 39_900


def test_an_axis_with_a_condition_exists_only_where_it_holds(tmp_path: Path) -> None:
    text = (
        BENCH + "axes:\n  ramp.device: [rram_taox, pcm]\n  recentre: {values: [false, true], when: {ramp.device: pcm}}"
    )
    assert coordinates(plan_of(tmp_path, text)) == [
        {"ramp.device": "rram_taox"},
        {"ramp.device": "pcm", "recentre": False},
        {"ramp.device": "pcm", "recentre": True},
    ]


def test_points_of_an_experiment_take_its_default_variant_and_its_times(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "base: kws_tiny\naxes: {chip.bits: [3, 4]}\nchips: 3\n")
    assert coordinates(plan) == [
        {"chip.bits": bits, "t_s": t_s} for bits in (3, 4) for t_s in (0.0, 2592000.0)
    ]  # fmt: skip
    config = plan.template.config(plan.points[1].coordinates).data
    (variant,) = config["variants"]
    assert (variant["name"], variant["chip"]["bits"], variant["default"]) == ("ramp_5bit", 3, True)
    assert config["evaluation"]["times_s"] == [0.0, 2592000.0]
    assert config["evaluation"]["chips"] == 3


def test_an_axis_wins_over_what_a_variant_says_itself(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "base: kws\nvariants: [ramp_4bit, conventional_5bit]\naxes: {chip.bits: [3]}\ntimes_s: [0]\n",
    )
    chips = [plan.template.config(point.coordinates).data["variants"][0]["chip"] for point in plan.points]
    assert [(chip["bits"], chip["readout"]) for chip in chips] == [(3, "ramp"), (3, "conventional")]


def test_a_point_is_what_mho_run_makes_of_the_same_settings(tmp_path: Path) -> None:
    from mho.runner import load_experiment

    plan = plan_of(tmp_path, "base: kws_tiny\naxes: {chip.weights.device: [pcm], seed: [5]}\ntimes_s: [0]\n")
    config = plan.template.config(plan.points[0].coordinates).data
    same = load_experiment("kws_tiny", sets=("chip.weights.device=pcm", "seed=5", "evaluation.times_s=[0]"))
    assert config["variants"][0] == same.data["variants"][0]
    assert {key: config[key] for key in config if key != "variants"} == {
        key: same.data[key] for key in same.data if key != "variants"
    }


@given(
    first=st.floats(-1e3, 1e3), width=st.floats(0.0, 1e3), count=st.integers(1, 40),
)  # fmt: skip
def test_a_range_by_count_meets_both_ends_and_rises(first: float, width: float, count: int) -> None:
    axis = Axis(first=first, last=first + width, count=count)
    numbers = axis.numbers()
    assert len(numbers) == axis.size == count
    assert numbers == sorted(numbers)
    assert numbers[0] == pytest.approx(first, rel=1e-11, abs=1e-300)
    if count > 1:
        assert numbers[-1] == pytest.approx(first + width, rel=1e-11, abs=1e-9)


@given(first=st.integers(-50, 50), steps=st.integers(0, 60), step=st.sampled_from([0.1, 0.25, 0.3, 1.0, 7.0]))
def test_a_range_by_step_counts_without_expanding_what_it_expands_to(first: int, steps: int, step: float) -> None:
    axis = Axis(first=float(first), last=first + steps * step, step=step)
    assert axis.size == steps + 1 == len(axis.numbers())
    assert axis.numbers()[-1] == pytest.approx(first + steps * step, abs=1e-9)


def test_a_log_range_has_equal_ratios_and_clean_numbers() -> None:
    assert Axis(first=1e-7, last=1e-3, count=5, scale="log").numbers() == [1e-7, 1e-6, 1e-5, 1e-4, 1e-3]


def test_each_share_of_a_latin_hypercube_is_met_once_on_every_axis() -> None:
    axes = {"a": Draw(first=0.0, last=1.0), "b": Draw(first=1e-6, last=1e-2, scale="log")}
    draws = Samples(count=50, axes=axes).draws()
    assert sorted(math.floor(50 * value) for value in draws["a"]) == list(range(50))
    shares = np.log(np.array(draws["b"]) / 1e-6) / np.log(1e4)
    assert sorted(np.floor(50 * shares).astype(int)) == list(range(50))
    assert abs(np.corrcoef(draws["a"], shares)[0, 1]) < 0.45, "axes are shuffled apart from each other (3 sigma)"


def test_random_draws_grow_without_moving_and_cover_whole_numbers_evenly() -> None:
    axes = {"bits": Draw(first=3, last=6, whole=True), "kind": Draw(values=("x", "y"))}
    few, many = (Samples(method="random", count=count, seed=3, axes=axes).draws() for count in (100, 4000))
    assert {path: values[:100] for path, values in many.items()} == few
    counts = np.bincount(many["bits"], minlength=7)[3:]
    assert counts.sum() == 4000
    assert np.abs(counts - 1000).max() < 4 * math.sqrt(4000 * 0.25 * 0.75)
    other = Samples(method="random", count=100, seed=3, axes={"kind": Draw(values=("x", "y"))}).draws()
    assert other["kind"] == few["kind"], "what one setting draws does not depend on the others"


def test_samples_are_one_more_axis(tmp_path: Path) -> None:
    text = BENCH + (
        "axes: {bits: [3, 4]}\nsamples: {count: 5, axes: {comparator.offset_V: {first: 1e-4, last: 1e-2}}}\n"
    )
    found = coordinates(plan_of(tmp_path, text))
    assert len(found) == 10
    assert [each["comparator.offset_V"] for each in found[:5]] == [each["comparator.offset_V"] for each in found[5:]]


@given(points=st.integers(0, 60), parts=st.integers(1, 9))
def test_shards_hold_every_point_once(points: int, parts: int) -> None:
    every = [Point(index, ()) for index in range(points)]
    cut = [Shard(number, parts).cut(every) for number in range(1, parts + 1)]
    assert [point for part in cut for point in part] == every
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_no_shard_has_a_chip_at_some_of_its_times_only(tmp_path: Path, parts: int) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("base: kws_tiny\nvariants: [ramp_5bit]\naxes: {chip.bits: [3, 4, 5, 6, 8]}\ntimes_s: [0, 60]\n")
    cut = [Study(str(file), shard=Shard(number, parts)).points for number in range(1, parts + 1)]
    assert sorted(point.index for part in cut for point in part) == list(range(10))
    chips = [{chip_of(point) for point in part} for part in cut]
    assert sum(map(len, chips)) == 5
    assert max(map(len, cut)) - min(map(len, cut)) <= 2


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "a/b", "1", "1/2/3", "-1/2"])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match=r"--shard: must be i/n with i from 1 to n, as in 2/8 \(got "):
        Shard.parse(text)


def test_points_with_one_training_stay_together(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "base: kws_tiny\naxes: {chip.bits: [3, 4], training.weight_noise: [0.0, 0.1]}\n")
    trainings = [plan.training_of(point) for point in plan.by_training(plan.points)]
    assert len(set(trainings)) == 2
    assert trainings == sorted(trainings, key=trainings.index)
    assert len(set(trainings[:4])) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            BENCH + "axes:\n  bitz: [3]",
            "FILE:3:10: bitz: no such key; allowed are kind, name, description, seed, function, low, high, bits, ramp, "
            "comparator, swing_V, chips, t_s, recentre; did you mean bits?",
        ),
        (
            "base: kws_tiny\naxes:\n  chip.weigths.device: [pcm]",
            "FILE:3:25: chip.weigths: no such key; allowed are description, source, cite, node_nm, bits, bias, rows, "
            "columns, partial_sums, readout, weights, wires, driver, ramp, front_end, ramp_front_end, ... (26 in all)"
            "; did you mean weights?",
        ),
        (
            "base: kws_tiny\naxes:\n  chip.bits: [3, 4, 55]\ntimes_s: [0]",
            "FILE:3:21: chip.bits: must be a whole number from 2 to 8 (got 55); at 1 of 3 points looked at, the first: "
            "chip.bits=55, t_s=0",
        ),
        (
            BENCH + "axes: {ramp.device: [pmc]}",
            None,
        ),
        (
            BENCH + "axes:\n  comparator.offset_V: {first: 0, last: 1, step: 1e-9}",
            "FILE:3:3: axes.'comparator.offset_V': expands to 1000000001 values; a sweep may have at most 100000 "
            "points",
        ),
        (
            BENCH + "axes: {bits: [3, 4, 5]}\nseeds: 50000",
            "FILE:3:1: seeds: brings the sweep to 150000 points; at most 100000 are allowed",
        ),
        (
            BENCH + "axes:\n  recentre: {values: [true], when: {bitts: 3}}\n  bits: [3]",
            "FILE:3:37: axes.recentre.when.bitts: must be an axis that comes before this one (none) (got bitts)",
        ),
        (
            BENCH + "axes:\n  bits: [3, 4]\n  recentre: {values: [true], when: {bits: 5}}",
            "FILE:4:37: axes.recentre.when.bits: must be a value of that axis (3, 4) (got 5)",
        ),
        (
            BENCH + "axes:\n  bits: [3]\n  both: {zip: {bits: [3, 4], chips: [1, 2]}}",
            "FILE:4:16: bits: each setting on one axis (got it again; it is on bits already)",
        ),
        (
            BENCH + "axes:\n  both: {zip: {bits: [3, 4], chips: [1]}}",
            "FILE:3:15: axes.both.zip: lists must be of one length, at least 1 (got bits: 2, chips: 1)",
        ),
        (
            BENCH + "axes: {bits: [3]}\noutputs: [enobb]",
            "FILE:3:11: outputs[0]: must be one of inl_raw_mean_lsb, inl_raw_mean_lsb_worst, inl_raw_max_lsb, "
            "inl_raw_max_lsb_worst, inl_mean_lsb, inl_mean_lsb_worst, inl_max_lsb, inl_max_lsb_worst, dnl_max_lsb, "
            "dnl_max_lsb_worst, error_mean_lsb, error_mean_lsb_worst, error_max_lsb, error_max_lsb_worst, "
            "missing_codes, missing_codes_worst, ... (24 in all) (got enobb); did you mean enob?",
        ),
        (
            "base: kws_tiny\naxes: {evaluation.times_s: [[0]]}",
            "FILE:2:29: evaluation.times_s: is no axis; 'times_s' of the sweep sets it",
        ),
        (
            "base: kws_tiny\nvariants: [ramp_6bit]",
            "FILE:2:12: variants[0]: must be a variant of the base (ramp_5bit, conventional_5bit, pcm_rram_ramp_on) "
            "(got ramp_6bit); did you mean ramp_5bit?",
        ),
        ("base: kws_tinny", None),
        ("base: {bits: 3}", "FILE:1:7: kind: must be one of " + ", ".join(WORKLOADS) + " (got nothing)"),
        (
            BENCH + "axes: {bits: []}",
            "FILE:2:14: axes.bits.values: must be a list of at least 1 item or null (got an empty list)",
        ),
        ("base: {kind: [kws]}", "FILE:1:14: kind: must be one of " + ", ".join(WORKLOADS) + " (got a list of 1 item)"),
        (BENCH + "times_s: [0, .nan]", "FILE:2:14: times_s[1]: must be a finite number (got .nan)"),
        (BENCH + "times_s: [.inf]", "FILE:2:11: times_s[0]: must be a finite number (got .inf)"),
        (
            BENCH + "axes: {comparator.offset_V: {first: 0, last: .inf, count: 3}}",
            "FILE:2:46: axes.'comparator.offset_V'.last: must be a finite number (got .inf)",
        ),
        (
            BENCH + "axes:\n  low: {first: 0, last: 1.0e+300, step: 1.0e-300}",
            f"FILE:3:3: axes.low: expands to {int(1e300) + 1} values; a sweep may have at most 100000 points",
        ),
        (
            BENCH + "axes:\n  bits: [3, 4]\n  recentre: {values: [true], when: {bits: []}}",
            "FILE:4:37: axes.recentre.when.bits: must name at least one value (got none)",
        ),
        (
            BENCH + "axes: {" + ", ".join(f"ramp.x{number}: [1]" for number in range(101)) + "}",
            "FILE:2:7: axes: must be a mapping of 0 to 100 keys (got a mapping)",
        ),
        (BENCH + "axes: {bits: [3, 4, 3]}", "FILE:2:8: axes.bits: each value once (got 3 again)"),
        (BENCH + "seeds: [1, 2, 1]", "FILE:2:1: seeds: each value once (got 1 again)"),
        (BENCH + "times_s: [0, 0.0]", "FILE:2:1: times_s: each value once (got 0.0 again)"),
        (
            BENCH + "axes: {bits: {first: 3, last: 3, count: 2}}",
            "FILE:2:8: axes.bits: each value once (got 3 again)",
        ),
        (
            BENCH + "set: {bits: 5}\naxes: {bits: [3, 4]}",
            "FILE:3:8: bits: is an axis at all points, so that 'set' cannot set it too",
        ),
        (
            BENCH + "axes:\n  seed: [3, 4]\nseeds: 2",
            "FILE:4:1: seed: each setting on one axis (got it again; it is on seed already)",
        ),
        (
            BENCH + "axes:\n  seeds: {zip: {bits: [3, 4]}}\nseeds: 2",
            "FILE:3:3: axes.seeds: must be another name than variant, samples, seeds, times_s, point, which mho gives "
            "(got seeds)",
        ),
        (
            BENCH + "samples: {count: 2, axes: {bits: {first: 2.5, last: 4, whole: true}}}",
            "FILE:2:63: samples.axes.bits.whole: first and last must be whole numbers too (got 2.5 and 4)",
        ),
    ],
)
def test_what_is_refused_before_anything_runs(tmp_path: Path, text: str, problem: str | None) -> None:
    problems = refused(tmp_path, text)
    if problem is None:
        assert any("did you mean pcm?" in each or "did you mean kws_tiny?" in each for each in problems)
        assert all(each.startswith("FILE:") for each in problems)
    else:
        assert problems == [problem]


def test_infinity_in_a_base_is_refused_before_a_store_would_have_to_hold_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "kind: nladc\nramp: {device: pcm}\ncomparator: {offset_V: .inf}\n", encoding="utf-8"
    )
    problems = refused(tmp_path, "base: ./base.yaml\naxes: {bits: [3]}")
    assert len(problems) == 1
    assert "base.yaml:3:24: comparator.offset_V: must be a finite number (got .inf)" in problems[0]


def test_a_set_value_holds_where_a_conditional_axis_does_not_exist(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, BENCH + "set: {chips: 7}\naxes:\n  bits: [3, 4]\n  chips: {values: [2], when: {bits: 4}}")
    assert [plan.template.config(point.coordinates).data["chips"] for point in plan.points] == [7, 2]


def test_the_file_of_the_documentation_is_sound(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "sweeps.md"
    (tmp_path / "docs.yaml").write_text(page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
    study = Study(str(tmp_path / "docs.yaml"))
    taox, pcm = 4 * 5 * 2 * 30 * 3 * 3, 4 * 5 * 2 * 2 * 30 * 3 * 3
    assert len(study.points) == 2 * (taox + pcm)
    study.check(study.points[:20] + study.points[-20:])


@pytest.mark.parametrize("name", sorted(records("sweeps")))
def test_a_shipped_sweep_is_sound(name: str) -> None:
    study = checked(name)
    assert study.sheet.sweep.description
    told = f"mho sweep {name} " in (Path(__file__).parents[3] / "docs" / "studies.md").read_text(encoding="utf-8")
    assert 1 < len(study.points) <= (250 if told else 100), (
        "minutes on one worker; above 100 points, docs/studies.md says"
    )
