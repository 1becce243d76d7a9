"""What writing B took, where the device models it as a loop of pulses and verify reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from devices import Cells


@dataclass(frozen=True)
class Written:
    """Energy of all cells [J], and time with arrays written side by side, pass after pass [s]."""

    energy_J: float
    time_s: float


@dataclass(frozen=True)
class TileWrites:
    """Energy [J] and time [s] of each tile, gathered while tiles are programmed."""

    energy_J: list[float]
    time_s: list[float]

    def add(self, cells: Cells, rows_at_once: int) -> None:
        """Tiles ``(tiles, planes, rows, columns)``; planes stand side by side on a word line, written together."""
        if cells.write is None:
            return
        record = replace(
            cells.write,
            **{
                name: getattr(cells.write, name).transpose(1, 2).flatten(2)
                for name in ("iterations", "converged", "energy_J", "time_s", "resets")
            },
        )
        cost = record.total(rows_at_once=rows_at_once, columns_at_once=record.time_s.shape[-1])
        self.energy_J.extend(cost.energy_J.tolist())
        self.time_s.extend(cost.time_s.tolist())

    def total(self, tiles_a_pass: int) -> Written | None:
        """All of them; None where writing is not modelled."""
        if not self.energy_J:
            return None
        times: Sequence[float] = self.time_s
        passes = [max(times[first : first + tiles_a_pass]) for first in range(0, len(times), tiles_a_pass)]
        return Written(float(torch.tensor(self.energy_J, dtype=torch.float64).sum()), sum(passes))
