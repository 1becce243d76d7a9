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
import torch
from threadpoolctl import threadpool_limits

from devices import InputError
from mho.config.read import digest, schema_of
from mho.runner import device_in_words
from mho.sweep import provenance
from mho.sweep.engines.cards import VISIBLE
from mho.sweep.template import of_device
from workloads import WORKLOADS
from workloads.result import Result
from workloads.running import RunOptions, one_thread
from workloads.stored import StoredNetworks
from workloads.workload import COSTS, SYNTHETIC

_NAME = "point_{}"  # of a variant for the points of one chip
_NAMES = re.compile(r"\bpoint_\d+\b(, point_\d+\b)*")


def without_chips(kind: str) -> frozenset[str]:
    """Figures that depend on the configuration and not on which chips were drawn (an energy by less than a percent)."""
    return frozenset((*COSTS, *WORKLOADS[kind].counts))


@dataclass(frozen=True)
class PointBatch:
    """Points of one kind that are computed together.

    ``t_s``: the time at which each is read, where its kind has times apart from the configuration; ``folder`` is for
    what batches share; ``code`` the digest of the code; ``threads`` how many of them one batch may use; ``device``:
    ``cpu``, or ``cuda`` for the one card that the worker sees.
    """

    kind: str
    configs: tuple[dict[str, Any], ...]
    t_s: tuple[float | None, ...]
    data: Path | None
    folder: Path
    code: str
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Answer:
    """One point's figures with what else is worth keeping, or the error that it ended in."""

    outputs: dict[str, float | None] = field(default_factory=dict)
    artefacts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0


class OtherCode(OSError):
    """A worker whose code, price list or packages are not those of the sweep."""


class NoCard(OSError):
    """A worker without the graphics card that the sweep asks for."""


def perform(batch: PointBatch) -> list[Answer]:
    """All points of a batch. An error of one run is the answer of all its points, and of no others.

    Raises OtherCode where this process would compute something else than the sweep asks for, and NoCard where it cannot
    compute there.
    """
    if provenance.code()[0] != batch.code:
        raise OtherCode(
            f"a worker on {platform.node()} has other code of mho or other versions of packages than the sweep; "
            "give it the same, or start the sweep again if the code was edited meanwhile"
        )
    if batch.device != "cpu" and not torch.cuda.is_available():
        raise NoCard(f"a worker on {platform.node()} has no CUDA device that torch can use, and the sweep is for one")
    with one_thread(), threadpool_limits(1):
        if (measure := WORKLOADS[batch.kind].measure) is not None:
            settings = (lambda one=config: built(batch.kind, one) for config in batch.configs)
            return [_guarded(lambda of=made: [_measured(measure(of()))], 1)[0] for made in settings]  # type: ignore[misc]
        chips = [digest(config["variants"][0]["chip"]) for config in batch.configs]
        shared = chips
        if WORKLOADS[batch.kind].independent_variants:
            shared = [repr(WORKLOADS[batch.kind].number_format(built(batch.kind, one))) for one in batch.configs]
        runs = indices_of(shared)
        answers: dict[int, Answer] = {}
        for run in runs:
            found = _guarded(lambda run=run: _merged(batch, run, chips), len(run))  # type: ignore[misc]
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
        problem = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        answers = [Answer(error=problem, artefacts={"traceback": traceback.format_exc()})] * count
    each = (time.perf_counter() - started) / count
    return [replace(one, seconds=each) for one in answers]


def _measured(found: tuple[dict[str, float], dict[str, Any]]) -> Answer:
    outputs, artefacts = found
    return Answer(_finite(outputs), artefacts)


def _merged(batch: PointBatch, points: list[int], chips: list[str]) -> list[Answer]:
    """Points that differ in chip and time alone: variants of one experiment, read at all times."""
    numbers = {chip: number for number, chip in enumerate(dict.fromkeys(chips[point] for point in points))}
    variants: dict[str, dict[str, Any]] = {}
    for point in points:
        number, mine = numbers[chips[point]], batch.configs[point]["variants"][0]
        new = {"name": _NAME.format(number), "default": number == 0, "aim": None}
        variants[chips[point]] = {key: new.get(key, value) for key, value in mine.items()}
    times = sorted({0.0, *(t_s for point in points if (t_s := batch.t_s[point]) is not None)})
    first = batch.configs[points[0]]
    whole = {
        **first,
        "chip": first["variants"][0]["chip"],
        "variants": list(variants.values()),
        "evaluation": {**first["evaluation"], "times_s": times},
    }
    run = WORKLOADS[batch.kind].run
    assert run is not None
    seen = {key: value for key, value in first.items() if key not in ("chip", "variants", "evaluation")}
    stored = StoredNetworks(batch.folder, of_device(digest({"seen": seen, "code": batch.code}), batch.device))
    options = RunOptions(data=batch.data, device=batch.device, workers=batch.threads, stored=stored)
    result = run(built(batch.kind, whole), options)
    counts = WORKLOADS[batch.kind].counts
    answers = [_answer(result, _NAME.format(numbers[chips[point]]), batch.t_s[point], counts) for point in points]
    place = {"device": device_in_words(batch.device)}
    if batch.device != "cpu":
        place["card"] = os.environ.get(VISIBLE, "")
    return [replace(one, artefacts={**one.artefacts, **place}) for one in answers]


def _answer(result: Result, name: str, t_s: float | None, counts: tuple[str, ...]) -> Answer:
    """The figures of one variant at one time; one in which nothing changes has those of its only reading."""
    metrics = result.metrics
    variant = metrics.variant(name)
    at = {entry.t_s: entry for entry in variant.quality}
    entry = at.get(t_s, variant.quality[0]) if t_s is not None else variant.quality[0]
    outputs: dict[str, Any] = {}
    for metric in metrics.metrics:
        if metric in (entry.model_extra or {}):
            outputs |= {metric: entry.spread(metric).mean, f"{metric}_std": entry.spread(metric).std}
        outputs[f"software_{metric}"] = metrics.software.get(metric)
        outputs[f"quantised_{metric}"] = metrics.quantised.get(metric)
    artefacts: dict[str, Any] = {"read_at_s": entry.t_s, "data": result.data.digest}
    headline, table = next(iter(metrics.metrics)), result.tables["accuracy"]
    mine = table[table.variant == name]
    for stage in ("retrained", "quantised"):
        if (of_stage := mine[mine.stage == stage][headline]).size:
            outputs[f"{stage}_{headline}"] = float(of_stage.mean())
    chips: pd.DataFrame = mine[(mine.stage == "analog") & (mine.t_s == entry.t_s)]
    artefacts["chips"] = {headline: chips[headline].tolist()}
    if counts:
        (counted,) = result.tables["counts"].query("variant == @name").to_dict("records")
        outputs |= {key: counted[key] for key in counts}
    outputs |= {key: variant.cost.get(key) for key in COSTS}
    outputs[SYNTHETIC] = int(result.data.synthetic)
    artefacts["notes"] = [text for note in metrics.notes if (text := _own(note, name))]
    return Answer(_finite(outputs), artefacts)


def _own(note: str, name: str) -> str:
    """A note of a run for one of its variants, without the name that only the run uses; empty if it is for others."""
    named = _NAMES.search(note)
    if named is not None and name not in named.group().split(", "):
        return ""
    return _NAMES.sub("these cells", note).removeprefix("these cells: ")


def built(kind: str, config: dict[str, Any]) -> Any:
    """The base with a resolved configuration."""
    return schema_of(WORKLOADS[kind].settings).adapter.validate_json(json.dumps(config), strict=True, extra="forbid")


def _finite(outputs: dict[str, Any]) -> dict[str, float | None]:
    """JSON has no NaN: what is not available is null."""
    return {name: None if value is None or value - value != 0 else value for name, value in outputs.items()}


def data_digest(kind: str, config: dict[str, Any], data: Path | None) -> str:
    """Digest by which changed data of a configuration are noticed; empty where it makes its own.

    Called in the parent before anything runs, so that recordings are found and decoded, and features computed into the
    cache, before several workers need them.
    """
    return WORKLOADS[kind].data_digest(built(kind, config), data)


def indices_of(keys: list[str]) -> list[list[int]]:
    """Indices of equal keys, in the order in which they are first met."""
    found: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return list(found.values())
