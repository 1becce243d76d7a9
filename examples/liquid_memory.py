"""How much of its input a liquid remembers, over the number of neurons, on formed cells and in software.

A random bit drives one of two groups of word lines in each step; linear read-outs of the neurons that fire are to name
the bit of k steps ago. The memory capacity is the sum over k of the squared correlation between what is named and what
was (Jaeger, GMD Report 152, 2002), here on runs that the read-outs did not see. Twice the neurons remember half a step
more, on cells as well as in software. Random weights are differences of formed TaOx cells: Lin et al., Nat. Comput.
Sci. 5, 37-47 (2025), doi 10.1038/s43588-024-00751-z.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mho
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LineSpikes

DELAYS, RUNS, STEPS, WARM, LINES = range(1, 13), 60, 100, 20, 32


def capacity(states: np.ndarray, bits: np.ndarray) -> float:
    """Sum over delays of the squared correlation on the second half of the runs; ``states (runs, steps, neurons)``."""
    total, half = 0.0, len(states) // 2
    for delay in DELAYS:
        x = states[:, WARM:]
        y = bits[:, WARM - delay : STEPS - delay]
        rows = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=2)
        seen, asked = (part.reshape(-1, rows.shape[2]) for part in (rows[:half], rows[half:]))
        weights = np.linalg.solve(seen.T @ seen + np.eye(seen.shape[1]), seen.T @ y[:half].ravel())
        named = asked @ weights
        if named.std() > 0.0:
            total += max(0.0, float(np.corrcoef(named, y[half:].ravel())[0, 1])) ** 2
    return total


def main() -> None:
    """Run liquids of several sizes on the same bits."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--sizes", type=int, nargs="+", default=[25, 50, 100, 200, 400])
    ask.add_argument("--chips", type=int, default=4)
    ask.add_argument("--figure", type=Path, default=Path("liquid_memory.svg"))
    given = ask.parse_args()

    draw = np.random.default_rng(0)
    bits = draw.integers(0, 2, (RUNS, STEPS))
    # A one drives half of the word lines, a zero the other half.
    spikes = LineSpikes.of(np.where(np.arange(LINES) % 2 == 0, bits[..., None], 1 - bits[..., None]))
    rng = mho.ChipStreams.of(mho.Stream.root(0), given.chips)
    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    for name in ("formed cells", "software"):
        found = []
        for size in given.sizes:
            mapped = Liquid(inputs=LINES, neurons=size, gain_per_uS=0.1).map()
            made = mapped.program(rng=rng) if name == "formed cells" else mapped.software(rng=rng)
            run = made.at().run(spikes, noise=rng, record=True)
            assert run.raster is not None
            found.append([capacity(chip.numpy().astype(float), bits) for chip in run.raster])
            print(f"{name:13} {size:4d} neurons: capacity {np.mean(found[-1]):.2f}")
        axes.errorbar(given.sizes, np.mean(found, 1), np.std(found, 1), fmt="o-", capsize=3, label=name)
    axes.set(xlabel="neurons", ylabel="memory capacity [steps]", xscale="log", ylim=(0.0, None))
    axes.set_xticks(given.sizes, [str(size) for size in given.sizes])
    axes.minorticks_off()
    axes.legend(title=f"{given.chips} chips, mean and standard deviation")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
