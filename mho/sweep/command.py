"""``mho sweep``: from the file to the table, in words and numbers for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from configs.errors import InputError
from configs.yaml_source import dump_yaml
from mho.sweep import estimate, export
from mho.sweep.engines import slurm
from mho.sweep.engines.cards import compute_of
from mho.sweep.engines.clusters import HERE, Site
from mho.sweep.page import page
from mho.sweep.plan import Point, Shard
from mho.sweep.progress import Meter, span
from mho.sweep.run import Runner
from mho.sweep.store import FILE, Store
from mho.sweep.study import Study, SweepState
from workloads.workload import SYNTHETIC

TABLE = "results.csv"
_SHOWN = 100


@dataclass(frozen=True)
class Resume:
    """What becomes of points that are there already.

    Failed ones may be computed again; stale ones, which other code or data made, may be kept as they are (so the table
    marks them); ``merge`` takes over the points of other sweeps' folders first, as of shards.
    """

    retry_failed: bool = False
    keep_stale: bool = False
    merge: tuple[Path, ...] = ()


@dataclass(frozen=True)
class SweepOutcome:
    """A sweep after a run: its folder, its table, and how many points are finished and failed."""

    folder: Path
    table: pd.DataFrame
    done: int
    failed: int
    computed: int


def sweep(
    source: str,
    *,
    output: Path | str | None = None,
    site: Site = HERE,
    shard: Shard | None = None,
    data: Path | None = None,
    resume: Resume = Resume(),
    exports: Sequence[Path] = (),
    meter: Meter | None = None,
) -> SweepOutcome:
    """Compute what the folder does not hold yet, and write the table. Raises InputError before anything runs.

    ``site`` is where points are computed: in this process by default.
    """
    meter = meter or Meter(quiet=True)
    export.refuse(exports)
    for other in resume.merge:
        # One that cannot be read is an error before a folder is made.
        with Store(other, create=False):
            pass
    study = Study(source, data=data, shard=shard, compute=site.compute)
    folder = Path(output or Path("runs") / study.sheet.title)
    fresh = not (folder / FILE).is_file()
    if fresh:
        study.check(study.points)
        # Recordings that are not there are an error before a folder is made.
        for point in study.points[:1]:
            study.data_of(point)
    with ExitStack() as stack:
        # A scheduler that does not answer leaves no folder behind.
        engine = stack.enter_context(site.open()) if fresh and study.points else None
        store = stack.enter_context(Store(folder))
        for other in resume.merge:
            meter.write(f"{store.take_over(other)} points taken over from {other}")
        text = dump_yaml(study.sheet.node.plain())
        before = (store.sheets() or [("", "", "", "")])[-1][1], _content(folder / TABLE)
        state = study.state(store)
        if not fresh:
            study.check(state.new)
        todo = sorted(
            [
                *state.new,
                *([] if resume.keep_stale else state.stale),
                *(state.failed if resume.retry_failed else []),
            ],
            key=_order(study.points),
        )
        if todo:
            engine = engine or stack.enter_context(site.open())
        # Only now: a sweep that cannot compute here has not worked here.
        store.begin(study.sheet.name, text, study.code, study.about_code, study.compute)
        meter.start(len(study.points), len(study.points) - len(todo))
        meter.write(_opening(state, resume))
        try:
            if engine is not None:
                Runner(study, store, dict(state.statuses), engine, meter).run(todo)
        finally:
            meter.stop()
        frame = export.table(study, store)
        for path in (folder / TABLE, *exports):
            export.write(study, frame, path)
        # A page of ten thousand points takes seconds: one that would be the same is left.
        if (
            meter.done
            or resume.merge
            or before != (text, _content(folder / TABLE))
            or not (folder / page.PAGE).is_file()
        ):
            page.write(folder, study=study)
    count = frame["state"].value_counts()
    return SweepOutcome(folder, frame, int(count.get("done", 0)), int(count.get("failed", 0)), meter.done)


def _content(path: Path) -> bytes:
    """What a file holds; nothing where there is none."""
    return path.read_bytes() if path.is_file() else b""


def array(
    source: str,
    script: Path,
    *,
    shards: int,
    options: Sequence[str] = (),
    output: Path | None = None,
    data: Path | None = None,
    device: str = "cpu",
) -> str:
    """Write a SLURM array script for the sweep, checked as for a run, and return how to submit it.

    ``device``: ``cpu``, or ``cuda`` for one card a task; which, the queue decides.
    """
    study = Study(source, data=data, compute=compute_of(device))
    if device not in ("cpu", "cuda"):
        raise InputError(f"--device: with --slurm the queue decides which card a task gets; take cuda (got {device})")
    study.check(study.points)
    slurm.write(
        script,
        sweep=source,
        title=study.sheet.title,
        points=len(study.points),
        shards=shards,
        whole=output or Path("runs") / study.sheet.title,
        data=data,
        options=options,
        compute=study.compute,
    )
    return next(line for line in script.read_text().splitlines() if "sbatch --parsable" in line).lstrip("# ")


def preview(
    source: str,
    *,
    output: Path | None = None,
    shard: Shard | None = None,
    data: Path | None = None,
    device: str = "cpu",
) -> str:
    """What a sweep would do: its points, their number, what is there already, and the time that the rest may take."""
    study = Study(source, data=data, shard=shard, compute=compute_of(device))
    folder = output or Path("runs") / study.sheet.title
    state, seconds = SweepState(new=list(study.points)), None
    if (folder / FILE).is_file():
        with Store(folder) as store:
            state = study.state(store)
            seconds = None if state.elsewhere else store.mean_seconds()
    study.check(state.new)
    lines = [f"{point.index:>6}  {point.words()}" for point in study.points[:_SHOWN]]
    if len(study.points) > _SHOWN:
        lines.append(f"   ...  and {len(study.points) - _SHOWN} more")
    whole = f" of {len(study.plan.points)}" if len(study.points) < len(study.plan.points) else ""
    lines.append(f"{len(study.points)}{whole} points ({study.kind}): {state.words()}")
    lines.append(_time(study, [*state.new, *state.stale], seconds))
    return "\n".join(lines)


def _time(study: Study, todo: list[Point], mean_s: float | None) -> str:
    if not todo:
        return "time: none, everything is there"
    if mean_s is not None:
        return (
            f"time: about {span(mean_s * len(todo))} on one worker, by the points that are there ({mean_s:.3g} s each)"
        )
    found, why = estimate.seconds(study, todo)
    return f"time: no estimate: {why}" if found is None else f"time: about {span(found)} on one worker: {why}"


def _opening(state: SweepState, resume: Resume) -> str:
    text = state.words()
    if state.stale:
        text += "; stale points are " + ("kept as they are" if resume.keep_stale else "computed again")
    if state.failed and not resume.retry_failed:
        text += "; --retry-failed computes failed points again"
    return text


def _order(points: Sequence[Point]) -> Callable[[Point], int]:
    order = {point.index: number for number, point in enumerate(points)}
    return lambda point: order[point.index]


def closing(outcome: SweepOutcome) -> str:
    """What a finished sweep prints."""
    total = len(outcome.table)
    text = f"{outcome.done} of {total} points done, {outcome.failed} failed, {outcome.computed} computed now"
    lines = [text, f"table: {outcome.folder / TABLE}", f"report: {outcome.folder / page.PAGE}"]
    if SYNTHETIC in outcome.table and outcome.table[SYNTHETIC].eq(1).any():
        lines.append("data: synthetic, since neither --data nor MHO_DATA names any: no figures to judge accuracy by")
    failed = outcome.table[outcome.table.state == "failed"]
    lines += [f"failed: {error} ({len(part)} points)" for error, part in list(failed.groupby("error"))[:5]]
    return "\n".join(lines)
