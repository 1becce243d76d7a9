"""What every experiment shares while it runs: how its variants are named, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol


class Named(Protocol):
    """A variant as reports call it; exactly one of an experiment's is the headline."""

    @property
    def name(self) -> str: ...

    @property
    def default(self) -> bool: ...


def check_variants(variants: Sequence[Named]) -> None:
    """Raise ValueError unless all names differ and exactly one variant is the default."""
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise ValueError(f"variants need different names (got {', '.join(names)})")
    if sum(variant.default for variant in variants) != 1:
        raise ValueError("exactly one variant must have default: true")


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of the body to one stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - started
