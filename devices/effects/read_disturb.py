"""Read disturb: every read pulse moves a cell a little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge

from devices.effects.effect import Draws, Effect, Marks, Window
from devices.effects.retention import unit_mean


@dataclass(frozen=True, kw_only=True)
class ReadDisturb(Effect):
    """Shift by the reads since programming, ``G(N) = end + (G - end) exp(-x)``, ``N = reads_per_s t``.

    ``law: log``     ``x = k shift log10(1 + N)``, ``shift`` being the share of the way in one decade of reads;
    ``law: linear``  ``x = k shift N``, the share of the way in one read.

    ``k`` is log-normal over cells with mean 1. Off unless both ``reads_per_s`` and ``shift`` are set: that states move
    is measured (936 weights through 1e6 reads at 0.2 V: Yao et al., Nature 577, 641 (2020), Extended Data Fig. 7, doi
    10.1038/s41586-020-1942-4), but no law or number of it is established here, so form and amount are the user's
    estimate.

    Parameters
    ----------
    reads_per_s : read pulses that a cell sees in one second [1/s]
    shift : share of the way to ``end_S`` in one decade of reads, or in one read [1]
    end_S : where reads drive a cell, ``g_max_S`` of the device where not given (reads of SET polarity) [S]
    cell_sd : standard deviation over cells of ``k`` [1]
    """

    kind: Literal["read_disturb"] = "read_disturb"
    stage: ClassVar[str] = "ageing"

    law: Literal["log", "linear"] = "log"
    reads_per_s: Annotated[float, Ge(0.0)] = 0.0
    shift: Annotated[float, Ge(0.0)] = 0.0
    end_S: Annotated[float, Ge(0.0)] | None = None
    cell_sd: Annotated[float, Ge(0.0)] = 0.0

    @property
    def moves(self) -> bool:
        """Where both the rate of reads and the shift are set."""
        return self.reads_per_s > 0.0 and self.shift > 0.0

    def marks(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Marks:
        """How easily each cell is disturbed."""
        return {"pace": unit_mean(self.cell_sd, target_S, draws=draws)}

    def aged_S(
        self, g_S: torch.Tensor, marks: Marks, window: Window, *, aged_s: float, elapsed_s: float
    ) -> torch.Tensor:
        """Conductance after the reads of ``elapsed_s`` seconds on the clock [S]."""
        if not self.moves or elapsed_s == 0.0:
            return g_S
        reads = self.reads_per_s * elapsed_s
        way = self.shift * (math.log10(1.0 + reads) if self.law == "log" else reads)
        end_S = window.g_max_S if self.end_S is None else self.end_S
        return end_S + (g_S - end_S) * torch.exp(-way * marks["pace"])
