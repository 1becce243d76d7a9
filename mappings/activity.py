"""What the simulated hardware did in a run: the part of a cost that depends on the data."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from crossbar import ArrayRead
from periphery.drivers import AnyDriver


@dataclass
class Activity:
    """What the hardware did: sums over chips, samples and steps, and how many of those there were.

    Numbers are added in double precision, and whole ones where drivers count (pulses, clock periods, comparator
    steps): those sums are exact, so they do not depend on how samples were batched. ``row_clocks``: ``(chips, rows)``,
    clock periods that each word line was driven, weighted by its voltage over V_read; ``valid``: samples
    of the present batch that count; the rest fill up its last block; ``running``: ``(n,)``, which of them still run,
    where sequences end at different steps; None for all; ``recorded``: pre-activations by group of columns,
    or None where they are not kept; ``projection``: of the matrix behind a hidden state.
    """

    samples: float = 0.0
    valid: int | None = None
    running: torch.Tensor | None = None
    sums: dict[str, float] = field(default_factory=dict)
    row_clocks: torch.Tensor | None = None
    recorded: dict[str, list[torch.Tensor]] | None = None
    projection: Activity | None = None

    def of_projection(self) -> Activity:
        """That of the matrix that projects a hidden state, for the same samples."""
        self.projection = self.projection or Activity()
        self.projection.valid, self.projection.running = self.valid, self.running
        return self.projection

    def counted(self, values: torch.Tensor) -> torch.Tensor:
        """Of values ``(chips, n, ...)`` those of samples that count."""
        values = values[:, : self.valid]
        return values if self.running is None else values[:, self.running[: self.valid]]

    def record(self, name: str, z: torch.Tensor) -> None:
        """Keep pre-activations, where they are recorded."""
        if self.recorded is not None:
            self.recorded.setdefault(name, []).append(z)

    def add(self, name: str, value: torch.Tensor) -> None:
        """Add all elements of ``value`` to one of the sums."""
        self.sums[name] = self.sums.get(name, 0.0) + float(value.sum(dtype=torch.float64))

    def drive(self, counts: torch.Tensor, driver: AnyDriver, bits: int) -> None:
        """Add what ``driver`` did for one product, ``counts (chips, samples, rows)``."""
        charge = driver.charge_counts(counts, bits).sum(1, dtype=torch.float64).cpu()
        self.add("row_pulses", driver.pulses(counts, bits))
        self.add("row_clocks", driver.driven_clocks(counts, bits))
        self.add("paired_clocks", driver.paired_clocks(counts, bits))
        self.row_clocks = charge if self.row_clocks is None else self.row_clocks + charge

    def mean_charge_S(self, array: ArrayRead) -> float:
        """Mean per step of what drivers supply [S clocks]; times ``V_read T_clk`` it is the charge."""
        if self.row_clocks is None:
            return 0.0
        return float(array.charge(self.row_clocks[:, None].float(), self.together).sum()) / max(self.samples, 1.0)

    @property
    def together(self) -> float:
        """Mean share of the other lines that are driven while one is [1]."""
        if self.row_clocks is None:
            return 0.0
        alone = float(self.row_clocks.sum()) * (self.row_clocks.shape[-1] - 1)
        return self.sums["paired_clocks"] / alone if alone > 0.0 else 0.0

    def mean(self, name: str) -> float:
        """Mean per step of one inference on one chip."""
        return self.sums.get(name, 0.0) / max(self.samples, 1.0)
