"""Event-camera recordings in the ATIS binary format: N-MNIST, and whatever else is stored like it.

An event is 5 bytes: x, y, then 24 bits, big endian: one of polarity (1 is ON) and 23 of time in microseconds. A row of
240 is no pixel but marks an overflow of the camera's clock and delays everything after it by 2^13 us. Format and data:
G. Orchard et al., Front. Neurosci. 9:437 (2015), doi 10.3389/fnins.2015.00437; the overflow is documented in readers of
the format alone (the authors' MATLAB script, and the library Tonic).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from workloads.recordings.archives import ALLOWED, Member, members_by_class, part_class_and_name, shortened
from workloads.recordings.events import Recordings

SOURCE = (
    "G. Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades, "
    "Front. Neurosci. 9:437 (2015), doi 10.3389/fnins.2015.00437 (CC BY-SA 4.0)"
)
BIBTEX = "orchard2015"
SENSOR = (2, 34, 34)
DIGITS = tuple("0123456789")
EVENT_BYTES = 5
OVERFLOW_ROW = 240
OVERFLOW_TICKS = 1 << 13
# Readout of a camera may swap neighbours; what runs back further than this is another file's end or plain damage.
DISORDER_TICKS = 1_000
_BLOCK_BYTES = 32 << 20


@dataclass
class _Reading:
    """What has been collected while the files go by once."""

    sensor: tuple[int, int, int]
    ticks: list[NDArray[np.int32]] = field(default_factory=list)
    address: list[NDArray[np.int32]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    keys: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    disordered: int = 0

    def decode(self, files: list[tuple[Member, tuple[str, str, str], bytes]]) -> None:
        """All events of some files in one pass; bad files are named and left out."""
        size = np.array([len(data) for _, _, data in files], np.int64) // EVENT_BYTES
        raw = np.frombuffer(b"".join(data for _, _, data in files), np.uint8).reshape(-1, EVENT_BYTES).astype(np.int32)
        owner = np.repeat(np.arange(len(files)), size)
        first = np.cumsum(size) - size
        x, y, high = raw[:, 0], raw[:, 1], raw[:, 2]
        ticks = (high & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
        real = y != OVERFLOW_ROW
        if not real.all():
            wraps = np.concatenate([[0], np.cumsum(~real)])
            ticks += ((wraps[1:] - wraps[first][owner]) * OVERFLOW_TICKS).astype(np.int32)
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
        _, rows, columns = self.sensor
        address = ((high >> 7) * rows + y) * columns + x
        good = np.array([number not in bad for number in range(len(files))])
        kept = good[owner]
        self.ticks.append(ticks[kept])
        self.address.append(address[kept])
        self.events += size[good].tolist()
        self.keys += [key for (_, key, _), whole in zip(files, good, strict=True) if whole]

    def _check(
        self,
        files: list[tuple[Member, tuple[str, str, str], bytes]],
        owner: NDArray[np.int64],
        first: NDArray[np.int64],
        size: NDArray[np.int64],
        x: NDArray[np.int32],
        y: NDArray[np.int32],
        ticks: NDArray[np.int32],
    ) -> set[int]:
        """Numbers of the files with a fault; one message each, for the first event at fault."""
        _, rows, columns = self.sensor
        found: dict[int, str] = {}
        for at in np.flatnonzero((x >= columns) | (y >= rows))[::-1].tolist():
            found[int(owner[at])] = (
                f"event {at - first[owner[at]]}: allowed are pixels of a {columns} x {rows} sensor "
                f"(got x = {x[at]}, y = {y[at]})"
            )
        latest = np.maximum.accumulate(ticks + owner * (1 << 32)) - owner * (1 << 32)
        for at in np.flatnonzero(ticks < latest - DISORDER_TICKS)[::-1].tolist():
            found.setdefault(
                int(owner[at]),
                f"event {at - first[owner[at]]}: allowed are times that run back by at most {DISORDER_TICKS} us "
                f"(got {ticks[at]} us after {latest[at]} us)",
            )
        for number in np.flatnonzero(size == 0).tolist():
            found.setdefault(number, "has no event")
        self.problems += [f"{files[number][0].where}: {text}" for number, text in sorted(found.items())]
        return set(found)


def load_nmnist(source: Path, *, sensor: tuple[int, int, int] = SENSOR, data_name: str = "") -> Recordings:
    """All recordings of a folder or archive laid out as ``[Train|Test]/CLASS/*.bin``, ordered by part, class and name.

    Classes are the ten digits where every class folder is a digit, else the folders' names. Raises ``InputError``
    naming every bad file (ten, then a count): a size that is no multiple of 5, a pixel outside of the sensor, time that
    runs back, no event; and a source without a single such file.
    """
    reading = _Reading(sensor)
    waiting: list[tuple[Member, tuple[str, str, str], bytes]] = []
    waiting_B = 0
    for member, path in members_by_class(source, ".bin"):
        try:
            data = member.read()
        except OSError as error:
            reading.problems.append(f"{member.where}: cannot be read ({error.strerror})")
            continue
        if len(data) % EVENT_BYTES:
            reading.problems.append(
                f"{member.where}: a truncated event file: allowed is a multiple of {EVENT_BYTES} bytes, got {len(data)}"
            )
            continue
        waiting.append((member, part_class_and_name(path), data))
        waiting_B += len(data)
        if waiting_B >= _BLOCK_BYTES:
            reading.decode(waiting)
            waiting, waiting_B = [], 0
    if waiting:
        reading.decode(waiting)
    problems = shortened(reading.problems, source)
    if not problems and not reading.keys:
        problems.append(f"{source}: has no event file; allowed: [Train|Test]/CLASS/*.bin in {ALLOWED}")
    if problems:
        raise InputError(problems)
    return _gather(reading, data_name or source.name)


def _gather(reading: _Reading, data_name: str) -> Recordings:
    found = {label for _, label, _ in reading.keys}
    labels = DIGITS if found <= set(DIGITS) else tuple(sorted(found))
    if "" in found:
        raise InputError(f"{data_name}: allowed is a folder for each class (got event files in none)")
    names = [name for _, _, name in reading.keys]
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise InputError(f"{data_name}: allowed is one file of each name (got {twice!r} twice)")
    offsets = np.concatenate([[0], np.cumsum(reading.events)]).astype(np.int64)
    ticks = np.concatenate(reading.ticks)
    notes = (
        (f"{reading.disordered} recordings had events up to {DISORDER_TICKS} us out of order; they were sorted.",)
        if reading.disordered
        else ()
    )
    recordings = Recordings(
        ticks=ticks,
        address=np.concatenate(reading.address),
        offsets=offsets,
        durations=ticks[offsets[1:] - 1] + np.int32(1),
        classes=np.array([labels.index(label) for _, label, _ in reading.keys], np.int64),
        groups=np.array([""] * len(names)),
        names=np.array(names),
        parts=np.array([part for part, _, _ in reading.keys]),
        sensor=reading.sensor,
        labels=labels,
        data_name=data_name,
        source=SOURCE,
        bibtex=BIBTEX,
        notes=notes,
    )
    order = sorted(range(len(names)), key=lambda row: reading.keys[row])
    return recordings if order == list(range(len(names))) else recordings.select(order)
