"""What the report says: tables and sentences made from a run's files, before any layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from mho.report.plots import is_adc
from mho.report.quantities import NOT_AVAILABLE, duration, missing, number, percent, points, rounded
from mho.report.rundata import RunData
from workloads.result import Comparison, Metric, VariantResult
from workloads.statistics import interval

HELD_LOSS = 0.01
HELD_SHARE = 0.1


def shown(metric: Metric, value: float | None) -> str:
    """A figure of merit as people read it: shares in per cent, others with their unit."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return percent(value) if metric.is_share else f"{rounded(value, 4)} {metric.unit.removeprefix('1')}".rstrip()


def shown_difference(metric: Metric, value: float | None) -> str:
    """A difference of two figures of merit, with its sign; shares in percentage points."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return points(value) if metric.is_share else f"{value:+.3g} {metric.unit.removeprefix('1')}".rstrip()


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


def analog(run: RunData) -> pd.DataFrame:
    """Chips' own figures: ``variant, split, chip, t_s, value``."""
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
    quantised = run.rows("accuracy", stage="quantised")
    rows = []
    for variant in run.metrics.variants:
        cells = []
        for time in times:
            figure = figures[(figures["variant"] == variant.name) & (figures["t_s"] == time)]
            mine = chips[(chips["variant"] == variant.name) & (chips["t_s"] == time)]
            low, high = interval_of_mean(mine["value"], mine["split"])
            one = figure.iloc[0] if len(figure) else None
            cells.append(
                None
                if one is None
                else {"mean": float(one["mean"]), "std": float(one["std"]), "low": low, "high": high}
            )
        mine = chips[chips["variant"] == variant.name]
        digital = quantised[quantised["variant"] == variant.name][run.metric]
        rows.append(
            {
                "variant": variant,
                "cells": cells,
                "chips": int(figures.loc[figures["variant"] == variant.name, "chips"].max(skipna=True))
                if figures.loc[figures["variant"] == variant.name, "chips"].notna().any()
                else None,
                "splits": int(mine["split"].nunique()),
                "quantised": float(digital.mean()) if len(digital) else None,
            }
        )
    return times, rows


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
    if worst is not None and not missing(worst) and sign * worst < limit:
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


def step_layer(run: RunData, variant: str) -> dict[str, Any] | None:
    """The layer that runs most often in one inference: its row is what "one step" means."""
    layers = run.rows("layers", variant=variant).to_dict("records")
    return {str(key): value for key, value in max(layers, key=lambda row: row["steps"]).items()} if layers else None


def pcm_variants(run: RunData) -> list[VariantResult]:
    """The drift study: variants whose name starts with ``pcm``."""
    return [variant for variant in run.metrics.variants if variant.name.lower().startswith("pcm")]


def compensation_over_time(run: RunData) -> pd.DataFrame:
    """Factors per variant and time, over splits, chips and functions: ``variant, t_s, mean, low, high``."""
    grouped = run.tables["compensation"].groupby(["variant", "t_s"], sort=False)["factor"]
    table: pd.DataFrame = grouped.agg(["mean", "min", "max"]).reset_index()
    return table.rename(columns={"min": "low", "max": "high"})


def _paired_loss(run: RunData, variant: str) -> dict[str, float] | None:
    """Loss of each chip between its first and last time, with the 95 % interval of the mean."""
    mine = analog(run)
    mine = mine[(mine["variant"] == variant) & mine["value"].notna()]
    if mine["t_s"].nunique() < 2:
        return None
    wide = mine.pivot_table(index=["split", "chip"], columns="t_s", values="value").sort_index(axis=1)
    sign = 1.0 if run.metrics.metrics[run.metric].higher_is_better else -1.0
    loss = (sign * (wide.iloc[:, 0] - wide.iloc[:, -1])).dropna()
    if loss.empty:
        return None
    low, high = interval_of_mean(loss, loss.index.get_level_values("split").to_series(index=loss.index))
    return {"mean": float(loss.mean()), "low": low, "high": high, "t_s": float(wide.columns[-1])}


def drift_cases(run: RunData) -> list[dict[str, Any]]:
    """Each PCM case: what its ramp is made of, whether it is compensated, what it lost, and the mechanism."""
    factors = compensation_over_time(run)
    cases = []
    for variant in pcm_variants(run):
        ramp_devices = sorted(set(run.rows("ramps", variant=variant.name)["device"]))
        mine = factors[factors["variant"] == variant.name].sort_values("t_s")
        same = None if not ramp_devices else all("pcm" in device.lower() for device in ramp_devices)
        compensated = bool(((mine[["low", "high"]] - 1.0).abs() > 1e-9).any().any())
        last = float(mine["mean"].iloc[-1]) if len(mine) else math.nan
        loss = _paired_loss(run, variant.name)
        cases.append(
            {
                "variant": variant,
                "ramp": ", ".join(ramp_devices) or "not stated",
                "compensated": compensated,
                "factor": last if compensated else None,
                "loss": loss,
                "change": _change(run.metrics.metrics[run.metric], loss),
                "why": _mechanism(same, compensated, ", ".join(ramp_devices), last),
            }
        )
    return sorted(cases, key=lambda case: case["loss"]["mean"] if case["loss"] else math.inf)


def _change(metric: Metric, loss: dict[str, float] | None) -> str:
    if loss is None:
        return f"loss {NOT_AVAILABLE}"
    size = f"{100 * abs(loss['mean']):.2f} points" if metric.is_share else number(abs(loss["mean"]))
    return f"{'loses' if loss['mean'] >= 0 else 'gains'} {size}"


def _mechanism(same: bool | None, compensated: bool, ramp: str, factor: float) -> str:
    if same is None:
        return "the run does not say what its ramp is made of"
    if same and compensated:
        return (
            "the ramp's steps shrink with the weights' charges, and what remains is corrected before the comparator, "
            f"by the factor measured through the ramp (mean {number(factor)} at the end) and, where the chip says so, "
            "by programming the bias cells again"
        )
    if same:
        return (
            "the ramp is of the same kind of cell, so its steps shrink with the weights' charges and the ratio stays "
            "on average; but its start is the charge of very few cells, whose own drift moves all thresholds of a chip"
        )
    if compensated:
        return (
            f"the ramp ({ramp}) does not follow the weights; a factor measured through it "
            f"(mean {number(factor)} at the end) restores the ratio before the comparator"
        )
    return f"the ramp ({ramp}) keeps its steps while the weights' charges shrink, and nothing corrects the ratio"


def drift_sentence(run: RunData, cases: list[dict[str, Any]]) -> str:
    """Which cases cancel drift: those that lose at most a tenth of the worst case's loss, or one point."""
    metric = run.metrics.metrics[run.metric]
    known = [case for case in cases if case["loss"] is not None]
    if not known:
        return "No PCM case was measured at two times, so the run says nothing on drift."
    end = duration(max(case["loss"]["t_s"] for case in known))
    worst = max(known, key=lambda case: case["loss"]["mean"])
    most = worst["loss"]["mean"]
    limit = max(HELD_LOSS, HELD_SHARE * most)
    held = [case["variant"].name for case in known if case["loss"]["mean"] <= limit]
    lost = [case["variant"].name for case in known if case["loss"]["mean"] > limit]

    def shown(loss: float) -> str:
        return f"{100 * loss:.1f} points" if metric.is_share else number(loss)

    if not lost:
        return f"Between programming and {end}, all {len(held)} cases hold to within {shown(limit)} (mean over chips)."
    start = f"Between programming and {end}, {worst['variant'].name} loses most, {shown(most)} (mean over chips)"
    if not held:
        return f"{start}, and no case keeps its loss to a tenth of that: none cancels drift."
    return f"{start}; drift is cancelled to within {shown(limit)} by {', '.join(held)}; not by {', '.join(lost)}."


def confusion_matrices(run: RunData) -> list[dict[str, Any]]:
    """One matrix per variant: counts, shares of each true class, recall, and the pairs confused most."""
    matrices = []
    labels = list(run.metrics.labels)
    for name in run.variants:
        rows = run.rows("confusion", variant=name)
        if rows.empty:
            continue
        named = rows.assign(true=rows["true"].map(_namer(labels)), predicted=rows["predicted"].map(_namer(labels)))
        order = labels or sorted({*named["true"], *named["predicted"]})
        order += sorted({*named["true"], *named["predicted"]} - set(order))
        table = named.pivot_table(index="true", columns="predicted", values="count", aggfunc="sum", fill_value=0.0)
        counts = table.reindex(index=order, columns=order, fill_value=0.0).to_numpy(float)
        shares = counts / np.where(counts.sum(axis=1, keepdims=True) > 0, counts.sum(axis=1, keepdims=True), np.nan)
        wrong = sorted(
            ((share, order[i], order[j]) for (i, j), share in np.ndenumerate(shares) if i != j and share > 0),
            reverse=True,
        )
        matrices.append(
            {
                "variant": name,
                "labels": order,
                "rows": [
                    (label, list(zip(row, part, strict=True)))
                    for label, row, part in zip(order, counts.tolist(), shares.tolist(), strict=True)
                ],
                "worst": wrong[:3],
                "total": float(counts.sum()),
            }
        )
    return sorted(matrices, key=lambda matrix: matrix["variant"] != run.default.name)


def _namer(labels: list[str]) -> Callable[[str], str]:
    """Class numbers stand for the labels of metrics.json; names stay as they are."""

    def name(cell: str) -> str:
        return labels[int(cell)] if cell.isdigit() and cell not in labels and int(cell) < len(labels) else cell

    return name


def conventional(run: RunData) -> VariantResult | None:
    """The variant with a conventional ADC and a digital activation, by its name."""
    return next((variant for variant in run.metrics.variants if "conventional" in variant.name.lower()), None)


def adc_share(run: RunData, variant: str, column: str) -> float:
    """Share of ``column`` (energy or area) that conversion takes."""
    parts = run.rows("components", variant=variant)
    total = float(parts[column].sum())
    return float(parts.loc[[is_adc(group) for group in parts["group"]], column].sum()) / total if total else math.nan
