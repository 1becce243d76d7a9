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
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt

from devices.base import Cells, Device
from devices.streams import ChipStreams

R_FLOOR = 1e-7  # keeps the logarithm finite at r = 0, as published
SLOW_KNOTS_S = (0.0, 60.0, 3600.0, 86400.0, 2592000.0, 31536000.0, 315360000.0)


@dataclass(frozen=True, kw_only=True)
class PCM(Device):
    """Phase-change cell by the published polynomials, as one trajectory per cell.

    The published model gives the marginal distribution of the 1/f noise at one time. Here the accumulated noise of a
    cell is one path: ``n(t) = Q W(u(t))`` with W a Brownian motion in ``u``, which has the published variance at every
    time and the correlation ``sqrt(u1 / u2)`` between two times (0.94 between one hour and one day). W is drawn at a
    few knots and interpolated between them with the variance restored, so any time can be asked in any order.

    Parameters
    ----------
    programming_scale, drift_scale, slow_noise_scale : multiply (1), nu and (3); 0 switches a term off [1]
    read_noise_S : fast read noise of one read, a parameter of its own (not in the published model) [S]
    t0_s : time between programming and the first read [s];  t_read_s : read duration of (3) [s]
    """

    kind: Literal["pcm"] = "pcm"
    status: str = "published"
    g_min_S: float = 0.0
    g_max_S: float = 25e-6
    programming_scale: Annotated[float, Ge(0.0)] = 1.0
    drift_scale: Annotated[float, Ge(0.0)] = 1.0
    slow_noise_scale: Annotated[float, Ge(0.0)] = 1.0
    t0_s: Annotated[float, Gt(0.0)] = 20.0
    t_read_s: Annotated[float, Gt(0.0)] = 250e-9

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.t0_s < self.t_read_s:
            raise ValueError(f"t0_s must be at least t_read_s = {self.t_read_s:g} s (got {self.t0_s:g} s)")

    @property
    def drifts(self) -> bool:
        """True unless drift and 1/f noise are both switched off."""
        return self.drift_scale > 0.0 or self.slow_noise_scale > 0.0

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Equation (1) [S]."""
        r = target_S / self.g_max_S
        return (0.26348 + 1.9650 * r - 1.1731 * r**2) * (self.programming_scale * self.g_max_S / 25.0)

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """Drift exponent of every cell by (2), from its target."""
        log_r = torch.log((target_S / self.g_max_S).clamp_min(R_FLOOR))
        mean = (-0.0155 * log_r + 0.0244).clamp(0.049, 0.1)
        spread = (-0.0125 * log_r - 0.0059).clamp(0.008, 0.045)
        xi = rng.child("drift").normal(target_S.shape[1:], dtype=target_S.dtype, device=target_S.device)
        return {"nu": (mean + spread * xi).abs() * self.drift_scale}

    def log_time(self, t_s: float) -> float:
        """``u`` of equation (3) [1]: the variance that 1/f noise has accumulated, in units of Q^2."""
        return math.log((t_s + self.t0_s + self.t_read_s) / (2.0 * self.t_read_s))

    def slow_path(self, cells: Cells, t_s: float) -> torch.Tensor:
        """W(u(t)) of every cell: variance exactly ``u``, the same path whenever it is asked for."""
        assert cells.slow is not None
        knots = [self.log_time(t) for t in SLOW_KNOTS_S]
        u = self.log_time(t_s)
        if u > knots[-1]:
            raise ValueError(f"t_s must be at most {SLOW_KNOTS_S[-1]:g} s, ten years (got {t_s:g} s)")
        shape, like = cells.shape[1:], cells.programmed_S
        low = torch.zeros_like(like)
        u_low = 0.0
        for number, u_high in enumerate(knots):
            step = cells.slow.child("knot", number).normal(shape, dtype=like.dtype, device=like.device)
            if u <= u_high:
                share = (u - u_low) / (u_high - u_low)
                path = low + share * math.sqrt(u_high - u_low) * step
                variance = u_low + share**2 * (u_high - u_low)
                return path.mul_(math.sqrt(u / variance))
            low += math.sqrt(u_high - u_low) * step
            u_low = u_high
        raise AssertionError("unreachable: u lies below the last knot")

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Equations (2) and (3) for these cells [S]."""
        drifted = cells.programmed_S
        if t_s > 0.0:
            drifted = drifted * torch.exp(cells.state["nu"] * -math.log((t_s + self.t0_s) / self.t0_s))
        if self.slow_noise_scale == 0.0:
            return drifted
        r = cells.programmed_S / self.g_max_S
        # Not `pow`: at the end of a tensor it rounds otherwise than inside, so more chips would move the first ones.
        q = (0.0088 / torch.exp(0.65 * torch.log(r)).clamp_min(1e-3)).clamp_max(0.2) * self.slow_noise_scale
        return (drifted + drifted * q * self.slow_path(cells, t_s)).clamp_min_(0.0)
