"""Recordings of events: which pixel or channel sent one, when, in which direction; what they show, and where from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from configs.bounded import VARIABLE, largest_bytes, printable
from configs.errors import InputError
from workloads.recordings.archives import TEST, TRAIN, shortened
from workloads.recordings.labelled import DataOrigin, Labelled

LONGEST_S = 2_000.0
LARGEST_SIDE = 4_096
MOST_CLASSES = 10_000
MOST_EVENTS, EVENT_BYTES = 500_000_000, 8
"""Of a data set: N-MNIST has 300 million, and each takes 8 bytes here and about 20 while it is read."""
# Recordings whose median length is outside of this are likely to be in another unit of time.
USUAL_LENGTH_S = (1e-3, 300.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Recordings(Labelled):
    """``n`` recordings of address events, end to end; recording ``i`` is ``offsets[i]:offsets[i + 1]``.

    Parameters
    ----------
    ticks : (events,) int32, time since the start of the recording in units of ``TICK_S``, rising within a recording
    address : (events,) int32, ``(polarity * rows + y) * columns + x`` of the sensor
    offsets : (n + 1,) int64
    durations : (n,) int32, length of each recording [ticks]; every event is before its end
    groups : (n,) str, who spoke or wrote; empty where nobody is named
    parts : (n,) str, ``train`` or ``test`` where the data set has an official split, else empty
    sensor : (polarities, rows, columns); a cochlea of 64 channels is (1, 1, 64). Polarity 1 is ON, 0 is OFF
    """

    TICK_S: ClassVar[float] = 1e-6

    ticks: NDArray[np.int32]
    address: NDArray[np.int32]
    offsets: NDArray[np.int64]
    durations: NDArray[np.int32]
    groups: NDArray[np.str_]
    parts: NDArray[np.str_]
    sensor: tuple[int, int, int]

    def __post_init__(self) -> None:
        n = len(self.classes)
        if len(self.offsets) != n + 1 or not len(self.durations) == len(self.groups) == len(self.names) == n:
            raise ValueError(f"{self.origin.name}: offsets, durations, groups and names for each of {n} recordings")
        if len(self.parts) != n or len(self.ticks) != len(self.address) or self.offsets[-1] != len(self.ticks):
            raise ValueError(f"{self.origin.name}: parts for each recording, a time and an address for each event")

    def _content(self) -> tuple[object, Iterable[NDArray[Any]], Iterable[NDArray[np.str_]]]:
        arrays = self.ticks, self.address, self.offsets, self.durations, self.classes
        return (self.labels, self.sensor), arrays, (self.groups, self.names, self.parts)

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


@dataclass(frozen=True, eq=False)
class Stored:
    """One recording as a file has it: times in whatever order [s], and addresses that are not checked yet.

    ``where`` names it in a message. ``duration_s`` is its length, or None for that of its last event.
    """

    where: str
    name: str
    label: str
    t_s: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any] | None = None
    polarity: NDArray[Any] | None = None
    group: str = ""
    part: str = ""
    duration_s: float | None = None


def gathered(
    stored: Iterable[Stored],
    *,
    sensor: tuple[int, int, int],
    labels: tuple[str, ...],
    origin: DataOrigin,
    problems: Sequence[str] = (),
    notes: tuple[str, ...] = (),
) -> Recordings:
    """Recordings of ``stored``, checked, and ordered by part, class and name.

    Raises ``InputError`` with ``problems`` and what is wrong with each recording (ten, then a count): times that are no
    numbers, negative or later than ``LONGEST_S``, a pixel or channel outside of the ``sensor``, no event at all.
    """
    found = list(problems)
    if not all(1 <= side <= most for side, most in zip(sensor, (2, LARGEST_SIDE, LARGEST_SIDE), strict=True)):
        found.append(
            f"{origin.name}: allowed are 1 or 2 polarities and a sensor of at most {LARGEST_SIDE} x {LARGEST_SIDE} "
            f"(got {sensor[0]} of {sensor[2]} x {sensor[1]})"
        )
        raise InputError(shortened(found, origin.name, "recordings"))
    good: list[tuple[tuple[str, int, str], Stored, NDArray[np.int32], NDArray[np.int32]]] = []
    unsorted = 0
    for one in stored:
        fault = _fault(one, sensor)
        if fault:
            found.append(f"{one.where}: {fault}")
            continue
        ticks = np.rint(np.asarray(one.t_s, np.float64) / Recordings.TICK_S).astype(np.int32)
        address = np.asarray(one.x).astype(np.int32)
        if one.y is not None:
            address += np.int32(sensor[2]) * np.asarray(one.y).astype(np.int32)
        if one.polarity is not None:
            address += np.int32(sensor[1] * sensor[2]) * np.asarray(one.polarity).astype(np.int32)
        if (np.diff(ticks) < 0).any():
            unsorted += 1
            order = np.argsort(ticks, kind="stable")
            ticks, address = ticks[order], address[order]
        good.append(((one.part, labels.index(one.label), one.name), one, ticks, address))
    found = shortened(found, origin.name, "recordings")
    if not found and not good:
        found = [f"{origin.name}: has no recording"]
    names = Counter(one.name for _, one, _, _ in good)
    if not found and len(names) < len(good):
        found = [f"{origin.name}: allowed is one recording of each name (got {names.most_common(1)[0][0]!r} twice)"]
    if found:
        raise InputError(found)
    good.sort(key=lambda row: row[0])
    last = np.array([ticks[-1] + 1 for _, _, ticks, _ in good], np.int32)
    given = np.array([np.ceil((one.duration_s or 0.0) / Recordings.TICK_S) for _, one, _, _ in good])
    if unsorted:
        notes = (*notes, f"{unsorted} recordings had events out of order in time; they were sorted.")
    notes = (*notes, *unused_parts([part for (part, _, _), _, _, _ in good]))
    notes = (*notes, *_doubts([ticks for _, _, ticks, _ in good]))
    return Recordings(
        ticks=np.concatenate([ticks for _, _, ticks, _ in good]),
        address=np.concatenate([address for _, _, _, address in good]),
        offsets=np.cumsum([0, *(len(ticks) for _, _, ticks, _ in good)]).astype(np.int64),
        durations=np.maximum(last, given.astype(np.int32)),
        classes=np.array([number for (_, number, _), _, _, _ in good], np.int64),
        groups=np.array([one.group for _, one, _, _ in good]),
        names=np.array([one.name for _, one, _, _ in good]),
        parts=np.array([one.part for _, one, _, _ in good]),
        sensor=sensor,
        labels=labels,
        origin=origin,
        notes=notes,
    )


def check_total(source: Path, events: int) -> None:
    """Raise InputError where a data set has more events than plausible; ``MHO_LARGEST_FILE`` counts 8 bytes for each.

    Readers ask file by file, so that nothing is kept of what a machine's memory cannot hold.
    """
    most = largest_bytes(MOST_EVENTS * EVENT_BYTES) // EVENT_BYTES
    if events > most:
        raise InputError(
            f"{printable(str(source))}: at most {most:,} events in a data set (got more); the environment's {VARIABLE} "
            f"raises that ({EVENT_BYTES} bytes an event)"
        )


def smallest_sensor(stored: Iterable[Stored], sensors: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    """The first of these sensors that has all pixels of the recordings, the last where none has."""
    columns = rows = 0
    for one in stored:
        columns = max(columns, int(np.max(one.x, initial=0)) + 1)
        rows = max(rows, int(np.max(one.y, initial=0)) + 1 if one.y is not None else 1)
    return next((size for size in sensors if rows <= size[1] and columns <= size[2]), sensors[-1])


def unused_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """A sentence where recordings are of no part while others are: a split along the data set's parts leaves them out.

    The ``valid`` file of SSC is such a share.
    """
    outside = sum(part not in (TRAIN, TEST) for part in parts)
    if not outside or outside == len(parts):
        return ()
    return (
        f"{outside} of {len(parts)} recordings belong neither to the training nor to the test part of the data set "
        "(such as a 'valid' file): a split by its official parts leaves them out.",
    )


def _doubts(ticks: Sequence[NDArray[np.int32]]) -> tuple[str, ...]:
    """What the times themselves say against the unit or the zero that was taken for them."""
    first = np.array([one[0] for one in ticks]) * Recordings.TICK_S
    length = np.array([one[-1] for one in ticks]) * Recordings.TICK_S
    median, found = float(np.median(length)), []
    if any(len(one) > 1 for one in ticks) and not USUAL_LENGTH_S[0] <= median <= USUAL_LENGTH_S[1]:
        found.append(
            f"The recordings last {median:.3g} s (median): if that is not so, their times are in another unit."
        )
    if np.median(first) > max(1.0, 0.5 * median):
        found.append(
            f"Half of the recordings begin with silence of at least {np.median(first):.3g} s: time 0 is taken as their "
            "start. If the clock ran on from one recording to the next, subtract each one's first time."
        )
    return tuple(found)


def _fault(one: Stored, sensor: tuple[int, int, int]) -> str:
    """What is wrong with a recording, or nothing."""
    columns = (("x", one.x, sensor[2]), ("y", one.y, sensor[1]), ("polarity", one.polarity, sensor[0]))
    for name, values, _ in (("time", one.t_s, 0), *columns):
        if values is not None and (np.ndim(values) != 1 or np.asarray(values).dtype.kind not in "iuf"):
            got = f"{np.asarray(values).dtype} of {np.ndim(values)} dimensions"
            return f"{name}: allowed is one list of numbers (got {got})"
    t_s = np.asarray(one.t_s, np.float64)
    if not len(t_s):
        return "has no event"
    for name, values, _ in columns:
        if values is not None and len(values) != len(t_s):
            return f"allowed is one {name} for each of {len(t_s)} times (got {len(values)})"
    wrong = ~((t_s >= 0.0) & (t_s <= LONGEST_S))
    if wrong.any():
        at = int(np.argmax(wrong))
        return f"event {at}: allowed are times from 0 to {LONGEST_S:g} s (got {t_s[at]:g})"
    for name, values, side in columns:
        if values is None:
            continue
        array = np.asarray(values)
        wrong = ~((array >= 0) & (array < side) & (array == np.floor(array)))
        if wrong.any():
            at = int(np.argmax(wrong))
            return f"event {at}: {name}: allowed are 0 to {side - 1} (got {values[at]})"
    return ""
