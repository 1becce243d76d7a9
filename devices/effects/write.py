"""What writing an array took: iterations, energy and time of every cell, and of the array with so many at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class WriteCost:
    """Energy [J] and time [s] of writing whole chips, each of shape ``(chips,)``."""

    energy_J: torch.Tensor
    time_s: torch.Tensor


@dataclass(frozen=True)
class WriteRecord:
    """What it took to write each cell. All tensors have shape ``(chips, ..., rows, columns)``.

    ``iterations``: pulses until a verify read was content, or until the limit; ``converged``: whether it was content;
    ``energy_J`` and ``time_s``: of the pulses and verify reads of this cell; ``resets``: times that it was set back.
    """

    iterations: torch.Tensor
    converged: torch.Tensor
    energy_J: torch.Tensor
    time_s: torch.Tensor
    resets: torch.Tensor

    @property
    def not_converged_share(self) -> float:
        """Share of cells on which verifying gave up [1]."""
        return 1.0 - float(self.converged.double().mean())

    def histogram(self) -> torch.Tensor:
        """Number of cells that took 0, 1, 2, ... pulses, over all chips."""
        return torch.bincount(self.iterations.flatten())

    def total(self, *, rows_at_once: int = 1, columns_at_once: int = 1) -> WriteCost:
        """Energy and time of each whole chip, with blocks of rows and columns written at once.

        Leading dimensions (the planes of a pair, tiles) are written one after the other. A block is done when its
        slowest cell is done; cells that are done earlier wait, and take no energy.
        Raises ValueError for a block without cells.
        """
        if rows_at_once < 1 or columns_at_once < 1:
            raise ValueError(
                f"rows_at_once and columns_at_once must be at least 1 (got {rows_at_once}, {columns_at_once})"
            )
        chips = self.time_s.shape[0]
        time_s = self.time_s.double()
        rows = time_s.shape[-2] if time_s.dim() > 2 else 1
        time_s = time_s.reshape(chips, -1, rows, time_s.shape[-1] if time_s.dim() > 1 else 1)
        spare = (0, -time_s.shape[-1] % columns_at_once, 0, -rows % rows_at_once)
        blocks = torch.nn.functional.pad(time_s, spare).unfold(2, rows_at_once, rows_at_once)
        slowest = blocks.unfold(3, columns_at_once, columns_at_once).amax(dim=(-2, -1))
        return WriteCost(self.energy_J.double().reshape(chips, -1).sum(1), slowest.reshape(chips, -1).sum(1))
