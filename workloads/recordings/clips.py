"""One-second clips of spoken words, who spoke them, and where they came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.recordings.labelled import Labelled
from workloads.recordings.wav import RATE_HZ

KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN = "_unknown_"
SILENCE = "_silence_"
LABELS = (*KEYWORDS, UNKNOWN, SILENCE)
CLIP_SAMPLES = RATE_HZ
OTHER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *(
        "backward",
        "bed",
        "bird",
        "cat",
        "dog",
        "follow",
        "forward",
        "happy",
        "house",
        "learn",
    ),
    *("marvin", "sheila", "tree", "visual", "wow"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Clips(Labelled):
    """``n`` recordings of equal length with their classes and speakers, ordered by class and name.

    ``waveforms`` (n, samples) int16 at 16 kHz; ``speakers`` (n,) str, empty where nobody speaks or the name gives none;
    ``parts`` (n,) str, ``train``, ``validation`` or ``test`` where the data set lists them, else none. The 12 classes
    are those of P. Warden, "Speech Commands", arXiv:1804.03209 (2018).
    """

    waveforms: NDArray[np.int16]
    speakers: NDArray[np.str_]
    labels: tuple[str, ...] = LABELS
    parts: NDArray[np.str_] | None = None

    def _content(self) -> tuple[object, Iterable[NDArray[Any]], Iterable[NDArray[np.str_]]]:
        listed = () if self.parts is None else (self.parts,)
        texts = self.speakers, self.names, *listed
        return (self.labels, self.waveforms.shape), (self.waveforms, self.classes), texts
