"""One polarity of cells, for values that are never negative.

W / w_max = q / (2^b - 1),   q = sum_p d_p 2^(k p),   G_p = g_min + (g_max - g_min) d_p / (2^k - 1)
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
class OneCell(Digits):
    """Digits of a value of one sign, each on one cell: a 0/1 matrix takes a single cell an entry.

    An off cell conducts ``g_min``, which is no weight. Its sum over the driven rows is taken off either by a
    **reference column** of off cells a digit and tile, which follows drift and costs bit lines and the reference's
    spread and noise, or **digitally** (``reference: digital``): the number of driven rows, which the control has, times
    the nominal ``g_min``; the mean of what off cells really conduct then stays in. What neither takes off is the off
    cells' spread: it grows with the root of the rows driven at once, and limits them.

    Parameters
    ----------
    slice_bits : bits of one cell
    weight_bits : bits of a value; digits are converted apart and added digitally
    reference : ``column`` or ``digital``
    """

    kind: Literal["one_cell"] = "one_cell"
    slice_bits: Annotated[int, Interval(ge=1, le=8)] = 1
    weight_bits: Annotated[int, Interval(ge=1, le=16)] = 1
    reference: Literal["column", "digital"] = "column"

    def lay(self, weights: RelativeWeights, device: Device) -> Encoded:
        """Digits from the lowest to the highest, then one reference column a tile where there is any."""
        whole = torch.round(weights.level.clamp(0.0, 1.0).double() * self.top).long()
        target = device.g_min_S + self.unit_S(device) * self.digits(whole).to(weights.level.dtype)
        reference = None
        if self.reference == "column":
            off = target.new_full((*target.shape[:2], weights.tiles), device.g_min_S)
            target, reference = torch.cat([target, off], dim=2), weights.tile_of_column
        scale_S = self.scale_S(weights.w_max, device)
        part = tuple(range(self.slices))
        return Encoded(target, scale_S, weights.clipped, self.significance, part, reference)
