"""Variants, or runs, compared in pairs: the figure of one less that of the other on the same splits and chips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from mho.report.merit import analog, cut_difference, interval_of_mean
from mho.report.rundata import RunData
from workloads.statistics import difference


@dataclass(frozen=True)
class Pair:
    """The mean of ``ours`` less that of ``theirs`` at a time, and its 95 % interval (NaN: none).

    ``n`` pairs of the same split and chip, over which Student's t is taken (over the splits' means where there are
    several); where the two share none, ``paired`` is false and the interval is Welch's.
    """

    ours: str
    theirs: str
    t_s: float
    mean: float
    low: float
    high: float
    n: int
    paired: bool = True

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out no difference at all."""
        return self.low > 0.0 or self.high < 0.0


def of_variants(run: RunData) -> list[Pair]:
    """Every other variant less the default one, at the first and the last time at which both were read."""
    chips = analog(run)
    mine = chips[chips["variant"] == run.default.name]
    found: list[Pair] = []
    for name in run.variants:
        if name != run.default.name:
            both = between(name, chips[chips["variant"] == name], run.default.name, mine, share=_share(run))
            found += [both[0], *both[1:][-1:]] if both else []
    return found


def of_runs(runs: dict[str, RunData]) -> list[Pair]:
    """The default variant of every further run less that of the first, at each common time.

    Chips pair up where both runs are tested on the same data, by the digest; else the two count as independent.
    """
    tables = {name: (chips := analog(run))[chips["variant"] == run.default.name] for name, run in runs.items()}
    first, *rest = runs
    same = {name: runs[name].data.digest == runs[first].data.digest is not None for name in rest}
    return [
        pair
        for name in rest
        for pair in between(
            name, tables[name], first, tables[first], share=_share(runs[first]), paired=same[name]
        )
    ]  # fmt: skip


def between(
    ours: str, mine: pd.DataFrame, theirs: str, other: pd.DataFrame, *, share: bool, paired: bool = True
) -> list[Pair]:
    """One pair for each time that both tables (``split, chip, t_s, value``) have, in order."""
    found = []
    for t_s in sorted(set(mine["t_s"]) & set(other["t_s"])):
        index = ["split", "chip"]
        a, b = (
            table[(table["t_s"] == t_s) & table["value"].notna()].set_index(index)["value"] for table in (mine, other)
        )
        both = (a - b).dropna() if paired else a.iloc[:0]
        if len(both):
            splits = both.index.get_level_values("split").to_series(index=both.index)
            mean, (low, high), n = float(both.mean()), interval_of_mean(both, splits), len(both)
        elif len(a) and len(b):
            (mean, low, high), n = difference(a.to_numpy(), b.to_numpy()), min(len(a), len(b))
        else:
            continue
        low, high = (cut_difference(end) if share and not math.isnan(end) else end for end in (low, high))
        found.append(Pair(ours, theirs, float(t_s), mean, low, high, n, bool(len(both))))
    return found


def _share(run: RunData) -> bool:
    return run.metrics.metrics[run.metric].is_share
