"""Pairs of cells whose difference is the weight.

    G+ - G- = s W,   s = n (g_max - g_min) / w_max     n: cells side by side on each polarity

*One-sided*: one polarity carries the weight, the other rests at ``g_min``. *Balanced*: both move, symmetrically about
mid-range. A cell at rest conducts, and its spread enters every product. Several cells a polarity hold the same weight
each: their errors average, the spread falls as ``1 / sqrt(n)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from crossbar.encoding import Encoded, Encoding, RelativeWeights
from devices import Device


@dataclass(frozen=True, kw_only=True)
class DifferentialPair(Encoding):
    """Two polarities of one or several cells.

    Parameters
    ----------
    balanced : both polarities move (True), or one rests at ``g_min`` (False)
    cells : cells on each polarity that hold the same weight
    """

    kind: Literal["differential"] = "differential"
    balanced: bool = False
    cells: Annotated[int, Interval(ge=1, le=64)] = 1

    def lay(self, weights: RelativeWeights, device: Device) -> Encoded:
        """Plus cells first, then minus cells."""
        window_S = device.g_max_S - device.g_min_S
        level = weights.level.clamp(-1.0, 1.0)
        if self.balanced:
            middle_S = 0.5 * (device.g_max_S + device.g_min_S)
            pair = torch.stack([middle_S + 0.5 * window_S * level, middle_S - 0.5 * window_S * level])
        else:
            pair = device.g_min_S + window_S * torch.stack([level.clamp_min(0.0), (-level).clamp_min(0.0)])
        n = self.cells
        target = pair.repeat_interleave(n, dim=0) if n > 1 else pair
        scale_S = n * window_S / weights.w_max
        return Encoded(target, scale_S, weights.clipped, (1.0,) * n + (-1.0,) * n, (0,) * (2 * n))
