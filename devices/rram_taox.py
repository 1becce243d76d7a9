"""Pt/TaOx/Ta memristors, write-verified: the stand-in for the ramp-ADC chip, whose own figures are not published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt

from devices.base import Device


@dataclass(frozen=True, kw_only=True)
class TaOx(Device):
    """Write-verified TaOx memristor: a constant Gaussian residual after verify and a small cycle-to-cycle read noise.

    Spread of 64 devices 2.73 uS within 100 to 400 uS, read noise 0.14 uS over 1000 reads: Hong et al., Nat. Commun.
    2025, s41467-025-65233-w, Methods (discrete devices of an 8 x 8 array; not the array of the ramp-ADC paper). No
    drift or retention figure is established, so the conductance stays where verify left it.
    """

    kind: Literal["rram_taox"] = "rram_taox"
    status: str = "stand-in"
    g_min_S: float = 100e-6
    g_max_S: float = 400e-6
    programming_noise_S: Annotated[float, Ge(0.0)] = 2.73e-6
    read_noise_S: float = 0.14e-6
    read_voltage_max_V: Annotated[float, Gt(0.0)] | None = 0.3
    read_voltage_source: str = "1.2 times the largest read voltage in the ramp-ADC paper, 0.25 V"

    @property
    def drift_known(self) -> bool:
        """False: nothing is published."""
        return False

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Residual after write-verify, the same at every level [S]."""
        return torch.full_like(target_S, self.programming_noise_S)
