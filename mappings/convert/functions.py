"""The function that a network has behind a product, as a converter computes it over the range of its sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from devices import InputError
from periphery import FUNCTIONS, Function
from periphery.functions.library import FAMILIES, SHAPES, Shape, from_callable, named_function

PROBES = 4097
WIDE = 8.0
"""Functions are told apart from -8 to 8 at least, whatever the range of the data: on a short one many are alike."""
UNBOUNDED = ("sigmoid", "tanh")
"""Functions whose outputs end by themselves: their converters need no range."""
FAR = 1e6

Map = Callable[[torch.Tensor], torch.Tensor]


def fitted_function(name: str, f: Map, low: float, high: float) -> Function:
    """``f`` for pre-activations from ``low`` to ``high``: the library's function, with its closed inverse, where it is
    one, whatever calls it is made of; else ``f`` itself, inverted by bisection, under ``name``.

    Raises InputError for a function that has no inverse between its turning points, or is not finite on the range.
    """
    known = known_function(f, low, high)
    if known is None:
        return from_callable(name, f, low, high, turns=turning_points(name, f, low, high), midtread=True)
    kind, numbers = known
    if kind in UNBOUNDED:
        return FUNCTIONS[kind]
    if kind == "relu":
        return named_function("relu", 0.0, high if high > 0.0 else max(-low, 1e-6))  # of a layer that gives zeros alone
    return named_function(kind, low, high, midtread=None, **numbers)


def known_function(f: Map, low: float = 0.0, high: float = 0.0) -> tuple[str, dict[str, float]] | None:
    """Name and numbers of the library's function that ``f`` is, from -8 to 8 and from ``low`` to ``high``.

    A function of a family is asked where its numbers show: a slope at -1, ``alpha`` at its left end, ``ln 2 / beta`` at
    0, ends far out. That all other values fit is the proof.
    """
    z = torch.linspace(min(low, -WIDE), max(high, WIDE), PROBES, dtype=torch.float64)
    y = f(z).double()

    def is_(shape: Shape) -> bool:
        return torch.allclose(y, shape.f(z), rtol=1e-5, atol=1e-6)

    for name, shape in SHAPES.items():
        inside = shape.domain[0] <= low and high <= shape.domain[1]
        if name != "identity" and inside and is_(shape):
            return name, {}
    left, below, middle, right = f(torch.tensor([-FAR, -1.0, 0.0, FAR], dtype=torch.float64)).double().tolist()
    ends = math.isfinite(left) and math.isfinite(right) and -FAR < left < right < FAR
    asked = {
        "leaky_relu": {"slope": -below},
        "elu": {"alpha": -left},
        "softplus": {"beta": math.log(2.0) / middle if middle > 0.0 else 0.0},
        "hard_tanh": {"least": left, "most": right},
    }
    for name, numbers in asked.items():
        above = all(math.isfinite(one) and 0.0 < one < FAR for one in numbers.values())
        if (ends if name == "hard_tanh" else above) and is_(FAMILIES[name](**numbers)):
            return name, numbers
    return None


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
