"""The embedded default for spoken digits: eSpeak NG counts from zero to nine, a voice for each speaker.

Needs neither data nor network; whatever uses it says that it is synthetic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from devices.streams import Stream
from workloads.recordings.archives import TEST, TRAIN
from workloads.recordings.espeak import Espeak, Manner
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.noise import decibels
from workloads.recordings.sounds import Sounds, gathered_sounds
from workloads.recordings.sources import remembered
from workloads.recordings.speech import ACCENTS, VARIANTS
from workloads.recordings.wav import to_int16

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SOURCE = "synthetic: digits spoken by the voices of eSpeak NG {version} (github.com/espeak-ng/espeak-ng)"
NOTE = (
    "The data is SYNTHETIC: digits spoken by eSpeak NG voices. Accuracies on it say that the chain works; they are not "
    "accuracies on human speech."
)


@dataclass(frozen=True, kw_only=True)
class Counting(Manner):
    """``repeats`` of each digit by each of ``voices`` voices; the first ``tests`` repeats are the test part.

    Noise is ``snr_dB`` below the speech, drawn evenly from (low, high).
    """

    voices: int = 20
    repeats: int = 6
    tests: int = 1
    snr_dB: tuple[float, float] = (15.0, 40.0)

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.voices <= len(VARIANTS):
            problems.append(f"voices: allowed are 1 to {len(VARIANTS)} (got {self.voices})")
        if not 0 <= self.tests < self.repeats:
            problems.append(f"repeats, tests: allowed are 0 <= tests < repeats (got {self.tests} of {self.repeats})")
        if problems:
            raise InputError(problems)


def spoken_digits(
    *, seed: int = 0, how: Counting | None = None, progress: Callable[[int, int], object] | None = None
) -> Sounds:
    """Digits of eSpeak NG voices, from the cache or spoken now; marked synthetic.

    Raises ``InputError`` where ``mho[speech]`` is not installed. ``progress``: voices done, and in all.
    """
    how = how or Counting()
    with Espeak() as espeak:
        version = espeak.version
        key = hashlib.sha256(repr((seed, how, version, VARIANTS, ACCENTS)).encode()).hexdigest()[:32]
        arrays, notes = remembered(f"lsm/spoken-{key}.npz", lambda: _speak(espeak, how, Stream.root(seed), progress))
    cuts = np.split(arrays["samples"], arrays["offsets"][1:-1])
    keys = zip(arrays["parts"], arrays["labels"], arrays["names"], arrays["speakers"], cuts, strict=True)
    return gathered_sounds(
        [((str(part), str(label), str(name)), str(speaker), cut) for part, label, name, speaker, cut in keys],
        origin=DataOrigin(
            f"espeak-ng {version}, {how.voices} voices", SOURCE.format(version=version), "espeakng", synthetic=True
        ),
        notes=(NOTE, *notes),
    )


def _speak(
    espeak: Espeak, how: Counting, stream: Stream, progress: Callable[[int, int], object] | None
) -> dict[str, NDArray[Any]]:
    sounds: list[NDArray[np.int16]] = []
    rows: list[tuple[str, str, str, str]] = []
    for number, variant in enumerate(VARIANTS[: how.voices]):
        accent = ACCENTS[number % len(ACCENTS)]
        espeak.voice(accent, variant)
        draw = stream.child("digits", variant).numpy()
        for digit, word in enumerate(WORDS):
            for repeat in range(how.repeats):
                sounds.append(_utter(espeak, word, how, draw))
                part = TEST if repeat < how.tests else TRAIN
                rows.append((part, str(digit), f"{digit}_{variant}_{repeat}", f"{accent}+{variant}"))
        if progress:
            progress(number + 1, how.voices)
    names = ("parts", "labels", "names", "speakers")
    return {
        "samples": np.concatenate(sounds),
        "offsets": np.cumsum([0, *map(len, sounds)]).astype(np.int64),
        **{name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)},
    }


def _utter(espeak: Espeak, word: str, how: Counting, draw: np.random.Generator) -> NDArray[np.int16]:
    """One word from its first to its last sound, at its own pace and pitch, over a little noise."""
    wave = espeak.utter(word, how, draw)
    if len(wave) < 2:
        raise InputError(f"eSpeak NG was silent for {word!r}")
    wave = wave * np.float32(0.5 / np.abs(wave).max())
    hiss = draw.standard_normal(len(wave)).astype(np.float32)
    level = np.sqrt(np.mean(wave**2)) * decibels(np.asarray(-draw.uniform(*how.snr_dB)))
    return to_int16(wave + hiss * np.float32(level))
