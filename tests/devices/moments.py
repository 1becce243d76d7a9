"""Shared by the tests of devices: many cells at one target, and moments from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from devices import Cells, ChipStreams, Device, Stream

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "reference" / "device_moments.json").read_text())
MILLION = 1_000_000
DAY_S = 86400.0


def at_level(device: Device, target_S: float, samples: int = MILLION) -> Cells:
    """Cells of one chip, all programmed to one target."""
    rng = ChipStreams.of(Stream.root(21).child(f"{target_S:g}"), 1)
    return device.program(torch.full((1, samples), target_S, dtype=torch.float64), rng=rng)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Correlation coefficient over cells."""
    return float(torch.corrcoef(torch.stack([a.flatten().double(), b.flatten().double()]))[0, 1])
