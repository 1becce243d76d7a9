"""The files of a data set, one after another, from a folder or straight out of an archive that is never unpacked.

Archives come from strangers: a member that points outside (``../``, an absolute path), a link, a sparse file or a
device gets the whole archive refused, by name, before anything is made of its content. An archive may unpack to a
hundred times its size (recordings pack to a half or a tenth; 256 MiB at least), and at most to
``LARGEST_UNPACKED_BYTES``; the environment's ``MHO_LARGEST_FILE`` replaces both limits, and that on a member.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from configs.bounded import (
    LimitedStream,
    check_regular,
    largest_bytes,
    largest_unpacked,
    one_sentence,
    printable,
    read_file,
    too_large,
    unpacking,
)
from configs.errors import InputError

TRAIN, TEST = "train", "test"
PROBLEMS_SHOWN = 10
LARGEST_MEMBER_BYTES = 64 << 20
LARGEST_UNPACKED_BYTES = 16 << 30
MOST_FILES = 1_000_000
ALLOWED = "a folder, .tar.xz, .tar.gz, .tar.bz2, .tar or .zip"
ENDINGS = (".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar", ".zip")
_DAMAGED = "the archive is damaged or cut off"


@dataclass(frozen=True)
class Member:
    """One file: its path inside the data set, how to name it in a message, and its bytes (read while it is current).

    ``read`` raises ``InputError`` for a file that is too large, damaged, or no regular file.
    """

    path: PurePosixPath
    where: str
    read: Callable[[], bytes]


def shortened(problems: Sequence[str], source: object, what: str = "files") -> list[str]:
    """The first problems of a set's files, and how many more there are."""
    more = len(problems) - PROBLEMS_SHOWN
    rest = f"{printable(str(source))}: {more} more {what} are bad in such ways"
    return [*problems[:PROBLEMS_SHOWN], *([rest] if more > 0 else [])]


def members_by_class(
    source: Path, endings: Collection[str], *, largest: int = LARGEST_MEMBER_BYTES
) -> Iterator[tuple[Member, tuple[str, ...]]]:
    """Every file with one of these endings, and the parts of its path; hidden files are left out.

    A folder may have its parts (``train``, ``test``) as folders or as an archive each, such as ``Train.zip`` beside
    ``Test.zip``: these come before the class, and files are looked for in them.
    """
    parts = parts_in(source)
    for folder in parts or [source]:
        for member in members(folder, largest=largest):
            if member.path.suffix.lower() in endings and not member.path.name.startswith("."):
                before = (printable(folder.name.split(".")[0]),) if parts else ()
                yield member, (*before, *member.path.parts)


def parts_in(source: Path) -> list[Path]:
    """The folders or archives in a folder that are the parts of a data set by their names."""
    if not os.path.isdir(source):
        return []
    with one_sentence(printable(str(source)), "a folder that can be read"):
        named = [path for path in sorted(source.glob("*")) if path.name.lower().split(".")[0] in (TRAIN, TEST)]
        return [path for path in named if path.is_dir() or (path.is_file() and path.name.lower().endswith(ENDINGS))]


def stated_bytes(source: Path, endings: Collection[str]) -> int:
    """Bytes of a folder's files with these endings, as the file system states them before anything is read.

    0 for an archive: what it unpacks to has a limit of its own.
    """
    folders = [folder for folder in parts_in(source) or [source] if os.path.isdir(folder)]
    with one_sentence(printable(str(source)), "a folder that can be read"):
        paths = [path for folder in folders for path in [*folder.glob("*"), *folder.glob("*/*")]]
        return sum(path.stat().st_size for path in paths if path.suffix.lower() in endings and os.path.isfile(path))


def part_class_and_name(path: tuple[str, ...]) -> tuple[str, str, str]:
    """Part, class and name of a recording from its path; the first two are empty where the path has none."""
    part = path[-3].lower() if len(path) > 2 and path[-3].lower() in (TRAIN, TEST) else ""
    label = path[-2] if len(path) > 1 else ""
    return part, label, "/".join(path[-3 if part else -2 :])


def members(source: Path, *, largest: int = LARGEST_MEMBER_BYTES) -> Iterator[Member]:
    """Every file of a folder (two levels deep) or of an archive, in the order of the archive.

    An archive is recognised by its first bytes, not by its name; ``largest`` is the limit on one of its members
    [bytes]. Raises ``InputError`` for a missing or foreign file, a damaged archive and an unsafe member.
    """
    if os.path.isdir(source):  # unlike Path.is_dir, never raises
        yield from _folder(source)
        return
    name = printable(str(source))
    try:
        size = check_regular(source).st_size
    except InputError as error:
        raise InputError(f"{error}; allowed: {ALLOWED}") from None
    limit = largest_unpacked(size, LARGEST_UNPACKED_BYTES)
    with one_sentence(name, "cannot be read"):
        file = source.open("rb")
    with file:
        with one_sentence(name, "cannot be read"):
            head = file.read(512)
            file.seek(0)
            stream = unpacking(file)
        if head.startswith(b"PK"):
            yield from _zip(source, file, largest, limit)
        elif stream is not None or head[257:262] == b"ustar":
            limited = LimitedStream(stream or file, f"{name}, all of it", most=limit)
            yield from _tar(source, cast(IO[bytes], limited), largest, limit)
        else:
            raise InputError(f"{name}: not an archive; allowed: {ALLOWED} (got first bytes {head[:6]!r})")


def _folder(source: Path) -> Iterator[Member]:
    with one_sentence(printable(str(source)), "a folder that can be read"):
        paths = [path for path in sorted([*source.glob("*"), *source.glob("*/*")]) if not os.path.isdir(path)]
    _check_count(source, len(paths))
    for path in paths:
        yield Member(_path(source, path.relative_to(source).as_posix()), printable(str(path)), _opener(path))


def _opener(path: Path) -> Callable[[], bytes]:
    return lambda: read_file(path)


def _tar(source: Path, stream: IO[bytes], largest: int, limit: int) -> Iterator[Member]:
    name = printable(str(source))
    with one_sentence(name, _DAMAGED):
        archive = tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18)  # noqa: SIM115
    with archive:
        count = 0
        while True:
            with one_sentence(name, _DAMAGED):
                info = archive.next()
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps every header for its whole life
            if info is None:
                break
            count += 1
            _check_count(source, count)
            _check_inside(source, info.name)
            if info.size > limit:
                raise too_large(f"{name}, all of it", limit, info.size)
            if info.isdir():
                continue
            if not info.isfile() or info.issparse():
                kind = "link" if info.issym() or info.islnk() else "sparse file" if info.issparse() else "device"
                raise InputError(f"{name}: member {printable(info.name)!r} is a {kind}; the archive is refused")
            yield Member(
                _path(source, info.name), f"{name}:{printable(info.name)}", _tar_reader(source, archive, info, largest)
            )
    with one_sentence(name, _DAMAGED):
        while stream.read(1 << 18):  # to the end, where a cut-off compressed stream shows
            pass


def _tar_reader(source: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, largest: int) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_size(source, info.name, info.size, largest)
        with one_sentence(printable(str(source)), _DAMAGED):
            file = archive.extractfile(info)
            return file.read() if file else b""

    return read


def _zip(source: Path, file: IO[bytes], largest: int, limit: int) -> Iterator[Member]:
    name = printable(str(source))
    with one_sentence(name, _DAMAGED):
        archive = zipfile.ZipFile(file)
    infos = archive.infolist()
    _check_count(source, len(infos))
    paths = []
    for info in infos:
        # Some programs for Windows write backslashes, against the format's rule.
        inside = info.filename.replace("\\", "/")
        folder = inside.endswith("/")
        _check_inside(source, info.filename)
        paths.append(None if folder else _path(source, inside))
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "link" if stat.S_ISLNK(mode) else "device"
            raise InputError(f"{name}: member {printable(info.filename)!r} is a {kind}; the archive is refused")
    total = sum(info.file_size for info in infos)
    if total > limit:
        raise too_large(f"{name}, all of it", limit, total)

    def reader(info: zipfile.ZipInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            _check_size(source, info.filename, info.file_size, largest)
            with one_sentence(name, _DAMAGED):
                data = archive.read(info)
            if len(data) != info.file_size:
                raise InputError(f"{name}: {_DAMAGED} (a member of {len(data)} bytes, of which it states another size)")
            return data

        return read

    with archive:
        for info, path in zip(infos, paths, strict=True):
            if path is not None:
                yield Member(path, f"{name}:{printable(info.filename)}", reader(info))


def _path(source: Path, name: str) -> PurePosixPath:
    """A path inside a data set, of names that reports can show: what is not UTF-8 is written as an escape."""
    path = PurePosixPath(printable(name))
    if not path.name:
        raise InputError(f"{printable(str(source))}: a member has no name; the archive is refused")
    return path


def _check_inside(source: Path, name: str) -> None:
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root or ".." in windows.parts:
        where = f"{printable(str(source))}: member {printable(name)!r}"
        raise InputError(f"{where} points outside of the archive; the archive is refused")


def _check_size(source: Path, name: str, size_bytes: int, largest: int) -> None:
    if size_bytes > largest_bytes(largest):
        raise too_large(f"{printable(str(source))}: member {printable(name)!r}", largest_bytes(largest), size_bytes)


def _check_count(source: Path, count: int) -> None:
    if count > MOST_FILES:
        raise InputError(f"{printable(str(source))}: at most {MOST_FILES:,} files (got {count:,} or more)")


def check_exists(path: Path, where: str, allowed: str) -> None:
    """Raise InputError with ``where`` it was named and what is allowed, unless there is a file or folder."""
    if not os.path.exists(path):
        what = "a link that leads to itself or to nothing" if os.path.islink(path) else "no such file or folder"
        raise InputError(f"{where}: {what}; allowed: {allowed}")
