"""How sure is an area, when every price has a range: 2000 price lists drawn for one layer.

Each price record states how far it may be off; published ones little, estimates several times. One draw a record is
shared by all that it prices. The histogram is the area of the keyword LSTM (72 x 128) with its ramp and with ordinary
converters, the shade the 90 % interval, and the second panel the ratio: what both share cancels there. Method:
``mappings/price_spread.py``; prices: docs/prices.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import mho
from mappings.price_spread import interval, sampled


def main() -> None:
    """Price the layer two ways under the same draws."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--seed", type=int, default=0, help="of the price lists")
    ask.add_argument("--figure", type=Path, default=Path("price_spread.svg"))
    given = ask.parse_args()

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(40, 32)
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    layer = mho.RecurrentLayer.from_torch("lstm", lstm.weight_ih_l0, lstm.weight_hh_l0, bias)
    ramp = mho.read_config("yang2025", mho.Chip, folder="chips").value
    areas_mm2 = {}
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for colour, (name, chip) in zip(
        ("C0", "C1"), {"ramp": ramp, "conventional": replace(ramp, readout="conventional")}.items(), strict=True
    ):
        mapped = layer.map(chip, name="lstm")
        lines = mho.price(mapped.actions(), node_nm=chip.node_nm, components=mapped.components())
        areas_mm2[name] = sampled(lines, seed=given.seed)[0] * 1e6
        low, high = interval(areas_mm2[name])
        nominal = 1e6 * sum(line.area_m2 for line in lines)
        left.hist(areas_mm2[name], bins=40, histtype="step", color=colour, label=name)
        left.axvspan(low, high, color=colour, alpha=0.12, linewidth=0)
        left.axvline(nominal, color=colour, linestyle="--", linewidth=1.0)
        print(f"{name:13} {nominal:.4f} mm2, 90 % of the lists from {low:.4f} to {high:.4f} mm2")
    ratio = areas_mm2["conventional"] / areas_mm2["ramp"]
    low, high = interval(ratio)
    print(f"conventional over ramp: {np.median(ratio):.2f}, 90 % from {low:.2f} to {high:.2f}")
    left.set(xlabel="area of the layer [mm²] (dashed: by the prices as stated)", ylabel="price lists")
    left.legend()
    right.hist(ratio, bins=40, color="0.6")
    right.axvspan(low, high, color="0.4", alpha=0.15, linewidth=0)
    right.set(xlabel="area, conventional over ramp")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
