"""Speech Commands as it comes: its lists as the split, notes on what was changed, limits, a checked cache."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.workloads.recordings.written import lay, problems_of
from workloads.kws.find import find_clips, locate
from workloads.recordings import sources
from workloads.recordings.clips import KEYWORDS, LABELS, SILENCE, UNKNOWN
from workloads.recordings.sounds import load_sounds
from workloads.recordings.sources import cache_dir, remembered
from workloads.recordings.speech_commands import load_speech_commands
from workloads.split import listed_split


def wav(
    seed: int = 0, *, samples: int = 16_000, rate_Hz: int = 16_000, subtype: str = "PCM_16", gain: float = 1.0
) -> bytes:
    out = io.BytesIO()
    wave = gain * np.random.default_rng(seed).uniform(-0.3, 0.3, samples)
    sf.write(out, wave, rate_Hz, format="WAV", subtype=subtype)
    return out.getvalue()


def training_set(others: tuple[str, ...] = ("bed", "cat", "tree")) -> dict[str, bytes]:
    """Six speakers say every word; the lists give speaker 0 to test and speaker 1 to validation."""
    words = (*KEYWORDS, *others)
    content = {f"{word}/s{who}_nohash_0.wav": wav(7 * n + who) for n, word in enumerate(words) for who in range(6)}
    for who, name in enumerate(("testing_list.txt", "validation_list.txt")):
        content[name] = "".join(f"{word}/s{who}_nohash_0.wav\n" for word in words).encode()
    return content | {"_background_noise_/hum.wav": wav(9, samples=16_000 * 60)}


def test_the_lists_of_the_data_set_are_its_split_and_say_so(tmp_path: Path) -> None:
    clips = load_speech_commands(lay(tmp_path / "w", training_set()))
    split = listed_split(clips)
    assert split is not None
    for rows, who in ((split.test, "s0"), (split.validation, "s1")):
        spoken = clips.classes[rows] != LABELS.index(SILENCE)
        assert set(clips.speakers[rows][spoken].tolist()) == {who}
        assert set(clips.classes[rows].tolist()) == set(range(len(LABELS)))
    noise = [
        set(clips.speakers[rows][clips.classes[rows] == LABELS.index(SILENCE)]) for rows in (split.train, split.test)
    ]
    assert not noise[0] & noise[1]
    assert len(split.train) + len(split.validation) + len(split.test) == len(clips)
    assert "set's testing_list.txt and validation_list.txt (" in clips.notes[-1]
    assert "data.fractions and data.split_seed then change nothing" in clips.notes[-1]


def test_lists_that_cannot_be_a_split_are_left_aside_with_a_note(tmp_path: Path) -> None:
    content = training_set()
    del content["validation_list.txt"]
    clips = load_speech_commands(lay(tmp_path / "a", content))
    assert listed_split(clips) is None
    assert clips.notes[-1].startswith("testing_list.txt is there, validation_list.txt is not")
    content = training_set() | {"validation_list.txt": b"yes/s1_nohash_0.wav\n"}
    clips = load_speech_commands(lay(tmp_path / "b", content))
    assert listed_split(clips) is None
    assert clips.notes[-1].startswith("The data set's lists leave class 'no' without a clip in validation")
    del content["testing_list.txt"], content["validation_list.txt"]
    assert load_speech_commands(lay(tmp_path / "c", content)).notes == ()


def test_large_files_of_other_words_wait_as_one_second_of_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay(tmp_path / "w", training_set())
    whole = load_speech_commands(folder).digest
    monkeypatch.setattr("workloads.recordings.speech_commands.WAITING_BYTES", 100)
    assert load_speech_commands(folder).digest == whole


def test_too_much_noise_and_too_many_clips_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path / "w", training_set())
    monkeypatch.setattr("workloads.recordings.speech_commands.MOST_CLIPS", 50)
    assert "at most 50 clips" in problems_of(lambda: load_speech_commands(folder))[0]
    monkeypatch.setattr("workloads.recordings.speech_commands.MOST_NOISE_S", 30.0)
    assert "at most 30 s of background noise in all" in problems_of(lambda: load_speech_commands(folder))[0]


def test_what_was_done_to_clips_is_in_the_notes(tmp_path: Path) -> None:
    content = training_set()
    content["yes/a_nohash_1.wav"] = wav(1, subtype="FLOAT", gain=32768.0)
    content["yes/b_nohash_1.wav"] = wav(2, subtype="FLOAT", gain=10.0)
    content["yes/c_nohash_1.wav"] = wav(3, rate_Hz=8_000, samples=8_000)
    content["yes/d_nohash_1.wav"] = wav(4, rate_Hz=1)
    assert problems_of(lambda: load_speech_commands(lay(tmp_path / "w", content)))[0].endswith(
        "d_nohash_1.wav: a sampling rate that no recording of sound has "
        "(allowed: 2,000 to 768,000 samples per second; got 1)"
    )
    (tmp_path / "w/yes/d_nohash_1.wav").unlink()
    notes = load_speech_commands(tmp_path / "w").notes
    assert "1 recordings were floating point in units of 16-bit samples, and divided by 32768." in notes
    assert "1 recordings were floating point beyond full scale at 1, and limited to it." in notes
    assert "1 recordings were resampled to 16 kHz (from 8 kHz)." in notes


def test_names_that_are_not_utf8_come_through_the_whole_chain(tmp_path: Path) -> None:
    folder = lay(tmp_path / "w", training_set(("bed", "cat")))
    for who in range(3):
        inner = os.fsencode(folder) + b"/caf\xe9"
        os.makedirs(inner, exist_ok=True)
        Path(os.fsdecode(inner + b"/s%d_nohash_0.wav" % who)).write_bytes(wav(who))
    clips = load_speech_commands(folder)
    assert all(name.encode() for name in clips.names.tolist())
    assert clips.counts[UNKNOWN] > 0


def test_fifos_loops_and_users_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path / "w", training_set())
    os.mkfifo(folder / "yes" / "x.wav")
    assert problems_of(lambda: load_speech_commands(folder)) == (
        f"{folder}/yes/x.wav: must be a regular file (got a named pipe)",
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "speech_commands").symlink_to(tmp_path / "d")
    assert problems_of(lambda: locate(tmp_path / "d", "--data"))[0].startswith(f"--data: {tmp_path / 'd'}")
    for name in ("MHO_DATA", "MHO_CACHE"):
        monkeypatch.setenv(name, "~nosuchuser/d")
    assert "a user of this machine after ~" in problems_of(lambda: find_clips(Path("~nosuchuser/x")))[0]
    assert "a user of this machine after ~" in problems_of(cache_dir)[0]


def test_sounds_are_read_from_parts_in_zips_and_from_sphere_names(tmp_path: Path) -> None:
    for part in ("train", "test"):
        with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            for label in ("yes", "no"):
                archive.writestr(f"{label}\\1.wav", wav(len(label)))
    found = load_sounds(tmp_path)
    assert found.names.tolist() == ["test/no/1.wav", "test/yes/1.wav", "train/no/1.wav", "train/yes/1.wav"]
    assert found.labels == ("no", "yes")


@pytest.mark.parametrize("damage", ["cut", "zeros", "other", "pickle", "pipe", "folder", "loop", "key", "exchanged"])
def test_a_damaged_cache_is_made_again_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("MHO_CACHE", str(tmp_path))
    made = {"a": np.arange(5), "b": np.array(["x", "yz"]), "c": np.array(3.0), "d": np.zeros((0, 2))}
    arrays, notes = remembered("k/x.npz", lambda: made)
    assert notes == ()
    path = tmp_path / "k" / "x.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "zeros":
        path.write_bytes(bytes(500))
    elif damage == "other":
        np.savez(path, a=np.arange(6), **{sources._DIGEST: np.load(path)[sources._DIGEST]})
    elif damage == "pickle":
        np.savez(path, a=np.array([object()]))
    elif damage == "key":
        np.savez(path, **{**made, "e": np.arange(2), sources._DIGEST: np.load(path)[sources._DIGEST]})
    elif damage == "exchanged":
        remembered("k/y.npz", lambda: {"a": np.arange(9)})
        (path.parent / "y.npz").replace(path)
    else:
        path.unlink()
        {"pipe": lambda: os.mkfifo(path), "folder": path.mkdir, "loop": lambda: path.symlink_to(path)}[damage]()
    again, notes = remembered("k/x.npz", lambda: made)
    assert notes
    assert notes[0].endswith("is made again")
    for name, array in made.items():
        np.testing.assert_array_equal(again[name], array)
        np.testing.assert_array_equal(arrays[name], array)
    if damage != "folder":
        kept, notes = remembered("k/x.npz", lambda: pytest.fail("it is in the cache"))
        assert notes == ()
        assert set(kept) == set(made)
