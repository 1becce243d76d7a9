"""Which cell makes which step: cells that were meant for the same number of clocks may change places.

A ramp's row decoder drives its cells one after another; the order is a table in a register file. Once the cells are
programmed and measured, the steps can be dealt out anew, each to the cell that now suits it best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit


def sorted_order(measured_S: torch.Tensor, wanted_S: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Within each group, the largest step goes to the largest cell, and so on down.

    ``measured_S``: ``(..., steps)`` conductances as programmed; ``wanted_S``, ``group``: ``(steps,)``. Returns the
    cell of every step, in the shape of ``measured_S``.
    """
    order = torch.arange(len(wanted_S)).repeat(*measured_S.shape[:-1], 1)
    for each in torch.unique(group):
        members = (group == each).nonzero()[:, 0]
        by_size = members[wanted_S[members].argsort(stable=True)]
        order[..., by_size] = members[measured_S[..., members].argsort(dim=-1, stable=True)]
    return order


@njit(nogil=True, cache=True, error_model="numpy")
def _follow(measured: Any, wanted: Any, clocks: Any, group: Any, order: Any) -> None:
    steps = wanted.size
    for ramp in range(measured.shape[0]):
        free = np.ones(steps, np.bool_)
        error = 0.0
        for k in range(steps):
            best, least = -1, np.inf
            for cell in range(steps):
                if free[cell] and group[cell] == group[k]:
                    left = abs(error + (measured[ramp, cell] - wanted[k]) * clocks[k])
                    if left < least:
                        best, least = cell, left
            free[best] = False
            error += (measured[ramp, best] - wanted[k]) * clocks[k]
            order[ramp, k] = best


def following_order(
    measured_S: torch.Tensor, wanted_S: torch.Tensor, clocks: torch.Tensor, group: torch.Tensor
) -> torch.Tensor:
    """Step after step, the free cell of the step's group that leaves the smallest error of the charge so far.

    Errors then cancel as they arise instead of adding up. To leave a balanced rest for the end, each group's wanted
    steps are first shifted by its mean error. Arguments as in ``sorted_order``, and ``clocks (steps,)``.
    """
    measured = measured_S.double().reshape(-1, measured_S.shape[-1])
    shifted = measured.clone()
    for each in torch.unique(group):
        members = group == each
        shifted[:, members] -= (measured[:, members] - wanted_S[members]).mean(dim=1, keepdim=True)
    order = np.empty(tuple(measured.shape), np.int64)
    _follow(
        shifted.numpy(),
        wanted_S.double().contiguous().numpy(),
        clocks.double().contiguous().numpy(),
        group.contiguous().numpy(),
        order,
    )
    return torch.from_numpy(order).reshape(measured_S.shape)
