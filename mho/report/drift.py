"""The drift study: what each variant that changes with time loses, and what its converter does about it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from mho.report.merit import analog, interval_of_mean, of_few, shown_difference
from mho.report.quantities import NOT_AVAILABLE, duration, number
from mho.report.rundata import RunData
from workloads.result import Metric, VariantResult

LEAST_LOSS = 0.01  # up to which a case counts as cancelled, whatever the worst case loses
SHARE_OF_WORST = 0.1


def drift_variants(run: RunData) -> list[VariantResult]:
    """Variants whose converter is a ramp of cells and that were measured at several times.

    A workload reads a chip at a later time only where something that is read changes with time (``Chip.drifts``).
    """
    ramps = [variant for variant in run.metrics.variants if variant.ramp_device is not None]
    return [variant for variant in ramps if len({entry.t_s for entry in variant.quality}) > 1]


def compensation_over_time(run: RunData) -> pd.DataFrame:
    """Factors per variant and time, over splits, chips and functions: ``variant, t_s, mean, low, high``."""
    grouped = run.tables["compensation"].groupby(["variant", "t_s"], sort=False)["factor"]
    table: pd.DataFrame = grouped.agg(["mean", "min", "max"]).reset_index()
    return table.rename(columns={"min": "low", "max": "high"})


def _paired_loss(run: RunData, variant: str) -> dict[str, Any] | None:
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
    splits = loss.index.get_level_values("split").to_series(index=loss.index)
    low, high = interval_of_mean(loss, splits)
    n = splits.nunique() if splits.nunique() > 1 else len(loss)
    return {"mean": float(loss.mean()), "low": low, "high": high, "n": n, "t_s": float(wide.columns[-1])}


def drift_cases(run: RunData) -> list[dict[str, Any]]:
    """Each case: what its ramp is made of, whether it is compensated, what it lost, and the mechanism."""
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


def _change(metric: Metric, loss: dict[str, Any] | None) -> str:
    """A loss in words, with its interval where there is one."""
    if loss is None:
        return f"loss {NOT_AVAILABLE}"
    mean, low, high = loss["mean"], loss["low"], loss["high"]
    sign = 1.0 if mean >= 0 else -1.0
    size = f"{100 * abs(mean):.2f} points" if metric.is_share else shown_difference(metric, abs(mean)).lstrip("+")
    ends = ", ".join(shown_difference(metric, end) for end in sorted((sign * low, sign * high)))
    return f"{'loses' if mean >= 0 else 'gains'} {size}" + ("" if math.isnan(low) else f" [{ends}]{of_few(loss['n'])}")


def _mechanism(variant: VariantResult, compensated: bool, factor: float) -> str:
    same, ramp = variant.ramp_device == variant.device, variant.ramp_device
    if same and compensated:
        return (
            "the ramp's steps change with the weights' charges, and what remains is corrected before the comparator, "
            f"by the factor measured through the ramp (mean {number(factor)} at the end) and, where the chip asks for "
            "it, by programming the bias cells again"
        )
    if same:
        return (
            "the ramp is of the same kind of cell, so its steps change with the weights' charges and the ratio stays "
            "on average; but its start is the charge of very few cells, and their drift moves all thresholds of a chip"
        )
    if compensated:
        return (
            f"the ramp ({ramp}) does not follow the weights; a factor measured through it "
            f"(mean {number(factor)} at the end) restores the ratio of the weights' charges to the ramp's steps before "
            "the comparator"
        )
    return (
        f"the ramp ({ramp}) does not change as the weights do, and nothing corrects the ratio of the weights' charges "
        "to the ramp's steps"
    )


def drift_sentence(run: RunData, cases: list[dict[str, Any]]) -> str:
    """Which cases cancel drift: those that lose at most a tenth of the worst case's loss, or one point.

    A loss whose interval reaches down to 0, or that has none (one chip), is not distinguishable from none.
    """
    metric = run.metrics.metrics[run.metric]
    measured = [case for case in cases if case["loss"] is not None]
    if not measured:
        return "No case was measured on the same chips at two times, so the run shows nothing about drift."
    start = f"Between programming and {duration(max(case['loss']['t_s'] for case in measured))}, "
    worst = max(measured, key=lambda case: case["loss"]["mean"])
    of_worst = f"{worst['variant'].name} {worst['change']}"
    certain = [case for case in measured if case["loss"]["low"] > 0]
    if not certain:
        most = " (the most of all cases)" if len(measured) > 1 else ""
        gain = worst["loss"]["high"] < 0
        return f"{start}{of_worst}{most}{'' if gain else ': not distinguishable from none at this number of chips'}."
    if len(measured) == 1:
        return f"{start}{of_worst}."
    limit = max(LEAST_LOSS, SHARE_OF_WORST * worst["loss"]["mean"])
    within = f"{100 * limit:.1f} points" if metric.is_share else number(limit)
    few = [case["variant"].name for case in measured if case["loss"]["mean"] <= limit]
    many = [case["variant"].name for case in certain if case["loss"]["mean"] > limit]
    unclear = [case["variant"].name for case in measured if case["variant"].name not in (*few, *many)]
    if not many and not unclear:
        return f"{start}all {len(few)} cases stay within {within} (mean over chips)."
    sentence = f"{start}{of_worst} (mean over chips), the most"
    for names, text in ((few, f"stays within {within} in"), (unclear, "is not distinguishable from none in")):
        sentence += f"; the loss {text} {', '.join(names)}" if names else ""
    return f"{sentence}; drift is not cancelled by {', '.join(many)}." if many else f"{sentence}."
