"""A ramp that computes the activation beside SAR converters with a look-up: energy and area of an LSTM step over bits.

The layer has 72 x 128 weights on the chip ``yang2025`` (16 nm). The ramp is shared by all columns and needs 2^b clock
periods; a SAR converter, here one for eight columns at 10^8 conversions a second, needs b decisions and a look-up table
behind it. Drawn is what the layer costs with SAR converters over what it costs with the ramp: front ends and cells are
the same in both and hold the ratios of energy near 1. Prices: ``mho list components``; all models: docs/ramp_or_adc.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

BITS = range(3, 9)
MODELS = ("isaac2016", "neurosim_sar")
SHOWN = {"energy_J": "energy of a step", "area_m2": "area", "latency_s": "time of a step"}


def cost(layer: mho.RecurrentLayer, chip: mho.Chip) -> dict[str, float]:
    """Area, energy and latency of one step."""
    mapped = layer.map(chip, name="lstm")
    step = mapped.actions()
    lines = mho.price(step, node_nm=chip.node_nm, components=mapped.components())
    return mho.summarise(lines, step.latency_s, step.ops)


def main() -> None:
    """Price the same layer with both kinds of converter."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--figure", type=Path, default=Path("ramp_beside_sar.svg"))
    given = ask.parse_args()

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(40, 32)
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    layer = mho.RecurrentLayer.from_torch("lstm", lstm.weight_ih_l0, lstm.weight_hh_l0, bias)
    ramp = mho.read_config("yang2025", mho.Chip, folder="chips").value
    with_ramp = [cost(layer, replace(ramp, bits=bits)) for bits in BITS]

    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for model in MODELS:
        adc = replace(ramp.adc, price=model, rate_per_s=1e8)
        chip = replace(ramp, readout="conventional", adc=adc)
        found = [cost(layer, replace(chip, bits=bits)) for bits in BITS]
        for axes, (key, label) in zip(panels, SHOWN.items(), strict=True):
            ratios = [one[key] / other[key] for one, other in zip(found, with_ramp, strict=True)]
            axes.plot(BITS, ratios, "o-", label=f"SAR, {model}")
            axes.set(title=label, xlabel="bits")
            print(
                f"{model:13} {label:17}",
                ", ".join(f"{r:.2f}" for r in ratios),
                f"times the ramp's, {BITS[0]} to {BITS[-1]} bits",
            )
    for axes in panels:
        axes.axhline(1.0, color="0.5", linestyle="--", linewidth=1.0)
    panels[0].set_ylabel("with SAR, over ramp")
    panels[0].legend()
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
