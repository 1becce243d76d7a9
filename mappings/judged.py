"""Values that are judged before they are computed with; on a GPU, where every look waits for it, all at the end.

Within ``put_off`` values on a GPU are kept with their judges until it ends: one wait for all of them. What goes on in
the meantime takes 0 for what is not finite, and its results are never seen, since the judge raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

Judge = Callable[[list[float]], None]
_KEPT: ContextVar[list[tuple[torch.Tensor, Judge]] | None] = ContextVar("kept", default=None)


def judged(x: torch.Tensor, figures: Callable[[torch.Tensor], torch.Tensor], judge: Judge) -> torch.Tensor:
    """``x``, once ``judge`` has seen its ``figures``, ``(n,)``; it raises InputError for what may not be."""
    kept = _KEPT.get()
    if not x.numel():
        return x
    if kept is None or not x.is_cuda:
        judge(figures(x).tolist())
        return x
    kept.append((figures(x), judge))
    return x.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


@contextmanager
def put_off() -> Iterator[None]:
    """Judge values on a GPU when this ends, in the order in which they came."""
    kept: list[tuple[torch.Tensor, Judge]] = []
    before = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(before)
    if kept:
        found = torch.cat([one.double() for one, _ in kept]).tolist()
        for one, judge in kept:
            judge(found[: len(one)])
            found = found[len(one) :]
