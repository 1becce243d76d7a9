"""What the simulated hardware was seen doing: the part of a cost that depends on the data."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass
class Activity:
    """What the hardware was seen doing: sums over chips, samples and steps, and how many of those there were.

    ``valid``: samples of the present batch that count; the rest fill up its last block.
    """

    samples: float = 0.0
    valid: int | None = None
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: torch.Tensor | float) -> None:
        """Add to one of the sums."""
        self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def mean(self, name: str) -> float:
        """Mean per step of one inference on one chip."""
        return self.sums.get(name, 0.0) / max(self.samples, 1.0)
