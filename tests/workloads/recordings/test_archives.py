"""Archives from strangers: nothing unpacks without end, nothing points outside, and every name can be printed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.errors import InputError
from workloads.recordings.archives import members, members_by_class


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return "\n".join(caught.value.problems)


def header(name: bytes, size: int, kind: bytes = b"0", data: bytes = b"") -> bytes:
    """One tar member, by hand."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148] = b"%011o\0" % size, b"00000000000\0"
    block[156:157], block[257:265], block[148:156] = kind, b"ustar\x0000", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + b"\0" * (-len(data) % 512)


def read_all(path: Path) -> dict[str, bytes]:
    return {str(member.path): member.read() for member in members(path)}


def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    """A tar of 40 members of 63 MiB of zeros, of which one packed megabyte is repeated."""
    name, zeros = header(b"other/a_nohash_0.wav", 63 << 20), pack(bytes(63 << 20))
    return b"".join(pack(name) + zeros for _ in range(40))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress], ids=["gzip", "bzip2"])
def test_a_bomb_is_refused_while_it_unpacks(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "bomb.tar"
    path.write_bytes(bomb(pack))
    start = time.monotonic()
    assert "bomb.tar, all of it: at most" in message_of(lambda: [member.path for member in members(path)])
    assert time.monotonic() - start < 20.0


def test_the_limit_on_an_archive_follows_its_size_and_a_setting_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for number in range(4):
            info = tarfile.TarInfo(f"{number}.wav")
            info.size = 1 << 20
            archive.addfile(info, io.BytesIO(bytes(1 << 20)))
    assert len(read_all(path)) == 4
    monkeypatch.setenv("MHO_LARGEST_FILE", str(3 << 20))
    assert "all of it: at most 3,145,728 bytes" in message_of(lambda: read_all(path))
    monkeypatch.setenv("MHO_LARGEST_FILE", str(8 << 20))
    assert len(read_all(path)) == 4


def test_a_zip_is_refused_by_its_directory_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("configs.bounded.SURE_BYTES", 64 << 20)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(12):
            archive.writestr(f"{number}.wav", bytes(8 << 20))
    assert "all of it: at most" in message_of(lambda: next(members(path)))


def test_backslashes_of_a_zip_are_folders(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Train\\0\\1.bin", b"12345")
        archive.writestr("Train\\1\\", b"")
    assert read_all(path) == {"Train/0/1.bin": b"12345"}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Train\\..\\..\\1.bin", b"12345")
    assert "points outside of the archive" in message_of(lambda: read_all(path))


@pytest.mark.parametrize(
    "data",
    [
        header(b"pax", 70, b"x", b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n30 GNU.sparse.realsize=99999\n")
        + header(b"0/a.bin", 5, data=b"x" * 5),
        header(b"pax", 24, b"x", b"24 GNU.sparse.map=0,a,b\n") + header(b"0/a.bin", 5, data=b"x" * 5),
        header(b"0/a.bin", 10, b"S", b"x" * 512),
        header(b"0/a.bin", 8 << 30),
        header(b"././@LongLink", 5, b"L", b"abcd\0") * 2000,
        header(b"0/a.bin", 5)[:300],
    ],
    ids=[
        "sparse major",
        "sparse map",
        "sparse type",
        "size beyond the file",
        "endless names",
        "half a header",
    ],
)
def test_headers_of_a_tar_that_are_not_so_are_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    assert message_of(lambda: read_all(path)).startswith(f"{path}")


def patched(data: bytes, local: int, central: int, value: int, form: str) -> bytes:
    out = bytearray(data)
    for mark, at in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        found = out.find(mark)
        struct.pack_into(form, out, found + at, value)
    return bytes(out)


@pytest.mark.parametrize(
    ("local", "central", "value", "form"),
    [(8, 10, 99, "<H"), (6, 8, 1, "<H"), (14, 16, 1, "<I"), (22, 24, 50_000_000, "<I")],
    ids=["unknown method", "encrypted", "checksum", "size"],
)
def test_a_damaged_zip_is_one_sentence(tmp_path: Path, local: int, central: int, value: int, form: str) -> None:
    path, stream = tmp_path / "a.zip", io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("0/1.bin", b"12345")
    path.write_bytes(patched(stream.getvalue(), local, central, value, form))
    assert message_of(lambda: read_all(path)).startswith(f"{path}: the archive is damaged or cut off (")


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for name in ("", "."):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"x")
        assert message_of(lambda: read_all(path)) == f"{path}: a member has no name; the archive is refused"


def test_names_that_are_not_utf8_can_be_printed_and_encoded(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "d") + b"/caf\xe9.bin")).write_bytes(b"1")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(os.fsdecode(os.fsencode(tmp_path / "d") + b"/caf\xe9.bin"), arcname=os.fsdecode(b"x/caf\xe9.bin"))
    for source, name in ((tmp_path / "d", r"caf\udce9.bin"), (tmp_path / "a.tar", r"x/caf\udce9.bin")):
        assert read_all(source) == {name: b"1"}
        assert all(member.where.encode() for member in members(source))


def test_pipes_devices_and_loops_in_a_folder_are_named_when_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bin")
    (tmp_path / "zero.bin").symlink_to("/dev/zero")
    (tmp_path / "loop.bin").symlink_to(tmp_path / "loop.bin")
    (tmp_path / "up").symlink_to(tmp_path)
    found = {member.path.name: member for member in members(tmp_path)}
    for name, text in (("pipe.bin", "a named pipe"), ("zero.bin", "a device"), ("loop.bin", "leads to itself")):
        assert text in message_of(found[name].read)
    assert "must be a regular file (got a named pipe)" in message_of(lambda: list(members(tmp_path / "pipe.bin")))
    assert "leads to itself" in message_of(lambda: list(members(tmp_path / "loop.bin")))


def test_parts_may_be_archives_beside_each_other(tmp_path: Path) -> None:
    for part, inner in (("Train", "Train/"), ("Test", "")):
        with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            archive.writestr(f"{inner}3/00001.bin", b"12345")
    found = {parts[-3:] for _, parts in members_by_class(tmp_path, (".bin",))}
    assert found == {("Train", "3", "00001.bin"), ("Test", "3", "00001.bin")}


@pytest.mark.parametrize("data", [b"", b"PK", b"\xfd7zXZ\0", b"\x1f\x8b", lzma.compress(b"no tar" * 999), b"BZh9"])
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar.xz"
    path.write_bytes(data)
    assert message_of(lambda: list(members(path))).startswith(f"{path}: ")
