"""Mushroom-type phase-change memory: programming noise, drift with an exponent per cell, accumulated 1/f noise.

With r = G_target / g_max and L = ln r (conductances in uS, times in s):

(1) programming    sigma = (0.26348 + 1.9650 r - 1.1731 r^2) g_max / 25
(2) drift          G_d(t) = G_prog (T / t0)^-nu,  T = t + t0,  nu = |mu + sd xi|, drawn once per cell
                   mu = clip(-0.0155 L + 0.0244, 0.049, 0.1),  sd = clip(-0.0125 L - 0.0059, 0.008, 0.045)
(3) 1/f noise      sigma(T) = G_d Q sqrt(u(T)),  u(T) = ln((T + t_read) / (2 t_read)),  Q = min(0.0088 r^-0.65, 0.2)

Sources: Nandakumar et al., ICECS 2019, doi 10.1109/ICECS46596.2019.8964852; Joshi et al., Nat. Commun. 11, 2473 (2020),
doi 10.1038/s41467-020-16108-9; coefficients as published with aihwkit's PCM-like noise model (Rasch et al., 2021).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt

from devices import slow_noise
from devices.base import Cells
from devices.fits import R_FLOOR
from devices.slow_noise import SlowlyNoisy
from devices.streams import ChipStreams


@dataclass(frozen=True, kw_only=True)
class PhaseChange(SlowlyNoisy):
    """Phase-change cell with power-law drift and accumulated 1/f noise, as one trajectory per cell.

    The published models give the marginal distribution of the 1/f noise at one time. Here the accumulated noise of a
    cell is one path (``devices.slow_noise``): correlation ``sqrt(u1 / u2)`` between two times, 0.94 between one hour
    and one day.

    Parameters
    ----------
    drift_scale : multiplies nu; 0 is off [1]
    read_noise_S : fast read noise of one read, a separate parameter (not in the published models) [S]
    t0_s : time between programming and the first read [s]
    """

    drift_scale: Annotated[float, Ge(0.0)] = 1.0
    t0_s: Annotated[float, Gt(0.0)] = 20.0
    t_read_s: Annotated[float, Gt(0.0)] = 250e-9
    read_voltage_max_V: Annotated[float, Gt(0.0)] | None = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.t0_s < self.t_read_s:
            raise ValueError(f"t0_s must be at least t_read_s = {self.t_read_s:g} s (got {self.t0_s:g} s)")

    @property
    def evolves(self) -> bool:
        """True unless drift and 1/f noise are both switched off."""
        return self.drift_scale > 0.0 or self.slow_noise_scale > 0.0

    @abstractmethod
    def drift_moments(self, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the drift exponent at relative targets ``r > 0`` [1, 1]."""

    @abstractmethod
    def slow_ratio(self, r: torch.Tensor) -> torch.Tensor:
        """Q: 1/f noise per conductance and ``sqrt(u)`` at relative programmed conductances ``r >= 0`` [1]."""

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """Drift exponent of every cell, from its target."""
        mean, spread = self.drift_moments((target_S / self.g_max_S).clamp_min(R_FLOOR))
        xi = rng.child("drift").normal_like(target_S)
        return {"nu": (mean + spread * xi).abs() * self.drift_scale}

    def log_time(self, t_s: float) -> float:
        """``u(t + t0)`` [1]: the variance that 1/f noise has accumulated, in units of Q^2."""
        return slow_noise.accumulated(t_s + self.t0_s, self.t_read_s)

    def slow_path(self, cells: Cells, t_s: float) -> torch.Tensor:
        """W(u(t)) of every cell: variance exactly ``u``, the same path whenever it is asked for."""
        return slow_noise.slow_path(cells.slow, cells.programmed_S, t_s, self.log_time)

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Drift, and 1/f noise on what is left [S]."""
        drifted = cells.programmed_S
        if t_s > 0.0:
            drifted = drifted * torch.exp(cells.state["nu"] * -math.log((t_s + self.t0_s) / self.t0_s))
        if self.slow_noise_scale == 0.0:
            return drifted
        q = self.slow_ratio(cells.programmed_S / self.g_max_S) * self.slow_noise_scale
        return (drifted + drifted * q * self.slow_path(cells, t_s)).clamp_min_(0.0)


@dataclass(frozen=True, kw_only=True)
class PCM(PhaseChange):
    """Phase-change cell by the polynomials of Nandakumar and Joshi, (1) to (3)."""

    kind: Literal["pcm"] = "pcm"
    g_min_S: float = 0.0
    g_max_S: float = 25e-6

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Equation (1) [S]."""
        r = target_S / self.g_max_S
        return (0.26348 + 1.9650 * r - 1.1731 * r**2) * (self.programming_scale * self.g_max_S / 25.0)

    def drift_moments(self, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and spread of equation (2) [1, 1]."""
        log_r = torch.log(r)
        return (-0.0155 * log_r + 0.0244).clamp(0.049, 0.1), (-0.0125 * log_r - 0.0059).clamp(0.008, 0.045)

    def slow_ratio(self, r: torch.Tensor) -> torch.Tensor:
        """Q of equation (3) [1]."""
        # Not `pow`: at the end of a tensor it rounds otherwise than inside, so more chips would move the first ones.
        return (0.0088 / torch.exp(0.65 * torch.log(r)).clamp_min(1e-3)).clamp_max(0.2)
