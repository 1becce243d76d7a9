"""What a large LSTM layer costs, component by component, before anything is trained: 633 x 8064 weights.

128 inputs, 504 projected states and the bias drive the word lines (the bias takes three of them here), 2016 units have
four gates each; the projection of 2016 to 504 lies on tiles of its own. No cell is drawn and nothing is trained:
actions and instances follow from the shape, times prices that each name a source. Left: energy of a step, right: area.
The layer is that of Yang et al., Nat. Commun. 16, 1136 (2025), doi 10.1038/s41467-025-56254-6, on the chip
``yang2025``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

SHOWN = 8


def main() -> None:
    """Map the shape, price it, draw the largest parts."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--units", type=int, default=2016)
    ask.add_argument("--states", type=int, default=504)
    ask.add_argument("--figure", type=Path, default=Path("lstm_cost.svg"))
    given = ask.parse_args()

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(128, given.units, proj_size=given.states, batch_first=True)
    chip = mho.read_config("yang2025", mho.Chip, folder="chips").value
    converted = mho.convert(lstm, chip, example=torch.rand(1, 1, 128))
    cost = converted.cost(torch.empty(1, 1, 128))
    print(converted.layers.to_string(index=False))
    print({name: float(f"{value:.4g}") for name, value in cost.summary.items()})

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    for axes, key, unit, factor in zip(
        figure.subplots(1, 2), ("energy_J", "area_m2"), ("nJ", "mm²"), (1e9, 1e6), strict=True
    ):
        parts = cost.table.groupby("component")[key].sum().mul(factor).sort_values()
        shown = parts.tail(SHOWN)
        axes.barh(shown.index.str.replace("_", " "), shown)
        axes.set(xlabel=f"{key.split('_')[0]} [{unit}]", title=f"{parts.sum():.3g} {unit} in all")
        print(parts[::-1].head(SHOWN).round(4).to_string())
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
