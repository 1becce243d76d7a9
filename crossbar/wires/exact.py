"""Exact effective conductance of linear cells."""

from __future__ import annotations

import torch

from crossbar.wires.model import Wires


def effective_conductance(g_S: torch.Tensor, wires: Wires) -> torch.Tensor:
    """Matrix ``G_eff`` with ``I = V @ G_eff`` for every input, of arrays ``(..., m, n)`` [S], same shape and type."""
    raise NotImplementedError("on its way")
