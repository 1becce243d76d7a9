"""Files from users, read within limits: regular files only, and no more bytes than a plausible file has.

A data folder may hold a named pipe, on which reading never ends; a link may lead to itself; a few kilobytes of gzip may
unpack to gigabytes. Every reader of mho opens its files here, so that each of these is one sentence. The limits are
generous; what is packed may unpack to a hundred times its size (256 MiB at least). The environment variable
``MHO_LARGEST_FILE`` (bytes) replaces all of them.
"""

from __future__ import annotations

import bz2
import csv
import errno
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from configs.errors import InputError

VARIABLE = "MHO_LARGEST_FILE"
LARGEST_BYTES = 1 << 31
"""Of one file, as it is and unpacked [bytes]."""
SURE_BYTES, RATIO = 1 << 28, 100
"""What any packed file may unpack to [bytes], and beyond that, times its size: gzip of zeros reaches 1,000."""
DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error)
"""What the libraries raise for packed data that is damaged or cut short."""
FAULTS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    *(csv.Error, lzma.LZMAError, struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)
"""What libraries raise somewhere inside for a file that is not as its format says."""
_PIECE = 1 << 20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def largest_bytes(usual: int = LARGEST_BYTES) -> int:
    """The limit on one file [bytes]: ``usual``, or what ``MHO_LARGEST_FILE`` says.

    Raises InputError where that variable is not a whole number above 0.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return usual
    if not (given.isascii() and given.isdigit() and len(given) < 16 and int(given) > 0):
        raise InputError(f"{VARIABLE}: a number of bytes, at least 1 (got {given!r:.40})")
    return int(given)


def largest_unpacked(packed: int, usual: int = LARGEST_BYTES) -> int:
    """The limit on what ``packed`` bytes unpack to [bytes]: so many times as much, or ``MHO_LARGEST_FILE``."""
    return largest_bytes(min(usual, max(SURE_BYTES, RATIO * packed)))


def check_regular(path: Path | str) -> os.stat_result:
    """What the file system says of a regular file, links followed.

    Raises InputError for a missing file, a folder, a pipe, a device, a link that leads to itself, and a name that the
    file system cannot take.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r}: a name that the file system can take ({error})") from None
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise InputError(f"{path}: must be a regular file (got {name})")
    return found


def read_file(path: Path | str, *, most: int | None = None) -> bytes:
    """The content of a regular file of at most ``most`` bytes (``LARGEST_BYTES`` by default).

    Raises InputError as ``check_regular`` does, for a file that is larger, and for one that cannot be read.
    """
    limit = largest_bytes(LARGEST_BYTES if most is None else most)
    size = check_regular(path).st_size
    if size > limit:
        raise too_large(str(path), limit, size)
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from None
    if len(data) > limit:
        raise too_large(str(path), limit)
    return data


def read_unpacked(path: Path | str, *, most: int | None = None) -> bytes:
    """The same, with gzip, xz or bzip2 unpacked where the first bytes show it; ``most`` is the limit on what comes out.

    Raises InputError also for packed data that is damaged or cut short, with the line up to which it is whole.
    """
    return unpacked(read_file(path, most=most), str(path), most=most)


def unpacked(data: bytes, name: str, *, most: int | None = None) -> bytes:
    """``data`` unpacked, if it is gzip, xz or bzip2, within the limit; ``name`` is how messages call it."""
    stream = unpacking(io.BytesIO(data))
    if stream is None:
        return data
    most = largest_unpacked(len(data), LARGEST_BYTES if most is None else most)
    limited, parts = LimitedStream(stream, name, most=most), []
    try:
        while part := limited.read(_PIECE):
            parts.append(part)
    except DAMAGE as error:
        line = 1 + sum(part.count(b"\n") for part in parts)
        raise InputError(f"{name}:{line}: whole packed data (from this line on: {error})") from None
    return b"".join(parts)


def unpacking(file: IO[bytes]) -> IO[bytes] | None:
    """What unpacks ``file`` as it is read, chosen by its first bytes: gzip, xz or bzip2; None for none of them."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if head == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(file)
    return bz2.BZ2File(file) if head.startswith(b"BZh") else None


@contextmanager
def one_sentence(name: str, what: str) -> Iterator[None]:
    """Turns whatever a library raises for a file that is not as it should be into ``name: what (reason)``.

    Around a reader of one format; an InputError passes through as it is.
    """
    try:
        yield
    except InputError:
        raise
    except FAULTS as error:
        reason = " ".join(str(error).split())[:200] or "no reason given"
        raise InputError(f"{name}: {what} ({type(error).__name__}: {printable(reason)})") from error


def expanded(path: Path | str) -> Path:
    """A path with ``~`` and ``~user`` replaced by that home folder; InputError where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{printable(str(path))}: a user of this machine after ~ (this one has no home folder)"
        ) from None


def printable(name: str) -> str:
    """A file's name for tables and messages: what cannot be printed or is not UTF-8 is written as an escape."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def quoted(text: str, most: int = 120) -> str:
    """Text of a user's file within a message: no longer than ``most`` characters, escapes counted."""
    shown = printable(text[:most])
    return shown if len(shown) <= most and len(text) <= most else f"{shown[:most]} ..."


class LimitedStream(io.RawIOBase):
    """A stream that may give so many bytes and no more; ``tarfile`` and others read from it as from any file.

    Raises InputError where more is read.
    """

    def __init__(self, stream: IO[bytes], name: str, *, most: int | None = None) -> None:
        super().__init__()
        self.stream, self.name = stream, name
        self.limit = largest_bytes(LARGEST_BYTES if most is None else most)
        self.given = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes more, never more than the limit leaves."""
        left = self.limit - self.given + 1
        data = self.stream.read(left if size is None or size < 0 else min(size, left))
        self.given += len(data)
        if self.given > self.limit:
            raise too_large(self.name, self.limit)
        return data


def encodable(text: str) -> str:
    """``text`` with an escape for each byte of a file's name that is not UTF-8, which no file could take."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def too_large(name: str, limit: int, size: int | None = None) -> InputError:
    """The sentence for a file beyond the limit, and how to raise it."""
    got = "more" if size is None else f"{size:,}"
    return InputError(
        f"{name}: at most {limit:,} bytes, unpacked (got {got}); the environment's {VARIABLE} raises that"
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "no such file"
    if error.errno == errno.ELOOP:
        return "a file (this link leads to itself)"
    return f"a file that can be read ({error.strerror or error})"
