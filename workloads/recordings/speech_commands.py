"""Google Speech Commands as it is published: a folder (or archive) of word folders of WAV files.

Two layouts are read, mixed as they come: the official 12-class test set (ten words, ``_unknown_``, ``_silence_``) and
the training set (35 words and ``_background_noise_``), whose 25 other words become ``_unknown_`` and whose noise is cut
into ``_silence_``, each as large as the mean of the ten words. P. Warden, arXiv:1804.03209 (2018).
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.bounded import printable
from configs.errors import InputError
from devices.streams import Stream
from workloads.recordings.archives import members, shortened
from workloads.recordings.clips import CLIP_SAMPLES, KEYWORDS, LABELS, SILENCE, UNKNOWN, Clips
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.wav import ENDINGS, RATE_HZ, Sound, centred, decode_wav

NOISE_FOLDER = "_background_noise_"
SOURCE = "P. Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, arXiv:1804.03209 (CC BY 4.0)"
BIBTEX = "warden2018"
SEGMENT_S = 5.0
UNKNOWN_AT_MOST = 6000
MOST_CLIPS = 200_000
# Files of other words wait as they are until the number wanted is counted; a large one waits as its one second.
WAITING_BYTES = 256 << 10
MOST_NOISE_S = 3600.0
LISTS = {"testing_list.txt": "test", "validation_list.txt": "validation"}
PARTS = ("train", "validation", "test")

_SPEAKER = re.compile(r"(?:^|_)([^_]+)_nohash_")


@dataclass
class _Reading:
    """What has been collected while the files go by once."""

    samples: dict[tuple[str, str], NDArray[np.int16]] = field(default_factory=dict)
    speakers: dict[tuple[str, str], str] = field(default_factory=dict)
    noise: dict[str, NDArray[np.int16]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    listed: dict[str, str] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)

    def decode(self, data: bytes, where: str) -> Sound | None:
        try:
            sound = decode_wav(data)
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return None
        self.counted.update(sound.changes)
        return sound

    def clip(self, data: bytes, where: str) -> NDArray[np.int16] | None:
        """One second from the middle of a recording."""
        sound = self.decode(data, where)
        if sound is None:
            return None
        if len(sound.samples) != CLIP_SAMPLES:
            change = "padded" if len(sound.samples) < CLIP_SAMPLES else "cropped at the centre"
            self.counted[f"{change} to 1 s"] += 1
        return centred(sound.samples, CLIP_SAMPLES)

    def add(self, label: str, name: str, speaker: str, data: bytes | NDArray[np.int16], where: str) -> None:
        samples = self.clip(data, where) if isinstance(data, bytes) else data
        if samples is not None:
            if (label, name) in self.samples:
                self.counted["replaced by a later file of the same name"] += 1
            self.samples[label, name] = samples.copy()
            self.speakers[label, name] = speaker
        if len(self.samples) > MOST_CLIPS:
            raise InputError(f"{where}: at most {MOST_CLIPS:,} clips (this one is too many)")

    def list_clips(self, list_name: str, data: bytes) -> None:
        """Which clips one of the data set's lists puts into a part."""
        self.lists.add(list_name)
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                self.listed["/".join(line.strip().split("/")[-2:])] = LISTS[list_name]

    def count(self, label: str) -> int:
        return sum(1 for kept, _ in self.samples if kept == label)


def load_speech_commands(source: Path, *, seed: int = 0, data_name: str = "") -> Clips:
    """All clips of a Speech Commands folder or archive, in 12 classes, each one second of 16-bit samples at 16 kHz.

    ``seed`` keys which clips of the other words count as ``_unknown_`` and where noise is cut. Raises ``InputError``
    naming every bad file (ten, then a count), a class without clips, an empty folder, or an unsafe archive.
    """
    reading = _Reading()
    ranked: list[tuple[int, str, int, bytes | NDArray[np.int16], str]] = []
    files = 0
    for member in members(source):
        name = member.path.name
        sounds = name.lower().endswith(ENDINGS) and not name.startswith(".")
        if not sounds and name not in LISTS:
            continue
        files += sounds
        folder = member.path.parent.name
        try:
            data = member.read()
        except InputError as error:
            reading.problems += error.problems
            continue
        if name in LISTS:
            reading.list_clips(name, data)
            continue
        if folder == NOISE_FOLDER:
            sound = reading.decode(data, member.where)
            if sound is not None:
                reading.noise[name] = sound.samples
            if sum(map(len, reading.noise.values())) > MOST_NOISE_S * RATE_HZ:
                raise InputError(f"{member.where}: at most {MOST_NOISE_S:g} s of background noise in all (got more)")
        elif folder in LABELS:
            reading.add(
                folder,
                f"{folder}/{name}",
                "" if folder == SILENCE else speaker_of(name),
                data,
                member.where,
            )
        elif folder:
            rank = int.from_bytes(hashlib.sha256(f"{seed}/{folder}/{name}".encode()).digest()[:8], "big")
            # The clips of lowest rank are a sample of fixed size that does not depend on the order of the files.
            waiting = data if len(data) <= WAITING_BYTES else reading.clip(data, member.where)
            if waiting is not None:
                entry = (-rank, f"{folder}/{name}", files, waiting, member.where)
                (heapq.heappush if len(ranked) < UNKNOWN_AT_MOST else heapq.heappushpop)(ranked, entry)
    if not files:
        raise InputError(
            f"{printable(str(source))}: has no WAV file; allowed: a folder for each of the classes {' '.join(LABELS)}"
        )
    mean_size = round(sum(reading.count(word) for word in KEYWORDS) / len(KEYWORDS))
    for _, name, _, waiting, where in sorted(ranked, reverse=True)[: max(0, mean_size - reading.count(UNKNOWN))]:
        reading.add(UNKNOWN, name, speaker_of(name), waiting, where)
    if reading.noise and not reading.count(SILENCE):
        _cut_silence(reading, mean_size, Stream.root(seed).child("silence"))
    _check(source, reading)
    return _gather(reading, data_name or printable(source.name))


def speaker_of(name: str) -> str:
    """The speaker's key, the part of a file's name before ``_nohash_``; empty where the name does not have it."""
    found = _SPEAKER.search(name.rpartition("/")[2])
    return found[1] if found else ""


def _cut_silence(reading: _Reading, count: int, stream: Stream) -> None:
    """Cut one-second clips of random loudness out of the noise recordings.

    A clip never leaves its five-second segment, and the segment counts as its speaker: so no stretch of noise can be
    heard in both training and test.
    """
    segment = round(SEGMENT_S * RATE_HZ)
    pieces = [
        (f"{name}.{start // segment}", samples[start : start + segment])
        for name, samples in sorted(reading.noise.items())
        for start in range(0, max(1, len(samples) - CLIP_SAMPLES + 1), segment)
    ]
    draw = stream.numpy()
    for number in range(count):
        piece_name, piece = pieces[number % len(pieces)]
        start = int(draw.integers(0, max(1, len(piece) - CLIP_SAMPLES + 1)))
        cut = centred(piece[start : start + CLIP_SAMPLES], CLIP_SAMPLES)
        key = (SILENCE, f"{SILENCE}/{piece_name}.{number // len(pieces)}")
        reading.samples[key] = np.rint(cut * np.float32(draw.uniform())).astype(np.int16)
        reading.speakers[key] = f"noise:{piece_name}"


def _check(source: Path, reading: _Reading) -> None:
    where, problems = printable(str(source)), shortened(reading.problems, source)
    for label in LABELS if not problems else ():
        if not reading.count(label):
            instead = {
                UNKNOWN: " or folders of other words",
                SILENCE: f" or a folder '{NOISE_FOLDER}'",
            }.get(label, "")
            problems.append(
                f"{where}: class '{label}' has no clips (allowed: a folder '{label}' with WAV files{instead})"
            )
    if problems:
        raise InputError(problems)


def _gather(reading: _Reading, data_name: str) -> Clips:
    keys = sorted(reading.samples, key=lambda key: (LABELS.index(key[0]), key[1]))
    waveforms = np.empty((len(keys), CLIP_SAMPLES), np.int16)
    for row, key in zip(waveforms, keys, strict=True):
        row[:] = reading.samples.pop(key)
    parts, note = _parts(reading, keys)
    return Clips(
        waveforms=waveforms,
        classes=np.array([LABELS.index(label) for label, _ in keys], np.int64),
        speakers=np.array([reading.speakers[key] for key in keys]),
        names=np.array([name for _, name in keys]),
        origin=DataOrigin(data_name, SOURCE, BIBTEX),
        notes=(*_notes(reading, keys), *note),
        parts=parts,
    )


def _parts(reading: _Reading, keys: Sequence[tuple[str, str]]) -> tuple[NDArray[np.str_] | None, tuple[str, ...]]:
    """The part of each clip by the data set's lists, and a note on them."""
    if not reading.lists or not reading.listed:
        return None, ()
    missing = sorted(set(LISTS) - reading.lists)
    if missing:
        return None, (
            f"{sorted(reading.lists)[0]} is there, {missing[0]} is not: the lists are not used as the split.",
        )
    part = {key: reading.listed.get(key[1], "train") for key in keys}
    spoken = Counter(part[key] for key in keys if key[0] != SILENCE)
    pieces = sorted({reading.speakers[key] for key in keys if key[0] == SILENCE and reading.speakers[key]})
    for number, piece in enumerate(pieces):
        # The pieces are spread evenly over [0, 1], cut where the words' shares of test and validation end.
        at = (number + 0.5) / len(pieces) * sum(spoken.values())
        dealt = (
            "test" if at < spoken["test"] else "validation" if at < spoken["test"] + spoken["validation"] else "train"
        )
        part |= {key: dealt for key in keys if key[0] == SILENCE and reading.speakers[key] == piece}
    lacking = [
        (name, label) for name in PARTS for label in LABELS if (label, name) not in {(k[0], p) for k, p in part.items()}
    ]
    if lacking:
        name, label = lacking[0]
        return None, (
            f"The data set's lists leave class {label!r} without a clip in {name}: they are not used as the split.",
        )
    sizes = Counter(part.values())
    note = (
        "The split is that of the data set's testing_list.txt and validation_list.txt ("
        + ", ".join(f"{sizes[name]} {name}" for name in PARTS)
        + " clips), where one split is asked for; data.fractions and data.split_seed then change nothing."
    )
    return np.array([part[key] for key in keys]), (note,)


def _notes(reading: _Reading, keys: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    notes = [f"{count} recordings were {change}." for change, count in sorted(reading.counted.items())]
    nameless = sum(1 for key in keys if key[0] != SILENCE and not reading.speakers[key])
    if nameless:
        notes.append(
            f"{nameless} clips name no speaker (no '_nohash_' in the file name) and are split one by one: "
            "a speaker may be heard in both training and test."
        )
    return tuple(notes)
