"""Figures of merit of a network: of classes, and of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch

from devices import InputError
from workloads.network.evaluate import accuracy
from workloads.result import ERROR, SHARE, Metric

Figure = Literal["accuracy", "top5", "mse", "mae", "r2"]
CLASSES = ("accuracy", "top5")
FIGURES: dict[str, Metric] = {
    "accuracy": SHARE,
    "top5": SHARE,
    "mse": ERROR,
    "mae": ERROR,
    "r2": Metric(higher_is_better=True, unit="of 1"),
}


def top5(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of samples whose class is among those of the five largest outputs [1]."""
    best = outputs.topk(min(5, outputs.shape[-1]), dim=-1).indices
    return float((best == targets[..., None]).any(-1).float().mean())


def mse(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Mean squared error, in the square of the targets' unit."""
    return float((outputs.double() - targets).square().mean())


def mae(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Mean absolute error, in the targets' unit."""
    return float((outputs.double() - targets).abs().mean())


def r2(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Coefficient of determination, ``1 - sum (y - t)^2 / sum (t - mean t)^2`` over samples and outputs [1]."""
    spread = (targets - targets.mean(0)).square().sum()
    return float(1.0 - (outputs.double() - targets).square().sum() / spread)


COMPUTED: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy,
    "top5": top5,
    "mse": mse,
    "mae": mae,
    "r2": r2,
}


def targets_for(figures: Sequence[str], outputs: Any, y: torch.Tensor, name: str) -> torch.Tensor:
    """``y`` as these figures take it beside ``outputs`` of the same samples, or of fewer.

    ``name``: how messages call ``y``. Raises InputError where they do not fit each other.
    """
    if not isinstance(outputs, torch.Tensor):
        raise InputError(f"model: must give one tensor (got {type(outputs).__name__} of {len(outputs)})")
    each = outputs.shape[1:]
    if figures[0] in CLASSES:
        if y.is_floating_point():
            raise InputError(f"{name}: classes are whole numbers, for figures: {figures[0]} (got {y.dtype})")
        classes = each[-1] if each else 0
        if y.shape[1:] != each[:-1] or not classes:
            raise InputError(
                f"{name}: one class for each sample (and step), shape (n, {_text(each[:-1])}) for outputs "
                f"(n, {_text(each)}) (got {tuple(y.shape)})"
            )
        if int(y.min()) < 0 or int(y.max()) >= classes:
            raise InputError(
                f"{name}: classes from 0 to {classes - 1}, as the network has {classes} outputs "
                f"(got {int(y.min())} to {int(y.max())})"
            )
        return y.long()
    y = y.double()
    if y.shape[1:] != each and y[0].numel() == outputs[0].numel() == 1:
        y = y.reshape(-1, *each)
    if y.shape[1:] != each:
        raise InputError(f"{name}: values of the shape of the outputs, (n, {_text(each)}) (got {tuple(y.shape)})")
    return y


def _text(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))
