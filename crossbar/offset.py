"""One cell a weight, and one reference column a tile.

    G - G_ref = s W,   s = n (g_max - g_min) / (2 w_max),   G_ref = n (g_max + g_min) / 2

Half the cells of a differential pair, for half its swing. The reference column is made of cells too: its programming
errors shift all columns of the tile alike, and its read noise is common to all conversions of one product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from crossbar.encoding import Encoded, Encoding, RelativeWeights
from devices import Device


@dataclass(frozen=True, kw_only=True)
class OffsetColumn(Encoding):
    """Weights about mid-range, and a column at mid-range to subtract.

    Parameters
    ----------
    cells : cells that hold the same weight, in the reference column as well
    """

    kind: Literal["offset"] = "offset"
    cells: Annotated[int, Interval(ge=1, le=64)] = 1

    def lay(self, weights: RelativeWeights, device: Device) -> Encoded:
        """Weight columns first, then one reference column a tile."""
        window_S, middle_S = device.g_max_S - device.g_min_S, 0.5 * (device.g_max_S + device.g_min_S)
        plane = middle_S + 0.5 * window_S * weights.level.clamp(-1.0, 1.0)
        plane = torch.cat([plane, plane.new_full((plane.shape[0], weights.tiles), middle_S)], dim=1)
        n = self.cells
        target, scale_S = plane.expand(n, -1, -1), n * 0.5 * window_S / weights.w_max
        return Encoded(target, scale_S, weights.clipped, (1.0,) * n, (0,) * n, weights.tile_of_column)
