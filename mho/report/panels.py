"""Panels that a workload asks for (``workloads.result.Panel``): tidy tables onto axes, or into a table of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from configs.bounded import quoted
from configs.errors import InputError
from mho.report import plots
from mho.report.labels import PREFIXED, label_of, unit_of, with_unit
from mho.report.quantities import count, duration, missing, number, percent, prefix_of, quantity
from mho.report.rundata import RunData
from workloads.result import Panel

MOST_ROWS = 400
MOST_FACETS = 6
OPEN = 2  # sections that stand open on the page
SHARES = ("utilisation",)  # columns that are shares in whatever table
SHORT = 12  # rows of a table up to which its section does


@dataclass(frozen=True)
class Drawn:
    """One panel on the page: a picture or rows, with its caption."""

    text: str
    svg: Markup | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numeric: tuple[bool, ...] = ()
    left_out: int = 0


def unfolded(sections: Sequence[tuple[str, Sequence[Drawn]]]) -> set[str]:
    """Sections that stand open: the first few whose tables are short."""
    short = [title for title, parts in sections if all(len(part.rows) <= SHORT for part in parts)]
    return set(short[:OPEN])


def drawn(run: RunData) -> list[tuple[str, list[Drawn]]]:
    """Sections of the page in the order in which the run lists them, each with its panels."""
    sections: dict[str, list[Drawn]] = {}
    for order, panel in enumerate(run.metrics.panels):
        sections.setdefault(panel.section, []).append(_drawn(run, panel, f"panel{order}"))
    return list(sections.items())


def _drawn(run: RunData, panel: Panel, name: str) -> Drawn:
    table = run.tables[panel.table]
    needed = {panel.x, panel.y, panel.value, panel.by, panel.low, panel.high, panel.facet, *panel.columns} - {""}
    lacking = sorted(needed - set(table.columns))
    if lacking:
        raise InputError(
            f"{run.folder / panel.table}.csv: column '{quoted(', '.join(lacking))}', which a panel of "
            f"'{quoted(panel.section)}' shows, is missing (got {quoted(', '.join(table.columns))})"
        )
    if panel.share and panel.low and panel.high:
        table = table.assign(**{end: table[end].clip(0.0, 1.0) for end in (panel.low, panel.high)})
    if panel.kind == "table":
        chosen = table[list(panel.columns)] if panel.columns else table
        chosen = chosen[[name for name in chosen if chosen.empty or not chosen[name].isin(["", np.nan]).all()]]
        units = [unit_of(column) for column in chosen.columns]
        shares = [
            column in SHARES or (panel.share and not unit) for column, unit in zip(chosen.columns, units, strict=True)
        ]
        heads = tuple(
            with_unit(column, "" if unit in PREFIXED else unit)
            for column, unit in zip(chosen.columns, units, strict=True)
        )
        rows = tuple(
            tuple(
                percent(value) if of_share and isinstance(value, float) and not missing(value) else _cell(value, unit)
                for value, unit, of_share in zip(row, units, shares, strict=True)
            )
            for row in chosen.head(MOST_ROWS).itertuples(index=False)
        )
        numeric = tuple(_numeric(chosen, column) for column in chosen.columns)
        return Drawn(panel.text, None, heads, rows, numeric, max(0, len(chosen) - MOST_ROWS))
    if table.empty:
        return Drawn(panel.text)
    facets = list(dict.fromkeys(table[panel.facet]))[:MOST_FACETS] if panel.facet else [None]
    boxes = run.tables[panel.boxes] if panel.boxes else None
    draw = DRAWINGS[panel.kind]

    def onto(figure: Figure) -> None:
        columns = min(3, len(facets))
        rows = -(-len(facets) // columns)
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax in axes.flat[len(facets) :]:
            ax.set_visible(False)
        for ax, facet in zip(axes.flat, facets, strict=False):
            part = table if facet is None else table[table[panel.facet] == facet]
            draw(ax, panel, part)
            factor = _scaled(panel.x, part[panel.x])[0] if panel.marks else 1.0
            for turn, (text, x) in enumerate((text, factor * x) for text, x in panel.marks.items()):
                ax.axvline(x, color=plots.FAINT, linestyle="--", linewidth=1)
                ax.annotate(
                    text, (x, 1), xycoords=("data", "axes fraction"), xytext=(3, -3 - 11 * (turn % 2)),
                    textcoords="offset points", va="top", fontsize=8.5,
                )  # fmt: skip
            if boxes is not None:
                over = boxes if facet is None or panel.facet not in boxes else boxes[boxes[panel.facet] == facet]
                _outline(ax, over)
            if facet is not None:
                title = f"{label_of(panel.facet)}: {facet}" if isinstance(facet, (int, float)) else str(facet)
                ax.set_title(fill(title, 90 // columns))
        handles, labels = axes.flat[0].get_legend_handles_labels()
        if len(labels) > 1:
            many, head = min(5, len(labels)), label_of(panel.by)
            legend = figure.legend(handles, labels, loc="outside lower center", ncols=many, title=head)
            for handle in legend.legend_handles:
                if isinstance(handle, PathCollection):  # dots of a crowded picture are too small to tell their colours
                    handle.set_sizes([30.0])

    height = (3.4 if len(facets) > 1 else 3.8) * -(-len(facets) // min(3, len(facets))) + (0.4 if panel.by else 0.0)
    if panel.kind == "spy" and len(facets) == 1:
        height = 7.0
    return Drawn(panel.text, Markup(plots.svg(name, onto, height_in=height)))


def _cell(value: Any, unit: str = "") -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)) and unit not in PREFIXED:
        return count(float(value))
    if not isinstance(value, (int, float, np.number)):
        return {"True": "yes", "False": "no"}.get(str(value), str(value))
    if missing(float(value)):
        return "–"
    if unit == "s":
        return duration(float(value))
    return quantity(float(value), unit) if unit in PREFIXED else number(float(value))


def _scaled(column: str, values: pd.Series[Any]) -> tuple[float, str]:
    """Factor to display size and the axis label of a column."""
    unit = unit_of(column)
    if unit not in PREFIXED or not pd.api.types.is_numeric_dtype(values):
        return 1.0, with_unit(column, unit)
    largest = float(np.nanmax(np.abs(values.astype(float)))) if len(values) else 0.0
    factor, shown = prefix_of(largest, unit) if unit != "s" or largest < 1.0 else (1.0, unit)
    return factor, with_unit(column, shown)


def _groups(panel: Panel, table: pd.DataFrame) -> Iterator[tuple[str, plots.Style, pd.DataFrame]]:
    """Name, style and rows of each group."""
    names: Sequence[Any] = list(dict.fromkeys(table[panel.by])) if panel.by else [""]
    styles = plots.variant_styles([str(name) for name in names])
    for name in names:
        yield str(name), styles[str(name)], table[table[panel.by] == name] if panel.by else table


def _numeric(table: pd.DataFrame, column: str) -> bool:
    return bool(pd.api.types.is_numeric_dtype(table[column]))


def _finish(ax: Axes, panel: Panel, x_label: str, y_label: str) -> None:
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if panel.log_x:
        ax.set_xscale("symlog", linthresh=_smallest(ax)) if ax.get_xlim()[0] <= 0 else ax.set_xscale("log")
    if panel.log_y:
        ax.set_yscale("log")
    for axis, log in ((ax.xaxis, panel.log_x), (ax.yaxis, panel.log_y)):
        if log:  # the logarithmic formatters write mathematics, which these figures do not parse
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
    if panel.share:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))


def _smallest(ax: Axes) -> float:
    found = [np.abs(np.asarray(line.get_xdata(), dtype=float)) for line in ax.lines]
    positive = np.concatenate(found)[np.concatenate(found) > 0] if found else np.array([1.0])
    return float(positive.min()) if len(positive) else 1.0


def _lines(ax: Axes, panel: Panel, table: pd.DataFrame) -> None:
    if not _numeric(table, panel.x):
        positions = {name: at for at, name in enumerate(dict.fromkeys(table[panel.x]))}
        table = table.assign(**{panel.x: table[panel.x].map(positions)})
        ax.set_xticks(list(positions.values()), [str(name) for name in positions], rotation=20, ha="right")
    x_factor, x_label = _scaled(panel.x, table[panel.x])
    y_factor, y_label = _scaled(panel.y, table[panel.y])
    groups = [(name, style, part.sort_values(panel.x)) for name, style, part in _groups(panel, table)]
    alike = plots.shared_dashes(
        {name: (part[panel.x].to_numpy(float), part[panel.y].to_numpy(float)) for name, _, part in groups}
    )
    for name, style, part in groups:
        x, y = part[panel.x].astype(float) * x_factor, part[panel.y].astype(float) * y_factor
        colour, marker, (turn, curves) = style.colour, style.marker, alike[name]
        markers = marker if len(part) <= 40 else None
        if panel.kind == "scatter":
            size = max(2.0, min(22.0, 8000.0 / len(table)))
            ax.scatter(x, y, color=colour, marker=marker, s=size, alpha=0.8, label=name, linewidths=0)
        else:
            # Of markers that lie on one another, the later ones are rings around the first.
            ring = {"markersize": 4.5 + 3.5 * turn, "markerfacecolor": "none"} if turn else {"markersize": 4.5}
            line = plots.dashed(style.dashes, turn, curves)
            ax.plot(x, y, color=colour, marker=markers, linewidth=1.5, linestyle=line, label=name, **ring)
        if panel.low and panel.high:
            ax.fill_between(
                x, part[panel.low] * y_factor, part[panel.high] * y_factor, color=colour, alpha=0.15, linewidth=0
            )
    _finish(ax, panel, x_label, y_label)
    if isinstance(ax.xaxis.get_major_locator(), AutoLocator) and (x_factor * table[panel.x] % 1 == 0).all():
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # bits: there is no half of one


def _bars(ax: Axes, panel: Panel, table: pd.DataFrame) -> None:
    categories = list(dict.fromkeys(table[panel.x]))
    factor, label = _scaled(panel.y, table[panel.y])
    groups = list(_groups(panel, table))
    width = 0.8 / len(groups)
    for turn, (name, style, part) in enumerate(groups):
        by_x = part.drop_duplicates(panel.x).set_index(panel.x)
        at = np.array([categories.index(each) for each in by_x.index], dtype=float)
        y = by_x[panel.y].astype(float) * factor
        spread = None
        if panel.low and panel.high:
            spread = np.vstack([y - by_x[panel.low] * factor, by_x[panel.high] * factor - y])
        at = at + (turn - (len(groups) - 1) / 2) * width
        whiskers = {"ecolor": plots.INK, "capsize": 3}  # which follow the page's ink, in the dark as well
        ax.bar(at, y, width * 0.94, color=style.colour, label=name, yerr=spread, error_kw=whiskers)
    long = max(len(str(each)) for each in categories) * len(categories) > 60
    ax.set_xticks(
        range(len(categories)), [str(each) for each in categories], rotation=35 if long else 0,
        ha="right" if long else "center",
    )  # fmt: skip
    ax.grid(axis="x", visible=False)
    _finish(ax, panel, with_unit(panel.x, unit_of(panel.x)), label)


def _heat(ax: Axes, panel: Panel, table: pd.DataFrame) -> None:
    wide = table.pivot_table(index=panel.y, columns=panel.x, values=panel.value, aggfunc="mean")
    factor, label = _scaled(panel.value, table[panel.value])
    cells = wide.to_numpy(float) * factor
    image = ax.imshow(cells, aspect="auto", origin="lower", cmap="viridis")
    ax.set_xticks(range(wide.shape[1]), [_cell(each) for each in wide.columns], rotation=30, ha="right")
    ax.set_yticks(range(wide.shape[0]), [_cell(each) for each in wide.index])
    ax.set_xlabel(with_unit(panel.x, unit_of(panel.x)))
    ax.set_ylabel(with_unit(panel.y, unit_of(panel.y)))
    ax.grid(visible=False)
    middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
    if cells.size <= 150:
        for (row, column), value in np.ndenumerate(cells):
            text = f"{100 * value:.1f}" if panel.share else number(float(value), 3)
            colour = "white" if value < middle else "black"
            ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    bar = ax.figure.colorbar(image, ax=ax, label=f"{label}{' [%]' if panel.share else ''}")
    if panel.share:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))


def _spy(ax: Axes, panel: Panel, table: pd.DataFrame) -> None:
    for name, style, part in _groups(panel, table):
        size = max(0.3, min(9.0, 900.0 / max(len(table), 1) ** 0.7))
        ax.scatter(part[panel.x], part[panel.y], s=size, color=style.colour, marker="s", linewidths=0, label=name)
    ax.invert_yaxis()
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel(with_unit(panel.x, unit_of(panel.x)))
    ax.set_ylabel(with_unit(panel.y, unit_of(panel.y)))
    ax.grid(visible=False)


def _outline(ax: Axes, boxes: pd.DataFrame) -> None:
    for x0, y0, x1, y1 in boxes[["x0", "y0", "x1", "y1"]].itertuples(index=False):
        ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=plots.ADC, linewidth=0.6))


def _histogram(ax: Axes, panel: Panel, table: pd.DataFrame) -> None:
    factor, label = _scaled(panel.x, table[panel.x])
    edges = np.histogram_bin_edges(table[panel.x].dropna().astype(float) * factor, bins="auto")
    for name, style, part in _groups(panel, table):
        ax.hist(part[panel.x].astype(float) * factor, bins=list(edges), color=style.colour, alpha=0.6, label=name)
    _finish(ax, panel, label, "count")


DRAWINGS: dict[str, Callable[[Axes, Panel, pd.DataFrame], None]] = {
    "lines": _lines,
    "scatter": _lines,
    "bars": _bars,
    "heat": _heat,
    "spy": _spy,
    "histogram": _histogram,
}
