"""Longer reads average 1/f noise only slowly, and it grows with the age of a cell.

The spread of a cell's conductance by 1/f noise goes as the root of ln((t + w) / 2w), with the window w of a read and
the age t, counted from 20 s before the first read as in the source: ten times the window takes a few per cent off. Fast
noise falls as the root of the window and is not shown. Equation (3) of ``devices/pcm.py``: Nandakumar et al., ICECS
2019, doi 10.1109/ICECS46596.2019.8964852.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

AGES_S = {"1 second": 1.0, "1 hour": 3600.0, "1 day": 86400.0, "1 year": 3.1536e7}
WINDOWS_S = torch.logspace(-8, -1, 8).tolist()


def main() -> None:
    """Read the same cells with and without 1/f noise; the ratio is the noise."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--cells", type=int, default=4000)
    ask.add_argument("--figure", type=Path, default=Path("read_window.svg"))
    given = ask.parse_args()

    noisy = mho.PCM()
    quiet = replace(noisy, slow_noise_scale=0.0)
    target_S = torch.full((1, given.cells), 12.5e-6)
    cells = noisy.program(target_S, rng=mho.ChipStreams.of(mho.Stream.root(0), 1))

    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, age_s in AGES_S.items():
        still_S = quiet.conductance_S(cells, age_s)
        ratios = (noisy.read_within(window_s).conductance_S(cells, age_s) / still_S for window_s in WINDOWS_S)
        percent = [100.0 * float(ratio.std()) for ratio in ratios]
        axes.semilogx(WINDOWS_S, percent, "o-", label=f"{name} old")
        print(f"{name:8}: {percent[0]:.2f} % in 10 ns, {percent[-1]:.2f} % in 0.1 s")
    axes.set(xlabel="window of one read [s]", ylabel="1/f noise, share of the conductance [%]", ylim=(0.0, None))
    axes.legend()
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
