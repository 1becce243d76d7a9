"""Run an experiment and leave a run directory behind, whole or not at all."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from configs.bounded import encodable
from configs.yaml_source import dump_yaml
from devices import InputError
from mho.config.read import Loaded, changed_records, digest, read
from mho.console import watching
from mho.files import RunFolder, user_path
from mho.report.run import Run
from mho.report.rundata import with_empty
from workloads import WORKLOADS, AnyExperiment, Result
from workloads.result import Metrics
from workloads.running import Progress, RunOptions

PACKAGES = ("torch", "numpy", "scipy", "pandas", "librosa", "pydantic", "aihwkit")
LAYOUT_ONLY = ("batch",)  # settings of ``evaluation`` that move no figure


def load_experiment(
    source: str | Path, *, sets: tuple[str, ...] = (), seed: int | None = None
) -> Loaded[AnyExperiment]:
    """Read an experiment by path or shipped name; ``seed`` wins over the file."""
    if seed is not None:
        sets = (*sets, f"seed={seed}")
    return read(source, AnyExperiment, sets=sets)


def new_folder(source: str | Path) -> Path:
    """A run directory of its own: ``runs/NAME-TIME`` below the working directory."""
    started = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    first = Path("runs") / f"{Path(source).stem}-{started}"
    others = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], others) if not folder.exists())


def run(
    source: str | Path,
    *,
    output: Path | None = None,
    sets: tuple[str, ...] = (),
    seed: int | None = None,
    data: Path | None = None,
    weights: Path | None = None,
    module: str | None = None,
    device: str = "cpu",
    force: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run one experiment; with ``output`` the whole run directory is written, over an earlier run only by ``force``.

    ``progress``: told of every stage; by default bars in a notebook and nothing elsewhere.
    Raises InputError for anything wrong with the configuration, the data or the output folder, before work is lost.
    """
    started, clock = datetime.datetime.now(datetime.timezone.utc), time.perf_counter()
    loaded = load_experiment(source, sets=sets, seed=seed)
    refuse_device(loaded.value.kind, device)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device that torch can use; take --device cpu")
    workload = WORKLOADS[loaded.value.kind]
    work = workload.run
    assert work is not None
    if module is not None and not workload.takes_module:
        takers = ", ".join(kind for kind, each in WORKLOADS.items() if each.takes_module)
        raise InputError(f"--module: for experiments of kind {takers} (got {loaded.value.kind})")
    data, weights = (None if path is None else user_path(path) for path in (data, weights))
    with watching(progress) as watched:
        options = RunOptions(data=data, weights=weights, module=module, device=device, progress=watched)
        if output is None:
            return _run_data(None, loaded, work(loaded.value, options), started, clock, device)
        with RunFolder(output, replace=force) as folder:
            result = work(loaded.value, options)
            run = _run_data(output.resolve(), loaded, result, started, clock, device)
            watched("report", 0, 1)
            (folder / "config.resolved.yaml").write_text(run.config_text, encoding="utf-8")
            for name, table in run.tables.items():
                if name not in run.absent:
                    table.to_csv(folder / f"{name}.csv", index=False, errors="backslashreplace")
            written = {"trace": _plain(result.trace), "metrics": run.metrics_json, "manifest": run.manifest}
            for name, content in written.items():
                text = json.dumps(content, indent=1, allow_nan=False) + "\n"
                (folder / f"{name}.json").write_text(text, encoding="utf-8")

            from mho.report import page as report

            page = report.html(folder, published_as=run.path)
            (folder / "report.html").write_text(page, encoding="utf-8", errors="backslashreplace")
            watched("report", 1, 1)
    return run


def _run_data(
    path: Path | None,
    loaded: Loaded[AnyExperiment],
    result: Result,
    started: datetime.datetime,
    clock: float,
    device: str,
) -> Run:
    metrics = _metrics(loaded, result, clock)
    return Run(
        path,
        Metrics.model_validate(metrics),
        metrics,
        _plain(_manifest(loaded, result, started, clock, device)),
        dump_yaml(loaded.data),
        loaded.data,
        *with_empty(result.tables),
    )


def config_digest(data: dict[str, Any]) -> str:
    """Digest of what decides the figures: settings that only decide on memory are left out."""
    evaluation = {key: value for key, value in data.get("evaluation", {}).items() if key not in LAYOUT_ONLY}
    return digest({**data, "evaluation": evaluation})


def _metrics(loaded: Loaded[AnyExperiment], result: Result, clock: float) -> dict[str, Any]:
    about = {"config_digest": config_digest(loaded.data), "wall_s": round(time.perf_counter() - clock, 3)}
    found: dict[str, Any] = result.metrics.model_copy(update=about).model_dump(exclude_unset=True)
    given = {each.get("name"): each for each in loaded.data.get("variants") or () if isinstance(each, dict)}
    # The chip beside the variants is part of each of them.
    rest = {key: value for key, value in loaded.data.items() if key != "variants" and (key != "chip" or not given)}
    for record, name, data in [
        (found, "", rest),
        *((each, each["name"], given.get(each["name"])) for each in found["variants"]),
    ]:
        noted = {"sets": loaded.sets.get(name, ()), "changed": changed_records(data)}
        record |= {key: value for key, value in noted.items() if value}
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any) -> Any:
    """What JSON takes: what is not available is null, and a file's name that is not UTF-8 is escaped."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _manifest(
    loaded: Loaded[AnyExperiment], result: Result, started: datetime.datetime, clock: float, device: str
) -> dict[str, Any]:
    peak_KiB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        peak_KiB //= 1024
    return {
        "mho": _version("mho"),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "device": device_in_words(device),
        "experiment": loaded.value.name,
        "source": loaded.source_text_name,
        "seed": loaded.value.seed,
        "git": _git(),
        "config_digest": config_digest(loaded.data),
        "data": result.data.model_dump(exclude_unset=True),
        "started": started.isoformat(timespec="seconds"),
        "wall_s": round(time.perf_counter() - clock, 3),
        "peak_MB": round(peak_KiB / 1024),
        "stages": {name: round(seconds, 3) for name, seconds in result.stages.items()},
        "cite": list(result.cite),
    }


def refuse_device(kind: str, device: str) -> None:
    """Raise InputError for a kind of experiment that computes on the CPU alone, where a graphics card is asked for."""
    if device != "cpu" and not WORKLOADS[kind].on_gpu:
        takers = ", ".join(each for each, workload in WORKLOADS.items() if workload.on_gpu)
        raise InputError(f"--device {device}: for experiments of kind {takers} (got {kind}, which the CPU computes)")


def device_in_words(device: str) -> str:
    """The device of a run as its records name it: ``cpu``, or ``cuda`` and the card."""
    return "cpu" if device == "cpu" else f"{device}: {torch.cuda.get_device_name(device)}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git() -> str | None:
    """Revision of the checkout that mho runs from, with ``-dirty`` where it was changed; None outside one."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
