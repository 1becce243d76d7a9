"""Work on a GPU kept as CUDA graphs: launched as one from the second time on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

MOST_GRAPHS = 8
Kept = tuple[torch.Tensor, ...]


@dataclass
class Graphs:
    """One graph for each kind of work and shape of what is given, the first one made going first when there are many.

    Graphs hold their own inputs and results; a caller gets copies. ``seed``: what a generator of the work's own begins
    from at every call, for work that draws; it then draws as it would without a graph.
    """

    kept: dict[Hashable, tuple[Any, Kept, Kept, torch.Generator | None]] = field(default_factory=dict)

    def __call__(
        self, work: Callable[..., Kept], given: Sequence[torch.Tensor], *rules: Hashable, seed: int | None = None
    ) -> Kept:
        """What ``work(*given, *rules)`` gives, with ``generator=`` where there is a seed."""
        key = (work.__name__, given[0].device, *((one.shape, one.dtype) for one in given), *rules)
        if key not in self.kept:
            if len(self.kept) >= MOST_GRAPHS:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = self._made(work, given, rules, draws=seed is not None)
        graph, inputs, results, generator = self.kept[key]
        for one, value in zip(inputs, given, strict=True):
            one.copy_(value)
        if generator is not None and seed is not None:
            generator.manual_seed(seed)
        graph.replay()
        return tuple(one.clone() for one in results)

    @staticmethod
    def _made(
        work: Callable[..., Kept], given: Sequence[torch.Tensor], rules: Sequence[Hashable], *, draws: bool
    ) -> tuple[Any, Kept, Kept, torch.Generator | None]:
        device = given[0].device
        inputs = tuple(one.detach().clone(memory_format=torch.contiguous_format) for one in given)
        generator = torch.Generator(device) if draws else None
        drawing = {} if generator is None else {"generator": generator}
        now, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        side.wait_stream(now)
        with torch.cuda.stream(side):
            work(*inputs, *rules, **drawing)  # kernels are compiled here
        now.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        if generator is not None:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            results = work(*inputs, *rules, **drawing)
        return graph, inputs, results, generator
