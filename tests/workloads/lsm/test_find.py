"""Which recordings a run uses, and who is tested on what: the user's data first, and nobody heard twice."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from devices import InputError, Stream
from workloads.lsm import find
from workloads.lsm.cochlea import Cochlea
from workloads.lsm.find import find_events, kind_of, locate
from workloads.lsm.saccades import Saccades
from workloads.lsm.split import official_split, speaker_folds, stratified_folds
from workloads.recordings.events import Recordings, Stored, gathered
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.spoken import NOTE, Counting, spoken_digits
from workloads.recordings.wav import RATE_HZ
from workloads.split import Split

RNG = Stream.root(0)
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
EVENTS = bytes([3, 4, 0x80, 0, 9, 5, 6, 0, 1, 0])
FEW = Counting(voices=2, repeats=2)


def told(call: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


@pytest.fixture
def nmnist(tmp_path: Path) -> Path:
    for digit in range(2):
        (tmp_path / "n" / "Train" / str(digit)).mkdir(parents=True)
        (tmp_path / "n" / "Train" / str(digit) / "1.bin").write_bytes(EVENTS)
    return tmp_path / "n"


def recordings(*, speakers: int = 5, each: int = 8, parts: bool = False) -> Recordings:
    stored = [
        Stored(
            where="",
            name=f"{label}_{speaker}_{number}",
            label=str(label),
            t_s=np.array([0.1]),
            x=np.array([0]),
            group=f"s{speaker}" if speakers > 1 else "",
            part=("test" if number == 0 else "train") if parts else "",
        )
        for label in range(3)
        for speaker in range(speakers)
        for number in range(each + label)
    ]
    return gathered(
        stored,
        sensor=(1, 1, 4),
        labels=("0", "1", "2"),
        origin=DataOrigin("made"),
    )


def whole(split: Split, n: int) -> None:
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))


def test_named_data_goes_before_the_environment_and_both_before_the_default(
    tmp_path: Path, nmnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "sklearn_digits", lambda: pytest.fail("the default was drawn"))
    other = tmp_path / "one.csv"
    other.write_text("recording,label,t,x,y,p\na,0,0.1,1,2,0\n")
    monkeypatch.setenv("MHO_DATA", str(other))
    assert find_events("vision", nmnist, rng=RNG).origin.name == "n"
    assert find_events("vision", rng=RNG).origin.name == "one.csv"
    monkeypatch.setenv("MHO_DATA", str(tmp_path / "gone"))
    problem = told(lambda: find_events("vision", rng=RNG))[0]
    assert problem.startswith(
        f"MHO_DATA: {tmp_path / 'gone'}: no such file or folder; allowed: event files ([Train|Test]"
    )


def test_embedded_pictures_stand_in_and_say_so() -> None:
    found = find_events("vision", rng=RNG, saccades=Saccades(frames=12, width_px=20.0))
    assert found.origin.synthetic
    assert len(found) == 1797
    assert found.notes[0].startswith("The data is SYNTHETIC")
    assert found.notes[-1].startswith("No recordings were named (no --data, no MHO_DATA)")


def test_embedded_digits_are_spoken_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra 'speech' is not installed")
    monkeypatch.setenv("MHO_CACHE", str(tmp_path))
    sounds = spoken_digits(seed=1, how=FEW)
    assert sounds.counts == dict.fromkeys("0123456789", 4)
    assert (sounds.parts == "test").sum() == 20
    assert len(set(sounds.groups.tolist())) == 2
    assert np.diff(sounds.offsets).min() > 0.1 * RATE_HZ
    assert np.diff(sounds.offsets).max() < 2.0 * RATE_HZ
    assert spoken_digits(seed=1, how=FEW).digest == sounds.digest
    next((tmp_path / "lsm").iterdir()).unlink()
    assert spoken_digits(seed=1, how=FEW).digest == sounds.digest
    assert spoken_digits(seed=2, how=FEW).digest != sounds.digest
    found = find_events("audio", rng=RNG, cochlea=Cochlea(channels=32), counting=FEW)
    assert found.origin.synthetic
    assert found.sensor == (1, 1, 32)
    assert found.notes[0] == NOTE
    assert told(lambda: Counting(voices=0, repeats=1, tests=1)) == (
        "voices: allowed are 1 to 59 (got 0)",
        "repeats, tests: allowed are 0 <= tests < repeats (got 1 of 1)",
    )


def test_a_folder_of_data_sets_holds_what_is_wanted(tmp_path: Path, nmnist: Path) -> None:
    (tmp_path / "data" / "spoken_digits" / "recordings").mkdir(parents=True)
    wav = tmp_path / "data" / "spoken_digits" / "recordings" / "0_ann_1.wav"
    wav.write_bytes(b"")
    nmnist.rename(tmp_path / "data" / "nmnist")
    assert locate(tmp_path / "data", "--data", "vision") == tmp_path / "data" / "nmnist"
    assert locate(tmp_path / "data", "--data", "audio") == tmp_path / "data" / "spoken_digits"
    assert locate(tmp_path / "data" / "nmnist", "--data", "vision") == tmp_path / "data" / "nmnist"
    (problem,) = told(lambda: locate(tmp_path / "data" / "nmnist", "--data", "audio"))
    assert problem.startswith(f"--data: {tmp_path / 'data' / 'nmnist'}: allowed are WAV files (CLASS_SPEAKER_INDEX.wav")
    assert problem.endswith("(got events)")
    (tmp_path / "void").mkdir()
    assert told(lambda: locate(tmp_path / "void", "--data", "vision"))[0].endswith("(got an empty folder)")
    (tmp_path / "void" / "notes.txt").write_text("")
    assert told(lambda: locate(tmp_path / "void", "--data", "vision"))[0].endswith("(got none of these)")
    assert told(lambda: locate(tmp_path / "void" / "notes.txt", "--data", "vision"))[0].endswith(
        "(got first bytes b'')"
    )


def test_what_a_path_holds_is_told_by_its_files(tmp_path: Path, nmnist: Path) -> None:
    assert kind_of(nmnist) == "events"
    for name, kind in (("a.h5", "hdf5"), ("a.csv", "csv"), ("t10k-images-idx3-ubyte.gz", "pictures")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / name).write_bytes(b"")
        assert kind_of(tmp_path / kind / name) == kind
        assert kind_of(tmp_path / kind) == kind


def test_pictures_are_shown_to_the_camera(tmp_path: Path) -> None:
    pixels = np.zeros((2, 6, 6), np.uint8)
    pixels[:, 2:4, 2:4] = 255
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">4I", 2051, 2, 6, 6) + pixels.tobytes())
    )
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">2I", 2049, 2) + b"\1\2"))
    found = find_events("vision", tmp_path, rng=RNG)
    assert found.classes.tolist() == [1, 2]
    assert found.parts.tolist() == ["test", "test"]
    assert found.origin.synthetic


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
def test_shared_data_is_found_by_its_folder() -> None:
    assert locate(SHARED, "--data", "vision") == SHARED / "nmnist" / "nmnist.tar.xz"
    assert locate(SHARED, "--data", "audio") == SHARED / "spoken_digits" / "fsdd.tar.xz"
    assert locate(SHARED / "mnist_t10k", "--data", "vision") == SHARED / "mnist_t10k"


def test_nobody_who_is_tested_was_heard_before() -> None:
    data = recordings()
    splits = speaker_folds(data, rng=RNG)
    assert len(splits) == 5
    for split in splits:
        whole(split, len(data))
        heard = set(data.groups[np.concatenate([split.train, split.validation])].tolist())
        assert heard.isdisjoint(data.groups[split.test].tolist())
        assert len(split.validation) == pytest.approx(0.1 * (len(split.train) + len(split.validation)), abs=2)
        assert set(data.classes[split.validation].tolist()) == {0, 1, 2}
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(range(len(data)))
    assert [len(set(data.groups[s.test].tolist())) for s in speaker_folds(data, folds=2, rng=RNG)] == [3, 2]
    assert told(lambda: speaker_folds(recordings(speakers=1), rng=RNG)) == (
        "made: allowed are recordings of at least 2 named speakers",
    )
    assert told(lambda: speaker_folds(data, folds=6, rng=RNG)) == ("made: folds: allowed are 2 to 5 speakers (got 6)",)


def test_folds_hold_each_class_in_proportion_and_test_everyone_once() -> None:
    data = recordings(speakers=3, each=7)
    splits = stratified_folds(data, 5, rng=RNG)
    for split in splits:
        whole(split, len(data))
        for label, total in enumerate(data.counts.values()):
            assert abs((data.classes[split.test] == label).sum() - total / 5) < 1
        assert abs(len(split.test) - len(data) / 5) < 1
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(range(len(data)))
    again = stratified_folds(data, 5, rng=RNG)
    assert all(np.array_equal(a.test, b.test) for a, b in zip(splits, again, strict=True))
    other = stratified_folds(data, 5, rng=Stream.root(1))
    assert not np.array_equal(splits[0].test, other[0].test)
    assert told(lambda: stratified_folds(data, 22, rng=RNG)) == (
        "made: folds: allowed are 2 to 21, the smallest class (got 22)",
    )


def test_official_parts_are_kept_and_validation_comes_from_training() -> None:
    data = recordings(parts=True)
    split = official_split(data, rng=RNG, validation=0.2)
    whole(split, len(data))
    assert (data.parts[split.test] == "test").all()
    assert (data.parts[split.test] == "test").sum() == (data.parts == "test").sum()
    assert len(split.validation) == pytest.approx(0.2 * (data.parts == "train").sum(), abs=2)
    assert len(official_split(data, rng=RNG, validation=0.0).validation) == 0
    problem = told(lambda: official_split(recordings(), rng=RNG))
    assert problem == ("made: allowed are recordings with a training and a test part (got one)",)
    assert told(lambda: official_split(data, rng=RNG, validation=1.0)) == (
        "validation: allowed is a share from 0 to below 1 (got 1)",
    )
