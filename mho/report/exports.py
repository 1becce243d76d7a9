"""A run's figures for other programs and for papers: one long table of several runs, or a summary in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mho.files import parquet_bytes
from mho.report.merit import accuracy_rows, comparison_rows, shown, stage_rows, with_deviation
from mho.report.quantities import NOT_AVAILABLE, duration, quantity
from mho.report.rundata import RunData
from mho.report.sections import adc_share

COSTS = (
    ("area_m2", "m2", "Area"),
    ("energy_J", "J", "Energy"),
    ("leakage_W", "W", "Leakage"),
    ("latency_s", "s", "Latency"),
)
_COST_UNITS = {
    **{key: unit for key, unit, _ in COSTS},
    "power_W": "W",
    "ops": "1",
    "period_s": "s",
    "period_J": "J",
    "average_power_W": "W",
    "tops": "TOPS",
    "tops_per_W": "TOPS/W",
    "tops_per_mm2": "TOPS/mm2",
}
_IDENTITY = ("run", "experiment", "seed", "config_digest", "data", "synthetic", "variant", "default")
_FIGURE = ("kind", "name", "unit", "t_s", "chips", "value", "std")


def long_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """One row per figure: ``kind`` is software, retrained, quantised, quality or cost; runs follow each other."""
    return pd.DataFrame([row for run in runs for row in _long_rows(run)], columns=[*_IDENTITY, *_FIGURE])


def _long_rows(run: RunData) -> Iterable[dict[str, Any]]:
    metrics = run.metrics
    common = {
        "run": str(run.path),
        "experiment": metrics.experiment,
        "seed": metrics.seed,
        "config_digest": metrics.config_digest,
        "data": run.data.name,
        "synthetic": run.data.synthetic,
    }
    for kind in ("software", "retrained", "quantised"):
        figures: dict[str, float | None] = getattr(metrics, kind)
        for name, value in figures.items():
            unit = metrics.metrics[name].unit if name in metrics.metrics else ""
            yield {**common, "variant": "", "kind": kind, "name": name, "unit": unit, "value": value}
    for variant in metrics.variants:
        mine = {**common, "variant": variant.name, "default": variant.default}
        for entry in variant.quality:
            for name, metric in metrics.metrics.items():
                spread = entry.spread(name)
                figure = {"name": name, "unit": metric.unit, "value": spread.mean, "std": spread.std}
                yield {**mine, "kind": "quality", "t_s": entry.t_s, "chips": entry.chips, **figure}
        for name, value in variant.cost.items():
            yield {**mine, "kind": "cost", "name": name, "unit": _COST_UNITS.get(name, ""), "value": value}


def csv(runs: Sequence[RunData]) -> bytes:
    """The long table as CSV."""
    return long_table(runs).to_csv(index=False, lineterminator="\n").encode()


def parquet(runs: Sequence[RunData]) -> bytes:
    """The long table as Parquet. Raises ``InputError`` where pyarrow is not installed."""
    return parquet_bytes(long_table(runs))


def markdown(runs: Sequence[RunData]) -> bytes:
    """A summary of each run for the appendix of a paper."""
    return "\n".join(_summary(run) for run in runs).encode()


def cell(text: object) -> str:
    """Text that neither breaks a Markdown table nor becomes HTML where the summary is rendered."""
    plain = " ".join(str(text).split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(map(cell, head)) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(map(cell, row)) + " |" for row in rows), ""]


def _summary(run: RunData) -> str:
    metrics, data = run.metrics, run.data
    metric = metrics.metrics[run.metric]
    lines = [f"## {cell(metrics.experiment)}", ""]
    if data.synthetic:
        lines += [f"**Synthetic data.** {cell(data.note or data.name)}", ""]
    size = f" (train {data.train or NOT_AVAILABLE}, test {data.test or NOT_AVAILABLE})"
    lines += [
        f"Data: {cell(data.name)}{size}. Seed {metrics.seed}. mho {cell(run.manifest.get('mho', NOT_AVAILABLE))}, "
        f"config {cell(str(metrics.config_digest)[:12])}.",
        "",
        f"Software {run.metric}: {shown(metric, metrics.software.get(run.metric))}; "
        + (f"retrained: {shown(metric, metrics.retrained[run.metric])}; " if run.metric in metrics.retrained else "")
        + f"ideal chip: {shown(metric, metrics.quantised.get(run.metric))}.",
        "",
        *(f"- {name}: {cell(text)}." for name, _, text in stage_rows(run)),
        "",
    ]
    times, rows = accuracy_rows(run)
    head = ["variant", "chips", *(f"{run.metric} at {duration(time)}" for time in times)]
    body = []
    for row in rows:
        cells = [
            NOT_AVAILABLE if at is None else with_deviation(metric, at["mean"], at["std"], at["chips"])
            for at in row["cells"]
        ]
        name = row["variant"].name + (" (default)" if row["variant"].default else "")
        name += ", ideal wires" if row["variant"].wires == "ideal" else ""
        body.append([name, row["chips"] or NOT_AVAILABLE, *cells])
    lines += ["Mean ± standard deviation over chips (and splits), over n - 1.", "", *grid(head, body)]
    if metrics.comparisons:
        body = [
            [
                row["text"] or row["name"],
                row["mean"],
                f"{row['low']} to {row['high']}",
                row["unit"],
                row["aim"],
                row["verdict"],
            ]
            for row in comparison_rows(run)
        ]
        lines += grid(["difference", "mean", "95 % interval", "unit", "aim", "result"], body)
    body = []
    for variant in metrics.variants:
        share = adc_share(run, variant.name, "energy_J")
        costs = [quantity(variant.cost.get(key), unit) for key, unit, _ in COSTS]
        efficiency = quantity(variant.cost.get("tops_per_W"), "")
        body.append([variant.name, *costs, efficiency, shown(metric.model_copy(update={"unit": "1"}), share)])
    lines += ["Cost per inference.", ""]
    lines += grid(["variant", *(label for *_, label in COSTS), "TOPS/W", "ADC share of energy"], body)
    lines += [f"- {cell(note)}" for note in metrics.notes]
    return "\n".join(lines) + "\n"
