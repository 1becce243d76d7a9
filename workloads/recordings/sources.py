"""Where data comes from: the user's file, a cache on this machine, or one short attempt at the network.

The cache is a folder of whole files: each is written under another name and renamed, so a killed run leaves no half
file behind, and a damaged one is made again with a note. Arrays are stored as npz without pickle: a data file never
runs code.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from configs.bounded import FAULTS, check_regular, expanded

Arrays = dict[str, NDArray[Any]]
_DIGEST = "sha256 of the name and the arrays"


class Unavailable(Exception):
    """A public file could not be fetched; the text says why, so that the report can."""


@dataclass(frozen=True)
class RemoteFile:
    """A public file on the network, pinned by its SHA-256, so that it is the same file for everyone or none at all."""

    name: str
    url: str
    sha256: str
    size_bytes: int


def cache_dir() -> Path:
    """The folder for downloads and computed features: ``MHO_CACHE``, else the operating system's folder for caches."""
    chosen = os.environ.get("MHO_CACHE")
    return expanded(chosen) if chosen else Path(pooch.os_cache("mho"))


def cached(remote: RemoteFile) -> Path | None:
    """The file in the cache if it is there, whole and unaltered."""
    path = cache_dir() / remote.name
    if not path.is_file() or path.stat().st_size != remote.size_bytes:
        return None
    return path if pooch.file_hash(str(path)) == remote.sha256 else None


def fetch(remote: RemoteFile, *, within_s: float = 9.0, progress: bool = True) -> Path:
    """The file from the cache, else from the network in a single attempt.

    ``within_s`` bounds how long the server may take to answer at all; the transfer itself may take longer and shows a
    bar on standard error. Raises ``Unavailable`` with the reason when there is no network, no space or another file.
    """
    import requests  # type: ignore[import-untyped,unused-ignore]

    found = cached(remote)
    if found:
        return found
    _ask(remote.url, within_s)
    bar = _Bar(remote.name, visible=progress)
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(
            pooch.retrieve(
                remote.url,
                known_hash=f"sha256:{remote.sha256}",
                fname=remote.name,
                path=cache_dir(),
                downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=(within_s, 20.0)),
            )
        )
    except requests.RequestException as error:
        raise Unavailable(f"the download of {remote.url} broke off ({_reason(error)})") from error
    except ValueError as error:
        raise Unavailable(f"{remote.url} is not the file expected (its SHA-256 is not {remote.sha256})") from error
    except OSError as error:
        raise Unavailable(f"{remote.name} could not be stored in {cache_dir()} ({_reason(error)})") from error
    finally:
        bar.close()


def _ask(url: str, within_s: float) -> None:
    """Ask the server for the file's header; a thread, since a name look-up has no time limit."""
    import requests

    answer: list[str] = []

    def ask() -> None:
        try:
            requests.head(url, timeout=within_s / 2, allow_redirects=True).raise_for_status()
            answer.append("")
        except (requests.RequestException, OSError) as error:
            answer.append(_reason(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(within_s)
    if not answer:
        raise Unavailable(f"{url} did not answer within {within_s:g} s")
    if answer[0]:
        raise Unavailable(f"{url} cannot be reached ({answer[0]})")


def _reason(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "NameResolution" in str(error):
        return "its name cannot be resolved: no network"
    return type(error).__name__


class _Bar:
    """A progress bar on standard error with the four members that pooch asks of one."""

    total: int = 0

    def __init__(self, name: str, *, visible: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not visible, transient=True)
        self._task = self._progress.add_task(f"downloading {name}")
        self._progress.start()

    def update(self, count: int) -> None:
        self._progress.update(self._task, total=self.total, advance=count)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` by one rename at the end, or vanishes if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remembered(name: str, make: Callable[[], Mapping[str, NDArray[Any]]]) -> tuple[Arrays, tuple[str, ...]]:
    """Arrays from the cache file ``name`` (npz), else made now and kept; and notes on what went wrong with the cache.

    The caller puts everything that the arrays depend on into ``name`` (as a digest); the file has the SHA-256 of its
    name and arrays. A cache that is damaged or cannot be written costs time, not the run: it is deleted and made again.
    """
    path = cache_dir() / name
    notes: list[str] = []
    if os.path.lexists(path):
        try:
            arrays = _stored(path)
        except FAULTS as error:
            notes.append(f"cache file {path} was damaged ({type(error).__name__}) and is made again")
        else:
            kept = arrays.pop(_DIGEST, None)
            if kept == _digest(name, arrays):
                return arrays, ()
            if kept is not None:  # a file of an earlier version has none, and is made again without a note
                notes.append(f"cache file {path} differs from what was written into it and is made again")
        _remove(path)
    arrays = {key: np.asarray(array) for key, array in make().items()}
    try:
        with written_whole(path) as part, part.open("wb") as out:
            np.savez(out, allow_pickle=False, **arrays, **{_DIGEST: np.array(_digest(name, arrays))})
    except OSError as error:
        notes.append(f"cache file {path} could not be written ({_reason(error)}): this is computed again next time")
    return arrays, tuple(notes)


def _stored(path: Path) -> Arrays:
    """All arrays of an npz file that is a regular one; whatever is wrong with it is one of FAULTS."""
    check_regular(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except MemoryError as error:  # a damaged header may promise any size
        raise ValueError("a size beyond this machine") from error


def _digest(name: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of the file's name as well: another one's content in its place, whole as it is, would be other data."""
    whole = hashlib.sha256(name.encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        whole.update(f"{key} {array.dtype.str} {array.shape} ".encode())
        whole.update(array.view(np.uint8).data if array.size and array.ndim else array.tobytes())
    return whole.hexdigest()


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
