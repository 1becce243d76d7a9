"""Events as tables of text, with a header: whatever camera or simulator they come from.

``t`` or ``t_s`` [s], ``t_ms`` [ms] or ``t_us`` [us] since the start of the recording; ``x`` (or ``channel``); ``y``
and ``p`` where there are rows and polarities. Pixels count from 0; polarity is 0 or 1, or -1 or 1, and 1 is ON. Either
one file a recording, in a folder for each class, or many recordings in one file with the columns ``recording`` and
``label``; ``group`` (a speaker) and ``part`` (train, test) are read where they are there. Classes are in the order of
their names' lengths, then of the alphabet, so that 10 comes after 9.

Columns are separated by commas, semicolons or tabs; decimals have a point or, beside the latter two, a comma.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.bounded import one_sentence, printable, read_file
from configs.errors import InputError
from configs.text_tables import decoded, separator_of
from workloads.recordings.archives import ALLOWED, TEST, TRAIN, members_by_class, part_class_and_name, shortened
from workloads.recordings.events import LARGEST_SIDE, LONGEST_S, MOST_CLASSES, Recordings, Stored, check_total, gathered
from workloads.recordings.labelled import DataOrigin

if TYPE_CHECKING:
    import pandas as pd

TIMES = {"t": 1.0, "t_s": 1.0, "t_ms": 1e-3, "t_us": 1e-6}
NUMBERS = ("x", "channel", "y", "p")
NAMES = ("recording", "label", "group", "part")
OTHER_NAMES = {"polarity": "p", "pol": "p"}
MOST_COLUMNS = 100
LARGEST_FILE_BYTES = 1 << 30
_FIELDS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def load_spikes_csv(source: Path, *, sensor: tuple[int, int, int] | None = None, data_name: str = "") -> Recordings:
    """All recordings of a CSV file, or of the CSV files in a folder or archive.

    ``sensor``: (polarities, rows, columns); None takes the smallest that has all events, and a note says so. Raises
    ``InputError`` with ``FILE:LINE`` for a header or a value that is not allowed.
    """
    stored: list[Stored] = []
    files: list[PurePosixPath] = []
    problems: list[str] = []
    events = 0
    origin = printable(str(source))
    for where, parts, data in _files(source):
        try:
            found = list(_recordings(where, parts, data))
        except InputError as error:
            problems += error.problems
            continue
        events += sum(len(one.t_s) for one in found)
        check_total(source, events)
        stored += found
        files += [PurePosixPath(*parts).with_suffix("")] * len(found)
    if not problems and not stored:
        problems.append(f"{origin}: has no events; allowed: CSV files in {ALLOWED}, or one CSV file")
    if len({one.name for one in stored}) < len(stored):  # files that count their recordings each for itself
        stored = [replace(one, name=f"{file}/{one.name}") for one, file in zip(stored, files, strict=True)]
    labels = tuple(sorted({one.label for one in stored}, key=lambda label: (len(label), label)))
    if all(label.isdigit() and len(label) == 1 for label in labels):
        labels = tuple("0123456789")
    if len(labels) > MOST_CLASSES:
        problems.append(f"{origin}: at most {MOST_CLASSES:,} classes (got {len(labels):,})")
    if problems:
        raise InputError(shortened(problems, source))
    notes: tuple[str, ...] = ()
    if sensor is None:
        sensor = (_side(one.polarity for one in stored), _side(one.y for one in stored), _side(one.x for one in stored))
        notes = (f"The sensor's size was not given: {sensor[2]} x {sensor[1]} pixels as the events have it.",)
        first = [
            min(int(np.min(values, initial=LARGEST_SIDE)) for values in column)
            for column in ([one.x for one in stored], _rows(stored))
        ]
        if set(first) == {1}:
            notes += ("No event has x or y of 0: if the file counts from 1, the first column and row never fire.",)
    return gathered(
        stored,
        sensor=sensor,
        labels=labels,
        origin=DataOrigin(data_name or printable(source.name), f"events of {printable(source.name)}", ""),
        notes=notes,
    )


def _side(values: Iterator[Any]) -> int:
    return 1 + max((int(np.max(column)) for column in values if column is not None and len(column)), default=0)


def _rows(stored: list[Stored]) -> list[Any]:
    """The rows of all recordings; those of channels alone are as their columns."""
    return [one.x if one.y is None else one.y for one in stored]


def _files(source: Path) -> Iterator[tuple[str, tuple[str, ...], bytes]]:
    """Every CSV file: how to name it, the parts of its path, its bytes."""
    if source.is_file() and source.suffix.lower() == ".csv":
        yield printable(str(source)), (printable(source.name),), read_file(source, most=LARGEST_FILE_BYTES)
        return
    for member, path in members_by_class(source, (".csv",), largest=LARGEST_FILE_BYTES):
        yield member.where, path, member.read()


@dataclass(frozen=True)
class _Table:
    """A file's columns, and what is needed to name a line of it."""

    where: str
    frame: pd.DataFrame
    body: bytes
    header_line: int

    def line(self, at: int) -> int:
        """The number of the line that row ``at`` was read from; empty lines are no rows."""
        lines = re.split(rb"\r\n|\n|\r", self.body)
        return self.header_line + 1 + [number for number, line in enumerate(lines) if line.strip()][at]

    def header(self, allowed: str) -> InputError:
        return InputError(
            f"{self.where}:{self.header_line}: allowed is {allowed} (got {', '.join(map(str, self.frame))})"
        )


def _recordings(where: str, parts: tuple[str, ...], data: bytes) -> Iterator[Stored]:
    import pandas as pd

    table = _table(where, data)
    frame = table.frame
    time = next(name for name in TIMES if name in frame)
    columns = {name: _numbers(table, name) for name in (time, *NUMBERS) if name in frame}
    t_s = columns.pop(time) * TIMES[time]
    x = columns.get("x", columns.get("channel"))
    if x is None:
        raise table.header("a header with 'x' or 'channel'")
    _check_times(table, t_s)
    if "recording" not in frame:
        if len(parts) < 2:
            raise table.header("a column 'recording' and a column 'label', or a folder for each class")
        part, label, name = part_class_and_name(parts)
        y, polarity = columns.get("y"), columns.get("p")
        yield Stored(where, name, label, t_s, x, y, polarity, part=part)
        return
    if "label" not in frame:
        raise table.header("a column 'label' beside 'recording'")
    for column in ("recording", "label"):
        empty = (frame[column].isna() | (frame[column].str.strip() == "")).to_numpy(bool)
        if empty.any():
            raise InputError(f"{where}:{table.line(int(np.argmax(empty)))}: {column}: allowed is a name (got nothing)")
    numbers, names = pd.factorize(frame["recording"].astype(str), sort=True)
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        rows = order[edges[number] : edges[number + 1]]
        about: dict[str, str] = {}
        for column in ("label", "group", "part"):
            values = sorted(set(frame[column].iloc[rows].fillna("").astype(str))) if column in frame else [""]
            if len(values) > 1:
                raise InputError(f"{where}: recording {name!r}: allowed is one {column} (got {', '.join(values[:4])})")
            about[column] = values[0]
        if about["part"] not in ("", TRAIN, TEST):
            raise InputError(f"{where}: recording {name!r}: part: allowed are train and test (got {about['part']!r})")
        yield Stored(
            where=f"{where}: recording {name!r}",
            name=printable(str(name)),
            label=printable(about["label"]),
            t_s=t_s[rows],
            x=x[rows],
            y=columns["y"][rows] if "y" in columns else None,
            polarity=columns["p"][rows] if "p" in columns else None,
            group=printable(about["group"]),
            part=about["part"],
        )


def _table(where: str, data: bytes) -> _Table:
    """The table of a file, its columns' names in lower case."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = decoded(data, where).encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # as some spreadsheets end their lines
    at, line, head = 0, 0, b""
    while at < len(data) and (not head or head.startswith(b"#")):
        end = data.find(b"\n", at) % (len(data) + 1)
        head, at, line = data[at:end].strip(), end + 1, line + 1
    if not head or head.startswith(b"#"):
        raise InputError(f"{where}: an empty file; allowed is a header with t, x, y, p")
    text = decoded(head, where)
    mark = separator_of(text)
    with one_sentence(f"{where}:{line}", "allowed is a header with the names of columns"):
        names = [name.strip().lower() for name in next(csv.reader([text], delimiter=mark, skipinitialspace=True))]
    names = [OTHER_NAMES.get(name, name) for name in names]
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{where}:{line}: allowed are at most {MOST_COLUMNS} columns (got {len(names):,})")
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise InputError(f"{where}:{line}: allowed is each column once, whatever its case (got {twice!r} twice)")
    table = _Table(where, _parsed(where, line, data[at:], mark, names), data[at:], line)
    if sum(name in names for name in TIMES) != 1:
        raise table.header(f"a header with one of {', '.join(TIMES)}")
    return table


def _parsed(where: str, header_line: int, body: bytes, mark: str, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings(), one_sentence(where, "not a CSV table"):
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of a first line with more fields than names
            return pd.read_csv(
                io.BytesIO(body),
                sep=mark,
                decimal="." if mark == "," else ",",
                names=names,
                header=None,
                index_col=False,
                dtype=dict.fromkeys(NAMES, str),
                skipinitialspace=True,
                keep_default_na=False,
                low_memory=False,
            )
    except pd.errors.ParserWarning:
        raise InputError(
            f"{where}:{header_line + 1}: allowed are {len(names)} values, as in the header (got more)"
        ) from None
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, pd.errors.EmptyDataError):
            return pd.DataFrame({name: [] for name in names}, dtype=str)
        if isinstance(cause, UnicodeDecodeError):
            raise InputError(f"{where}: allowed is text in UTF-8") from None
        found = _FIELDS.search(str(cause))
        if found:
            line = int(found[2]) + header_line
            raise InputError(
                f"{where}:{line}: allowed are {found[1]} values, as in the header (got {found[3]})"
            ) from None
        raise


def _numbers(table: _Table, name: str) -> np.ndarray[Any, Any]:
    """A column as numbers; whole ones from 0 but for the time, and polarities of -1 as 0."""
    import pandas as pd

    column = table.frame[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    wrong = ~np.isfinite(values) | (column.dtype == bool)
    allowed = "a number"
    if name == "p":
        allowed, signed = "0 or 1, or -1 or 1 throughout", bool((values == -1.0).any())
        wrong |= ~np.isin(values, (-1.0, 1.0) if signed else (0.0, 1.0))
        values = np.where(values == -1.0, 0.0, values)
    elif name not in TIMES:
        allowed = f"a whole number from 0 to {LARGEST_SIDE - 1}"
        wrong |= (values < 0) | (values != np.rint(values)) | (values >= LARGEST_SIDE)
    if wrong.any():
        at = int(np.argmax(wrong))
        got = printable(str(column.iloc[at])[:60])
        raise InputError(f"{table.where}:{table.line(at)}: {name}: allowed is {allowed} (got {got!r})")
    return values if name in TIMES else values.astype(np.int64)


def _check_times(table: _Table, t_s: np.ndarray[Any, Any]) -> None:
    wrong = (t_s < 0.0) | (t_s > LONGEST_S)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"{table.where}:{table.line(at)}: allowed are times from 0 to {LONGEST_S:g} s "
            f"(got {t_s[at]:g} s; t_us is for us)"
        )
