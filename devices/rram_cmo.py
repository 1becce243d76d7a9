"""Conductive-metal-oxide / HfOx memristors: write-verified to a window, then relaxing with the logarithm of time.

Conductances in uS, times in s, u(t) = ln((t + t_read) / (2 t_read)) with t_read 1 us:

(1) programming   sigma = c0 + c1 G:  window 0.2 %: c0 = 0.00081107, c1 = 0.00106879
                                      window 2 %:   c0 = 0.0112185391, c1 = 0.01129027418
(2) relaxation    G_r(t) = G_prog - 0.08900206 ln t + (0.04201137 ln t + 0.41183342) z,  the same at every level
(3) 1/f noise     sigma = 0.0277316483 log10(G_r) sqrt(u(t))
(4) range         G(t) is clipped to 9 .. 88.2

The model is fitted from one second on: at t = 0 a cell is as programming left it, and within the first second it is as
after one second.

Only marginals are published. Coupling assumed here: a cell keeps its rank z in the relaxation, and its 1/f noise is one
Brownian path in u (``devices.slow_noise``), so that two times t1 < t2 have the covariance

    Var(G_prog) + s(t1) s(t2) + sigma_f(t1) sigma_f(t2) sqrt(u1 / u2),  s the spread of (2), sigma_f that of (3).

Source: Falcone et al., arXiv 2502.04524 (2025); coefficients as published with aihwkit's model of the array. (There,
the default window of 0.02 is no key of the table, and 0.2 % is taken in silence.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt

from devices import slow_noise
from devices.base import Cells
from devices.fits import polynomial
from devices.slow_noise import SlowlyNoisy
from devices.streams import ChipStreams

LN10 = math.log(10.0)


@dataclass(frozen=True, kw_only=True)
class CMO(SlowlyNoisy):
    """CMO/HfOx memristor between 9 and 88.2 uS, by equations (1) to (4).

    Parameters
    ----------
    acceptance : window of write-verify, as a share of the target: 0.002 or 0.02, the two published [1]
    relaxation_scale : multiplies both terms of (2); 0 is off [1]
    """

    windows_uS: ClassVar[dict[float, tuple[float, float]]] = {
        0.002: (0.00081107, 0.00106879),
        0.02: (0.0112185391, 0.01129027418),
    }

    kind: Literal["rram_cmo"] = "rram_cmo"
    g_min_S: float = 9e-6
    g_max_S: float = 88.2e-6
    read_voltage_max_V: Annotated[float, Gt(0.0)] | None = 0.3
    acceptance: Annotated[float, Gt(0.0)] = 0.002
    relaxation_scale: Annotated[float, Ge(0.0)] = 1.0
    t_read_s: Annotated[float, Gt(0.0)] = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.acceptance not in self.windows_uS:
            raise ValueError(
                f"acceptance must be 0.002 or 0.02, the windows published (0.2 % and 2 %) (got {self.acceptance:g})"
            )
        if self.t_read_s > 1.0:
            raise ValueError(f"t_read_s must be at most 1 s, where the fit begins (got {self.t_read_s:g} s)")

    @property
    def evolves(self) -> bool:
        """True unless relaxation and 1/f noise are both switched off."""
        return self.relaxation_scale > 0.0 or self.slow_noise_scale > 0.0

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Equation (1) [S]."""
        return polynomial(self.windows_uS[self.acceptance], target_S * 1e6) * (1e-6 * self.programming_scale)

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """Rank of every cell in the relaxation."""
        return {"z": rng.child("relaxation").normal_like(target_S)}

    def log_time(self, t_s: float) -> float:
        """``u`` of equation (3) [1]."""
        return slow_noise.accumulated(max(t_s, 1.0), self.t_read_s)

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Equations (2) to (4) for these cells [S]."""
        if t_s == 0.0 or not self.drifts:
            return cells.programmed_S
        log_t = math.log(max(t_s, 1.0))
        shift, spread = -0.08900206 * log_t, 0.04201137 * log_t + 0.41183342
        g = cells.programmed_S + (shift + spread * cells.state["z"]) * (1e-6 * self.relaxation_scale)
        if self.slow_noise_scale > 0.0:
            path = slow_noise.slow_path(cells.slow, g, t_s, self.log_time)
            log10_g = torch.log((g * 1e6).clamp_min(1.0)) / LN10
            g = g + log10_g * (0.0277316483e-6 * self.slow_noise_scale) * path
        return g.clamp(self.g_min_S, self.g_max_S)
