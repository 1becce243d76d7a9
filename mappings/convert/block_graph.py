"""One block of samples of a network's chips as a CUDA graph: the host launches it once, not every product and code.

What differs from block to block comes in at fixed places: the inputs, and the keys of all noise (``devices.HeldKeys``).
Imported for CUDA devices alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from devices.streams import HELD_KEYS, HeldKeys, Stream
from mappings.judged import judge_all, keep, kept

Block = Callable[[Sequence[torch.Tensor], int], list[torch.Tensor]]
"""Outputs of a block: of its inputs and its number."""


class BlockGraph:
    """The graph of ``run`` for inputs like ``x``; ``place``: of the block's number in the paths of its noise's
    streams."""

    def __init__(self, run: Block, x: Sequence[torch.Tensor], block: int, place: int) -> None:
        device, self.place = x[0].device, place
        self.inputs = [one.clone() for one in x]
        now, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        side.wait_stream(now)
        with kept(), torch.cuda.stream(side):
            before = self._run(run, block, HeldKeys())
        now.wait_stream(side)
        chips = before[1].noises[0].chips if before[1].noises else 0
        self.keys = torch.zeros((len(before[1].noises), chips, 2), dtype=torch.long, device=device)
        self.graph = torch.cuda.CUDAGraph()
        with kept() as self.judged, torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.outputs, held = self._run(run, block, HeldKeys(self.keys))
            self.figures = torch.cat([one.double() for one, _ in self.judged]) if self.judged else None
        self.paths = [[stream.path for stream in noise.streams.streams] for noise in held.noises]

    def _run(self, run: Block, block: int, held: HeldKeys) -> tuple[list[torch.Tensor], HeldKeys]:
        token = HELD_KEYS.set(held)
        try:
            return run(self.inputs, block), held
        finally:
            HELD_KEYS.reset(token)

    def __call__(self, x: Sequence[torch.Tensor], block: int) -> list[torch.Tensor]:
        """Outputs of the block of this number, once it is done."""
        for one, given in zip(self.inputs, x, strict=True):
            one.copy_(given)
        if self.paths:
            self.keys.copy_(torch.from_numpy(self._keys(block)), non_blocking=True)
        self.graph.replay()
        if self.figures is not None:
            keep(self.figures.clone(), partial(judge_all, of=self.judged))
        return [one.clone() for one in self.outputs]

    def _keys(self, block: int) -> np.ndarray:
        """Keys of the noise of the block of this number, ``(noises, chips, 2)``, as ``BlockNoise.keys`` of it."""
        at = self.place
        found = [
            [Stream((*path[:at], block, *path[at + 1 :])).child("counters").key for path in paths]
            for paths in self.paths
        ]
        return np.array([[(key & 0xFFFFFFFF, key >> 32) for key in keys] for keys in found], np.int64)
