"""How a signed weight becomes cells: the error of a product against the number of cells, by encoding and device.

A pair of cells a weight, one cell and a reference column for all, or slices of two bits on pairs. One cell saves half
the array for half the swing, so the same error of a cell weighs twice, and more where cells at rest err less, as PCM's
do; slices spend cells on significance: the errors of the highest slice weigh most. Products of 128 x 64 random weights
on 8 chips, at the time of writing, without a converter. ``mho list encodings``; equations in
``crossbar/differential.py``, ``offset.py`` and ``slices.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

ENCODINGS = {
    "pair": mho.DifferentialPair(),
    "two pairs": mho.DifferentialPair(cells=2),
    "one cell, reference": mho.OffsetColumn(),
    "slices of 2 bits": mho.BitSlices(slice_bits=2, weight_bits=8),
    "slices of 4 bits": mho.BitSlices(slice_bits=4, weight_bits=8),
}
DEVICES = {"TaOx": mho.TaOx(), "integrated memristors": mho.SuperT(), "PCM": mho.PCM()}


def main() -> None:
    """Write the same weights in every way, multiply, compare."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--chips", type=int, default=8)
    ask.add_argument("--figure", type=Path, default=Path("encodings.svg"))
    given = ask.parse_args()

    draw = torch.Generator().manual_seed(0)
    weights, x = torch.randn((128, 64), generator=draw), 2.0 * torch.rand((256, 128), generator=draw) - 1.0
    exact = x @ weights
    rng = mho.ChipStreams.of(mho.Stream.root(0), given.chips)
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    for marker, (device_name, device) in zip("osD", DEVICES.items(), strict=True):
        for number, (name, encoding) in enumerate(ENCODINGS.items()):
            array = mho.Array.program(weights, device=device, encoding=encoding, rng=rng)
            cells = array.cells.shape[1:].numel() / weights.numel()
            percent = 100.0 * float((array.multiply(x) - exact).square().mean().sqrt() / exact.std())
            axes.plot(cells, percent, marker, color=f"C{number}", label=name if marker == "o" else None)
            print(f"{device_name:22} {name:20} {cells:5.2f} cells a weight, error {percent:6.2f} %")
    for marker, device_name in zip("osD", DEVICES, strict=True):
        axes.plot([], [], marker, color="0.5", label=device_name)
    axes.set(
        xlabel="cells of a weight", ylabel="error of the product, rms by its spread [%]", xscale="log", yscale="log"
    )
    axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.set_yticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axes.minorticks_off()
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
