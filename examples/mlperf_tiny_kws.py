"""The keyword network of MLPerf Tiny on analog chips: its accuracy over time, trained for them or not, and its cost.

    python examples/mlperf_tiny_kws.py --data FOLDER --chip hermes_core --bits 8 --train 500

FOLDER holds ``kws_dscnn_float.safetensors``, the weights of the SavedModel for keyword spotting in
github.com/mlcommons/tiny (commit 1afd2c9) under the names of ``ds_cnn``, and ``kws_reference.npz``: ``features (n, 49,
10)`` as ``ds_cnn_features`` gives them, ``labels (n,)`` in the order of ``LABELS`` and ``names (n,)`` as in Speech
Commands.

Chips are judged on the voices of every third speaker; training and calibration hear the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from mappings.chip import Chip, Compensation
from mappings.convert.training import HardwareTraining, train_for_hardware
from mho.network.convert import chip_named, convert
from workloads.network.ds_cnn import ds_cnn
from workloads.network.evaluate import accuracy, compared, evaluate
from workloads.network.model import fill
from workloads.recordings.speech_commands import speaker_of

HOUR_S, DAY_S = 3600.0, 86400.0
TIMES_S = (0.0, HOUR_S, DAY_S, 30 * DAY_S, 365 * DAY_S)
PERCENTILES = {5: 99.0, 6: 99.5}
"""Share of the values that a range holds, in percent: the fewer the codes, the more it pays to clip."""


@dataclass(frozen=True)
class Keywords:
    """The network, and clips: features ``x (n, 49, 10)``, classes ``y (n,)``, and ``heard (n,)``: which to train on."""

    net: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    heard: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Keywords:
        """From the two files of the folder."""
        net = ds_cnn()
        fill(net, folder / "kws_dscnn_float.safetensors")
        with np.load(folder / "kws_reference.npz") as held:
            features, labels, names = held["features"], held["labels"], held["names"]
        speakers = [speaker_of(str(name)) or str(name) for name in names]
        heard = ~np.isin(speakers, np.unique(speakers)[::3])
        return cls(net.eval(), torch.from_numpy(features), torch.from_numpy(labels.astype(np.int64)), heard)

    def judged(self, clips: int) -> np.ndarray:
        """About so many clips of other speakers, as many of each class as there are."""
        rows = np.flatnonzero(~self.heard)
        rows = rows[np.argsort(self.y.numpy()[rows], kind="stable")]
        return np.sort(rows[np.linspace(0, len(rows) - 1, min(clips, len(rows))).round().astype(int)])


def chip_at(name: str, bits: int) -> Chip:
    """A shipped chip or one of a file, its formats at so many bits, with drift compensation where its cells drift."""
    chip = chip_named(name)
    how = chip.compensation
    if how.mode == "off" and chip.drifts:
        how = Compensation(mode="per_column" if chip.readout == "ramp" else "global")
    adc, output = replace(chip.adc, bits=bits), replace(chip.output, bits=bits)
    return replace(chip, bits=bits, adc=adc, output=output, compensation=how)


def shown(
    of: Keywords, chip: Chip, *, clips: int, chips: int, times_s: Sequence[float], train: int
) -> tuple[pd.DataFrame, dict[str, float], dict[str, tuple[float, float]]]:
    """One row for each time, then the cost of one inference and its interval."""
    heard, rows = np.flatnonzero(of.heard), of.judged(clips)
    x, y, percentile = of.x[heard], of.y[heard], PERCENTILES.get(chip.bits, 99.9)
    net = convert(of.net, chip, example=x[:32]).calibrate(x[::3], percentile=percentile)
    if train:
        times = (times_s[0], times_s[-1]) if chip.drifts else (0.0,)
        how = HardwareTraining(steps=train, batch=min(128, len(x)), times_s=times)
        train_for_hardware(net, (x, y), nn.functional.cross_entropy, how, teacher=of.net)
        net.calibrate(x[::3], percentile=percentile)
    batches = list(zip(of.x[rows].split(64), of.y[rows].split(64), strict=True))
    found = evaluate(net, batches, chips=chips, times_s=times_s if chip.drifts else times_s[:1], reference=of.net)
    cost = net.cost(of.x[:1])
    return compared(found), cost.summary, cost.interval


def main(argv: Sequence[str] | None = None) -> None:
    """Print what chips make of the network."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, required=True, help="folder with the two files")
    ask.add_argument("--chip", default="hermes_core", help="name of a shipped chip, or a YAML file")
    ask.add_argument("--bits", type=int, default=8, help="of inputs and converters")
    ask.add_argument("--clips", type=int, default=240, help="to judge chips on")
    ask.add_argument("--chips", type=int, default=4)
    ask.add_argument("--train", type=int, default=0, help="steps of training for the chip")
    given = ask.parse_args(argv)
    of, chip = Keywords.read(given.data), chip_at(given.chip, given.bits)
    with torch.no_grad():
        print(f"float, {len(of.y)} clips: {accuracy(of.net(of.x), of.y):.2%}")
    table, cost, between = shown(of, chip, clips=given.clips, chips=given.chips, times_s=TIMES_S, train=given.train)
    areas, energies = between["area_m2"], between["energy_J"]
    print(table.round(4).to_string(index=False))
    print(f"area {cost['area_m2'] * 1e6:.3g} mm2 ({areas[0] * 1e6:.3g} to {areas[1] * 1e6:.3g})")
    print(f"energy {cost['energy_J'] * 1e6:.3g} uJ ({energies[0] * 1e6:.3g} to {energies[1] * 1e6:.3g})")
    print(f"latency {cost['latency_s'] * 1e3:.3g} ms")


if __name__ == "__main__":
    main()
