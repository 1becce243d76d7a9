"""A device of one's own, in Python and then in YAML: a cell that relaxes exponentially.

The class answers two questions (the error of programming, the course over time); one line puts it into the registry,
and from then on a YAML record may name it, with its own numbers. The figure shows the cells of the Python object and
those of the record, whose time constant is ten times shorter. The numbers are estimates, made up for this page.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from matplotlib.figure import Figure

import mho
from devices import AnyDevice

RECORD = """
kind: relaxing
description: The same cell with a shorter time constant
status: estimate
tau_s: 1.0e+4
"""
TIMES_S = torch.logspace(0, 6, 25).tolist()


@dataclass(frozen=True, kw_only=True)
class Relaxing(mho.Device):
    """``g(t) = g_min + (g - g_min) exp(-t / tau)``; ``error``: standard deviation of programming by target [1]."""

    kind: Literal["relaxing"] = "relaxing"
    g_min_S: float = 1e-6
    g_max_S: float = 100e-6
    error: Annotated[float, Ge(0.0)] = 0.02
    tau_s: Annotated[float, Gt(0.0)] = 1e5

    @property
    def evolves(self) -> bool:
        """It does."""
        return True

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Proportional to the target."""
        return self.error * target_S

    def evolve_S(self, cells: mho.Cells, t_s: float) -> torch.Tensor:
        """The exponential."""
        left = torch.exp(torch.tensor(-t_s / self.tau_s))
        return self.g_min_S + (cells.programmed_S - self.g_min_S) * left


def main() -> None:
    """Register, read the record, draw both."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--cells", type=int, default=200)
    ask.add_argument("--figure", type=Path, default=Path("own_device.svg"))
    given = ask.parse_args()

    mho.DEVICES["relaxing"] = Relaxing
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mine.yaml"
        file.write_text(RECORD, encoding="utf-8")
        by_record = mho.read_config(file, AnyDevice).value
    shown = {"in Python, τ = 10⁵ s": Relaxing(), f"in YAML, τ = {by_record.tau_s:g} s": by_record}

    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    rng = mho.ChipStreams.of(mho.Stream.root(0), 1)
    for colour, (name, device) in zip(("C0", "C1"), shown.items(), strict=True):
        cells = device.program(torch.full((1, given.cells), 80e-6), rng=rng)
        read_uS = torch.stack([device.conductance_S(cells, t_s)[0] * 1e6 for t_s in TIMES_S])
        low, high = torch.quantile(read_uS, torch.tensor([0.05, 0.95]), dim=1)
        axes.fill_between(TIMES_S, low, high, color=colour, alpha=0.3, linewidth=0)
        axes.semilogx(TIMES_S, read_uS.median(1).values, color=colour, label=name)
        print(f"{type(device).__name__}, tau {device.tau_s:g} s: {float(read_uS[-1].median()):.2f} uS after 10^6 s")
    axes.set(xlabel="time since the cells were written [s]", ylabel="conductance [µS]", ylim=(0.0, None))
    axes.legend()
    figure.savefig(given.figure)
    del mho.DEVICES["relaxing"]


if __name__ == "__main__":
    main()
