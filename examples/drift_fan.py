"""Levels of phase-change cells drift apart: conductance over a year as a fan.

Each band holds the middle 90 % of the cells that were written to one level, each line their median. Programming errors
make the bands wide at once; drift lets all of them fall by a power of time, low levels faster; 1/f noise widens them.
Equations of Nandakumar et al., ICECS 2019, doi 10.1109/ICECS46596.2019.8964852 (``devices/pcm.py``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

import mho

TIMES_S = {"1 s": 1.0, "1 min": 60.0, "1 hour": 3600.0, "1 day": 86400.0, "1 month": 2.592e6, "1 year": 3.1536e7}
LEVELS_US = (2.0, 8.0, 14.0, 20.0, 25.0)


def main() -> None:
    """Write the cells once, read the same cells at every time."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--cells", type=int, default=1000, help="of each level")
    ask.add_argument("--figure", type=Path, default=Path("drift_fan.svg"))
    given = ask.parse_args()

    cell = mho.PCM()
    target_S = torch.tensor(LEVELS_US)[:, None].expand(-1, given.cells) * 1e-6
    cells = cell.program(target_S[None], rng=mho.ChipStreams.of(mho.Stream.root(0), 1))
    read_uS = torch.stack(
        [cell.conductance_S(cells, t_s)[0] * 1e6 for t_s in TIMES_S.values()]
    )  # (times, levels, cells)

    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, level_uS in enumerate(LEVELS_US):
        low, middle, high = torch.quantile(read_uS[:, number], torch.tensor([0.05, 0.5, 0.95]), dim=1)
        colour = colormaps["viridis"](0.85 * number / (len(LEVELS_US) - 1))
        axes.fill_between(range(len(TIMES_S)), low, high, color=colour, alpha=0.3, linewidth=0)
        axes.plot(range(len(TIMES_S)), middle, "o-", color=colour, markersize=3, label=f"{level_uS:g} µS")
        print(
            f"{level_uS:4g} uS: median {float(middle[0]):.2f} uS after a second, {float(middle[-1]):.2f} after a year"
        )
    axes.set_xticks(range(len(TIMES_S)), list(TIMES_S))
    axes.set(xlabel="time since the cells were written", ylabel="conductance [µS]", ylim=(0.0, None))
    figure.legend(title="written to", loc="outside right upper", reverse=True)
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
