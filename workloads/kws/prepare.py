"""Recordings of a keyword-spotting run, and each speaker split of them as tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from devices import InputError, Stream
from workloads.kws.augment import augmented_mfcc
from workloads.kws.features import MFCC, Features, Normaliser, cached_mfcc
from workloads.kws.find import Finding, find_clips
from workloads.kws.settings import KeywordData, KeywordSpotting
from workloads.kws.training import Batches
from workloads.recordings.clips import Clips
from workloads.running import RunOptions
from workloads.split import listed_split, split_by_speaker

_KEPT = 2  # prepared splits kept in a process: the one at work and, between two trainings, the next


@dataclass(frozen=True, eq=False)
class Prepared:
    """One speaker split as tensors; ``clipped``: share of test features beyond the drivers' range."""

    number: int
    batches: Batches
    x_test: torch.Tensor
    y_test: torch.Tensor
    clipped: float


_PREPARED: OrderedDict[tuple[str, str, int], Prepared] = OrderedDict()


def clips_of(which: KeywordData, data: Path | None, progress: Callable[[int, int], object] | None = None) -> Clips:
    """The clips of an experiment."""
    clips = find_clips(data, seed=which.split_seed, finding=Finding(full=which.full), progress=progress)
    return fewer(clips, which.clips, Stream.root(which.split_seed))


@lru_cache(maxsize=1)
def recordings(which: KeywordData, how: MFCC, data: Path | None) -> tuple[Clips, Features, tuple[str, ...]]:
    """The clips of an experiment, their features and notes, found, decoded and computed once in this process."""
    clips = clips_of(which, data)
    return clips, *cached_mfcc(clips, how)


def prepared(
    settings: KeywordSpotting, options: RunOptions, split: int, clips: Clips, features: Features, *, rng: Stream
) -> Prepared:
    """One split; where runs share their networks, the last splits are kept in this process."""
    if options.stored is None:
        return _prepare(settings, options, split, clips, features, rng)
    key = options.stored.of, clips.digest, split
    if key not in _PREPARED:
        _PREPARED[key] = _prepare(settings, options, split, clips, features, rng)
    _PREPARED.move_to_end(key)
    while len(_PREPARED) > _KEPT:
        _PREPARED.popitem(last=False)
    return _PREPARED[key]


def _prepare(
    settings: KeywordSpotting, options: RunOptions, split: int, clips: Clips, features: Features, rng: Stream
) -> Prepared:
    how, config = settings.features, settings.data
    listed = listed_split(clips) if config.splits == 1 else None
    parts = listed or split_by_speaker(clips, config.split_seed + split, config.fractions)
    normaliser = Normaliser.fit(how.normalisation, features[parts.train], std_scale=how.std_scale)
    silence = clips.classes[parts.train] == clips.labels.index("_silence_")
    train_waves = clips.waveforms[parts.train]
    copies = augmented_mfcc(
        train_waves,
        train_waves[silence] if silence.any() else None,
        how.augmentation,
        how.mfcc,
        stream=rng.child("augmentation"),
        workers=options.workers,
        progress=lambda done, total: options.progress("varied training clips", done, total),
    )
    classes = torch.from_numpy(clips.classes)
    y_train = classes[parts.train]
    x_plain, _ = normaliser.apply(features[parts.train])
    x_varied, _ = normaliser.apply(copies)
    x_test, clipped = normaliser.apply(features[parts.test])
    pool = torch.cat([torch.from_numpy(x_plain).half(), torch.from_numpy(x_varied).half()])
    batches = Batches(
        pool.view(1 + how.augmentation.copies, len(y_train), *pool.shape[1:]),
        y_train,
        torch.from_numpy(normaliser.apply(features[parts.validation])[0]),
        classes[parts.validation],
    )
    return Prepared(split, batches, torch.from_numpy(x_test), classes[parts.test], clipped)


def fewer(clips: Clips, limit: int | None, rng: Stream) -> Clips:
    """At most ``limit`` clips, drawn evenly from every class."""
    if limit is None or limit >= len(clips):
        return clips
    draw = rng.child("fewer").numpy()
    each = max(1, limit // len(clips.labels))
    rows = [
        draw.permutation([row for row, kind in enumerate(clips.classes) if kind == label])[:each]
        for label in range(len(clips.labels))
    ]
    pick = sorted(int(row) for part in rows for row in part)
    if not pick:
        raise InputError("data.clips: no clips are left")
    return replace(
        clips,
        waveforms=clips.waveforms[pick],
        classes=clips.classes[pick],
        speakers=clips.speakers[pick],
        parts=None if clips.parts is None else clips.parts[pick],
        names=clips.names[pick],
        notes=(*clips.notes, f"{len(pick)} of {len(clips)} clips were used (data.clips: {limit})."),
    )
