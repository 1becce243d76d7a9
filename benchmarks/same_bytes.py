"""Whether two checkouts compute the same: run directories made by each, compared file by file and byte by byte.

    python -m benchmarks.same_bytes make CHECKOUT FOLDER [NAME ...]     # run the jobs below with the code in CHECKOUT
    python -m benchmarks.same_bytes compare FOLDER FOLDER

What is compared, of the jobs that both folders hold: ``metrics.json``, ``trace.json`` and every CSV of each run
directory. What may differ: the digest of the configuration (a setting that is new or gone changes it), wall times
(``wall_s`` of ``metrics.json``, ``seconds`` of ``learning.csv``), and sentences (captions of panels, notes, texts of
comparisons). ``--intervals-of NAME`` leaves out the intervals of that job, where their formula was mended. Bits are
compared, so both folders have to be made on one machine with one set of packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

JOBS: dict[str, list[str]] = {
    "kws_tiny": ["run", "kws_tiny"],
    "nmnist_tiny": ["run", "nmnist_tiny"],
    "spgemm_tiny": ["run", "spgemm_tiny"],
    "converter_drift": ["sweep", "converter_drift"],
    "kws_tiny_bits": ["sweep", "kws_tiny_bits"],
    "zeroshot": [
        *("run", "zeroshot", "--set", "evaluation.chips=2", "--set", "learning.epochs=3"),
        *("--set", "image.recordings=200", "--set", "audio.recordings=200"),
    ],
    "kws": ["run", "kws"],
}
SENTENCES = frozenset(("text", "notes", "note", "source", "section", "stages", "weights"))
TIMES = {"learning.csv": ["seconds"], "results.csv": ["seconds"]}


def make(checkout: Path, folder: Path, names: list[str]) -> None:
    """Run the jobs of these names (all by default) with the packages in ``checkout``."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["MHO_CACHE"] = str(folder.resolve().with_name(f"{folder.name}.cache"))  # no other checkout writes there
    for name in names or JOBS:
        command = [sys.executable, "-m", "mho", *JOBS[name], "-o", str(folder.resolve() / name), "--quiet"]
        if JOBS[name][0] == "sweep":
            command += ["--export", str(folder.resolve() / f"{name}.table.csv")]
        print(name, flush=True)
        subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)


def differences(one: Path, other: Path, *, intervals_of: tuple[str, ...] = ()) -> list[str]:
    """One line for each file that differs beyond wall times and sentences, and for each that one side lacks."""
    found: list[str] = []
    files = {path.relative_to(top) for top in (one, other) for path in top.rglob("*") if path.is_file()}
    jobs = {path.name for path in one.iterdir()} & {path.name for path in other.iterdir()}
    for file in sorted(files):
        if file.parts[0] not in jobs or file.suffix not in (".csv", ".json") or file.name == "manifest.json":
            continue
        if not ((one / file).is_file() and (other / file).is_file()):
            found.append(f"{file}: only in {one if (one / file).is_file() else other}")
            continue
        loose = file.parts[0] in intervals_of
        a, b = (_canonical(top / file, loose=loose) for top in (one, other))
        if a != b:
            found.append(f"{file}: {_first(a, b)}")
    return found


def _canonical(path: Path, *, loose: bool) -> list[str]:
    if path.suffix == ".json":
        return json.dumps(_plain(json.loads(path.read_text(encoding="utf-8")), loose=loose), indent=1).splitlines()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = table.drop(columns=TIMES.get(path.name, []), errors="ignore")
    if "table" in path.name:
        table = table.drop(columns=["seconds"], errors="ignore")
    if loose:
        table = table.drop(columns=["low", "high"], errors="ignore")
    return [str(line) for line in table.to_csv(index=False).splitlines()]


def _plain(value: Any, *, loose: bool) -> Any:
    if isinstance(value, dict):
        gone = SENTENCES | {"wall_s", "config_digest"} | ({"low", "high"} if loose else set())
        return {key: _plain(item, loose=loose) for key, item in value.items() if key not in gone}
    if isinstance(value, list):
        return [_plain(item, loose=loose) for item in value]
    return value


def _first(a: list[str], b: list[str]) -> str:
    for number, (left, right) in enumerate(zip(a, b, strict=False), 1):
        if left != right:
            return f"line {number}: {left.strip()[:90]!r} against {right.strip()[:90]!r}"
    return f"{len(a)} against {len(b)} lines"


def main(arguments: list[str]) -> int:
    """Make or compare; 1 where something differs."""
    if arguments[:1] == ["make"] and len(arguments) >= 3:
        make(Path(arguments[1]), Path(arguments[2]), arguments[3:])
        return 0
    if arguments[:1] == ["compare"] and len(arguments) >= 3:
        loose = tuple(arguments[4:]) if arguments[3:4] == ["--intervals-of"] else ()
        found = differences(Path(arguments[1]), Path(arguments[2]), intervals_of=loose)
        print("\n".join(found) or "the same")
        return int(bool(found))
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
