"""The report of a sweep says what its folder holds, counts what it leaves out, and escapes what users wrote."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from configs.yaml_source import dump_yaml
from devices import InputError
from mho import reports
from mho.sweep.command import TABLE, sweep
from mho.sweep.page import formats, page, payload
from mho.sweep.page.reading import Reading, of_table, read
from mho.sweep.pareto import Aims, Limit
from mho.sweep.store import FILE, Store
from tests.mho.command import mho
from tests.mho.outline import Outline
from tests.mho.sweep import fake_sweep

NOTE = "The data is SYNTHETIC: words spoken by eSpeak NG voices."


def html_of(folder: Path, aims: Aims | None = None) -> str:
    return page.html(read(folder), aims)


def data_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Outline(text).scripts[0])
    return found


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without plotly.js, five megabytes that only the first tests look at (and a browser, elsewhere)."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* plotly.js */")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 points, of which one failed and two are missing."""
    made = tmp_path_factory.mktemp("sweeps") / "bench"
    fake_sweep.write(made, fake_sweep.bench(), failed={4: "ValueError: no ramp"}, missing=(7, 11), notes=[NOTE])
    return made


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plotly.offline.get_plotlyjs", get_plotlyjs)
        return html_of(folder)


def test_page_is_self_contained_and_its_links_arrive(text: str) -> None:
    outline = Outline(text)
    assert outline.fetched == []
    assert len(outline.scripts) == 3
    assert sorted(set(outline.ids)) == sorted(outline.ids)
    assert set(outline.inner) <= set(outline.ids)
    assert "default-src 'none'" in text
    assert "unsafe-eval" not in text
    own = text.replace(outline.scripts[1], "")
    assert "@import" not in own
    assert "url(http" not in own
    assert len(text.encode()) < 5_500_000


def test_page_has_every_section_and_counts_the_points(text: str) -> None:
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        *("Lines", "Heat", "Pareto front", "Parallel coordinates", "Sensitivity", "Table"),
        *("Notes", "Published chips", "Provenance"),
    ]
    assert "Sweep of 36 points (nladc): 33 done, 1 failed, 2 missing" in text
    assert "ValueError: no ramp" in text
    assert "A bench that is not run" in text
    assert f"{NOTE} <small" in text
    assert "(34 of 36 points)" in text
    assert "<strong>Synthetic data.</strong> At 34 of 36 points" in text


def test_columns_hold_what_the_store_holds(folder: Path, text: str) -> None:
    data = data_of(text)
    assert [axis["path"] for axis in data["axes"]] == ["bits", "ramp.device", "recentre", "seed", "t_s"]
    bits, device, recentre, _, times = data["axes"]
    assert (bits["levels"], device["levels"], recentre["levels"]) == (
        ["3", "4", "5"], ["rram_taox", "pcm"], ["false", "true"]
    )  # fmt: skip
    assert times["levels"] == ["0", "1 h"]
    assert recentre["values"][0] == -1  # the axis exists beside PCM alone
    assert data["states"][4] == "f"
    assert data["states"][7] == "m"
    assert data["errors"][data["error"][4]] == "ValueError: no ramp"
    enob = data["outputs"][0]
    assert (enob["name"], enob["unit"], enob["better"], enob["chips"]) == ("enob", "bit", "maximize", 2)
    assert enob["values"][0] == 3.0
    assert enob["values"][4] is None
    assert enob["spread"][0] == pytest.approx(0.1 * math.sqrt(2))  # of two chips, over n - 1
    frame = formats.table(read(folder))
    for place, row in enumerate(frame.itertuples(index=False)):
        assert (enob["values"][place] is None) == bool(np.isnan(row.enob))


def test_table_is_that_of_the_sweep_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "few.yaml"
    file.write_text(fake_sweep.bench((2,)), encoding="utf-8")
    sweep(str(file), output=tmp_path / "out")
    reports.write([tmp_path / "out"], "csv")
    assert capsys.readouterr().out.encode() == (tmp_path / "out" / TABLE).read_bytes()
    file.unlink()  # what the folder keeps is enough
    reports.write([tmp_path / "out"], "csv", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out" / TABLE).read_bytes()
    (path,) = reports.write([tmp_path / "out"])
    assert path == tmp_path / "out" / page.PAGE


def test_other_formats_hold_the_points(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports.write([folder], "json")
    held = json.loads(capsys.readouterr().out)
    assert len(held["points"]) == 36
    assert held["points"][4] == {
        "coordinates": {"bits": 3, "ramp.device": "pcm", "recentre": False, "seed": 0, "t_s": 0},
        "outputs": {"enob": None, "inl_mean_lsb": None},
        "state": "failed",
        "error": "ValueError: no ramp",
    }
    reports.write([folder], "markdown")
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| ") for line in lines) == 38
    pytest.importorskip("pyarrow")
    reports.write([folder], "parquet", tmp_path / "t.parquet")
    assert pd.read_parquet(tmp_path / "t.parquet").state.value_counts().to_dict() == {
        "done": 33,
        "missing": 2,
        "failed": 1,
    }


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><!--<b>&amp;\u2028"
    study = fake_sweep.write(
        tmp_path / "evil",
        fake_sweep.bench((3,)).replace("A bench that is not run", json.dumps(evil)),
        lambda point: {evil: 1.0, "enob": 2.0},
        failed={0: evil},
        notes=[evil],
    )
    found = read(tmp_path / "evil", study)
    found.coordinates["ramp.device"] = [evil] * len(found)
    text = page.html(found)
    assert "<script>alert(1)" not in text
    assert "<b>&amp;\u2028" not in text
    assert len(Outline(text).scripts) == 3
    data = data_of(text)
    assert evil in [output["name"] for output in data["outputs"]]
    assert data["errors"][data["error"][0]] == evil
    assert data["axes"][1]["levels"] == [evil]


def test_rows_of_another_sheet_are_counted_and_not_shown(tmp_path: Path) -> None:
    fake_sweep.write(tmp_path / "out", fake_sweep.bench((3, 4)))
    fake_sweep.write(tmp_path / "out", fake_sweep.bench((4, 5)))
    found = read(tmp_path / "out")
    assert (len(found), found.left_out) == (24, 12)
    assert set(found.coordinates["bits"]) == {4, 5}
    assert "12 rows of this folder belong to no point of this sweep" in page.html(found)


def test_points_of_a_changed_base_are_found_by_their_coordinates(tmp_path: Path) -> None:
    fake_sweep.write(tmp_path / "out", fake_sweep.bench())
    with Store(tmp_path / "out") as store:
        store.db.execute("update asked set key = key || 'x'")
    found = read(tmp_path / "out")
    assert found.states == ["done"] * 36
    assert "found by their coordinates" in found.remarks[0]


def test_a_sheet_that_cannot_be_read_again_leaves_the_rows(tmp_path: Path) -> None:
    study = fake_sweep.write(tmp_path / "out", fake_sweep.bench(), missing=(1,))
    with Store(tmp_path / "out") as store:
        gone = dump_yaml({**study.sheet.node.plain(), "base": "/nowhere/base.yaml"})
        store.db.execute("update sheets set name = 'gone.yaml', text = ?", (gone,))
    found = read(tmp_path / "out")
    assert (len(found), found.wanted) == (35, ("enob", "inl_mean_lsb"))
    assert "could not be read again" in found.remarks[0]
    assert "none can be listed as missing" in page.html(found)


def test_points_of_older_code_are_stale(tmp_path: Path) -> None:
    fake_sweep.write(tmp_path / "out", fake_sweep.bench((3, 4)), code="0" * 64)
    study = fake_sweep.write(tmp_path / "out", fake_sweep.bench((4, 5)))
    with Store(tmp_path / "out") as store:
        store.db.execute("update points set finished = '2000' where coordinates like '%[\"bits\",4]%'")
        store.db.execute(f"update points set code = '{'0' * 64}' where coordinates like '%[\"bits\",4]%'")
    assert read(tmp_path / "out").states == ["stale"] * 12 + ["done"] * 12
    judged = read(tmp_path / "out", study)
    assert judged.states == ["stale"] * 12 + ["done"] * 12
    assert judged.judged


@pytest.mark.parametrize(
    ("name", "sheet"),
    [
        ("one_point", "base: {kind: nladc, ramp: {device: rram_taox}}\n"),
        ("one_axis", "base: {kind: nladc, ramp: {device: rram_taox}}\naxes: {bits: [3, 4]}\n"),
        ("words", "base: {kind: nladc, ramp: {device: rram_taox}}\naxes: {ramp.device: [rram_taox, pcm]}\n"),
        (
            "mapping",
            "base: {kind: nladc, ramp: {device: rram_taox}}\naxes: {ramp: [{device: pcm}, {device: rram_taox}]}\n",
        ),
        (
            "zipped",
            "base: {kind: nladc, ramp: {device: rram_taox}}\naxes: {pair: {zip: {bits: [3, 4], chips: [2, 4]}}}\n",
        ),
        (
            "sampled",
            "base: {kind: nladc, ramp: {device: rram_taox}}\n"
            "samples: {count: 60, axes: {comparator.offset_V: {first: 1e-4, last: 1e-2, scale: log}}}\n",
        ),
    ],
)
def test_small_and_odd_sweeps_have_a_page(name: str, sheet: str, tmp_path: Path) -> None:
    study = fake_sweep.write(tmp_path / name, sheet)
    data = data_of(page.html(read(tmp_path / name, study)))
    assert data["points"] == len(data["states"]) > 0
    for axis in data["axes"]:
        assert len(axis["values"]) == data["points"]
        assert axis["many"] == (name == "sampled")
    if name == "mapping":
        assert len(set(data["axes"][0]["levels"])) == 2  # two mappings never look alike
    if name == "zipped":
        assert [row["axes"] for row in data["sensitivity"]] == [["pair"]] * len(data["sensitivity"])


def test_a_folder_before_its_first_point_has_a_page(tmp_path: Path) -> None:
    fake_sweep.write(tmp_path / "new", fake_sweep.bench((3,)), missing=range(12))
    text = html_of(tmp_path / "new")
    assert "0 done, 12 missing" in text
    assert data_of(text)["outputs"] == []


def test_very_many_points_are_sampled_and_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MOST_POINTS", 20)
    fake_sweep.write(tmp_path / "many", fake_sweep.bench())
    aims = Aims(objectives={"enob": "maximize", "inl_mean_lsb": "minimize"})
    whole = read(tmp_path / "many")
    text = page.html(whole, aims)
    data = data_of(text)
    assert (data["points"], len(data["states"]), len(data["shown"])) == (36, 20, 20)
    assert "Plots and table hold 20 of the 36 points" in text
    assert sum(data["best"]) == aims.best(whole.outputs).sum() > 0
    for place, index in enumerate(data["shown"]):
        assert data["outputs"][0]["values"][place] == whole.outputs["enob"][index]
    assert data["sensitivity"][0]["points"] == 36
    assert data["shown"] == data_of(page.html(whole, aims))["shown"]


def test_size_grows_by_its_columns_alone(tmp_path: Path) -> None:
    """Ten thousand points of a light sweep cost megabytes, not tens of them; no point has a row of HTML."""
    study = fake_sweep.write(tmp_path / "out", fake_sweep.bench())
    found = read(tmp_path / "out", study)
    times = 278
    for held in (found.coordinates, found.outputs, found.spread):
        for name, column in held.items():
            held[name] = column * times if isinstance(column, list) else np.tile(column, times)  # type: ignore[assignment,operator]
    found.states, found.errors, found.seconds = found.states * times, found.errors * times, found.seconds * times
    assert len(found) == 10_008
    text = page.html(found)
    assert len(payload.build(found, None, {})["states"]) == payload.MOST_POINTS
    assert text.count("<tr") < 200
    assert len(text.encode()) < 2_500_000


def test_aims_are_drawn_as_declared(folder: Path) -> None:
    aims = Aims(objectives={"inl_mean_lsb": "maximize"}, constraints={"enob": Limit(low=3.9)})
    text = html_of(folder, aims)
    data = data_of(text)
    assert data["objectives"] == {"inl_mean_lsb": "maximize"}
    assert next(one for one in data["outputs"] if one["name"] == "inl_mean_lsb")["better"] == "maximize"
    enob = data["outputs"][0]["values"]
    assert data["feasible"] == [value is not None and value >= 3.9 for value in enob]
    assert "Objectives are those that were declared" in text
    assert "highest inl mean" in text
    with pytest.raises(InputError, match="objectives: speed: must be an output"):
        html_of(folder, Aims(objectives={"speed": "maximize"}))


def test_trials_of_a_search_are_points_and_pruned_ones_are_listed_alone(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "trial": [0, 1, 2, 3],
            "bits": [3.0, 4.0, 5.0, np.nan],
            "ramp.device": ["pcm", "pcm", None, "rram_taox"],
            "enob": [2.9, 3.9, 9.0, np.nan],
            "cells": [10.0, 20.0, 5.0, np.nan],
            "feasible": [True, True, True, False],
            "front": [True, True, False, False],
            "rung": ["", "", 0, ""],
            "state": ["done", "done", "pruned", "failed"],
            "error": ["", "", "", "ValueError: no"],
        }
    )
    found = of_table(Reading(tmp_path, "search", kind="nladc"), frame, ["bits", "ramp.device"])
    text = page.html(found, Aims(objectives={"enob": "maximize", "cells": "minimize"}))
    data = data_of(text)
    assert (data["states"], data["best"]) == ("ddpf", [True, True, False, False])
    assert (data["axes"][0]["levels"], data["axes"][0]["values"]) == (["3", "4", "5"], [0, 1, 2, -1])
    assert data["axes"][1]["values"] == [0, 0, -1, 1]
    assert [output["name"] for output in data["outputs"]] == data["wanted"] == ["enob", "cells"]
    assert "2 done, 1 failed, 1 pruned" in text


def test_published_chips_stand_beside_costs_alone(tmp_path: Path) -> None:
    fake_sweep.write(tmp_path / "out", fake_sweep.bench((3,)), lambda point: {"tops_per_W": 30.0, "tops_per_mm2": 2.0})
    marks = data_of(html_of(tmp_path / "out"))["published"]
    assert {"Yang 2025 KWS, 5 bit", "IBM HERMES 64-core, 1-phase"} <= {mark["label"] for mark in marks}
    assert all(set(mark["figures"]) == {"tops_per_W", "tops_per_mm2"} for mark in marks)


def test_mho_report_takes_a_sweeps_folder(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = mho(capsys, "report", folder, "-o", tmp_path / "there.html")
    assert (code, out.strip()) == (0, str(tmp_path / "there.html"))
    assert (tmp_path / "there.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "trace"), "--format: must be one of html, csv, json, markdown, parquet for a sweep (got trace)"),
        (("--format", "parquet"), "needs a file: -o PATH"),
        (("other",), "a sweep is reported alone (got 2 folders)"),
        (("-o", "."), "it is a folder"),
    ],
)
def test_wrong_requests_are_one_message(
    arguments: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mho(capsys, "report", folder, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_damaged_store_is_one_message_and_stays_as_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / FILE).read_bytes()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE).write_bytes(b"not a database " * 100)
    code, out, err = mho(capsys, "report", tmp_path / "bad")
    assert (code, out) == (2, "")
    assert "damaged" in err
    assert sorted(path.name for path in (tmp_path / "bad").iterdir() if "report" in path.name) == []
    assert (folder / FILE).read_bytes() == whole


def test_axes_have_names_and_heads_a_scope(folder: Path, text: str) -> None:
    """Settings go by their names and not by the words of the sheet, outputs that never vary are no row."""
    labels = {tuple(each["labels"]) for each in data_of(text)["sensitivity"]}
    assert labels == {("bits", "ramp device", "recentre", "seed", "time after programming")}
    shares = text[text.index('class="heat grid"') : text.index("How the shares are found")]
    heads = re.findall(r'<th scope="col">(.*?)</th>', shares)
    assert heads == ["Output", *labels.pop(), "interactions"]
    assert "<caption>" in shares
    assert len(re.findall(r"<tr><th scope=.row.>", shares)) == 2
    assert "<th>" not in text[: text.index("<script")]


def test_the_best_point_stands_with_the_noise_over_its_chips(tmp_path: Path) -> None:
    values = np.array([0.90, 0.89, 0.70])
    found = Reading(tmp_path, "mine", coordinates={"chip.bits": [4, 5, 6]}, outputs={"accuracy": values})
    spread, chips = {"accuracy": np.array([0.02, 0.02, 0.02])}, {"accuracy": 8}
    # Two means differ by chance by up to 1.96 * sqrt(2 * 0.02^2 / 8) = 0.0196.
    for at, others in ((0.89, "1 other point within"), (0.85, "no other points within"), (0.8999, "1 other point ")):
        values[1] = at
        said = page.noise(replace(found, spread=spread, chips=chips), "accuracy", values, 0)
        assert said.startswith("± 0.0200 standard deviation over 8 chips, ")
        assert others in said
    assert page.noise(found, "accuracy", values, 0) == ""
    assert page.words(found, 0) == "bits 4"


def test_trials_are_called_so_and_none_is_joined_to_another(tmp_path: Path) -> None:
    frame = pd.DataFrame({"trial": [0, 1], "bits": [3.0, 4.0], "enob": [2.9, 3.9], "state": ["done", "done"]})
    frame = frame.assign(feasible=True, front=[False, True], rung="", error="")
    text = page.html(
        of_table(Reading(tmp_path, "search", kind="nladc"), frame, ["bits"]), Aims(objectives={"enob": "maximize"})
    )
    assert data_of(text)["trials"] is True  # by which the page draws marks alone
    assert "<h2>Trials</h2>" in text
    assert "Search of 2 trials (nladc): 2 done; front of 1 trial in enob" in text
    fake_sweep.write(tmp_path / "plain", fake_sweep.bench())
    assert data_of(html_of(tmp_path / "plain"))["trials"] is False
