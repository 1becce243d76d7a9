"""The results of a sweep: one SQLite file, one row a point, written with all that belongs to it or not at all.

Rows are keyed by the digest of the point's resolved configuration. A write-ahead log and full synchronisation keep what
was committed through any kill and, on a disk that keeps its word, through a power cut. Several processes of one machine
may work on one folder: each claims the points that it is about to compute, and has a lock on one file, which
the system releases when the process dies, however it dies; claims of the dead are void.
"""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import sqlite3
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.bounded import encodable, largest_bytes, too_large
from configs.errors import InputError

FILE = "sweep.sqlite"
LAYOUT = 1
_MARK = 0x6D686F31  # the file's application_id: "mho1"
_PATIENCE_S = 60.0  # for another process that is writing
_MOST_OF_A_ROW, _MOST_OF_ALL = 1 << 24, 1 << 28  # unpacked [bytes]
_AT_ONCE = 500  # SQLite takes at least 999 variables in a statement

_TABLES = """
create table points (
    digest text primary key, state text not null, code text not null, data text not null, coordinates text not null,
    outputs text not null, artefacts blob not null, config blob not null, error text not null, seconds real not null,
    attempts integer not null, finished text not null
) without rowid;
create table asked (key text primary key, digest text not null) without rowid;
create table code (digest text primary key, about text not null) without rowid;
create table claims (digest text primary key, owner text not null) without rowid;
create table sheets (name text, text text, started text, device text not null default 'cpu');
"""


@dataclass(frozen=True)
class Row:
    """One finished or failed point."""

    digest: str
    state: str  # done or failed
    code: str
    data: str
    coordinates: tuple[tuple[str, Any], ...]
    outputs: dict[str, float | None]
    artefacts: dict[str, Any]
    config: dict[str, Any]
    error: str = ""
    seconds: float = 0.0
    attempts: int = 1
    finished: str = ""


@dataclass(frozen=True)
class StoredResult:
    """A finished or failed point without its configuration."""

    digest: str
    state: str
    code: str
    coordinates: tuple[tuple[str, Any], ...]
    outputs: dict[str, float | None]
    artefacts: dict[str, Any]
    error: str
    seconds: float
    finished: str


@dataclass(frozen=True)
class PointStatus:
    """State of a point, and which code and data made it."""

    state: str
    code: str
    data: str


class Store:
    """The open store of one folder. Use as a context manager; it is closed and its lock released at the end."""

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder, self.path = folder, folder / FILE
        if not create:
            _refuse_absent(folder)
        _refuse_foreign(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise InputError(f"{folder}: cannot make this folder: {error.strerror}") from error
        self._sweep_up()
        self.owner = f".{uuid.uuid4().hex}.working"
        self._lock = (folder / self.owner).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            with self._clear_messages():
                self.db = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
                self._open()
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(sqlite3.Error):
            self.db.execute("delete from claims where owner = ?", (self.owner,))
        with suppress(sqlite3.Error):
            self.db.close()
        self._unlock()

    def _unlock(self) -> None:
        (self.folder / self.owner).unlink(missing_ok=True)
        self._lock.close()

    def _sweep_up(self) -> None:
        """Remove the locks of processes that were killed; one that is just being made is left alone."""
        for path in self.folder.glob(".*.working"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _PATIENCE_S:
                    self._alive(path.name)

    def _open(self) -> None:
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = full")
        with self._transaction():
            mark, layout = (
                self.db.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            tables = self.db.execute("select count(*) from sqlite_master").fetchone()[0]
            if not tables:
                for statement in _TABLES.split(";"):
                    self.db.execute(statement)
                self.db.execute(f"pragma application_id = {_MARK}")
                self.db.execute(f"pragma user_version = {LAYOUT}")
            elif mark != _MARK:
                raise InputError(f"{self.path}: is a database of something else; give a new folder")
            elif layout != LAYOUT:
                raise InputError(
                    f"{self.path}: its layout is number {layout}, this mho reads {LAYOUT}; export it with the mho that "
                    "wrote it, or give a new folder"
                )
            elif "device" not in [row[1] for row in self.db.execute("pragma table_info(sheets)")]:
                self.db.execute("alter table sheets add column device text not null default 'cpu'")
        found = self.db.execute("pragma quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    @contextmanager
    def _clear_messages(self) -> Iterator[None]:
        """Report in one sentence what is wrong with the file or the disk; nothing that was committed is touched."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text:
                raise OSError(
                    errno.ENOSPC,
                    "the disk is full; all points written so far are kept, and the sweep resumes",
                    str(self.path),
                ) from error
            if "locked" in text or "busy" in text:
                raise OSError(
                    errno.EBUSY, f"another process has kept it locked for {_PATIENCE_S:g} s", str(self.path)
                ) from error
            if any(word in text for word in ("disk", "open", "readonly")):
                raise OSError(errno.EIO, f"cannot be written or read ({text})", str(self.path)) from error
            raise self._damaged(error) from error
        except sqlite3.IntegrityError:
            raise
        except InputError:
            raise
        except (sqlite3.DatabaseError, zlib.error, RecursionError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path}: is damaged ({error}); it was left as it is. Move it away to start anew, or save its "
            f"rows with: sqlite3 {FILE} .recover"
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("begin immediate")
        try:
            yield
            self.db.execute("commit")
        except BaseException:
            with suppress(sqlite3.Error):
                self.db.execute("rollback")
            raise

    def statuses(self) -> tuple[dict[str, str], dict[str, PointStatus]]:
        """Digests by what was asked for, and the status of each point."""
        with self._clear_messages():
            asked = dict(self.db.execute("select key, digest from asked"))
            rows = self.db.execute("select digest, state, code, data from points")
            return asked, {digest: PointStatus(*rest) for digest, *rest in rows}

    def write(self, rows: Sequence[Row], asked: Iterable[tuple[str, str]] = ()) -> None:
        """Points with all that belongs to them, in one transaction, and under which keys they are asked for."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        made = [
            (
                *(row.digest, row.state, row.code, row.data, _text(row.coordinates), _text(row.outputs)),
                *(_packed(row.artefacts), _packed(row.config), encodable(row.error), row.seconds, row.finished or now),
            )
            for row in rows
        ]
        with self._clear_messages(), self._transaction():
            self.db.executemany(
                "insert into points values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) on conflict (digest) do update set "
                "state = excluded.state, code = excluded.code, data = excluded.data, "
                "coordinates = excluded.coordinates, outputs = excluded.outputs, artefacts = excluded.artefacts, "
                "config = excluded.config, error = excluded.error, seconds = excluded.seconds, "
                "attempts = points.attempts + 1, finished = excluded.finished",
                made,
            )
            self.db.executemany("insert or replace into asked values (?, ?)", asked)
            self.db.executemany("delete from claims where digest = ?", [(row.digest,) for row in rows])

    def begin(self, name: str, text: str, code: str, about: dict[str, Any], device: str = "cpu") -> None:
        """Note which sweep works here, with which code, and on which kind of device."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        with self._clear_messages(), self._transaction():
            self.db.execute("insert or replace into code values (?, ?)", (code, _text(about)))
            self.db.execute("insert into sheets values (?, ?, ?, ?)", (encodable(name), text, now, device))

    def about(self, code: str) -> dict[str, Any]:
        """What the store notes of a digest of code."""
        with self._clear_messages():
            found = self.db.execute("select about from code where digest = ?", (code,)).fetchone()
            return _mapping(found[0]) if found else {}

    def claim(self, wanted: dict[str, PointStatus | None]) -> set[str]:
        """Those of the digests that are now this process's to compute.

        ``wanted`` holds the status that this process last read of each: a point that another process has finished
        since is not claimed.
        """
        with self._clear_messages(), self._transaction():
            taken = dict(self.db.execute("select digest, owner from claims"))
            void = {owner for owner in set(taken.values()) - {self.owner} if not self._alive(owner)}
            self.db.executemany("delete from claims where owner = ?", [(owner,) for owner in void])
            free = [digest for digest in wanted if taken.get(digest) in (None, self.owner, *void)]
            now = self._statuses_of(free)
            mine = {digest for digest in free if now.get(digest) == wanted[digest]}
            self.db.executemany("insert or replace into claims values (?, ?)", [(each, self.owner) for each in mine])
        return mine

    def _statuses_of(self, digests: Sequence[str]) -> dict[str, PointStatus]:
        found: dict[str, PointStatus] = {}
        for start in range(0, len(digests), _AT_ONCE):
            part = digests[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"select digest, state, code, data from points where digest in ({marks})"
            found |= {digest: PointStatus(*rest) for digest, *rest in self.db.execute(query, part)}
        return found

    def _alive(self, owner: str) -> bool:
        """Whether the process that holds this lock lives; what a dead one has left is removed."""
        path = self.folder / owner
        try:
            with path.open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def rows(self, digests: Sequence[str] | None = None) -> Iterator[Row]:
        """Whole rows; all of them, or those of the digests that are there."""
        with self._clear_messages():
            if digests is None:
                digests = [digest for (digest,) in self.db.execute("select digest from points order by digest")]
            for start in range(0, len(digests), _AT_ONCE):
                part = digests[start : start + _AT_ONCE]
                query = f"select * from points where digest in ({','.join('?' * len(part))})"
                for each in self.db.execute(query, part):
                    yield _row(each)

    def figures(self) -> Iterator[tuple[str, dict[str, float | None], str]]:
        """Digest, outputs and error of every point: what a table needs."""
        with self._clear_messages():
            for digest, outputs, error in self.db.execute("select digest, outputs, error from points"):
                yield digest, _outputs(outputs), error

    def results(self) -> Iterator[StoredResult]:
        """What a report needs of every point, without its configuration."""
        query = "select digest, state, code, coordinates, outputs, artefacts, error, seconds, finished from points"
        left = largest_bytes(_MOST_OF_ALL)
        with self._clear_messages():
            for digest, state, code, coordinates, outputs, artefacts, *rest in self.db.execute(query):
                pairs = _pairs(coordinates)
                found, size = _unpacked(artefacts, min(left, _MOST_OF_A_ROW))
                left -= size
                _check_types(state, code, *rest)
                yield StoredResult(digest, state, code, pairs, _outputs(outputs), found, *rest)

    def sheets(self) -> list[tuple[str, str, str, str]]:
        """Name, text, start and kind of device of every sweep that has worked here, in their order."""
        with self._clear_messages():
            return self.db.execute("select name, text, started, device from sheets order by rowid").fetchall()

    def mean_seconds(self) -> float | None:
        """Mean time that a finished point took; None where none is finished."""
        with self._clear_messages():
            found = self.db.execute("select avg(seconds) from points where state = 'done'").fetchone()[0]
        return None if found is None else float(found)

    def take_over(self, other: Path) -> int:
        """Copy the points of another sweep's folder that are not here; return how many. Finished replaces failed."""
        with Store(other, create=False) as source:
            asked, statuses = source.statuses()
            here = self.statuses()[1]
            wanted = [
                digest
                for digest, one in statuses.items()
                if digest not in here or (one.state == "done" and here[digest].state != "done")
            ]
            keys: dict[str, list[str]] = {}
            for key, digest in asked.items():
                keys.setdefault(digest, []).append(key)
            for start in range(0, len(wanted), _AT_ONCE):
                rows = list(source.rows(wanted[start : start + _AT_ONCE]))
                self.write(rows, [(key, row.digest) for row in rows for key in keys.get(row.digest, ())])
            abouts = {statuses[digest].code: source.about(statuses[digest].code) for digest in wanted}
        with self._clear_messages(), self._transaction():
            pairs = [(code, _text(about)) for code, about in abouts.items() if about]
            self.db.executemany("insert or ignore into code values (?, ?)", pairs)
        return len(wanted)


def _row(each: tuple[Any, ...]) -> Row:
    digest, state, code, data, coordinates, outputs, artefacts, config, *rest = each
    packed = (_unpacked(artefacts)[0], _unpacked(config)[0])
    error, seconds, _, finished = rest
    _check_types(state, code, error, seconds, finished)
    return Row(digest, state, code, data, _pairs(coordinates), _outputs(outputs), *packed, *rest)


def _check_types(state: Any, code: Any, error: Any, seconds: Any, finished: Any) -> None:
    """SQLite keeps whatever is written into a column; raises ValueError for what mho did not write."""
    texts = all(isinstance(text, str) for text in (code, error, finished))
    if state not in ("done", "failed") or not texts or not isinstance(seconds, (int, float)):
        raise ValueError("a point is not as it was written")


def _mapping(text: str | bytes) -> dict[str, Any]:
    """The mapping that a column holds as JSON; raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"a column holds {type(found).__name__} where mho wrote a mapping")
    return found


def _outputs(text: str) -> dict[str, float | None]:
    found = _mapping(text)
    if not all(value is None or isinstance(value, (int, float)) for value in found.values()):
        raise ValueError("an output is no number")
    return found


def _pairs(text: str) -> tuple[tuple[str, Any], ...]:
    found = tuple((path, value) for path, value in json.loads(text))
    if not all(isinstance(path, str) for path, _ in found):
        raise ValueError("the name of a coordinate is no text")
    return found


def _refuse_absent(folder: Path) -> None:
    if not (folder / FILE).is_file():
        raise InputError(f"{folder}: holds no sweep (no {FILE} in it)")


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: cannot make this folder: a file of that name is in the way")
    names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
    others = sorted(name for name in names if not name.startswith("."))
    if others and FILE not in others:
        some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise InputError(f"{folder}: this folder holds other files ({some}) and no {FILE}; give an empty or new folder")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _packed(value: Any) -> bytes:
    return zlib.compress(_text(value).encode(), 6)


def _unpacked(blob: bytes, most: int = _MOST_OF_A_ROW) -> tuple[dict[str, Any], int]:
    """The content of a packed column, and the bytes that it unpacks to, at most so many."""
    unpacking, most = zlib.decompressobj(), largest_bytes(most)
    data = unpacking.decompress(blob, most + 1)
    if len(data) > most:
        raise too_large(FILE, most)
    if not unpacking.eof:
        raise ValueError("a packed column is cut short")
    return _mapping(data), len(data)
