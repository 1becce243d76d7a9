"""Shapes in which device papers publish a spread or a mean against the level: polynomials, branches, saturation.

No general power is used: at the end of a tensor it rounds otherwise than inside, and more chips would move the first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

R_FLOOR = 1e-7  # keeps the logarithm of a relative conductance finite at 0, as published


def polynomial(coefficients: tuple[float, ...], x: torch.Tensor) -> torch.Tensor:
    """``c_0 + c_1 x + c_2 x^2 + ...`` by Horner's rule, same shape as ``x``."""
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def saturating(scale: float, constant: float, x: torch.Tensor) -> torch.Tensor:
    """``scale (1 - exp(-x / constant))`` for ``x >= 0``, same shape as ``x``."""
    return -scale * torch.expm1(x * (-1.0 / constant))


class LogBranch(NamedTuple):
    """Below ``edge``, ``clip(slope ln r + offset, low, high)``; from there on, a polynomial in r."""

    edge: float
    slope: float
    offset: float
    low: float
    high: float
    above: tuple[float, ...]

    def of(self, r: torch.Tensor) -> torch.Tensor:
        """Value at relative conductances ``r >= 0``, same shape."""
        below = (self.slope * torch.log(r.clamp_min(R_FLOOR)) + self.offset).clamp(self.low, self.high)
        return torch.where(r < self.edge, below, polynomial(self.above, r))
