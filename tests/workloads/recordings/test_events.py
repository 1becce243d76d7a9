"""Events of any camera and table: other sensors, AEDAT, dialects of CSV; HDF5 of any shape; sizes that no one means."""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import InputError
from devices import Stream
from tests.workloads.recordings.written import lay, problems_of
from workloads.lsm.find import find_events, kind_of, locate
from workloads.recordings.aedat import load_aedat
from workloads.recordings.events import Recordings
from workloads.recordings.images import load_idx
from workloads.recordings.nmnist import load_nmnist
from workloads.recordings.spikes_csv import load_spikes_csv
from workloads.recordings.spikes_hdf5 import load_spikes_hdf5

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "events"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not here")
RNG = Stream.root(0)


def atis(x: list[int], y: list[int], t: list[int]) -> bytes:
    return b"".join(bytes([a, b, 0x80 | c >> 16, c >> 8 & 255, c & 255]) for a, b, c in zip(x, y, t, strict=True))


@needs_cases
def test_a_polarity_of_minus_one_is_off() -> None:
    found = find_events("vision", CASES / "pol_pm1.csv", rng=RNG)
    assert (len(found), found.polarity.tolist(), found.x.tolist()) == (1, [0, 1], [1, 1])


@needs_cases
def test_hdf5_is_read_out_of_an_archive() -> None:
    found = find_events("audio", CASES / "shd_train.h5.zip", rng=RNG)
    assert found.labels == ("zero", "one", "two", "three", "four")
    assert (len(found), set(found.parts.tolist()), found.sensor) == (4, {"train"}, (1, 1, 700))


@pytest.mark.parametrize(
    ("names", "x", "sensor"),
    [
        (("airplanes/image_0001", "BACKGROUND_Google/image_0001"), 239, (2, 180, 240)),
        (("0/1", "1/1", "2/1"), 239, (2, 180, 240)),
        (("left/1", "right/1"), 255, (2, 240, 256)),
        (("left/1", "right/1"), 33, (2, 34, 34)),
    ],
)
def test_a_sensor_of_another_size_is_recognised_by_its_events(
    tmp_path: Path, names: tuple[str, ...], x: int, sensor: tuple[int, int, int]
) -> None:
    found = load_nmnist(lay(tmp_path / "d", {f"{name}.bin": atis([1, x], [2, 30], [5, 1000]) for name in names}))
    assert found.sensor == sensor
    assert found.x.tolist() == [1, x] * len(names)
    assert found.y.tolist() == [2, 30] * len(names)
    assert found.polarity.tolist() == [1, 1] * len(names)
    assert f"{sensor[2]} x {sensor[1]} pixels were taken" in found.notes[0]


def test_a_clock_that_overflows_for_ever_is_refused_and_does_not_wrap(tmp_path: Path) -> None:
    data = bytes([0, 240, 0, 0, 0]) * 262_200 + atis([1], [1], [5])
    (text,) = problems_of(lambda: load_nmnist(lay(tmp_path / "d", {"0/1.bin": data, "0/2.bin": atis([1], [1], [5])})))
    assert text.endswith("1.bin: event 0: allowed are times up to 2000 s (got 2147942405 us)")


def test_train_zip_beside_test_zip_is_a_data_set_of_two_parts(tmp_path: Path) -> None:
    for part in ("Train", "Test"):
        with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            archive.writestr(f"{part}/3/00001.bin", atis([1, 2], [2, 3], [5, 1000]))
    assert kind_of(tmp_path) == "events"
    found = find_events("vision", tmp_path, rng=RNG)
    assert found.parts.tolist() == ["test", "train"]
    assert found.names.tolist() == ["Test/3/00001.bin", "Train/3/00001.bin"]


def aedat2(chip: str, words: list[int], t_us: list[int]) -> bytes:
    head = f"#!AER-DAT2.0\r\n# Data format is int32 address, int32 timestamp\r\n{chip}".encode()
    return head + b"".join(struct.pack(">II", *pair) for pair in zip(words, t_us, strict=True))


def test_aedat_2_of_a_dvs128_and_of_a_davis(tmp_path: Path) -> None:
    dvs = [x << 1 | y << 8 | p for x, y, p in ((5, 6, 1), (127, 3, 0))]
    davis = [x << 12 | y << 22 | p << 11 for x, y, p in ((5, 6, 1), (239, 179, 0))]
    for name, chip, words, sensor in (
        ("a", "# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n", [*dvs, 1 << 15], (2, 128, 128)),
        ("b", "", dvs, (2, 128, 128)),
        ("c", "# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n", [*davis, 1 << 31, 1 << 10], (2, 180, 240)),
        ("d", "", davis, (2, 180, 240)),
    ):
        data = aedat2(chip, words, [9_000_000 + 10 * number for number in range(len(words))])
        found = load_aedat(lay(tmp_path / name, {"one/1.aedat": data, "two/1.aedat": data}))
        assert found.sensor == sensor
        assert found.select([0]).x.tolist() == [5, sensor[2] - 1]
        assert found.select([0]).polarity.tolist() == [1, 0]
        assert found.select([0]).ticks.tolist() == [0, 10]
        assert found.labels == ("one", "two")


def aedat3(kind: int, words: list[int], t_us: list[int], *, number: int | None = None) -> bytes:
    body = b"".join(struct.pack("<II", *pair) for pair in zip(words, t_us, strict=True))
    count = len(words) if number is None else number
    return struct.pack("<hhiiiiii", kind, 0, 8, 4, 0, count, count, count) + body


HEAD3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"


def test_aedat_3_takes_valid_polarity_events_of_its_packets(tmp_path: Path) -> None:
    words = [x << 17 | y << 2 | p << 1 | 1 for x, y, p in ((100, 20, 1), (3, 127, 0))]
    data = HEAD3 + aedat3(0, [1], [3]) + aedat3(1, [*words, words[0] & ~1], [50, 70, 90])
    found = load_aedat(lay(tmp_path / "d", {"Train/0/1.aedat": data, "Test/1/1.aedat": data}))
    assert found.labels == tuple("0123456789")
    assert found.parts.tolist() == ["test", "train"]
    one = found.select([0])
    assert (one.x.tolist(), one.y.tolist(), one.polarity.tolist()) == ([100, 3], [20, 127], [1, 0])
    assert one.ticks.tolist() == [0, 20]
    assert find_events("vision", tmp_path / "d", rng=RNG).digest == found.digest


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"#!AER-DAT4.0\r\nxxxx", "AEDAT 4 is not read: export it as CSV with the columns t_us, x, y, p"),
        (b"#!AER-DAT1.0\r\nxxxx", "allowed are AEDAT 2.0 and 3.1"),
        (aedat2("", [1], [1])[:-3], "a truncated AEDAT file: allowed are 8 bytes an event"),
        (aedat2("# AEChip: a.Cochlea\r\n", [1], [1]), "allowed are recordings of a DVS128 or a DAVIS"),
        (
            HEAD3 + aedat3(1, [1], [1], number=1 << 30),
            "a truncated or damaged AEDAT file (a packet of 1073741824 events",
        ),
        (HEAD3 + aedat3(1, [1], [1])[:20], "a truncated AEDAT file (it ends within a packet's header)"),
        (b"#!AER-DAT3.1\r\n", "a truncated AEDAT file (its header does not end)"),
        (b"", "allowed are AEDAT 2.0 and 3.1"),
        (HEAD3, "has no event"),
    ],
)
def test_other_aedat_files_are_one_sentence(tmp_path: Path, data: bytes, text: str) -> None:
    folder = lay(tmp_path / "d", {"one/1.aedat": data})
    assert problems_of(lambda: load_aedat(folder)) == (problems_of(lambda: load_aedat(folder))[0],)
    assert text in problems_of(lambda: load_aedat(folder))[0]


def test_aedat_4_says_how_to_convert(tmp_path: Path) -> None:
    lay(tmp_path, {"one/1.aedat4": b"#!AER-DAT4.0\r\n"})
    assert "export it as CSV" in problems_of(lambda: locate(tmp_path, "--data", "vision"))[0]


@pytest.mark.parametrize("ending", ["dat", "raw", "mat"])
def test_files_of_other_programs_are_refused_by_name(tmp_path: Path, ending: str) -> None:
    alone, folder = lay(tmp_path / "a", {f"1.{ending}": b"%x"}), lay(tmp_path / "b", {f"one/1.{ending}": b"%x"})
    for path, file in ((alone / f"1.{ending}", alone / f"1.{ending}"), (folder, folder / f"one/1.{ending}")):
        (problem,) = problems_of(lambda path=path: locate(path, "--data", "vision"))  # type: ignore[misc]
        assert problem.startswith(f"{file}: ")
        assert "are not read: export it as CSV with the columns t_us, x, y, p" in problem
    assert kind_of(lay(folder, {"two/1.bin": bytes(5)})) == "events"


def test_a_data_set_beyond_its_limit_is_refused_before_all_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = list(range(0, 2000, 100))
    sets = {
        "bin": (load_nmnist, b"".join(bytes([1, 1, 0, t >> 8, t & 255]) for t in times)),
        "aedat": (load_aedat, aedat2("", [2] * len(times), times)),
        "csv": (load_spikes_csv, ("t_us,x\n" + "".join(f"{t},1\n" for t in times)).encode()),
    }
    for ending, (load, data) in sets.items():
        folder = lay(tmp_path / ending, {f"{c}/{k}.{ending}": data for c in (0, 1) for k in range(4)})
        monkeypatch.setenv("MHO_LARGEST_FILE", str(8 * max(8 * len(times), len(data))))  # AEDAT: its headers as well
        assert len(load(folder)) == 8
        monkeypatch.setenv("MHO_LARGEST_FILE", str(8 * 8 * len(times) - 8))
        assert problems_of(lambda: load(folder)) == (  # noqa: B023
            f"{folder}: at most {8 * len(times) - 1} events in a data set (got more); the environment's "
            "MHO_LARGEST_FILE raises that (8 bytes an event)",
        )


TABLE = "recording,label,t,x,y,p\na,0,0.5,1,2,0\na,0,1.5,3,4,1\nb,1,0.25,5,6,1\n"


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace(",", ";").replace(".", ","),
        TABLE.replace("label,t,x,y,p", "Label, T, X, Y, Polarity"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        ("\n# from a camera\n" + TABLE).replace("0.25", "0.25"),
        ("\ufeff" + TABLE).encode("utf-16-le"),
        TABLE.replace(",0\n", ",-1\n"),
        TABLE.replace(",t,", ",t_ms,").replace("0.5,", "500,").replace("1.5,", "1500,").replace("0.25,", "250,"),
    ],
    ids=["semicolons", "tabs", "decimal commas", "case", "CRLF", "CR", "comment", "UTF-16", "signed", "ms"],
)
def test_dialects_of_csv_hold_the_same_events(tmp_path: Path, text: str | bytes) -> None:
    assert load_spikes_csv(table(tmp_path, text)).digest == load_spikes_csv(table(tmp_path, TABLE, "u.csv")).digest


HEAD = "recording,label,t,x\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a,0,0,1000000000\n", ":2: x: allowed is a whole number from 0 to 4095 (got '1000000000')"),
        (HEAD + "a,0,0,9223372036854775808\n", ":2: x: allowed is a whole number from 0 to 4095"),
        (HEAD + "a,0,0," + "9" * 5000 + "\n", ":2: x: allowed is a whole number from 0 to 4095"),
        (HEAD + "a,0,0,True\n", ":2: x: allowed is a whole number from 0 to 4095 (got 'True')"),
        (HEAD + "\n\na,0,0,1\n\na,0,nan,1\n", ":6: t: allowed is a number (got 'nan')"),
        ("recording,label,t,x,p\na,0,0,1,2\n", ":2: p: allowed is 0 or 1, or -1 or 1 throughout (got '2')"),
        ("recording,label,t,x,p\na,0,0,1,0\na,0,0,1,-1\n", ":2: p: allowed is 0 or 1, or -1 or 1 throughout (got '0')"),
        ("recording,label,t,x,X\na,0,0,1,2\n", ":1: allowed is each column once, whatever its case (got 'x' twice)"),
        (
            "recording,Label,label,t,x\na,0,1,0,1\n",
            ":1: allowed is each column once, whatever its case (got 'label",
        ),
        (HEAD + "a,,0,1\n", ":2: label: allowed is a name (got nothing)"),
        (HEAD + "a,0,0,1,5\n", ":2: allowed are 4 values, as in the header (got "),
        (HEAD + "a,0,0,1\na,0,0,1,5\n", ":3: allowed are 4 values, as in the header (got 5)"),
        (",".join(f"c{n}" for n in range(20_000)) + "\n", ":1: allowed are at most 100 columns (got 20,000)"),
        ('recording,"label,t,x\n', ":1: allowed is a header"),
        ("# nothing\n\n", ": an empty file; allowed is a header with t, x, y, p"),
    ],
)
def test_a_table_of_nonsense_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = table(tmp_path, text)
    assert problems_of(lambda: load_spikes_csv(path))[0].startswith(f"{path}{message}")


def test_doubts_about_clock_zero_and_first_index_are_notes(tmp_path: Path) -> None:
    text = "recording,label,t_us,x,y\na,0,0.1,1,1\na,0,0.2,2,1\nb,1,0.1,1,2\nb,1,0.3,2,2\n"
    notes = " ".join(load_spikes_csv(table(tmp_path, text)).notes)
    assert "The recordings last 0 s (median): if that is not so, their times are in another unit." in notes
    assert "No event has x or y of 0: if the file counts from 1" in notes
    text = "recording,label,t,x\na,0,1700,0\na,0,1701,2\nb,1,1800,0\nb,1,1801,2\n"
    assert "begin with silence of at least 1.75e+03 s" in " ".join(load_spikes_csv(table(tmp_path, text)).notes)


def test_files_that_each_count_their_recordings_do_not_collide(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("one", "two"):
        table(tmp_path / "d", HEAD + "0,1,0.1,1\n1,2,0.2,2\n", f"{name}.csv")
    assert load_spikes_csv(tmp_path / "d").names.tolist() == ["one/0", "two/0", "one/1", "two/1"]


h5py = pytest.importorskip("h5py", reason="the extra 'events' is not installed")


def shd(path: Path, *, n: int = 3, change: Callable[[Any], None] = lambda _: None) -> Path:
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float32), ("units", np.int32)):
            column = file.create_dataset(f"spikes/{name}", (n,), dtype=h5py.vlen_dtype(kind))
            for row in range(n):
                column[row] = np.array([0.1, 0.2]) if name == "times" else np.array([1, 2])
        file["labels"] = np.arange(n)
        change(file)
    return path


def put(name: str, value: Any, **how: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file.create_dataset(name, data=value, **how)
        elif how:
            file.create_dataset(name, **how)

    return change


def link(name: str, target: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file[name] = target

    return change


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "labels of 2^62": (put("labels", None, shape=(1 << 62,), dtype="u1", chunks=(1024,)), "labels|bytes"),
    "a label of 2^62": (put("labels", np.array([0, 1, 1 << 62])), "labels: allowed are whole numbers below 10000"),
    "text labels": (put("labels", np.array([b"a", b"b", b"c"])), "labels: allowed is one dimension of num"),
    "float labels": (put("labels", np.array([0.0, 1.0, 2.0])), "labels: allowed is one dimension of num"),
    "scalar labels": (put("labels", 3), "labels: allowed is one dimension of num"),
    "table of labels": (put("labels", np.zeros((3, 3), int)), "labels: allowed is one dimension of num"),
    "labels group": (lambda f: (f.__delitem__("labels"), f.create_group("labels"))[0], "allowed is a data set"),
    "complex times": (put("spikes/times", np.zeros(3, complex)), "spikes/times: allowed is one dimension of lists"),
    "table of times": (put("spikes/times", np.zeros((3, 2))), "spikes/times: allowed is one dimension of lists"),
    "times of numbers": (put("spikes/times", np.zeros(3)), "spikes/times: allowed is one dimension of lists"),
    "times of text": (put("spikes/times", np.array([b"a"] * 3)), "spikes/times: allowed is one dimension of lists"),
    "empty": (put("labels", h5py.Empty("i4")), "labels: allowed is one dimension of num"),
    "references": (
        put("labels", None, shape=(3,), dtype=h5py.ref_dtype),
        "labels: allowed is one dimension of num",
    ),
    "records": (put("labels", np.zeros(3, [("a", int)])), "labels: allowed is one dimension of num"),
    "speakers too few": (put("extra/speaker", np.zeros(2, int)), "extra/speaker: allowed is one for each of 3"),
    "keys of numbers": (put("extra/keys", np.zeros(3)), "extra/keys: allowed is one dimension of text"),
    "keys twice": (put("extra/keys", np.array([b"a", b"a", b"b"])), "extra/keys: allowed is another name"),
    "soft link": (link("labels", h5py.SoftLink("/spikes")), "labels: allowed are numbers of the file"),
    "external link": (
        link("labels", h5py.ExternalLink("/etc/x.h5", "/y")),
        "labels: allowed are numbers of the file",
    ),
    "external group": (
        link("spikes", h5py.ExternalLink("x.h5", "/")),
        "spikes/times: allowed are numbers of the file",
    ),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_hdf5_of_another_shape_is_one_sentence(tmp_path: Path, name: str) -> None:
    change, text = CHANGES[name]
    path = shd(tmp_path / "s.h5", change=change)
    (problem,) = problems_of(lambda: load_spikes_hdf5(path))
    assert problem.startswith(f"{path}: ")
    assert any(piece in problem for piece in text.split("|"))


def test_hdf5_does_not_read_other_files_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(3)))
    outside = put("labels", None, shape=(3,), dtype="u1", external=[(str(tmp_path / "secret"), 0, 3)])
    path = shd(tmp_path / "s.h5", change=outside)
    assert (
        "labels: allowed are numbers of the file itself (got the name of another file)"
        in problems_of(lambda: load_spikes_hdf5(path))[0]
    )
    other = shd(tmp_path / "other.h5")
    layout = h5py.VirtualLayout((3,), "i8")
    layout[:] = h5py.VirtualSource(str(other), "labels", (3,))

    def virtual(file: Any) -> None:
        del file["labels"]
        file.create_virtual_dataset("labels", layout)

    path = shd(tmp_path / "v.h5", change=virtual)
    assert "got the name of another file" in problems_of(lambda: load_spikes_hdf5(path))[0]


def test_bytes_of_hdf5_changed_at_random_are_recordings_or_one_sentence(tmp_path: Path) -> None:
    whole, draw = shd(tmp_path / "s.h5").read_bytes(), np.random.default_rng(0)
    path = tmp_path / "r.h5"
    for _ in range(60):
        data = bytearray(whole[: draw.integers(200, len(whole))] if draw.random() < 0.3 else whole)
        for at in draw.integers(0, len(data), 4):
            data[at] = draw.integers(256)
        path.write_bytes(bytes(data))
        with contextlib.suppress(InputError):
            assert isinstance(load_spikes_hdf5(path), Recordings)


def test_a_share_of_no_part_is_noted(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        shd(tmp_path / f"ssc_{part}.h5")
    found = load_spikes_hdf5(tmp_path)
    assert sorted(found.parts.tolist()) == [""] * 3 + ["test"] * 3 + ["train"] * 3
    assert found.notes[0].startswith("3 of 9 recordings belong neither to the training nor to the test part")
    (tmp_path / "ssc_valid.h5").unlink()
    assert not any("neither" in note for note in load_spikes_hdf5(tmp_path).notes)


@pytest.mark.parametrize(
    ("shape", "pixels", "text"),
    [
        ((0, 8, 8), b"", "allowed are pictures of 2 to 512 pixels a side, at least one (got 0 x 8 x 8)"),
        ((4, 0, 0), b"", "allowed are pictures of 2 to 512 pixels a side, at least one (got 4 x 0 x 0)"),
        ((1 << 31, 1 << 31, 4), b"", "a truncated idx file: its header promises 18446744073709551616 bytes (got 0)"),
        ((1, 1, 2_000_000), bytes(2_000_000), "allowed are pictures of 2 to 512 pixels a side"),
    ],
)
def test_idx_of_no_pictures_or_of_impossible_ones_is_one_sentence(
    tmp_path: Path, shape: tuple[int, ...], pixels: bytes, text: str
) -> None:
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(struct.pack(">4I", 2051, *shape) + pixels)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 0))
    assert problems_of(lambda: load_idx(tmp_path))[0].startswith(f"{images}: {text}")


def test_links_that_lead_up_and_users_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nmnist").symlink_to(tmp_path)
    assert problems_of(lambda: locate(tmp_path, "--data", "vision"))[0].startswith(f"--data: {tmp_path}")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert "a link that leads to itself" in problems_of(lambda: locate(tmp_path / "self", "--data", "vision"))[0]
    monkeypatch.setenv("MHO_DATA", "~nosuchuser/data")
    assert "a user of this machine after ~" in problems_of(lambda: find_events("vision", rng=RNG))[0]
    os.mkfifo(tmp_path / "pipe.csv")
    assert "(got a named pipe)" in problems_of(lambda: load_spikes_csv(tmp_path / "pipe.csv"))[0]
    assert "(got a named pipe)" in problems_of(lambda: find_events("vision", tmp_path / "pipe.csv", rng=RNG))[0]
