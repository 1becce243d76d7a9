"""Signed weights as conductances: what every encoding shares.

An encoding lays a weight W on several cells, its *planes*, whose currents are added with a sign and a significance:

    sum_p a_p G_p - G_ref = s W        s: siemens per unit of weight;  G_ref: a shared reference column, or none

``w_max``, the weight at full scale, belongs to a tile or to a column. Weights beyond it are clipped, and the share of
clipped weights is reported.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from devices import Device


@dataclass(frozen=True)
class RelativeWeights:
    """Weights at the scale of their tile or column.

    ``level``: W / w_max, shape ``(rows, columns)``, beyond -1 and 1 where weights are clipped [1]; ``w_max``: the
    weight at full scale of every column, shape ``(columns,)``; ``tile_of_column``: shape ``(columns,)``, tiles from 0;
    ``clipped``: share of weights beyond ``w_max`` [1].
    """

    level: torch.Tensor
    w_max: torch.Tensor
    tile_of_column: torch.Tensor
    clipped: float = 0.0

    @property
    def tiles(self) -> int:
        """Tiles over which the columns are spread."""
        return int(self.tile_of_column.max()) + 1


@dataclass(frozen=True)
class Encoded:
    """Targets of a matrix of weights.

    ``target_S``: shape ``(planes, rows, columns + references)`` [S]; ``scale_S``: shape ``(columns,)``, siemens per
    unit of weight; ``clipped``: share of weights beyond ``w_max`` [1]; ``significance``: what each plane's current
    counts, its sign included; ``part``: the conversion in which each plane takes part, 0 for all where planes are
    summed as charge; ``reference``: shape ``(columns,)``, the reference column of each column, or None.
    """

    target_S: torch.Tensor
    scale_S: torch.Tensor
    clipped: float
    significance: tuple[float, ...]
    part: tuple[int, ...]
    reference: torch.Tensor | None = None

    @property
    def planes(self) -> int:
        """Cells of one weight."""
        return self.target_S.shape[0]

    @property
    def parts(self) -> int:
        """Conversions whose words are added digitally to make one weight's product."""
        return max(self.part) + 1

    @property
    def branches(self) -> int:
        """Different significances within one conversion: capacitors that each column's integrator needs."""
        return max(
            len({abs(a) for a, part in zip(self.significance, self.part, strict=True) if part == number})
            for number in range(self.parts)
        )

    @property
    def shift_bits(self) -> int:
        """Bits by which the word of the highest part is shifted against that of the lowest."""
        if self.parts == 1:
            return 0
        sizes = [abs(a) for a in self.significance]
        return round(math.log2(max(sizes) / min(sizes)))

    @property
    def columns(self) -> int:
        """Weight columns, references left out."""
        return self.scale_S.shape[0]


@dataclass(frozen=True, kw_only=True)
class Encoding(ABC):
    """How a signed weight becomes conductances.

    Parameters
    ----------
    clip_quantile : ``w_max`` is this quantile of ``|W|``; 1 keeps every weight [1]
    scale : weights of a whole ``tile``, or of each ``column``, share one ``w_max``
    """

    kind: str
    clip_quantile: Annotated[float, Interval(gt=0.5, le=1.0)] = 1.0
    scale: Literal["tile", "column"] = "tile"

    def encode(self, weights: torch.Tensor, device: Device, *, tile_of_column: torch.Tensor) -> Encoded:
        """Targets for ``weights`` of shape ``(rows, columns)``; differentiable in them.

        ``tile_of_column`` has shape ``(columns,)`` and counts tiles from 0. A tile of zeros gets ``w_max = 1``.
        """
        w_max = self.full_scale(weights.detach(), tile_of_column)
        clipped = 0.0  # a scale by the largest weight clips none
        if self.clip_quantile < 1.0:
            clipped = float((weights.detach().abs() > w_max * (1 + 1e-6)).float().mean())
        return self.lay(RelativeWeights(weights / w_max, w_max, tile_of_column, clipped), device)

    def full_scale(self, weights: torch.Tensor, tile_of_column: torch.Tensor) -> torch.Tensor:
        """``w_max`` of every column, shape ``(columns,)``."""
        magnitude, tiles = weights.abs(), tile_of_column.to(weights.device)
        whole = self.clip_quantile == 1.0
        if self.scale == "column":
            w_max = magnitude.amax(dim=0) if whole else torch.quantile(magnitude, self.clip_quantile, dim=0)
        elif whole:
            w_max = magnitude.new_zeros(len(tiles)).scatter_reduce(0, tiles, magnitude.amax(dim=0), "amax")[tiles]
        else:
            each = [magnitude[:, tiles == tile].flatten() for tile in range(int(tiles.max()) + 1)]
            w_max = torch.stack([torch.quantile(one, self.clip_quantile) for one in each])[tiles]
        return torch.where(w_max > 0, w_max, torch.ones_like(w_max))

    @abstractmethod
    def lay(self, weights: RelativeWeights, device: Device) -> Encoded:
        """Targets for weights whose level this clips to [-1, 1]."""
