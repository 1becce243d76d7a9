"""Recordings of events: which pixel or channel spoke, when, in which direction; what they show, and where from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

TRAIN, TEST = "train", "test"
LONGEST_S = 2_000.0


@dataclass(frozen=True, eq=False)
class Recordings:
    """``n`` recordings of address events, laid end to end; recording ``i`` holds ``offsets[i]:offsets[i + 1]``.

    Parameters
    ----------
    ticks : (events,) int32, time since the start of the recording in units of ``TICK_S``, rising within a recording
    address : (events,) int32, ``(polarity * rows + y) * columns + x`` of the sensor
    offsets : (n + 1,) int64
    durations : (n,) int32, length of each recording [ticks]; every event lies before its end
    classes : (n,) int64 into ``labels``
    groups : (n,) str, who spoke or wrote; empty where it is not known
    names : (n,) str, unique within the set
    parts : (n,) str, ``train`` or ``test`` where the data set has an official split, else empty
    sensor : (polarities, rows, columns); a cochlea of 64 channels is (1, 1, 64). Polarity 1 is ON, 0 is OFF
    notes : sentences that the report repeats; ``source`` and ``bibtex`` name the origin
    """

    TICK_S: ClassVar[float] = 1e-6

    ticks: NDArray[np.int32]
    address: NDArray[np.int32]
    offsets: NDArray[np.int64]
    durations: NDArray[np.int32]
    classes: NDArray[np.int64]
    groups: NDArray[np.str_]
    names: NDArray[np.str_]
    parts: NDArray[np.str_]
    sensor: tuple[int, int, int]
    labels: tuple[str, ...]
    data_name: str
    source: str
    bibtex: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.classes)
        if len(self.offsets) != n + 1 or not len(self.durations) == len(self.groups) == len(self.names) == n:
            raise ValueError(f"{self.data_name}: offsets, durations, groups and names for each of {n} recordings")
        if len(self.parts) != n or len(self.ticks) != len(self.address) or self.offsets[-1] != len(self.ticks):
            raise ValueError(f"{self.data_name}: parts for each recording, a time and an address for each event")

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that the recordings hold: what was read, not which file it came from."""
        whole = hashlib.sha256(repr((self.labels, self.sensor)).encode())
        for array in (self.ticks, self.address, self.offsets, self.durations, self.classes):
            whole.update(np.ascontiguousarray(array).data)
        for strings in (self.groups, self.names, self.parts):
            whole.update("\0".join(strings.tolist()).encode())
        return whole.hexdigest()

    @property
    def t_s(self) -> NDArray[np.float64]:
        """Time of every event (events,) [s]."""
        return np.asarray(self.ticks * self.TICK_S, np.float64)

    @property
    def x(self) -> NDArray[np.int32]:
        """Column, or channel, of every event (events,)."""
        return self.address % np.int32(self.sensor[2])

    @property
    def y(self) -> NDArray[np.int32]:
        """Row of every event (events,)."""
        return self.address // np.int32(self.sensor[2]) % np.int32(self.sensor[1])

    @property
    def polarity(self) -> NDArray[np.int32]:
        """Polarity of every event (events,): 1 is ON."""
        return self.address // np.int32(self.sensor[1] * self.sensor[2])

    @property
    def events(self) -> NDArray[np.int64]:
        """Events of each recording (n,)."""
        return np.diff(self.offsets)

    @property
    def duration_s(self) -> NDArray[np.float64]:
        """Length of each recording (n,) [s]."""
        return np.asarray(self.durations * self.TICK_S, np.float64)

    @property
    def counts(self) -> dict[str, int]:
        """Recordings of each class, by its label."""
        found = np.bincount(self.classes, minlength=len(self.labels))
        return {label: int(count) for label, count in zip(self.labels, found, strict=True)}

    def select(self, rows: Sequence[int] | NDArray[Any]) -> Recordings:
        """The recordings of ``rows`` (indices or a mask), in that order."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        events = self.events[chosen]
        offsets = np.concatenate([[0], np.cumsum(events)]).astype(np.int64)
        at = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], events) + np.arange(offsets[-1])
        return replace(
            self,
            ticks=self.ticks[at],
            address=self.address[at],
            offsets=offsets,
            **{name: getattr(self, name)[chosen] for name in ("durations", "classes", "groups", "names", "parts")},
        )
