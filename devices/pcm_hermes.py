"""Phase-change memory of the 64-core HERMES chip, with one or two devices in a unit cell.

With r = G_target / g_max and L = ln r (conductances in uS, times in s); the two-device cell is two devices in parallel
at the same state, written by the more accurate scheme of Vasilopoulos et al.:

    ================  ========================================  ========================================
                      one device, g_max 10.35, t0 200           two devices, g_max 20.7, t0 300
    ================  ========================================  ========================================
    programming       0.15781817 + 2.32443916 r                 0.16603222 + 4.71806468 r
    sigma [uS]        - 2.16310839 r^2 + 0.68841818 r^3         - 8.48101252 r^2 + 4.68961419 r^3
    mean of nu        r < 0.0945: clip(-0.0387 L - 0.0182, 0.072, 0.13), else 0.0736 - 0.0126 r - 0.0436 r^2
    spread of nu      r < 0.3039:                               r < 0.3055:
                      clip(-0.0120 L - 0.0023, 0.0124, 0.04),   clip(-0.0117 L - 0.0057, 0.0091, 0.04),
                      else 0.0104 + 0.0116 r - 0.0165 r^2       else 0.0073 + 0.0093 r - 0.0118 r^2
    Q of 1/f noise    r < 0.1591:                               r < 0.16:
                      clip(-0.0078 L + 0.0038, 0.0179, 0.04),   clip(-0.0117 L - 0.0069, 0.015, 0.04),
                      else 0.0088 + 0.0768 r                    else 0.0123 + 0.0211 r
                      - 0.1352 r^2 + 0.0664 r^3                 - 0.0280 r^2 + 0.0069 r^3
    ================  ========================================  ========================================

Drift is ``G_prog (T / t0)^-nu`` with T = t + t0, and 1/f noise has the standard deviation ``G Q sqrt(u(T))`` with
t_read 512 ns, Q from the programmed conductance: as in ``devices.pcm``.

Sources: Le Gallo et al., Nat. Electron. 6, 680 (2023), doi 10.1038/s41928-023-01010-1; Vasilopoulos et al., IEEE Trans.
Electron Devices (2023), IEEE document 10281389; coefficients as published with aihwkit's model of the chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from devices.fits import LogBranch, polynomial
from devices.pcm import PhaseChange

NU_MEAN_HIGH = (0.0736, -0.0126, -0.0436)


@dataclass(frozen=True, kw_only=True)
class Hermes(PhaseChange):
    """What the one- and the two-device cell share: piecewise fits, valid up to the conductance characterised."""

    characterised_uS: ClassVar[float]
    programming: ClassVar[tuple[float, ...]]
    nu_mean: ClassVar[LogBranch] = LogBranch(0.0945, -0.0387, -0.0182, 0.072, 0.13, NU_MEAN_HIGH)
    nu_spread: ClassVar[LogBranch]
    q: ClassVar[LogBranch]

    g_min_S: float = 0.0
    t_read_s: float = 512e-9

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.g_max_S > self.characterised_uS * 1e-6 * (1.0 + 1e-9):
            raise ValueError(
                f"g_max_S must be at most {self.characterised_uS * 1e-6:g} S, the largest conductance characterised "
                f"(got {self.g_max_S:g} S)"
            )

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Cubic in r, scaled by ``g_max`` over the conductance characterised [S]."""
        scale = self.programming_scale * self.g_max_S / self.characterised_uS
        return polynomial(self.programming, target_S / self.g_max_S).clamp_min(0.0) * scale

    def drift_moments(self, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and spread of nu [1, 1]."""
        return self.nu_mean.of(r), self.nu_spread.of(r)

    def slow_ratio(self, r: torch.Tensor) -> torch.Tensor:
        """Q [1]."""
        return self.q.of(r)


@dataclass(frozen=True, kw_only=True)
class PCMHermes1(Hermes):
    """HERMES unit cell of one phase-change device, up to 10.35 uS."""

    characterised_uS: ClassVar[float] = 10.35
    programming: ClassVar[tuple[float, ...]] = (0.15781817, 2.32443916, -2.16310839, 0.68841818)
    nu_spread: ClassVar[LogBranch] = LogBranch(0.3039, -0.0120, -0.0023, 0.0124, 0.04, (0.0104, 0.0116, -0.0165))
    q: ClassVar[LogBranch] = LogBranch(0.1591, -0.0078, 0.0038, 0.0179, 0.04, (0.0088, 0.0768, -0.1352, 0.0664))

    kind: Literal["pcm_hermes_1"] = "pcm_hermes_1"
    g_max_S: float = 10.35e-6
    t0_s: float = 200.0


@dataclass(frozen=True, kw_only=True)
class PCMHermes2(Hermes):
    """HERMES unit cell of two phase-change devices in parallel, up to 20.7 uS."""

    characterised_uS: ClassVar[float] = 20.7
    programming: ClassVar[tuple[float, ...]] = (0.16603222, 4.71806468, -8.48101252, 4.68961419)
    nu_spread: ClassVar[LogBranch] = LogBranch(0.3055, -0.0117, -0.0057, 0.0091, 0.04, (0.0073, 0.0093, -0.0118))
    q: ClassVar[LogBranch] = LogBranch(0.16, -0.0117, -0.0069, 0.015, 0.04, (0.0123, 0.0211, -0.0280, 0.0069))

    kind: Literal["pcm_hermes_2"] = "pcm_hermes_2"
    g_max_S: float = 20.7e-6
    t0_s: float = 300.0
