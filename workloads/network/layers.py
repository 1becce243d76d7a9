"""STAND-IN until the reader of layers arrives: modules of torch by name, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from devices import InputError

KNOWN = {
    "linear": "Linear",
    "relu": "ReLU",
    "flatten": "Flatten",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "conv2d": "Conv2d",
}


def from_layers(layers: Sequence[Any]) -> torch.nn.Sequential:
    """The layers in order."""
    made = []
    for number, one in enumerate(layers):
        ((name, sizes),) = one.items() if isinstance(one, dict) else ((one, ()),)
        if name not in KNOWN:
            raise InputError(f"layers[{number}]: must be one of {', '.join(KNOWN)} (got {name})")
        made.append(getattr(torch.nn, KNOWN[name])(*sizes))
    return torch.nn.Sequential(*made)
