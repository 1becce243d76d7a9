"""Wires folded into the matrix in closed form, cell by cell and differentiable (alpha-beta, IEEE doc 9691996).

A cell's current passes a divider along its column and one along its row:

    I_j = sum_i V_i alpha_ij G_ij beta_ij
    alpha_ij = (1 + r_bit sum_{k<i} (i-k) G_kj) / (1 + r_bit sum_k (m+1-k) G_kj + r_sense sum_k G_kj)
    beta_ij  = (1 + r_word sum_{k>j} (k-j) G_ik) / (1 + r_word sum_k k G_ik + r_driver sum_k G_ik)

with rows counted towards the sense input and columns away from the driver. Published: equal lines, ideal driver and
sense input. Ours: ``r_word != r_bit`` and the two end resistances, which enter as a longer last segment; other ends of
the lines are the same array turned. Errors by kappa: ``docs/wires.md``.
"""

from __future__ import annotations

import torch

from crossbar.wires.model import Ends, Wires


def alpha_beta(g_S: torch.Tensor, wires: Wires) -> torch.Tensor:
    """Effective conductance of arrays ``(..., m, n)`` to the accuracy of alpha-beta [S], same shape; differentiable."""
    return alpha_beta_ends(g_S, wires).columns_S


def alpha_beta_ends(g_S: torch.Tensor, wires: Wires) -> Ends:
    """The same with the loads of the drivers: a line draws ``G beta``; others sink the share ``1 - alpha`` of it."""
    g = wires.turned(g_S)
    drawn, passed = g * along_row(g, wires), along_column(g, wires)
    return Ends(wires.turned(passed * drawn), wires.turned(drawn).sum(-1), wires.turned((1.0 - passed) * drawn).sum(-1))


def along_column(g: torch.Tensor, wires: Wires) -> torch.Tensor:
    """``alpha``: the share of a cell's current that its bit line passes to the sense input (turned array)."""
    above = g.cumsum(-2)
    total = above[..., -1:, :]
    ladder = above.cumsum(-2)
    before = ladder - above
    return (1 + wires.r_bit_ohm * before) / (1 + wires.r_bit_ohm * ladder[..., -1:, :] + wires.r_sense_ohm * total)


def along_row(g: torch.Tensor, wires: Wires) -> torch.Tensor:
    """``beta``: the share of the drive that its word line leaves to a cell (turned array)."""
    beyond = g.flip(-1).cumsum(-1)
    total = beyond[..., -1:]
    ladder = beyond.cumsum(-1)
    after = (ladder - beyond).flip(-1)
    return (1 + wires.r_word_ohm * after) / (1 + wires.r_word_ohm * ladder[..., -1:] + wires.r_driver_ohm * total)
