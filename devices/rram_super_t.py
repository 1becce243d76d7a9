"""Memristor of an integrated array of 64 x 64 cells: programming error by how it was written, read noise cell by cell.

With conductances in uS, and ``xi`` standard normal:

(1) verified     G = |G_target + e|,  e ~ N(0, 2.4) for 90 % of the programmings and N(0, 8.0) for the others
(2) one pulse    G = |G_target + s xi|,  s = 15 for targets of 20 to 80, else 5
(3) read noise   sigma = min(exp(0.782 ln min(G, 50) - 2.168 + xi_cell), 20),  xi_cell drawn once for every programming

(1) is a mixture chosen here for what is published: nine runs of write-verify left 80 to 89 % of the cells within 4 uS
of their targets and 93 to 99.5 % within 10 uS. It has 85.2 % and 97.9 %, and a standard deviation of 3.4 uS; a single
normal law with as many cells within 4 uS would leave 0.02 % beyond 10 uS. (2) is a default of the authors' simulator;
whether it was fitted is not established, nor are drift and retention: the conductance stays where writing left it.

Sources: public code of the authors of the array, github.com/lican81/A0_DUT at b10f97f (write-verify) and
github.com/Jaylenne/AutoXbar at 8d90c83 ((2) and (3)); (3) also in the code of Mao et al., Nat. Commun. 13, 6284 (2022),
doi 10.1038/s41467-022-33629-7. That it is the array of the ramp-ADC paper is an inference from the people, the
laboratory and the read voltage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Interval

from devices.base import Cells, Device
from devices.streams import ChipStreams

SLOPE, OFFSET = 0.782, -2.168
HELD_FROM_US, LARGEST_US, FLOOR_US = 50.0, 20.0, 1e-7
MIDDLE_S = (20e-6, 80e-6)


@dataclass(frozen=True, kw_only=True)
class SuperT(Device):
    """Integrated memristor up to 150 uS, by equations (1) to (3).

    Parameters
    ----------
    verified : whether cells are written in closed loop, (1), or by one pulse, (2)
    verified_noise_S, tail_noise_S, tail_share : standard deviations [S] of (1), and the share of the second [1]
    middle_noise_S, edge_noise_S : standard deviations of (2), for targets of 20 to 80 uS and for others [S]
    read_noise_scale : multiplies (3), to which ``read_noise_S`` is added in quadrature; 0 is off [1]
    """

    kind: Literal["rram_superT"] = "rram_superT"
    status: str = "published"
    g_min_S: float = 0.0
    g_max_S: float = 150e-6
    read_voltage_max_V: Annotated[float, Gt(0.0)] | None = 0.3
    read_voltage_source: str = "1.2 times the largest read voltage in the ramp-ADC paper, 0.25 V"
    verified: bool = True
    verified_noise_S: Annotated[float, Ge(0.0)] = 2.4e-6
    tail_noise_S: Annotated[float, Ge(0.0)] = 8e-6
    tail_share: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.1
    middle_noise_S: Annotated[float, Ge(0.0)] = 15e-6
    edge_noise_S: Annotated[float, Ge(0.0)] = 5e-6
    read_noise_scale: Annotated[float, Ge(0.0)] = 1.0

    @property
    def drift_known(self) -> bool:
        """False: nothing is published."""
        return False

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation of (1) or (2) before the absolute value is taken [S]."""
        if self.verified:
            narrow, wide = (1.0 - self.tail_share) * self.verified_noise_S**2, self.tail_share * self.tail_noise_S**2
            return torch.full_like(target_S, math.sqrt(narrow + wide))
        middle = (target_S >= MIDDLE_S[0]) & (target_S <= MIDDLE_S[1])
        return torch.where(middle, target_S.new_tensor(self.middle_noise_S), target_S.new_tensor(self.edge_noise_S))

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """``xi_cell`` of (3)."""
        return {"loudness": rng.child("loudness").normal_like(target_S)}

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """Equation (1) or (2) [S]."""
        sigma = self.programming_sigma_S(target_S)
        if self.verified:
            tail = rng.child("tail").uniform_like(target_S) < self.tail_share
            wide, narrow = target_S.new_tensor(self.tail_noise_S), target_S.new_tensor(self.verified_noise_S)
            sigma = torch.where(tail, wide, narrow)
        return (target_S + sigma * rng.child("error").normal_like(target_S)).abs()

    def fast_noise_S(self, g_S: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Equation (3) at the present state, and ``read_noise_S`` in quadrature [S]."""
        g_uS = (g_S * 1e6).clamp(FLOOR_US, HELD_FROM_US)
        sigma_uS = torch.exp(SLOPE * torch.log(g_uS) + OFFSET + cells.state["loudness"]).clamp_max(LARGEST_US)
        sigma_S = sigma_uS * (1e-6 * self.read_noise_scale)
        return torch.hypot(sigma_S, torch.full_like(g_S, self.read_noise_S)) if self.read_noise_S else sigma_S
