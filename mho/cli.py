"""The command line: ``mho run``, ``sweep``, ``search``, ``cost``, ``report``, ``validate``, ``list``, ``show``,
``fit``, ``cite``, ``data`` and ``schema``.

Results go to standard output, progress and messages to standard error; exit codes are those of ``mho.exits``. Each
command imports what it needs when it is called: help and listings load nothing that computes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.errors import InputError
from mho import cli_sweeps
from mho.exits import exit_codes
from mho.listings import LISTINGS, listing
from mho.network import command
from mho.options import AsJson, ComputeDevice, Experiment, File, Quiet, ReportFormat, Sets, checked_paths, path_option

app = typer.Typer(
    name="mho",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Analog in-memory computing from one YAML file: how well a network works on memristive crossbars with a "
    "nonlinear ramp ADC, and what it costs in area, energy and latency.\n\n"
    "Start with: mho run kws -o runs/kws",
)
data_app = typer.Typer(no_args_is_help=True, help="Recordings: public archives, and which of them are in the cache.")
app.add_typer(data_app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mho {version('mho')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that come before the name of a command."""


@app.command()
def run(
    experiment: Experiment,
    sets: Sets = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; wins over the file.", min=0)] = None,
    data: Annotated[
        Path | None,
        path_option(
            help="Folder or archive of recordings; for sparse products a matrix, or a folder of them. Without it: "
            "MHO_DATA, the cache, a download, and where all that fails synthetic data, as the report states.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        path_option(help="Your own trained network (safetensors, torch's names) in place of training."),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:FUNCTION", help="Network: your function that gives a torch module; it is run."),
    ] = None,
    device: Annotated[
        ComputeDevice, typer.Option(help="Where networks train and chips compute; of sparse products: the CPU.")
    ] = ComputeDevice.cpu,
    output: Annotated[
        Path | None,
        path_option(
            "-o",
            "--output",
            help="Run directory to write: metrics, tables, trace.json, report.html; runs/NAME-TIME by default.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run in that directory.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment: data, training, chips over time, cost.

    Accuracy is judged in software, on an ideal chip (codes alone) and on several chips of every variant, at several
    times after programming. Cost is counts of what these chips did times the prices in configs/components.
    """
    from mho import runner
    from mho.console import Watch
    from mho.report.summary import summary
    from workloads.running import silent

    with cli_sweeps.files_of("run", experiment), Watch(quiet=quiet) as watch:
        found = runner.run(
            experiment,
            output=output or runner.new_folder(experiment),
            sets=tuple(sets or ()),
            seed=seed,
            data=data,
            weights=weights,
            module=module,
            device=device.value,
            force=force,
            progress=silent if quiet else watch.progress,
        )
    where = f"report: {output or os.path.relpath(str(found.path))}/report.html"
    if as_json:
        typer.echo(json.dumps(found.metrics_json, indent=1))
        typer.echo(where, err=True)
        return
    typer.echo(summary(found.metrics_json))
    typer.echo(f"\n{where}")


app.command()(cli_sweeps.sweep)
app.command()(cli_sweeps.search)
app.command()(command.cost)


@app.command(name="report")
def report_command(
    run_dirs: Annotated[
        list[Path],
        typer.Argument(callback=checked_paths, help="Run directories, or a sweep's folder.", metavar="RUN_DIR..."),
    ],
    format: Annotated[
        ReportFormat, typer.Option("--format", help="trace takes one run, the others several.")
    ] = ReportFormat.html,
    output: Annotated[
        Path | None,
        path_option(
            "-o", "--output", help="File to write (html: one page for all runs); else standard output (report.html)."
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        path_option("--figures", metavar="DIR", help="Folder for a page's figures as SVG and PDF files as well."),
    ] = None,
) -> None:
    """Make reports again from the files of finished runs, or of a sweep, finished or not."""
    from mho import reports

    for path in reports.write(run_dirs, format.value, output, figures):
        typer.echo(str(path))


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(help="YAML files or shipped names.", metavar="FILE...")],
) -> None:
    """Check files without running anything: every problem, with its line and what is allowed."""
    from mho import catalogue

    problems: list[str] = []
    for file in files:
        try:
            typer.echo(catalogue.checked(file))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


@app.command(name="list")
def list_command(kind: Annotated[str, typer.Argument(help="One of " + ", ".join(LISTINGS) + ".")]) -> None:
    """List what ships with mho, one name and description a line."""
    rows = listing(kind)
    width = max(map(len, rows), default=0)
    for name, description in rows.items():
        typer.echo(f"{name:{width}}  {description}".rstrip())


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A shipped record, a YAML file of one, a kind of front end, or NLADC.")],
    plot: Annotated[
        Path | None,
        path_option(
            help="Write a picture: a device's levels and drift, a chip's ramps against their functions, a liquid's "
            "rate and memory against weight scale and threshold, or the measured converter of NLADC.",
        ),
    ] = None,
    function: Annotated[
        str, typer.Option(help="NLADC: a function (mho list functions), or a CSV table of x and y.")
    ] = "sigmoid",
    bits: Annotated[int, typer.Option(help="NLADC, front ends: resolution, 1 to 12.")] = 5,
    device: Annotated[str, typer.Option(help="NLADC: the ramp's cells (mho list devices).")] = "rram_taox",
    chips: Annotated[int, typer.Option(help="NLADC: chips to build and measure.")] = 64,
    levels: Annotated[str, typer.Option(help="NLADC: uniform, or optimal for the inputs in --samples.")] = "uniform",
    samples: Annotated[Path | None, path_option(help="NLADC: text file of inputs as they occur.")] = None,
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
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A field of NLADC's ramp or of a front end, e.g. swing_V=0.4.",
        ),
    ] = None,
) -> None:
    """Show one record with its sources; the budget of a front end; or measure a ramp converter.

    mho show integrator --set swing_V=0.4

    mho show NLADC --function gelu --bits 5 --device rram_taox --plot gelu.png
    """
    from mho import catalogue, front_ends, nladc
    from periphery.front_end import FRONT_ENDS

    given = [each for each in context.params if _given(context, each)]
    if name in FRONT_ENDS:
        nladc.refuse_options(name, given, ("bits", "sets"))
        typer.echo(front_ends.text(name, sets or (), bits))
    elif name == nladc.NAME:
        found = nladc.measure(
            nladc.ConverterOptions(
                function, bits, device, chips, levels, samples, ends, time, recentre, seed, tuple(sets or ())
            )
        )
        typer.echo(nladc.text(found, device))
        if plot is not None:
            nladc.plot(found, device, plot)
    else:
        nladc.refuse_options(name, given, ("plot",))
        typer.echo(catalogue.shown(name))
        if plot is not None:
            catalogue.plot(name, plot)
    if plot is not None:
        typer.echo(str(plot), err=True)


def _given(context: typer.Context, parameter: str) -> bool:
    """Whether the user wrote an option."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


@app.command()
def fit(
    csv: Annotated[
        Path,
        typer.Argument(
            callback=checked_paths,
            help="CSV file: target_S, measured_S (samples), or target_S, mean_S, sigma_S (summary); t_s, cell and "
            "count if measured. A name may end in _uS.",
        ),
    ],
    output: Annotated[
        Path | None,
        path_option("-o", "--output", help="Device record to write; else it is printed."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="The candidate or kind of device to take, in place of the one chosen by BIC.")
    ] = None,
    reads: Annotated[
        Path | None,
        path_option(help="CSV file of repeated reads (target_S, measured_S), for the read noise."),
    ] = None,
    plot: Annotated[
        Path | None, path_option(help="Write a picture: mean and spread of every level, measured and fitted.")
    ] = None,
) -> None:
    """Turn measured conductances into a device, and show how well each candidate fits."""
    from mho.fit import fit_file

    typer.echo(fit_file(csv, output, kind=kind, reads=reads, plot=plot))
    if plot is not None:
        typer.echo(str(plot), err=True)
    if output is not None:
        typer.echo(str(output), err=True)


@app.command()
def cite(experiment: Experiment, sets: Sets = None) -> None:
    """Print the BibTeX of the papers behind an experiment: task, devices, circuits, prices.

    Lists what the experiment may use: where only a run shows which components it needs, sources of the whole price
    list. What a run did use, its data included, is in its manifest.json under cite.
    """
    from mho.citations import bibtex_of

    typer.echo(bibtex_of(experiment, tuple(sets or ())), nl=False)


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="experiment, chip, device or liquid.")] = "experiment",
    output: File = None,
) -> None:
    """Print the JSON schema with which an editor completes and checks YAML files."""
    from mho import catalogue
    from mho.config.read import json_schema
    from mho.files import write_atomic

    text = json.dumps(json_schema(catalogue.type_of(kind)), indent=1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_atomic(output, text.encode())


@data_app.command(name="ls")
def data_ls() -> None:
    """List public archives that mho can download, and whether they are in the cache."""
    from mho.catalogue import ARCHIVES
    from workloads.recordings.sources import cached

    for name, remote in ARCHIVES.items():
        path = cached(remote)
        state = f"in the cache: {path}" if path else "not in the cache"
        typer.echo(f"{name}  {remote.size_bytes / 1e6:.0f} MB  {state}")


@data_app.command(name="get")
def data_get(name: Annotated[str, typer.Argument(help="A name from mho data ls.")]) -> None:
    """Download an archive into the cache and check it."""
    from mho.catalogue import ARCHIVES
    from workloads.recordings.sources import Unavailable, fetch

    if name not in ARCHIVES:
        raise InputError(f"{name}: no such archive; there are {', '.join(ARCHIVES)}")
    try:
        typer.echo(str(fetch(ARCHIVES[name])))
    except Unavailable as error:
        typer.echo(f"mho: {error}", err=True)
        raise typer.Exit(1) from None


def main() -> Any:
    """Entry point of ``mho`` and ``python -m mho``."""
    os.environ.setdefault("MPLBACKEND", "agg")
    with exit_codes():
        return app()
