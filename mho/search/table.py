"""The trials of a search as a table: one row each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mho.search.spec import Search
from mho.search.trial import Trial, on_front
from mho.sweep.export import cell
from mho.sweep.template import VARIANT


def settings(search: Search) -> list[str]:
    """Columns of the table that are settings."""
    return [*([VARIANT] if search.variants else []), *search.space]


def table(trials: Sequence[Trial], search: Search) -> pd.DataFrame:
    """One row a trial: settings, figures (means over seeds), whether it keeps to the constraints and is on the front.

    ``rung`` says at which cheap look a pruned trial was given up; its figures are those of that look.
    """
    paths = [*([VARIANT] if search.variants else []), *search.space]
    names = dict.fromkeys([*search.objectives, *search.constraints])
    for trial in trials:
        names |= dict.fromkeys(trial.figures)
    rows = []
    for trial, on in zip(trials, on_front(trials, search), strict=True):
        given = dict(trial.coordinates)
        judged = all(name in trial.figures for name in search.constraints)
        rows.append(
            {
                "trial": trial.number,
                **{path: cell(given.get(path)) for path in paths},
                **{name: trial.figures.get(name) for name in names},
                "feasible": judged and trial.state != "failed" and max(trial.excess(search), default=0.0) <= 0.0,
                "front": on,
                "rung": "" if trial.rung is None else trial.rung,
                "state": trial.state,
                "error": trial.error,
            }
        )
    return pd.DataFrame(rows, columns=["trial", *paths, *names, "feasible", "front", "rung", "state", "error"])
