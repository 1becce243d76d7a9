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

from configs.errors import InputError
from devices.streams import Stream
from workloads.recordings.archives import members, shortened
from workloads.recordings.clips import CLIP_SAMPLES, KEYWORDS, LABELS, SILENCE, UNKNOWN, Clips
from workloads.recordings.wav import RATE_HZ, Sound, centred, decode_wav

NOISE_FOLDER = "_background_noise_"
SOURCE = "P. Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, arXiv:1804.03209 (CC BY 4.0)"
BIBTEX = "warden2018"
SEGMENT_S = 5.0
UNKNOWN_AT_MOST = 6000

_SPEAKER = re.compile(r"(?:^|_)([^_]+)_nohash_")


@dataclass
class _Reading:
    """What has been collected while the files go by once."""

    samples: dict[tuple[str, str], NDArray[np.int16]] = field(default_factory=dict)
    speakers: dict[tuple[str, str], str] = field(default_factory=dict)
    noise: dict[str, NDArray[np.int16]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def decode(self, data: bytes, where: str) -> Sound | None:
        try:
            sound = decode_wav(data)
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return None
        if sound.stored_rate_Hz != RATE_HZ:
            self.counted[f"resampled to 16 kHz (from {sound.stored_rate_Hz / 1e3:g} kHz)"] += 1
        if sound.stored_channels != 1:
            self.counted["mixed down to mono"] += 1
        return sound

    def add(self, label: str, name: str, speaker: str, data: bytes, where: str) -> None:
        sound = self.decode(data, where)
        if sound is None:
            return
        if len(sound.samples) != CLIP_SAMPLES:
            change = "padded" if len(sound.samples) < CLIP_SAMPLES else "cropped at the centre"
            self.counted[f"{change} to 1 s"] += 1
        self.samples[label, name] = centred(sound.samples, CLIP_SAMPLES)
        self.speakers[label, name] = speaker

    def count(self, label: str) -> int:
        return sum(1 for kept, _ in self.samples if kept == label)


def load_speech_commands(source: Path, *, seed: int = 0, data_name: str = "") -> Clips:
    """All clips of a Speech Commands folder or archive, in 12 classes, each one second of 16-bit samples at 16 kHz.

    ``seed`` keys which clips of the other words count as ``_unknown_`` and where noise is cut. Raises ``InputError``
    naming every bad file (ten, then a count), a class without clips, an empty folder, or an unsafe archive.
    """
    reading = _Reading()
    ranked: list[tuple[int, str, bytes, str]] = []
    files = 0
    for member in members(source):
        name = member.path.name
        if not name.lower().endswith(".wav") or name.startswith("."):
            continue
        files += 1
        folder = member.path.parent.name
        try:
            data = member.read()
        except OSError as error:
            reading.problems.append(f"{member.where}: cannot be read ({error.strerror})")
            continue
        if folder == NOISE_FOLDER:
            sound = reading.decode(data, member.where)
            if sound is not None:
                reading.noise[name] = sound.samples
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
            entry = (-rank, f"{folder}/{name}", data, member.where)
            (heapq.heappush if len(ranked) < UNKNOWN_AT_MOST else heapq.heappushpop)(ranked, entry)
    if not files:
        raise InputError(f"{source}: has no WAV file; allowed: a folder for each of the classes {' '.join(LABELS)}")
    mean_size = round(sum(reading.count(word) for word in KEYWORDS) / len(KEYWORDS))
    for _, name, data, where in sorted(ranked, reverse=True)[: max(0, mean_size - reading.count(UNKNOWN))]:
        reading.add(UNKNOWN, name, speaker_of(name), data, where)
    if reading.noise and not reading.count(SILENCE):
        _cut_silence(reading, mean_size, Stream.root(seed).child("silence"))
    _check(source, reading)
    return _gather(reading, data_name or source.name)


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
    problems = shortened(reading.problems, source)
    for label in LABELS if not problems else ():
        if not reading.count(label):
            instead = {
                UNKNOWN: " or folders of other words",
                SILENCE: f" or a folder '{NOISE_FOLDER}'",
            }.get(label, "")
            problems.append(
                f"{source}: class '{label}' has no clips (allowed: a folder '{label}' with WAV files{instead})"
            )
    if problems:
        raise InputError(problems)


def _gather(reading: _Reading, data_name: str) -> Clips:
    keys = sorted(reading.samples, key=lambda key: (LABELS.index(key[0]), key[1]))
    waveforms = np.empty((len(keys), CLIP_SAMPLES), np.int16)
    for row, key in zip(waveforms, keys, strict=True):
        row[:] = reading.samples.pop(key)
    return Clips(
        waveforms=waveforms,
        classes=np.array([LABELS.index(label) for label, _ in keys], np.int64),
        speakers=np.array([reading.speakers[key] for key in keys]),
        names=np.array([name for _, name in keys]),
        data_name=data_name,
        source=SOURCE,
        bibtex=BIBTEX,
        notes=_notes(reading, keys),
    )


def _notes(reading: _Reading, keys: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    notes = [f"{count} recordings were {change}." for change, count in sorted(reading.counted.items())]
    nameless = sum(1 for key in keys if key[0] != SILENCE and not reading.speakers[key])
    if nameless:
        notes.append(
            f"{nameless} clips name no speaker (no '_nohash_' in the file name) and are split one by one: "
            "a speaker may be heard in both training and test."
        )
    return tuple(notes)
