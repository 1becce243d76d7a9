"""Event-camera recordings in AEDAT 2.0 (jAER) and 3.1 (cAER), the formats of CIFAR10-DVS and of many DVS recordings.

2.0: after a header of lines that begin with #, 8 bytes an event, big endian: an address and a time in microseconds. A
DVS128 address has the polarity in bit 0, x in bits 1 to 7 and y in bits 8 to 14; a DAVIS address has bit 31 for samples
of its frames and bit 10 for what is no polarity event (both left out), y in bits 22 to 30, x in bits 12 to 21, polarity
in bit 11. The header's line ``AEChip`` says which; without it, a DAVIS is recognised by an address beyond 16 bits.
3.1: packets of a header of 28 bytes, little endian, and events of 8 bytes: validity in bit 0, polarity in bit 1, y in
bits 2 to 16, x in bits 17 to 31, then the time. Polarity 1 is ON. Rows are as the file has them: (0, 0) is the lower
left in 2.0 and the upper left in 3.1. Source: docs.inivation.com, AEDAT file formats.

Clocks run from the camera's start, so that each recording's first event is its time 0. One recording a file, in a
folder for each class. AEDAT 4 is compressed with another schema and is not read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.bounded import one_sentence, printable
from configs.errors import InputError
from workloads.recordings.archives import ALLOWED, members_by_class, part_class_and_name, stated_bytes
from workloads.recordings.events import EVENT_BYTES, Recordings, Stored, check_total, gathered, smallest_sensor
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.nmnist import DIGITS

SENSORS = ((2, 128, 128), (2, 180, 240), (2, 260, 346), (2, 480, 640))
LARGEST_FILE_BYTES = 512 << 20
AEDAT4 = (
    "AEDAT 4 is not read: export it as CSV with the columns t_us, x, y, p (DV's export, or the Python packages "
    "'aedat' and 'dv-processing'), one file a recording in a folder for each class"
)
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY = 1
_Events = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def load_aedat(source: Path, *, data_name: str = "") -> Recordings:
    """All recordings of a folder or archive laid out as ``[Train|Test]/CLASS/*.aedat``.

    The sensor is the smallest of ``SENSORS`` that has all events, which a note says; classes as in ``load_nmnist``.
    Raises ``InputError`` for a file of another version, a damaged one, and every bad recording.
    """
    stored: list[Stored] = []
    problems: list[str] = []
    events = 0
    check_total(source, stated_bytes(source, (".aedat",)) // EVENT_BYTES)
    for member, parts in members_by_class(source, (".aedat",), largest=LARGEST_FILE_BYTES):
        part, label, name = part_class_and_name(parts)
        try:
            with one_sentence(member.where, "a damaged AEDAT file"):
                t_us, x, y, polarity = _decoded(member.where, member.read())
        except InputError as error:
            problems += error.problems
            continue
        events += len(t_us)
        check_total(source, events)
        if not label:
            problems.append(f"{member.where}: allowed is a folder for each class (got a file in none)")
            continue
        t_s = (t_us - (t_us.min() if len(t_us) else 0)) * Recordings.TICK_S
        kept = np.int16
        stored.append(
            Stored(member.where, name, label, t_s, x.astype(kept), y.astype(kept), polarity.astype(np.int8), part=part)
        )
    if not problems and not stored:
        problems.append(f"{printable(str(source))}: has no AEDAT file; allowed: CLASS/*.aedat in {ALLOWED}")
    found = {one.label for one in stored}
    sensor = smallest_sensor(stored, SENSORS)
    return gathered(
        stored,
        sensor=sensor,
        labels=DIGITS if found <= set(DIGITS) else tuple(sorted(found)),
        origin=DataOrigin(data_name or printable(source.name), f"events of {printable(source.name)}", ""),
        problems=problems,
        notes=(
            f"The sensor's size was taken from the events: {sensor[2]} x {sensor[1]} pixels.",
            "Each recording's first event is its time 0.",
        ),
    )


def _decoded(where: str, data: bytes) -> _Events:
    """Time [us], column, row and polarity of every event of a file."""
    first = data[:32].split(b"\n")[0].strip()
    if first.startswith(b"#!AER-DAT4"):
        raise InputError(f"{where}: {AEDAT4}")
    if first.startswith(b"#!AER-DAT2"):
        return _version_2(where, data)
    if first.startswith(b"#!AER-DAT3.1"):
        return _version_3(where, data)
    got = printable(first[:20].decode("latin-1"))
    raise InputError(
        f"{where}: allowed are AEDAT 2.0 and 3.1, of first line #!AER-DAT2.0 or #!AER-DAT3.1 (got {got!r})"
    )


def _version_2(where: str, data: bytes) -> _Events:
    at = 0
    while data[at : at + 1] == b"#":
        end = data.find(b"\n", at)
        if end < 0:
            raise InputError(f"{where}: a truncated AEDAT file (its header does not end)")
        at = end + 1
    if (len(data) - at) % 8:
        raise InputError(f"{where}: a truncated AEDAT file: allowed are 8 bytes an event (got {len(data) - at} bytes)")
    raw = np.frombuffer(data, ">u4", offset=at).reshape(-1, 2).astype(np.int64)
    address, t_us = raw[:, 0], raw[:, 1]
    chip = re.search(rb"AEChip:\s*(\S+)", data[:at])
    davis = b"davis" in chip[1].lower() if chip else bool((address >> 16).any())
    if davis:
        real = (address & (1 << 31 | 1 << 10)) == 0
        address, t_us = address[real], t_us[real]
        return t_us, address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
    if chip and b"dvs128" not in chip[1].lower():
        name = printable(chip[1].decode("latin-1"))[:80]
        raise InputError(f"{where}: allowed are recordings of a DVS128 or a DAVIS (got the chip {name})")
    real = (address & 1 << 15) == 0  # bit 15 marks a pulse on the camera's input pin
    address, t_us = address[real], t_us[real]
    return t_us, address >> 1 & 0x7F, address >> 8 & 0x7F, address & 1


def _version_3(where: str, data: bytes) -> _Events:
    mark = b"#!END-HEADER\r\n"
    at = data.find(mark)
    if at < 0:
        raise InputError(f"{where}: a truncated AEDAT file (its header does not end)")
    pieces = [piece for piece in _packets(where, data, at + len(mark)) if len(piece)]
    events = np.concatenate(pieces) if pieces else np.zeros((0, 2), np.int64)
    events = events[(events[:, 0] & 1) == 1]
    word, t_us = events[:, 0], events[:, 1]
    return t_us, word >> 17 & 0x7FFF, word >> 2 & 0x7FFF, word >> 1 & 1


def _packets(where: str, data: bytes, at: int) -> Iterator[NDArray[np.int64]]:
    """The words and times [us] of every packet of polarity events."""
    while at < len(data):
        if at + _PACKET.size > len(data):
            raise InputError(f"{where}: a truncated AEDAT file (it ends within a packet's header)")
        kind, _, size, _, overflow, _, number, _ = _PACKET.unpack_from(data, at)
        at += _PACKET.size
        if size < 1 or number < 0 or at + size * number > len(data):
            raise InputError(
                f"{where}: a truncated or damaged AEDAT file (a packet of {number} events of {size} bytes)"
            )
        if kind == _POLARITY and size == 8:
            words = np.frombuffer(data, "<u4", 2 * number, at).reshape(-1, 2).astype(np.int64)
            words[:, 1] += overflow << 31
            yield words
        at += size * number
