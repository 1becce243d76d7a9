"""Figures of merit: over time and chips, against their aims, and as people read them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from mho.report.quantities import NOT_AVAILABLE, missing, number, percent, points, rounded, to_deviation
from mho.report.rundata import RunData
from workloads.result import Comparison, Metric, Metrics, VariantResult
from workloads.statistics import interval

FEW = 3  # values of an interval that is not shown without their number


def shown(metric: Metric, value: float | None) -> str:
    """A figure of merit as people read it: shares in per cent, others with their unit."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return percent(value) if metric.is_share else f"{rounded(value, 4)} {metric.unit.removeprefix('1')}".rstrip()


def with_deviation(
    metric: Metric,
    mean: float | None,
    std: float | None,
    chips: int | None,
    *,
    unit: bool = True,
) -> str:
    """A mean over chips with their standard deviation; a single chip has none, and a mean not available no more.

    ``unit``: False where the head of a column names it.
    """
    if mean is None or missing(mean):
        return NOT_AVAILABLE
    text = shown if unit else bare
    if chips == 1 and (std is None or missing(std)):
        return f"{text(metric, mean)} (one chip)"
    if std is None or missing(std) or metric.is_share:
        return f"{text(metric, mean)} ± {text(metric, std)}"
    return f"{' ± '.join(to_deviation(mean, std))} {metric.unit.removeprefix('1') if unit else ''}".rstrip()


def shown_difference(metric: Metric, value: float | None) -> str:
    """A difference of two figures of merit, with its sign; shares in percentage points."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return (
        points(value) if metric.is_share else f"{value:+.3g} {metric.unit.removeprefix('1')}".rstrip().replace("-", "−")
    )


def changes(record: VariantResult | Metrics) -> list[str]:
    """What the command line set, and which records are not as published, of a variant or of what belongs to none."""
    records = [f"{path.removeprefix('chip.')} {status}" for path, status in record.changed.items()]
    return [f"set {text}" for text in record.sets] + records


def bare(metric: Metric, value: float | None) -> str:
    """A figure of merit without its unit, for a column whose head names it."""
    return shown(metric, value).removesuffix(" %").removesuffix(f" {metric.unit}")


def unit_head(metric: Metric) -> str:
    """The unit to name in the head of a column of bare figures."""
    unit = "%" if metric.is_share else metric.unit.removeprefix("1")
    return f" ({unit})" if unit else ""


def interval_of_mean(values: pd.Series[float], splits: pd.Series[float]) -> tuple[float, float]:
    """The 95 % interval of a mean by Student's t: over chips with one split, over the splits' means with several.

    Chips of one split share their training and their test set, so with several splits they do not count one by one.
    """
    sample = values.groupby(splits).mean() if splits.nunique() > 1 else values
    sample = sample.dropna()
    return interval(sample.to_numpy())[1:] if len(sample) else (math.nan, math.nan)


def of_few(n: int) -> str:
    """How many values an interval is over, where they are so few that it says little; else an empty text."""
    return f", n = {n}" if n <= FEW else ""


def cut(metric: Metric, value: float) -> float:
    """The end of an interval, cut where that of a share reaches beyond 0 or 1, and that of an error or loss below 0."""
    if missing(value) or (metric.higher_is_better and not metric.is_share):
        return value
    return min(max(value, 0.0), 1.0) if metric.is_share else max(value, 0.0)


def cut_difference(value: float) -> float:
    """The end of an interval of a difference of two shares, cut at all and nothing."""
    return min(max(value, -1.0), 1.0)


def analog(run: RunData) -> pd.DataFrame:
    """Figures of single chips: ``variant, split, chip, t_s, value``."""
    rows = run.rows("accuracy", stage="analog")
    return rows.assign(value=rows[run.metric].astype(float))[["variant", "split", "chip", "t_s", "value"]]


def quality(run: RunData) -> pd.DataFrame:
    """Figures of ``metrics.json`` over time: ``variant, t_s, chips, mean, std``; NaN where there is none."""
    rows = [
        (variant.name, entry.t_s, entry.chips, _nan(entry.spread(run.metric).mean), _nan(entry.spread(run.metric).std))
        for variant in run.metrics.variants
        for entry in variant.quality
    ]
    return pd.DataFrame(rows, columns=["variant", "t_s", "chips", "mean", "std"])


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def accuracy_rows(run: RunData) -> tuple[list[float], list[dict[str, Any]]]:
    """Times, and for each variant its mean, deviation and interval at each of them."""
    figures, chips = quality(run), analog(run)
    times = sorted(set(figures["t_s"]))
    metric = run.metrics.metrics[run.metric]
    rows = []
    for variant in run.metrics.variants:
        cells = []
        for time in times:
            figure = figures[(figures["variant"] == variant.name) & (figures["t_s"] == time)]
            mine = chips[(chips["variant"] == variant.name) & (chips["t_s"] == time)]
            low, high = (cut(metric, end) for end in interval_of_mean(mine["value"], mine["split"]))
            one = figure.iloc[0] if len(figure) else None
            cells.append(
                None
                if one is None
                else {
                    "mean": float(one["mean"]),
                    "std": float(one["std"]),
                    "chips": len(mine),
                    "n": int(mine["split"].nunique()) if mine["split"].nunique() > 1 else len(mine),
                    "low": low,
                    "high": high,
                }
            )
        mine = chips[chips["variant"] == variant.name]
        rows.append(
            {
                "variant": variant,
                "cells": cells,
                "chips": int(figures.loc[figures["variant"] == variant.name, "chips"].max(skipna=True))
                if figures.loc[figures["variant"] == variant.name, "chips"].notna().any()
                else None,
                "splits": int(mine["split"].nunique()),
                **{stage: _of_stage(run, variant.name, stage) for stage in ("retrained", "quantised")},
            }
        )
    return times, rows


def _of_stage(run: RunData, variant: str, stage: str) -> float | None:
    found = run.rows("accuracy", variant=variant, stage=stage)[run.metric]
    return float(found.mean()) if len(found) else None


def stage_rows(run: RunData) -> list[tuple[str, float | None, str]]:
    """Each stage of the headline with its figure and what was computed on what, where the run states that."""
    metrics = run.metrics
    first = metrics.variant(run.default.name).quality[:1]
    figures = {
        "software": metrics.software.get(run.metric),
        "retrained": metrics.retrained.get(run.metric),
        "quantised": metrics.quantised.get(run.metric),
        "analog": first[0].spread(run.metric).mean if first else None,
    }
    names = {"quantised": "ideal chip", "analog": "chips"}
    return [(names.get(stage, stage), figures.get(stage), text) for stage, text in metrics.stages.items()]


def verdict(comparison: Comparison, metric: Metric) -> tuple[str, str]:
    """Whether a paired difference keeps its aim (the largest loss allowed), and how sure that is."""
    if not isinstance(comparison.aim, int | float):
        return ("no aim set" if comparison.aim is None else "see the aim", "plain")
    if comparison.mean is None or missing(comparison.mean):
        return (NOT_AVAILABLE, "warn")
    sign = 1.0 if metric.higher_is_better else -1.0
    worst = comparison.low if metric.higher_is_better else comparison.high
    limit = -abs(float(comparison.aim))
    if sign * comparison.mean < limit:
        return ("not met", "bad")
    if worst is None or missing(worst):
        return ("met by the mean; no interval", "warn")
    if sign * worst < limit:
        return ("met in the mean; the interval reaches beyond", "warn")
    return ("met", "good")


def comparison_rows(run: RunData) -> list[dict[str, Any]]:
    """Paired differences with their interval, aim and verdict, as text."""
    rows = []
    for comparison in run.metrics.comparisons:
        metric = run.metrics.metrics.get(comparison.metric, Metric())
        aim = comparison.aim
        if isinstance(aim, int | float):
            size = f"{100 * abs(aim):g} points" if metric.is_share else number(abs(float(aim)))
            allowed = f"loss of at most {size}"
        else:
            allowed = aim or "none"
        text, tone = verdict(comparison, metric)
        rows.append(
            {
                "name": comparison.name,
                "text": comparison.text,
                "unit": "points" if metric.is_share else metric.unit,
                "mean": shown_difference(metric, comparison.mean),
                "low": shown_difference(metric, comparison.low),
                "high": shown_difference(metric, comparison.high),
                "n": comparison.n,
                "pairs": comparison.pairs if isinstance(comparison.pairs, str | int) else None,
                "aim": allowed,
                "verdict": text,
                "tone": tone,
            }
        )
    return rows
