"""A sweep from file to table: the same bytes however it runs, nothing lost by kills, and old results marked as such."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mho import cli
from mho.sweep import command, export, provenance
from mho.sweep.command import Resume, sweep
from mho.sweep.engines.clusters import Site
from mho.sweep.engines.engine import Here, Local, WorkerDied
from mho.sweep.plan import Shard
from mho.sweep.progress import Meter
from mho.sweep.run import Runner
from mho.sweep.store import FILE, Store
from mho.sweep.study import Study
from tests.mho.command import mho
from workloads.nladc import ConverterBench

BENCH = """
base: {kind: nladc, ramp: {device: rram_taox}, chips: 2}
axes:
  bits: [2, 3]
  ramp.device: [rram_taox, pcm]
  recentre: {values: [false, true], when: {ramp.device: pcm}}
seeds: 2
times_s: [0, 3600]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "bench.yaml"
    path.write_text(BENCH, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "bench.yaml").write_text(BENCH, encoding="utf-8")
    outcome = sweep(str(folder / "bench.yaml"), output=folder / "out")
    assert (outcome.done, outcome.failed, outcome.computed) == (24, 0, 24)
    return (folder / "out" / command.TABLE).read_bytes()


def test_two_workers_give_the_table_of_one_to_the_byte(file: str, tmp_path: Path, undisturbed: bytes) -> None:
    outcome = sweep(file, output=tmp_path / "two", site=Site(workers=2))
    assert outcome.computed == 24
    assert (tmp_path / "two" / command.TABLE).read_bytes() == undisturbed


def test_points_in_any_order_give_the_same_table(file: str, tmp_path: Path, undisturbed: bytes) -> None:
    study = Study(file)
    points = list(study.points)
    random.Random(1).shuffle(points)
    with Store(tmp_path / "out") as store, Here() as engine:
        Runner(study, store, {}, engine, Meter(quiet=True)).run(points)
    assert sweep(file, output=tmp_path / "out").computed == 0
    assert (tmp_path / "out" / command.TABLE).read_bytes() == undisturbed


def test_shards_merged_give_the_whole_table(file: str, tmp_path: Path, undisturbed: bytes) -> None:
    folders = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, folder in enumerate(folders, 1):
        assert sweep(file, output=folder, shard=Shard(number, 3)).computed == 8
    outcome = sweep(file, output=tmp_path / "whole", resume=Resume(merge=tuple(folders)))
    assert outcome.computed == 0
    assert (tmp_path / "whole" / command.TABLE).read_bytes() == undisturbed


def test_a_point_is_the_measurement_of_mho_show(undisturbed: bytes, tmp_path: Path) -> None:
    from mho import nladc

    (tmp_path / "t.csv").write_bytes(undisturbed)
    table = pd.read_csv(tmp_path / "t.csv")
    options = nladc.ConverterOptions("sigmoid", bits=3, device="pcm", chips=2, t_s=3600.0, recentre=True, seed=1)
    found = nladc.measure(options).figures()
    (point,) = table[
        (table.bits == 3) & (table["ramp.device"] == "pcm") & (table.recentre == True)  # noqa: E712
        & (table.seed == 1) & (table.t_s == 3600)
    ].to_dict("records")  # fmt: skip
    assert [point["enob"], point["enob_worst"]] == pytest.approx(found["ENOB of the sine test [bit]"], rel=1e-15)
    assert [point["inl_max_lsb"], point["inl_max_lsb_worst"]] == pytest.approx(found["max |INL| [LSB]"], rel=1e-15)


def test_a_finished_sweep_leaves_its_page_and_a_changed_one_makes_it_anew(file: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sweep(file, output=out)
    made = (out / "report.html").stat().st_ino
    assert sweep(file, output=out).computed == 0
    assert (out / "report.html").stat().st_ino == made
    Path(file).write_text(BENCH + "description: other words\n", encoding="utf-8")
    sweep(file, output=out)
    assert "other words" in (out / "report.html").read_text(encoding="utf-8")
    (out / "report.html").unlink()
    sweep(file, output=out)
    assert (out / "report.html").is_file()


def test_a_sweep_that_grows_computes_only_what_is_new(file: str, tmp_path: Path) -> None:
    sweep(file, output=tmp_path / "out")
    Path(file).write_text(BENCH.replace("bits: [2, 3]", "bits: [2, 3, 4]"), encoding="utf-8")
    assert sweep(file, output=tmp_path / "out").computed == 12


def test_changed_code_makes_points_stale_and_they_are_computed_again(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    sweep(file, output=out)
    whole = (out / command.TABLE).read_bytes()
    about = provenance.code()[1]
    monkeypatch.setattr(provenance, "code", lambda: ("another digest", about))
    assert "0 done, 0 to do, 24 stale (made by other code or data)" in command.preview(file, output=out)
    code, _, err = mho(capsys, "sweep", file, "-o", out, "--keep-stale")
    assert (code, "stale points are kept as they are" in err) == (0, True)
    kept = pd.read_csv(out / command.TABLE)
    assert list(kept.state.unique()) == ["stale"]
    assert kept.enob.notna().all()
    code, _, err = mho(capsys, "sweep", file, "-o", out)
    assert "24 stale (made by other code or data); stale points are computed again" in err
    assert (out / command.TABLE).read_bytes() == whole


def test_failed_points_are_kept_with_their_error_and_retried_on_demand(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, measure = tmp_path / "out", ConverterBench.measure

    def breaks(self: ConverterBench) -> Any:
        if self.bits == 3 and self.seed == 1:
            raise ZeroDivisionError("a chip without cells")
        return measure(self)

    monkeypatch.setattr(ConverterBench, "measure", breaks)
    code, said, _ = mho(capsys, "sweep", file, "-o", out)
    assert code == 1
    assert "18 of 24 points done, 6 failed, 24 computed now" in said
    assert "failed: ZeroDivisionError: a chip without cells (test_run.py:" in said
    table = pd.read_csv(out / command.TABLE)
    assert set(table[table.state == "failed"].seed) == {1}
    assert table[table.state == "failed"].error.str.contains("a chip without cells").all()
    monkeypatch.undo()
    assert mho(capsys, "sweep", file, "-o", out)[1].startswith("18 of 24 points done, 6 failed, 0 computed now")
    code, said, _ = mho(capsys, "sweep", file, "-o", out, "--retry-failed")
    assert (code, said.splitlines()[0]) == (0, "24 of 24 points done, 0 failed, 6 computed now")


class Deadly(Here):
    """An engine whose worker dies at some points; a death takes everything under way with it."""

    workers = 2

    def __init__(self, deadly: Callable[[dict[str, Any]], bool]) -> None:
        self.deadly = deadly
        self.open: list[tuple[Future[Any], Any, Any]] = []

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.open.append((future, function, task))
        if len(self.open) == 3 or len(task.configs) == 1:
            died = any(self.deadly(config) for _, _, held in self.open for config in held.configs)
            for each, work_, held in self.open:
                each.set_exception(WorkerDied()) if died else each.set_result(work_(held))
            self.open = []
        return future


def test_the_point_at_which_workers_die_is_found_and_the_others_are_finished(file: str, tmp_path: Path) -> None:
    study = Study(file)
    with Store(tmp_path / "out") as store:
        engine = Deadly(lambda config: config["bits"] == 3 and config["seed"] == 0 and config["t_s"] == 0.0)
        runner = Runner(study, store, {}, engine, Meter(quiet=True), mean_s=0.3)
        runner.run(study.points)
        rows = list(store.rows())
    failed = [dict(row.coordinates) for row in rows if row.state == "failed"]
    assert len(rows) == 24
    assert len(failed) == 3
    assert all((one["bits"], one["seed"], one["t_s"]) == (3, 0, 0.0) for one in failed)
    assert all("the worker died at this point twice" in row.error for row in rows if row.state == "failed")


def test_a_worker_that_is_killed_is_told_and_the_next_task_finds_a_new_one() -> None:
    with Local(1) as engine:
        with pytest.raises(WorkerDied):
            engine.submit(os._exit, 3).result(timeout=120)
        assert engine.submit(abs, -3).result(timeout=120) == 3
        assert engine.submit(os.getenv, "OMP_NUM_THREADS").result(timeout=120) == "1"


# Forks start at once, where a new interpreter would import for seconds.
DISTURBED = """
    import os, random, signal, sys, time
    from pathlib import Path
    from mho.sweep.command import Resume, sweep

    def forked(name):
        child = os.fork()
        if child == 0:
            sweep(sys.argv[1], output=Path(name))
            os._exit(0)
        return child

    sweep(sys.argv[1], output=Path("undisturbed"))
    started = time.perf_counter()
    sweep(sys.argv[1], output=Path("again"))
    whole_s = time.perf_counter() - started
    draw = random.Random(5)
    for number in range(8):
        child = forked("killed")
        time.sleep(draw.uniform(0.3, 0.9) * whole_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(sweep(sys.argv[1], output=Path("killed")).computed)
    for child in [forked("shared") for _ in range(3)]:
        os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of one sweep undisturbed, killed eight times, and run by three processes at once."""
    folder = tmp_path_factory.mktemp("disturbed")
    (folder / "bench.yaml").write_text(BENCH.replace("seeds: 2", "seeds: 6"), encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DISTURBED), "bench.yaml"], cwd=folder, check=True, capture_output=True,
        text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    (folder / "computed").write_text(found.stdout)
    return folder


def test_kills_at_random_times_lose_double_and_change_nothing(disturbed: Path) -> None:
    assert int((disturbed / "computed").read_text()) < 72, "what was finished before the kills is not computed again"
    assert table(disturbed / "killed") == table(disturbed / "again") == table(disturbed / "undisturbed")
    with Store(disturbed / "killed") as store:
        assert [row.attempts for row in store.rows()] == [1] * 72


def test_processes_share_one_folder(disturbed: Path) -> None:
    assert table(disturbed / "shared") == table(disturbed / "undisturbed")
    with Store(disturbed / "shared") as store:
        assert [row.attempts for row in store.rows()] == [1] * 72


def table(folder: Path) -> bytes:
    return (folder / command.TABLE).read_bytes()


def test_a_killed_sweep_takes_its_workers_along_and_resumes(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(BENCH.replace("seeds: 2", "seeds: 20"), encoding="utf-8")
    provenance.code.cache_clear()
    running = subprocess.Popen(
        [sys.executable, "-m", "mho", "sweep", str(file), "-o", str(tmp_path / "out"), "-j", "2", "--quiet"],
        start_new_session=True, stdout=subprocess.DEVNULL, cwd=Path(cli.__file__).parent.parent,
    )  # fmt: skip
    while running.poll() is None and _rows(tmp_path / "out") < 5:
        time.sleep(0.05)
    running.kill()
    running.wait()
    kept = _rows(tmp_path / "out")
    assert 5 <= kept < 240
    outcome = sweep(str(file), output=tmp_path / "out")
    assert (outcome.done, outcome.computed) == (240, 240 - kept)
    sweep(str(file), output=tmp_path / "whole")
    assert (tmp_path / "out" / command.TABLE).read_bytes() == (tmp_path / "whole" / command.TABLE).read_bytes()
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


def _rows(folder: Path) -> int:
    if not (folder / FILE).is_file():
        return 0
    with Store(folder, create=False) as store:
        return len(store.statuses()[1])


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_told_to_stop_ends_in_order_and_keeps_what_is_finished(
    tmp_path: Path, sign: signal.Signals
) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(BENCH.replace("seeds: 2", "seeds: 200"), encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", "mho", "sweep", str(file), "-o", str(tmp_path / "out"), "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(cli.__file__).parent.parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while running.poll() is None and _rows(tmp_path / "out") < 5:
        time.sleep(0.05)
    running.send_signal(sign)
    said, error = running.communicate(timeout=60)
    assert (running.returncode, said) == (128 + sign, "")
    assert error == "mho: stopped; all that is finished is kept, and the same command goes on from there\n"
    assert 5 <= _rows(tmp_path / "out") < 2400
    assert not list((tmp_path / "out").glob(".*.working")), "the lock of a process that ended in order is gone"


def test_a_full_disk_at_the_report_is_a_failed_run_and_no_wrong_input(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mho.files.os.replace", full)
    code, out, err = mho(capsys, "sweep", file, "-o", tmp_path / "out", "--quiet")
    assert (code, out) == (1, "")
    assert err.endswith("results.csv: cannot write: No space left on device; nothing was written\n")
    monkeypatch.undo()
    assert mho(capsys, "sweep", file, "-o", tmp_path / "out")[1].startswith(
        "24 of 24 points done, 0 failed, 0 computed now"
    )


def test_json_keeps_every_digit_of_small_figures() -> None:
    frame = pd.DataFrame({"energy_J": [1.23456789012345e-13, float("nan")], "bits": [3, 4], "device": ["pcm", None]})
    assert json.loads(export.as_json(frame)) == [
        {"energy_J": 1.23456789012345e-13, "bits": 3, "device": "pcm"},
        {"energy_J": None, "bits": 4, "device": None},
    ]


def test_settings_zipped_under_the_name_of_an_output_have_a_dimension_of_their_own(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    file = tmp_path / "grid.yaml"
    file.write_text(
        "base: {kind: nladc, ramp: {device: rram_taox}, chips: 1}\naxes: {cells: {zip: {bits: [2, 3]}}}\n",
        encoding="utf-8",
    )
    outcome = sweep(str(file), output=tmp_path / "out", exports=[tmp_path / "t.nc"])
    with xarray.open_dataset(tmp_path / "t.nc", engine="scipy") as data:
        assert dict(data.sizes) == {"cells_axis": 2}
        assert data.cells.values.ravel().tolist() == outcome.table.cells.tolist()


def test_the_table_as_a_grid_with_units(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    file = tmp_path / "grid.yaml"
    file.write_text(
        "base: {kind: nladc, ramp: {device: rram_taox}, chips: 1}\n"
        "axes:\n  bits: [2, 3]\n  cells: {zip: {ramp.device: [rram_taox, pcm], recentre: [false, true]}}\n"
        "seeds: 3\noutputs: [inl_max_lsb, enob]\n",
        encoding="utf-8",
    )
    paths = [tmp_path / f"t{ending}" for ending in (".csv", ".nc")]
    outcome = sweep(str(file), output=tmp_path / "out", exports=paths)
    assert list(outcome.table.columns) == [
        "bits", "ramp.device", "recentre", "seed", "inl_max_lsb", "enob", "state", "error",
    ]  # fmt: skip
    assert paths[0].read_bytes() == (tmp_path / "out" / command.TABLE).read_bytes()
    with xarray.open_dataset(paths[1], engine="scipy") as data:
        assert dict(data.sizes) == {"bits": 2, "cells": 2, "seeds": 3}
        assert data["ramp.device"].values.astype(str).tolist() == ["rram_taox", "pcm"]
        assert data.inl_max_lsb.attrs["units"] == "LSB"
        np.testing.assert_array_equal(data.enob.values.ravel(), outcome.table.enob)
        assert int(data.state.max()) == 0


def test_parquet_keeps_every_bit(file: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    outcome = sweep(file, output=tmp_path / "out", exports=[tmp_path / "t.parquet"])
    found = pd.read_parquet(tmp_path / "t.parquet")
    assert found.enob.tolist() == outcome.table.enob.tolist()
    assert len(found) == 24


def test_points_without_a_grid_become_one_dimension(file: str, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    sweep(file, output=tmp_path / "out", exports=[tmp_path / "t.nc"])
    with xarray.open_dataset(tmp_path / "t.nc", engine="scipy") as data:
        assert dict(data.sizes)["point"] == 24


def test_keyword_points_are_those_of_mho_run_with_one_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mho.runner import run
    from workloads.kws import run as experiment

    quick = {"training.software.steps": 4, "training.aware.steps": 2, "data.clips": 120}
    file = tmp_path / "kws.yaml"
    file.write_text(
        f"base: kws_tiny\nset: {json.dumps(quick)}\nchips: 2\ntimes_s: [0, 2.592e+6]\n"
        "axes: {chip.weights.device: [rram_taox, pcm], chip.bits: [4, 5]}\n",
        encoding="utf-8",
    )
    trained, train = [], experiment.train
    monkeypatch.setattr(
        experiment, "train", lambda *args, **named: trained.append(named["name"]) or train(*args, **named)
    )
    outcome = sweep(str(file), output=tmp_path / "out")
    # Networks are trained for the error of a point's own cells, not for those of a point computed beside it.
    assert (outcome.done, sorted(trained)) == (8, ["4 bits", "4 bits", "5 bits", "5 bits", "software"])
    trained.clear()
    Path(file).write_text(file.read_text().replace("[4, 5]", "[4, 5], chip.rows: [512, 64]"), encoding="utf-8")
    outcome = sweep(str(file), output=tmp_path / "out")
    assert (outcome.done, trained) == (16, []), "points that differ in hardware alone take the networks that are there"
    monkeypatch.undo()
    sets = [f"{path}={value}" for path, value in quick.items()]
    sets += ["chip.weights.device=pcm", "chip.bits=4", "evaluation.times_s=[0, 2592000]", "evaluation.chips=2"]
    alone = run("kws_tiny", sets=tuple(sets))
    table = outcome.table
    for entry in alone["variants"][0]["quality"]:
        (point,) = table[
            (table["chip.weights.device"] == "pcm") & (table["chip.bits"] == 4) & (table["chip.rows"] == 64)
            & (table.t_s == entry["t_s"])
        ].to_dict("records")  # fmt: skip
        assert point["accuracy"] == entry["accuracy"]["mean"]
        assert point["accuracy_std"] == entry["accuracy"]["std"]
        assert point["energy_J"] == alone["variants"][0]["cost"]["energy_J"]
        for stage in ("software", "retrained", "quantised"):
            assert point[f"{stage}_accuracy"] == alone[stage]["accuracy"]


def test_progress_says_rate_time_left_and_failures(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter(quiet=False)
    meter.start(100, 10)
    meter.started -= 9.0
    meter.advance(30, 2)
    assert meter.text() == "40 of 100 points, 3.33/s, 18 s left, 2 failed"
    meter.stop()
    assert capsys.readouterr().err.endswith("s] 40 of 100 points, 3.33/s, 18 s left, 2 failed\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-j", 0], "mho: -j: must be a whole number from 1 to 256 (got 0)\n"),
        (["--shard", "3/2"], "mho: --shard: must be i/n with i from 1 to n, as in 2/8 (got 3/2)\n"),
        (["--export", "t.xlsx"], "mho: --export t.xlsx: the ending must be one of .csv, .parquet, .nc (got .xlsx)\n"),
        (["--merge", "nowhere"], "mho: nowhere: holds no sweep (no sweep.sqlite in it)\n"),
        (["--merge", "words"], "mho: words: holds no sweep (no sweep.sqlite in it)\n"),
        (["--shard", ""], "mho: --shard: must be i/n with i from 1 to n, as in 2/8 (got )\n"),
        (["--shards", 3], "mho: --shards: belongs to --slurm FILE\n"),
        (["--sbatch=--time=1"], "mho: --sbatch: belongs to --slurm FILE\n"),
        (
            ["--export", "words/t.csv"],
            "mho: --export words/t.csv: cannot write here: HERE/words is no folder that can be written to\n",
        ),
        (["--export", "folder.csv"], "mho: --export folder.csv: cannot write a file here: it is a folder\n"),
        (["-o", "words/out"], "mho: words/out: cannot make this folder: Not a directory\n"),
    ],
)
def test_bad_options_are_one_message(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[object], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").write_text("no folder")
    (tmp_path / "folder.csv").mkdir()
    assert mho(capsys, "sweep", file, "-o", tmp_path / "out", *arguments) == (
        2,
        "",
        message.replace("HERE", str(tmp_path)),
    )
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_points_number_and_time_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    code, out, _ = mho(capsys, "sweep", file, "-o", tmp_path / "out", "--dry-run", "--shard", "1/2")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "     0  bits=2, ramp.device=rram_taox, seed=0, t_s=0"
    assert lines[-2] == "12 of 24 points (nladc): 0 done, 12 to do"
    assert lines[-1].startswith("time: about ")
    assert not (tmp_path / "out").exists()
