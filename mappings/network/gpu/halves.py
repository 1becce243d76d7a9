"""Matrices as numbers of half precision, for products by tensor cores that are as good as those of single precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mappings.network.gpu.records import Product

LARGEST = 2.0**14  # of a weight in half precision
WHOLE = 2048.0  # whole numbers up to here are of half precision


def split(values: torch.Tensor, whole: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Numbers ``(chips, ...)`` times a power of two as the sum of two of half precision, 22 bits, and what takes the
    factor back, ``(chips,)``; ``whole``: what the factor is to suit, if not these numbers alone."""
    largest = (values if whole is None else whole).abs().flatten(1).amax(1).clamp_min(1e-30)
    factor = torch.exp2(torch.floor(torch.log2(LARGEST / largest)))
    scaled = values * factor.view(-1, *(1 for _ in values.shape[1:]))
    high = scaled.half()
    return high, (scaled - high.float()).half(), 1.0 / factor


@dataclass(frozen=True)
class HalfProduct:
    """Some rows of a matrix in half precision.

    ``weights``: ``(chips, parts rows, wide)``, the larger part of every weight above the smaller one. ``parts``: 2
    where whole numbers arrive that half precision holds, which meet both; else 3: what arrives is the sum of two as
    well, and the product of both smaller parts is left out. ``spreads``: variances, ``(chips, rows, wide)``, within a
    thousandth, or of size 0; ``top``: the longest pulse; ``scales``: what takes the factors of ``z`` and ``spread``
    back, ``(chips, 2)``, the same for all rows of a matrix.
    """

    weights: torch.Tensor
    spreads: torch.Tensor
    scales: torch.Tensor
    parts: int
    top: float

    @classmethod
    def of(cls, product: Product, rows: Sequence[slice], top: float, *, multiple: int = 1) -> HalfProduct:
        """Those rows of the matrix, and rows of zeros up to a multiple of so many."""
        parts = 3 if product.settled.numel() or top > WHOLE else 2

        def halves(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            taken = torch.cat([values[:, some] for some in rows], dim=1)
            return split(torch.nn.functional.pad(taken, (0, 0, 0, -taken.shape[1] % multiple)), values)

        high, low, scale = halves(product.weights)
        spreads, of_spreads = scale.new_empty(0), scale
        if product.variances.numel():
            spreads, _, of_spreads = halves(product.variances)
        scales = torch.stack([scale, of_spreads * top**2], dim=1).contiguous()
        return cls(torch.cat([high] * (parts - 1) + [low], dim=1), spreads, scales, parts, top)

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, (0, self.weights.shape[1] // self.parts - x.shape[-1]))

    def taken(self, x: torch.Tensor) -> torch.Tensor:
        """What arrives, ``(chips, n, rows)``, as the weights take it, ``(chips, n, parts rows)``."""
        x = self._padded(x)
        high = x.half()
        middle = [(x - high.float()).half()] if self.parts == 3 else []
        return torch.cat([high, *middle, high], dim=-1)

    def squares(self, x: torch.Tensor) -> torch.Tensor:
        """Squares of what arrives as the variances take them."""
        return (self._padded(x) / self.top).square().half()

    def z(self, x: torch.Tensor) -> torch.Tensor:
        """The product of what arrives with the weights times their factor, ``(chips, n, wide)``."""
        return torch.bmm(self.taken(x), self.weights, out_dtype=torch.float32)

    def spread(self, x: torch.Tensor) -> torch.Tensor:
        """The variance of that product times its factor; nothing where the cells have none."""
        if not self.spreads.numel():
            return x.new_empty(0)
        return torch.bmm(self.squares(x), self.spreads, out_dtype=torch.float32)
