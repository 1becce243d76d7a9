"""``mho sweep`` and ``mho search``: many points, kept as they are finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from configs.errors import InputError
from mho.exits import resumable
from mho.options import (
    Address,
    AsJson,
    Cards,
    DryRun,
    Engine,
    EngineName,
    Quiet,
    Recordings,
    Results,
    RetryFailed,
    Workers,
    path_option,
)

#: Of each command that computes from a file: the folder of such files, and what one of them is called.
_FILES = {"run": ("experiments", "an experiment"), "sweep": ("sweeps", "a sweep"), "search": ("searches", "a search")}


@contextmanager
def files_of(command: str, name: str) -> Iterator[None]:
    """One sentence that names the right command in place of the problems of a file, or name, of another command's."""
    try:
        yield
    except InputError:
        from mho import catalogue

        folder, wanted = _FILES[command]
        found = folder
        with suppress(InputError):
            found = catalogue.folder_of(name, likely=folder)
        for other, (its_folder, its_name) in _FILES.items():
            if other != command and found == its_folder:
                raise InputError(f"{name}: {its_name}, not {wanted}; use mho {other} {name}") from None
        raise


def sweep(
    sweep_file: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped sweep.", metavar="SWEEP")],
    workers: Workers = None,
    device: Cards = "cpu",
    engine: Engine = EngineName.local,
    address: Address = None,
    shard: Annotated[
        str | None, typer.Option(help="Only part i of n, e.g. 2/8: give each its own folder, then --merge them.")
    ] = None,
    output: Results = None,
    slurm: Annotated[
        Path | None,
        path_option(
            metavar="FILE",
            help="Write a SLURM array script of --shards tasks in place of running.",
        ),
    ] = None,
    shards: Annotated[int | None, typer.Option(help="With --slurm: tasks of the array; 16 by default.")] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option(help="With --slurm: an option of sbatch, e.g. --sbatch=--time=4:00:00.")
    ] = None,
    dry_run: DryRun = False,
    retry_failed: RetryFailed = False,
    keep_stale: Annotated[
        bool, typer.Option("--keep-stale", help="Keep points that other code or data made, marked as stale.")
    ] = False,
    merge: Annotated[
        list[Path] | None,
        path_option(help="Take over the points of another sweep's folder first. May be repeated."),
    ] = None,
    exports: Annotated[
        list[Path] | None,
        path_option(
            "--export",
            help="Write the table here too: .csv, .parquet or .nc (xarray). May be repeated.",
        ),
    ] = None,
    data: Recordings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment at many points; resume what the folder holds already.

    A sweep's file names a base, axes over its settings, seeds and times. Every finished point is kept at once, through
    any kill; changed code or data makes old points stale, and they are computed again.
    """
    if slurm is None and (shards is not None or sbatch):
        raise InputError(f"{'--sbatch' if sbatch else '--shards'}: belongs to --slurm FILE")
    from mho.sweep import command, export
    from mho.sweep.engines.clusters import Site
    from mho.sweep.plan import Shard
    from mho.sweep.progress import Meter

    part = Shard.parse(shard) if shard is not None else None
    if dry_run:
        with files_of("sweep", sweep_file):
            typer.echo(command.preview(sweep_file, output=output, shard=part, data=data, device=device))
        return
    if slurm is not None:
        _refuse_beside_slurm(
            {
                "-j": workers not in (None, 1),
                "--engine": engine is not EngineName.local,
                "--address": address,
                "--shard": shard,
                "--export": exports,
                "--merge": merge,
                "--retry-failed": retry_failed,
                "--keep-stale": keep_stale,
            }
        )
        count = 16 if shards is None else shards
        with files_of("sweep", sweep_file):
            made = command.array(
                sweep_file, slurm, shards=count, options=sbatch or (), output=output, data=data, device=device
            )
        typer.echo(made)
        return
    site, meter = Site(engine.value, workers, address, device), Meter(quiet=quiet)
    resume, files = command.Resume(retry_failed, keep_stale, tuple(merge or ())), tuple(exports or ())
    with resumable(), files_of("sweep", sweep_file):
        outcome = command.sweep(
            sweep_file, output=output, site=site, shard=part, data=data, resume=resume, exports=files, meter=meter
        )
    typer.echo(export.as_json(outcome.table) if as_json else command.closing(outcome))
    if outcome.failed:
        raise typer.Exit(1)


def _refuse_beside_slurm(given: dict[str, object]) -> None:
    """InputError for an option that a script of jobs would ignore."""
    for option in (name for name, value in given.items() if value):
        raise InputError(f"{option}: does nothing beside --slurm; put it into the script")


def search(
    search_file: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped search.", metavar="SEARCH")],
    output: Results = None,
    trials: Annotated[int | None, typer.Option(help="Configurations to try; wins over the file.")] = None,
    dry_run: DryRun = False,
    workers: Workers = None,
    device: Cards = "cpu",
    engine: Engine = EngineName.local,
    address: Address = None,
    retry_failed: RetryFailed = False,
    data: Recordings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look for the best compromises between several figures, such as accuracy, energy and area.

    A search's file names a base, the space of its settings, objectives, constraints, and how many trials. A killed
    search goes on where it was; the same file tries the same trials, on however many workers.
    """
    from mho.search import command
    from mho.sweep import export
    from mho.sweep.engines.clusters import Site
    from mho.sweep.progress import Meter

    if dry_run:
        with files_of("search", search_file):
            typer.echo(command.preview(search_file, trials=trials, data=data, device=device))
        return
    site, meter = Site(engine.value, workers, address, device), Meter(quiet=quiet)
    with resumable(), files_of("search", search_file):
        outcome = command.search(
            search_file, output=output, site=site, trials=trials, data=data, retry_failed=retry_failed, meter=meter
        )
    typer.echo(export.as_json(outcome.table) if as_json else command.closing(outcome))
    if outcome.table.state.eq("failed").any():
        raise typer.Exit(1)
