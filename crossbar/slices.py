"""Weights cut into digits, each on a pair of cells with few levels.

    |W| / w_max = q / (2^b - 1),   q = sum_p d_p 2^(k p),   0 <= d_p < 2^k,   p = 0 .. ceil(b / k) - 1

    G_p = g_min + (g_max - g_min) d_p / (2^k - 1)  on the polarity of W's sign, g_min on the other

Digits are put together again either as charge, on integrators whose capacitors are in the ratios ``2^(k p)`` (one
conversion, which may be nonlinear), or digitally: every digit's columns are converted by themselves, linearly, and the
words are shifted and added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from crossbar.digits import Digits
from crossbar.encoding import Encoded, RelativeWeights
from devices import Device


@dataclass(frozen=True, kw_only=True)
class BitSlices(Digits):
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

    def lay(self, weights: RelativeWeights, device: Device) -> Encoded:
        """Pairs from the lowest digit to the highest, plus before minus.

        Rounding has no slope; gradients pass it by, all through the highest digit, whose significance is the largest.
        """
        unit_S, dtype = self.unit_S(device), weights.level.dtype
        exact = weights.level.clamp(-1.0, 1.0) * self.top
        whole = torch.round(exact.detach().double()).long()
        planes = [
            device.g_min_S + unit_S * (digit * (whole.sign() == polarity)).to(dtype)
            for digit in self.digits(whole.abs())
            for polarity in (1, -1)
        ]
        bypass = unit_S * self.significance[0] * (exact - exact.detach())
        planes[-2] = planes[-2] + bypass
        significance = tuple(polarity * size for size in self.significance for polarity in (1, -1))
        part = tuple((p if self.combine == "digital" else 0) for p in range(self.slices) for _ in range(2))
        scale_S = self.scale_S(weights.w_max, device)
        return Encoded(torch.stack(planes), scale_S, weights.clipped, significance, part)
