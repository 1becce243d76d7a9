"""The embedded default for keyword spotting: words spoken by eSpeak NG, a voice for each speaker.

It needs no data and no network, and it is easier and duller than people: a network's accuracy on it says that the chain
works, not how well keywords are spotted. Whatever uses it says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from devices.streams import Stream
from workloads.recordings.clips import CLIP_SAMPLES, KEYWORDS, LABELS, OTHER_WORDS, SILENCE, UNKNOWN, Clips
from workloads.recordings.espeak import Espeak, Manner
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.noise import decibels, generated_noise, rms
from workloads.recordings.sources import remembered
from workloads.recordings.wav import RATE_HZ, to_int16

# Variants of eSpeak NG 1.52 that sound like a person, one of each family of look-alikes: a speaker is one variant, so
# no vocal tract is heard in both training and test. Those with a breath filter (f2, f3, f5, Alicia, sandro, victor) are
# left out: they read memory that eSpeak NG never set, and so differ from run to run.
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f4"),
    *("Alex", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee"),
    *("Marco", "Michael", "Mike", "Nguyen", "Reed", "Storm", "anika", "announcer", "antonio", "aunty", "belinda"),
    *("boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave", "ian", "iven", "john", "kaukovalta"),
    *("klatt4", "klatt5", "linda", "max", "michel", "norbert", "pablo", "paul", "pedro", "quincy"),
    *("robert", "shelby", "steph", "travis", "zac"),
)
ACCENTS = (
    *("en-us", "en", "en-gb-x-rp", "en-029", "en-gb-scotland"),
    *("en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc"),
)
ENDINGS = ("", ".", "!", "?")
NOTE = (
    "The data is SYNTHETIC: words spoken by eSpeak NG voices over generated noise. Accuracies on it say that the chain "
    "works; they are not accuracies on human speech."
)
SOURCE = "synthetic: words spoken by the voices of eSpeak NG {version} (github.com/espeak-ng/espeak-ng)"
BIBTEX = "espeakng"


@dataclass(frozen=True, kw_only=True)
class Spoken(Manner):
    """How much is spoken, and over what: ``repeats`` of each class by each of ``voices`` voices.

    A word is within ``max_shift_s`` of the middle of its second. Speech peaks at ``peak_dB`` (full scale is 0) over
    coloured noise at ``snr_dB``; ``_silence_`` is such noise alone with a root mean square of ``silence_dB``. Ranges
    (low, high) are drawn from uniformly.
    """

    voices: int = 59
    repeats: int = 4
    peak_dB: tuple[float, float] = (-24.0, -3.0)
    snr_dB: tuple[float, float] = (10.0, 40.0)
    max_shift_s: float = 0.1
    silence_dB: tuple[float, float] = (-70.0, -25.0)

    def __post_init__(self) -> None:
        problems = []
        if not 3 <= self.voices <= len(VARIANTS):
            problems.append(f"voices: allowed are 3 to {len(VARIANTS)} (got {self.voices})")
        if self.repeats < 1:
            problems.append(f"repeats: allowed are whole numbers from 1 (got {self.repeats})")
        if problems:
            raise InputError(problems)


def spoken_clips(
    *, seed: int = 0, how: Spoken | None = None, progress: Callable[[int, int], object] | None = None
) -> Clips:
    """Clips of eSpeak NG voices in the 12 classes, from the cache or spoken now; marked synthetic.

    ``progress`` is called with the voices done and the voices in all. Raises ``InputError`` where ``mho[speech]`` is
    not installed.
    """
    how = how or Spoken()
    with Espeak() as espeak:
        version = espeak.version
        key = hashlib.sha256(repr((seed, how, version, VARIANTS, ACCENTS)).encode()).hexdigest()[:32]
        arrays, notes = remembered(f"kws/spoken-{key}.npz", lambda: _speak(espeak, how, Stream.root(seed), progress))
    return Clips(
        waveforms=arrays["waveforms"],
        classes=arrays["classes"],
        speakers=arrays["speakers"],
        names=arrays["names"],
        origin=DataOrigin(
            f"espeak-ng {version}, {how.voices} voices", SOURCE.format(version=version), BIBTEX, synthetic=True
        ),
        notes=(NOTE, *notes),
    )


def _speak(
    espeak: Espeak, how: Spoken, stream: Stream, progress: Callable[[int, int], object] | None
) -> dict[str, NDArray[np.generic]]:
    waves: list[NDArray[np.int16]] = []
    rows: list[tuple[int, str, str]] = []
    for number, variant in enumerate(VARIANTS[: how.voices]):
        accent = ACCENTS[number % len(ACCENTS)]
        espeak.voice(accent, variant)
        draw = stream.child("spoken", variant).numpy()
        words = [word for word in KEYWORDS for _ in range(how.repeats)]
        others = draw.choice(OTHER_WORDS, size=how.repeats, replace=how.repeats > len(OTHER_WORDS)).tolist()
        clean = np.stack([_utter(espeak, word, how, draw) for word in (*words, *others)])
        noise = generated_noise(len(clean) + how.repeats, CLIP_SAMPLES, draw)
        noise[: len(clean)] *= rms(clean) * decibels(-draw.uniform(*how.snr_dB, size=(len(clean), 1)))
        noise[len(clean) :] *= decibels(draw.uniform(*how.silence_dB, size=(how.repeats, 1)))
        noise[: len(clean)] += clean
        waves.append(to_int16(noise))
        for place, word in enumerate((*words, *others)):
            label = word if word in KEYWORDS else UNKNOWN
            rows.append((LABELS.index(label), f"{accent}+{variant}", f"{label}/{word}_{variant}_{place}"))
        rows += [(LABELS.index(SILENCE), "", f"{SILENCE}/noise_{variant}_{place}") for place in range(how.repeats)]
        if progress:
            progress(number + 1, how.voices)
    order = sorted(range(len(rows)), key=lambda row: (rows[row][0], rows[row][2]))
    return {
        "waveforms": np.concatenate(waves)[order],
        "classes": np.array([rows[row][0] for row in order], np.int64),
        "speakers": np.array([rows[row][1] for row in order]),
        "names": np.array([rows[row][2] for row in order]),
    }


def _utter(espeak: Espeak, word: str, how: Spoken, draw: np.random.Generator) -> NDArray[np.float32]:
    """One word near the middle of its second, at its own pace, pitch, intonation and loudness."""
    wave = espeak.utter(word + str(draw.choice(ENDINGS)), how, draw)[:CLIP_SAMPLES]
    peak = np.abs(wave).max(initial=1e-3)
    clip = np.zeros(CLIP_SAMPLES, np.float32)
    spare = CLIP_SAMPLES - len(wave)
    shift = round(draw.uniform(-how.max_shift_s, how.max_shift_s) * RATE_HZ)
    start = min(max(spare // 2 + shift, 0), spare)
    clip[start : start + len(wave)] = wave * (decibels(np.asarray(draw.uniform(*how.peak_dB))) / peak)
    return clip
