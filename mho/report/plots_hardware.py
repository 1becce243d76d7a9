"""Pictures of the hardware: cells as programmed, the map of tiles, and the way of energy from supply to component."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter

from mho.report import plots
from mho.report.labels import label_of
from mho.report.quantities import counted, duration, percent, quantity

TOWER = 30.0  # of the median bin, from which on a histogram is drawn on a logarithmic axis
LABELLED = 0.005  # share of the energy from which on a bar carries its name
SMALL = 0.02  # share of the energy below which a component's ribbon is one of "others"


def cells(left: Axes, right: Axes, counts: pd.DataFrame, levels: pd.DataFrame) -> None:
    """Histogram of one kind of cell once programmed, a colour a level (tables ``cells`` and ``levels`` of a run); and
    each level's mean conductance over time, or where there is one time, its error."""
    numbers = sorted(set(levels["level"]))
    shades = colormaps["viridis"](np.linspace(0.05, 0.9, len(numbers))) if len(numbers) > 1 else [plots.PALETTE[0]]
    colours = dict(zip(numbers, shades, strict=True))
    low_S, width_S = counts["low_S"].min(), float((counts["high_S"] - counts["low_S"]).median())
    bins = np.rint((counts["low_S"] - low_S) / width_S).astype(int)
    edges = (low_S + width_S * np.arange(bins.max() + 2)) * 1e6
    together = np.zeros(bins.max() + 1)
    for level, colour in colours.items():
        mine = counts["level"] == level
        held = np.bincount(bins[mine], weights=counts.loc[mine, "count"], minlength=len(together))
        together += held
        left.stairs(held, edges, fill=True, color=colour, alpha=0.75, linewidth=0)
    if together.max() > TOWER * np.median(together[together > 0]):
        left.set_yscale("log")
        left.set_ylim(0.8, None)
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    left.set_xlabel("conductance [µS]")
    left.set_ylabel("cells")
    left.set_title("all cells as programmed")
    times = sorted(set(levels["t_s"]))
    if len(times) > 1:
        for level, colour in colours.items():
            mine = levels[levels["level"] == level].sort_values("t_s")
            at = [times.index(t_s) for t_s in mine["t_s"]]
            right.errorbar(at, mine["mean_S"] * 1e6, mine["std_S"] * 1e6, color=colour, marker="o", ms=4, capsize=2)
        right.set_xticks(range(len(times)), [duration(time) for time in times])
        right.set_xlabel("time since programming")
        right.set_ylabel("conductance [µS]")
        right.set_title("mean of each level ± standard deviation")
        return
    if levels["error_S"].isna().all():  # formed cells, which have no target
        mean, spread = levels["mean_S"].iloc[0] * 1e6, levels["std_S"].iloc[0] * 1e6
        left.axvline(mean, color=plots.INK, linewidth=1.0)
        left.axvspan(mean - spread, mean + spread, color=plots.FAINT, alpha=0.2, linewidth=0)
        left.set_title(f"all cells as formed: {mean:.1f} ± {spread:.1f} µS")
        right.set_visible(False)
        return
    middle = (levels["target_low_S"] + levels["target_high_S"]) / 2 * 1e6
    right.axhline(0.0, color=plots.FAINT, linewidth=0.8)
    right.errorbar(middle, levels["error_S"] * 1e6, levels["std_S"] * 1e6, color=plots.INK, fmt="o", ms=4, capsize=2)
    right.set_xlabel("target [µS]")
    right.set_ylabel("conductance − target [µS]")
    right.set_title("mean error of each level ± std")


def tiles(ax: Axes, layers: pd.DataFrame, rows: int, columns: int) -> None:
    """Each layer's weights, cut into tiles of ``rows`` x ``columns`` weights; shaded where a tile holds weights."""
    colours, gap, top, right = plots.PALETTE, 0.35 * columns, 0.0, 0.0
    for number, layer in enumerate(layers.to_dict("records")):
        high, wide = float(layer["rows"]), float(layer["columns"])
        down, across = math.ceil(high / rows), math.ceil(wide / columns)
        for row in range(down):
            for column in range(across):
                held_y, held_x = min(rows, high - row * rows), min(columns, wide - column * columns)
                x, y = right + column * columns, row * rows
                ax.add_patch(Rectangle((x, y), held_x, held_y, facecolor=colours[number % len(colours)], alpha=0.45))
                ax.add_patch(Rectangle((x, y), columns, rows, fill=False, edgecolor=plots.INK, linewidth=0.8))
        name = f"{layer['layer']}\n{int(high):,} × {int(wide):,}\n{counted(int(layer['tiles']), 'tile')}"
        ax.text(right, -0.04 * rows, name, ha="left", va="bottom", fontsize=8.5)
        right += max(across * columns, 0.75 * rows) + gap
        top = max(top, float(down * rows))
    ax.set_xlim(-0.02 * right, right)
    ax.set_ylim(top, -0.45 * rows)
    ax.set_aspect("equal", adjustable="box", anchor="W")
    ax.axis("off")


def energy_flow(ax: Axes, parts: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Ribbons from the supply over layers and groups to components, as high as their energy (``energy_J``)."""
    parts = parts[parts["energy_J"] > 0].copy()
    total = float(parts["energy_J"].sum())
    sums = parts.groupby(["group", "component"])["energy_J"].transform("sum")
    small = sums < SMALL * total
    parts["component"] = parts["component"].map(label_of).where(~small, "others of " + parts["group"].map(label_of))
    parts["supply"] = "supply"
    parts["part"] = parts["group"] + "\0" + parts["component"]
    stages = ["supply", "layer", "group", "part"]
    order = {
        stage: list(parts.groupby(stage, sort=False)["energy_J"].sum().sort_values(ascending=False).index)
        for stage in stages[:3]
    }
    by_part = parts.groupby(["group", "part"], sort=False)["energy_J"].sum()
    order["part"] = [
        part for group in order["group"] for part in by_part[group].sort_values(ascending=False).index
    ]  # components stay beside their group
    pad = 0.035
    tops: list[dict[str, float]] = []
    for stage in stages:
        sizes = parts.groupby(stage)["energy_J"].sum() / total
        at, tops_of = 1.0 - (len(order["part"]) - len(sizes)) * pad / 2, {}
        for name in order[stage]:
            tops_of[name] = at
            colour = colours.get(str(name).split("\0")[0], plots.FAINT)
            ax.add_patch(Rectangle((len(tops), at - sizes[name]), 0.06, sizes[name], color=colour, linewidth=0))
            text = label_of(str(name).split("\0")[-1])
            words = quantity(total, "J") if stage == "supply" else percent(float(sizes[name]), 0)
            if sizes[name] >= LABELLED:
                ax.text(len(tops) + 0.08, at - sizes[name] / 2, f"{text}, {words}", va="center", fontsize=8.5, zorder=4)
            at -= sizes[name] + pad
        tops.append(tops_of)
    for place, (here, there) in enumerate(pairwise(stages)):
        out, into = dict(tops[place]), dict(tops[place + 1])
        flows = parts.groupby([here, there], sort=False)["energy_J"].sum() / total
        for one in order[here]:
            for other in (name for name in order[there] if (one, name) in flows.index):
                size = float(flows[one, other])
                colour = colours.get(str(other).split("\0")[0] if there in ("group", "part") else "", plots.FAINT)
                ax.add_patch(_ribbon(place + 0.06, out[one], place + 1.0, into[other], size, colour))
                out[one] -= size
                into[other] -= size
    ax.set_xlim(0.0, 4.0)
    ax.set_ylim(-pad * len(order["part"]) - 0.02, 1.03)
    ax.axis("off")


def _ribbon(x0: float, y0: float, x1: float, y1: float, size: float, colour: str) -> PathPatch:
    middle = (x0 + x1) / 2
    points = [
        (x0, y0), (middle, y0), (middle, y1), (x1, y1),
        (x1, y1 - size), (middle, y1 - size), (middle, y0 - size), (x0, y0 - size), (x0, y0),
    ]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    return PathPatch(Path(points, codes), facecolor=colour, alpha=0.35, linewidth=0)
