"""``mho search``: from the file to the table of trials and the front, in words and numbers for people."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mho.files import write_atomic
from mho.search import page
from mho.search.guide import Guide
from mho.search.loop import Searcher
from mho.search.spec import Bound, Choice, Search, cheap_path
from mho.search.table import table
from mho.sweep import estimate
from mho.sweep.engines.cards import compute_of
from mho.sweep.engines.clusters import HERE, Site
from mho.sweep.names import unit_of
from mho.sweep.page.page import PAGE, in_unit
from mho.sweep.plan import short
from mho.sweep.progress import Meter, span
from mho.sweep.spec import one_or_many
from mho.sweep.store import Store
from mho.sweep.template import VARIANT

TABLE = "results.csv"
_SAMPLE = 32  # trials drawn to estimate the time


@dataclass(frozen=True)
class SearchOutcome:
    """A search after a run: its folder, its aims, its trials, and how many points were computed."""

    folder: Path
    search: Search
    table: pd.DataFrame
    computed: int

    @property
    def front(self) -> pd.DataFrame:
        """The trials that nothing dominates, by the first objective."""
        return self.table[self.table.front].sort_values(next(iter(self.search.objectives)), kind="stable")


def search(
    source: str,
    *,
    output: Path | str | None = None,
    site: Site = HERE,
    trials: int | None = None,
    data: Path | None = None,
    retry_failed: bool = False,
    meter: Meter | None = None,
) -> SearchOutcome:
    """Search, or go on where the folder's search stopped, and write the table of trials.

    ``trials`` wins over the file's number. Raises InputError before anything runs.
    """
    meter = meter or Meter(quiet=True)
    searcher = Searcher.of(source, trials=trials, data=data, compute=site.compute)
    searcher.check()
    wanted, study = searcher.search, searcher.study
    study.data_of(searcher.points_of(Guide(wanted).sampled(1)[0], None)[0])
    folder = Path(output or Path("runs") / study.sheet.title)
    with ExitStack() as stack:
        engine = stack.enter_context(site.open())
        store = stack.enter_context(Store(folder))
        store.begin(study.sheet.name, page.sheet_text(wanted, study), study.code, study.about_code, study.compute)
        meter.what = "trials"
        meter.start(wanted.trials, 0)
        try:
            found = searcher.run(store, engine, meter, retry_failed=retry_failed)
        finally:
            meter.stop()
    frame = table(found, wanted)
    write_atomic(folder / TABLE, frame.to_csv(index=False, lineterminator="\n").encode())
    page.write(folder, wanted, frame)
    return SearchOutcome(folder, wanted, frame, searcher.computed)


def closing(outcome: SearchOutcome) -> str:
    """What a finished search prints: how many trials came to what, and the front."""
    states = outcome.table["state"].value_counts()
    counted = ", ".join(f"{states.get(state, 0)} {state}" for state in ("done", "pruned", "failed"))
    lines = [f"{len(outcome.table)} trials: {counted}; {outcome.computed} points computed now"]
    front, search = outcome.front, outcome.search
    outside = int((outcome.table.state.eq("done") & ~outcome.table.feasible).sum())
    if search.constraints:
        lines.append(f"{outside} of the done ones violate a constraint")
    aims = ", ".join(f"{name} ({direction})" for name, direction in search.objectives.items())
    lines.append(f"front: {len(front)} trials; objectives {aims}")
    paths = [path for path in ([VARIANT] if len(search.variants) > 1 else []) + list(search.space)]
    if outside and not len(front):
        lines.append("no trial keeps to all constraints: constraints.NAME.least or most ask for too much here")
    head = ["trial", *search.objectives, *paths]
    rows = [
        [
            str(row["trial"]),
            *(in_unit(row[name], unit_of(name)) for name in search.objectives),
            *("" if row[path] is None or row[path] != row[path] else short(row[path]) for path in paths),
        ]
        for row in front.to_dict("records")
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines += [
        "  ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    lines += [f"failed: {error}" for error in dict.fromkeys(outcome.table[outcome.table.state == "failed"].error)][:5]
    return "\n".join([*lines, f"table: {outcome.folder / TABLE}", f"report: {outcome.folder / PAGE}"])


def preview(source: str, *, trials: int | None = None, data: Path | None = None, device: str = "cpu") -> str:
    """What a search would do: its space, aims, number of points, and the time that they may take."""
    searcher = Searcher.of(source, trials=trials, data=data, compute=compute_of(device))
    searcher.check()
    wanted, study = searcher.search, searcher.study
    lines = ["space:"]
    lines += [f"  {path}: {_space(choice)}" for path, choice in wanted.space.items()]
    lines += ["objectives:", *(f"  {name}: {direction}" for name, direction in wanted.objectives.items())]
    if wanted.constraints:
        lines += ["constraints:", *(f"  {name}: {_limits(bound)}" for name, bound in wanted.constraints.items())]
    few = [
        point
        for trial in Guide(wanted).sampled(min(wanted.trials, _SAMPLE))
        for point in searcher.points_of(trial, None)
    ]
    each = max(1, len(wanted.seeds_in_turn))
    looks = wanted.pruning.rungs if wanted.pruning else ()
    text = f"{wanted.trials} trials" + (f" of {each} seeds" if each > 1 else "")
    if wanted.pruning:
        path = cheap_path(wanted, study.template)
        text += f", each looked at with {path} {' and '.join(map(str, looks))} first"
    most = wanted.trials * each * (len(looks) + 1)
    lines.append(f"{text}: at most {most} points ({study.kind})")
    found, why = estimate.seconds(study, few)
    if found is None:
        return "\n".join([*lines, f"time: no estimate: {why}"])
    share = wanted.trials * each / len(few)
    return "\n".join([*lines, f"time: about {span(found * share)} on one worker without pruning: {why}"])


def _space(choice: Choice) -> str:
    if choice.values is not None:
        text = " or ".join(map(short, choice.values))
    else:
        kind = "whole numbers" if choice.whole else "numbers"
        text = f"{kind} from {choice.first:g} to {choice.last:g}" + (" by their logarithm" * (choice.scale == "log"))
    where = " and ".join(
        f"{path} is {' or '.join(map(short, one_or_many(wanted)))}" for path, wanted in choice.when.items()
    )
    return text + (f", where {where}" if where else "")


def _limits(bound: Bound) -> str:
    low = [] if bound.least is None else [f"at least {bound.least:g}"]
    high = [] if bound.most is None else [f"at most {bound.most:g}"]
    return " and ".join([*low, *high])
