"""A sweep of bits x noise into pandas: effective bits of a ramp against the comparator's noise and the resolution.

The sheet is what ``mho sweep sheet.yaml`` takes; ``mho.run_sweep`` runs it from Python and hands back the table, here
pivoted into lines. A quiet comparator gives the bits that one asks for; at 10 mV none gives four, and more bits asked
for are fewer bits got, since finer steps are passed more than once. Effective bits by a sine fit behind the function:
IEEE Std 1241-2010, doi 10.1109/IEEESTD.2011.5692956 (``periphery/ramp/characterise.py``).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

import mho

SHEET = """
description: Effective bits of a sigmoid ramp against the comparator's noise
base: {{kind: nladc, function: sigmoid, ramp: {{device: rram_taox}}, chips: {chips}}}
axes:
  bits: {{first: 3, last: 7, step: 1}}
  comparator.noise_V: {{first: 1e-4, last: 3e-2, count: {points}, scale: log}}
outputs: [enob, error_max_lsb]
"""


def main() -> None:
    """Run the sheet, pivot the table, draw."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--chips", type=int, default=8)
    ask.add_argument("--points", type=int, default=6, help="values of the noise")
    ask.add_argument("--figure", type=Path, default=Path("bits_and_noise.svg"))
    given = ask.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder) / "sheet.yaml"
        sheet.write_text(SHEET.format(chips=given.chips, points=given.points), encoding="utf-8")
        found = mho.run_sweep(str(sheet), output=Path(folder) / "sweep").table
    table = found.pivot(index="comparator.noise_V", columns="bits", values="enob")
    print(table.round(2).to_string())

    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    table.plot(ax=axes, logx=True, marker="o")
    axes.set(xlabel="noise of the comparator [V], rms", ylabel="effective bits")
    axes.legend(title="bits asked for")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
