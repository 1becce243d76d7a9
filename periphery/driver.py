"""Word-line drivers: a signed digital input becomes a pulse width.

An n-bit signed input is sign and magnitude, ``N = -(2^(n-1) - 1) .. 2^(n-1) - 1`` clock periods. Both signs use the
same cells, so a product takes two phases, positive inputs first, then negative ones with the integrator's polarity
turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt


@dataclass(frozen=True, kw_only=True)
class PWMDriver:
    """Pulse-width driver of the word lines.

    Parameters
    ----------
    v_read_V : read voltage during a pulse [V]
    v_design_V : read voltage for which integrators and fixed references were sized [V]
    t_clk_s : one clock period, the unit of pulse width [s]
    x_max : input value that takes the longest pulse; larger ones are clipped, and counted
    """

    v_read_V: Annotated[float, Gt(0.0)] = 0.2
    v_design_V: Annotated[float, Gt(0.0)] = 0.2
    t_clk_s: Annotated[float, Gt(0.0)] = 1e-9
    x_max: Annotated[float, Gt(0.0)] = 1.0

    @property
    def supply_gain(self) -> float:
        """How much more charge than designed a clock period brings: ``V_read / V_design`` [1]."""
        return self.v_read_V / self.v_design_V

    def counts(self, x: torch.Tensor, bits: int) -> torch.Tensor:
        """Pulse widths of inputs ``x``, any shape, as whole numbers of clock periods (same dtype as ``x``)."""
        top = 2 ** (bits - 1) - 1
        return torch.round(x * (top / self.x_max)).clamp_(-top, top)

    def lsb(self, bits: int) -> float:
        """Input value of one clock period."""
        return self.x_max / float(2 ** (bits - 1) - 1)

    def clipped(self, x: torch.Tensor) -> float:
        """Share of inputs beyond ``x_max`` [1]."""
        return float((x.abs() > self.x_max * (1 + 1e-6)).float().mean())
