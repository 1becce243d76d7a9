"""Spread between cells and between programmings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge

from devices.effects.effect import Draws, Effect, Marks, Window


@dataclass(frozen=True, kw_only=True)
class ConductanceSpread(Effect):
    """A factor on what was programmed: one part belongs to the cell, the other to the programming.

    ``G = G_prog (1 + device_sd xi_cell) (1 + cycle_sd xi_cycle)``, not below zero, or with ``law: lognormal``
    ``G = G_prog exp(device_sd xi_cell - device_sd^2 / 2) exp(cycle_sd xi_cycle - cycle_sd^2 / 2)``, which has the same
    mean. ``xi_cell`` follows from the chip alone: a cell programmed again (``program(..., cycle=1)``) keeps it, while
    ``xi_cycle`` is new. Behind program-and-verify it models what verifying cannot see, such as another sense
    amplifier in the read path; what verifying does see, it removes.

    Parameters
    ----------
    device_sd : standard deviation of the factor from cell to cell [1]
    cycle_sd : standard deviation of the factor from programming to programming [1]
    law : ``gaussian`` or ``lognormal``
    """

    kind: Literal["spread"] = "spread"
    stage: ClassVar[str] = "cell"
    once: ClassVar[bool] = False

    device_sd: Annotated[float, Ge(0.0)] = 0.0
    cycle_sd: Annotated[float, Ge(0.0)] = 0.0
    law: Literal["gaussian", "lognormal"] = "gaussian"

    def marks(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Marks:
        """The product of both factors, per cell."""
        cell = draws.identity.child("device").normal_like(target_S)
        cycle = draws.programming.child("cycle").normal_like(target_S)
        return {"factor": self._factor(self.device_sd, cell) * self._factor(self.cycle_sd, cycle)}

    def _factor(self, sd: float, xi: torch.Tensor) -> torch.Tensor:
        if self.law == "lognormal":
            return torch.exp(sd * xi - 0.5 * sd**2)
        return (1.0 + sd * xi).clamp_min(0.0)

    def left_S(self, programmed_S: torch.Tensor, marks: Marks, window: Window) -> torch.Tensor:
        """Conductance times the cell's factor [S]."""
        return programmed_S * marks["factor"]
