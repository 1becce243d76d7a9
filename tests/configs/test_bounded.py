"""Files within limits: what is no regular file, what is too large, and what unpacks to more than a file may have."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from configs.bounded import (
    LimitedStream,
    check_regular,
    expanded,
    one_sentence,
    printable,
    read_file,
    read_unpacked,
    unpacked,
    unpacking,
)
from configs.errors import InputError

PACKERS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


def test_a_regular_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"1 2\n")
    (tmp_path / "link").symlink_to(file)
    assert read_file(file) == read_file(tmp_path / "link") == read_unpacked(file) == b"1 2\n"


@pytest.mark.parametrize("pack", PACKERS.values(), ids=list(PACKERS))
def test_packed_files_are_recognised_by_their_first_bytes(pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    file = tmp_path / "a.txt"
    file.write_bytes(pack(b"1 2\n" * 1000))
    assert read_unpacked(file) == b"1 2\n" * 1000


@pytest.mark.parametrize("pack", PACKERS.values(), ids=list(PACKERS))
def test_what_unpacks_to_more_than_allowed_is_refused_before_it_is_unpacked(pack: object) -> None:
    assert callable(pack)
    with pytest.raises(InputError, match=r"^bomb: at most 1,000 bytes, unpacked \(got more\)"):
        unpacked(pack(bytes(1 << 22)), "bomb", most=1000)


def test_packed_data_cut_short_names_the_line_up_to_which_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.gz"
    text = b"".join(b"%d %d\n" % (n, n * n) for n in range(200_000))
    file.write_bytes(gzip.compress(text)[:-2000])
    with pytest.raises(InputError, match=r"a\.gz:\d{4,}: whole packed data"):
        read_unpacked(file)


def test_pipes_folders_devices_and_loops_are_one_sentence_each(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, text in (
        ("pipe", "a named pipe"),
        (".", "a folder"),
        ("loop", "leads to itself"),
        ("no", "no such file"),
    ):
        with pytest.raises(InputError, match=text):
            read_file(tmp_path / name)
    with pytest.raises(InputError, match=r"must be a regular file \(got a device"):
        check_regular("/dev/zero")
    with pytest.raises(InputError, match="a name that the file system can take"):
        read_file("a\0b")


def test_a_file_larger_than_allowed_names_the_limit_and_how_to_raise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(bytes(2000))
    with pytest.raises(InputError, match=r"at most 1,999 bytes, unpacked \(got 2,000\); .* MHO_LARGEST_FILE"):
        read_file(file, most=1999)
    monkeypatch.setenv("MHO_LARGEST_FILE", "2000")
    assert len(read_file(file, most=1999)) == 2000
    for wrong in ("0", "many", "-1", "9" * 30):
        monkeypatch.setenv("MHO_LARGEST_FILE", wrong)
        with pytest.raises(InputError, match="MHO_LARGEST_FILE: a number of bytes"):
            read_file(file)


def test_an_archive_is_read_through_a_limited_stream() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("zeros")
        info.size = 1 << 22
        archive.addfile(info, io.BytesIO(bytes(1 << 22)))
    for most, whole in ((1 << 23, True), (1 << 20, False)):
        packed.seek(0)
        stream = LimitedStream(gzip.GzipFile(fileobj=packed), "a.tar.gz", most=most)  # type: ignore[arg-type]
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
            if whole:
                assert [member.name for member in archive] == ["zeros"]
            else:
                with pytest.raises(InputError, match="at most 1,048,576 bytes"):
                    list(archive)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=list(PACKERS))
def test_a_stream_is_unpacked_as_its_first_bytes_say(pack: object) -> None:
    assert callable(pack)
    stream = unpacking(io.BytesIO(pack(b"abc" * 100)))
    assert stream is not None
    assert stream.read() == b"abc" * 100
    assert unpacking(io.BytesIO(b"abc")) is None


@pytest.mark.parametrize("error", [KeyError("k"), struct.error("s"), OverflowError("o"), zipfile.BadZipFile("z")])
def test_whatever_a_library_raises_is_one_sentence(error: Exception) -> None:
    with (
        pytest.raises(InputError, match=rf"^f\.h5: damaged \({type(error).__name__}: "),
        one_sentence("f.h5", "damaged"),
    ):
        raise error
    with pytest.raises(InputError, match=r"^as it was$"), one_sentence("f.h5", "damaged"):
        raise InputError("as it was")
    with pytest.raises(MemoryError), one_sentence("f.h5", "damaged"):
        raise MemoryError


def test_a_home_folder_of_nobody_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^~nosuchuser/d: a user of this machine after ~ "):
        expanded("~nosuchuser/d")
    assert expanded("~/d") == Path.home() / "d"
    assert expanded("d") == Path("d")


def test_names_that_cannot_be_printed_are_written_as_escapes() -> None:
    assert printable("übung α.wav") == "übung α.wav"
    assert printable(os.fsdecode(b"caf\xe9")) == r"caf\udce9"
    assert printable("a\nb\u202ec") == r"a\nb\u202ec"
    assert printable(os.fsdecode(b"caf\xe9")).encode()
