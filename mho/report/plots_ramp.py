"""Plots of a run's converters: the programmed ramp over its function, its nonlinearity, and shifts by read voltage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mho.report.labels import label_of
from mho.report.plots import FAINT, INK


def ramp_staircase(ax: Axes, ramp: pd.DataFrame, *, colour: str) -> Axes:
    """Output of each code against the input, per programmed chip, over the ideal function.

    ``ramp`` has ``chip, k, y, threshold_ideal, threshold`` of one function and stage: ``y`` is the output at threshold
    k, so code k is half a step above it. The ideal function passes through (threshold_ideal, y).
    """
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    for _, chip in ramp.groupby("chip", sort=True):
        ordered = chip.sort_values("k")
        y = ordered["y"].to_numpy(float)
        step = (y[-1] - y[0]) / (len(y) - 1) if len(y) > 1 else 0.0
        x = np.maximum.accumulate(ordered["threshold"].to_numpy(float))
        reach = 0.08 * (x[-1] - x[0])
        # A NaN lifts the pen: one artist for all chips draws several times faster than one a chip.
        xs.append(np.concatenate([[x[0] - reach], x, [x[-1] + reach, np.nan]]))
        ys.append(np.concatenate([[y[0] - step / 2], y + step / 2, [y[-1] + step / 2, np.nan]]))
    ax.plot(
        np.concatenate(xs),
        np.concatenate(ys),
        drawstyle="steps-post",
        color=colour,
        linewidth=0.9,
        label="programmed, one line a chip",
    )
    ideal = ramp[ramp["chip"] == ramp["chip"].min()].sort_values("k")
    ax.plot(ideal["threshold_ideal"], ideal["y"], color=INK, linewidth=1.0, label="ideal function")
    ax.set_xlabel("input of the activation (1)")
    ax.set_ylabel("output of the code (1)")
    ax.legend(loc="upper left")
    return ax


def ramp_inl(ax: Axes, ramp: pd.DataFrame, *, colour: str) -> Axes:
    """Integral nonlinearity at each threshold, raw and calibrated: ``stage, chip, k, inl_lsb`` of one function."""
    for stage, tint in (("raw", FAINT), ("calibrated", colour)):
        mine = ramp[ramp["stage"] == stage]
        if mine.empty:
            continue
        lines = mine.pivot_table(index="k", columns="chip", values="inl_lsb")
        lines.loc[np.inf] = np.nan
        x = np.tile(lines.index.to_numpy(float), lines.shape[1])
        y = lines.to_numpy(float).T.ravel()
        ax.plot(x, y, color=tint, alpha=0.75, linewidth=1.0, label=stage)
    ax.axhline(0.0, color=INK, linewidth=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("threshold k (1)")
    ax.set_ylabel("INL (LSB)")
    ax.margins(y=0.2)
    ax.legend(loc="upper left", ncols=2)
    return ax


def vread_shift(ax: Axes, sweep: pd.DataFrame, colours: Mapping[str, str]) -> Axes:
    """Mean shift of the codes against the read voltage, per readout, with the prediction dashed.

    ``sweep`` has ``readout, offset_and_noise, v_read_V, mean_shift_lsb, predicted_shift_lsb``.
    """
    for (readout, shown), rows in sweep.groupby(["readout", "offset_and_noise"], sort=True):
        ordered = rows.sort_values("v_read_V")
        with_noise = bool(shown)
        ax.plot(
            ordered["v_read_V"],
            ordered["mean_shift_lsb"],
            marker="s" if with_noise else "o",
            markersize=4.5,
            markerfacecolor="none" if with_noise else colours[str(readout)],
            linestyle="none",
            color=colours[str(readout)],
            label=f"{label_of(str(readout))}, comparator offset and noise {'on' if with_noise else 'off'}",
        )
        if not with_noise:
            ax.plot(
                ordered["v_read_V"], ordered["predicted_shift_lsb"], "--", color=colours[str(readout)], linewidth=1.1
            )
    ax.axhline(0.0, color=INK, linewidth=0.8)
    ax.set_xlabel("read voltage (V)")
    ax.set_ylabel("mean shift of the code (LSB)")
    return ax
