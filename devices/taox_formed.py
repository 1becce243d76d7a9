"""TaOx cells that are formed once, all at one voltage, and never written: their randomness is the weight matrix.

(1) formed         a cell breaks down where forming_V >= V_bd,  V_bd ~ N(3.433 V, 0.114 V),
                   so a share Phi((forming_V - 3.433) / 0.114) of the array conducts
(2) conductance    formed: N(33.96 uS, 4.703 uS), cut at zero;  unformed: 0.1 uS (10 Mohm)
(3) slow noise     n(t) = slow_noise_S W(u),  u = log10(1 + t / t0),  W a Brownian motion of each formed cell

Sources: (1) breakdown voltages of 400 cells, source data of Extended Data Fig. 1 of S. Wang et al., Nat. Mach. Intell.
5, 104 (2023), doi 10.1038/s42256-023-00609-5. (2) and the read noise: Fig. 1 of N. Lin et al., Nat. Comput. Sci. 5,
37-47 (2025), doi 10.1038/s43588-024-00751-z, digitised. (3) is an estimate, see ``slow_noise_S``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt

from devices import slow_noise
from devices.base import Cells, Device
from devices.streams import ChipStreams


@dataclass(frozen=True, kw_only=True)
class FormedTaOx(Device):
    """Randomly formed cell of a 40 nm, 512 x 512 macro: what it stores is what breakdown left, whatever is asked for.

    There is no target: ``form`` makes an array from nothing, and ``program``, for callers that use devices in
    general, takes targets for their shape alone. ``g_min_S`` and ``g_max_S`` bound such targets and are where a stuck
    cell sits. A cell keeps its breakdown voltage and its conductance when the same array is formed at another voltage,
    so a sweep of ``forming_V`` opens or closes cells of one array.

    Parameters
    ----------
    forming_V : voltage at which the array is formed; the default forms all (the array of Lin et al. is dense) [V]
    breakdown_V, breakdown_sd_V : mean and standard deviation of the breakdown voltage over cells [V]
    formed_S, formed_sd_S : mean and standard deviation of the conductance of formed cells [S]
    unformed_S : conductance of a cell that did not break down; its spread is not published, and none is modelled [S]
    slow_noise_S : growth of (3) in one decade of time [S]. Estimate: the band of +-0.6 uS in which cells stayed for
        3e4 read cycles, taken as two standard deviations, less the read noise, spread over its 4.5 decades
    slow_t0_s : t0 of (3), one read cycle [s]. Estimate: the duration of a cycle is not published
    drift_per_decade : mean loss of conductance of formed cells in one decade of time [1]. Not established: 0
    """

    writable: ClassVar[bool] = False

    kind: Literal["taox_formed"] = "taox_formed"
    status: str = "published"
    g_min_S: float = 0.0
    g_max_S: float = 60e-6
    read_voltage_max_V: float | None = 0.3
    read_noise_S: Annotated[float, Ge(0.0)] = 0.26e-6
    forming_V: Annotated[float, Gt(0.0)] = 4.0
    breakdown_V: Annotated[float, Gt(0.0)] = 3.433
    breakdown_sd_V: Annotated[float, Ge(0.0)] = 0.114
    formed_S: Annotated[float, Gt(0.0)] = 33.96e-6
    formed_sd_S: Annotated[float, Ge(0.0)] = 4.703e-6
    unformed_S: Annotated[float, Ge(0.0)] = 0.1e-6
    slow_noise_S: Annotated[float, Ge(0.0)] = 0.07e-6
    slow_t0_s: Annotated[float, Gt(0.0)] = 1.0
    drift_per_decade: Annotated[float, Ge(0.0)] = 0.0

    def __post_init__(self) -> None:
        for effect in self.effects:
            if effect.stage in ("aim", "write"):
                raise ValueError(f"effects must not hold {effect.kind}: these cells are formed, never written")
        super().__post_init__()

    @property
    def evolves(self) -> bool:
        """Whether (3) or a mean loss is switched on."""
        return self.slow_noise_S > 0.0 or self.drift_per_decade > 0.0

    @property
    def formed_share(self) -> float:
        """Equation (1): the share of cells that break down at ``forming_V`` [1]."""
        if self.breakdown_sd_V == 0.0:
            return float(self.forming_V >= self.breakdown_V)
        return 0.5 * math.erfc((self.breakdown_V - self.forming_V) / (self.breakdown_sd_V * math.sqrt(2.0)))

    def form(self, shape: Sequence[int], *, rng: ChipStreams, dtype: torch.dtype = torch.float32) -> Cells:
        """Form arrays of the given shape, one a chip: cells of shape ``(chips, *shape)``, without targets."""
        return self.program(torch.full((1, *shape), self.g_min_S, dtype=dtype), rng=rng)

    def program(self, target_S: torch.Tensor, *, rng: ChipStreams, cycle: int = 0) -> Cells:
        """Form cells of the shape of ``target_S``, ``(1, ...)`` or ``(chips, ...)``; its values are only checked.

        Cells are formed once: another ``cycle`` finds them as the first left them.
        """
        return super().program(target_S, rng=rng)

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """Whether each cell broke down (1 or 0), and its conductance in standard deviations from the mean."""
        breakdown = rng.child("breakdown").normal_like(target_S)
        formed = self.breakdown_V + self.breakdown_sd_V * breakdown <= self.forming_V
        return {"formed": formed.to(target_S.dtype), "score": rng.child("formed").normal_like(target_S)}

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """Equation (2) [S]."""
        g = (self.formed_S + self.formed_sd_S * state["score"]).clamp_min_(0.0)
        return torch.where(state["formed"] > 0, g, torch.full_like(g, self.unformed_S))

    def too_late(self, aged_s: float) -> str:
        """After the last knot of the slow noise."""
        return slow_noise.too_late(aged_s) if self.slow_noise_S > 0.0 else ""

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Loss and slow noise of formed cells; the others are an insulator and stay [S]."""
        if not self.evolves or t_s == 0.0:
            return cells.programmed_S
        change = cells.programmed_S * (-self.drift_per_decade * self.decades(t_s))
        if self.slow_noise_S > 0.0:
            change = change + self.slow_noise_S * slow_noise.slow_path(cells.slow, change, t_s, self.decades)
        return (cells.programmed_S + cells.state["formed"] * change).clamp_min_(0.0)

    def fast_noise_S(self, g_S: torch.Tensor, cells: Cells) -> torch.Tensor:
        """``read_noise_S`` for formed cells; an insulator has no filament that fluctuates [S]."""
        return cells.state["formed"] * self.read_noise_S

    def decades(self, t_s: float) -> float:
        """u of (3) [1]."""
        return math.log10(1.0 + t_s / self.slow_t0_s)
