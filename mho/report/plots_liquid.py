"""A picture of where a liquid works: its rate, spectral radius and memory against weight scale and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from devices import ChipStreams, Stream
from mappings.liquid.design_map import DesignMap, Values, design_map
from mappings.liquid.liquid import Liquid

ORANGE = "#D55E00"
SHADES = "viridis"
CHIPS = 2
LEAST_RATE = 1e-4


def liquid(figure: Figure, how: Liquid, rng: Stream) -> None:
    """Measure the map and draw its three panels."""
    found = design_map(how, rng=ChipStreams.of(rng, CHIPS), source=rng)
    figure.set_size_inches(14.0, 4.4)
    axes = figure.subplots(1, 3)
    rate(axes[0], found)
    radius(axes[1], found)
    memory(axes[2], found)
    chosen, probe = found.configured, found.probe
    text = (
        f"{how.description or 'liquid'}. Configured: {100 * chosen.rate:.3g} % of neurons fire in a step, spectral "
        f"radius {chosen.spectral_radius:.2g}, memory {chosen.memory:.2g} windows of {probe.window} steps "
        f"({100 * probe.rate:.2g} % of input lines active in a step, {CHIPS} chips)"
    )
    figure.suptitle("\n".join(wrap(text, 150)), fontsize=10)


def rate(ax: Axes, found: DesignMap) -> Axes:
    """Share of neurons that fire in a step, on a logarithmic scale."""
    shown = 100.0 * np.maximum(found.rate, LEAST_RATE)
    return _map(ax, found, shown, "neurons that fire in a step [%]", LogNorm(100 * LEAST_RATE, 100), (0.1, 1, 10, 30))


def radius(ax: Axes, found: DesignMap) -> Axes:
    """Spectral radius of the recurrent weights, in units of the threshold."""
    scale = LogNorm(float(found.spectral_radius.min()), float(found.spectral_radius.max()))
    return _map(ax, found, found.spectral_radius, "spectral radius / threshold", scale, (0.3, 1, 3))


def memory(ax: Axes, found: DesignMap) -> Axes:
    """Linear memory capacity."""
    top = max(1.0, float(found.memory.max()))
    levels = tuple(np.round(top * np.array([0.25, 0.5, 0.75, 0.9]), 2))
    return _map(ax, found, found.memory, "linear memory capacity [windows]", Normalize(0.0, top), levels)


def _map(ax: Axes, found: DesignMap, values: Values, label: str, scale: Normalize, levels: Sequence[float]) -> Axes:
    x, y = found.gains_per_uS, found.thresholds
    mesh = ax.pcolormesh(x, y, values, cmap=SHADES, norm=scale, shading="nearest")
    inside = [level for level in levels if values.min() < level < values.max()]
    if inside:
        lines = ax.contour(x, y, values, levels=inside, colors="white", linewidths=0.8)
        ax.clabel(lines, fmt="%g", fontsize=8)
    middle = len(x) // 2
    ax.plot([x[middle]], [y[middle]], "o", color=ORANGE, markeredgecolor="white", markersize=9, label="configured")
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis, ticks in ((ax.xaxis, x[::2]), (ax.yaxis, y[::2])):
        axis.set_major_locator(FixedLocator([float(tick) for tick in ticks]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.set_xlabel("weight scale [1/µS]")
    ax.set_ylabel("threshold")
    ax.legend(loc="upper left", fontsize=8)
    ax.figure.colorbar(mesh, ax=ax, label=label)
    return ax
