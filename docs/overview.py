"""Draws ``docs/overview.svg``, the figure of README.md, from two things that mho computes in a minute.

python docs/overview.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import mho
from mho.report import plots
from mho.report.labels import label_of
from mho.report.quantities import duration, quantity
from mho.report.run import Run

TARGET = Path(__file__).resolve().parent / "overview.svg"
CASES = {"RRAM (its drift is not known)": 0, "PCM, drift compensated": 2, "PCM, not compensated": 1}
SHEET = """
extends: network
name: overview
variants:
  - {name: "RRAM (its drift is not known)", default: true}
  - {name: "PCM, drift compensated", chip: {weights: {device: pcm}, compensation: {mode: global}}}
  - {name: "PCM, not compensated", chip: {weights: {device: pcm}, compensation: {mode: "off"}}}
evaluation: {chips: CHIPS, times_s: [0.0, 60.0, 3600.0, 86400.0, 2592000.0, 31536000.0]}
"""


def ramps(ax: Axes, chips: int) -> None:
    """The codes of ramps that were programmed to be a sigmoid, over the function."""
    rng = mho.ChipStreams.of(mho.Stream.root(seed=0), chips)
    design = mho.RampColumn(device=mho.SuperT()).design(mho.SIGMOID, bits=4)
    found = mho.Ramp.program(design, ramps=1, rng=rng).read(t_s=0.0).thresholds().reshape(chips, -1).numpy()
    codes = np.arange(found.shape[1] + 1) / found.shape[1]
    for each in found:
        ax.step([-8.0, *each, 8.0], [*codes, 1.0], where="post", color=plots.PALETTE[0], linewidth=0.7, alpha=0.6)
    z = np.linspace(-8.0, 8.0, 200)
    ax.plot(z, 1.0 / (1.0 + np.exp(-z)), color=plots.INK, linewidth=1.2)
    ax.set(xlim=(-6.0, 6.0), xlabel="sum of a column", ylabel="output of the converter")
    ax.set_title(f"A converter that is the sigmoid\n4 bits, {chips} chips")


def aging(ax: Axes, run: Run) -> None:
    """Accuracy over time since programming: mean and 95 % interval over chips."""
    positions = plots.time_positions(run.summary["t_s"])
    width = max(positions.values()) - min(positions.values())
    for number, (name, colour) in enumerate(CASES.items()):
        mine = run.rows("over_time", variant=name, figure="accuracy")
        beside = 0.015 * width * (number - 1)  # so that no bar lies on another
        x, y = [positions[t_s] + beside for t_s in mine["t_s"]], mine["mean"].to_numpy()
        ends = np.abs(mine[["low", "high"]].to_numpy().T - y)
        if len(x) == 1:  # cells of which no drift is known are read once
            ax.axhline(y[0], color=plots.PALETTE[colour], linewidth=0.9, linestyle=":")
        ax.errorbar(x, y, yerr=ends, fmt="o-", markersize=4, capsize=3, color=plots.PALETTE[colour], label=name)
    ax.axhline(run.metrics.software["accuracy"], color=plots.INK, linewidth=0.9, linestyle="--", label="software")
    ax.set_xticks(list(positions.values()), [duration(t_s).replace(" ", "\n") for t_s in positions])
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlabel="time since programming", ylabel="accuracy")
    ax.set_title(f"Handwritten digits over a year\nmean of {run.default.quality[0].chips} chips, 95 % interval")
    ax.legend(loc="lower left", fontsize=8.5)


def energy(ax: Axes, run: Run) -> None:
    """Where the energy of one inference goes."""
    parts = run.rows("components", variant=run.default.name).groupby("group")["energy_J"].sum().sort_values()
    parts = parts[parts > 0.002 * parts.sum()]
    ax.barh([label_of(str(group)) for group in parts.index], parts.to_numpy(), color=plots.PALETTE[0], height=0.65)
    for row, value in enumerate(parts):
        ax.text(value, row, f" {quantity(value, 'J')}", va="center", fontsize=8.5)
    ax.set_xlim(0.0, 1.35 * parts.max())
    ax.set_xticks([])
    ax.grid(visible=False)
    total = run.summary.iloc[0]
    ax.set_title(f"{quantity(total['energy_J'], 'J')} an inference\nin {quantity(total['area_m2'], 'm2')}")


def svg(chips: int = 8) -> str:
    """The figure, on a white ground: it is read on dark pages as well."""
    sheet = Path("overview.yaml")
    sheet.write_text(SHEET.replace("CHIPS", str(chips)), encoding="utf-8")
    run = mho.run(sheet)
    sheet.unlink()

    def draw(figure: Figure) -> None:
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.0, 1.25, 0.8))
        ramps(left, chips)
        aging(middle, run)
        energy(right, run)

    text = plots.svg("overview", draw, width_in=11.0, height_in=3.4).replace("currentColor", plots.INK)
    at = text.index(">") + 1
    return f'{text[:at]}\n<rect width="100%" height="100%" rx="8" fill="white"/>{text[at:]}\n'


if __name__ == "__main__":
    TARGET.write_text(svg(), encoding="utf-8")
