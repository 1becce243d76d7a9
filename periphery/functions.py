"""The functions that a distorted ramp can compute, with their inverses and output ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Function:
    """A monotonically rising function ``y = f(z)``, its inverse and the range of outputs that is quantised.

    ``midtread``: outputs include the value at ``z = 0``, which a mid-rise code of an odd function would not.
    """

    name: str
    low: float
    high: float
    f: Callable[[torch.Tensor], torch.Tensor]
    inverse: Callable[[torch.Tensor], torch.Tensor]
    midtread: bool = False


SIGMOID = Function("sigmoid", 0.0, 1.0, torch.sigmoid, torch.logit)
TANH = Function("tanh", -1.0, 1.0, torch.tanh, torch.atanh, midtread=True)

FUNCTIONS: dict[str, Function] = {"sigmoid": SIGMOID, "tanh": TANH}


def identity(limit: float) -> Function:
    """The linear function on ``[-limit, limit]``: an ordinary ramp converter."""
    return Function("identity", -limit, limit, torch.clone, torch.clone, midtread=True)


def output_levels(function: Function, bits: int) -> torch.Tensor:
    """Outputs ``y_c`` of the codes ``c = 0 .. 2^bits - 1``, shape ``(2^bits,)``, float64.

    Mid-rise: ``y_c = low + (c + 1/2) LSB``; mid-tread: ``y_c = low + c LSB``; ``LSB = (high - low) / 2^bits``.
    """
    count = int(2**bits)
    lsb = (function.high - function.low) / count
    return function.low + (torch.arange(count, dtype=torch.float64) + (0.0 if function.midtread else 0.5)) * lsb


def threshold_levels(function: Function, bits: int) -> torch.Tensor:
    """Outputs half-way between neighbouring codes, shape ``(2^bits - 1,)``; the thresholds are their inverses."""
    levels = output_levels(function, bits)
    return 0.5 * (levels[1:] + levels[:-1])


def thresholds(function: Function, bits: int) -> torch.Tensor:
    """Inputs at which an ideal converter changes its code, shape ``(2^bits - 1,)``, float64, rising."""
    return function.inverse(threshold_levels(function, bits))
