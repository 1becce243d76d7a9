"""Who trains and who is tested: the official parts, speakers who are not in training, or all recordings in turn.

Each split has a validation part of its own, cut from what is left for training: nothing is ever chosen on what is
tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from devices.streams import Stream
from workloads.recordings.archives import TEST, TRAIN
from workloads.recordings.labelled import DataOrigin
from workloads.split import Indices, Split


class Grouped(Protocol):
    """What a split looks at: ``Recordings`` and ``Sounds`` both have it."""

    @property
    def classes(self) -> NDArray[np.int64]: ...
    @property
    def groups(self) -> NDArray[np.str_]: ...
    @property
    def parts(self) -> NDArray[np.str_]: ...
    @property
    def origin(self) -> DataOrigin: ...


def official_split(data: Grouped, *, rng: Stream, validation: float = 0.1) -> Split:
    """The data set's own training and test parts; ``validation`` is a share of each class of the training part.

    Raises ``InputError`` where the data set has no official split.
    """
    train, test = np.flatnonzero(data.parts == TRAIN), np.flatnonzero(data.parts == TEST)
    if not len(train) or not len(test):
        raise InputError(f"{data.origin.name}: allowed are recordings with a training and a test part (got one)")
    return _with_validation(data, train, test, rng, validation)


def stratified_folds(data: Grouped, folds: int, *, rng: Stream, validation: float = 0.1) -> list[Split]:
    """All recordings pooled, each tested once; every fold holds each class in proportion, to within one recording."""
    smallest = int(np.bincount(data.classes)[np.unique(data.classes)].min())
    if not 2 <= folds <= smallest:
        raise InputError(f"{data.origin.name}: folds: allowed are 2 to {smallest}, the smallest class (got {folds})")
    fold = np.empty(len(data.classes), np.int64)
    assigned = 0
    for number in np.unique(data.classes):
        rows = rng.child("folds", int(number)).numpy().permutation(np.flatnonzero(data.classes == number))
        # Dealing goes on where the class before stopped, so that the folds are of one size as well.
        fold[rows] = (np.arange(len(rows)) + assigned) % folds
        assigned += len(rows)
    return [
        _with_validation(data, np.flatnonzero(fold != k), np.flatnonzero(fold == k), rng.child("fold", k), validation)
        for k in range(folds)
    ]


def speaker_folds(data: Grouped, *, rng: Stream, folds: int | None = None, validation: float = 0.1) -> list[Split]:
    """Splits in which nobody who is tested was heard in training or validation; ``folds`` None leaves out one by one.

    Validation recordings come from speakers of the training part. Raises ``InputError`` where the speakers are not
    named or too few.
    """
    speakers = sorted(set(data.groups.tolist()))
    if "" in speakers or len(speakers) < 2:
        raise InputError(f"{data.origin.name}: allowed are recordings of at least 2 named speakers")
    folds = folds or len(speakers)
    if not 2 <= folds <= len(speakers):
        raise InputError(f"{data.origin.name}: folds: allowed are 2 to {len(speakers)} speakers (got {folds})")
    order = rng.child("speakers").numpy().permutation(len(speakers))
    left_out: Sequence[set[str]] = [{speakers[number] for number in order[k::folds]} for k in range(folds)]
    splits = []
    for k, out in enumerate(left_out):
        tested = np.array([speaker in out for speaker in data.groups.tolist()])
        parts = np.flatnonzero(~tested), np.flatnonzero(tested)
        splits.append(_with_validation(data, *parts, rng.child("fold", k), validation))
    return splits


def _with_validation(data: Grouped, train: Indices, test: Indices, rng: Stream, share: float) -> Split:
    if not 0.0 <= share < 1.0:
        raise InputError(f"validation: allowed is a share from 0 to below 1 (got {share:g})")
    chosen: list[Indices] = []
    for number in np.unique(data.classes):
        rows = train[data.classes[train] == number]
        chosen.append(rng.child("validation", int(number)).numpy().permutation(rows)[: round(share * len(rows))])
    validation = np.sort(np.concatenate(chosen)).astype(np.int64)
    return Split(np.setdiff1d(train, validation), validation, test)
