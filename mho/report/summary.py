"""The summary of a finished run: what it prints, and the table of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mho.report.costs import status_rows
from mho.report.merit import accuracy_rows, bare, shown, unit_head, with_deviation
from mho.report.quantities import NOT_AVAILABLE, between, duration, number, percent, quantity
from mho.report.rundata import RunData
from workloads.result import Metric

Cell = tuple[str, str]  # a figure and its interval
_COSTS = (
    ("Energy", "energy_J", "J"),
    ("Latency", "latency_s", "s"),
    ("Average power", "average_power_W", "W"),
    ("Area", "area_m2", "m2"),
    ("TOPS/W", "tops_per_W", ""),
)

_LATEX = {sign: f"\\{sign}" for sign in "_%&#${}"} | {
    **{"\\": r"\textbackslash{}", "±": r"$\pm$", "µ": r"$\mu$", "²": "$^2$", "–": "--", "−": "$-$", "×": r"$\times$"},
}


@dataclass(frozen=True)
class PaperTable:
    """One row a variant: figure of merit at each time, and cost of one inference, as text."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    software: str

    @property
    def frame(self) -> pd.DataFrame:
        """The same as one cell of text each."""
        cells = [[name, *(f"{value} {interval}".strip() for value, interval in row)] for name, row in self.rows]
        return pd.DataFrame(cells, columns=list(self.head))

    @property
    def csv(self) -> str:
        """For a spreadsheet."""
        return self.frame.to_csv(index=False)

    @property
    def latex(self) -> str:
        """For a paper that uses booktabs."""
        signs = {
            "_": r"\_",
            "%": r"\%",
            "±": r"$\pm$",
            "µ": r"$\mu$",
            "²": "$^2$",
            "–": "--",
            "−": "$-$",
            "×": r"$\times$",
        }
        lines = [list(self.head), *self.frame.to_numpy().tolist()]
        head, *body = [" & ".join("".join(signs.get(sign, sign) for sign in cell) for cell in line) for line in lines]
        rows = [f"{line} \\\\" for line in body]
        columns = "l" + "r" * (len(self.head) - 1)
        begin = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rf"{head} \\", r"\midrule"]
        return "\n".join([*begin, *rows, r"\bottomrule", r"\end{tabular}", ""])


def paper_table(run: RunData) -> PaperTable:
    """The summary of a run."""
    metric = run.metrics.metrics[run.metric]
    times, rows = accuracy_rows(run)
    costs = [each for each in _COSTS if any(v.cost.get(each[1]) is not None for v in run.metrics.variants)]
    name = run.metric.replace("_", " ")
    at = [name.capitalize() + ("" if len(times) == 1 else f" at {duration(time)}") for time in times]
    head = ["Variant", *(text + unit_head(metric) for text in at), *(label for label, *_ in costs), "Estimated"]
    found = []
    for row in rows:
        variant = row["variant"]
        cells: list[Cell] = []
        for one in row["cells"]:
            if one is None:
                cells.append(("–", ""))
                continue
            ends = [bare(metric, one[end]) for end in ("low", "high")]
            shown_ends = "" if NOT_AVAILABLE in ends else f"[{', '.join(ends)}]"
            cells.append((with_deviation(metric, one["mean"], one["std"], one["chips"], bare), shown_ends))
        for _, key, unit in costs:
            ends = variant.cost_interval.get(key)
            value = variant.cost.get(key)
            text = quantity(value, unit) if unit else number(value)
            cells.append(
                (text, "" if not ends else between(ends, unit) if unit else " to ".join(number(end, 2) for end in ends))
            )
        shares = [each for each in status_rows(run, variant.name) if each["status"] == "estimate"]
        share = shares[0] if shares else {"energy_J": 0.0, "area_m2": 0.0}
        cells.append((" / ".join(percent(share[key], 0) for key in ("energy_J", "area_m2")), ""))
        found.append((variant.name, cells))
    software = shown(metric, run.metrics.software.get(run.metric)) if run.metric in run.metrics.software else ""
    return PaperTable(head, found, software)


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
        rows.append((("* " if variant["default"] else "  ") + variant["name"], *figures, over_time))
    average = ("average power",) if on_average else ()
    head = ("  variant", "area", "energy", "latency", *average, f"{', '.join(kinds)} after")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    for row in (head, *rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True)).rstrip())
    if any(variant.get("cost_interval") for variant in metrics["variants"]):
        lines.append("In brackets: the 90 % interval that the uncertainty of the prices alone gives.")
    return "\n".join(lines)


def _with_interval(variant: dict[str, Any], key: str, unit: str) -> str:
    """A cost, and in brackets what the prices' uncertainty makes of it."""
    ends = (variant.get("cost_interval") or {}).get(key)
    shown = quantity(variant["cost"].get(key), unit)
    return f"{shown} ({between(ends, unit)})" if ends else shown
