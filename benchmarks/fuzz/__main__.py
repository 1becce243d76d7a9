"""``python -m benchmarks.fuzz``: many inputs, a few at a time, and a table; or one input again with all its output."""

# ruff: noqa: E402 (the surroundings of torch and matplotlib are set before either is imported)

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import pkgutil
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

for variable, value in {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}.items():
    os.environ.setdefault(variable, value)

from benchmarks.fuzz import KINDS
from benchmarks.fuzz.case import Case, clips, small, write
from benchmarks.fuzz.child import FAULTS, Child, Outcome
from benchmarks.fuzz.pictures import pictures
from mho import packages

INPUTS = 10_000
# What mho imports when it is first needed, beside its own modules: done once here, it is not done again in every child.
LATER = (
    *("matplotlib.pyplot", "plotly.graph_objects", "sklearn", "h5py", "scipy.io", "pandas", "optuna", "soundfile"),
    *("pyarrow", "librosa", "torch", "safetensors.torch", "numba"),
)


def import_all() -> None:
    """Import every module of mho; those of extras that are not installed are left out."""
    for name in ("mho", "mho.cli", *LATER):
        importlib.import_module(name)
    for package in ("mho", *packages.PACKAGES):
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.startswith(("mho.shims", "mho.__main__")):
                with contextlib.suppress(ImportError):
                    importlib.import_module(found.name)


def numbers_of(kind: str, each: int) -> list[int]:
    """So many numbers of a kind: all of the first, or a sample spread over as many as a whole run takes."""
    whole = -(-INPUTS // len(KINDS))
    return list(range(each)) if each >= whole else sorted(random.Random(kind).sample(range(whole), each))


def bases(scratch: Path) -> Path:
    """Finished runs and a sweep to start from, made by mho itself, and what they leave in its cache."""
    base = scratch / "base"
    write(base / "clips", clips())
    commands = {
        "run_kws": ("run", "small_kws.yaml", "--data", "clips"),
        "run_spgemm": ("run", "small_spgemm.yaml"),
        "run_lsm": ("run", "small_lsm.yaml"),
        "run_pictures": ("run", "small_lsm.yaml", "--data", "pictures"),
        "sweep": ("sweep", "small_sweep.yaml"),
    }
    for name, arguments in commands.items():
        if (base / name).exists():
            continue

        def make(number: int, folder: Path, unused: Path, arguments: tuple[str, ...] = arguments) -> Case:
            if arguments[0] == "run":
                small(arguments[1].removesuffix(".yaml"), folder)
                write(folder / "clips", clips())
                write(folder / "pictures", pictures())
            else:
                small("small_sweep", folder)
            return Case("no damage", (*arguments, "-o", "out", "--quiet"))

        child = Child(name, 0, make, scratch, base, keep=True, limit_s=300.0)
        while (outcome := child.poll()) is None:
            time.sleep(0.05)
        if outcome.sort != "ok":
            sys.exit(f"{' '.join(arguments)}: {outcome.sort}: {outcome.where}\n{outcome.text}")
        shutil.copytree(child.work / "out", base / name)
        for file in (child.top / "cache").rglob("*.npz"):
            if not file.is_symlink():
                for kept in (base, base / f"of_{name}"):
                    (kept / file.relative_to(child.top)).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, kept / file.relative_to(child.top))
        shutil.rmtree(child.top)
    return base


def outcomes(inputs: list[tuple[str, int]], jobs: int, scratch: Path, base: Path) -> Iterator[Outcome]:
    """The outcome of every input, ``jobs`` at a time."""
    waiting = inputs[::-1]
    going: list[Child] = []
    while waiting or going:
        while waiting and len(going) < jobs:
            kind, number = waiting.pop()
            going.append(Child(kind, number, KINDS[kind], scratch, base))
        for child in list(going):
            outcome = child.poll()
            if outcome is not None:
                going.remove(child)
                yield outcome
        time.sleep(0.003)


def table(found: list[Outcome]) -> str:
    """One line a kind."""
    shown = ("ok", "refused", "failed", *FAULTS)
    lines = [
        f"{'kind':10}{'inputs':>8}" + "".join(f"{name:>10}" for name in shown) + f"{'refusal s':>11}{'memory MB':>11}"
    ]
    kinds = list(dict.fromkeys(each.kind for each in found))
    for kind in [*kinds, ""]:
        mine = [each for each in found if kind in ("", each.kind)]
        sorts = Counter(each.sort for each in mine)
        longest = max((each.processor_s for each in mine if each.sort in ("refused", "slow")), default=0.0)
        largest = max((each.resident_bytes for each in mine), default=0) >> 20
        lines.append(
            f"{kind or 'all':10}{len(mine):8}"
            + "".join(f"{sorts[name]:10}" for name in shown)
            + f"{longest:11.1f}{largest:11}"
        )
    return "\n".join(lines)


def faults(found: list[Outcome]) -> str:
    """Each distinct fault once, with its smallest input."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for each in found:
        if each.sort in FAULTS:
            # The way in tells hangs and crashes apart, which name no line.
            where = each.where if each.sort == "traceback" else f"{each.where} [{each.kind}]"
            groups.setdefault((each.sort, where), []).append(each)
    lines = []
    for (sort, where), mine in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1])):
        first = min(mine, key=lambda each: (each.input_bytes, each.number))
        lines.append(f"{sort}: {where}: {len(mine)} inputs")
        lines.append(f"    python -m benchmarks.fuzz {first.kind} {first.number}    # {first.about!r:.150}")
    return "\n".join(lines)


def again(kind: str, number: int, scratch: Path, base: Path) -> int:
    """One input with everything that it led to; its folder stays."""
    child = Child(kind, number, KINDS[kind], scratch, base, keep=True)
    while (outcome := child.poll()) is None:
        time.sleep(0.01)
    print(f"{kind} {number}: {outcome.about}\nin {child.work}:\nmho {' '.join(map(ascii, outcome.arguments))}\n")
    print(outcome.text.strip().encode("utf-8", "backslashreplace").decode())
    print(f"\n{outcome.sort} {outcome.where} ({outcome.processor_s:.1f} s, {outcome.resident_bytes >> 20} MB)")
    return int(outcome.sort in FAULTS)


def main(arguments: list[str]) -> int:
    """Run the inputs asked for; 1 where there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"KIND ... or KIND NUMBER; kinds: {', '.join(KINDS)}")
    parser.add_argument("--each", type=int, default=-(-INPUTS // len(KINDS)), help="inputs of each kind")
    parser.add_argument("--jobs", type=int, default=2, help="inputs at a time")
    parser.add_argument("--json", type=Path, help="file to write every outcome to, one a line")
    given = parser.parse_args(arguments)
    import_all()
    kinds = [name for name in given.what if not name.isdecimal()] or list(KINDS)
    unknown = [name for name in kinds if name not in KINDS]
    if unknown:
        parser.error(f"{unknown[0]}: one of {', '.join(KINDS)}")
    scratch = Path(tempfile.mkdtemp(prefix="mho-fuzz-"))
    one = len(given.what) == 2 and given.what[1].isdecimal()
    try:
        base = bases(scratch)
        if one:
            return again(given.what[0], int(given.what[1]), scratch, base)
        inputs = [(kind, number) for kind in kinds for number in numbers_of(kind, given.each)]
        found: list[Outcome] = []
        for outcome in outcomes(inputs, given.jobs, scratch, base):
            found.append(outcome)
            if given.json:
                with given.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**vars(outcome), "text": outcome.text[-4000:]}) + "\n")
            if sys.stderr.isatty():
                print(f"\r{len(found)} of {len(inputs)}", end="", file=sys.stderr)
        print(table(found))
        print(faults(found))
        return int(any(each.sort in FAULTS for each in found))
    finally:
        if not one:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
