"""Retention: the slow loss of what was programmed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval

from devices.effects.effect import Draws, Effect, Marks, Window


def unit_mean(cell_sd: float, target_S: torch.Tensor, *, draws: Draws) -> torch.Tensor:
    """One positive factor a cell, log-normal, of mean 1 and standard deviation ``cell_sd``."""
    variance = math.log1p(cell_sd**2)
    xi = draws.programming.normal_like(target_S)
    return torch.exp(math.sqrt(variance) * xi - 0.5 * variance)


@dataclass(frozen=True, kw_only=True)
class Retention(Effect):
    """Relaxation toward a rest state, ``G(t) = G + (rest - G) f(t)``, at a pace ``k`` that differs from cell to cell.

    ``law: log``        ``f = k per_decade log10(1 + t / t0)``, at most 1;
    ``law: stretched``  ``f = 1 - exp(-(k t / tau)^beta)``.

    ``k`` is log-normal with mean 1, drawn at programming: a cell that relaxes fast in the first hour does so for the
    rest of its life. ``t`` is thermal age: a ``temperature`` effect with an ``ageing_energy_eV`` speeds it up. The two
    forms are those in which retention is usually plotted; all default numbers are estimates, of no device in
    particular.

    Parameters
    ----------
    rest_S : state toward which cells relax, ``g_min_S`` of the device where not given [S]
    per_decade : share of the way to the rest state lost in one decade of time [1]; t0_s : onset of the loss [s]
    tau_s : time constant [s];  beta : stretching exponent [1]
    cell_sd : standard deviation over cells of ``k`` [1]
    """

    kind: Literal["retention"] = "retention"
    stage: ClassVar[str] = "ageing"
    once: ClassVar[bool] = False

    law: Literal["log", "stretched"] = "log"
    rest_S: Annotated[float, Ge(0.0)] | None = None
    per_decade: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.01
    t0_s: Annotated[float, Gt(0.0)] = 1.0
    tau_s: Annotated[float, Gt(0.0)] = 1e9
    beta: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.3
    cell_sd: Annotated[float, Ge(0.0)] = 0.3

    @property
    def moves(self) -> bool:
        """Unless its amount is zero."""
        return self.law == "stretched" or self.per_decade > 0.0

    def marks(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Marks:
        """The pace of each cell."""
        return {"pace": unit_mean(self.cell_sd, target_S, draws=draws)}

    def aged_S(
        self, g_S: torch.Tensor, marks: Marks, window: Window, *, aged_s: float, elapsed_s: float
    ) -> torch.Tensor:
        """Conductance after relaxing for ``aged_s`` [S]."""
        if aged_s == 0.0:
            return g_S
        rest_S = window.g_min_S if self.rest_S is None else self.rest_S
        pace = marks["pace"]
        if self.law == "log":
            lost = (pace * (self.per_decade * math.log10(1.0 + aged_s / self.t0_s))).clamp_max(1.0)
        else:
            lost = -torch.expm1(-torch.exp(self.beta * (torch.log(pace) + math.log(aged_s / self.tau_s))))
        return g_S + (rest_S - g_S) * lost
