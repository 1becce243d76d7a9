"""Integral nonlinearity of a ramp over chips, by the cells that hold its steps.

A sigmoid ramp of 5 bits on 64 chips each: the band holds 90 % of the chips, the line is the median of the size of the
INL. An error of one cell moves all later steps; bias cells, trimmed for the middle of the ramp, take most of it back.
At its ends a sigmoid is flat, so that errors of the ramp hardly move outputs there. Definition (1) of
``periphery/ramp/characterise.py``, INL as in IEEE Std 1241-2010.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

CELLS = {
    "TaOx, written and verified": mho.TaOx(),
    "integrated memristors": mho.SuperT(),
    "PCM": mho.PCM(),
}


def main() -> None:
    """Build and measure the same ramp on each kind of cell."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--chips", type=int, default=64)
    ask.add_argument("--figure", type=Path, default=Path("inl_over_chips.svg"))
    given = ask.parse_args()

    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (name, device) in zip(panels, CELLS.items(), strict=True):
        design = mho.RampColumn(device=device).design(mho.SIGMOID, 5)
        found = mho.characterise(design, chips=given.chips, rng=mho.Stream.root(0))
        for colour, label, inl in (("0.6", "before trimming", found.inl_before), ("C0", "trimmed", found.inl)):
            low, middle, high = torch.quantile(inl.abs(), torch.tensor([0.05, 0.5, 0.95], dtype=inl.dtype), dim=0)
            axes.fill_between(range(len(low)), low, high, color=colour, alpha=0.3, linewidth=0)
            axes.plot(middle, color=colour, label=label)
        figures = found.figures()
        mean, worst = figures["max |INL| [LSB]"]
        print(f"{name:28} largest |INL|: {mean:.2f} LSB in the mean of {given.chips} chips, {worst:.2f} on the worst")
        axes.set(title=name, xlabel="step of the ramp")
    panels[0].set(ylabel="|INL| [LSB]", ylim=(0.0, None))
    panels[0].legend()
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
