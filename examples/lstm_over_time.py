"""An LSTM on drifting cells over a year, with drift compensation off, one factor for each ramp, one for each column.

The rows of a digit of 8 x 8 pixels are the steps; cells are phase-change memory. Drift shrinks all currents, so the
gates see too small sums. One factor, measured with test inputs at the time of reading, takes back the mean of it; trims
of the columns, on top, add nothing on this network. Bars: 95 % interval over chips. Data: digits of scikit-learn
(recorded); drift: Nandakumar et al., doi 10.1109/ICECS46596.2019.8964852; factors: ``mappings/compensation.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from digits import Digits, train
from lstm import Rows
from matplotlib.figure import Figure

import mho

MODES = {"off": "off", "one factor for each ramp": "global", "one for each column": "per_column"}
TIMES_S = {"0": 0.0, "1 day": 86400.0, "1 month": 2.592e6, "1 year": 3.1536e7}


def main() -> None:
    """Train once, then judge the same chips under each kind of compensation."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--steps", type=int, default=400, help="of training in float")
    ask.add_argument("--tests", type=int, default=200, help="images to judge by")
    ask.add_argument("--chips", type=int, default=4)
    ask.add_argument("--figure", type=Path, default=Path("lstm_over_time.svg"))
    given = ask.parse_args()

    torch.manual_seed(0)
    digits = Digits.read(None, given.tests)
    net = Rows(8)
    train(net, digits, given.steps, 1e-2)
    sets = ["weights.device=pcm", "ramp.device=pcm", "wires=null"]
    chip = mho.read_config("yang2025", mho.Chip, folder="chips", sets=sets).value

    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    for shift, (name, mode) in enumerate(MODES.items()):
        here = replace(chip, compensation=replace(chip.compensation, mode=mode))
        converted = mho.convert(net, here, example=digits.x[:256])
        judged = [(digits.x_test, digits.y_test)]
        rows = mho.evaluate(converted, judged, chips=given.chips, times_s=tuple(TIMES_S.values()))
        table = mho.compared(rows)
        ends = 100.0 * (table[["low", "high"]].sub(table["mean"], axis=0).abs().to_numpy().T)
        places = [place + 0.08 * (shift - 1) for place in range(len(TIMES_S))]
        axes.errorbar(places, 100.0 * table["mean"], ends, fmt="o-", capsize=3, label=name)
        print(
            f"{name:24}", ", ".join(f"{100 * mean:.1f} % ({t})" for mean, t in zip(table["mean"], TIMES_S, strict=True))
        )
    axes.axhline(100.0 * table["software"].iloc[0], color="0.4", linestyle="--", label="software")
    axes.set_xticks(range(len(TIMES_S)), list(TIMES_S))
    axes.set(xlabel="time since the cells were written", ylabel="digits right [%]")
    axes.legend(title="compensation")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
