"""Fast read noise of cells behind wires, referred to the columns.

A cell's noise ``delta G`` drives ``delta G U`` into its bit line, where ``U`` is the voltage left across the cell, and
its bit line hands a share of it to the sense input. Approximations:

    w_ij, a_ij      voltage of word line i at column j over its drive, and share of a current fed into bit line j at
                    row i that reaches the sense input: each line alone, solved exactly, its cells ending at 0 V
    s_ij = w_ij a_ij / (1 + G_ij R_ij)      R_ij = w_ij (j r_word + r_driver) + a_ij (i' r_bit + r_sense)
    var I_j = sum_i sigma_ij^2 s_ij^2 (V_i - (1 - a_ij) V_j)^2      V_j = sum_i V_i G_ij w_ij / sum_i G_ij w_ij

with j segments to the driver and i' to the sense input. ``R`` is what the cell sees of its two lines: a cell that
changes by itself changes the drop in front of it, which the square of ``G_eff / G`` leaves out. The last factor holds
the rise of the bit line under the current of all its cells: it ties the noise to the mean input of the column, so that
three matrix products replace a solution per input. Noise that leaks into other columns is left out. Measured error:
``docs/wires.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossbar.wires.line import Lines
from crossbar.wires.model import Wires


@dataclass(frozen=True)
class FoldedNoise:
    """Variance of column currents as a quadratic form in the inputs.

    ``square_S2``, ``cross_S2``, ``share``: shape ``(..., m, n)``; ``common_S2``: shape ``(..., 1, n)``.
    ``square_S2`` alone, ``sigma^2 s^2``, is the variance of inputs that average out: of signed ones, and of pulses in
    two phases that see a cell's noise unchanged, whose charges are subtracted.
    """

    square_S2: torch.Tensor
    cross_S2: torch.Tensor
    common_S2: torch.Tensor
    share: torch.Tensor

    @classmethod
    def of(cls, variance_S2: torch.Tensor, g_S: torch.Tensor, wires: Wires) -> FoldedNoise:
        """Noise of cells with ``variance_S2`` and mean conductance ``g_S``, ``(..., m, n)`` each [S^2, S]."""
        g = wires.turned(g_S)
        m, n = g.shape[-2:]
        row = _driven(g.movedim(-1, 0), wires.r_word_ohm, wires.r_driver_ohm).movedim(0, -1)
        # A bit line driven from its sense input: what it loses on the way is what a current loses on the way back.
        column = _driven(g.flip(-2).movedim(-2, 0), wires.r_bit_ohm, wires.r_sense_ohm).movedim(0, -2).flip(-2)
        along_word = torch.arange(1, n + 1).to(g) * wires.r_word_ohm + wires.r_driver_ohm
        along_bit = torch.arange(m, 0, -1).to(g)[:, None] * wires.r_bit_ohm + wires.r_sense_ohm
        own = 1.0 + g * (row * along_word + column * along_bit)
        square = wires.turned(variance_S2) * (column * row / own).square()
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


def _driven(load_S: torch.Tensor, segment_ohm: float, end_ohm: float) -> torch.Tensor:
    """Voltages along lines ``(nodes, ...)`` with 1 V at their ends [V]."""
    return Lines(load_S, segment_ohm, end_ohm).fed(torch.ones_like(load_S[0]), torch.zeros_like(load_S))


def read_variance(v_V: torch.Tensor, sigma_S: torch.Tensor, g_S: torch.Tensor, wires: Wires) -> torch.Tensor:
    """Variance of column currents under fast noise of standard deviation ``sigma_S (..., m, n)`` on every cell [A^2].

    ``v_V``: inputs ``(..., batch, m)`` [V]; the result has shape ``(..., batch, n)``.
    """
    return FoldedNoise.of(sigma_S.square(), g_S, wires).variance(v_V)
