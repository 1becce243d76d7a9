"""Training, validation and test parts in which no speaker and no identical clip appears twice.

A network trained on a speaker has learnt more than the words; figures from a split by clip are too good. Speech
Commands also has byte-identical clips, so speakers who share one stay together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from devices.streams import Stream
from workloads.recordings.clips import Clips

PARTS = ("train", "validation", "test")
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the clips that belong to each part, ascending."""

    train: Indices
    validation: Indices
    test: Indices


def split_by_speaker(clips: Clips, seed: int, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> Split:
    """Assign the speakers to three parts, so that each part has its fraction of every class, as nearly as it goes.

    Clips without a speaker are assigned one by one. A part with a fraction above zero has at least one clip of each
    class, else ``InputError`` names the class that has too few speakers.
    """
    shares = np.asarray(fractions, float)
    if shares.shape != (3,) or (shares < 0).any() or shares[0] == 0 or not np.isclose(shares.sum(), 1.0):
        raise InputError(
            f"split fractions: allowed are three shares >= 0 of sum 1, the first above 0 (got {fractions})"
        )
    group_of = speaker_groups(clips)
    counts = np.zeros((group_of.max() + 1, len(clips.labels)))
    np.add.at(counts, (group_of, clips.classes), 1)
    part_of = _deal(
        counts,
        shares,
        Stream.root(seed).child("split").numpy().permutation(len(counts)),
    )
    _repair(counts, part_of, shares)
    missing = (_content(counts, part_of) == 0) & (shares > 0)[:, None] & (counts.sum(0) > 0)
    if missing.any():
        raise InputError(
            f"{clips.origin.name}: class '{clips.labels[label]}' has clips of {np.count_nonzero(counts[:, label])} "
            f"speakers, too few to hear it in each part ({', '.join(PARTS)}) with no speaker in two of them"
            for label in np.flatnonzero(missing.any(0))
        )
    parts = part_of[group_of]
    return Split(*(np.flatnonzero(parts == part) for part in range(3)))


def listed_split(clips: Clips) -> Split | None:
    """The split that the data set itself lists, None where it lists none."""
    if clips.parts is None:
        return None
    return Split(*(np.flatnonzero(clips.parts == part) for part in PARTS))


def speaker_groups(clips: Clips) -> Indices:
    """For each clip the number of its group: all clips of one speaker, and of those who share an identical clip."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    contents = ["=" + hashlib.blake2b(row, digest_size=16).hexdigest() for row in np.ascontiguousarray(clips.waveforms)]
    for speaker, content in zip(clips.speakers.tolist(), contents, strict=True):
        if speaker:
            parent[root(content)] = root("@" + speaker)
    numbers: dict[str, int] = {}
    return np.array(
        [numbers.setdefault(root(content), len(numbers)) for content in contents],
        np.int64,
    )


def _deal(counts: NDArray[np.float64], shares: NDArray[np.float64], order: Indices) -> Indices:
    """Give each group, in random order, to the part that is the least filled in the classes that the group brings."""
    wanted = np.maximum(shares[:, None] * counts.sum(0), 1e-9)
    filled = np.zeros_like(wanted)
    part_of = np.zeros(len(counts), np.int64)
    for group in order:
        part = int(np.argmin((filled / wanted) @ counts[group]))
        part_of[group] = part
        filled[part] += counts[group]
    return part_of


def _content(counts: NDArray[np.float64], part_of: Indices) -> NDArray[np.float64]:
    content = np.zeros((3, counts.shape[1]))
    np.add.at(content, part_of, counts)
    return content


def _repair(counts: NDArray[np.float64], part_of: Indices, shares: NDArray[np.float64]) -> None:
    """Move single groups while that leaves fewer classes missing from parts: small sets need it."""
    present = counts.sum(0) > 0

    def holes(content: NDArray[np.float64]) -> int:
        return int(((content == 0) & (shares > 0)[:, None] & present).sum())

    content = _content(counts, part_of)
    while holes(content):
        part, label = np.argwhere((content == 0) & (shares > 0)[:, None] & present)[0]
        best, chosen = holes(content), -1
        for group in np.flatnonzero((counts[:, label] > 0) & (part_of != part)):
            moved = content.copy()
            moved[part_of[group]] -= counts[group]
            moved[part] += counts[group]
            if holes(moved) < best:
                best, chosen = holes(moved), int(group)
        if chosen < 0:
            return
        content[part_of[chosen]] -= counts[chosen]
        content[part] += counts[chosen]
        part_of[chosen] = part
