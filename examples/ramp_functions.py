"""A ramp of memory cells computes the activation while it converts: sigmoid, gelu and a function of one's own.

Steps of the ramp are differences of the inverse function, each held by a cell; the code that a comparator latches is
then the function of its input. Grey: the function; colours: the staircases of four chips on TaOx cells, 4 bits. Gelu
turns once, and the ramp passes its outputs in two branches. Yang et al., Nat. Commun. 16, 1136 (2025), doi
10.1038/s41467-025-56254-6; measured by ``mho.characterise`` (docs/nladc.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho


def bump(z: torch.Tensor) -> torch.Tensor:
    """A function of one's own: rises on the left of 0, falls on the right."""
    return torch.exp(-z.square())


def main() -> None:
    """Design, build on chips, measure, draw."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--bits", type=int, default=4)
    ask.add_argument("--chips", type=int, default=4)
    ask.add_argument("--figure", type=Path, default=Path("ramp_functions.svg"))
    given = ask.parse_args()

    own = mho.from_callable("exp(-z²)", bump, -2.0, 2.0, turns=[0.0])
    column = mho.RampColumn(device=mho.TaOx())
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    for axes, function in zip(figure.subplots(1, 3), (mho.SIGMOID, mho.named_function("gelu"), own), strict=True):
        design = column.design(function, given.bits)
        found = mho.characterise(design, chips=given.chips, rng=mho.Stream.root(0))
        axes.plot(found.z, function.f(found.z), color="0.6", linewidth=2.0)
        for transfer in found.transfer:
            axes.plot(found.z[::4], transfer[::4], linewidth=0.8)
        axes.set(title=f"{function.name}, {design.cells} cells", xlabel="input z", ylabel="output")
        inl, enob = float(found.inl.abs().max()), float(found.enob.mean())
        print(f"{function.name:10} largest INL {inl:.2f} LSB, {enob:.2f} effective bits in the mean")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
