"""The integrator of a ramp: its noise, offset and gain, which the ramp's steps gather as they come.

White noise is integrated for as long as the node is open, whether a step is large or small, so a step of m clock
periods adds the share m / M of the whole ramp's variance, M all clock periods:

    sigma_k^2 = (2 k T G (1 + gamma G / gm) M T_clk / q^2) m_k / M

with G the cells on the ramp's lines (all of them, or the mean of those that are driven where the others are gated off)
and q the charge of one unit of the pre-activation; the front end's design gives the bracket with its further terms. The
reset noise of the capacitor, small beside these, is spread alike.
An offset of the virtual ground draws a constant current and tilts the ramp.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from periphery.front_end.design import FrontEndDesign


@dataclass(frozen=True)
class RampIntegrator:
    """Integrators as built on every chip.

    ``design``: of one ramp; ``offset``: of each in standard deviations, ``(chips, ramps)``; ``supply_gain``: read
    voltage over that of the design.
    """

    design: FrontEndDesign
    offset: torch.Tensor
    supply_gain: float = 1.0

    def gain(self, total_S: torch.Tensor) -> torch.Tensor:
        """Charge that arrives over that which the capacitor was sized for, for ``total_S (chips, ramps)`` on a ramp's
        lines [1]."""
        design = self.design
        return torch.as_tensor(design.gain(total_S / design.load.lines) / design.gain(design.load.line_S)).expand(
            total_S.shape
        )

    def noise_z2(self, total_S: torch.Tensor, clocks: torch.Tensor) -> torch.Tensor:
        """Variance that each cell's clock periods add, ``(chips, ramps, cells of a column)`` [z^2]."""
        whole = torch.as_tensor(self.design.noise_z2(total_S / self.design.load.lines)).expand(total_S.shape)
        return whole[..., None] * (clocks.abs() / clocks.abs().sum()) / self.supply_gain**2

    def tilt_z(self, total_S: torch.Tensor, clocks: torch.Tensor) -> torch.Tensor:
        """What the offset has added by the end of each cell's clocks, ``(chips, ramps, cells of a column)`` [z]."""
        sigma = torch.as_tensor(self.design.offset_sigma_z(total_S / self.design.load.lines)).expand(total_S.shape)
        passed = clocks.abs().cumsum(-1) / clocks.abs().sum()
        return (sigma * self.offset / self.supply_gain)[..., None] * passed
