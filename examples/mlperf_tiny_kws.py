"""The keyword network of MLPerf Tiny on analog chips: its accuracy over time, trained for them or not, and its cost.

    python examples/mlperf_tiny_kws.py --data FOLDER --chip yang2025 hermes_core --bits 8 6 5 --train 0 400 --keep KEPT

FOLDER holds ``kws_dscnn_float.safetensors``, the weights of the SavedModel for keyword spotting in
github.com/mlcommons/tiny (commit 1afd2c9) under the names of ``ds_cnn``, and ``kws_reference.npz``: ``features (n, 49,
10)`` as ``ds_cnn_features`` gives them, ``labels (n,)`` in the order of ``LABELS`` and ``names (n,)`` as in Speech
Commands. KEPT is a folder that keeps checkpoints of trainings and what was printed of each chip: the same command goes
on from there. Take another folder when a chip or the code changes.

Chips are judged on the voices of every third speaker; training and calibration hear the others.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mappings.chip import Chip
from mappings.convert.converted import ConvertedNetwork
from mappings.convert.cost import NetworkCost
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
COLUMNS = (
    *("t_s", "chips", "mean", "low", "high", "p05", "software", "trained", "quantised"),
    *("minus_software", "minus_software_low", "minus_software_high", "minus_trained"),
)


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
    """A shipped chip or one of a file, its formats at so many bits; every column has a scale of its own, and a factor
    and an offset that are fitted to the layer's own inputs."""
    chip = chip_named(name)
    how = replace(chip.compensation, mode="affine", baseline="exact", vectors=256)
    weights = replace(chip.weights, encoding=replace(chip.weights.encoding, scale="column"))
    adc, output = replace(chip.adc, bits=bits), replace(chip.output, bits=bits)
    return replace(chip, bits=bits, adc=adc, output=output, compensation=how, weights=weights)


@dataclass(frozen=True)
class Trial:
    """One chip: what the network is trained by on it (``steps`` 0 for not at all) and judged by; ``digital``: patterns
    over layers that stay off tiles; ``kept``: folder of its checkpoint and of what was found."""

    chip: Chip
    steps: int
    clips: int
    chips: int
    digital: Sequence[str] = ()
    device: str = "cpu"
    kept: Path | None = None

    def net(self, of: Keywords) -> ConvertedNetwork:
        """The network on this chip, with ranges by clips that it may hear."""
        heard = np.flatnonzero(of.heard)
        x, y, percentile = of.x[heard], of.y[heard], PERCENTILES.get(self.chip.bits, 99.9)
        net = convert(of.net, self.chip, example=x[:32], digital=self.digital)
        net.calibrate(x[::3], percentile=percentile)
        if not self.steps:
            return net
        self._train(net, x.to(self.device), y.to(self.device), copy.deepcopy(of.net).to(self.device))
        return net.calibrate(x[::3], percentile=percentile)

    def _train(self, net: ConvertedNetwork, x: torch.Tensor, y: torch.Tensor, teacher: nn.Module) -> None:
        """Train for freshly written chips and, where cells drift, for those of any age up to a year."""
        how = HardwareTraining(
            steps=self.steps,
            batch=min(128, len(x)),
            learning_rate=5e-4,
            teacher_weight=0.8,
            clip_sd=None,  # every column has its own scale, and a few large weights take nothing from the others
            times_s=(TIMES_S[0], TIMES_S[-1]) if self.chip.drifts else (0.0,),
        )
        net.to(self.device)
        train_for_hardware(net, (x, y), nn.functional.cross_entropy, how, teacher=teacher, checkpoint=self.kept)
        net.cpu()

    def shown(self, of: Keywords) -> str:
        """One row for each time, and the cost of one inference."""
        found = None if self.kept is None else self.kept / f"{self.clips}_clips_{self.chips}_chips.txt"
        if found is not None and found.exists():
            return found.read_text()
        net, rows = self.net(of), of.judged(self.clips)
        batches = list(zip(of.x[rows].split(64), of.y[rows].split(64), strict=True))
        times_s = TIMES_S if self.chip.drifts else TIMES_S[:1]
        chips = net.program(self.chips, device=self.device)
        table = compared(evaluate(net, batches, chips=chips, times_s=times_s, reference=of.net))
        text = f"{table[[name for name in COLUMNS if name in table]].round(4).to_string(index=False)}\n"
        text += priced(net.cost(of.x[:1]))
        if found is not None:
            found.parent.mkdir(parents=True, exist_ok=True)
            part = found.with_suffix(".part")
            part.write_text(text)
            part.replace(found)
        return text


def priced(cost: NetworkCost) -> str:
    """Area, energy and latency of one inference, with the intervals of the prices."""
    areas, energies = cost.interval["area_m2"], cost.interval["energy_J"]
    return (
        f"area {cost.summary['area_m2'] * 1e6:.3g} mm2 ({areas[0] * 1e6:.3g} to {areas[1] * 1e6:.3g})\n"
        f"energy {cost.summary['energy_J'] * 1e6:.3g} uJ ({energies[0] * 1e6:.3g} to {energies[1] * 1e6:.3g})\n"
        f"latency {cost.summary['latency_s'] * 1e3:.3g} ms"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print what chips make of the network."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, required=True, help="folder with the two files")
    ask.add_argument("--chip", nargs="+", default=["hermes_core"], help="names of shipped chips, or YAML files")
    ask.add_argument("--bits", nargs="+", type=int, default=[8], help="of inputs and converters")
    ask.add_argument("--clips", type=int, default=240, help="to judge chips on")
    ask.add_argument("--chips", type=int, default=4)
    ask.add_argument("--train", nargs="+", type=int, default=[0], help="steps of training for the chip")
    ask.add_argument("--digital", nargs="+", default=[], help="patterns over layers that stay digital: *.depthwise")
    ask.add_argument("--device", default="cpu", help="where to train, and where chips compute")
    ask.add_argument("--keep", type=Path, help="folder for checkpoints and what was found")
    given = ask.parse_args(argv)
    of = Keywords.read(given.data)
    with torch.no_grad():
        print(f"float, {len(of.y)} clips: {accuracy(of.net(of.x), of.y):.2%}")
    apart = ", digital " + " ".join(given.digital) if given.digital else ""
    for name, bits, steps in itertools.product(given.chip, given.bits, given.train):
        what = f"{name}, {bits} bits{apart}, {f'{steps} steps of training' if steps else 'as given'}"
        kept = None if given.keep is None else given.keep / re.sub(r"[^\w.]+", "_", what)
        trial = Trial(chip_at(name, bits), steps, given.clips, given.chips, given.digital, given.device, kept)
        print(f"{what}\n{trial.shown(of)}", flush=True)


if __name__ == "__main__":
    main()
