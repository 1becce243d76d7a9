"""One-second clips of spoken words, who spoke them, and where they came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, eq=False)
class Clips:
    """``n`` recordings of equal length with their classes and speakers, ordered by class and name.

    ``waveforms`` (n, samples) int16 at 16 kHz; ``classes`` (n,) int64 into ``labels``; ``speakers`` (n,) str, empty
    where nobody speaks or the name does not tell; ``names`` (n,) str, unique within the set; ``parts`` (n,) str,
    ``train``, ``validation`` or ``test`` where the data set lists them, else none. ``notes`` are sentences that the
    report repeats; ``source`` and ``bibtex`` name the origin. The 12 classes are those of P. Warden, "Speech
    Commands", arXiv:1804.03209 (2018).
    """

    waveforms: NDArray[np.int16]
    classes: NDArray[np.int64]
    speakers: NDArray[np.str_]
    names: NDArray[np.str_]
    data_name: str
    source: str
    bibtex: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = LABELS
    parts: NDArray[np.str_] | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        whole = hashlib.sha256(repr((self.labels, self.waveforms.shape)).encode())
        whole.update(np.ascontiguousarray(self.waveforms).data)
        whole.update(np.ascontiguousarray(self.classes).data)
        for strings in (self.speakers, self.names, *(() if self.parts is None else (self.parts,))):
            whole.update("\0".join(strings.tolist()).encode())
        object.__setattr__(self, "digest", whole.hexdigest())

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def counts(self) -> dict[str, int]:
        """Clips of each class, by its label."""
        found = np.bincount(self.classes, minlength=len(self.labels))
        return {label: int(count) for label, count in zip(self.labels, found, strict=True)}
