"""Folders of sweeps for ``mho report``, and for ``mho sweep`` that would go on in them: the database and its rows."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import Case, small, start, turn
from benchmarks.fuzz.changes import SCRIPT, aliases, bent
from benchmarks.fuzz.packing import zlib_of_zeros

TABLES = ("points", "asked", "code", "claims", "sheets")
COLUMNS = {
    "points": ("digest", "state", "code", "data", "coordinates", "outputs", "artefacts", "config", "error", "seconds",
    "attempts", "finished"),
    "asked": ("key", "digest"), "code": ("digest", "about"), "claims": ("digest", "owner"), "sheets": ("name", "text",
    "started"),
}  # fmt: skip
TEXTS = (
    "x",
    "",
    "[1]",
    "{}",
    "[]",
    "null",
    "[",
    "1",
    "NaN",
    '{"enob": NaN}',
    '{"enob": 1e999}',
    '{"enob": "x"}',
    f'{{"enob": "{SCRIPT}"}}',
    SCRIPT,
    "\0",
    "9" * 5000,
    "[" * 100_000,
    "failed",
    "done",
    '[["bits", 1e400]]',
    '[["\\ud800", 1]]',
)


@cache
def _values() -> dict[str, Any]:
    """What a field of the database may hold instead."""
    bomb = zlib_of_zeros(b'{"a":"', 48)
    packed = {
        "{}": b"{}",
        "a list": b"[]",
        "junk": b"x",
        "100,000 lists": b"[" * 100_000,
        "NaN": b'{"a": NaN}',
        "markup": b'{"a": "<script>alert(1)</script>"}',
    }
    values: dict[str, Any] = {f"text {text:.30}": text for text in TEXTS} | {
        f"packed {name}": zlib.compress(data) for name, data in packed.items()
    }
    return values | {
        "3 GB when unpacked": bomb,
        "a byte": b"\0",
        "no bytes": b"",
        "1e300": 1e300,
        "infinity": float("inf"),
        "-1": -1,
        "2^62": 2**62,
        "bytes that are no text": b"\xff\xfe",
    }


YAML_TEXT = {
    "a tag of Python": "a: !!python/object/apply:os.system ['touch ran']", "an open list": "[",
    "billion laughs": aliases(),
    "no axes": "base: {kind: nladc}\noutputs: [enob]",
    "other axes": "base: {kind: nladc, ramp: {device: rram_taox}}\naxes: {foo: [1]}\noutputs: [bar]",
    "8 MB": "#" + "x" * 8_000_000,
}  # fmt: skip
STATEMENTS = [
    *(f"drop table {name}" for name in TABLES), *(f"delete from {name}" for name in TABLES), "pragma user_version=99",
    "pragma user_version=-1", "pragma application_id=5", "create table points2 as select * from points",
    "update points set state='failed', error='<script>alert(1)</script>'",
    "update points set state='failed', error=''", "alter table points rename column outputs to other",
    "alter table points drop column seconds",
    "create view v as select 1", "update points set digest=upper(digest)", "delete from points where rowid is null",
    "insert into sheets select * from sheets",
]  # fmt: skip


def _damage(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as base:
        try:
            base.execute(statement, values)
            base.commit()
        except sqlite3.Error:
            pass  # then the folder is as it was, which is an input as well


def _files() -> Mapping[str, bytes | None]:
    return {
        "empty": b"",
        "text": b"hello" * 1000,
        "header alone": b"SQLite format 3\0" + bytes(84),
        "noise": bytes(range(256)) * 40,
        "missing": None,
    }


LISTED: list[tuple[str, str, str]] = [
    *(("file", name, "") for name in _files()), *(("statement", text, "") for text in STATEMENTS), *(("sheet", name,
    "") for name in YAML_TEXT),
    *(("field", f"points.{column}", "3 GB when unpacked") for column in ("artefacts", "config")),
    *(("field", f"points.{column}", value) for column in ("coordinates", "outputs") for value in ("text x", "text {}",
    "text [1]", "text null", "text NaN")),
    *(("field", f"points.{column}", value) for column in ("artefacts", "config") for value in ("packed {}",
    "packed a list", "packed junk", "a byte", "packed 100,000 lists")),
]  # fmt: skip


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("sweeps", number)
    run = folder / "run"
    shutil.copytree(base / "sweep", run)
    for odd in ("report.html", "results.csv"):
        (run / odd).unlink(missing_ok=True)
    path = run / "sweep.sqlite"
    listed = turn(number, len(LISTED))
    how, what, value = (
        LISTED[listed] if listed is not None else (rng.choice(["bytes", "field", "field", "field"]), "", "")
    )
    if how == "file":
        data = _files()[what]
        path.unlink()
        if data is not None:
            path.write_bytes(data)
    elif how == "statement":
        _damage(path, what)
    elif how == "sheet":
        _damage(path, "update sheets set text=?", YAML_TEXT[what])
    elif how == "bytes":
        path.write_bytes(
            bent(rng, path.read_bytes(), [bytes(100), b"\xff" * 8, b"<script>"], times=rng.choice([1, 3, 20]))
        )
    else:
        if not what:
            table = rng.choice(["points"] * 6 + ["sheets", "sheets", "code", "asked", "claims"])
            what, value = (
                f"{table}.{rng.choice(COLUMNS[table])}",
                rng.choice([name for name in _values() if "3 GB" not in name]),
            )
        table, column = what.split(".")
        some = (
            ""
            if rng.random() < 0.6
            else " where rowid = 1"
            if table != "points"
            else " where digest = (select min(digest) from points)"
        )
        _damage(path, f"update {table} set {column}=?{some}", _values()[value])
    about = " ".join(word for word in (how, what, value) if word)
    if rng.random() < 0.2:
        sheet = small("small_sweep", folder)
        return Case(f"{about:.120} (sweep)", ("sweep", sheet, "-o", "run", "--quiet"), writable=("run",))
    form = rng.choice(["html", "html", "csv", "json"])
    return Case(
        f"{about:.120} ({form})", ("report", "run", *(() if form == "html" else ("--format", form))), writable=("run",)
    )
