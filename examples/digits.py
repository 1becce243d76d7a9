"""Handwritten digits for the examples, training in float, and the figure of accuracy over time."""

from __future__ import annotations

import argparse
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import mho

HOUR_S, DAY_S, MONTH_S = 3600.0, 86400.0, 2592000.0
DRIFTS = ("compensation.mode=global",)
"""What is set of a chip whose cells drift, by default."""
TIMES_S = (0.0, HOUR_S, DAY_S, MONTH_S)


@dataclass(frozen=True)
class Digits:
    """Images ``x (n, rows, columns)`` from 0 to 1 and classes ``y (n,)`` to train on, ``x_test`` and ``y_test`` to
    judge by, and what they are."""

    x: torch.Tensor
    y: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    name: str

    @classmethod
    def read(cls, folder: Path | None, tests: int) -> Digits:
        """MNIST's idx files of a folder, else scikit-learn's digits; the last ``tests`` images are held out."""
        if folder is None:
            from sklearn.datasets import load_digits

            held = load_digits()
            images, classes, name = held.images / 16.0, held.target, "scikit-learn's 8 x 8 digits (recorded)"
        else:
            (pixels,), (labels,) = (sorted(folder.glob(f"*{what}*ubyte.gz")) for what in ("images", "labels"))
            classes = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)
            images = np.frombuffer(gzip.decompress(pixels.read_bytes()), np.uint8, offset=16)
            images, name = images.reshape(len(classes), 28, 28) / 255.0, f"MNIST, {len(classes)} images (recorded)"
        x, y = torch.tensor(images, dtype=torch.float32), torch.tensor(classes.astype(np.int64))
        return cls(x[:-tests], y[:-tests], x[-tests:], y[-tests:], name)


def asked(
    about: str, *, chip: str, steps: int, tests: int, figure: str, sets: Sequence[str] = (), train: int = 0
) -> argparse.Namespace:
    """What the command line asks for, and by default."""
    ask = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("MHO_DATA")
    ask.add_argument("--data", type=Path, default=data and Path(data), help="folder of MNIST's idx files (MHO_DATA)")
    ask.add_argument("--chip", default=chip, help="name of a shipped chip, or a YAML file")
    ask.add_argument("--set", nargs="*", default=sets, metavar="PATH=VALUE", help="what to change of the chip")
    ask.add_argument("--steps", type=int, default=steps, help="of training in float")
    if train:
        ask.add_argument("--train", type=int, default=train, help="steps of training for the chip")
    ask.add_argument("--tests", type=int, default=tests, help="images to judge by")
    ask.add_argument("--chips", type=int, default=8)
    ask.add_argument("--figure", type=Path, default=Path(figure), help="file of the figure")
    return ask.parse_args()


def train(net: torch.nn.Module, digits: Digits, steps: int, learning_rate: float = 3e-3) -> None:
    """Train in float, as any network of torch."""
    optimiser = torch.optim.Adam(net.parameters(), learning_rate)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)
    net.train()
    for _ in range(steps):
        batch = torch.randint(len(digits.x), (64,))
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(digits.x[batch]), digits.y[batch]).backward()
        optimiser.step()
        falling.step()
    net.eval()


def shown(rows: pd.DataFrame, converted: mho.ConvertedNetwork, digits: Digits, title: str, file: Path) -> None:
    """Print accuracy over time beside software and the cost of one image, and draw the former with its intervals.

    ``rows`` are those of ``mho.evaluate``.
    """
    title = f"{title}; {digits.name}"
    table = mho.compared(rows)
    software = table.software[0]
    print(f"{title}: software {software:.1%}")
    print(table.round(4).to_string(index=False))
    cost = converted.cost(digits.x_test[:1])
    found, (low_J, high_J) = cost.summary, cost.interval["energy_J"]
    print(f"energy {found['energy_J'] * 1e9:.3g} nJ ({low_J * 1e9:.3g} to {high_J * 1e9:.3g}) an image")
    print(f"latency {found['latency_s'] * 1e6:.3g} us, area {found['area_m2'] * 1e6:.3g} mm2")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(table))
    spread = np.abs(100 * table[["low", "high"]].to_numpy().T - 100 * table["mean"].to_numpy())
    chips = int(table["chips"].iloc[0])
    axes.errorbar(
        place, 100 * table["mean"], spread, fmt="o-", capsize=4, label=f"{chips} chips, mean and 95 % interval"
    )
    axes.axhline(100 * software, color="0.4", linestyle="--", label="software")
    axes.set_xticks(place, [{0.0: "0", HOUR_S: "1 hour", DAY_S: "1 day", MONTH_S: "30 days"}[t] for t in table["t_s"]])
    still = "" if table["drifts"].any() else " (no drift in their model)"
    axes.set(xlabel=f"time since the cells were written{still}", ylabel="test images right (%)")
    axes.set_title(title, fontsize=9)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(file, dpi=150)
