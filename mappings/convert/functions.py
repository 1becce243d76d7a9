"""The function that a network has behind a product, as a converter computes it over the range of its sums."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from devices import InputError
from periphery import FUNCTIONS, Function
from periphery.functions.library import SHAPES, from_callable, named_function

PROBES = 4097
LIBRARY = {"hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish"}
"""Names of torch's functions in the library, where they differ."""
UNBOUNDED = ("sigmoid", "tanh")
"""Functions whose outputs end by themselves: their converters need no range."""

Map = Callable[[torch.Tensor], torch.Tensor]


def fitted_function(name: str, f: Map, low: float, high: float) -> Function:
    """``f`` for pre-activations from ``low`` to ``high``; the library's function of that name where it is the same.

    Raises InputError for a function that has no inverse between its turning points, or is not finite on the range.
    """
    known = LIBRARY.get(name, name)
    z = torch.linspace(low, high, PROBES, dtype=torch.float64)
    if known in SHAPES and torch.allclose(f(z).double(), SHAPES[known].f(z), rtol=1e-5, atol=1e-6):
        if known in UNBOUNDED:
            return FUNCTIONS[known]
        if known == "relu":
            return named_function("relu", 0.0, max(high, 1e-6))
        return named_function(known, low, high)
    return from_callable(name, f, low, high, turns=turning_points(name, f, low, high), midtread=True)


def turning_points(name: str, f: Map, low: float, high: float) -> list[float]:
    """Inputs at which ``f`` turns between ``low`` and ``high``, found on a grid and narrowed down (Brent).

    Raises InputError where it is not finite.
    """
    from scipy.optimize import minimize_scalar  # 0.2 s, which commands that convert nothing need not wait for

    z = torch.linspace(low, high, PROBES, dtype=torch.float64)
    y = f(z).double()
    if not bool(y.isfinite().all()):
        raise InputError(f"function {name}: must be finite from {low:g} to {high:g}, the range of the data")
    step = torch.diff(y).numpy()
    slack = 1e-12 * float(y.abs().max())
    moving: list[int] = np.flatnonzero(np.abs(step) > slack).tolist()
    found = []
    for first, second in pairwise(moving):
        if step[first] * step[second] < 0:
            sign = 1.0 if step[first] < 0 else -1.0
            ends = float(z[first]), float(z[min(second + 1, PROBES - 1)])
            at = minimize_scalar(
                lambda one, sign=sign: sign * float(f(torch.tensor(one, dtype=torch.float64))),
                bounds=ends,
                method="bounded",
                options={"xatol": 1e-12 * (high - low)},
            )
            found.append(float(at.x))
    return found
