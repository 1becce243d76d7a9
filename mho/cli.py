"""The command line: ``mho run``, ``sweep``, ``search``, ``report``, ``validate``, ``list``, ``show``, ``fit``,
``cite``, ``data`` and ``schema``.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done, 1 the run failed, 2 the
input is wrong.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from devices import InputError
from mho import catalogue, citations, nladc, references, reports, runner
from mho.config.read import json_schema
from mho.console import Watch, summary
from mho.files import write_atomic
from mho.fit import fit_file
from mho.search import command as searches
from mho.sweep import command as sweeps
from mho.sweep import export
from mho.sweep.engines.clusters import Site
from mho.sweep.plan import Shard
from mho.sweep.progress import Meter
from workloads.kws.find import FULL_SET, TEST_SET
from workloads.recordings.sources import Unavailable, cached, fetch
from workloads.running import silent

app = typer.Typer(
    name="mho",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Analog in-memory computing from one YAML file: how well a network works on memristive crossbars with a "
    "nonlinear ramp ADC, and what it costs in area, energy and latency.\n\n"
    "Start with: mho run kws -o runs/kws",
)
data_app = typer.Typer(no_args_is_help=True, help="Recordings: what is known, and what lies in the cache.")
app.add_typer(data_app, name="data")

Experiment = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped experiment (mho list experiments).")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value, e.g. chip.bits=4 or variants[taox_4bit].chip.weights.device=pcm. May be repeated.",
    ),
]


class Device(str, Enum):
    """Where training runs."""

    cpu = "cpu"
    cuda = "cuda"


class EngineName(str, Enum):
    """Where the points of a sweep are computed."""

    local = "local"
    dask = "dask"
    ray = "ray"


Workers = Annotated[int, typer.Option("-j", help="Worker processes; each computes with one thread.")]
Engine = Annotated[EngineName, typer.Option(help="Where points are computed: processes of this machine, Dask, or Ray.")]
Address = Annotated[
    str | None,
    typer.Option(help="Of a running Dask scheduler (tcp://host:8786) or Ray cluster; without it, one is started."),
]


class Format(str, Enum):
    """What ``mho report`` writes."""

    html = "html"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    parquet = "parquet"
    trace = "trace"


@app.command()
def run(
    experiment: Experiment,
    sets: Sets = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; wins over the file.", min=0)] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder or archive of recordings; for sparse products a matrix, or a folder of them. Without it: "
            "MHO_DATA, the cache, a download, and where all that fails synthetic data, as the report says in a banner."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Your own trained network (safetensors, torch's names) in place of training.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where training runs; chips are simulated on the CPU.")] = Device.cpu,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Run directory to write: metrics, tables, trace.json, report.html."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json instead of the summary.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run an experiment: data, training, chips over time, cost.

    Accuracy is judged in software, on an ideal chip (codes alone) and on several chips of every variant, at several
    times after programming. Cost is counts of what these chips did times the prices in configs/components.
    """
    with Watch(quiet=quiet) as watch:
        metrics = runner.run(
            experiment,
            output=output,
            sets=tuple(sets or ()),
            seed=seed,
            data=data,
            weights=weights,
            device=device.value,
            progress=silent if quiet else watch.progress,
        )
    if as_json:
        typer.echo(json.dumps(metrics, indent=1))
        return
    typer.echo(summary(metrics))
    if output is not None:
        typer.echo(f"\nreport: {output / 'report.html'}")


@app.command()
def sweep(
    sweep_file: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped sweep.", metavar="SWEEP")],
    workers: Workers = 1,
    engine: Engine = EngineName.local,
    address: Address = None,
    shard: Annotated[
        str | None, typer.Option(help="Only part i of n, e.g. 2/8: give each its own folder, then --merge them.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the results; runs/NAME by default. It resumes.")
    ] = None,
    slurm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a SLURM array script of --shards tasks in place of running."),
    ] = None,
    shards: Annotated[int | None, typer.Option(help="With --slurm: tasks of the array; 16 by default.")] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option(help="With --slurm: an option of sbatch, e.g. --sbatch=--time=4:00:00.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print points, their number and the time; no run.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed points again.")] = False,
    keep_stale: Annotated[
        bool, typer.Option("--keep-stale", help="Keep points that other code or data made, marked as stale.")
    ] = False,
    merge: Annotated[
        list[Path] | None, typer.Option(help="Take over the points of another sweep's folder first. May be repeated.")
    ] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option("--export", help="Write the table here too: .csv, .parquet or .nc (xarray). May be repeated."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Recordings, as for mho run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON instead of the summary.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run an experiment at many points; resume what the folder holds already.

    A sweep's file names a base, axes over its settings, seeds and times. Every finished point is kept at once, through
    any kill; changed code or data makes old points stale, and they are computed again.
    """
    part = Shard.parse(shard) if shard is not None else None
    if slurm is None and (shards is not None or sbatch):
        raise InputError(f"{'--sbatch' if sbatch else '--shards'}: belongs to --slurm FILE")
    if dry_run:
        typer.echo(sweeps.preview(sweep_file, output=output, shard=part, data=data))
        return
    if slurm is not None:
        given: dict[str, object] = {
            "-j": workers != 1,
            "--engine": engine is not EngineName.local,
            "--address": address,
            "--shard": shard,
        }
        given |= {"--export": exports, "--merge": merge, "--retry-failed": retry_failed, "--keep-stale": keep_stale}
        for option in (name for name, said in given.items() if said):
            raise InputError(f"{option}: does nothing beside --slurm; put it into the script")
        count = 16 if shards is None else shards
        typer.echo(sweeps.array(sweep_file, slurm, shards=count, options=sbatch or (), output=output, data=data))
        return
    with stoppable():
        outcome = sweeps.sweep(
            sweep_file,
            output=output,
            site=Site(engine.value, workers, address),
            shard=part,
            data=data,
            retry_failed=retry_failed,
            keep_stale=keep_stale,
            merge=tuple(merge or ()),
            exports=tuple(exports or ()),
            meter=Meter(quiet=quiet),
        )
    typer.echo(export.as_json(outcome.table) if as_json else sweeps.closing(outcome))
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def search(
    search_file: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped search.", metavar="SEARCH")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the results; runs/NAME by default. It resumes.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Configurations to try; wins over the file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print space, aims, points and the time; no run.")] = False,
    workers: Workers = 1,
    engine: Engine = EngineName.local,
    address: Address = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed points again.")] = False,
    data: Annotated[Path | None, typer.Option(help="Recordings, as for mho run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trials as JSON instead of the summary.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Look for the best compromises between several figures, such as accuracy, energy and area.

    A search's file names a base, the space of its settings, objectives, constraints, and how many trials. A killed
    search goes on where it was; the same file tries the same trials, on however many workers.
    """
    if dry_run:
        typer.echo(searches.preview(search_file, trials=trials, data=data))
        return
    with stoppable():
        outcome = searches.search(
            search_file,
            output=output,
            site=Site(engine.value, workers, address),
            trials=trials,
            data=data,
            retry_failed=retry_failed,
            meter=Meter(quiet=quiet),
        )
    typer.echo(export.as_json(outcome.table) if as_json else searches.closing(outcome))
    if outcome.table.state.eq("failed").any():
        raise typer.Exit(1)


@app.command(name="report")
def report_command(
    run_dirs: Annotated[list[Path], typer.Argument(help="Run directories, or a sweep's folder.", metavar="RUN_DIR...")],
    format: Annotated[Format, typer.Option("--format", help="html and trace take one run, the others several.")] = (
        Format.html
    ),
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; else standard output (html: report.html).")
    ] = None,
) -> None:
    """Make reports again from the files of finished runs, or of a sweep, finished or not."""
    for path in reports.write(run_dirs, format.value, output):
        typer.echo(str(path))


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(help="YAML files or shipped names.", metavar="FILE...")],
) -> None:
    """Check files without running anything: every problem, with its line and what is allowed."""
    problems: list[str] = []
    for file in files:
        try:
            typer.echo(catalogue.checked(file))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


@app.command(name="list")
def list_command(
    kind: Annotated[
        str,
        typer.Argument(help="One of " + ", ".join(catalogue.LISTINGS) + "."),
    ],
) -> None:
    """List what ships with mho, one name and description a line."""
    rows = catalogue.listing(kind)
    width = max(map(len, rows), default=0)
    for name, description in rows.items():
        typer.echo(f"{name:{width}}  {description}".rstrip())


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A shipped record, a YAML file of one, or NLADC.")],
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture: a device's levels and drift, a chip's ramps against their functions, a liquid's "
            "rate and memory against weight scale and threshold, or the measured converter of NLADC."
        ),
    ] = None,
    function: Annotated[
        str, typer.Option(help="NLADC: a function (mho list functions), or a CSV table of x and y.")
    ] = "sigmoid",
    bits: Annotated[int, typer.Option(help="NLADC: resolution, 1 to 12.")] = 5,
    device: Annotated[str, typer.Option(help="NLADC: the ramp's cells (mho list devices).")] = "rram_taox",
    chips: Annotated[int, typer.Option(help="NLADC: chips to build and measure.")] = 64,
    levels: Annotated[str, typer.Option(help="NLADC: uniform, or optimal for the inputs in --samples.")] = "uniform",
    samples: Annotated[Path | None, typer.Option(help="NLADC: text file of inputs as they occur.")] = None,
    ends: Annotated[
        tuple[float, float] | None, typer.Option("--range", metavar="LOW HIGH", help="NLADC: range of inputs.")
    ] = None,
    time: Annotated[float, typer.Option(help="NLADC: seconds after programming.")] = 0.0,
    recentre: Annotated[
        bool, typer.Option("--recentre", help="NLADC: program the bias cells again at that time.")
    ] = False,
    seed: Annotated[int, typer.Option(help="NLADC: seed of everything random.", min=0)] = 0,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="NLADC: another field of the ramp, e.g. redundant_columns=4."),
    ] = None,
) -> None:
    """Show one record with its sources: an experiment, chip, device or component; or measure a ramp converter.

    mho show NLADC --function gelu --bits 5 --device rram_taox --plot gelu.png
    """
    if name == nladc.NAME:
        found = nladc.measure(
            function=function,
            bits=bits,
            device=device,
            chips=chips,
            levels=levels,
            samples=samples,
            ends=ends,
            t_s=time,
            recentre=recentre,
            seed=seed,
            sets=tuple(sets or ()),
        )
        typer.echo(nladc.text(found, device))
        if plot is not None:
            nladc.plot(found, device, plot)
    else:
        nladc.refuse_options(name, [each for each in context.params if _given(context, each)])
        typer.echo(catalogue.shown(name))
        if plot is not None:
            catalogue.plot(name, plot)
    if plot is not None:
        typer.echo(str(plot), err=True)


def _given(context: typer.Context, parameter: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


@app.command()
def fit(
    csv: Annotated[
        Path,
        typer.Argument(
            help="CSV file: target_S, measured_S (samples), or target_S, mean_S, sigma_S (summary); t_s, cell and "
            "count if known. A name may end in _uS."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Device record to write; else it is printed.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="The candidate or kind of device to take, in place of the best by BIC.")
    ] = None,
    reads: Annotated[
        Path | None, typer.Option(help="CSV file of repeated reads (target_S, measured_S), for the read noise.")
    ] = None,
) -> None:
    """Turn measured conductances into a device, and say how well each candidate fits."""
    typer.echo(fit_file(csv, output, kind=kind, reads=reads))
    if output is not None:
        typer.echo(str(output), err=True)


@app.command()
def cite(experiment: Experiment, sets: Sets = None) -> None:
    """Print the BibTeX of the papers behind an experiment: task, devices, circuits, prices."""
    typer.echo(references.bibtex(citations.keys_of(experiment, tuple(sets or ()))), nl=False)


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="experiment, chip or device.")] = "experiment",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; else standard output.")] = None,
) -> None:
    """Print the JSON schema with which an editor completes and checks YAML files."""
    text = json.dumps(json_schema(catalogue.type_of(kind)), indent=1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_atomic(output, text.encode())


ARCHIVES = {"speech_commands_test": TEST_SET, "speech_commands": FULL_SET}


@data_app.command(name="ls")
def data_ls() -> None:
    """List public archives that mho knows, and whether they are in the cache."""
    for name, remote in ARCHIVES.items():
        place = cached(remote)
        state = f"in the cache: {place}" if place else "not in the cache"
        typer.echo(f"{name}  {remote.size_bytes / 1e6:.0f} MB  {state}")


@data_app.command(name="get")
def data_get(name: Annotated[str, typer.Argument(help="A name from mho data ls.")]) -> None:
    """Download an archive into the cache and check it."""
    if name not in ARCHIVES:
        raise InputError(f"{name}: no such archive; known are {', '.join(ARCHIVES)}")
    try:
        typer.echo(str(fetch(ARCHIVES[name])))
    except Unavailable as error:
        typer.echo(f"mho: {error}", err=True)
        raise typer.Exit(1) from None


class _Stopped(KeyboardInterrupt):
    """A signal that asks the process to end; its workers are ended on the way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """End a sweep in order on Ctrl-C, or on the SIGTERM of a queue: 128 and the signal's number is the exit code.

    A disk that is full when table and report are written fails the run, as it does while points are written.
    """

    def stop(number: int, frame: object) -> None:
        raise _Stopped(number)

    usual = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as stopped:
        typer.echo("mho: stopped; all that is finished is kept, and the same command goes on from there", err=True)
        raise typer.Exit(128 + getattr(stopped, "number", signal.SIGINT)) from None
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(cause.errno, "; ".join(error.problems)) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, usual)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what can go wrong into one message and an exit code."""
    try:
        yield
    except InputError as error:
        for problem in error.problems:
            typer.echo(f"mho: {problem}", err=True)
        sys.exit(2)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        typer.echo(f"mho: {place}{error.strerror or error}", err=True)
        sys.exit(1)
    except MemoryError as error:
        typer.echo(f"mho: out of memory {error}; fewer evaluation.chips or a smaller evaluation.batch helps", err=True)
        sys.exit(1)


def main() -> Any:
    """Entry point of ``mho`` and ``python -m mho``."""
    os.environ.setdefault("MPLBACKEND", "agg")
    with exit_codes():
        return app()
