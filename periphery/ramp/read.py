"""A ramp at one time: its levels, its noise, and how far it is from the function."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from periphery.ramp.design import RampDesign


@dataclass(frozen=True)
class RampRead:
    """A ramp at one time.

    ``levels``: ``(chips, ramps, steps)``, the ramp after each step in units of z; ``noise``: ``(chips, ramps,
    start_cells + steps)``, standard deviation of the start and of each step by fast read noise and jitter, or None;
    ``loss_S``: ``(chips, ramps)``, conductance clocks of one whole ramp [S clocks]; ``start``: ``(chips, ramps)``, the
    level before the first step [z].
    """

    design: RampDesign
    levels: torch.Tensor
    noise: torch.Tensor | None
    loss_S: torch.Tensor
    start: torch.Tensor

    def thresholds(self, factor: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Inputs at which the code changes, ``(chips, ramps, steps)`` [z]: the running maximum of the levels."""
        return torch.cummax(self.levels * factor, dim=-1).values

    def inl_lsb(self) -> torch.Tensor:
        """Output-referred integral nonlinearity at every threshold, ``(chips, ramps, steps)`` [LSB].

        ``INL_k = (g(rho_k) - g(theta_k)) / LSB``: errors are placed at the thresholds, where a code changes.
        """
        design = self.design
        return (design.function.f(self.thresholds()) - design.decisions) / design.function.lsb(design.bits)

    def falls(self) -> torch.Tensor:
        """Steps at which the ramp falls back, ``(chips, ramps)``: stuck cells and differential steps can make some."""
        path = torch.cat([self.start[..., None], self.levels], dim=-1)
        return (torch.diff(path, dim=-1) < 0.0).sum(-1)
