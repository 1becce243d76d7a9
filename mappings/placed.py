"""What was read of chips, on another device: every tensor of a record, however deep, moved there."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TypeVar

import torch

T = TypeVar("T")


def placed(value: T, device: torch.device | str) -> T:
    """The same with all its tensors on a device: of a tensor, dataclass, tuple, list or dict; anything else as it is.

    What holds no tensor is not copied. A record that is made anew has its fields and nothing that it had found out.
    """
    moved: object = value
    if isinstance(value, torch.Tensor):
        moved = value.to(device)
    elif isinstance(value, dict):
        moved = {name: placed(one, device) for name, one in value.items()}
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        moved = type(value)(placed(one, device) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        before = {field.name: getattr(value, field.name) for field in fields(value)}
        after = {name: placed(one, device) for name, one in before.items()}
        if any(after[name] is not one for name, one in before.items()):
            moved = object.__new__(type(value))
            for name, one in after.items():
                object.__setattr__(moved, name, one)
    if isinstance(value, list | tuple | dict) and _same(value, moved):
        return value
    return moved  # type: ignore[return-value]


def _same(before: object, after: object) -> bool:
    """Whether two containers hold the same objects."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(after[name] is one for name, one in before.items())
    assert isinstance(before, list | tuple)
    assert isinstance(after, list | tuple)
    return all(mine is other for mine, other in zip(before, after, strict=True))
