"""Recordings of speech of any length: who said what, as waveforms that a cochlea may listen to.

Any folder or archive of WAV, SPHERE or FLAC files serves. Where every name reads ``CLASS_SPEAKER_INDEX.wav`` and tells
more than one class, the class is taken from it, as in the Free Spoken Digit Dataset (Z. Jackson et al.,
github.com/Jakobovski/free-spoken-digit-dataset), whose official test part is the index 0 to 4. Else the class is the
folder's name. Classes are the ten digits, else the names in alphabetical order.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.bounded import printable
from configs.errors import InputError
from workloads.recordings.archives import ALLOWED, files_of
from workloads.recordings.events import PROBLEMS_SHOWN, TEST, TRAIN, unused_parts
from workloads.recordings.speech_commands import speaker_of
from workloads.recordings.wav import ENDINGS, RATE_HZ, decode_wav

FSDD_SOURCE = "Z. Jackson et al., Free Spoken Digit Dataset, github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA)"
DIGITS = tuple("0123456789")
TEST_INDICES = 5
SHORTEST_S, LONGEST_S = 0.02, 60.0
MOST_HOURS = 20.0
_NAME = re.compile(r"([^_]+)_(?!nohash)([^_]+)_(\d{1,9})\.(?:wav|sph|flac)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, eq=False)
class Sounds:
    """``n`` sounds laid end to end; sound ``i`` holds ``samples[offsets[i]:offsets[i + 1]]``, int16 at 16 kHz.

    ``classes`` (n,) into ``labels``; ``groups`` (n,) speakers, empty where the name does not tell; ``names`` (n,);
    ``parts`` (n,): ``train``, ``test`` or empty.
    """

    samples: NDArray[np.int16]
    offsets: NDArray[np.int64]
    classes: NDArray[np.int64]
    groups: NDArray[np.str_]
    names: NDArray[np.str_]
    parts: NDArray[np.str_]
    labels: tuple[str, ...]
    data_name: str
    source: str
    bibtex: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that is heard and of its labels."""
        whole = hashlib.sha256(repr(self.labels).encode())
        for array in (self.samples, self.offsets, self.classes):
            whole.update(np.ascontiguousarray(array).data)
        for strings in (self.groups, self.names, self.parts):
            whole.update("\0".join(strings.tolist()).encode())
        return whole.hexdigest()

    @property
    def length_s(self) -> NDArray[np.float64]:
        """Length of each sound (n,) [s]."""
        return np.asarray(np.diff(self.offsets) / RATE_HZ, np.float64)

    @property
    def counts(self) -> dict[str, int]:
        """Sounds of each class, by its label."""
        found = np.bincount(self.classes, minlength=len(self.labels))
        return {label: int(count) for label, count in zip(self.labels, found, strict=True)}


def load_sounds(source: Path, *, data_name: str = "") -> Sounds:
    """All WAV files of a folder or archive, ordered by part, class and name; 16 kHz, mono.

    Raises ``InputError`` naming every bad file (ten, then a count), and a source without a WAV file or without classes.
    """
    problems: list[str] = []
    counted: Counter[str] = Counter()
    heard: list[tuple[str, tuple[str, ...], NDArray[np.int16]]] = []
    length, origin = 0, printable(str(source))
    for member, parts in files_of(source, ENDINGS):
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
        heard.append((member.where, parts, sound.samples))
    told = [_NAME.fullmatch(parts[-1]) for _, parts, _ in heard]
    by_name = all(told) and len({match[1] for match in told if match}) > 1
    found: list[tuple[tuple[str, str, str], str, NDArray[np.int16]]] = []
    for where, parts, samples in heard if not problems else ():
        (part, label, name), speaker = _by_name(parts[-1]) if by_name else _by_folder(parts)
        if label:
            found.append(((part, label, name), speaker, samples))
        else:
            problems.append(f"{where}: allowed is CLASS_SPEAKER_INDEX.wav, or a folder for each class (got neither)")
    if len(problems) > PROBLEMS_SHOWN:
        problems = [
            *problems[:PROBLEMS_SHOWN],
            f"{printable(str(source))}: {len(problems) - PROBLEMS_SHOWN} more files are bad so",
        ]
    if not problems and not found:
        problems.append(
            f"{printable(str(source))}: holds no WAV file; allowed: CLASS_SPEAKER_INDEX.wav or CLASS/*.wav in {ALLOWED}"
        )
    if problems:
        raise InputError(problems)
    notes = tuple(f"{count} recordings were {change}." for change, count in sorted(counted.items()))
    fsdd = by_name and {label for (_, label, _), _, _ in found} <= set(DIGITS)
    return gathered_sounds(
        found,
        data_name=data_name or printable(source.name),
        source=FSDD_SOURCE if fsdd else f"speech of {printable(source.name)}",
        bibtex="fsdd" if fsdd else "",
        notes=notes,
    )


def gathered_sounds(
    found: list[tuple[tuple[str, str, str], str, NDArray[np.int16]]],
    *,
    data_name: str,
    source: str,
    bibtex: str,
    synthetic: bool = False,
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
        data_name=data_name,
        source=source,
        bibtex=bibtex,
        synthetic=synthetic,
        notes=notes,
    )


def _by_name(file: str) -> tuple[tuple[str, str, str], str]:
    """((part, class, name), speaker) as the file's name has them."""
    label, speaker, number = file.split("_")
    return (TEST if int(number.partition(".")[0]) < TEST_INDICES else TRAIN, label, file), speaker


def _by_folder(parts: tuple[str, ...]) -> tuple[tuple[str, str, str], str]:
    """((part, class, name), speaker) as the path has them."""
    part = parts[-3].lower() if len(parts) > 2 and parts[-3].lower() in (TRAIN, TEST) else ""
    label = parts[-2] if len(parts) > 1 else ""
    return (part, label, "/".join(parts[-3 if part else -2 :])), speaker_of(parts[-1])
