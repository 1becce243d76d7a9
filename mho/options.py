"""Options and arguments that several commands have in common."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from mho.files import user_path


class ComputeDevice(str, Enum):
    """Where training runs, and chips of a network compute."""

    cpu = "cpu"
    cuda = "cuda"


class EngineName(str, Enum):
    """Where the points of a sweep are computed."""

    local = "local"
    dask = "dask"
    ray = "ray"


class ReportFormat(str, Enum):
    """What ``mho report`` writes."""

    html = "html"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    parquet = "parquet"
    trace = "trace"


def checked_paths(value: Any) -> Any:
    """Callback of every option and argument that is a path, or several: each as ``user_path`` takes it."""
    if isinstance(value, (list, tuple)):
        return [user_path(each) for each in value]
    return None if value is None else user_path(value)


def path_option(*names: str, **how: Any) -> Any:
    """An option that is a path, or several, each as ``user_path`` takes it; else as ``typer.Option``."""
    return typer.Option(*names, callback=checked_paths, **how)


Experiment = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped experiment (mho list experiments).")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value, e.g. chip.bits=4 or variants\\[ramp_4bit].chip.weights.device=pcm. May be repeated.",
    ),
]
Recordings = Annotated[Path | None, path_option(help="Recordings, as for mho run.")]
Results = Annotated[
    Path | None,
    path_option("-o", "--output", help="Folder of the results; runs/NAME by default. It resumes."),
]
File = Annotated[Path | None, path_option("-o", "--output", help="File to write; else standard output.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of the summary.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be computed, how many points and how long.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Compute failed points again.")]
Workers = Annotated[
    int | None,
    typer.Option("-j", help="Worker processes, each with one thread; 1 by default, with --device cuda one a card."),
]
Cards = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda (all cards that are visible, one worker each), or some of them: cuda:0,cuda:1.",
    ),
]
Engine = Annotated[EngineName, typer.Option(help="Where points are computed: processes of this machine, Dask, or Ray.")]
Address = Annotated[
    str | None,
    typer.Option(help="Of a running Dask scheduler (tcp://host:8786) or Ray cluster; without it, one is started."),
]
