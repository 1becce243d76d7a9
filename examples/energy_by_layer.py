"""Energy by layer and component, as a DataFrame: a small convolutional network on PCM cores.

``cost.table`` has a row for every action and instance of every layer, with its count, price, status and source; pandas
does the rest. Convolutions are driven once for every position of the image, so early layers take more energy than their
few weights suggest. The chip is ``hermes_core`` (Khaddam-Aljameh et al., doi 10.1109/JSSC.2022.3140414).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

import mho


def main() -> None:
    """Convert, price, pivot, draw."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--side", type=int, default=28, help="pixels of an image's side")
    ask.add_argument("--figure", type=Path, default=Path("energy_by_layer.svg"))
    given = ask.parse_args()

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(10),
    )
    images = torch.rand(8, 1, given.side, given.side)
    net(images)  # sizes of the lazy layer
    chip = mho.read_config("hermes_core", mho.Chip, folder="chips").value
    cost = mho.convert(net, chip, example=images).cost(images[:1])

    table = cost.table.pivot_table(
        "energy_J", index="layer", columns="group", aggfunc="sum", fill_value=0.0, sort=False
    )
    table_nJ = table.mul(1e9)[table.sum().sort_values(ascending=False).index]
    print("energy of one image [nJ]")
    print(table_nJ.round(3).to_string())

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    table_nJ.plot.barh(stacked=True, ax=axes)
    axes.invert_yaxis()
    axes.set(xlabel="energy of one image [nJ]", ylabel="layer")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
