"""Training for the chip regains what a harsh chip loses: spoken words, formats of 4 bits, before and after.

    python examples/hardware_training.py --data FOLDER_OF_SPEECH_COMMANDS

Two chips: cells written by one pulse without verify (``rram_superT_unverified``, in weights and ramp), judged at once;
and phase-change memory whose drift nothing compensates, with a ramp that does not drift, judged 30 days after it was
written. Speakers who judge are heard neither in training nor in calibration. Without ``--data`` (or ``MHO_DATA``) the
words are synthetic (extra ``speech``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import mho
from devices import Stream
from workloads.kws.prepare import prepared, recordings
from workloads.running import RunOptions
from workloads.statistics import interval

DAY_S, MONTH_S = 86400.0, 2592000.0
CHIPS = {
    "unverified": (("weights.device=rram_superT_unverified", "ramp.device=rram_superT_unverified"), (0.0,)),
    "PCM, drifting": (("weights.device=pcm", "compensation.mode=off"), (0.0, DAY_S, MONTH_S)),
}
"""What is changed of ``yang2025``, and times of judging: training spans them, and the last one counts [s]."""


class Keywords(nn.Module):
    """An LSTM over the frames of a clip, and the mean of a linear layer over the last half of them."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.cells, self.read = nn.LSTM(40, units, batch_first=True), nn.Linear(units, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classes of features ``(n, frames, 40)``."""
        states, _ = self.cells(x)
        return self.read(states[:, -24:].mean(1))


@dataclass(frozen=True)
class Speech:
    """Features ``(n, frames, 40)`` in [-1, 1] and classes, to train on and of other speakers, and what they are."""

    x: torch.Tensor
    y: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    name: str

    @classmethod
    def read(cls, data: Path | None, copies: int) -> Speech:
        """As the workload ``kws`` prepares them, with so many varied copies of every clip to train on."""
        sets = [f"features.augmentation.copies={copies}"]
        how = mho.read_config("kws", mho.KeywordSpotting, folder="experiments", sets=sets).value
        clips, features, _ = recordings(how.data, how.features.mfcc, data)
        split = prepared(how, RunOptions(data=data), 0, clips, features, rng=Stream.root(0))
        x, y = split.batches.x.flatten(0, 1).float(), split.batches.y.repeat(1 + copies)
        kind = "synthetic" if clips.origin.synthetic else "recorded"
        return cls(x, y, split.x_test, split.y_test, f"{clips.origin.name} ({kind}), {len(clips)} clips")


def train(net: nn.Module, of: Speech, steps: int) -> None:
    """Train in float, clips moved by up to three frames and with a little noise."""
    optimiser = torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=0.01)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for _ in range(steps):
        batch = torch.randint(len(of.x), (128,))
        moved = torch.roll(of.x[batch], int(torch.randint(-3, 4, (1,))), 1)
        optimiser.zero_grad()
        cross_entropy(net(moved + 0.05 * torch.randn(moved.shape)), of.y[batch], label_smoothing=0.1).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        falling.step()


def regained(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """One row for each time: means before and after and the share regained, intervals over the same chips."""
    software, rows = float(before.accuracy[before.stage == "software"].iloc[0]), []
    for t_s in before.t_s[before.stage == "chips"].unique():
        lost, kept = (one.accuracy[(one.stage == "chips") & (one.t_s == t_s)].to_numpy() for one in (before, after))
        row: dict[str, float] = {"t_s": float(t_s), "software": software}
        shares = (kept - lost) / (software - lost.mean())
        for name, values in (("before", lost), ("after", kept), ("regained", shares)):
            row[name], row[f"{name}_low"], row[f"{name}_high"] = interval(values)
        rows.append(row)
    return pd.DataFrame(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Train in float, judge on both chips, train for each, judge again."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, help="folder or archive of Speech Commands")
    ask.add_argument("--bits", type=int, default=4, help="of inputs and of ramps")
    ask.add_argument("--units", type=int, default=48)
    ask.add_argument("--copies", type=int, default=3, help="varied copies of every clip, to train on")
    ask.add_argument("--float-steps", type=int, default=2000)
    ask.add_argument("--steps", type=int, default=1000, help="of training for the chip")
    ask.add_argument("--chips", type=int, default=16)
    given = ask.parse_args(argv)

    torch.manual_seed(0)
    net, of = Keywords(given.units), Speech.read(given.data, given.copies)
    train(net, of, given.float_steps)
    judged = [(of.x_test, of.y_test)]
    print(f"{of.name}; judged by {len(of.y_test)} of other speakers, {given.chips} chips")

    for name, (sets, times_s) in CHIPS.items():
        changed = (f"bits={given.bits}", *sets)
        chip = mho.read_config("yang2025", mho.Chip, folder="chips", sets=changed).value
        converted = mho.convert(net, chip, example=of.x[:512])
        before = mho.evaluate(converted, judged, chips=given.chips, times_s=times_s, reference=net)

        # Every step meets the errors of a freshly written chip at a time of its own; the network in float teaches.
        how = mho.HardwareTraining(steps=given.steps, learning_rate=3e-3, times_s=(times_s[0], times_s[-1]))
        mho.train_for_hardware(converted, (of.x, of.y), cross_entropy, how, teacher=net)
        converted.calibrate(of.x[:512], ranges=False)
        after = mho.evaluate(converted, judged, chips=given.chips, times_s=times_s, reference=net)
        print(f"\n{name}, {given.bits} bits\n{regained(before, after).round(3).to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
