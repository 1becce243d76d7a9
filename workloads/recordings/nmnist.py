"""Event-camera recordings in the ATIS binary format: N-MNIST, N-Caltech101, and whatever else is stored like them.

An event is 5 bytes: x, y, then 24 bits, big endian: one of polarity (1 is ON) and 23 of time in microseconds since the
start of the recording. Pixels count from 0, (0, 0) at the upper left. A row of 240 is no pixel but marks an overflow of
the camera's clock and delays everything after it by 2^13 us. Format and data: G. Orchard et al., Front. Neurosci. 9:437
(2015), doi 10.3389/fnins.2015.00437; the overflow is documented in readers of the format alone (the authors' MATLAB
script, and the library Tonic).

The format does not state the size of the sensor. Folders named after digits are N-MNIST, 34 x 34 pixels, unless most
files have events outside; others take the first of ``SENSORS`` that has all of their pixels, and a note says which.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.bounded import printable
from configs.errors import InputError
from workloads.recordings.archives import (
    ALLOWED,
    Member,
    members_by_class,
    part_class_and_name,
    shortened,
    stated_bytes,
)
from workloads.recordings.events import LONGEST_S, Recordings, check_total, unused_parts
from workloads.recordings.labelled import DataOrigin

SOURCE = (
    "G. Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades, "
    "Front. Neurosci. 9:437 (2015), doi 10.3389/fnins.2015.00437 (CC BY-SA 4.0)"
)
BIBTEX = "orchard2015"
SENSOR = (2, 34, 34)
# N-MNIST; N-Caltech101; the whole of what a byte of columns and the rows before the overflow's can name.
SENSORS = (SENSOR, (2, 180, 240), (2, 240, 256))
DIGITS = tuple("0123456789")
EVENT_BYTES = 5
OVERFLOW_ROW = 240
OVERFLOW_TICKS = 1 << 13
# Readout of a camera may swap neighbours; what runs back further than this is another file's end or plain damage.
DISORDER_TICKS = 1_000
_BLOCK_BYTES = 32 << 20


@dataclass
class _Reading:
    """What has been collected while the files go by once; pixels are checked when all of them are read."""

    sensors: tuple[tuple[int, int, int], ...]
    ticks: list[NDArray[np.int32]] = field(default_factory=list)
    x: list[NDArray[np.uint8]] = field(default_factory=list)
    y: list[NDArray[np.uint8]] = field(default_factory=list)
    polarity: list[NDArray[np.uint8]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    keys: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    outside: list[list[str]] = field(default_factory=list)
    disordered: int = 0

    def __post_init__(self) -> None:
        self.outside = [[] for _ in self.sensors]

    def decode(self, files: list[tuple[Member, tuple[str, str, str], bytes]]) -> None:
        """All events of some files in one pass; bad files are named and left out."""
        size = np.array([len(data) for _, _, data in files], np.int64) // EVENT_BYTES
        raw = np.frombuffer(b"".join(data for _, _, data in files), np.uint8).reshape(-1, EVENT_BYTES)
        owner = np.repeat(np.arange(len(files)), size)
        first = np.cumsum(size) - size
        x, y, high = raw[:, 0], raw[:, 1], raw[:, 2]
        ticks = (high & 0x7F).astype(np.int64) << 16 | raw[:, 3].astype(np.int64) << 8 | raw[:, 4]
        real = y != OVERFLOW_ROW
        if not real.all():
            wraps = np.concatenate([[0], np.cumsum(~real)])
            ticks += (wraps[1:] - wraps[first][owner]) * OVERFLOW_TICKS
            x, y, high, ticks, owner = x[real], y[real], high[real], ticks[real], owner[real]
            size = np.bincount(owner, minlength=len(files))
            first = np.cumsum(size) - size
        bad = self._check(files, owner, first, size, x, y, ticks)
        back = np.flatnonzero((np.diff(ticks) < 0) & (np.diff(owner) == 0))
        swapped = set(owner[back].tolist()) - bad
        if swapped:
            order = np.lexsort((ticks, owner))
            x, y, high, ticks, owner = x[order], y[order], high[order], ticks[order], owner[order]
            self.disordered += len(swapped)
        good = np.array([number not in bad for number in range(len(files))])
        kept = good[owner]
        self.ticks.append(ticks[kept].astype(np.int32))
        self.x.append(x[kept])
        self.y.append(y[kept])
        self.polarity.append(high[kept] >> 7)
        self.events += size[good].tolist()
        self.keys += [key for (_, key, _), whole in zip(files, good, strict=True) if whole]

    def _check(
        self,
        files: list[tuple[Member, tuple[str, str, str], bytes]],
        owner: NDArray[np.int64],
        first: NDArray[np.int64],
        size: NDArray[np.int64],
        x: NDArray[np.uint8],
        y: NDArray[np.uint8],
        ticks: NDArray[np.int64],
    ) -> set[int]:
        """Numbers of the files with a fault in time; one message each, for the first event at fault."""
        found: dict[int, str] = {}
        for sensor, outside in zip(self.sensors, self.outside, strict=True):
            _, rows, columns = sensor
            wrong = np.flatnonzero((x >= columns) | (y >= rows))
            for number, at in zip(*np.unique(owner[wrong], return_index=True), strict=True):
                event = int(wrong[at])
                outside.append(
                    f"{files[number][0].where}: event {event - first[number]}: allowed are pixels of a "
                    f"{columns} x {rows} sensor (got x = {x[event]}, y = {y[event]})"
                )
        latest = np.maximum.accumulate(ticks + owner * (1 << 40)) - owner * (1 << 40)
        late, back = ticks > LONGEST_S / Recordings.TICK_S, ticks < latest - DISORDER_TICKS
        wrong = np.flatnonzero(late | back)
        for number, at in zip(*np.unique(owner[wrong], return_index=True), strict=True):
            event = int(wrong[at])
            found[int(number)] = f"event {event - first[number]}: " + (
                f"allowed are times up to {LONGEST_S:g} s (got {ticks[event]} us)"
                if late[event]
                else f"allowed are times that run back by at most {DISORDER_TICKS} us "
                f"(got {ticks[event]} us after {latest[event]} us)"
            )
        for number in np.flatnonzero(size == 0).tolist():
            found.setdefault(number, "has no event")
        self.problems += [f"{files[number][0].where}: {text}" for number, text in sorted(found.items())]
        return set(found)

    def sensor(self, labels: set[str]) -> tuple[int, int, int]:
        """The size of the sensor; pixels outside of it join the problems."""
        number, bad = 0, len(self.outside[0])
        # One file among many with a pixel outside is damaged; most of them are of another sensor.
        if not labels <= set(DIGITS) or 2 * bad > len(self.keys):
            number = next((number for number, outside in enumerate(self.outside) if not outside), -1)
        self.problems += self.outside[number]
        return self.sensors[number]


def load_nmnist(source: Path, *, sensor: tuple[int, int, int] | None = None, data_name: str = "") -> Recordings:
    """All recordings of a folder or archive laid out as ``[Train|Test]/CLASS/*.bin``, ordered by part, class and name.

    Classes are the ten digits where every class folder is a digit, else the folders' names in alphabetical order; the
    ``sensor`` follows where it is not given. Raises ``InputError`` naming every bad file (ten, then a count): a size
    that is no multiple of 5, a pixel outside of the sensor, time that runs back, no event; and a source without a
    single such file.
    """
    reading = _Reading(SENSORS if sensor is None else (sensor,))
    waiting: list[tuple[Member, tuple[str, str, str], bytes]] = []
    waiting_B, events, labels = 0, 0, set()
    check_total(source, stated_bytes(source, (".bin",)) // EVENT_BYTES)
    for member, path in members_by_class(source, (".bin",)):
        key = part_class_and_name(path)
        labels.add(key[1])
        try:
            data = member.read()
        except InputError as error:
            reading.problems += error.problems
            continue
        if len(data) % EVENT_BYTES:
            reading.problems.append(
                f"{member.where}: a truncated event file: allowed is a multiple of {EVENT_BYTES} bytes, got {len(data)}"
            )
            continue
        events += len(data) // EVENT_BYTES
        check_total(source, events)
        waiting.append((member, key, data))
        waiting_B += len(data)
        if waiting_B >= _BLOCK_BYTES:
            reading.decode(waiting)
            waiting, waiting_B = [], 0
    if waiting:
        reading.decode(waiting)
    size = reading.sensor(labels)
    problems = shortened(reading.problems, source)
    if not problems and not reading.keys:
        where = printable(str(source))
        problems.append(f"{where}: has no event file; allowed: [Train|Test]/CLASS/*.bin in {ALLOWED}")
    if problems:
        raise InputError(problems)
    return _gather(reading, size, data_name or printable(source.name))


def _gather(reading: _Reading, sensor: tuple[int, int, int], data_name: str) -> Recordings:
    found = {label for _, label, _ in reading.keys}
    labels = DIGITS if found <= set(DIGITS) else tuple(sorted(found))
    if "" in found:
        raise InputError(f"{data_name}: allowed is a folder for each class (got event files in none)")
    names = [name for _, _, name in reading.keys]
    if len(set(names)) < len(names):
        twice, _ = Counter(names).most_common(1)[0]
        raise InputError(f"{data_name}: allowed is one file of each name (got {twice!r} twice)")
    offsets = np.concatenate([[0], np.cumsum(reading.events)]).astype(np.int64)
    ticks = np.concatenate(reading.ticks)
    _, rows, columns = sensor
    address = [
        ((p.astype(np.int32) * rows + y) * columns + x)
        for p, y, x in zip(reading.polarity, reading.y, reading.x, strict=True)
    ]
    notes = unused_parts([part for part, _, _ in reading.keys])
    if reading.disordered:
        notes += (
            f"{reading.disordered} recordings had events up to {DISORDER_TICKS} us out of order; they were sorted.",
        )
    if len(reading.sensors) > 1 and (labels != DIGITS or sensor != SENSOR):
        notes += (f"The files do not state the sensor's size: {columns} x {rows} pixels were taken.",)
    recordings = Recordings(
        ticks=ticks,
        address=np.concatenate(address),
        offsets=offsets,
        durations=ticks[offsets[1:] - 1] + np.int32(1),
        classes=np.array([labels.index(label) for _, label, _ in reading.keys], np.int64),
        groups=np.array([""] * len(names)),
        names=np.array(names),
        parts=np.array([part for part, _, _ in reading.keys]),
        sensor=sensor,
        labels=labels,
        origin=DataOrigin(data_name, SOURCE, BIBTEX),
        notes=notes,
    )
    order = sorted(range(len(names)), key=lambda row: reading.keys[row])
    return recordings if order == list(range(len(names))) else recordings.select(order)
