"""Batches of a training, addressed by the number of the step: what a step sees depends on nothing before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from devices import InputError, Stream
from mappings.convert.given import tensors

Batch = tuple[Any, Any]
"""Inputs, a tensor or several, and what the loss compares the outputs with."""
Batches = Callable[[int], Batch] | Sequence[Batch] | Iterable[Batch]

ALLOWED = "a function of the step, a list of (inputs, target), or one pair of whole tensors"


@dataclass
class BatchSource:
    """Batch of every step; ``per_epoch``: how many an epoch has, None where that is not known; ``by_step``: whether a
    training can go on from the middle."""

    of_step: Callable[[int], Batch]
    per_epoch: int | None = None
    by_step: bool = True

    @classmethod
    def of(cls, batches: Any, size: int, *, batch_dim: int = 0, rng: Stream) -> BatchSource:
        """Whole tensors are shuffled anew in every epoch and cut to ``size`` samples, lists of batches are shuffled.

        Other iterables are gone through again and again, in their own order. Raises InputError for anything else, for
        fewer samples than one batch, and for tensors of different numbers of samples.
        """
        if callable(batches):
            return cls(batches)
        if isinstance(batches, tuple) and len(batches) == 2 and isinstance(batches[1], torch.Tensor):
            return _Samples(*batches, size=size, batch_dim=batch_dim, rng=rng).source
        if isinstance(batches, Sequence) and not isinstance(batches, str | bytes):
            if not batches:
                raise InputError("batches: at least one (got none)")
            order = _Shuffled(len(batches), rng)
            return cls(lambda step: batches[order.of(step, len(batches), 1)[0]], len(batches))
        if isinstance(batches, str | bytes) or not hasattr(batches, "__iter__"):
            raise InputError(f"batches: must be {ALLOWED} (got {type(batches).__name__})")
        turns = _again(batches)
        return cls(lambda _: next(turns), None, False)


@dataclass
class _Shuffled:
    """Numbers below ``size`` in an order that is drawn for every epoch."""

    size: int
    rng: Stream
    epoch: int = -1
    order: list[int] = field(default_factory=list)

    def of(self, step: int, per_epoch: int, number: int) -> list[int]:
        """The numbers of a step, ``number`` of them."""
        epoch, place = divmod(step, per_epoch)
        if epoch != self.epoch:
            generator = self.rng.child("order", epoch).torch()
            self.epoch, self.order = epoch, torch.randperm(self.size, generator=generator).tolist()
        return self.order[place * number : (place + 1) * number]


class _Samples:
    """Whole tensors as batches; what an epoch leaves over after whole batches is left to the next one's order."""

    def __init__(self, inputs: Any, target: torch.Tensor, *, size: int, batch_dim: int, rng: Stream) -> None:
        whole, count = tensors("batches: inputs", inputs), len(target)
        sizes = {one.shape[batch_dim] for one in whole}
        if sizes != {count}:
            raise InputError(f"batches: inputs and target must have as many samples (got {sorted(sizes)} and {count})")
        if count < 1:
            raise InputError("batches: at least one sample (got none)")
        size = min(size, count)
        order, per_epoch = _Shuffled(count, rng), count // size

        def batch(step: int) -> Batch:
            some = torch.tensor(order.of(step, per_epoch, size))

            def taken(one: torch.Tensor) -> torch.Tensor:
                return one.index_select(batch_dim, some.to(one.device))

            return tuple(map(taken, whole)), target[some.to(target.device)]

        self.source = BatchSource(batch, per_epoch)


def _again(batches: Iterable[Batch]) -> Iterator[Batch]:
    while True:
        found = False
        for one in batches:
            found = True
            yield one
        if not found:
            raise InputError("batches: at least one (got none, or an iterator that has ended)")
