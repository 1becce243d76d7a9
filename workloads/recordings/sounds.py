"""Recordings of speech of any length: who spoke which word, as waveforms for a cochlea.

Any folder or archive of WAV, SPHERE or FLAC files serves. Where every name reads ``CLASS_SPEAKER_INDEX.wav`` and there
is more than one class, the class is taken from it, as in the Free Spoken Digit Dataset (Z. Jackson et al.,
github.com/Jakobovski/free-spoken-digit-dataset), whose official test part is the index 0 to 4. Else the class is the
folder's name. Classes are the ten digits, else the names in alphabetical order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.bounded import printable
from configs.errors import InputError
from workloads.recordings.archives import ALLOWED, TEST, TRAIN, members_by_class, part_class_and_name, shortened
from workloads.recordings.events import unused_parts
from workloads.recordings.labelled import DataOrigin, Labelled
from workloads.recordings.speech_commands import speaker_of
from workloads.recordings.wav import ENDINGS, RATE_HZ, decode_wav

FSDD_SOURCE = "Z. Jackson et al., Free Spoken Digit Dataset, github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA)"
DIGITS = tuple("0123456789")
TEST_INDICES = 5
SHORTEST_S, LONGEST_S = 0.02, 60.0
MOST_HOURS = 20.0
_NAME = re.compile(r"([^_]+)_(?!nohash)([^_]+)_(\d{1,9})\.(?:wav|sph|flac)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sounds(Labelled):
    """``n`` sounds end to end; sound ``i`` is ``samples[offsets[i]:offsets[i + 1]]``, int16 at 16 kHz.

    ``groups`` (n,): speakers, empty where the name gives none; ``parts`` (n,): ``train``, ``test`` or empty.
    """

    samples: NDArray[np.int16]
    offsets: NDArray[np.int64]
    groups: NDArray[np.str_]
    parts: NDArray[np.str_]

    def _content(self) -> tuple[object, Iterable[NDArray[Any]], Iterable[NDArray[np.str_]]]:
        arrays = self.samples, self.offsets, self.classes
        return self.labels, arrays, (self.groups, self.names, self.parts)


def load_sounds(source: Path, *, data_name: str = "") -> Sounds:
    """All WAV files of a folder or archive, ordered by part, class and name; 16 kHz, mono.

    Raises ``InputError`` naming every bad file (ten, then a count), and a source without a WAV file or without classes.
    """
    problems: list[str] = []
    counted: Counter[str] = Counter()
    decoded: list[tuple[str, tuple[str, ...], NDArray[np.int16]]] = []
    length, origin = 0, printable(str(source))
    for member, parts in members_by_class(source, ENDINGS):
        try:
            sound = decode_wav(member.read())
        except InputError as error:
            problems += error.problems
            continue
        except ValueError as error:
            problems.append(f"{member.where}: {error}")
            continue
        if not SHORTEST_S <= len(sound.samples) / RATE_HZ <= LONGEST_S:
            problems.append(
                f"{member.where}: allowed are {SHORTEST_S:g} to {LONGEST_S:g} s "
                f"(got {len(sound.samples) / RATE_HZ:g} s)"
            )
            continue
        length += len(sound.samples)
        if length > MOST_HOURS * 3600 * RATE_HZ:
            raise InputError(f"{origin}: at most {MOST_HOURS:g} hours of sound (got more)")
        counted.update(sound.changes)
        decoded.append((member.where, parts, sound.samples))
    names = [_NAME.fullmatch(parts[-1]) for _, parts, _ in decoded]
    by_name = all(names) and len({match[1] for match in names if match}) > 1
    found: list[tuple[tuple[str, str, str], str, NDArray[np.int16]]] = []
    for where, parts, samples in decoded if not problems else ():
        (part, label, name), speaker = (
            _by_name(parts[-1]) if by_name else (part_class_and_name(parts), speaker_of(parts[-1]))
        )
        if label:
            found.append(((part, label, name), speaker, samples))
        else:
            problems.append(f"{where}: allowed is CLASS_SPEAKER_INDEX.wav, or a folder for each class (got neither)")
    problems = shortened(problems, source)
    if not problems and not found:
        problems.append(f"{origin}: has no WAV file; allowed: CLASS_SPEAKER_INDEX.wav or CLASS/*.wav in {ALLOWED}")
    if problems:
        raise InputError(problems)
    notes = tuple(f"{count} recordings were {change}." for change, count in sorted(counted.items()))
    fsdd = by_name and {label for (_, label, _), _, _ in found} <= set(DIGITS)
    return gathered_sounds(
        found,
        origin=DataOrigin(
            data_name or printable(source.name),
            FSDD_SOURCE if fsdd else f"speech of {printable(source.name)}",
            "fsdd" if fsdd else "",
        ),
        notes=notes,
    )


def gathered_sounds(
    found: list[tuple[tuple[str, str, str], str, NDArray[np.int16]]],
    *,
    origin: DataOrigin,
    notes: tuple[str, ...] = (),
) -> Sounds:
    """Sounds of ((part, label, name), speaker, samples), ordered by the first."""
    rows = sorted(found, key=lambda row: row[0])
    notes = (*notes, *unused_parts([part for (part, _, _), _, _ in rows]))
    present = {label for (_, label, _), _, _ in rows}
    labels = DIGITS if present <= set(DIGITS) else tuple(sorted(present))
    return Sounds(
        samples=np.concatenate([samples for _, _, samples in rows]),
        offsets=np.cumsum([0, *(len(samples) for _, _, samples in rows)]).astype(np.int64),
        classes=np.array([labels.index(label) for (_, label, _), _, _ in rows], np.int64),
        groups=np.array([speaker for _, speaker, _ in rows]),
        names=np.array([name for (_, _, name), _, _ in rows]),
        parts=np.array([part for (part, _, _), _, _ in rows]),
        labels=labels,
        origin=origin,
        notes=notes,
    )


def _by_name(file: str) -> tuple[tuple[str, str, str], str]:
    """((part, class, name), speaker) as the file's name has them."""
    label, speaker, number = file.split("_")
    return (TEST if int(number.partition(".")[0]) < TEST_INDICES else TRAIN, label, file), speaker
