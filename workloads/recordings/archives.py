"""The files of a data set, one after another, from a folder or straight out of an archive that is never unpacked.

Archives come from strangers: a member that points outside (``../``, an absolute path), a link or a device gets the
whole archive refused, by name, before anything is made of its content.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from configs.errors import InputError

TRAIN, TEST = "train", "test"
PROBLEMS_SHOWN = 10
LARGEST_MEMBER_BYTES = 64 << 20
ALLOWED = "a folder, .tar.xz, .tar.gz, .tar or .zip"
_DAMAGE = (
    EOFError,
    OSError,
    lzma.LZMAError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    RuntimeError,
)


@dataclass(frozen=True)
class Member:
    """One file: its path inside the data set, how to name it in a message, and its bytes (read while it is current)."""

    path: PurePosixPath
    where: str
    read: Callable[[], bytes]


def shortened(problems: Sequence[str], source: object, what: str = "files") -> list[str]:
    """The first problems of a set's files, and how many more there are."""
    more = len(problems) - PROBLEMS_SHOWN
    return [*problems[:PROBLEMS_SHOWN], *([f"{source}: {more} more {what} are bad in such ways"] if more > 0 else [])]


def members_by_class(source: Path, ending: str) -> Iterator[tuple[Member, tuple[str, ...]]]:
    """Every file of an ending with the parts of its path; where there are folders ``train`` and ``test``, those come
    before the class, and files are looked for one level deeper."""
    parts = [path for path in sorted(source.glob("*")) if path.name.lower() in (TRAIN, TEST) and path.is_dir()]
    for folder in parts or [source]:
        for member in members(folder):
            if member.path.suffix.lower() == ending and not member.path.name.startswith("."):
                yield member, (*((folder.name,) if parts else ()), *member.path.parts)


def part_class_and_name(path: tuple[str, ...]) -> tuple[str, str, str]:
    """Part, class and name of a recording from its path; the first two are empty where the path has none."""
    part = path[-3].lower() if len(path) > 2 and path[-3].lower() in (TRAIN, TEST) else ""
    label = path[-2] if len(path) > 1 else ""
    return part, label, "/".join(path[-3 if part else -2 :])


def members(source: Path) -> Iterator[Member]:
    """Every regular file of a folder (two levels deep) or of an archive, in the order of the archive.

    An archive is recognised by its first bytes, not by its name. Raises ``InputError`` for a missing or foreign file, a
    damaged archive and an unsafe member. An ``OSError`` of ``read`` in a folder concerns that one file.
    """
    if source.is_dir():
        yield from _folder(source)
        return
    try:
        with source.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file or folder; allowed: {ALLOWED}") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
    if head.startswith(b"PK"):
        yield from _zip(source)
    elif head.startswith(b"\xfd7zXZ\x00"):
        with lzma.open(source) as stream:
            yield from _tar(source, stream)
    elif head.startswith(b"\x1f\x8b"):
        with gzip.open(source) as stream:
            yield from _tar(source, cast(IO[bytes], stream))
    elif head[257:262] == b"ustar":
        with source.open("rb") as plain:
            yield from _tar(source, plain)
    else:
        raise InputError(f"{source}: not an archive; allowed: {ALLOWED} (got first bytes {head[:6]!r})")


def _folder(source: Path) -> Iterator[Member]:
    for path in sorted([*source.glob("*"), *source.glob("*/*")]):
        if not path.is_dir():
            yield Member(
                PurePosixPath(path.relative_to(source).as_posix()),
                str(path),
                path.read_bytes,
            )


def _tar(source: Path, stream: IO[bytes]) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as archive:
            for info in archive:
                path = _safe(source, info.name)
                if info.isdir():
                    continue
                if not info.isfile():
                    kind = "link" if info.issym() or info.islnk() else "device"
                    raise InputError(f"{source}: member {info.name!r} is a {kind}; the archive is refused")
                yield Member(
                    path,
                    f"{source}:{info.name}",
                    _reader(source, info.name, info.size, archive, info),
                )
        while stream.read(1 << 18):  # to the end, where a cut-off compressed stream shows
            pass
    except _DAMAGE as error:
        raise _damaged(source, error) from None


def _reader(source: Path, name: str, size: int, archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_size(source, name, size)
        file = archive.extractfile(info)
        try:
            return file.read() if file else b""
        except _DAMAGE as error:
            raise _damaged(source, error) from None

    return read


def _zip(source: Path) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            for info in infos:
                _safe(source, info.filename)
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    kind = "link" if stat.S_ISLNK(mode) else "device"
                    raise InputError(f"{source}: member {info.filename!r} is a {kind}; the archive is refused")

            def reader(info: zipfile.ZipInfo) -> Callable[[], bytes]:
                def read() -> bytes:
                    _check_size(source, info.filename, info.file_size)
                    try:
                        return archive.read(info)
                    except _DAMAGE as error:
                        raise _damaged(source, error) from None

                return read

            for info in infos:
                if not info.is_dir():
                    yield Member(
                        PurePosixPath(info.filename),
                        f"{source}:{info.filename}",
                        reader(info),
                    )
    except _DAMAGE as error:
        raise _damaged(source, error) from None


def _safe(source: Path, name: str) -> PurePosixPath:
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root or ".." in windows.parts:
        raise InputError(f"{source}: member {name!r} points outside of the archive; the archive is refused")
    return PurePosixPath(name)


def _check_size(source: Path, name: str, size_bytes: int) -> None:
    if size_bytes > LARGEST_MEMBER_BYTES:
        allowed = f"at most {LARGEST_MEMBER_BYTES >> 20} MiB"
        raise InputError(f"{source}: member {name!r}: {allowed} are allowed (got {size_bytes >> 20} MiB)")


def _damaged(source: Path, error: Exception) -> InputError:
    return InputError(f"{source}: the archive is damaged or cut off ({type(error).__name__}: {error})")
