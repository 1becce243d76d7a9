"""Spikes from HDF5 in both published layouts, and from text; what is wrong is named by file and place."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from devices import InputError
from workloads.lsm.binning import NTIDIGITS_BINNING, Binning, binned
from workloads.recordings.spikes_csv import load_spikes_csv
from workloads.recordings.spikes_hdf5 import MISSING, load_spikes_hdf5

h5py = pytest.importorskip("h5py", reason="the extra 'events' is not installed")

GOOD = "t,x,y,p\n0.001,3,4,1\n0.002,5,6,0\n"


def told(call: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


def shd(path: Path, *, recordings: int = 4, seed: int = 0, **replaced: object) -> Path:
    draw = np.random.default_rng(seed)
    times = [np.sort(draw.uniform(0, 1.2, 20 + number)).astype(np.float16) for number in range(recordings)]
    units = [draw.integers(0, 700, len(t)).astype(np.uint16) for t in times]
    content = {
        "spikes/times": times,
        "spikes/units": units,
        "labels": np.arange(recordings) % 3,
        "extra/speaker": np.arange(recordings) % 2,
        **replaced,
    }
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            if values is None:
                continue
            if name.startswith("spikes"):
                kind = h5py.vlen_dtype(np.float16 if name == "spikes/times" else np.int32)
                data = file.create_dataset(name, (len(values),), kind)
                for row, one in enumerate(values):
                    data[row] = one
            else:
                file[name] = values
        file["extra/keys"] = np.array([b"null", b"eins", b"zwei"])
    return path


def tidigits(path: Path, labels: tuple[str, ...] = ("man-ae-a-z", "woman-bd-b-o", "man-ae-a-7", "man-ae-a-12")) -> Path:
    draw = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for part in ("train", "test"):
            file[f"{part}_labels"] = np.array([label.encode() for label in labels])
            for label in labels:
                file[f"{part}_timestamps/{label}"] = np.sort(draw.uniform(0, 0.8, 30))
                file[f"{part}_addresses/{label}"] = draw.integers(0, 64, 30)
    return path


def test_heidelberg_layout_gives_times_channels_speakers_and_parts(tmp_path: Path) -> None:
    shd(tmp_path / "shd_train.h5")
    shd(tmp_path / "shd_test.h5", recordings=2, seed=1)
    found = load_spikes_hdf5(tmp_path)
    assert found.sensor == (1, 1, 700)
    assert found.labels == ("null", "eins", "zwei")
    assert sorted(found.parts.tolist()) == ["test"] * 2 + ["train"] * 4
    row = found.names.tolist().index("shd_train/000001")
    assert (found.groups[row], found.classes[row], found.parts[row]) == ("1", 1, "train")
    with h5py.File(tmp_path / "shd_train.h5") as file:
        times, units = file["spikes/times"][1].astype(float), file["spikes/units"][1]
    one = found.select([row])
    np.testing.assert_allclose(one.t_s, times, atol=0.51e-6)
    assert sorted(zip(one.t_s.round(6), one.x, strict=True)) == sorted(zip(times.round(6), units, strict=True))
    assert binned(found, Binning(steps=100, pool=11)).inputs == 64


def test_a_packed_file_gives_the_same_bits(tmp_path: Path) -> None:
    plain = shd(tmp_path / "shd_train.h5")
    packed = tmp_path / "shd_train.h5.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert load_spikes_hdf5(packed).digest == load_spikes_hdf5(plain).digest


def test_tidigits_layout_keeps_single_digits_in_the_order_of_the_paper(tmp_path: Path) -> None:
    found = load_spikes_hdf5(tidigits(tmp_path / "n-tidigits.hdf5"))
    assert len(found) == 6
    assert [found.labels[number] for number in (0, 7, 10)] == ["z", "7", "o"]
    assert found.classes.tolist() == [0, 7, 10] * 2
    assert found.parts.tolist() == ["test"] * 3 + ["train"] * 3
    assert set(found.groups.tolist()) == {"ae", "bd"}
    assert binned(found, NTIDIGITS_BINNING).shape == (1, 1, 64)


@pytest.mark.parametrize(
    ("replaced", "text"),
    [
        ({"labels": np.arange(3)}, "allowed are as many times, units and labels as recordings (got 4, 4 and 3)"),
        ({"labels": np.array([0, 1, -2, 0])}, "labels: allowed are whole numbers from 0 (got -2)"),
        ({"spikes/units": None}, "allowed are spikes/times, spikes/units and labels (SHD)"),
    ],
)
def test_another_layout_is_refused_by_name(tmp_path: Path, replaced: dict[str, object], text: str) -> None:
    path = shd(tmp_path / "s.h5", **replaced)
    (problem,) = told(lambda: load_spikes_hdf5(path))
    assert problem.startswith(f"{path}: {text}")


def test_bad_recordings_are_named_by_their_number(tmp_path: Path) -> None:
    units = [np.array([1, 2]), np.array([3, 700]), np.array([0]), np.array([0])]
    times = [np.array([0.1, 0.2])] * 2 + [np.array([-0.5]), np.array([])]
    path = shd(tmp_path / "s.h5", **{"spikes/units": units, "spikes/times": times})
    assert told(lambda: load_spikes_hdf5(path)) == (
        f"{path}: recording 1: event 1: x: allowed are 0 to 699 (got 700)",
        f"{path}: recording 2: event 0: allowed are times from 0 to 2000 s (got -0.5)",
        f"{path}: recording 3: has no event",
    )
    assert load_spikes_hdf5(shd(tmp_path / "g.h5"), channels=701).sensor == (1, 1, 701)


def test_damaged_missing_and_mixed_files_are_refused(tmp_path: Path) -> None:
    cut = shd(tmp_path / "cut.h5")
    cut.write_bytes(cut.read_bytes()[:600])
    assert told(lambda: load_spikes_hdf5(cut))[0].startswith(f"{cut}: a damaged or truncated HDF5 file (")
    assert told(lambda: load_spikes_hdf5(tmp_path / "gone.h5")) == (f"{tmp_path / 'gone.h5'}: no such file",)
    (tmp_path / "mixed").mkdir()
    shd(tmp_path / "mixed" / "a.h5")
    tidigits(tmp_path / "mixed" / "b.h5")
    (problem,) = told(lambda: load_spikes_hdf5(tmp_path / "mixed"))
    assert problem.endswith("allowed are files of one layout (got N-TIDIGITS and SHD)")
    odd = tidigits(tmp_path / "odd.h5", ("man-ae-7",))
    assert told(lambda: load_spikes_hdf5(odd)) == (
        f"{odd}: train_labels: allowed are gender-speaker-take-digits (got 'man-ae-7')",
    )


def test_without_h5py_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert told(lambda: load_spikes_hdf5(tmp_path / "a.h5")) == (MISSING,)


def test_a_table_for_each_recording_and_one_for_all_hold_the_same_events(tmp_path: Path) -> None:
    for label, number in (("left", 1), ("right", 2)):
        (tmp_path / "many" / label).mkdir(parents=True)
        (tmp_path / "many" / label / f"{number}.csv").write_text(f"t,x,y,p\n0.001,{number},4,1\n0.002,5,6,0\n")
    one = tmp_path / "one.csv"
    one.write_text(
        "recording, label, t_us, x, y, p\n"
        "right/2.csv,right,2000,5,6,0\nleft/1.csv,left,1000,1,4,1\nleft/1.csv,left,2000,5,6,0\nright/2.csv,right,1000,2,4,1\n"
    )
    many, single = load_spikes_csv(tmp_path / "many"), load_spikes_csv(one)
    assert many.digest == single.digest
    assert many.labels == ("left", "right")
    assert many.sensor == (2, 7, 6)
    assert many.notes == ("The sensor's size was not given: 6 x 7 pixels as the events have it.",)
    assert single.notes[-1] == "1 recordings had events out of order in time; they were sorted."
    assert load_spikes_csv(one, sensor=(2, 34, 34)).sensor == (2, 34, 34)


def test_channels_groups_and_parts_are_read_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("recording,label,group,part,t,channel\na,0,anna,train,0.5,9\nb,1,bert,test,0.25,3\n")
    found = load_spikes_csv(path)
    assert found.sensor == (1, 1, 10)
    assert found.groups.tolist() == ["bert", "anna"]
    assert found.parts.tolist() == ["test", "train"]
    assert found.labels == tuple("0123456789")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": an empty file; allowed is a header with t, x, y, p"),
        ("a,b\n1,2\n", ":1: allowed is a header with one of t, t_s, t_ms, t_us (got a, b)"),
        ("t,y\n1,2\n", ":1: allowed is a header with 'x' or 'channel' (got t, y)"),
        ("t,x\n0.1,2\n0.2,two\n", ":3: x: allowed is a whole number from 0 to 4095 (got 'two')"),
        ("t,x\n0.1,2\n0.2,2.5\n", ":3: x: allowed is a whole number from 0 to 4095 (got '2.5')"),
        ("t,x\n,2\n0.2,2\n", ":2: t: allowed is a number (got '')"),
        ("t,x\n0.1,2\n150000,2\n", ":3: allowed are times from 0 to 2000 s (got 150000 s; t_us is for us)"),
        ("t,x\n0.1,2\n0.1,2,3,4\n", ":3: allowed are 2 values, as in the header (got 4)"),
    ],
)
def test_a_wrong_table_is_named_by_file_and_line(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "d" / "a").mkdir(parents=True)
    path = tmp_path / "d" / "a" / "1.csv"
    path.write_text(text)
    (tmp_path / "d" / "a" / "2.csv").write_text(GOOD)
    assert told(lambda: load_spikes_csv(tmp_path / "d")) == (f"{path}{problem}",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "t,x\n0.1,2\n",
            ":1: allowed is a column 'recording' and a column 'label', or a folder for each class (got t, x)",
        ),
        ("t,x,recording\n0.1,2,a\n", ":1: allowed is a column 'label' beside 'recording' (got t, x, recording)"),
        ("t,x,recording,label\n0.1,2,a,0\n0.2,2,a,1\n", ": recording 'a': allowed is one label (got 0, 1)"),
        ("t,x,recording,label,part\n0.1,2,a,0,dev\n", ": recording 'a': part: allowed are train and test (got 'dev')"),
    ],
)
def test_a_wrong_table_of_many_recordings_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert told(lambda: load_spikes_csv(path)) == (f"{path}{problem}",)
