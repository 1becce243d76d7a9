"""HfO2 RRAM after program-and-verify, with the nonlinear current that its authors measured.

With G in uS in (1), G in S, x = log10 G and V in volts in (2):

(1) programming    sigma = max(0, 4.782321 - 0.009107 G)
(2) current        I = G V + N2 V^2 + N3 V^3,  V <= 0.5
                   N2 = 1.388e-4 x^3 + 1.541e-3 x^2 + 5.711e-3 x + 7.063e-3
                   N3 = 8.8710e-5 x^2 + 6.7919e-4 x + 1.2968e-3

Source: V. Milo et al., "Optimized programming algorithms for multilevel RRAM in hardware neural networks", IRPS 2021,
doi 10.1109/IRPS46558.2021.9405119; fits as published with CrossSim 3.2 (device RRAMMilo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt

from devices.base import Device


@dataclass(frozen=True, kw_only=True)
class MiloRRAM(Device):
    """Residual after verify that shrinks with conductance (4.33 uS at 50, 2.73 uS at 225), and a cubic current.

    The fits hold for 50 to 225 uS. A cell that its error or a defect takes out of that range keeps the shape ``I / (G
    V)`` of the nearest end, so that a dead cell carries no current. No retention is published with the fits: the
    conductance stays where verify left it.

    Parameters
    ----------
    programming_scale : multiplies (1); 0 switches it off [1]
    """

    kind: Literal["rram_milo"] = "rram_milo"
    status: str = "published"
    g_min_S: float = 50e-6
    g_max_S: float = 225e-6
    programming_scale: Annotated[float, Ge(0.0)] = 1.0
    read_voltage_max_V: Annotated[float, Gt(0.0)] | None = 0.5
    read_voltage_status: Literal["measured", "estimate"] = "measured"
    read_voltage_source: str = "where the current was measured"

    @property
    def drift_known(self) -> bool:
        """False: nothing is published."""
        return False

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Equation (1) [S]."""
        return (4.782321e-6 - 0.009107 * target_S).clamp_min(0.0) * self.programming_scale

    def current_coefficients(self, g_S: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """``G, N2, N3`` of equation (2) [A/V, A/V^2, A/V^3], each of the shape of ``g_S``."""
        # Terms of 1e-2 cancel to 1e-5: not a sum for single precision.
        wide = g_S.double()
        inside = wide.clamp(self.g_min_S, self.g_max_S)
        x = torch.log10(inside)
        second = ((1.388e-4 * x + 1.541e-3) * x + 5.711e-3) * x + 7.063e-3
        third = (8.8710e-5 * x + 6.7919e-4) * x + 1.2968e-3
        shape = wide / inside
        return g_S, (second * shape).to(g_S.dtype), (third * shape).to(g_S.dtype)

    def current_A(self, g_S: torch.Tensor, v_V: torch.Tensor) -> torch.Tensor:
        """Equation (2) for cells of state ``g_S`` at ``v_V`` volts across them (shapes broadcast) [A].

        Raises InputError for a voltage beyond ``read_voltage_max_V``, of either sign.
        """
        self.check_voltage(float(v_V.abs().max()))
        return super().current_A(g_S, v_V)
