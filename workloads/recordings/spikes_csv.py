"""Events as tables of text, with a header: whatever camera or simulator they come from.

``t`` or ``t_s`` [s], or ``t_us`` [us]; ``x`` (or ``channel``); ``y`` and ``p`` where there are rows and polarities.
Either one file a recording, in a folder for each class, or many recordings in one file with the columns ``recording``
and ``label``; ``group`` (a speaker) and ``part`` (train, test) are read where they are there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.errors import InputError
from workloads.recordings.archives import ALLOWED, TEST, TRAIN, members_by_class, part_class_and_name
from workloads.recordings.events import LONGEST_S, Recordings, Stored, gathered

TIMES = {"t": 1.0, "t_s": 1.0, "t_us": 1e-6}
NUMBERS = ("x", "channel", "y", "p")
NAMES = ("recording", "label", "group", "part")
_FIELDS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def load_spikes_csv(source: Path, *, sensor: tuple[int, int, int] | None = None, data_name: str = "") -> Recordings:
    """All recordings of a CSV file, or of the CSV files in a folder or archive.

    ``sensor``: (polarities, rows, columns); None takes the smallest that holds all events, and a note says so. Raises
    ``InputError`` with ``FILE:LINE`` for a header or a value that is not allowed.
    """
    stored: list[Stored] = []
    problems: list[str] = []
    for where, parts, data in _files(source):
        try:
            stored += _recordings(where, parts, data)
        except InputError as error:
            problems += error.problems
    if not problems and not stored:
        problems.append(f"{source}: has no events; allowed: CSV files in {ALLOWED}, or one CSV file")
    notes: tuple[str, ...] = ()
    if sensor is None:
        sensor = (_side(one.polarity for one in stored), _side(one.y for one in stored), _side(one.x for one in stored))
        notes = (f"The sensor's size was not given: {sensor[2]} x {sensor[1]} pixels as the events have it.",)
    labels = tuple(sorted({one.label for one in stored}, key=lambda label: (len(label), label)))
    if all(label.isdigit() and len(label) == 1 for label in labels):
        labels = tuple("0123456789")
    return gathered(
        stored,
        sensor=sensor,
        labels=labels,
        data_name=data_name or source.name,
        source=f"events of {source.name}",
        bibtex="",
        problems=problems,
        notes=notes,
    )


def _side(values: Iterator[Any]) -> int:
    return 1 + max((int(np.max(column)) for column in values if column is not None and len(column)), default=0)


def _files(source: Path) -> Iterator[tuple[str, tuple[str, ...], bytes]]:
    """Every CSV file: how to name it, the parts of its path, its bytes."""
    if source.is_file() and source.suffix.lower() == ".csv":
        yield str(source), (source.name,), source.read_bytes()
        return
    for member, path in members_by_class(source, ".csv"):
        yield member.where, path, member.read()


def _recordings(where: str, parts: tuple[str, ...], data: bytes) -> Iterator[Stored]:
    table = _table(where, data)
    time = next(name for name in TIMES if name in table)
    columns = {name: _numbers(where, table, name) for name in (time, *NUMBERS) if name in table}
    t_s = columns.pop(time) * TIMES[time]
    x = columns.get("x", columns.get("channel"))
    if x is None:
        raise InputError(f"{where}:1: allowed is a header with 'x' or 'channel' (got {', '.join(table.columns)})")
    _check_times(where, t_s)
    if "recording" not in table:
        if len(parts) < 2:
            raise InputError(
                f"{where}:1: allowed is a column 'recording' and a column 'label', or a folder for each class "
                f"(got {', '.join(table.columns)})"
            )
        part, label, name = part_class_and_name(parts)
        y, polarity = columns.get("y"), columns.get("p")
        yield Stored(where, name, label, t_s, x, y, polarity, part=part)
        return
    if "label" not in table:
        raise InputError(f"{where}:1: allowed is a column 'label' beside 'recording' (got {', '.join(table.columns)})")
    numbers, names = pd.factorize(table["recording"].astype(str), sort=True)
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        rows = order[edges[number] : edges[number + 1]]
        about: dict[str, str] = {}
        for column in ("label", "group", "part"):
            values = sorted(set(table[column].iloc[rows].astype(str))) if column in table else [""]
            if len(values) > 1:
                raise InputError(f"{where}: recording {name!r}: allowed is one {column} (got {', '.join(values[:4])})")
            about[column] = values[0]
        if about["part"] not in ("", TRAIN, TEST):
            raise InputError(f"{where}: recording {name!r}: part: allowed are train and test (got {about['part']!r})")
        yield Stored(
            where=f"{where}: recording {name!r}",
            name=str(name),
            label=about["label"],
            t_s=t_s[rows],
            x=x[rows],
            y=columns["y"][rows] if "y" in columns else None,
            polarity=columns["p"][rows] if "p" in columns else None,
            group=about["group"],
            part=about["part"],
        )


def _table(where: str, data: bytes) -> pd.DataFrame:
    try:
        kept = dict.fromkeys(NAMES, str)
        table = pd.read_csv(io.BytesIO(data), dtype=kept, skipinitialspace=True, keep_default_na=False, index_col=False)
    except pd.errors.EmptyDataError:
        raise InputError(f"{where}: an empty file; allowed is a header with t, x, y, p") from None
    except UnicodeDecodeError:
        raise InputError(f"{where}: allowed is text in UTF-8") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        found = _FIELDS.search(str(error))
        if found:
            message = f"{where}:{found[2]}: allowed are {found[1]} values, as in the header (got {found[3]})"
            raise InputError(message) from None
        raise InputError(f"{where}: not a CSV table ({error})") from None
    table.columns = [str(name).strip().lower() for name in table.columns]
    times = [name for name in TIMES if name in table]
    if len(times) != 1:
        raise InputError(
            f"{where}:1: allowed is a header with one of {', '.join(TIMES)} (got {', '.join(table.columns)})"
        )
    return table


def _numbers(where: str, table: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """A column as numbers; whole ones from 0 but for the time."""
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
    wrong = ~np.isfinite(values)
    if name not in TIMES:
        wrong |= (values < 0) | (values != np.rint(values))
    if wrong.any():
        at = int(np.argmax(wrong))
        what = "a number" if name in TIMES else "a whole number from 0"
        # A header is line 1, and the first event is on line 2.
        raise InputError(f"{where}:{at + 2}: {name}: allowed is {what} (got {str(table[name].iloc[at])!r})")
    return values if name in TIMES else values.astype(np.int64)


def _check_times(where: str, t_s: np.ndarray[Any, Any]) -> None:
    wrong = (t_s < 0.0) | (t_s > LONGEST_S)
    if wrong.any():
        at = int(np.argmax(wrong))
        message = f"{where}:{at + 2}: allowed are times from 0 to {LONGEST_S:g} s (got {t_s[at]:g} s; t_us is for us)"
        raise InputError(message)
