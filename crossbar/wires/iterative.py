"""Currents of nonlinear cells and of rows that are gated off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from crossbar.wires.model import Wires


@dataclass(frozen=True)
class Solved:
    """Column currents ``(..., batch, n)`` [A], the iterations of the slowest vector, and the largest share of a
    column's current that entered its bit line but did not arrive at the sense input [1]."""

    current_A: torch.Tensor
    iterations: int
    residual: float


def solve(v_V: torch.Tensor, coefficients: Sequence[torch.Tensor], wires: Wires, *, tolerance: float = 1e-9) -> Solved:
    """Column currents of input vectors ``(..., batch, m)`` [V] through cells ``I = c_1 V + c_2 V^2 + ...`` (odd), with
    ``coefficients`` of shape ``(..., m, n)`` each. Raises ArithmeticError where it does not converge."""
    raise NotImplementedError("on its way")
