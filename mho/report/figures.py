"""The report's figures: which rows of a run go on which axes. Each returns inline SVG, or None without data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mho.report import plots, plots_hardware, plots_ramp
from mho.report.costs import beside_rows, breakdown
from mho.report.drift import compensation_over_time, drift_variants
from mho.report.labels import label_of
from mho.report.merit import analog, quality, shown
from mho.report.quantities import quantity
from mho.report.rundata import RunData
from mho.report.sections import conventional

MOST_CHIPS = 64
MOST_LAYERS = 12  # on the map of tiles
MOST_TILES = 2000


def _axes(figure: Figure, rows: int = 1, columns: int = 1, *, sharey: bool = False) -> list[Axes]:
    return list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)


def accuracy(run: RunData, names: list[str] | None = None, name: str = "accuracy") -> str | None:
    """The figure of merit over time for all variants, or for those named."""
    figures, chips = quality(run), analog(run)
    styles = plots.variant_styles(run.variants)
    chosen = {variant: style for variant, style in styles.items() if names is None or variant in names}
    figures = figures[figures["variant"].isin(list(chosen)) & figures["mean"].notna()]
    chips = chips[chips["variant"].isin(list(chosen)) & chips["value"].notna()]
    if figures.empty:
        return None
    metric = run.metrics.metrics[run.metric]
    constants = {
        "software": run.metrics.software,
        "retrained, in float": run.metrics.retrained,
        "ideal chip": run.metrics.quantised,
    }
    lines = {text: float(value) for text, of in constants.items() if (value := of.get(run.metric)) is not None}
    word = run.metric.replace("_", " ")
    label = word if metric.is_share or metric.unit == "1" else f"{word} ({metric.unit})"

    def draw(figure: Figure) -> None:
        (ax,) = _axes(figure)
        plots.accuracy_over_time(ax, figures, chips, chosen, label=label, share=metric.is_share, lines=lines)

    return plots.svg(name, draw, height_in=max(3.6, 0.24 * len(chosen) + 2.0))


def drift(run: RunData) -> str | None:
    """The cases that drift, over time."""
    names = [variant.name for variant in drift_variants(run)]
    return accuracy(run, names, "drift") if names else None


def compensation(run: RunData) -> str | None:
    """Compensation factors over time, for variants where they differ from one."""
    factors = compensation_over_time(run)
    if factors.empty:
        return None
    styles = plots.variant_styles(run.variants)

    def draw(figure: Figure) -> None:
        (ax,) = _axes(figure)
        plots.compensation_factors(ax, factors, styles)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)

    return plots.svg("compensation", draw, height_in=3.0)


def cost_bars(run: RunData) -> str | None:
    """Energy and area of every variant, stacked by group of components."""
    energy, area = breakdown(run, "energy_J"), breakdown(run, "area_m2")
    names = [name for name in run.variants if (energy["variant"] == name).any() or (area["variant"] == name).any()]
    if not names:
        return None
    colours = plots.group_colours(dict.fromkeys([*energy["group"], *area["group"]]))

    def draw(figure: Figure) -> None:
        left, right = _axes(figure, 1, 2, sharey=True)
        plots.stacked_bars(left, energy, "J", colours, label="energy per inference", names=names)
        plots.stacked_bars(right, area, "m2", colours, label="area", names=names)
        right.tick_params(axis="y", length=0)
        handles = [left.barh([0], [0], color=colour, label=label_of(group)) for group, colour in colours.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))

    return plots.svg("cost", draw, height_in=1.5 + 0.36 * len(names))


def beside(run: RunData) -> str | None:
    """The default variant beside the conventional converter, one panel a quantity."""
    rows = [row for row in beside_rows(run) if row["label"] != "Leakage" and None not in (row["ours"], row["theirs"])]
    other = conventional(run)
    if not rows or other is None:
        return None
    metric = run.metrics.metrics[run.metric]
    styles = plots.variant_styles(run.variants)
    colours = {name: styles[name].colour for name in (run.default.name, other.name)}

    def draw(figure: Figure) -> None:
        axes = _axes(figure, 1, len(rows))
        for ax, row in zip(axes, rows, strict=True):
            bars = {run.default.name: float(row["ours"]), other.name: float(row["theirs"])}

            def text(value: float, unit: str = row["unit"]) -> str:
                if unit == "metric":
                    return shown(metric, value)
                return quantity(value, "" if unit == "TOPS/W" else unit)

            title = "Efficiency\n(TOPS/W)" if row["unit"] == "TOPS/W" else row["label"].replace(" per ", "\nper ")
            plots.bar_pair(ax, bars, colours, title=title[0].upper() + title[1:], text=text)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)

    return plots.svg("beside", draw, height_in=2.7)


def _chip(run: RunData) -> dict[str, Any]:
    """The resolved chip of the default variant."""
    variants = run.config.get("variants") or []
    named = next((each for each in variants if isinstance(each, dict) and each.get("name") == run.default.name), {})
    found = named.get("chip") or run.config.get("chip")
    return found if isinstance(found, dict) else {}


def cells(run: RunData) -> str | None:
    """The default variant's own cells as programmed and over time, a row for each kind of cell."""
    counts, levels = run.rows("cells", variant=run.default.name), run.rows("levels", variant=run.default.name)
    kinds = [kind for kind in dict.fromkeys(levels["device"]) if (counts["device"] == kind).any()]
    if not kinds:
        return None

    def draw(figure: Figure) -> None:
        axes = _axes(figure, len(kinds), 2)
        for number, kind in enumerate(kinds):
            of = [table[table["device"] == kind] for table in (counts, levels)]
            plots_hardware.cells(axes[2 * number], axes[2 * number + 1], *of)
            if len(kinds) > 1:
                axes[2 * number].set_title(f"{kind}: all cells as programmed")

    return plots.svg("cells", draw, height_in=3.2 * len(kinds))


def tiles(run: RunData) -> str | None:
    """The map of tiles of the default variant's layers."""
    chip, layers = _chip(run), run.rows("layers", variant=run.default.name)
    rows, columns = chip.get("rows"), chip.get("columns")
    if not rows or not columns:
        return None
    return None if "order" in run.default.model_fields_set else tile_map(layers, int(rows), int(columns))


def tile_map(layers: pd.DataFrame, rows: int, columns: int) -> str | None:
    """Layers on tiles of ``rows`` x ``columns`` weights: those that lie in a plain grid, the first few of them."""
    # A layer in several copies, or in tiles that it shares, is no plain grid.
    grid = np.ceil(layers["rows"] / rows) * np.ceil(layers["columns"] / columns)
    layers = layers[(layers["tiles"] > 0) & (layers["tiles"] == grid)].head(MOST_LAYERS)
    if layers.empty or layers["tiles"].max() > MOST_TILES:
        return None

    def draw(figure: Figure) -> None:
        plots_hardware.tiles(_axes(figure)[0], layers, rows, columns)

    return plots.svg("tiles", draw, height_in=2.6)


def energy_flow(run: RunData) -> str | None:
    """Energy of one inference of the default variant from the supply to the components."""
    return flow(run.rows("components", variant=run.default.name), breakdown(run, "energy_J")["group"])


def flow(parts: pd.DataFrame, groups: Iterable[str]) -> str | None:
    """Energy of the lines of one chip's components, its ``groups`` coloured in this order."""
    if not (parts["energy_J"] > 0).any():
        return None
    colours = plots.group_colours(dict.fromkeys(groups))

    def draw(figure: Figure) -> None:
        plots_hardware.energy_flow(_axes(figure)[0], parts, colours)

    return plots.svg("flow", draw, height_in=4.2)


def timelines(run: RunData) -> list[tuple[str, str, float]]:
    """For each layer of the default variant: its name, one step on its resources, and how long the step takes."""
    drawn = []
    tasks = run.rows("schedule", variant=run.default.name)
    for number, (layer, mine) in enumerate(tasks.groupby("layer", sort=False)):

        def draw(figure: Figure, mine: pd.DataFrame = mine) -> None:
            plots.timeline(_axes(figure)[0], mine)

        end = float((mine["start_s"] + mine["duration_s"]).max())
        if math.isfinite(end) and end > 0:
            height = 1.0 + 0.36 * mine["resource"].nunique()
            drawn.append((str(layer), plots.svg(f"timeline{number}", draw, height_in=height), end))
    return drawn


def ramp(run: RunData, variant: str) -> str | None:
    """Staircase of the programmed codes over the ideal function, and the INL raw and calibrated, a row a function."""
    table, functions = _few_chips(run, variant)
    colour = plots.variant_styles(run.variants)[variant].colour

    def draw(figure: Figure) -> None:
        axes = _axes(figure, len(functions), 2)
        for number, function in enumerate(functions):
            mine = table[table["function"] == function]
            last = "calibrated" if (mine["stage"] == "calibrated").any() else "raw"
            plots_ramp.ramp_staircase(axes[2 * number], mine[mine["stage"] == last], colour=colour)
            plots_ramp.ramp_inl(axes[2 * number + 1], mine, colour=colour)
            axes[2 * number].set_title(f"{function}: codes of the {last} ramp")
            axes[2 * number + 1].set_title(f"{function}: integral nonlinearity")

    return plots.svg("ramp", draw, height_in=3.1 * len(functions)) if functions else None


def ramp_errors(run: RunData, variant: str, name: str) -> str | None:
    """The INL of a variant's ramps, a panel a function."""
    table, functions = _few_chips(run, variant)
    colour = plots.variant_styles(run.variants)[variant].colour

    def draw(figure: Figure) -> None:
        for ax, function in zip(_axes(figure, 1, len(functions)), functions, strict=True):
            plots_ramp.ramp_inl(ax, table[table["function"] == function], colour=colour)
            ax.set_title(f"{function}: integral nonlinearity")

    return plots.svg(name, draw, height_in=2.6) if functions else None


def _few_chips(run: RunData, variant: str) -> tuple[pd.DataFrame, list[str]]:
    table = run.rows("ramp", variant=variant)
    table = table[table["chip"].isin(sorted(set(table["chip"]))[:MOST_CHIPS])]
    return table, list(dict.fromkeys(table["function"]))


def vread(run: RunData) -> str | None:
    """Shift of the codes with the read voltage: all readouts, and those that stay below one LSB enlarged."""
    sweep = run.tables["vread"]
    if sweep.empty:
        return None
    colours = dict(zip(sorted(set(sweep["readout"]), key=lambda text: "ramp" not in text), plots.PALETTE, strict=False))
    largest = sweep.groupby("readout")["mean_shift_lsb"].apply(lambda shift: shift.abs().max())
    steady = sweep[sweep["readout"].isin(list(largest[largest < 1.0].index))]

    def draw(figure: Figure) -> None:
        left, right = _axes(figure, 1, 2)
        plots_ramp.vread_shift(left, sweep, colours)
        left.set_title("all readouts")
        plots_ramp.vread_shift(right, steady, colours)
        right.axhspan(-0.1, 0.1, color=plots.FAINT, alpha=0.2, linewidth=0)
        right.set_title("enlarged (band: ±0.1 LSB)")
        reach = max(0.15, 1.2 * float(steady["mean_shift_lsb"].abs().max())) if len(steady) else 0.15
        right.set_ylim(-reach, reach)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)

    return plots.svg("vread", draw, height_in=3.7)


def learning(run: RunData) -> str | None:
    """Loss and validation accuracy over the epochs of training."""
    epochs = run.tables["learning"]
    if epochs.empty:
        return None

    def draw(figure: Figure) -> None:
        left, right = _axes(figure, 1, 2)
        plots.learning_curves(left, epochs, "loss", label="training loss", share=False)
        plots.learning_curves(right, epochs, "validation_accuracy", label="validation accuracy", share=True)

    return plots.svg("learning", draw, height_in=3.0)
