"""What a worker does with a handful of points: configurations in, rows of figures out, nothing written."""

from __future__ import annotations

import json
import os
import platform
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from devices import InputError, Stream
from mho.config.read import digest, schema_of
from mho.sweep import provenance
from mho.sweep.bench import DESIGN
from mho.sweep.bench import OUTPUTS as BENCH_OUTPUTS
from mho.sweep.template import TYPES
from mho.sweep.trained import SharedRun, recordings
from workloads import KeywordSpotting, LiquidStateMachine, Result, SparseProduct
from workloads.kws.run import one_thread
from workloads.result import silent

_NAME = "point_{}"  # of a variant that stands for the points of one chip
_NAMES = re.compile(r"\bpoint_\d+\b(, point_\d+\b)*")
COSTS = (
    *("area_m2", "energy_J", "leakage_W", "latency_s", "power_W", "ops"),
    *("tops", "tops_per_W", "tops_per_mm2"),
)
#: Qualities by kind of base; of each there are also ``_std`` over chips, and ``software_`` and ``quantised_`` in front.
QUALITIES = {
    "kws": ("accuracy",),
    "lsm": ("accuracy", "accuracy_folds", "accuracy_official", "accuracy_speakers"),
    "zeroshot": ("unseen", "seen"),
    "spgemm": ("relative_error", "exact_share", "missing_share", "false_share"),
}
#: What a sparse product counts, beside its qualities.
COUNTS = (
    *("tiles", "passes", "utilisation", "rows_at_once", "activations", "row_drives", "products", "touched"),
    *("conversions", "cells_written", "products_per_activation", "products_per_word"),
)
#: 1 where the data stand in for recordings or matrices that nobody named.
SYNTHETIC = "synthetic"
#: Figures that hang on the configuration and not on which chips were drawn (an energy by less than a percent).
WITHOUT_CHIPS = frozenset((*COSTS, *DESIGN))
#: Kinds whose variants never see each other, so that points may be variants of one run.
MERGED = ("kws",)
#: Kinds for which ``data_digest`` is the digest that a run's result carries.
SAME_DATA = ("kws", "lsm")


def outputs_of(kind: str) -> tuple[str, ...] | None:
    """Names of the figures that points of a kind give; None where only a run tells."""
    if kind == "nladc":
        return BENCH_OUTPUTS
    if kind not in QUALITIES:
        return None
    names = [(each, f"{each}_std", f"software_{each}", f"quantised_{each}") for each in QUALITIES[kind]]
    return (*(name for group in names for name in group), *(COUNTS if kind == "spgemm" else ()), *COSTS, SYNTHETIC)


@dataclass(frozen=True)
class Task:
    """Points of one kind that are computed together.

    ``t_s`` holds the time at which each is read, where its kind has times apart from the configuration; ``folder`` is
    for what tasks share; ``code`` the digest of the code; ``threads`` how many of them one task may use.
    """

    kind: str
    configs: tuple[dict[str, Any], ...]
    t_s: tuple[float | None, ...]
    data: Path | None
    folder: Path
    code: str
    threads: int = 1


@dataclass(frozen=True)
class Answer:
    """One point's figures with what else is worth keeping, or the error that it ended in."""

    outputs: dict[str, float | None] = field(default_factory=dict)
    artefacts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0


class OtherCode(OSError):
    """A worker whose code, price list or packages are not those of the sweep."""


def perform(task: Task) -> list[Answer]:
    """All points of a task. An error of one run is the answer of all its points, and of no others.

    Raises OtherCode where this process would compute something else than the sweep asks for.
    """
    if provenance.code()[0] != task.code:
        raise OtherCode(
            f"a worker on {platform.node()} holds other code of mho or other versions of packages than the sweep; "
            "give it the same, or start the sweep again if the code was edited meanwhile"
        )
    with one_thread(), threadpool_limits(1):
        if task.kind == "nladc":
            return [_guarded(lambda one=config: [_bench(one)], 1)[0] for config in task.configs]  # type: ignore[misc]
        chips = [digest(config["variants"][0]["chip"]) for config in task.configs]
        runs = [list(range(len(chips)))] if task.kind in MERGED else indices_of(chips)
        answers: dict[int, Answer] = {}
        for run in runs:
            found = _guarded(lambda run=run: _merged(task, run, chips), len(run))  # type: ignore[misc]
            answers |= dict(zip(run, found, strict=True))
        return [answers[number] for number in range(len(chips))]


def _guarded(work: Callable[[], list[Answer]], count: int) -> list[Answer]:
    started = time.perf_counter()
    try:
        answers = work()
    except InputError as error:
        answers = [Answer(error="; ".join(error.problems))] * count
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        answers = [Answer(error=said, artefacts={"traceback": traceback.format_exc()})] * count
    each = (time.perf_counter() - started) / count
    return [replace(one, seconds=each) for one in answers]


def _bench(config: dict[str, Any]) -> Answer:
    outputs, artefacts = built("nladc", config).measure()
    return Answer(_finite(outputs), artefacts)


def _merged(task: Task, points: list[int], chips: list[str]) -> list[Answer]:
    """Points that differ in chip and time alone: variants of one experiment, read at all times."""
    numbers = {chip: number for number, chip in enumerate(dict.fromkeys(chips[point] for point in points))}
    variants: dict[str, dict[str, Any]] = {}
    for point in points:
        number, own = numbers[chips[point]], task.configs[point]["variants"][0]
        variants[chips[point]] = {**own, "name": _NAME.format(number), "default": number == 0, "aim": None}
    times = sorted({0.0, *(t_s for point in points if (t_s := task.t_s[point]) is not None)})
    first = task.configs[points[0]]
    whole = {
        **first,
        "chip": first["variants"][0]["chip"],
        "variants": list(variants.values()),
        "evaluation": {**first["evaluation"], "times_s": times},
    }
    experiment = built(task.kind, whole)
    if isinstance(experiment, KeywordSpotting):
        seen = {key: value for key, value in first.items() if key not in ("chip", "variants", "evaluation")}
        of = digest({"seen": seen, "code": task.code})
        run = SharedRun(experiment, None, "cpu", silent, workers=task.threads, folder=task.folder, of=of)
        result = run.run(task.data)
    else:
        result = experiment.run(data=task.data, progress=silent)
    return [_answer(result, _NAME.format(numbers[chips[point]]), task.t_s[point]) for point in points]


def _answer(result: Result, name: str, t_s: float | None) -> Answer:
    """The figures of one variant at one time; one that nothing changes in holds those of its only reading."""
    metrics = result.metrics
    variant = next(one for one in metrics["variants"] if one["name"] == name)
    at = {entry["t_s"]: entry for entry in variant["quality"]}
    entry = at.get(t_s, variant["quality"][0])
    outputs: dict[str, Any] = {}
    for metric in metrics["metrics"]:
        if metric in entry:
            outputs |= {metric: entry[metric]["mean"], f"{metric}_std": entry[metric]["std"]}
        outputs[f"software_{metric}"] = metrics["software"].get(metric)
        outputs[f"quantised_{metric}"] = metrics["quantised"].get(metric)
    artefacts: dict[str, Any] = {"read_at_s": entry["t_s"], "data": result.data["digest"]}
    table = result.tables.get("accuracy")
    if table is not None and "accuracy" in table and {"variant", "stage"} <= set(table):
        own = table[table.variant == name]
        outputs["quantised_accuracy"] = float(own[own.stage == "quantised"].accuracy.mean())
        chips: pd.DataFrame = own[(own.stage == "analog") & (own.t_s == entry["t_s"])]
        artefacts["chips"] = {"accuracy": chips.accuracy.tolist()}
    counts = result.tables.get("counts")
    if counts is not None:
        (counted,) = counts[counts.variant == name].to_dict("records")
        outputs |= {key: counted[key] for key in COUNTS}
    outputs |= {key: variant["cost"].get(key) for key in COSTS}
    outputs[SYNTHETIC] = int(result.data["synthetic"])
    artefacts["notes"] = [said for note in metrics["notes"] if (said := _own(note, name))]
    return Answer(_finite(outputs), artefacts)


def _own(note: str, name: str) -> str:
    """A note of a run as it concerns one of its variants, whose name nobody knows; empty where it concerns others."""
    named = _NAMES.search(note)
    if named is not None and name not in named.group().split(", "):
        return ""
    return _NAMES.sub("these cells", note).removeprefix("these cells: ")


def built(kind: str, config: dict[str, Any]) -> Any:
    """The base with a resolved configuration."""
    return schema_of(TYPES[kind]).adapter.validate_json(json.dumps(config), strict=True, extra="forbid")


def _finite(outputs: dict[str, Any]) -> dict[str, float | None]:
    """JSON knows no NaN: what is not available is null."""
    return {name: None if value is None or value - value != 0 else value for name, value in outputs.items()}


def data_digest(kind: str, config: dict[str, Any], data: Path | None) -> str:
    """What tells that the data of a configuration have changed; empty where it makes its own.

    Called in the parent before anything runs, so that recordings are found and decoded, and features computed into the
    cache, before several workers need them. Of other data that the user names, names, sizes and times of files count.
    A random graph is in the configuration.
    """
    experiment = built(kind, config)
    if isinstance(experiment, KeywordSpotting):
        return recordings(experiment.data, experiment.features.mfcc, data)[0].digest
    if isinstance(experiment, LiquidStateMachine):
        return experiment.data.find(data, silent).digest
    if isinstance(experiment, SparseProduct):
        found = experiment.data.find(data, rng=Stream.root(experiment.seed))
        return "" if found.synthetic else digest({"matrices": [each.digest for each in (found.main, *found.others)]})
    chosen = data or os.environ.get("MHO_DATA")
    return _files(Path(chosen).expanduser()) if chosen else ""


def _files(place: Path) -> str:
    every = [place, *sorted(place.rglob("*"))] if place.is_dir() else [place]
    found = [(path, path.stat()) for path in every if path.exists()]
    return digest({"files": [[str(path), about.st_size, about.st_mtime_ns] for path, about in found]})


def indices_of(keys: list[str]) -> list[list[int]]:
    """Indices of equal keys, in the order in which they are first met."""
    found: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return list(found.values())
