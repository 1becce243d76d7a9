"""Named, keyed random streams: the same seed gives the same bits, whatever runs beside.

A stream is a key, not a state. Children are named (``stream.child("programming", chip)``), so the numbers that one chip
draws depend on the experiment's seed and on the chip alone: not on how many chips share its batch, in which order
points run, or on how many workers they run.

Torch's generator of the CPU is a Mersenne Twister whose ``manual_seed`` uses 32 bits: among 200,000 streams, about 5
pairs would be the same. All its 624 words are therefore a hash of the path, ``SHAKE-128``; a generator on a GPU
(Philox) and NumPy's start at the 63-bit key.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from devices.counters import normals

# Torch's state as 64-bit numbers: three of header, one for each word of the twister, and what is not in use.
STATE = torch.Generator().get_state().numpy().view(np.uint64).copy()
HEADER, WORDS = 3, 624
FILLED = 16  # numbers that torch's CPU makes at once: of so many, each is the same however many follow
DRAWS = 0xFFFFFFFF  # of noise of counters: the origin of what is drawn by ``BlockNoise.normal``


@dataclass(frozen=True)
class Stream:
    """A point in the tree of random streams, identified by its path from the seed."""

    path: tuple[str | int, ...]

    @classmethod
    def root(cls, seed: int) -> Stream:
        """The root of an experiment's tree."""
        return cls((int(seed),))

    def child(self, *names: str | int) -> Stream:
        """The stream under this one with the given name or names."""
        return Stream(self.path + names)

    @property
    def key(self) -> int:
        """A key of 63 bits: the leading bytes of the SHA-256 of the path."""
        return int.from_bytes(hashlib.sha256(repr(self.path).encode()).digest()[:8], "big") & (2**63 - 1)

    @property
    def words(self) -> np.ndarray:
        """The 624 words of 32 bits at which a Mersenne Twister starts."""
        return np.frombuffer(hashlib.shake_128(repr(self.path).encode()).digest(4 * WORDS), "<u4")

    @property
    def state(self) -> torch.Tensor:
        """The state of torch's generator of the CPU at the start of this stream."""
        state = STATE.copy()
        state[HEADER : HEADER + WORDS] = self.words
        return torch.from_numpy(state.view(np.uint8))

    def torch(self, device: torch.device | str = "cpu") -> torch.Generator:
        """A torch generator at the start of this stream."""
        generator = torch.Generator(device=device)
        if generator.device.type == "cpu":
            generator.set_state(self.state)
        else:
            generator.manual_seed(self.key)
        return generator

    def numpy(self) -> np.random.Generator:
        """A NumPy generator (Philox) that starts at this key."""
        return np.random.Generator(np.random.Philox(key=self.key))


@dataclass(frozen=True)
class ChipStreams:
    """One stream per chip of a batch; draws carry a leading ``chips`` dimension."""

    streams: tuple[Stream, ...]

    @classmethod
    def of(cls, stream: Stream, chips: Sequence[int] | int) -> ChipStreams:
        """Streams for chips ``0 .. chips - 1``, or for the chip numbers given."""
        numbers = range(chips) if isinstance(chips, int) else chips
        return cls(tuple(stream.child("chip", int(number)) for number in numbers))

    def __len__(self) -> int:
        return len(self.streams)

    def child(self, *names: str | int) -> ChipStreams:
        """The same child of every chip's stream."""
        return ChipStreams(tuple(stream.child(*names) for stream in self.streams))

    def normal(
        self, shape: Sequence[int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Standard normal numbers of shape ``(chips, *shape)``."""
        out = torch.empty((len(self), *shape), dtype=dtype, device=device)
        for row, stream in zip(out, self.streams, strict=True):
            row.normal_(generator=stream.torch(device))
        return out

    def normal_like(self, values: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers for ``values (chips | 1, ...)``, one for each cell of every chip."""
        return self.normal(values.shape[1:], dtype=values.dtype, device=values.device)

    def uniform_like(self, values: torch.Tensor) -> torch.Tensor:
        """Uniform numbers in [0, 1) for ``values (chips | 1, ...)``, one for each cell of every chip."""
        out = torch.empty((len(self), *values.shape[1:]), dtype=values.dtype, device=values.device)
        for row, stream in zip(out, self.streams, strict=True):
            row.uniform_(generator=stream.torch(values.device))
        return out


@dataclass
class HeldKeys:
    """Keys that work kept as a CUDA graph finds at a fixed place, ``keys (noises, chips, 2)``, None while it is run to
    see which noise it makes; ``noises``: that noise, in the order in which it is made."""

    keys: torch.Tensor | None = None
    noises: list[BlockNoise] = field(default_factory=list)

    def of(self, noise: BlockNoise) -> torch.Tensor | None:
        """Where the keys of one more noise lie, None if nowhere."""
        self.noises.append(noise)
        return None if self.keys is None else self.keys[len(self.noises) - 1]


HELD_KEYS: ContextVar[HeldKeys | None] = ContextVar("held_keys", default=None)


class BlockNoise:
    """Fast noise for blocks of samples: one generator per chip, block and draw.

    What a sample sees depends on its block and its place there: not on how many samples that block has, how many blocks
    are evaluated together, nor on the chips beside. Who makes noise of counters instead (``mappings.counter_noise``)
    takes the keys of the chips, the numbers of the samples, and a number for each of its runs; on a device other than
    the CPU every draw is made so (``devices.counters``), a generator a chip and block being as many launches.
    """

    def __init__(
        self, streams: ChipStreams, blocks: Sequence[int], block: int, device: torch.device | str = "cpu"
    ) -> None:
        self.streams = streams
        self.blocks = blocks
        self.block = block
        self.device = torch.device(device)
        self._runs = self._draws = 0

    @property
    def chips(self) -> int:
        """Chips of the batch."""
        return len(self.streams)

    @property
    def samples(self) -> int:
        """Samples of all blocks."""
        return len(self.blocks) * self.block

    @property
    def numbers(self) -> np.ndarray:
        """The number of each sample, ``(samples,)``, of 32 bits."""
        first = np.asarray(self.blocks, np.int64)[:, None] * self.block
        return (first + np.arange(self.block)).astype(np.uint32).ravel()

    @cached_property
    def keys(self) -> np.ndarray:
        """A key of two words of 32 bits for every chip, ``(chips, 2)``, for noise of counters."""
        keys = [stream.child("counters").key for stream in self.streams.streams]
        return np.array([(key & 0xFFFFFFFF, key >> 32) for key in keys], np.uint32)

    def next_run(self) -> int:
        """The number of one more run that makes its noise of counters."""
        self._runs += 1
        return self._runs - 1

    def normal(self, shape: Sequence[int]) -> torch.Tensor:
        """Standard normal numbers of shape ``(chips, blocks * block, *shape)``, float32."""
        if self.device.type != "cpu":
            return self._counted(shape)
        count, draw = self.block * math.prod(shape), (self._draws,) if self._draws else ()
        self._draws += 1
        whole = -(-count // FILLED) * FILLED
        out = torch.empty((self.chips, len(self.blocks), whole))
        for chip, stream in zip(out, self.streams.streams, strict=True):
            for part, number in zip(chip, self.blocks, strict=True):
                part.normal_(generator=stream.child("block", number, *draw).torch())
        return out[..., :count].reshape(self.chips, self.samples, *shape)

    def _counted(self, shape: Sequence[int]) -> torch.Tensor:
        """The numbers of one more draw, from counters."""
        count, draw = math.prod(shape), torch.full((1,), self._draws, device=self.device)
        self._draws += 1
        drawn = normals(*self.counters, draw, torch.full_like(draw, DRAWS), -(-count // 4))
        return drawn[:, :, 0, :count].reshape(self.chips, self.samples, *shape)

    @cached_property
    def counters(self) -> tuple[torch.Tensor, torch.Tensor]:
        """``keys`` and ``numbers`` on the device, int64."""
        if (held := HELD_KEYS.get()) is not None and (keys := held.of(self)) is not None:
            first = [torch.arange(one * self.block, (one + 1) * self.block, device=self.device) for one in self.blocks]
            return keys, torch.cat(first)
        keys, numbers = (torch.from_numpy(one.astype(np.int64)) for one in (self.keys, self.numbers))
        return keys.to(self.device, non_blocking=True), numbers.to(self.device, non_blocking=True)
