"""Values that are judged before they are computed with; on a GPU, where every look waits for it, all at the end.

Within ``put_off`` values on a GPU are kept with their judges until it ends: one wait for all of them. What goes on in
the meantime takes 0 for what is not finite, and its results are never seen, since the judge raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

Judge = Callable[[list[float]], None]
_KEPT: ContextVar[list[tuple[torch.Tensor, Judge]] | None] = ContextVar("kept", default=None)


def judged(x: torch.Tensor, figures: Callable[[torch.Tensor], torch.Tensor], judge: Judge) -> torch.Tensor:
    """``x``, once ``judge`` has seen its ``figures``, ``(n,)``; it raises InputError for what may not be."""
    if not x.numel():
        return x
    if _KEPT.get() is None or not x.is_cuda:
        judge(figures(x).tolist())
        return x
    keep(figures(x), judge)
    return x.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


@contextmanager
def kept() -> Iterator[list[tuple[torch.Tensor, Judge]]]:
    """What is to be judged of values on a GPU, as figures and their judges: nobody judges it yet."""
    found: list[tuple[torch.Tensor, Judge]] = []
    before = _KEPT.set(found)
    try:
        yield found
    finally:
        _KEPT.reset(before)


@contextmanager
def put_off() -> Iterator[None]:
    """Judge values on a GPU when this ends, in the order in which they came."""
    with kept() as found:
        yield
    if found:
        judge_all(torch.cat([figures.double() for figures, _ in found]).tolist(), found)


def judge_all(figures: list[float], of: Sequence[tuple[torch.Tensor, Judge]]) -> None:
    """Hand every judge its part of the figures."""
    for one, judge in of:
        judge(figures[: len(one)])
        figures = figures[len(one) :]


def keep(figures: torch.Tensor, judge: Judge) -> None:
    """Judge these figures when ``put_off`` ends."""
    found = _KEPT.get()
    assert found is not None
    found.append((figures, judge))
