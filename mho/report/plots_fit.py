"""Picture of ``mho fit``: measured cells beside those of the fitted device."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from devices import ChipStreams, Device, Stream
from devices.measured_csv import MeasuredTable
from mho.report.quantities import duration

CELLS, LEAST_CELLS = 2_000_000, 2000
"""Cells of the fitted device in all, and at least at every level: so many that a mean shows the law, not the draws."""
TIMES = 4


def fitted(figure: Figure, table: MeasuredTable, device: Device, name: str) -> None:
    """Mean minus target and standard deviation of every level, measured (points, bars of one standard error where the
    number of cells is known) and of many cells of the fitted device (lines), at up to four of the times."""
    left, right = figure.subplots(1, 2)
    level_S = np.asarray(table.target_S)
    target_S = torch.tensor(table.target_S).clamp(device.g_min_S, device.g_max_S)
    each = min(50_000, max(LEAST_CELLS, CELLS // len(level_S)))
    cells = device.program(target_S[None, :, None].expand(1, -1, each), rng=ChipStreams.of(Stream.root(0), 1))
    times = table.t_s or (0.0,)
    rows = sorted({round(place) for place in np.linspace(0, len(times) - 1, min(TIMES, len(times)))})
    colours = colormaps["viridis"](np.linspace(0.0, 0.8, len(rows)))
    for row, colour in zip(rows, colours, strict=True):
        g_S = device.conductance_S(cells, times[row])[0].double() if table.t_s else cells.programmed_S[0].double()
        mean, sigma, count = (np.asarray(part[row], float) for part in (table.mean_S, table.sigma_S, table.count))
        known = count > 1
        error = np.where(known, sigma / np.sqrt(np.maximum(count, 1.0)), np.nan)
        label = f" {duration(times[row])}" if len(rows) > 1 else ""
        left.errorbar(
            level_S * 1e6,
            (mean - level_S) * 1e6,
            error * 1e6,
            fmt="o",
            color=colour,
            ms=4,
            label=f"measured{label}, ± standard error",
        )
        left.plot(level_S * 1e6, (g_S.mean(1).numpy() - level_S) * 1e6, color=colour, label=f"fitted{label}")
        wide = np.where(known, sigma / np.sqrt(2.0 * np.maximum(count - 1.0, 1.0)), np.nan)
        right.errorbar(level_S * 1e6, sigma * 1e6, wide * 1e6, fmt="o", color=colour, ms=4)
        right.plot(level_S * 1e6, g_S.std(1).numpy() * 1e6, color=colour)
    left.axhline(0.0, color="#777777", linewidth=0.8)
    left.set_ylabel("mean - target [µS]")
    right.set_ylabel("standard deviation over cells [µS]")
    right.set_ylim(bottom=0.0)
    for ax in (left, right):
        ax.set_xlabel("target [µS]")
    figure.legend(loc="outside lower center", ncols=2 if len(rows) > 1 else 3, frameon=False, fontsize=8)
    figure.suptitle(f"{name}, fitted to {table.source.split(' (')[0]}", fontsize=10)
