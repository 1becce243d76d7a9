"""Results are written whole or not at all: write under another name, flush to the disk, rename."""

from __future__ import annotations

import errno
import io
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from configs.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_HOST = re.sub(r"[^\w-]", "_", platform.node())[:60]
_LEFT = re.compile(r"\.(?P<pid>[1-9][0-9]{0,8})(?:-(?P<host>[\w-]*))?\.part$")


def user_path(path: Path | str) -> Path:
    """A path as users write it, ``~`` and ``~user`` replaced by that home folder; what is there may be missing.

    Raises InputError for a user that does not exist, a link that leads to itself, a name that the file system cannot
    take, and a folder that may not be looked into.
    """
    try:
        found = Path(path).expanduser()
        os.stat(found)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except RuntimeError:
        raise InputError(f"{path}: no such user, or one without a home folder") from None
    except OSError as error:
        why = "this link leads to itself" if error.errno == errno.ELOOP else error.strerror or error
        raise InputError(f"{path}: {why}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: the file system takes no such name ({error})") from None
    return found


def write_atomic(path: Path | str, data: bytes) -> None:
    """Put ``data`` at ``path`` so that a reader sees the old file or the whole new one, never a part.

    Missing parent folders are made. A target that is no regular file (``/dev/null``, a pipe) is written directly,
    since a rename would replace the device itself. Raises ``InputError`` with one line when the file cannot be written
    or the disk is full; nothing is left behind then.
    """
    target = user_path(path)
    if target.is_dir():
        raise InputError(f"{target}: cannot write a file here: it is a folder")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        target = target.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_and_rename(target, data)
    except FileExistsError as error:
        raise InputError(f"{path}: cannot write: {error.filename} is a file, not a folder") from error
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror or error}; nothing was written") from error


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A table as Parquet. Raises InputError where the package for it is missing."""
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, index=False)
    except ImportError as error:
        raise InputError("Parquet needs pyarrow: pip install 'mho[parquet]' (or choose CSV)") from error
    return buffer.getvalue()


def write_or_print(data: bytes, output: Path | str | None) -> list[Path]:
    """Put text at a path, or on standard output where none is given; return the files written."""
    if output is None:
        # The bytes themselves: what another program reads does not depend on what this terminal can show.
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return []
    write_atomic(output, data)
    return [Path(output)]


def _write_and_rename(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    # O_TRUNC: a process of this number that was killed earlier may have left its unfinished file.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(target.parent)


def sweep_up(folder: Path) -> None:
    """Remove the hidden folders of runs that were killed: ``.NAME.PID-HOST.part`` whose process is gone.

    Folders of other machines, which may share the disk, are left alone.
    """
    for path in folder.glob(".*.part"):
        found = _LEFT.search(path.name)
        if found and found["host"] in (None, _HOST) and path.is_dir() and not path.is_symlink():
            try:
                os.kill(int(found["pid"]), 0)
            except ProcessLookupError:
                shutil.rmtree(path, ignore_errors=True)
            except (OSError, OverflowError):
                continue


def _flush(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RunFolder:
    """A run directory under construction: a hidden folder that becomes ``target`` when the ``with`` block succeeds.

    The block is given the hidden folder's path. Where the block raises, the hidden folder is removed and ``target``
    stays as it was. An existing ``target`` is replaced only if it is empty or, with ``replace``, itself such a folder
    (it holds ``manifest.json``); anything else is an ``InputError`` before any work is done.

    A mount point or the current folder cannot be renamed: there the hidden folder is inside, its files move up one by
    one at the end, and ``manifest.json`` moves last, so that the folder counts as a run directory only once complete.
    """

    def __init__(self, target: Path | str, *, replace: bool = True) -> None:
        self.target, self._replace = user_path(target).resolve(), replace
        self._inside = self.target.is_dir() and (os.path.ismount(self.target) or self.target == Path.cwd())
        parent = self.target if self._inside else self.target.parent
        self._part = parent / f".{self.target.name}.{os.getpid()}-{_HOST}.part"

    def __enter__(self) -> Path:
        self._refuse_foreign_target()
        try:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            sweep_up(self._part.parent)
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.mkdir()
        except OSError as error:
            raise InputError(f"{self.target}: cannot make this folder: {error.strerror or error}") from error
        return self._part

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
            elif isinstance(error, OSError) and self._concerns(error):
                raise InputError(f"{self.target}: cannot write: {error.strerror}; nothing was written") from error
        finally:
            shutil.rmtree(self._part, ignore_errors=True)

    def _concerns(self, error: OSError) -> bool:
        """Whether writing this folder failed: a full disk names no file."""
        if error.filename is None:
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Path(os.fsdecode(error.filename)).is_relative_to(self._part)

    def _refuse_foreign_target(self) -> None:
        if not self.target.exists():
            return
        if not self.target.is_dir():
            raise InputError(f"{self.target}: cannot make this folder: a file of that name is in the way")
        others = sorted(entry.name for entry in self.target.iterdir())
        if others and "manifest.json" not in others:
            some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            raise InputError(
                f"{self.target}: this folder holds other files ({some}) and no manifest.json, so it is no run "
                "directory; give an empty or new folder"
            )
        if others and not self._replace:
            raise InputError(f"{self.target}: holds an earlier run; give another folder, or --force to replace it")

    def _publish(self) -> None:
        try:
            for entry in self._part.rglob("*"):
                if entry.is_file():
                    _flush(entry)
            self._move_up() if self._inside else self._swap()
        except OSError as error:
            raise InputError(f"{self.target}: cannot write: {error.strerror or error}") from error

    def _swap(self) -> None:
        old = self._part.with_suffix(".old")
        if self.target.exists():
            os.rename(self.target, old)
        try:
            os.rename(self._part, self.target)
        except BaseException:  # a signal too
            if old.exists():
                os.rename(old, self.target)
            raise
        _flush(self.target.parent)
        shutil.rmtree(old, ignore_errors=True)

    def _move_up(self) -> None:
        def manifest_last(entry: Path) -> bool:
            return entry.name == "manifest.json"

        # The old manifest goes first: a folder caught half-way is then no run directory, rather than a mixed one.
        for entry in sorted(self.target.iterdir(), key=manifest_last, reverse=True):
            if entry != self._part:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        for entry in sorted(self._part.iterdir(), key=manifest_last):
            os.rename(entry, self.target / entry.name)
        _flush(self.target)
