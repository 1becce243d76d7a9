"""Training for the chip regains what a harsh chip loses: spoken words, cells of 4 bits, before and after.

    python examples/hardware_training.py --data FOLDER_OF_SPEECH_COMMANDS

Two chips: cells written by one pulse without verify (``rram_superT_unverified``, in weights and ramp), judged at once;
and phase-change memory whose drift nothing compensates, judged 30 days after it was written. The speakers that judge
are heard neither in training nor in calibration. Without ``--data`` (or ``MHO_DATA``) the words are synthetic.
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
from torch.nn.functional import cross_entropy

import mho
from devices import Stream
from workloads.kws.prepare import clips_of, recordings
from workloads.kws.prepare import prepared as split_of
from workloads.running import RunOptions

MONTH_S = 2592000.0


class Keywords(nn.Module):
    """An LSTM over the frames of a clip, and the mean of a linear layer over the last half of them."""

    def __init__(self, units: int, classes: int) -> None:
        super().__init__()
        self.cells, self.read = nn.LSTM(40, units, batch_first=True), nn.Linear(units, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classes of features ``(n, frames, 40)``."""
        states, _ = self.cells(x)
        return self.read(states[:, -24:].mean(1))
