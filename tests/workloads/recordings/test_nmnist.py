"""Event files of 5 bytes an event: the recordings at hand, what archives give, and every way to be wrong."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from devices import InputError
from tests.workloads.recordings.written import lay
from workloads.lsm.binning import NMNIST_BINNING, binned
from workloads.recordings.nmnist import load_nmnist

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "nmnist" / "nmnist.tar.xz"
needs_real = pytest.mark.skipif(not REAL.is_file(), reason="../shared/data/nmnist is not here")


def encode(x: np.ndarray, y: np.ndarray, polarity: np.ndarray, ticks: np.ndarray) -> bytes:
    out = np.empty((len(x), 5), np.uint8)
    out[:, 0], out[:, 1] = x, y
    out[:, 2] = polarity << 7 | ticks >> 16
    out[:, 3], out[:, 4] = ticks >> 8 & 0xFF, ticks & 0xFF
    return out.tobytes()


def events(seed: int, count: int = 50) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(seed)
    return (
        draw.integers(0, 34, count),
        draw.integers(0, 34, count),
        draw.integers(0, 2, count),
        np.sort(draw.integers(0, 300_000, count)),
    )


def files() -> dict[str, bytes]:
    names = [(part, digit, number) for part in ("Train", "Test") for digit in (0, 3, 9) for number in (1, 2)]
    return {f"{p}/{d}/{n:05d}.bin": encode(*events(hash((p == "Test", d, n)) % 97)) for p, d, n in names}


def pack(path: Path, content: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def told(call: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


@needs_real
def test_recordings_at_hand_are_what_their_source_page_states() -> None:
    found = load_nmnist(REAL)
    assert len(found) == 880
    assert [(found.parts == part).sum() for part in ("train", "test")] == [801, 79]
    train = found.select(found.parts == "train")
    assert list(train.counts.values()) == [78, 93, 79, 74, 84, 74, 75, 94, 70, 80]
    assert (found.events.min(), found.events.max(), round(found.events.mean())) == (1069, 7152, 4119)
    assert (round(found.duration_s.min(), 3), round(found.duration_s.max(), 3)) == (0.297, 0.315)
    assert found.notes == ()
    # One recording by the lines of the data's own page.
    with tarfile.open(REAL) as archive:
        member = archive.extractfile(found.names[5])
        assert member is not None
        r = np.frombuffer(member.read(), np.uint8).astype(np.int64)
    one = found.select([5])
    np.testing.assert_array_equal(one.x, r[0::5])
    np.testing.assert_array_equal(one.y, r[1::5])
    np.testing.assert_array_equal(one.polarity, r[2::5] >> 7)
    np.testing.assert_array_equal(one.ticks, (r[2::5] << 16 | r[3::5] << 8 | r[4::5]) & 0x7FFFFF)
    spikes = binned(found, NMNIST_BINNING)
    assert spikes.rate == pytest.approx(0.0861, abs=5e-5)
    assert spikes.seen == pytest.approx(0.3536, abs=5e-5)


@pytest.mark.parametrize("name", ["n.tar.xz", "n.tar.gz", "n.zip"])
def test_an_archive_gives_the_same_bits_as_the_folder(tmp_path: Path, name: str) -> None:
    folder = load_nmnist(lay(tmp_path / "folder", files()))
    packed = load_nmnist(pack(tmp_path / name, dict(reversed(files().items()))))
    assert packed.digest == folder.digest
    assert folder.names[0] == "Test/0/00001.bin"
    assert folder.labels == tuple("0123456789")
    assert folder.counts == {**dict.fromkeys("0123456789", 0), "0": 4, "3": 4, "9": 4}
    x, y, polarity, ticks = events(hash((True, 0, 1)) % 97)
    np.testing.assert_array_equal(folder.select([0]).x, x)
    np.testing.assert_array_equal(folder.select([0]).y, y)
    np.testing.assert_array_equal(folder.select([0]).polarity, polarity)
    np.testing.assert_array_equal(folder.select([0]).ticks, ticks)


def test_decoding_in_blocks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path / "folder", files())
    whole = load_nmnist(folder).digest
    monkeypatch.setattr("workloads.recordings.nmnist._BLOCK_BYTES", 600)
    assert load_nmnist(folder).digest == whole


def test_a_clock_that_overflows_delays_what_comes_after(tmp_path: Path) -> None:
    x = np.array([1, 0, 2, 0, 3])
    y = np.array([1, 240, 2, 240, 3])
    ticks = np.array([100, 0, 50, 0, 60])
    content = {"a/1.bin": encode(x, y, x * 0, ticks), "a/2.bin": encode(*events(1)), "b/1.bin": encode(*events(2))}
    found = load_nmnist(lay(tmp_path / "d", content))
    assert found.labels == ("a", "b")
    assert found.select([0]).ticks.tolist() == [100, 50 + (1 << 13), 60 + (2 << 13)]
    assert found.select([0]).x.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(found.select([1]).ticks, events(1)[3])


def test_neighbours_out_of_order_are_sorted_and_noted(tmp_path: Path) -> None:
    x = np.array([1, 2, 3])
    content = {"0/1.bin": encode(x, x, x * 0, np.array([500, 100, 600])), "0/2.bin": encode(*events(3))}
    found = load_nmnist(lay(tmp_path / "d", content))
    assert found.select([0]).ticks.tolist() == [100, 500, 600]
    assert found.select([0]).x.tolist() == [2, 1, 3]
    assert found.notes == ("1 recordings had events up to 1000 us out of order; they were sorted.",)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (encode(*events(0))[:-2], "a truncated event file: allowed is a multiple of 5 bytes, got 248"),
        (b"", "has no event"),
        (
            encode(np.array([3, 40]), np.array([3, 3]), np.array([0, 0]), np.array([1, 2])),
            "event 1: allowed are pixels of a 34 x 34 sensor (got x = 40, y = 3)",
        ),
        (
            encode(np.array([3, 3, 3]), np.array([3, 34, 99]), np.array([0, 1, 0]), np.array([1, 2, 3])),
            "event 1: allowed are pixels of a 34 x 34 sensor (got x = 3, y = 34)",
        ),
        (
            encode(*[np.array([3, 3, 3])] * 2, np.array([0, 0, 1]), np.array([100, 90_000, 2_000])),
            "event 2: allowed are times that run back by at most 1000 us (got 2000 us after 90000 us)",
        ),
    ],
)
def test_a_corrupt_file_is_named_and_refused(tmp_path: Path, data: bytes, text: str) -> None:
    folder = lay(tmp_path / "d", {**files(), "Train/3/00002.bin": data})
    assert told(lambda: load_nmnist(folder)) == (f"{folder / 'Train/3/00002.bin'}: {text}",)
    archive = pack(tmp_path / "d.tar.xz", {**files(), "Train/3/00002.bin": data})
    assert told(lambda: load_nmnist(archive)) == (f"{archive}:Train/3/00002.bin: {text}",)


def test_many_corrupt_files_are_ten_names_and_a_count(tmp_path: Path) -> None:
    folder = lay(tmp_path / "d", {f"1/{number:02d}.bin": b"123" for number in range(14)})
    problems = told(lambda: load_nmnist(folder))
    assert len(problems) == 11
    assert problems[-1] == f"{folder}: 4 more files are bad in such ways"


def test_what_is_no_set_of_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (text,) = told(lambda: load_nmnist(tmp_path / "empty"))
    assert text.startswith(f"{tmp_path / 'empty'}: has no event file; allowed: [Train|Test]/CLASS/*.bin in a folder")
    loose = lay(tmp_path / "loose", {"1.bin": encode(*events(0))})
    assert told(lambda: load_nmnist(loose)) == ("loose: allowed is a folder for each class (got event files in none)",)
    cut = pack(tmp_path / "n.tar.xz", files())
    cut.write_bytes(cut.read_bytes()[:-40])
    assert "the archive is damaged or cut off" in told(lambda: load_nmnist(cut))[0]
    twice = pack(tmp_path / "t.tar.gz", {"1/1.bin": encode(*events(0)), "x/1/1.bin": encode(*events(0))})
    assert told(lambda: load_nmnist(twice)) == ("t.tar.gz: allowed is one file of each name (got '1/1.bin' twice)",)
