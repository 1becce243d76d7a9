"""What callers hand to a converted network, checked for its type: one clear message, and no error deep inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import torch

from devices import InputError


def tensors(what: str, given: Any) -> tuple[torch.Tensor, ...]:
    """Inputs of a network: a tensor, or several. Raises InputError for anything else."""
    found = (given,) if isinstance(given, torch.Tensor) else given
    if not isinstance(found, list | tuple) or not found or not all(isinstance(one, torch.Tensor) for one in found):
        odd = (
            [one for one in found if not isinstance(one, torch.Tensor)] if isinstance(found, list | tuple) else [given]
        )
        got = f"{type(given).__name__} of {type(odd[0]).__name__}" if odd and odd[0] is not given else kind_of(given)
        raise InputError(f"{what}: must be a tensor, or a tuple of tensors (got {got})")
    return tuple(found)


def kind_of(given: Any) -> str:
    """A value as a message names it: its type, or that it is empty."""
    return "an empty one" if isinstance(given, list | tuple) and not given else type(given).__name__


def iterated(what: str, given: Any, allowed: str) -> Iterable[Any]:
    """What can be gone through. Raises InputError for a text and for what cannot."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputError(f"{what}: must be {allowed} (got {type(given).__name__})")
    return given


def patterns(what: str, given: Any) -> Sequence[str]:
    """Patterns over paths. Raises InputError for one text, whose letters would be taken for patterns, and for others
    than texts, and empty ones."""
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one for one in given):
        raise InputError(f"{what}: must be a list of patterns, as in ('conv1', 'encoder.*') (got {given!r})")
    return given


def of_kind(what: str, given: Any, kind: type) -> None:
    """Raise InputError for an object of another class."""
    if not isinstance(given, kind):
        raise InputError(f"{what}: must be a {kind.__name__} (got {type(given).__name__})")


def whole_number(what: str, given: Any, least: int | None = None) -> int:
    """A whole number, NumPy's too. Raises InputError for anything else, and for one below ``least``."""
    if isinstance(given, bool) or not isinstance(given, Integral) or (least is not None and given < least):
        of = "" if least is None else f" of at least {least}"
        raise InputError(f"{what}: must be a whole number{of} (got {given!r})")
    return int(given)


def called(what: str, given: Any, allowed: str) -> Any:
    """A function of the caller's. Raises InputError for what cannot be called."""
    if not callable(given):
        raise InputError(f"{what}: must be {allowed} (got {type(given).__name__})")
    return given
