"""Weights cut into digits, each on a pair of cells with few levels.

    |W| / w_max = q / (2^b - 1),   q = sum_p d_p 2^(k p),   0 <= d_p < 2^k,   p = 0 .. ceil(b / k) - 1

    G_p = g_min + (g_max - g_min) d_p / (2^k - 1)  on the polarity of W's sign, g_min on the other

Digits are put together again either as charge, on integrators whose capacitors stand as ``2^(k p)`` (one conversion,
which may be nonlinear), or digitally: every digit's columns are converted by themselves, linearly, and the words are
shifted and added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from crossbar.encoding import Encoded, Encoding
from devices import Device


@dataclass(frozen=True, kw_only=True)
class BitSlices(Encoding):
    """Signed magnitudes of ``weight_bits`` bits in slices of ``slice_bits``.

    Parameters
    ----------
    slice_bits : bits of one pair of cells
    weight_bits : bits of a weight's magnitude; the sign comes on top
    combine : slices are summed as ``charge`` or, converted apart, as ``digital`` words
    """

    kind: Literal["bit_slices"] = "bit_slices"
    slice_bits: Annotated[int, Interval(ge=1, le=8)] = 2
    weight_bits: Annotated[int, Interval(ge=1, le=16)] = 8
    combine: Literal["charge", "digital"] = "charge"

    def __post_init__(self) -> None:
        if self.slice_bits > self.weight_bits:
            raise ValueError(
                f"slice_bits must be at most weight_bits = {self.weight_bits} (got {self.slice_bits}): one slice of "
                "all bits is a differential pair"
            )

    @property
    def slices(self) -> int:
        """Pairs of cells of one weight."""
        return -(-self.weight_bits // self.slice_bits)

    def lay(
        self,
        level: torch.Tensor,
        w_max: torch.Tensor,
        clipped: float,
        device: Device,
        tile_of_column: torch.Tensor,
    ) -> Encoded:
        """Pairs from the lowest digit to the highest, plus before minus.

        Rounding has no slope; gradients pass it by, all through the highest digit, whose significance is the largest.
        """
        k, count, base = self.slice_bits, self.slices, 2**self.slice_bits
        top, window_S = 2**self.weight_bits - 1, device.g_max_S - device.g_min_S
        exact = level.clamp(-1.0, 1.0) * top
        whole = torch.round(exact.detach().double()).long()
        unit_S = window_S / (base - 1)
        planes = []
        for p in range(count):
            digit = (whole.abs() >> (k * p)) & (base - 1)
            for polarity in (1, -1):
                planes.append(device.g_min_S + unit_S * (digit * (whole.sign() == polarity)).to(level.dtype))
        highest = float(2 ** (k * (count - 1)))
        bypass = unit_S / highest * (exact - exact.detach())
        planes[-2] = planes[-2] + bypass
        significance = tuple(polarity * 2.0 ** (k * p) / highest for p in range(count) for polarity in (1, -1))
        part = tuple((p if self.combine == "digital" else 0) for p in range(count) for _ in range(2))
        return Encoded(torch.stack(planes), unit_S * top / highest / w_max, clipped, significance, part)
