"""A generic cell whose conductance is log-normal: never negative, and skewed where the spread is large.

At a target g, with xi a standard normal number of the cell:

(1) conductance   G = g exp(s xi - s^2 / 2),  of mean g and standard deviation g sqrt(exp(s^2) - 1)
(2) spread        s^2 = sigma_ln^2 + ln(1 + (sigma_absolute g_max / g)^2)

With ``sigma_ln`` alone the spread is proportional to the level; with ``sigma_absolute`` alone the standard deviation
of G is ``sigma_absolute g_max`` at every level. A target of 0 stays 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge

from devices.fits import R_FLOOR
from devices.gaussian import Generic
from devices.streams import ChipStreams


@dataclass(frozen=True, kw_only=True)
class LogNormal(Generic):
    """Generic cell with a log-normal conductance after programming, by equations (1) and (2).

    Parameters
    ----------
    sigma_ln : standard deviation of ln G, the same at every level: a spread proportional to the target [1]
    sigma_absolute : standard deviation of G per ``g_max_S``, the same at every level [1]
    """

    kind: Literal["lognormal"] = "lognormal"
    sigma_ln: Annotated[float, Ge(0.0)] = 0.0
    sigma_absolute: Annotated[float, Ge(0.0)] = 0.0

    def variance_ln(self, target_S: torch.Tensor) -> torch.Tensor:
        """``s^2`` of equation (2) [1]."""
        ratio = self.sigma_absolute / (target_S / self.g_max_S).clamp_min(R_FLOOR)
        return self.sigma_ln**2 + torch.log1p(ratio * ratio)

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """``g sqrt(exp(s^2) - 1)`` [S]."""
        return target_S * torch.sqrt(torch.expm1(self.variance_ln(target_S)))

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """Equation (1) [S]."""
        xi = rng.child("error").normal_like(target_S)
        variance = self.variance_ln(target_S)
        return target_S * torch.exp(torch.sqrt(variance) * xi - 0.5 * variance)
