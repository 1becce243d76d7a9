"""A workload of the user's own, put into the registry, is read from YAML, run, reported and swept like the others.

The workload is the worked example of docs/extending.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mho
from devices import InputError
from mho.sweep.command import sweep
from workloads import WORKLOADS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
CODE, FILE = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE.split("\n## A workload")[1], flags=re.S)
exec(compile(CODE, "docs/extending.md", "exec"), globals())
FLOWERS: Any = WORKLOADS.pop("flowers")


@pytest.fixture
def flowers() -> Iterator[None]:
    WORKLOADS["flowers"] = FLOWERS
    yield
    del WORKLOADS["flowers"]


def test_a_workload_of_ones_own_runs_and_is_reported(tmp_path: Path, flowers: None) -> None:
    (tmp_path / "mine.yaml").write_text(FILE)
    metrics = mho.run(str(tmp_path / "mine.yaml"), output=tmp_path / "run")
    assert metrics["software"]["right"] > 0.9
    assert [variant["name"] for variant in metrics["variants"]] == ["taox", "pcm"]
    for variant in metrics["variants"]:
        assert variant["quality"][0]["right"]["mean"] > 0.8
        lines = pd.read_csv(tmp_path / "run" / "components.csv").query("variant == @variant['name']")
        assert variant["cost"]["energy_J"] == pytest.approx(lines.energy_J.sum())
    assert "taox" in (tmp_path / "run" / "report.html").read_text()


def test_a_sweep_asks_its_record_for_its_figures(tmp_path: Path, flowers: None) -> None:
    file = tmp_path / "sweep.yaml"
    (tmp_path / "mine.yaml").write_text(FILE)
    file.write_text("base: mine.yaml\naxes: {chip.bits: [3, 6]}\noutputs: [right, right_std, energy_J]\n")
    table = sweep(str(file), output=tmp_path / "out").table
    assert table["right"].iloc[1] > 0.8
    assert (table["energy_J"] > 0).all()
    file.write_text("base: mine.yaml\naxes: {chip.bits: [3, 6]}\noutputs: [accuracy]\n")
    with pytest.raises(InputError, match=r"outputs\[0\]: must be one of right, right_std, software_right"):
        sweep(str(file), output=tmp_path / "other")


def test_settings_under_another_name_than_their_kind_are_refused(tmp_path: Path) -> None:
    WORKLOADS["iris"] = FLOWERS
    try:
        (tmp_path / "mine.yaml").write_text(FILE.replace("kind: flowers", "kind: iris"))
        with pytest.raises(TypeError, match=r"Flowers\.kind must be 'iris'"):
            mho.run(str(tmp_path / "mine.yaml"))
    finally:
        del WORKLOADS["iris"]


def test_a_run_is_one_object_whether_it_was_written_or_not(tmp_path: Path) -> None:
    run = mho.run("spgemm_tiny", output=tmp_path / "run")
    again, there = mho.run("spgemm_tiny"), mho.load_run(tmp_path / "run")
    assert (run.path, again.path) == (tmp_path / "run", None)
    for one in (again, there):
        assert one.metrics_json | {"wall_s": 0} == run.metrics_json | {"wall_s": 0}
        assert one["variants"] == run["variants"]
        pd.testing.assert_frame_equal(one.summary, run.summary)
        pd.testing.assert_frame_equal(one.tables["components"], run.tables["components"], check_dtype=False)
        assert one.absent == run.absent
    assert list(run.summary["variant"].unique()) == [variant["name"] for variant in run["variants"]]
    assert "SYNTHETIC" in run._repr_html_()
    assert list(there.figures) == list(run.figures) == list(again.figures)
    with pytest.raises(mho.InputError, match="not written to a folder"):
        again.folder  # noqa: B018
    with pytest.raises(mho.InputError, match="--force"):
        mho.run("spgemm_tiny", output=tmp_path / "run")
    mho.run("spgemm_tiny", output=tmp_path / "run", force=True)
