"""The summary table of a run, or of several: one row a variant, fit for a paper, and its text as CSV and LaTeX."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from csv import writer
from dataclasses import dataclass, replace

import pandas as pd

from mho.report.merit import accuracy_rows, bare, of_few, unit_head, with_deviation
from mho.report.quantities import NOT_AVAILABLE, between, duration, missing, number, percent, quantity
from mho.report.rundata import RunData

_COSTS = (
    ("energy_J", "J", "Energy"),
    ("latency_s", "s", "Latency"),
    ("average_power_W", "W", "Average power"),
    ("area_m2", "m2", "Area"),
    ("tops_per_W", "", "TOPS/W"),
)
LEAKS = "average_power_W"  # most of which is leakage, so that the library's name belongs to it
_LATEX = {
    **{sign: f"\\{sign}" for sign in "_%&#$"},
    **{"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "µ": r"$\mu$", "²": "$^2$", "–": "--", "−": "$-$", "×": r"$\times$", "<": "$<$", ">": "$>$"},
}


@dataclass(frozen=True)
class Cell:
    """A figure as text, its interval below it, and the plain values of both."""

    text: str
    interval: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class PaperTable:
    """Heads, the names of the columns as data, and rows: a name, whether it is the default, and the cells."""

    first: str
    heads: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[str, bool, tuple[Cell, ...]], ...]

    @property
    def csv(self) -> str:
        """Plain SI values; each figure that has an interval has two more columns."""
        wide = [any(not math.isnan(row[2][place].low) for row in self.rows) for place in range(len(self.names))]
        text = io.StringIO()
        lines = writer(text, lineterminator="\n")
        ends = [
            (name, *([f"{name}_low", f"{name}_high"] if both else []))
            for name, both in zip(self.names, wide, strict=True)
        ]
        lines.writerow([self.first.lower(), *(name for names in ends for name in names)])
        for name, _, cells in self.rows:
            figures = [
                value
                for cell, both in zip(cells, wide, strict=True)
                for value in ([cell.value, cell.low, cell.high] if both else [cell.value])
            ]
            lines.writerow([name, *("" if missing(value) else f"{value:.6g}" for value in figures)])
        return text.getvalue()

    @property
    def latex(self) -> str:
        r"""A ``tabular`` for LaTeX with the package booktabs."""
        lines = [[self.first, *self.heads]]
        lines += [[name, *(f"{cell.text} {cell.interval}".strip() for cell in cells)] for name, _, cells in self.rows]
        head, *body = [" & ".join(_latex(text) for text in line) + r" \\" for line in lines]
        begin = [rf"\begin{{tabular}}{{l{'r' * len(self.heads)}}}", r"\toprule", head, r"\midrule"]
        return "\n".join([*begin, *body, r"\bottomrule", r"\end{tabular}", ""])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def of_run(run: RunData) -> PaperTable:
    """All variants of a run."""
    return _table("Variant", [(name, run, name) for name in run.variants])


def of_runs(runs: dict[str, RunData]) -> PaperTable:
    """The default variants of several runs."""
    return _table("Run", [(name, run, run.default.name) for name, run in runs.items()])


def _table(first: str, rows: Sequence[tuple[str, RunData, str]]) -> PaperTable:
    run = rows[0][1]
    metric, word = run.metrics.metrics[run.metric], run.metric.replace("_", " ")
    merits = {id(each): accuracy_rows(each) for _, each, _ in rows}
    times = sorted({entry.t_s for _, each, name in rows for entry in each.variant(name).quality})
    costs = [each for each in _COSTS if any(run.variant(name).cost.get(each[0]) is not None for _, run, name in rows)]
    software = [
        run.metrics.software.get(run.metric) for _, run, _ in rows
    ]  # of the network before any hardware; the same for all variants of one run
    several = first == "Run" and any(value is not None for value in software)
    libraries = {run.variant(name).leakage_library for _, run, name in rows}
    library = libraries.pop() if len(libraries) == 1 else None
    at = [f"{word} at {duration(time)}" if len(times) > 1 else word for time in times]
    heads = [
        *(["Software" + unit_head(metric)] if several else []),
        "Chips",
        *(f"{text[0].upper()}{text[1:]}{unit_head(metric)}" for text in at),
        *(f"{head}, leakage of {library}" if key == LEAKS and library else head for key, _, head in costs),
        "Estimated",
    ]
    names = [
        *(["software"] if several else []), "chips", *(f"{run.metric}_at_{time:g}_s" for time in times),
        *(key for key, *_ in costs), "estimated_share_of_energy",
    ]  # fmt: skip
    lines = []
    for (name, one, variant), value in zip(rows, software, strict=True):
        found, merit = merits[id(one)]
        row = next(each for each in merit if each["variant"].name == variant)
        cells = [Cell(bare(metric, value), "", _nan(value))] if several else []
        many = f"{row['chips'] or NOT_AVAILABLE}" + (f" × {row['splits']}" if row["splits"] > 1 else "")
        cells.append(Cell(many, "", _nan(row["chips"])))
        for time in times:
            spot = row["cells"][found.index(time)] if time in found else None
            if spot is None:
                cells.append(Cell("–"))
                continue
            ends = f"[{bare(metric, spot['low'])}, {bare(metric, spot['high'])}]{of_few(spot['n'])}"
            ends = "" if missing(spot["low"]) else ends
            text = with_deviation(metric, spot["mean"], spot["std"], spot["chips"], unit=False)
            cells.append(Cell(text, ends, spot["mean"], spot["low"], spot["high"]))
        found_of = one.variant(variant)
        figures = _costs(costs, found_of.cost, found_of.cost_interval, one.rows("components", variant=variant))
        if library is None and found_of.leakage_library:
            figures = [
                replace(cell, interval=f"{cell.interval} {found_of.leakage_library}".strip()) if key == LEAKS else cell
                for (key, *_), cell in zip([*costs, ("",)], figures, strict=True)
            ]
        cells += figures
        lines.append((name, one.variant(variant).default and first == "Variant", tuple(cells)))
    return PaperTable(first, tuple(heads), tuple(names), tuple(lines))


def of_cost(
    name: str, cost: Mapping[str, float], intervals: Mapping[str, Sequence[float]], parts: pd.DataFrame, libraries: str
) -> PaperTable:
    """One network on its chips, of which nothing was run: the costs alone. ``parts``: the lines of its components;
    ``libraries``: whose leakage it is."""
    costs = [each for each in _COSTS if each[0] in cost]
    costs += [("leakage_W", "W", f"Leakage of {libraries}"), ("tops_per_mm2", "", "TOPS/mm²")]
    names = (*(key for key, *_ in costs), "estimated_share_of_energy")
    cells = _costs(costs, cost, intervals, parts)
    return PaperTable("Network", (*(head for *_, head in costs), "Estimated"), names, ((name, True, tuple(cells)),))


def _costs(
    costs: Sequence[tuple[str, str, str]],
    cost: Mapping[str, float | None],
    intervals: Mapping[str, Sequence[float]],
    parts: pd.DataFrame,
) -> list[Cell]:
    """The costs, and the share of energy and area whose price is an estimate."""
    cells = []
    for key, unit, _ in costs:
        figure, interval = cost.get(key), intervals.get(key)
        shown = quantity(figure, unit) if unit else number(figure)
        ends = between(interval, unit) if interval else ""
        cells.append(Cell(shown, ends, _nan(figure), *(interval or (math.nan, math.nan))))
    shares = []
    for column in ("energy_J", "area_m2"):
        total = float(parts[column].sum())
        shares.append(float(parts.loc[parts["status"] == "estimate", column].sum()) / total if total else math.nan)
    return [*cells, Cell(percent(shares[0], 0), f"area {percent(shares[1], 0)}", shares[0])]


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
