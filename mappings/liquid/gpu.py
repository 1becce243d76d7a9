"""The liquid in torch alone, for a GPU: the same steps as ``mappings.liquid.step``, on all chips at once.

Rows are on a grid on which sums are exact, and every other operation is a plain one in the same order, so counts are
those of the compiled engines to the bit, as long as nothing is noisy. Noise comes from torch's generators, one for each
chip and block of recordings: the agreement is then statistical, and a recording's noise goes with its position. On a
CUDA device a step is captured once as a graph and replayed: it is a dozen kernels, shorter than their launches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from devices import BlockNoise, ChipStreams
from mappings.liquid.run import BLOCK, ActiveLines, LiquidArrays, LiquidRun

GROUP = 4 * BLOCK
"""Recordings that are on the device at a time; a whole number of blocks of noise."""
KINDS = (torch.int32, torch.int64, torch.int64, torch.uint8)
"""Of counts, lines driven, conversions clipped, and the raster."""


def run_torch(
    read: LiquidArrays,
    spikes: ActiveLines,
    *,
    rng: ChipStreams,
    device: torch.device | str,
    record: bool = False,
) -> LiquidRun:
    """All recordings from rest on all chips, on ``device``; results come back to the host.

    ``rng``: a stream for each chip, of its read noise.
    """
    n = (len(spikes.offsets) - 1) // spikes.steps
    parts = [_Group(read, spikes, rng, torch.device(device), first, record).run() for first in range(0, n, GROUP)]
    marks = [torch.cat(mark, dim=1).to(kind) for mark, kind in zip(zip(*parts, strict=True), KINDS, strict=True)]
    return LiquidRun.of(read, spikes, marks, record=record)


class _Group:
    """Recordings ``first ... first + GROUP - 1``, and fewer at the end; tensors are (chips, recordings, ...)."""

    def __init__(
        self,
        read: LiquidArrays,
        spikes: ActiveLines,
        rng: ChipStreams,
        device: torch.device,
        first: int,
        record: bool,
    ) -> None:
        self.read, self.spikes, self.device, self.record = read, spikes, device, record
        self.first, neurons = first, read.neurons
        self.n = min(GROUP, (len(spikes.offsets) - 1) // spikes.steps - first)
        chips, self.width = neurons.threshold.shape
        self.chips, how = chips, neurons.design
        self.rows = read.rows.to(device)
        self.variance = None if read.variance_uS2 is None else read.variance_uS2.to(device)
        self.sigma = read.sigma_uS.to(device)[:, None, None]
        self.threshold = neurons.threshold.to(device)[:, None]
        self.floor, self.bias = read.floor_uS2.to(device)[:, None, None], read.bias_uS.to(device)[:, None]
        self.steady = read.supply > 0.0 or bool((read.floor_uS2 > 0).any())
        self.noisy = self.variance is not None or bool((read.sigma_uS > 0).any()) or self.steady
        self.edges = read.edges.tolist() if read.lsb_uS > 0.0 else [0, int(read.edges[-1])]
        blocks = range(first // BLOCK, -(-(first + self.n) // BLOCK))
        self.sources = {
            name: BlockNoise(rng.child("read", name), blocks, BLOCK, device)
            for name, wanted in (("cells", self.noisy), ("decisions", how.noise > 0.0))
            if wanted
        }
        shape = (chips, self.n, self.width)
        self.driven = torch.zeros((chips, self.n, self.rows.shape[1]), device=device)
        self.membrane, self.fired, self.counts = (torch.zeros(shape, device=device) for _ in range(3))
        self.waiting = torch.zeros(shape, dtype=torch.int32, device=device)
        self.reads, self.clipped = (torch.zeros(shape[:2], device=device) for _ in range(2))
        drawn = {"cells": (len(self.edges) - 1, read.wiring.columns + (read.supply > 0.0)), "decisions": (self.width,)}
        self.z = {name: torch.zeros((*shape[:2], *drawn[name]), device=device) for name in self.sources}

    def run(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Counts, lines driven, conversions clipped, and the raster (of no steps where it is not recorded)."""
        inputs = self._inputs()
        replay = self._replayed(self._step) if self.device.type == "cuda" else self._step
        rasters = []
        for step in range(self.spikes.steps):
            self.driven[..., : self.read.inputs] = inputs[:, step]
            for name, source in self.sources.items():
                self.z[name].copy_(source.normal(self.z[name].shape[2:])[:, : self.n])
            replay()
            if self.record:
                rasters.append(self.fired.to(torch.uint8))
        raster = torch.stack(rasters, dim=2).cpu() if rasters else torch.zeros((self.chips, self.n, 0, self.width))
        return self.counts.cpu(), self.reads.cpu(), self.clipped.cpu(), raster

    def _inputs(self) -> torch.Tensor:
        """Ones where a line is active, (recordings, steps, inputs), one byte each."""
        steps, inputs = self.spikes.steps, self.read.inputs
        edges = self.spikes.offsets[self.first * steps : (self.first + self.n) * steps + 1]
        active = np.repeat(np.arange(len(edges) - 1), np.diff(edges)) * inputs
        active += self.spikes.lines[int(edges[0]) : int(edges[-1])]
        dense = torch.zeros(self.n * steps * inputs, dtype=torch.uint8, device=self.device)
        dense[torch.from_numpy(active).to(self.device)] = 1
        return dense.reshape(self.n, steps, inputs)

    def _replayed(self, step: Callable[[], None]) -> Callable[[], None]:
        """The step as a graph, after a few for warming up; their traces are wiped off."""
        state = (self.membrane, self.fired, self.counts, self.waiting, self.reads, self.clipped, self.driven)
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        for tensor in state:
            tensor.zero_()
        return graph.replay

    def _step(self) -> None:
        """One step of the state: from the lines driven to the neurons that fire and the lines that they drive next."""
        how, read = self.read.neurons.design, self.read
        x = self._columns()
        free = self.waiting == 0
        if how.refractory_steps > 0:
            x = x * free
        kept = torch.where(self.fired > 0, float(np.float32(how.decay) * np.float32(how.residue)), _f32(how.decay))
        self.membrane.mul_(kept).add_(x * _f32(read.gain_per_uS))
        compared = self.membrane
        if "decisions" in self.z:
            compared = compared + _f32(how.noise) * self.z["decisions"]
        fired = compared > self.threshold
        if how.refractory_steps > 0:
            fired = fired & free
            waiting = self.waiting.sub(1).clamp_min_(0)
            self.waiting.copy_(torch.where(fired, how.refractory_steps, waiting))
        self.fired.copy_(fired)
        self.counts.add_(self.fired)
        self.driven[..., read.inputs :] = self.fired

    def _columns(self) -> torch.Tensor:
        """What the arrays give each neuron [uS]."""
        read, total = self.read, None
        for tile, (lo, hi) in enumerate(pairwise(self.edges)):
            lit = self.driven[..., lo:hi]
            sums = torch.matmul(lit, self.rows[:, lo:hi])
            active = lit.sum(dim=-1, keepdim=True)
            self.reads.add_(active[..., 0])
            noise = None
            if self.noisy:
                square = self.sigma.square() * active
                if self.variance is not None:
                    square = torch.matmul(lit, self.variance[:, lo:hi])
                drawn = self.z["cells"][:, :, tile]
                noise = drawn[..., : read.wiring.columns] * (square + self.floor).sqrt()
                if read.supply > 0.0:
                    sums = sums * (1.0 + read.supply * drawn[..., -1:])
            if read.lsb_uS > 0.0:
                sums = sums + active * _f32(read.offset_uS)
                if noise is not None:
                    sums = sums + noise
                code = torch.floor(sums * float(np.float32(1.0) / np.float32(read.lsb_uS)) + 0.5)
                bounded = code.clamp(0.0, float(read.top_code))
                self.clipped.add_((code != bounded).sum(dim=-1))
                part = read.wiring.differences(bounded) * _f32(read.lsb_uS)
            else:
                part = sums if noise is None else sums + read.wiring.differences(noise)
            total = part if total is None else total + part
        assert total is not None
        return total + self.bias


def _f32(value: float) -> float:
    """A number as the compiled engines have it, in single precision."""
    return float(np.float32(value))
