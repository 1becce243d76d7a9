"""What the resistance of lines takes from currents, over the size of the array and the technology node.

Cells of 10 to 100 µS, inputs of 0 to 0.2 V, each line driven at one end; segments of 12 line widths a cell (one with a
transistor). Plotted: rms error of the columns' currents by their mean, exact for square arrays. Line resistances by
node after NeuroSim's tables (``crossbar/wires/technology.py``), exact solution by folding the network row by row
(docs/wires.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

NODES_NM = (65, 32, 22, 14)


def main() -> None:
    """Fold the wires into the conductances, and compare currents with and without."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    ask.add_argument("--figure", type=Path, default=Path("wire_drop.svg"))
    given = ask.parse_args()

    draw = torch.Generator().manual_seed(0)
    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    for node_nm in NODES_NM:
        wires = mho.Wires.from_node(node_nm, cell_width_F=12.0, cell_height_F=12.0)
        errors = []
        for size in given.sizes:
            cells_S = 1e-5 + 9e-5 * torch.rand((size, size), generator=draw, dtype=torch.float64)
            inputs_V = 0.2 * torch.rand((16, size), generator=draw, dtype=torch.float64)
            bare_A = inputs_V @ cells_S
            seen_A = inputs_V @ mho.effective_conductance(cells_S, wires)
            errors.append(100.0 * float((seen_A - bare_A).square().mean().sqrt() / bare_A.mean()))
        axes.loglog(given.sizes, errors, "o-", label=f"{node_nm} nm, {wires.r_bit_ohm:.2g} Ω a cell")
        print(f"{node_nm:3d} nm:", ", ".join(f"{e:.2f} % at {n}" for n, e in zip(given.sizes, errors, strict=True)))
    axes.set_xticks(given.sizes, [str(size) for size in given.sizes])
    axes.set_yticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set(xlabel="word lines and bit lines", ylabel="error of the currents [%]")
    axes.legend()
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
