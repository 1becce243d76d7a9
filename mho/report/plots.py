"""Plots of a run: tidy data and an ``ax`` in, the ``ax`` out. Nothing is computed here but positions on the page.

Every function takes SI values and labels its axes with the unit it chose. Colours belong to variants, not to plots:
pass the same ``styles`` everywhere.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter

from mho.files import write_atomic
from mho.report.labels import label_of
from mho.report.quantities import NOT_AVAILABLE, duration, percent, prefix_of, quantity, rounded
from mho.report.rundata import CONVERSION

INK = "#1f2430"
FAINT = "#8a93a3"
# Okabe and Ito's colour-blind-safe set (without black and yellow, which vanish on a dark or a white page), then Tol's.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#AA3377", "#88A02C", "#7A6FD0", "#A0764B")
_MARKERS = "osD^vPXph*"
ADC = "#D55E00"
_OTHERS = ("#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#7A6FD0", "#88A02C", "#A0764B", "#AA3377", "#8A93A3")
_FOLDER: ContextVar[Path | None] = ContextVar("folder of figures", default=None)
_GATHERED: ContextVar[dict[str, Figure] | None] = ContextVar("figures as drawn", default=None)
_RC: Any = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "mho",
    "text.parse_math": False,
    "font.size": 10.5,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


Dashes = str | tuple[float, tuple[float, ...]]  # a line's style as matplotlib takes it
_DASHES: tuple[Dashes, ...] = ("-", (0.0, (5.0, 2.0)), (0.0, (1.5, 1.5)))  # of the first ten variants, the next, and on
_STRIPES = ("", "135deg", "0deg")  # the same in the small square beside a name
APART = 0.05  # decades between the marks of two variants at one time
COINCIDE = 0.01  # share of the height over which curves lie, up to which two of them count as one


@dataclass(frozen=True)
class Style:
    """How one variant looks in every plot; ``key`` is the CSS background of the square beside its name."""

    colour: str
    marker: str
    dashes: Dashes = "-"
    key: str = ""


class Picture(Figure):
    """A figure that a notebook shows by itself, on a white ground whatever the notebook's, with no global state."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", facecolor="white", dpi=90)
        return picture.getvalue()


def variant_styles(names: Sequence[str]) -> dict[str, Style]:
    """A colour, a marker and dashes for each variant, by its number in the experiment; colours come again dashed."""
    styles = {}
    for number, name in enumerate(names):
        again, colour = number // len(PALETTE), PALETTE[number % len(PALETTE)]
        stripes = _STRIPES[min(again, len(_STRIPES) - 1)]
        key = f"repeating-linear-gradient({stripes},{colour} 0 2px,transparent 2px 4px)" if stripes else colour
        dashes = _DASHES[min(again, len(_DASHES) - 1)]
        styles[name] = Style(colour, _MARKERS[(number + again) % len(_MARKERS)], dashes, key)
    return styles


def shared_dashes(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[int, int]]:
    """Which of how many each curve ``(x, y)`` is among those that coincide with it, so that they can share one line."""
    heights = [y[np.isfinite(y)] for _, y in curves.values()]
    every = np.concatenate(heights) if heights else np.zeros(0)
    near = COINCIDE * (float(np.ptp(every)) or abs(float(every[0])) or 1.0) if len(every) else 0.0
    alike: list[list[str]] = []
    for name, (x, y) in curves.items():
        for group in alike:
            x0, y0 = curves[group[0]]
            if np.array_equal(x, x0) and np.allclose(y, y0, rtol=0.0, atol=near, equal_nan=True):
                group.append(name)
                break
        else:
            alike.append([name])
    return {name: (turn, len(group)) for group in alike for turn, name in enumerate(group)}


def dashed(style: Dashes, turn: int, curves: int) -> Dashes:
    """The style of one of several coinciding curves: each takes its turn along the line, so that all colours show."""
    if curves < 2:
        return style
    mark, blank = {"-": (5.0, 0.0), ":": (1.5, 1.5)}.get(style, (4.0, 1.0)) if isinstance(style, str) else (4.0, 1.0)
    step = mark + blank
    return (-turn * step) % (curves * step), (mark, curves * step - mark)


def group_colours(groups: Iterable[str]) -> dict[str, str]:
    """A colour for each group of components; vermilion is kept for conversion, so that its share is seen at once."""
    others = iter(_OTHERS * 4)
    return {group: ADC if group == CONVERSION else next(others) for group in groups}


def svg(name: str, draw: Callable[[Figure], object], *, width_in: float = 9.4, height_in: float = 3.6) -> str:
    """Draw on a fresh figure and return it as an inline SVG element that follows the text colour of the page.

    Text stays text. Element ids are prefixed with ``name``, since several figures share one page. The same data give
    the same bytes.
    """
    with mpl.rc_context(_RC):
        figure = Picture(figsize=(width_in, height_in), layout="constrained")
        draw(figure)
        if (found := _GATHERED.get()) is not None:
            found[name] = figure
            return name
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        if (folder := _FOLDER.get()) is not None:
            as_pdf = io.BytesIO()
            figure.savefig(as_pdf, format="pdf", metadata={"CreationDate": None})
            write_atomic(folder / f"{name}.pdf", as_pdf.getvalue())
            write_atomic(folder / f"{name}.svg", buffer.getvalue().encode())
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", text)
    return text.replace(INK, "currentColor")


@contextmanager
def kept(folder: Path | None) -> Iterator[None]:
    """Every figure drawn inside is also written to ``folder``, as NAME.svg and NAME.pdf; None writes none."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


@contextmanager
def gathered() -> Iterator[dict[str, Figure]]:
    """Every figure drawn inside, by its name, as matplotlib has it; markup is not made."""
    found: dict[str, Figure] = {}
    token = _GATHERED.set(found)
    try:
        yield found
    finally:
        _GATHERED.reset(token)


def time_positions(times_s: Iterable[float]) -> dict[float, float]:
    """Position of each time on the axis: log10 of its seconds, and t = 0 one and a half decades left of the first."""
    times = sorted(set(times_s))
    positive = [time for time in times if time > 0]
    first = math.log10(positive[0]) - 1.5 if positive else 0.0
    return {time: math.log10(time) if time > 0 else first for time in times}


def _time_axis(ax: Axes, positions: Mapping[float, float], reach: float = 0.0) -> None:
    """The axis of times; ``reach``: how far marks are set beside their time."""
    ax.xaxis.set_major_locator(FixedLocator(list(positions.values())))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(list(positions.values()), [duration(time) for time in positions])
    ax.set_xlabel("time since programming (logarithmic; the axis is broken between 0 and the first later time)")
    ordered = sorted(positions.values())
    margin = max(0.25, reach + 0.12)
    ax.set_xlim(ordered[0] - margin, ordered[-1] + margin)
    if 0.0 in positions and len(ordered) > 1:
        gap = (ordered[0] + ordered[1]) / 2
        for shift in (-0.03, 0.03):
            ax.plot(
                [gap + shift - 0.02, gap + shift + 0.02],
                [-0.022, 0.022],
                transform=ax.get_xaxis_transform(),
                color=INK,
                linewidth=1.1,
                clip_on=False,
            )
    elif len(ordered) == 1:
        ax.set_xlabel("time since programming")


def _curves(table: pd.DataFrame, names: Iterable[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times and means of each variant, in order."""
    found = {name: table[table["variant"] == name].sort_values("t_s") for name in names}
    return {name: (mine["t_s"].to_numpy(float), mine["mean"].to_numpy(float)) for name, mine in found.items()}


def _broken_line(ax: Axes, x: np.ndarray, y: np.ndarray, broken: bool, style: Style, share: tuple[int, int]) -> None:
    """A line whose first piece, across the break in the axis, is dotted; ``share``: its turn among coinciding ones."""
    start = 1 if broken else 0
    ax.plot(x[start:], y[start:], color=style.colour, linewidth=1.6, linestyle=dashed(style.dashes, *share))
    if broken:
        ax.plot(x[:2], y[:2], color=style.colour, linestyle=dashed(":", *share), linewidth=1.2)


def _merged(lines: Mapping[str, float]) -> dict[str, float]:
    """Named constants, those of the same value under one name."""
    names: dict[float, list[str]] = {}
    for name, value in lines.items():
        if math.isfinite(value):
            names.setdefault(float(f"{value:.9g}"), []).append(name)
    return {" = ".join(same): value for value, same in names.items()}


def accuracy_over_time(
    ax: Axes,
    quality: pd.DataFrame,
    chips: pd.DataFrame,
    styles: Mapping[str, Style],
    *,
    label: str,
    share: bool = True,
    lines: Mapping[str, float] | None = None,
) -> Axes:
    """A figure of merit against time since programming: mean, standard deviation, and each chip as a point beside.

    ``quality`` has ``variant, t_s, mean, std``; ``chips`` has ``variant, t_s, value``; ``lines`` are named constants
    (software, retrained, ideal chip). Variants are set slightly apart so that their bars do not hide each other, and
    chips apart from their mean, so that two clusters show as two; lines that coincide take turns in dashes. Bars of a
    ``share`` are cut at 0 and 1.
    """
    positions = time_positions([*quality["t_s"], *chips["t_s"]])
    names = [name for name in styles if (quality["variant"] == name).any()]
    alike = shared_dashes(_curves(quality, names))
    for order, name in enumerate(names):
        style = styles[name]
        shift = APART * (order - (len(names) - 1) / 2)
        mine = quality[quality["variant"] == name].sort_values("t_s")
        x = mine["t_s"].map(positions).to_numpy(float) + shift
        y = mine["mean"].to_numpy(float)
        broken = len(mine) > 1 and mine["t_s"].iloc[0] == 0.0
        _broken_line(ax, x, y, broken, style, alike[name])
        bars = np.tile(mine["std"].fillna(0.0).to_numpy(float), (2, 1))
        if share:
            bars = np.minimum(bars, np.maximum([y, 1.0 - y], 0.0))
        ax.errorbar(
            x,
            y,
            bars,
            color=style.colour,
            marker=style.marker,
            markersize=5,
            markerfacecolor=style.colour if style.dashes == "-" else "none",
            linestyle="none",
            capsize=2.5,
            elinewidth=1.1,
            label=name,
        )
        dots = chips[chips["variant"] == name]
        ax.plot(
            dots["t_s"].map(positions) + shift + 0.02,
            dots["value"],
            ".",
            color=style.colour,
            alpha=0.6,
            markersize=4.0,
            zorder=3,
        )
    for (text, value), dashes in zip(_merged(lines or {}).items(), ("--", ":", "-."), strict=False):
        ax.axhline(value, color=INK, linestyle=dashes, linewidth=1.1, label=text)
    _time_axis(ax, positions, APART * len(names) / 2)
    ax.set_ylabel(label)
    if share:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax


def compensation_factors(ax: Axes, factors: pd.DataFrame, styles: Mapping[str, Style]) -> Axes:
    """Drift-compensation factor against time: ``variant, t_s, mean, low, high`` (range over chips)."""
    positions = time_positions(factors["t_s"])
    alike = shared_dashes(_curves(factors, styles))
    for name in styles:
        mine = factors[factors["variant"] == name].sort_values("t_s")
        if mine.empty:
            continue
        x = mine["t_s"].map(positions).to_numpy(float)
        broken = len(mine) > 1 and mine["t_s"].iloc[0] == 0.0
        _broken_line(ax, x, mine["mean"].to_numpy(float), broken, styles[name], alike[name])
        ax.plot(x, mine["mean"], styles[name].marker, color=styles[name].colour, markersize=5, label=name)
        ax.fill_between(x, mine["low"], mine["high"], color=styles[name].colour, alpha=0.15, linewidth=0)
    ax.axhline(1.0, color=INK, linewidth=0.9, linestyle="--")
    _time_axis(ax, positions)
    ax.set_xlabel("time since programming (logarithmic)")
    ax.set_ylabel("compensation factor (1)")
    ax.legend(loc="best")
    return ax


def stacked_bars(
    ax: Axes, parts: pd.DataFrame, unit: str, colours: Mapping[str, str], *, label: str, names: Sequence[str]
) -> Axes:
    """One horizontal bar per variant, stacked by group; the conversion's share is written beside it.

    ``parts`` has ``variant, group, value`` with ``value`` in ``unit``.
    """
    totals = parts.groupby("variant")["value"].sum()
    largest = float(totals.max()) if len(totals) else 0.0
    factor, shown = prefix_of(largest, unit)
    rows, left = range(len(names)), np.zeros(len(names))
    table = parts.pivot_table(index="variant", columns="group", values="value", aggfunc="sum", fill_value=0.0)
    table = factor * table.reindex(index=list(names), fill_value=0.0)
    adc = table.get(CONVERSION, 0.0 * left)
    for group in (group for group in colours if group in table):
        values = table[group].to_numpy(float)
        ax.barh(
            rows, values, left=left, color=colours[group], height=0.68, label=group, edgecolor="white", linewidth=0.5
        )
        left = left + values
    for row, total, part in zip(rows, left, np.asarray(adc, dtype=float), strict=True):
        note = f"{rounded(total)} {shown}, ADC {percent(part / total, 0)}" if total > 0 else NOT_AVAILABLE
        ax.text(total + 0.015 * factor * largest, row, note, va="center", fontsize=9)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, 1.62 * factor * largest or 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel(f"{label} ({shown})")
    ax.grid(axis="y", visible=False)
    return ax


def bar_pair(
    ax: Axes, bars: Mapping[str, float], colours: Mapping[str, str], *, title: str, text: Callable[[float], str]
) -> Axes:
    """One quantity of a few variants side by side, the value written on each bar."""
    finite = {name: value if math.isfinite(value) else 0.0 for name, value in bars.items()}
    for number, (name, value) in enumerate(finite.items()):
        ax.bar(number, value, width=0.62, color=colours[name], label=name)
        ax.text(number, 1.02 * value, text(bars[name]), ha="center", va="bottom", fontsize=9)
    ax.set_title(title, loc="center")
    ax.set_ylim(0, 1.18 * max(finite.values(), default=1.0) or 1.0)
    ax.set_xlim(-0.6, len(bars) - 0.4)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines["left"].set_visible(False)
    return ax


def _on(colour: str) -> str:
    """White or near-black, whichever reads better on ``colour`` (WCAG relative luminance)."""
    linear = [(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4) for part in to_rgb(colour)]
    return "#101318" if float(np.dot((0.2126, 0.7152, 0.0722), linear)) > 0.25 else "white"


def timeline(ax: Axes, tasks: pd.DataFrame) -> Axes:
    """One step as bars on named resources: ``task, resource, start_s, duration_s``; a colour for each task's name."""
    end = float((tasks["start_s"] + tasks["duration_s"]).max())
    factor, shown = prefix_of(end, "s")
    resources = list(dict.fromkeys(tasks.sort_values("start_s", kind="stable")["resource"]))
    colours = dict(zip(dict.fromkeys(tasks["task"]), PALETTE * (1 + len(tasks) // len(PALETTE)), strict=False))
    character = 0.011 * factor * end
    for task in tasks.to_dict("records"):
        row, start, length = resources.index(task["resource"]), factor * task["start_s"], factor * task["duration_s"]
        ax.barh(row, length, left=start, height=0.62, color=colours[task["task"]], edgecolor="white", linewidth=0.6)
        # A bar too narrow for its name carries it to the right; where the next bar is in the way, a part of it inside.
        name, beside = task["task"], f"{task['task']}, {quantity(task['duration_s'], 's')}"
        later = tasks.loc[(tasks["resource"] == task["resource"]) & (tasks["start_s"] > task["start_s"]), "start_s"]
        space = factor * float(later.min()) - start - length if len(later) else math.inf
        inside = next((part for part in (name, *_parts(name)) if length > character * len(part)), "")
        wide = inside == name or space < character * len(beside)
        ax.text(
            start + (length / 2 if wide else length + 0.004 * factor * end),
            row,
            inside if wide else beside,
            ha="center" if wide else "left",
            va="center",
            fontsize=8.5,
            color=_on(colours[name]) if wide else INK,
        )
    ax.set_yticks(range(len(resources)), [label_of(resource) for resource in resources])
    ax.set_ylim(len(resources) - 0.45, -0.55)
    ax.set_xlim(0, 1.12 * factor * end)
    ax.set_xlabel(f"time within one step ({shown})")
    ax.grid(axis="y", visible=False)
    return ax


def _parts(name: str) -> tuple[str, ...]:
    """Shorter names of a task: what is in brackets at its end, its first word."""
    words = name.split()
    return (words[-1], words[0]) if words[-1].startswith("(") else (words[0],)


def learning_curves(ax: Axes, epochs: pd.DataFrame, column: str, *, label: str, share: bool) -> Axes:
    """A training figure against the epoch: one colour per stage, one line per split (``split, stage, epoch``)."""
    for number, (stage, rows) in enumerate(epochs.groupby("stage", sort=False)):
        for turn, (_, split) in enumerate(rows.groupby("split", sort=True)):
            ordered = split.sort_values("epoch")
            ax.plot(
                ordered["epoch"],
                ordered[column],
                color=PALETTE[number % len(PALETTE)],
                linewidth=1.4,
                alpha=0.85,
                label=str(stage) if turn == 0 else None,
            )
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_xlabel("epoch")
    ax.set_ylabel(label)
    if share:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    ax.legend(loc="best")
    return ax
