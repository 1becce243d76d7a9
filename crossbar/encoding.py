"""Signed weights as pairs of conductances.

A weight is stored as the difference of two cells on neighbouring bit lines:

    G+ - G- = s W,   s = (g_max - g_min) / w_max   [S per unit of weight]

*One-sided*: one cell carries the weight, the other rests at ``g_min``. *Balanced*: both move, symmetrically about
mid-range. ``w_max`` belongs to a tile; weights beyond it are clipped, and the share of clipped weights is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Interval

from devices import Device


@dataclass(frozen=True)
class Encoded:
    """Targets of a matrix of weights.

    ``target_S``: shape ``(2, rows, columns)``, plus cells first [S]; ``scale_S``: shape ``(columns,)``, siemens per
    unit of weight; ``clipped``: share of weights beyond ``w_max`` [1].
    """

    target_S: torch.Tensor
    scale_S: torch.Tensor
    clipped: float


@dataclass(frozen=True, kw_only=True)
class DifferentialPair:
    """How a signed weight becomes two conductances.

    Parameters
    ----------
    balanced : both cells of a pair move (True), or one rests at ``g_min`` (False)
    clip_quantile : ``w_max`` of a tile is this quantile of its ``|W|``; 1 keeps every weight [1]
    """

    balanced: bool = False
    clip_quantile: Annotated[float, Interval(gt=0.5, le=1.0)] = 1.0

    def encode(self, weights: torch.Tensor, device: Device, *, tile_of_column: torch.Tensor) -> Encoded:
        """Targets for ``weights`` of shape ``(rows, columns)``; columns of one tile share one scale.

        ``tile_of_column`` has shape ``(columns,)`` and counts tiles from 0. A tile of zeros gets ``w_max = 1``.
        """
        magnitude = weights.abs()
        if self.clip_quantile == 1.0:
            peak = magnitude.amax(dim=0)
            tiles = int(tile_of_column.max()) + 1
            w_max = torch.zeros(tiles, dtype=weights.dtype).scatter_reduce(0, tile_of_column, peak, "amax")
        else:
            w_max = torch.stack(
                [
                    torch.quantile(magnitude[:, tile_of_column == tile].flatten(), self.clip_quantile)
                    for tile in range(int(tile_of_column.max()) + 1)
                ]
            )
        w_max = torch.where(w_max > 0, w_max, torch.ones_like(w_max))[tile_of_column]
        clipped = float((magnitude > w_max * (1 + 1e-6)).float().mean())
        window_S = device.g_max_S - device.g_min_S
        level = (weights / w_max).clamp(-1.0, 1.0)
        if self.balanced:
            middle_S = 0.5 * (device.g_max_S + device.g_min_S)
            target = torch.stack([middle_S + 0.5 * window_S * level, middle_S - 0.5 * window_S * level])
        else:
            target = device.g_min_S + window_S * torch.stack([level.clamp_min(0.0), (-level).clamp_min(0.0)])
        return Encoded(target, window_S / w_max, clipped)
