"""The drift study: what each variant of phase-change memory loses over time, and what its converter does about it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from devices import DEVICES
from devices.pcm import PhaseChange
from mho.report.merit import analog, interval_of_mean
from mho.report.quantities import NOT_AVAILABLE, duration, number
from mho.report.rundata import RunData
from workloads.result import Metric, VariantResult

LEAST_LOSS = 0.01  # up to which a case counts as cancelled, whatever the worst case loses
SHARE_OF_WORST = 0.1


def drift_variants(run: RunData) -> list[VariantResult]:
    """Variants whose weights are phase-change cells and whose converter is a ramp of cells."""
    kinds = {name for name, kind in DEVICES.items() if issubclass(kind, PhaseChange)}
    return [each for each in run.metrics.variants if each.device in kinds and each.ramp_device is not None]


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
    for variant in drift_variants(run):
        mine = factors[factors["variant"] == variant.name].sort_values("t_s")
        compensated = variant.compensation not in (None, "off")
        last = float(mine["mean"].iloc[-1]) if len(mine) else math.nan
        loss = _paired_loss(run, variant.name)
        cases.append(
            {
                "variant": variant,
                "ramp": variant.ramp_device,
                "compensated": compensated,
                "factor": last if compensated else None,
                "loss": loss,
                "change": _change(run.metrics.metrics[run.metric], loss),
                "why": _mechanism(variant, compensated, last),
            }
        )
    return sorted(cases, key=lambda case: case["loss"]["mean"] if case["loss"] else math.inf)


def _change(metric: Metric, loss: dict[str, float] | None) -> str:
    if loss is None:
        return f"loss {NOT_AVAILABLE}"
    size = f"{100 * abs(loss['mean']):.2f} points" if metric.is_share else number(abs(loss["mean"]))
    return f"{'loses' if loss['mean'] >= 0 else 'gains'} {size}"


def _mechanism(variant: VariantResult, compensated: bool, factor: float) -> str:
    same, ramp = variant.ramp_device == variant.device, variant.ramp_device
    if same and compensated:
        return (
            "the ramp's steps shrink with the weights' charges, and what remains is corrected before the comparator, "
            f"by the factor measured through the ramp (mean {number(factor)} at the end) and, where the chip asks for "
            "it, by programming the bias cells again"
        )
    if same:
        return (
            "the ramp is of the same kind of cell, so its steps shrink with the weights' charges and the ratio stays "
            "on average; but its start is the charge of very few cells, and their drift moves all thresholds of a chip"
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
    measured = [case for case in cases if case["loss"] is not None]
    if not measured:
        return "No PCM case was measured at two times, so the run shows nothing about drift."
    end = duration(max(case["loss"]["t_s"] for case in measured))
    worst = max(measured, key=lambda case: case["loss"]["mean"])
    most = worst["loss"]["mean"]
    limit = max(LEAST_LOSS, SHARE_OF_WORST * most)
    cancelled = [case["variant"].name for case in measured if case["loss"]["mean"] <= limit]
    lost = [case["variant"].name for case in measured if case["loss"]["mean"] > limit]

    def shown(loss: float) -> str:
        return f"{100 * loss:.1f} points" if metric.is_share else number(loss)

    if not lost:
        return f"Between programming and {end}, all {len(cancelled)} cases stay within {shown(limit)} (mean of chips)."
    start = f"Between programming and {end}, {worst['variant'].name} loses most, {shown(most)} (mean over chips)"
    if not cancelled:
        return f"{start}, and no case keeps its loss to a tenth of that: none cancels drift."
    return f"{start}; drift is cancelled to within {shown(limit)} by {', '.join(cancelled)}; not by {', '.join(lost)}."
