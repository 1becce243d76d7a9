"""Events into time steps: which word lines an array sees active, step by step.

A step either drives a word line or does not. What is kept is therefore the list of active lines of each step, as the
event-driven path of a reservoir reads it; the dense array is made from it where a product wants one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from configs.errors import InputError
from workloads.recordings.events import Recordings

# Cells of the histogram that is in memory at a time.
_BLOCK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Binning:
    """How events become ``steps`` frames of a smaller sensor, as in Lin et al., doi 10.1038/s43588-024-00751-z.

    Parameters
    ----------
    steps : time steps T
    mode : ``duration`` cuts each recording's own length into T equal parts; ``width`` makes every step ``width_s``
        long and drops what comes later; ``chunk`` bins at ``width_s`` first and puts the same whole number of bins,
        ``ceil(bins / T)``, into each step (the last ones may stay empty), which is how N-TIDIGITS is cut in the paper
    width_s : length of a step (``width``) or of a fine bin (``chunk``) [s]
    crop : side of the central window of pixels that is kept; None keeps the whole sensor
    pool : neighbouring pixels (a square), or channels, that share one word line
    polarity : ``off`` or ``on`` events alone, ``both`` on lines of their own, ``either`` on one line. The paper keeps
        channel 0 of its arrays; that 0 is OFF is the convention of the recordings, not stated by it
    """

    steps: Annotated[int, Interval(ge=1, le=100_000)] = 50
    mode: Literal["duration", "width", "chunk"] = "duration"
    width_s: Annotated[float, Gt(0.0)] = 1e-3
    crop: Annotated[int, Interval(ge=1, le=65_536)] | None = None
    pool: Annotated[int, Interval(ge=1, le=65_536)] = 1
    polarity: Literal["off", "on", "both", "either"] = "either"

    def shape(self, sensor: tuple[int, int, int]) -> tuple[int, int, int]:
        """(polarities, rows, columns) of the word lines. Raises ``InputError`` for a window beyond the sensor."""
        polarities, rows, columns = sensor
        if self.crop is not None and (self.crop > columns or self.crop > rows > 1):
            raise InputError(f"crop: allowed is at most the sensor's {rows} x {columns} (got {self.crop})")
        if polarities == 1 and self.polarity == "on":
            raise InputError("polarity: allowed are 'off', 'either' and 'both' for a sensor of one polarity (got 'on')")
        kept = [side if self.crop is None or side == 1 else self.crop for side in (rows, columns)]
        return (
            polarities if self.polarity == "both" else 1,
            math.ceil(kept[0] / self.pool),
            math.ceil(kept[1] / self.pool),
        )


NMNIST_BINNING = Binning(steps=50, mode="duration", crop=16, polarity="off")
NTIDIGITS_BINNING = Binning(steps=129, mode="chunk", width_s=1e-3)


@dataclass(frozen=True, eq=False)
class Spikes:
    """Active word lines of each step of each recording, in the compressed form of a sparse matrix.

    Step ``s`` of recording ``i`` drives ``lines[offsets[k] : offsets[k + 1]]``, ``k = i * steps + s``, rising.

    Parameters
    ----------
    lines : (active,) int32, numbers of word lines
    counts : (active,) int32, events that fell on that line in that step; a binary drive ignores it
    offsets : (recordings * steps + 1,) int64
    shape : (polarities, rows, columns) of the word lines
    seen : share of the recordings' events that fall within window, polarity and steps [1]
    """

    lines: NDArray[np.int32]
    counts: NDArray[np.int32]
    offsets: NDArray[np.int64]
    steps: int
    shape: tuple[int, int, int]
    seen: float

    def __len__(self) -> int:
        return (len(self.offsets) - 1) // self.steps

    @property
    def inputs(self) -> int:
        """Word lines."""
        return math.prod(self.shape)

    @property
    def active(self) -> NDArray[np.int64]:
        """Active word lines (recordings, steps)."""
        return np.diff(self.offsets).reshape(-1, self.steps)

    @property
    def rate(self) -> float:
        """Mean share of word lines that are active in a step [1]."""
        return float(self.active.mean() / self.inputs) if len(self) else 0.0

    def dense(self, rows: slice | None = None, dtype: type[np.generic] = np.uint8) -> NDArray[Any]:
        """Ones where a line is active: (recordings, steps, inputs)."""
        start, stop, stride = (rows or slice(None)).indices(len(self))
        if stride != 1:
            raise ValueError(f"rows: a slice without a stride (got {rows})")
        stop = max(start, stop)
        out = np.zeros((stop - start, self.steps, self.inputs), dtype)
        edges = self.offsets[start * self.steps : stop * self.steps + 1]
        step = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
        out.reshape(-1, self.inputs)[step, self.lines[int(edges[0]) : int(edges[-1])]] = 1
        return out

    def event_counts(self) -> NDArray[np.int64]:
        """Events of each line over all steps, (recordings, inputs): what a read-out without a reservoir would see."""
        recording = np.repeat(np.arange(len(self)), self.active.sum(1))
        where = recording * self.inputs + self.lines
        total = np.bincount(where, weights=self.counts, minlength=len(self) * self.inputs)
        return total.astype(np.int64).reshape(len(self), self.inputs)

    def select(self, rows: Sequence[int] | NDArray[Any]) -> Spikes:
        """The recordings of ``rows`` (indices or a mask), in that order."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        active = self.active[chosen].ravel()
        offsets = np.concatenate([[0], np.cumsum(active)]).astype(np.int64)
        first = self.offsets[:-1].reshape(-1, self.steps)[chosen].ravel()
        at = np.repeat(first - offsets[:-1], active) + np.arange(offsets[-1])
        return replace(self, lines=self.lines[at], counts=self.counts[at], offsets=offsets)


def binned(recordings: Recordings, how: Binning) -> Spikes:
    """The active word lines of all steps of all recordings.

    A histogram of a block of recordings at a time: memory stays bounded whatever the data set's size. Raises
    ``InputError`` where ``how`` does not fit the sensor.
    """
    shape = how.shape(recordings.sensor)
    inputs = math.prod(shape)
    table = _line_of_address(recordings.sensor, shape, how)
    block = max(1, _BLOCK // (how.steps * inputs))
    lines, counts, active = [], [], []
    kept = 0
    for first in range(0, len(recordings), block):
        last = min(first + block, len(recordings))
        events = slice(int(recordings.offsets[first]), int(recordings.offsets[last]))
        row = np.repeat(np.arange(last - first), recordings.events[first:last])
        step = _steps(recordings.ticks[events], recordings.durations[first:last][row], how)
        line = table[recordings.address[events]]
        inside = (line >= 0) & (step < how.steps)
        cell = ((row * how.steps + step) * inputs + line)[inside]
        histogram = np.bincount(cell, minlength=(last - first) * how.steps * inputs)
        filled = np.flatnonzero(histogram)
        kept += len(cell)
        lines.append((filled % inputs).astype(np.int32))
        counts.append(histogram[filled].astype(np.int32))
        active.append(np.bincount(filled // inputs, minlength=(last - first) * how.steps))
    return Spikes(
        lines=np.concatenate(lines) if lines else np.zeros(0, np.int32),
        counts=np.concatenate(counts) if counts else np.zeros(0, np.int32),
        offsets=np.concatenate([[0], *active]).cumsum().astype(np.int64),
        steps=how.steps,
        shape=shape,
        seen=kept / max(1, len(recordings.ticks)),
    )


def _steps(ticks: NDArray[np.int32], durations: NDArray[np.int32], how: Binning) -> NDArray[np.int64]:
    """The step of each event, in whole ticks so that no event at an edge depends on rounding."""
    t = ticks.astype(np.int64)
    if how.mode == "duration":
        return t * how.steps // durations
    width = max(1, round(how.width_s / Recordings.TICK_S))
    if how.mode == "width":
        return t // width
    bins = -(-durations.astype(np.int64) // width)
    return t // width // -(-bins // how.steps)


def _line_of_address(sensor: tuple[int, int, int], shape: tuple[int, int, int], how: Binning) -> NDArray[np.int64]:
    """The word line of every address of the sensor, -1 where it has none."""
    polarities, rows, columns = sensor
    p, y, x = np.meshgrid(*(np.arange(side) for side in sensor), indexing="ij")
    inside = np.ones(sensor, bool)
    for pixel, side in ((y, rows), (x, columns)):
        if how.crop is not None and side > 1:
            # The window's first pixel is ceil((side - crop) / 2): 9 for 16 of 34, as in the paper.
            pixel -= -(-(side - how.crop) // 2)
            inside &= (pixel >= 0) & (pixel < how.crop)
    if polarities > 1 and how.polarity in ("off", "on"):
        inside &= p == (how.polarity == "on")
    line = (y // how.pool) * shape[2] + x // how.pool
    if how.polarity == "both":
        line += p * shape[1] * shape[2]
    return np.where(inside, line, -1).ravel()
