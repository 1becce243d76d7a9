"""Which recordings a liquid gets, as active word lines, and who is tested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval, Len
from numpy.typing import NDArray

from devices import Stream
from workloads.lsm.binning import NMNIST_BINNING, Binning
from workloads.lsm.cochlea import Cochlea
from workloads.lsm.find import find_events
from workloads.lsm.saccades import Saccades
from workloads.lsm.split import official_split, speaker_folds, stratified_folds
from workloads.recordings.events import Recordings
from workloads.running import Progress
from workloads.split import Split

SplitName = Literal["folds", "official", "speakers"]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class EventData:
    """Which recordings, how they become active word lines, and who is tested.

    Parameters
    ----------
    sense : ``vision`` (event cameras, or pictures under saccades) or ``audio`` (speech through a cochlea, or spikes)
    splits : the first is the headline. ``folds``: all recordings pooled, each tested once; ``official``: the data set's
        own parts; ``speakers``: nobody who is tested was heard in training
    folds : of ``folds``
    split_seed : seed of splits, camera and synthetic voices, apart from the experiment's
    validation : share of each class of the training part on which choices are made
    recordings : at most so many, drawn evenly from all classes; None takes all
    """

    sense: Literal["vision", "audio"] = "vision"
    splits: Annotated[tuple[SplitName, ...], Len(1, 3)] = ("folds",)
    folds: Annotated[int, Interval(ge=2, le=100)] = 5
    split_seed: Annotated[int, Interval(ge=0, le=2**63 - 1)] = 0
    validation: Annotated[float, Interval(gt=0.0, lt=0.9)] = 0.1
    recordings: Annotated[int, Interval(ge=20, le=10_000_000)] | None = None
    binning: Binning = NMNIST_BINNING
    cochlea: Cochlea = Cochlea()
    saccades: Saccades | None = None

    def __post_init__(self) -> None:
        if len(set(self.splits)) < len(self.splits):
            raise ValueError(f"splits must differ (got {', '.join(self.splits)})")

    def find(self, data: Path | None, progress: Progress) -> Recordings:
        """The recordings of a run."""
        rng = Stream.root(self.split_seed)
        found = find_events(
            self.sense,
            data,
            rng=rng,
            cochlea=self.cochlea,
            saccades=self.saccades,
            progress=lambda done, total: progress("recordings", done, total),
        )
        return fewer(found, self.recordings, rng)

    def parts(self, recordings: Recordings) -> dict[str, list[Split]]:
        """All splits, each of one or several parts."""
        rng = Stream.root(self.split_seed).child("split")
        share = self.validation
        made = {
            "folds": lambda: stratified_folds(recordings, self.folds, rng=rng, validation=share),
            "official": lambda: [official_split(recordings, rng=rng, validation=share)],
            "speakers": lambda: speaker_folds(recordings, rng=rng, validation=share),
        }
        return {name: made[name]() for name in self.splits}


def evenly(classes: Ints, limit: int | None, rng: Stream) -> Ints:
    """Numbers of at most ``limit`` recordings, drawn evenly from every class, rising."""
    if limit is None or limit >= len(classes):
        return np.arange(len(classes))
    draw, kinds = rng.child("fewer").numpy(), np.unique(classes)
    each = max(2, limit // len(kinds))
    return np.sort(np.concatenate([draw.permutation(np.flatnonzero(classes == kind))[:each] for kind in kinds]))


def fewer(recordings: Recordings, limit: int | None, rng: Stream) -> Recordings:
    """At most ``limit`` recordings, drawn evenly from every class, and a note that says so."""
    if limit is None or limit >= len(recordings):
        return recordings
    rows = evenly(recordings.classes, limit, rng)
    note = f"{len(rows)} of {len(recordings)} recordings were used (data.recordings: {limit})."
    return replace(recordings.select(rows), notes=(*recordings.notes, note))
