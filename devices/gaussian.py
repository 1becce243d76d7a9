"""A generic cell: Gaussian programming error and power-law drift, for what-if studies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt

from devices.base import Cells, Device
from devices.streams import ChipStreams


@dataclass(frozen=True, kw_only=True)
class Generic(Device):
    """Conductance with drift ``G(t) = G_prog (1 + t/t0)^-nu``, and no device behind it.

    Parameters
    ----------
    drift_mean, drift_sd : mean and spread over cells of the drift exponent nu, drawn once per cell [1]
    drift_t0_s : time constant of the drift [s]
    """

    g_min_S: float = 0.0
    g_max_S: float = 100e-6
    drift_mean: Annotated[float, Ge(0.0)] = 0.0
    drift_sd: Annotated[float, Ge(0.0)] = 0.0
    drift_t0_s: Annotated[float, Gt(0.0)] = 1.0

    @property
    def evolves(self) -> bool:
        """Whether a drift exponent is set."""
        return self.drift_mean > 0.0 or self.drift_sd > 0.0

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """Drift exponent of every cell."""
        if not self.evolves:
            return {}
        xi = rng.child("drift").normal_like(target_S)
        return {"nu": self.drift_mean + self.drift_sd * xi}

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Drifted conductance [S]."""
        if "nu" not in cells.state:
            return cells.programmed_S
        return cells.programmed_S * torch.exp(cells.state["nu"] * -math.log1p(t_s / self.drift_t0_s))


@dataclass(frozen=True, kw_only=True)
class Gaussian(Generic):
    """Generic cell with a Gaussian programming error.

    Parameters
    ----------
    sigma_absolute : part of the error's standard deviation that does not depend on the state, per ``g_max_S`` [1]
    sigma_proportional : part proportional to the target, added in quadrature [1]
    """

    kind: Literal["gaussian"] = "gaussian"
    sigma_absolute: Annotated[float, Ge(0.0)] = 0.0
    sigma_proportional: Annotated[float, Ge(0.0)] = 0.0

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """``sqrt((sigma_absolute g_max)^2 + (sigma_proportional g)^2)`` [S]."""
        flat = torch.full_like(target_S, self.sigma_absolute * self.g_max_S)
        if self.sigma_absolute == 0.0 or self.sigma_proportional == 0.0:
            return flat + self.sigma_proportional * target_S  # the root has no slope where both parts are zero
        return torch.hypot(flat, self.sigma_proportional * target_S)
