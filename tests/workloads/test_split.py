"""No speaker and no identical clip in two parts, each class in every part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from configs.errors import InputError
from workloads.recordings.clips import Clips
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.speech_commands import load_speech_commands
from workloads.split import Split, speaker_groups, split_by_speaker

TINY = Path(__file__).resolve().parents[3] / "shared" / "data" / "speech_commands_tiny"


def clips_of(rows: list[tuple[int, int, int]], labels: int) -> Clips:
    """Clips from (class, speaker, content) rows; speaker 0 is nobody, equal contents are equal waveforms."""
    return Clips(
        waveforms=np.array([[content] * 4 for _, _, content in rows], np.int16),
        classes=np.array([label for label, _, _ in rows], np.int64),
        speakers=np.array([f"s{speaker}" if speaker else "" for _, speaker, _ in rows]),
        names=np.array([str(row) for row in range(len(rows))]),
        origin=DataOrigin("made up"),
        labels=tuple(f"w{label}" for label in range(labels)),
    )


def parts_of(split: Split, count: int) -> np.ndarray:
    parts = np.full(count, -1)
    for number, rows in enumerate((split.train, split.validation, split.test)):
        assert (np.diff(rows) > 0).all()
        assert (parts[rows] == -1).all()
        parts[rows] = number
    assert (parts >= 0).all()
    return parts


def assert_apart(clips: Clips, parts: np.ndarray) -> None:
    for keys in (clips.speakers.tolist(), [row.tobytes() for row in clips.waveforms]):
        where: dict[object, set[int]] = {}
        for key, part in zip(keys, parts.tolist(), strict=True):
            if key:
                where.setdefault(key, set()).add(part)
        assert all(len(found) == 1 for found in where.values())


row = st.tuples(st.integers(0, 2), st.integers(0, 25), st.integers(0, 200))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, min_size=30, max_size=150), seed=st.integers(0, 5))
def test_speakers_and_identical_clips_stay_in_one_part(rows: list[tuple[int, int, int]], seed: int) -> None:
    clips = clips_of(rows, 3)
    groups = speaker_groups(clips)
    scarce = [label for label in set(clips.classes.tolist()) if len(set(groups[clips.classes == label].tolist())) < 3]
    if scarce:
        with pytest.raises(InputError, match="speakers, too few to hear it in each part"):
            split_by_speaker(clips, seed)
        return
    try:
        split = split_by_speaker(clips, seed)
    except InputError:
        reject()  # three groups a class need not be enough where the classes share them
    parts = parts_of(split, len(clips))
    assert_apart(clips, parts)
    for part in range(3):
        assert set(clips.classes[parts == part].tolist()) == set(clips.classes.tolist())


@pytest.mark.skipif(not TINY.is_dir(), reason="../shared/data/speech_commands_tiny is not here")
@pytest.mark.parametrize("seed", range(10))
def test_even_ten_clips_a_class_fill_three_parts(seed: int) -> None:
    clips = load_speech_commands(TINY)
    parts = parts_of(split_by_speaker(clips, seed), len(clips))
    assert_apart(clips, parts)
    assert all(set(clips.classes[parts == part]) == set(range(12)) for part in range(3))


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.2), (0.5, 0.25, 0.25), (0.8, 0.0, 0.2)])
def test_parts_have_their_fractions_of_each_class_and_of_the_speakers(fractions: tuple[float, float, float]) -> None:
    draw = np.random.default_rng(1)
    rows = [(int(draw.integers(12)), int(draw.integers(1, 201)), number) for number in range(4000)]
    clips = clips_of(rows, 12)
    parts = parts_of(split_by_speaker(clips, 3, fractions), len(clips))
    for part, fraction in enumerate(fractions):
        inside = parts == part
        assert abs(inside.mean() - fraction) < 0.01
        assert abs(len(set(clips.speakers[inside])) / 200 - fraction) < 0.04
        for label in range(12):
            assert abs((inside & (clips.classes == label)).sum() / (clips.classes == label).sum() - fraction) < 0.03


def test_a_split_depends_on_its_seed_alone() -> None:
    clips = clips_of([(number % 3, 1 + number % 40, number) for number in range(400)], 3)
    first = split_by_speaker(clips, 7)
    again = split_by_speaker(replace(clips, origin=DataOrigin("another name")), 7)
    np.testing.assert_array_equal(first.test, again.test)
    assert any(not np.array_equal(first.test, split_by_speaker(clips, seed).test) for seed in range(3))


def test_speakers_who_share_a_clip_are_one_group_and_nobody_is_not_a_speaker() -> None:
    clips = clips_of([(0, 1, 10), (0, 2, 10), (0, 2, 11), (0, 3, 12), (1, 0, 13), (1, 0, 14), (1, 0, 13)], 2)
    groups = speaker_groups(clips)
    assert groups[0] == groups[1] == groups[2]
    assert groups[4] == groups[6]
    assert len({groups[0], groups[3], groups[4], groups[5]}) == 4


def test_a_class_of_too_few_speakers_is_named() -> None:
    rows = [(0, 1 + number % 20, number) for number in range(60)] + [
        (1, 1 + number % 2, 90 + number) for number in range(9)
    ]
    with pytest.raises(InputError) as caught:
        split_by_speaker(clips_of(rows, 2), 0)
    assert str(caught.value) == (
        "made up: class 'w1' has clips of 2 speakers, too few to hear it in each part (train, validation, test) "
        "with no speaker in two of them"
    )


@pytest.mark.parametrize("fractions", [(0.0, 0.5, 0.5), (0.9, 0.2, -0.1), (0.7, 0.1, 0.1)])
def test_fractions_are_checked(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(InputError) as caught:
        split_by_speaker(clips_of([(0, 1, 1)], 1), 0, fractions)
    assert str(caught.value) == (
        f"split fractions: allowed are three shares >= 0 of sum 1, the first above 0 (got {fractions})"
    )
