"""Run directories for ``mho report`` with a file missing, cut off, swapped, or with a value changed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from functools import cache
from pathlib import Path

from benchmarks.fuzz.case import Case, start, turn
from benchmarks.fuzz.changes import aliases, bent, cell, changed

RUNS = ("run_spgemm", "run_kws", "run_lsm")
JSON = {
    "200,000 lists": b"[" * 200_000, "100,000 mappings": b'{"a":' * 100_000,
    "a whole number of 5,000 digits": b'{"experiment":"x","seed":' + b"9" * 5000 + b"}", "NaN": b'{"experiment": NaN}',
    "a list": b"[]", "a word": b'"x"',
    "a key twice": b'{"a":1,"a":2}', "a surrogate": b'{"experiment": "\\ud800"}',
    "10 MB": b'{"experiment": "' + b"x" * 10_000_000 + b'"}', "UTF-16": '{"a":1}'.encode("utf-16"), "nothing": b"",
    "NUL": bytes(2000), "null": b"null",
}  # fmt: skip
YAML = {
    "a date that is none": b"name: 2024-99-99\n", "3,000 lists": b"a: " + b"[" * 3000,
    "a tag of Python": b"a: !!python/object/apply:os.system ['touch ran']\n", "a list as kind": b"kind: [1]\n",
    "an unknown kind": b"kind: foo\n",
    "markup": b"kind: spgemm\ndescription: <script>alert(1)</script>\n", "5,000 digits": b"a: " + b"9" * 5000,
    "a list as key": b"? [a]\n: 1\n", "8 MB": b"#" + b"x" * 8_000_000 + b"\nkind: spgemm\n",
    "infinity": b"a: .inf\nkind: spgemm\n",
    "a binary that is none": b"a: !!binary '%%%'\n", "a merge of 1": b"<<: 1\n", "not UTF-8": b"kind: \xff\n",
    "billion laughs": aliases().encode(),
}  # fmt: skip
WAYS = ("missing", "empty", "half", "noise", "NUL", "a folder", "a link to itself", "a link to /dev/zero")
FILES = (
    "metrics.json",
    "manifest.json",
    "config.resolved.yaml",
    "accuracy.csv",
    "components.csv",
    "trace.json",
    "schedule.csv",
    "layers.csv",
    "confusion.csv",
)
LISTED = [
    *(("run_spgemm", file, about) for about in JSON for file in ("metrics.json", "manifest.json")),
    *(("run_spgemm", "config.resolved.yaml", about) for about in YAML),
    *(("run_kws", file, way) for file in FILES for way in WAYS),
]


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("runs", number)
    listed = turn(number, len(LISTED))
    name, file, about = LISTED[listed] if listed is not None else (rng.choice(RUNS), "", "")
    # Spares the time of the largest tables, which are in the first run only.
    run = folder / "run"
    shutil.copytree(base / name, run)
    (run / "report.html").unlink()
    if listed is not None:
        data = {**JSON, **YAML}.get(about)
        if data is not None:
            (run / file).write_bytes(data)
        else:
            _damage(run / file, about, rng.randbytes(2000))
        about = f"{name}/{file}: {about}"
    else:
        about = f"{name}/{_changed(number, run)}"
    form = rng.choice(["html", "html", "csv", "json", "markdown", "trace"])
    options = () if form == "html" else ("--format", form, *rng.choice([(), ("-o", "out/result")]))
    return Case(
        f"{about} ({form})",
        ("report", "run", *(("run",) if form in ("csv", "markdown") else ()), *options),
        writable=("run",),
    )


def _damage(path: Path, way: str, noise: bytes) -> None:
    data = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if way == "a folder":
        path.mkdir()
    elif way == "a link to itself":
        path.symlink_to(path.name)
    elif way == "a link to /dev/zero":
        path.symlink_to("/dev/zero")
    elif way != "missing":
        path.write_bytes(
            {"empty": b"", "half": data[: len(data) // 2], "noise": noise, "NUL": data.replace(b"a", b"\0", 3)}[way]
        )


@cache
def _names(run: str, suffix: str) -> list[str]:
    return sorted(path.name for path in Path(run).glob(f"*{suffix}") if path.stat().st_size < 100_000)


def _changed(number: int, run: Path) -> str:
    """Change one value of a file of a run directory; in words."""
    rng = start("runs, changed", number)
    way = rng.random()
    if way < 0.35:
        path = run / rng.choice(["metrics.json", "metrics.json", "manifest.json", "trace.json"])
        tree = json.loads(path.read_text(encoding="utf-8"))
        about, _ = changed(rng, tree)
        path.write_text(json.dumps(tree), encoding="utf-8")
        return f"{path.name}: {about}"
    if way < 0.8:
        path = run / rng.choice(sorted(path.name for path in run.glob("*.csv")))
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        about = cell(rng, rows)
        held = io.StringIO(newline="")
        csv.writer(held).writerows(rows)
        path.write_bytes(held.getvalue().encode("utf-8", "surrogatepass"))
        return f"{path.name}: {about}"
    path = run / rng.choice(sorted(path.name for path in run.iterdir() if path.is_file()))
    path.write_bytes(bent(rng, path.read_bytes()))
    return f"{path.name}: bytes changed"
