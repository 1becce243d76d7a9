"""Fast read noise of cells behind wires, referred to the columns.

A cell's noise ``delta G`` drives ``delta G U`` into its bit line, where ``U`` is the voltage left across the cell, and
its bit line hands the share ``alpha`` of it to the sense input. Approximations, all on the factors of alpha-beta:

    U_ij = beta_ij (V_i - (1 - alpha_ij) V_j)       V_j = sum_i V_i G_ij beta_ij / sum_i G_ij beta_ij
    var I_j = sum_i sigma_ij^2 alpha_ij^2 U_ij^2

The first term of ``U`` is the drive that the word line leaves, the second the rise of the bit line under the current of
all its cells: it ties the noise to the mean input of the column, so that three matrix products replace a solution per
input. Noise that leaks into other columns is left out. Measured error: ``docs/wires.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossbar.wires.folded import along_column, along_row
from crossbar.wires.model import Wires


@dataclass(frozen=True)
class FoldedNoise:
    """Variance of column currents as a quadratic form in the inputs.

    ``square_S2``, ``cross_S2``, ``share``: shape ``(..., m, n)``; ``common_S2``: shape ``(..., 1, n)``.
    ``square_S2`` alone, ``sigma^2 alpha^2 beta^2``, is the variance of inputs that average out, such as signed ones.
    """

    square_S2: torch.Tensor
    cross_S2: torch.Tensor
    common_S2: torch.Tensor
    share: torch.Tensor

    @classmethod
    def of(cls, variance_S2: torch.Tensor, g_S: torch.Tensor, wires: Wires) -> FoldedNoise:
        """Noise of cells with ``variance_S2`` and mean conductance ``g_S``, ``(..., m, n)`` each [S^2, S]."""
        g = wires.turned(g_S)
        column, row = along_column(g, wires), along_row(g, wires)
        square = wires.turned(variance_S2) * (column * row).square()
        rise = 1.0 - column
        weight = g * row
        share = weight / weight.sum(-2, keepdim=True).clamp_min(torch.finfo(g.dtype).tiny)
        common = (square * rise.square()).sum(-2, keepdim=True)
        turned = (wires.turned(square), wires.turned(square * rise), wires.turned(common), wires.turned(share))
        return cls(*turned)

    def variance(self, v_V: torch.Tensor) -> torch.Tensor:
        """Variance of the column currents of inputs ``(..., batch, m)``, shape ``(..., batch, n)`` [A^2]."""
        mean = v_V @ self.share
        return v_V.square() @ self.square_S2 + mean * (mean * self.common_S2 - 2.0 * (v_V @ self.cross_S2))


def read_variance(v_V: torch.Tensor, sigma_S: torch.Tensor, g_S: torch.Tensor, wires: Wires) -> torch.Tensor:
    """Variance of column currents under fast noise of standard deviation ``sigma_S (..., m, n)`` on every cell [A^2].

    ``v_V``: inputs ``(..., batch, m)`` [V]; the result has shape ``(..., batch, n)``.
    """
    return FoldedNoise.of(sigma_S.square(), g_S, wires).variance(v_V)
