"""A product of 3 x 3 on a crossbar by hand: conductances, voltages, currents, and the same from ``mho.Array``.

A weight is the difference of two conductances (red minus blue lines), an input the voltage of its word line. Ohm's law
gives the current of a cell, Kirchhoff's the sum on a bit line; the difference of a pair of lines over the scale is the
product. Equation (1) of ``crossbar/array.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

WEIGHTS = torch.tensor([[0.5, -1.0, 0.0], [1.0, 0.25, -0.5], [-0.75, 0.5, 1.0]])
X = torch.tensor([1.0, 0.5, -0.25])
V_READ_V = 0.2


def main() -> None:
    """Both ways, and the array as a picture."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--figure", type=Path, default=Path("product_by_hand.svg"))
    given = ask.parse_args()

    cell = mho.Ideal(g_min_S=0.0, g_max_S=100e-6)
    rng = mho.ChipStreams.of(mho.Stream.root(0), 1)
    array = mho.Array.program(WEIGHTS, device=cell, encoding=mho.DifferentialPair(), rng=rng)

    plus_S, minus_S = array.encoded.target_S  # (2, rows, columns)
    v_V = V_READ_V * X
    plus_A, minus_A = v_V @ plus_S, v_V @ minus_S  # Ohm and Kirchhoff
    by_hand = (plus_A - minus_A) / (V_READ_V * array.encoded.scale_S)
    print("currents of the plus lines  [uA]", (plus_A * 1e6).numpy().round(3))
    print("currents of the minus lines [uA]", (minus_A * 1e6).numpy().round(3))
    for name, found in (("by hand", by_hand), ("mho.Array", array.multiply(X)[0]), ("x @ W", X @ WEIGHTS)):
        print(f"{name:10}", found.numpy().round(4))

    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    lines_uS = torch.stack([plus_S, minus_S], dim=2).reshape(3, 6) * 1e6
    shown = axes.imshow(lines_uS.numpy(), cmap="Greys", vmin=0.0, vmax=160.0, aspect="auto")
    for row in range(3):
        for line in range(6):
            axes.text(line, row, f"{float(lines_uS[row, line]):g} µS", ha="center", va="center", fontsize=9)
    axes.set_yticks(range(3), [f"{float(v) * 1e3:g} mV" for v in v_V])
    currents = torch.stack([plus_A, minus_A], dim=1).flatten() * 1e6
    axes.set_xticks(range(6), [f"{float(current):.4g} µA" for current in currents])
    for number, label in enumerate(axes.get_xticklabels()):
        label.set_color("C0" if number % 2 else "C3")
    axes.set(xlabel="current of a bit line (red: plus, blue: minus)", ylabel="word lines")
    for pair, (difference_A, y) in enumerate(zip(plus_A - minus_A, by_hand, strict=True)):
        result = f"{float(difference_A) * 1e6:.4g} µA, y = {float(y):.4g}"
        axes.text(2 * pair + 0.5, -0.65, result, ha="center", color="0.2")
    figure.colorbar(shown, label="conductance [µS]")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
