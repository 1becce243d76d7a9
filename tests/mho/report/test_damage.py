"""Damaged folders of runs and sweeps: one sentence, exit code 2, nothing written, within bounds."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import InputError
from mho import reports
from mho.report.rundata import load_run
from mho.sweep.store import FILE, Row, Store
from tests.mho.command import mho
from tests.mho.report.fake_run import write_fake_run

DEEP = "[" * 200_000
DAMAGES: dict[str, Callable[[Path], object]] = {
    "lists in lists": lambda run: (run / "metrics.json").write_text(DEEP),
    "a number of 5,000 digits": lambda run: (run / "manifest.json").write_text('{"seed": ' + "9" * 5000 + "}"),
    "a list": lambda run: (run / "metrics.json").write_text("[]"),
    "UTF-16": lambda run: (run / "metrics.json").write_bytes('{"a": 1}'.encode("utf-16")),
    "zeros": lambda run: (run / "accuracy.csv").write_bytes(bytes(4000)),
    "half a table": lambda run: (run / "layers.csv").write_bytes((run / "layers.csv").read_bytes()[:40]),
    "a pipe": lambda run: ((run / "accuracy.csv").unlink(), os.mkfifo(run / "accuracy.csv")),
    "a device": lambda run: ((run / "metrics.json").unlink(), (run / "metrics.json").symlink_to("/dev/zero")),
    "a link to itself": lambda run: ((run / "layers.csv").unlink(), (run / "layers.csv").symlink_to("layers.csv")),
    "a folder": lambda run: ((run / "manifest.json").unlink(), (run / "manifest.json").mkdir()),
    "deep YAML": lambda run: (run / "config.resolved.yaml").write_text("a: " + DEEP),
    "large YAML": lambda run: (run / "config.resolved.yaml").write_text("#" + "x" * 8_000_000),
    "a list as description": lambda run: (run / "components.csv").write_text("variant,layer\n\x00,\x00\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str) -> None:
    run = tmp_path / "run"
    write_fake_run(run)
    DAMAGES[damage](run)
    before = sorted(os.listdir(run))
    code, out, err = mho(capsys, "report", run)
    assert code == 2, err
    assert out == ""
    assert all(line.startswith("mho: ") for line in err.splitlines())
    assert sorted(os.listdir(run)) == before


LONG = {
    "zeros for a header": ("accuracy.csv", bytes(4000)),
    "a long name of a column": ("accuracy.csv", b"x" * 90_000 + b",y\n1,2\n"),
    "20,000 columns": ("layers.csv", b",".join(b"c%d" % k for k in range(20_000)) + b"\n"),
    "a long variant": (
        "accuracy.csv",
        b"variant,stage,split,chip,t_s,accuracy\n" + b"\xc2\x9b" * 9000 + b",chip,0,0,0,1\n",
    ),
    "a long number": ("accuracy.csv", b"variant,stage,split,chip,t_s,accuracy\na,chip," + b"\x01" * 9000 + b",0,0,1\n"),
    "a long key": ("metrics.json", b'{"' + b"x" * 90_000 + b'": 1, "metrics": {"' + b"y" * 90_000 + b'": 3}}'),
    "a long word of YAML": ("config.resolved.yaml", b"kind: [" + b"x" * 90_000),
}


@pytest.mark.parametrize("damage", LONG)
@pytest.mark.parametrize("form", ["html", "markdown"])
def test_text_of_a_damaged_run_is_shortened_in_the_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str, form: str
) -> None:
    write_fake_run(tmp_path / "run")
    file, data = LONG[damage]
    (tmp_path / "run" / file).write_bytes(data)
    code, _, err = mho(capsys, "report", tmp_path / "run", "--format", form)
    assert code == 2, err
    lines = err.splitlines()
    assert all(line.startswith("mho: ") and len(line) < 1700 for line in lines)
    assert any(file in line for line in lines)


def test_half_a_surrogate_pair_is_escaped(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_fake_run(run)
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(text.replace("{", '{"odd": "\\ud800",', 1))
    assert load_run(run).manifest["odd"] == "\\ud800"
    (page,) = reports.write([run])
    assert page.is_file()


def _sweep(folder: Path) -> Path:
    row = Row("a", "done", "c", "d", (("bits", 3),), {"enob": 2.5}, {"notes": []}, {"kind": "nladc"}, finished="2026")
    with Store(folder) as store:
        store.begin("x.yaml", "base: {kind: nladc}\naxes: {bits: [3]}\n", "c", {})
        store.write([row], [("key", "a")])
    return folder


def _packed_zeros(size: int) -> bytes:
    packing = zlib.compressobj(9)
    piece = b"0" * (1 << 20)
    return packing.compress(b'"') + b"".join(packing.compress(piece) for _ in range(size >> 20)) + packing.flush()


STATEMENTS: dict[str, tuple[str, tuple[object, ...]]] = {
    "no table": ("drop table points", ()),
    "another column": ("alter table points rename column outputs to other", ()),
    "another layout": ("pragma user_version = 99", ()),
    "another program's": ("pragma application_id = 5", ()),
    "not packed": ("update points set artefacts = ?", (b"noise",)),
    "cut short": ("update points set artefacts = ?", (zlib.compress(b'{"a": "bcdefgh"}')[:-6],)),
    "256 MB": ("update points set artefacts = ?", (_packed_zeros(256 << 20),)),
    "outputs of another type": ("update points set outputs = ?", ("[1]",)),
    "an output of another type": ("update points set outputs = ?", ('{"enob": "x"}',)),
    "artefacts of another type": ("update points set artefacts = ?", (zlib.compress(b"[]"),)),
    "a coordinate without a name": ("update points set coordinates = ?", ("[[1, 2]]",)),
    "no JSON": ("update points set coordinates = ?", ("{",)),
    "coordinates of another type": ("update points set coordinates = ?", ("3",)),
    "deep": ("update points set outputs = ?", (DEEP,)),
}


@pytest.mark.parametrize("damage", STATEMENTS)
def test_a_damaged_sweep(capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str) -> None:
    folder = _sweep(tmp_path / "sweep")
    with closing(sqlite3.connect(folder / FILE)) as base:
        base.execute(*STATEMENTS[damage])
        base.commit()
    code, out, err = mho(capsys, "report", folder)
    assert code == 2, err
    assert (out, len(err.splitlines())) == ("", 1)
    assert set(os.listdir(folder)) <= {FILE, f"{FILE}-wal", f"{FILE}-shm"}


@pytest.mark.parametrize("data", [b"", b"text" * 1000, b"SQLite format 3\0" + bytes(84), bytes(range(256)) * 40])
def test_a_store_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    (folder / FILE).write_bytes(data)
    code, _, err = mho(capsys, "report", folder)
    assert code == 2 or not data, err
    assert "Traceback" not in err


def test_names_of_recordings_that_are_not_utf8_lose_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/d\xff"
    os.mkdir(folder)
    with open(folder + b"/m\xfe.mtx", "w", encoding="ascii") as file:
        file.write("%%MatrixMarket matrix coordinate real general\n4 4 3\n1 1 1\n2 2 2\n3 4 2.5\n")
    run = tmp_path / "run"
    code, _, err = mho(capsys, "run", "spgemm_tiny", "--data", os.fsdecode(folder), "-o", run, "--quiet")
    assert code == 0, err
    found = load_run(run)
    assert found.data.name == "m\\udcfe · m\\udcfe"
    assert (run / "report.html").is_file()


def test_only_files_that_disagree_are_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    write_fake_run(run)
    monkeypatch.setattr("mho.report.merit.accuracy_rows", lambda run: 1 / 0)
    with pytest.raises(InputError, match=r"no report can be made of these files \(ZeroDivisionError"):
        reports.write([run])
