"""Which characters a model learns from and is judged by, and which files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from devices import InputError
from workloads.charlm.model import streams
from workloads.charlm.text import UNKNOWN, TextData, Vocabulary, documentation, text_of


def _file(folder: Path, content: str | bytes, name: str = "text.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_parts_are_cut_by_position(tmp_path: Path) -> None:
    text = text_of(TextData(), _file(tmp_path, "ab" * 450 + "cd" * 25 + "xy" * 25))
    assert [len(part) for part in (text.train, text.valid, text.test)] == [900, 50, 50]
    assert text.vocabulary.characters == UNKNOWN + "ab"
    assert text.unknown == 50  # x and y do not occur in what is trained on
    assert text.vocabulary.decoded(text.train[:4]) == "abab"


def test_the_most_frequent_characters_are_the_vocabulary() -> None:
    found = Vocabulary.of("aaabbcd", 2)
    assert found.characters == UNKNOWN + "ab"
    assert found.encoded("adb").tolist() == [1, 0, 2]


def test_three_files_are_the_three_parts(tmp_path: Path) -> None:
    for part, content in (("train", "abc" * 9), ("valid", "cab"), ("test", "bca")):
        _file(tmp_path, content, f"ptb.{part}.txt")
    text = text_of(TextData(), tmp_path)
    assert text.vocabulary.decoded(text.valid) == "cab"
    assert text.vocabulary.decoded(text.test) == "bca"


def test_files_of_another_folder_are_one_text(tmp_path: Path) -> None:
    _file(tmp_path, "b" * 50, "two.txt")
    _file(tmp_path, "a" * 50, "one.txt")
    text = text_of(TextData(fractions=(0.5, 0.25, 0.25)), _file(tmp_path, "ab" * 9, "three.txt").parent)
    assert text.vocabulary.decoded(text.train[48:52]) == "aaab"[0:2] + "ab"


def test_windows_of_streams_go_on_where_the_ones_before_ended() -> None:
    text = torch.arange(23)
    seen = list(streams(text, 2, 4))
    assert [x.shape[1] for x, _ in seen] == [4, 4, 3]
    assert torch.cat([x for x, _ in seen], dim=1)[1].tolist() == list(range(11, 22))
    assert all(torch.equal(y, x + 1) for x, y in seen)


def test_the_default_text_needs_no_file() -> None:
    assert len(documentation()) > 200_000


def test_the_excerpt_is_tested_on_its_second_half() -> None:
    text = text_of(TextData(excerpt="shakespeare_end"))
    assert (len(text.train), len(text.test)) == (27885, 55770)  # the last 5 % of tinyshakespeare's 1,115,394


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe\x00", "must be text in UTF-8 (byte 0 is not)"),
        (b"abc\x00def", "character 3 is 0"),
        (b"a" * 100, "two different characters (got 1)"),
        (b"", "two different characters (got 0)"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=r"text\.txt") as found:
        text_of(TextData(), _file(tmp_path, content))
    assert why in str(found.value)


def test_a_text_too_short_for_its_windows_is_refused(tmp_path: Path) -> None:
    text = text_of(TextData(), _file(tmp_path, "ab" * 500))
    with pytest.raises(
        InputError, match=r"train on must have 1025 characters at least, for 16 streams of 64 \(got 900\)"
    ):
        text.check(16, 64)
