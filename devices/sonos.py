"""SONOS charge-trap memory in sub-threshold: its current spreads and sinks over the days after programming.

The published quantity is a cell's current at one read voltage. With I in nA, t in days, and (A, B) and the polynomial
of every day in ``FITS``, interpolated linearly between days:

(1) mean      I_m(t) = I + sum_k c_k(t) I^k, k = 0 .. 10;  no shift at t = 0
(2) spread    sigma(t) = A(t) (1 - exp(-I_m / B(t)))
(3) read      sigma = 12.58037 (1 - exp(-I / 215.36557)), drawn at every read

The polynomials of (1) follow the data up to about 1450 nA. There they turn down, by up to -246 nA at 1600 nA after one
day where the second day has -98, so currents above 1400 nA are refused unless the shift is switched off.

Only distributions at days 0 to 5 are published: see ``devices.snapshots`` for the coupling between them.

Source: Agrawal et al., IEDM 2022, 21.7, doi 10.1109/IEDM45625.2022.10019564 (40 nm, 128 K cells); coefficients as
published with CrossSim's model of the array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from annotated_types import Ge, Gt

from devices.base import Cells
from devices.fits import polynomial, saturating
from devices.snapshots import Snapshots

READ_NOISE_NA = (12.58037, 215.36557)
SHIFT_FITS_TO_A, FITS_TO_A = 1400e-9, 3200e-9


class Day(NamedTuple):
    """``A`` and ``B`` of (2) and the coefficients of (1), at one day [nA]."""

    a_nA: float
    b_nA: float
    shift: tuple[float, ...]


# fmt: off
FITS = (
    Day(19.88665, 176.3115, (0.0,) * 11),
    Day(25.59102, 186.85544, (6.83650e-01, 6.51250e-03, -4.03163e-04, 3.37944e-06, -1.87435e-08, 5.88902e-11,
                              -1.07685e-13, 1.17751e-16, -7.60016e-20, 2.67255e-23, -3.94954e-27)),
    Day(28.72753, 193.56834, (6.60925e-01, 8.60627e-03, -1.72936e-04, 7.44096e-07, -5.94866e-09, 2.36734e-11,
                              -4.83740e-14, 5.56072e-17, -3.65397e-20, 1.28405e-23, -1.87450e-27)),
    Day(31.04318, 198.90332, (1.15821e00, 1.96116e-02, -4.70807e-04, 3.67510e-06, -2.08786e-08, 6.59752e-11,
                              -1.19499e-13, 1.28435e-16, -8.11574e-20, 2.78802e-23, -4.02057e-27)),
    Day(33.76214, 204.77023, (8.72216e-01, 1.70926e-02, -2.23370e-04, 1.57526e-06, -1.32779e-08, 5.08256e-11,
                              -1.01251e-13, 1.14633e-16, -7.46124e-20, 2.60559e-23, -3.78724e-27)),
    Day(34.57909, 207.34309, (1.15294e00, 1.03149e-02, -6.05199e-05, 1.76086e-08, -6.46690e-09, 3.39044e-11,
                              -7.53872e-14, 8.98185e-17, -6.00346e-20, 2.12615e-23, -3.11099e-27)),
)
# fmt: on


@dataclass(frozen=True, kw_only=True)
class SONOS(Snapshots):
    """SONOS transistor read at one voltage, by equations (1) to (3); ``G = I / v_read_V``.

    Parameters
    ----------
    v_read_V : drain voltage at which currents were measured; turns them into conductances [V]
    shift_scale : multiplies the shift of the mean (1); 0 is off [1]
    read_noise_scale : multiplies the fast noise (3), to which ``read_noise_S`` is added in quadrature; 0 is off [1]
    """

    times_s: ClassVar[tuple[float, ...]] = tuple(86400.0 * day for day in range(len(FITS)))
    logarithmic: ClassVar[bool] = False

    kind: Literal["sonos"] = "sonos"
    g_min_S: float = 0.0
    g_max_S: float = 14e-6
    read_voltage_max_V: float | None = 0.3
    read_voltage_source: str = "three times the 0.1 V at which currents were measured"
    v_read_V: Annotated[float, Gt(0.0)] = 0.1
    shift_scale: Annotated[float, Ge(0.0)] = 1.0
    read_noise_scale: Annotated[float, Ge(0.0)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = SHIFT_FITS_TO_A if self.shift_scale > 0.0 else FITS_TO_A
        if self.g_max_S * self.v_read_V > limit * (1.0 + 1e-9):
            raise ValueError(
                f"g_max_S v_read_V must be at most {limit:g} A, where the fits end "
                f"(got {self.g_max_S * self.v_read_V:g} A)"
            )

    @property
    def evolves(self) -> bool:
        """Whether the mean shifts or the spread grows."""
        return self.shift_scale > 0.0 or self.spread_scale > 0.0

    def moments_S(self, target_S: torch.Tensor, knot: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Equations (1) and (2) [S, S]."""
        low, high = FITS[knot], FITS[min(knot + 1, len(FITS) - 1)]
        nA = target_S.double() * (self.v_read_V * 1e9)  # powers up to the tenth cancel to a few nA
        if self.shift_scale > 0.0 and (knot > 0 or share > 0.0):
            shift = tuple((1.0 - share) * a + share * b for a, b in zip(low.shift, high.shift, strict=True))
            nA = (nA + polynomial(shift, nA) * self.shift_scale).clamp_min_(0.0)
        a, b = ((1.0 - share) * x + share * y for x, y in zip(low[:2], high[:2], strict=True))
        spread = saturating(a, b, nA)
        to_S = 1e-9 / self.v_read_V
        return (nA * to_S).to(target_S.dtype), (spread * to_S).to(target_S.dtype)

    def fast_noise_S(self, g_S: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Equation (3), and ``read_noise_S`` in quadrature [S]."""
        a, b = READ_NOISE_NA
        to_S = 1e-9 / self.v_read_V
        published = saturating(a * self.read_noise_scale, b, g_S.clamp_min(0.0) / to_S) * to_S
        return torch.hypot(published, torch.full_like(g_S, self.read_noise_S))
