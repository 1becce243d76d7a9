"""Sweeps on graphics cards: a worker a card, points of a card as points of their own, and what is missing said.

No test needs a card: cards are counted by a stand-in, workers are real processes, and a card's points are computed on
the CPU under its name.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from devices import InputError
from mho.sweep import command, work
from mho.sweep.command import sweep
from mho.sweep.engines.cards import VISIBLE, cards_of
from mho.sweep.engines.clusters import Site
from mho.sweep.engines.engine import Engine, Here, Local, WorkerDied
from mho.sweep.page.reading import read
from mho.sweep.store import Store
from mho.sweep.study import Study
from tests.mho.command import mho
from workloads import WORKLOADS
from workloads.running import RunOptions

NETWORK = """
base:
  extends: network
  training: {epochs: 1}
axes: {chip.bits: [3, 4]}
times_s: [0.0]
chips: 1
outputs: [accuracy]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "digits.yaml").write_text(NETWORK, encoding="utf-8")
    return str(tmp_path / "digits.yaml")


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def stand_in(two_cards: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices that runs were asked for; they compute on the CPU."""
    asked: list[str] = []
    real = WORKLOADS["network"].run
    assert real is not None

    def run(settings: Any, options: RunOptions) -> Any:
        asked.append(options.device)
        return real(settings, replace(options, device="cpu"))

    monkeypatch.setattr(work, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True)))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a stand-in")
    monkeypatch.setitem(WORKLOADS, "network", replace(WORKLOADS["network"], run=run))
    monkeypatch.setattr(Site, "open", lambda self: Here())
    return asked


def test_each_worker_sees_one_card_that_no_other_has(tmp_path: Path) -> None:
    with Local(2, ("5", "GPU-7")) as engine:
        assert {each.result(timeout=120) for each in [engine.submit(_slowly, VISIBLE) for _ in range(4)]} == {
            "5",
            "GPU-7",
        }
        with pytest.raises(WorkerDied):
            engine.submit(os._exit, 3).result(timeout=120)
        # The locks of the dead are void.
        again = [engine.submit(_slowly, VISIBLE) for _ in range(2)]
        assert {each.result(timeout=120) for each in again} == {"5", "GPU-7"}


def _slowly(name: str) -> str | None:
    time.sleep(1.0)
    return os.getenv(name)


def test_ray_gives_its_workers_a_card_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_cards: None) -> None:
    pytest.importorskip("ray", exc_type=ImportError)
    monkeypatch.setenv(VISIBLE, "3,1")
    with Site("ray", device="cuda").open() as engine:
        assert engine.workers == 2
        assert {each.result(timeout=120) for each in [engine.submit(_slowly, VISIBLE) for _ in range(2)]} == {"3", "1"}


def test_cards_are_those_that_this_process_may_see(monkeypatch: pytest.MonkeyPatch, two_cards: None) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    assert cards_of("cpu") == ()
    assert cards_of("cuda") == ("0", "1")
    monkeypatch.setenv(VISIBLE, "6,2")
    assert cards_of("cuda") == ("6", "2")
    assert cards_of("cuda:1") == ("2",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "--device: must be cpu, cuda (all cards that are visible) or cuda:0,cuda:1 (got gpu)"),
        ({"device": "cuda:2"}, "--device: this machine has the cards cuda:0 to cuda:1 (got cuda:2)"),
        (
            {"device": "cuda:0,cuda:0"},
            "--device: each card once, since one worker computes on each (got cuda:0,cuda:0)",
        ),
        (
            {"device": "cuda", "workers": 3},
            "-j: one worker computes on each card, and --device cuda names 2 (got 3)",
        ),
        (
            {"device": "cuda", "kind": "dask"},
            "--device cuda: with --engine dask, by --address of a cluster whose workers see one card each "
            "(CUDA_VISIBLE_DEVICES=0 dask worker ... --nthreads 1); on this machine take --engine local",
        ),
        (
            {"device": "cuda:0", "kind": "ray", "address": "auto"},
            "--device: at --address the cluster decides which cards workers have; take cuda (got cuda:0)",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_message(options: dict[str, Any], message: str, two_cards: None) -> None:
    with pytest.raises(InputError) as raised:
        Site(**options).open()
    assert list(raised.value.problems) == [message]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_without_a_card_the_command_ends_with_a_sentence_and_leaves_nothing(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mho(capsys, "sweep", file, "--device", "cuda", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err == "mho: --device cuda: this machine has no CUDA device that torch can use; take --device cpu\n"
    assert not (tmp_path / "out").exists()
    sweep(file, output=tmp_path / "out")
    code, _, err = mho(capsys, "sweep", file, "--device", "cuda", "-o", tmp_path / "out")
    assert code == 2
    with Store(tmp_path / "out") as store:  # the sweep that could not begin has not worked here
        assert [each[3] for each in store.sheets()] == ["cpu"]


def test_a_worker_without_a_card_ends_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    task = work.PointBatch("network", ({},), (None,), None, tmp_path, work.provenance.code()[0], device="cuda")
    with pytest.raises(work.NoCard, match="has no CUDA device that torch can use, and the sweep is for one"):
        work.perform(task)


def test_points_of_a_card_are_points_of_their_own(
    file: str, tmp_path: Path, stand_in: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert sweep(file, output=out).computed == 2
    assert "2 there from --device cpu, which are other points" in command.preview(file, output=out, device="cuda")
    code, _, err = mho(capsys, "sweep", file, "--device", "cuda", "-o", out)
    assert code == 0
    assert "2 to do, 2 there from --device cpu, which are other points and stay as they are" in err
    assert stand_in == ["cpu", "cuda"], "one run of both points each"
    with Store(out) as store:
        rows = list(store.rows())
    assert sorted(row.artefacts["device"] for row in rows) == ["cpu", "cpu", "cuda: a stand-in", "cuda: a stand-in"]
    assert len({row.digest for row in rows}) == 4
    assert ["card" in row.artefacts for row in rows] == [row.artefacts["device"] != "cpu" for row in rows]
    assert len(list((out / "trained").glob("*.safetensors"))) == 2, "a network for each kind of device"
    # Both are there now, and nothing is computed again.
    for device in ("cpu", "cuda"):
        again = sweep(file, output=out, site=Site(device=device))
        assert (again.done, again.computed) == (2, 0)
    # The report of the folder is that of the last sweep.
    found = read(out)
    assert (found.states, found.left_out) == (["done", "done"], 2)


def test_the_keys_of_cpu_points_are_what_they_were(file: str) -> None:
    here, there = Study(file), Study(file, compute="cuda")
    for mine, other in zip(here.points, there.points, strict=True):
        assert here.asked(mine) == there.asked(other, "cpu") != there.asked(other)
        assert here.template.config(mine.coordinates).digest != there.template.config(other.coordinates).digest


@pytest.mark.parametrize(("kind", "name"), [("nladc", "converter_offset"), ("spgemm", "sparse_tiling")])
def test_what_the_cpu_computes_alone_is_refused(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = mho(capsys, "sweep", name, "--device", "cuda", "--dry-run")
    assert (code, out) == (2, "")
    takers = "kws, lsm, network, zeroshot, charlm"
    assert err == f"mho: --device cuda: for experiments of kind {takers} (got {kind}, which the CPU computes)\n"


def test_a_store_of_before_takes_a_sheet_of_a_device(tmp_path: Path) -> None:
    with Store(tmp_path / "old") as store:
        store.db.execute("drop table sheets")
        store.db.execute("create table sheets (name text, text text, started text)")
        store.db.execute("insert into sheets values ('a', 'b', 'c')")
    with Store(tmp_path / "old") as store:
        store.begin("a", "b", "code", {}, "cuda")
        assert [each[3] for each in store.sheets()] == ["cpu", "cuda"]


def test_a_search_takes_cards_as_a_sweep_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = mho(capsys, "search", "kws_front", "--device", "cuda", "--dry-run")
    assert (code, out.splitlines()[-1]) == (
        0,
        "time: no estimate: on a graphics card only a point that is done shows it",
    )


def test_the_slurm_script_asks_for_a_card_a_task(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command.array(file, Path("job.sh"), shards=2, device="cuda", options=["--gres=gpu:h100:1"])
    lines = (tmp_path / "job.sh").read_text().splitlines()
    assert [line for line in lines if line.startswith("#SBATCH --gres")] == [
        "#SBATCH --gres=gpu:1",
        "#SBATCH --gres=gpu:h100:1",
    ]
    assert sum(" --device cuda" in line for line in lines) == 2
    with pytest.raises(InputError, match="with --slurm the queue decides which card a task gets; take cuda"):
        command.array(file, Path("job.sh"), shards=2, device="cuda:0")


def test_an_engine_of_one_card_is_a_process_beside(two_cards: None) -> None:
    engine: Engine = Site(device="cuda:1").open()
    assert isinstance(engine, Local)
    assert (engine.workers, engine.cards) == (1, ("1",))


def test_the_table_of_a_card_holds_nothing_of_the_device(file: str, tmp_path: Path, stand_in: list[str]) -> None:
    tables = [
        sweep(file, output=tmp_path / device, site=Site(device=device)).folder / command.TABLE
        for device in ("cpu", "cuda")
    ]
    pd.testing.assert_frame_equal(*(pd.read_csv(each) for each in tables))
