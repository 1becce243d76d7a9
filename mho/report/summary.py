"""What a finished run prints."""

from __future__ import annotations

from typing import Any

from mho.report.merit import changes, shown, with_deviation
from mho.report.quantities import between, counted, duration, quantity
from workloads.result import Metric, Metrics


def summary(metrics: dict[str, Any]) -> str:
    """Headline figures of ``metrics.json`` as plain text."""
    data = metrics["data"]
    samples = "" if data["test"] is None else f", {data['train']} training and {data['test']} test samples"
    lines = [f"{metrics['experiment']}: {data['name']}{samples}"]
    if data["synthetic"]:
        lines.append("SYNTHETIC DATA: made by a program, not recorded; the figures do not apply to real recordings.")
    if bare := [variant["name"] for variant in metrics["variants"] if variant.get("wires") == "ideal"]:
        lines.append(f"IDEAL WIRES: no line of {', '.join(bare)} has a resistance; a chip's lines have.")
    if metrics.get("weights"):
        lines.append(metrics["weights"])
    lines += _changes(Metrics.model_validate(metrics))
    kinds = {name: Metric.model_validate(kind) for name, kind in metrics["metrics"].items()}
    for name, kind in kinds.items():
        stages = {"software": "software", "retrained": "retrained", "quantised": "ideal chip"}
        ideal = ", ".join(
            f"{text} {shown(kind, metrics[stage][name])}" for stage, text in stages.items() if metrics.get(stage)
        )
        lines.append(ideal if len(kinds) == 1 else f"{name}: {ideal}")
    rows = []
    on_average = any("average_power_W" in variant["cost"] for variant in metrics["variants"])
    for variant in metrics["variants"]:
        cost = variant["cost"]
        over_time = "  ".join(
            f"{duration(q['t_s'])}: "
            + ", ".join(
                with_deviation(kind, q[name]["mean"], q[name]["std"], q["chips"]) for name, kind in kinds.items()
            )
            for q in variant["quality"]
        )
        figures = [
            _with_interval(variant, "area_m2", "m2"),
            _with_interval(variant, "energy_J", "J"),
            quantity(cost["latency_s"], "s"),
            *([_with_interval(variant, "average_power_W", "W")] if on_average else []),
        ]
        start, end = "* " if variant["default"] else "  ", " (set)" if variant.get("sets") else ""
        rows.append((start + variant["name"] + end, *figures, over_time))
    libraries = sorted({variant.get("leakage_library") or "" for variant in metrics["variants"]} - {""})
    leakage = f" (leakage of {', '.join(libraries)})" if libraries else ""
    average = (f"average power{leakage}",) if on_average else ()
    head = ("  variant", "area", "energy", "latency", *average, f"{', '.join(kinds)} after")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    for row in (head, *rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True)).rstrip())
    lines += _deviation(metrics)
    if any(variant.get("cost_interval") for variant in metrics["variants"]):
        lines.append("In brackets: the 90 % interval that the uncertainty of the prices alone gives.")
    return "\n".join(lines)


def _deviation(metrics: dict[str, Any]) -> list[str]:
    """What stands behind the mean, and over how many chips, where there are several."""
    chips = sorted({q["chips"] for variant in metrics["variants"] for q in variant["quality"] if q["chips"]})
    splits = metrics["data"].get("splits") or 1
    if not chips or chips[-1] * splits == 1:
        return []
    over = counted(chips[-1], "chip") if chips[0] == chips[-1] else f"{chips[0]} to {chips[-1]} chips"
    return [f"±: standard deviation over {over}{f' of each of {splits} splits' if splits > 1 else ''}."]


def _changes(metrics: Metrics) -> list[str]:
    """Lines on what the command line set, and which records are not as published, each with the variants it is of."""
    found: dict[str, list[str]] = {}
    for name, texts in [("", changes(metrics)), *((each.name, changes(each)) for each in metrics.variants)]:
        for text in texts:
            found.setdefault(text, []).append(name)
    return [f"{', '.join(names)}: {text}" if any(names) else text for text, names in found.items()]


def _with_interval(variant: dict[str, Any], key: str, unit: str) -> str:
    """A cost, and in brackets what the prices' uncertainty makes of it."""
    ends = (variant.get("cost_interval") or {}).get(key)
    shown = quantity(variant["cost"].get(key), unit)
    return f"{shown} ({between(ends, unit)})" if ends else shown
