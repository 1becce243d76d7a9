"""HfOx memristors of the NeuRRAM chip after write-verify: two published fits of one figure, kept apart.

With r = G / g_max and all conductances in uS:

(1) quartic (of aihwkit), at three times, for g_max 40 and scaled by g_max / 40 elsewhere
    1 s     sigma = 0.348 + 16.030 r - 43.853 r^2 + 45.393 r^3 - 16.815 r^4
    1 day   sigma = 0.701 + 22.086 r - 50.773 r^2 + 47.095 r^3 - 16.458 r^4
    2 days  sigma = 0.782 + 20.274 r - 43.507 r^2 + 37.062 r^3 - 11.934 r^4
(2) cubic (of CrossSim), at 1 s only, in the conductance itself, up to 39.26 uS
    1 s     sigma = max(0, 1.053 + 0.2374 G - 1.167e-2 G^2 + 1.536e-4 G^3)

Both were read off the same measured spread one second after programming, and they differ by more than a reader of
either would guess:

    =============  =====  =====  =====  =====  =====
    G [uS]         0      10     20     30     39.26
    (1), 1 s [uS]  0.348  2.258  2.023  1.533  1.151
    (2), 1 s [uS]  1.053  2.414  2.362  1.819  1.681
    (2) / (1)      3.03   1.07   1.17   1.19   1.46
    =============  =====  =====  =====  =====  =====

The mean stays at the target in both; neither has 1/f noise. How a cell goes from one time to the next is not published:
see ``devices.snapshots``. Independent steps would need a correlation of about 0.5 between 1 s and 1 day, the ratio of
the spreads at mid-range.

Source of the measurement: Wan et al., Nature 608, 504 (2022), doi 10.1038/s41586-022-04992-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from devices.fits import polynomial
from devices.snapshots import Snapshots


@dataclass(frozen=True, kw_only=True)
class WanQuartic(Snapshots):
    """Write-verified HfOx memristor by fit (1): spread against level one second, one day and two days after."""

    times_s: ClassVar[tuple[float, ...]] = (1.0, 86400.0, 172800.0)
    logarithmic: ClassVar[bool] = True
    reference_S: ClassVar[float] = 40e-6
    sigma_uS: ClassVar[tuple[tuple[float, ...], ...]] = (
        (0.348, 16.030, -43.853, 45.393, -16.815),
        (0.701, 22.086, -50.773, 47.095, -16.458),
        (0.782, 20.274, -43.507, 37.062, -11.934),
    )

    kind: Literal["rram_wan_aihwkit"] = "rram_wan_aihwkit"
    g_min_S: float = 0.0
    g_max_S: float = 40e-6
    read_voltage_max_V: float | None = 0.3

    def moments_S(self, target_S: torch.Tensor, knot: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The target, and equation (1) with its coefficients interpolated in ln t [S, S]."""
        low, high = self.sigma_uS[knot], self.sigma_uS[min(knot + 1, len(self.sigma_uS) - 1)]
        coefficients = tuple((1.0 - share) * a + share * b for a, b in zip(low, high, strict=True))
        scale = 1e-6 * self.g_max_S / self.reference_S
        return target_S, polynomial(coefficients, target_S / self.g_max_S).clamp_min(0.0) * scale


@dataclass(frozen=True, kw_only=True)
class WanCubic(Snapshots):
    """Write-verified HfOx memristor by fit (2): spread against level one second after, and nothing later."""

    times_s: ClassVar[tuple[float, ...]] = (1.0,)
    logarithmic: ClassVar[bool] = True
    fitted_to_S: ClassVar[float] = 39.26e-6
    sigma_uS: ClassVar[tuple[float, ...]] = (1.053, 0.2374, -1.167e-2, 1.536e-4)

    kind: Literal["rram_wan_crosssim"] = "rram_wan_crosssim"
    g_min_S: float = 0.0
    g_max_S: float = 39.26e-6
    read_voltage_max_V: float | None = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.g_max_S > self.fitted_to_S * (1.0 + 1e-9):
            raise ValueError(
                f"g_max_S must be at most {self.fitted_to_S:g} S, where the fit ends (got {self.g_max_S:g} S)"
            )

    def moments_S(self, target_S: torch.Tensor, knot: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The target, and equation (2) [S, S]."""
        return target_S, polynomial(self.sigma_uS, target_S * 1e6).clamp_min(0.0) * 1e-6
