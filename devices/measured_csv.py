"""Measured conductances in a CSV file: either every sample, or mean and spread per level.

The first line names the columns, in any order; the ending of a name is its unit, ``_S``, ``_mS``, ``_uS`` or ``_nS``.
Samples may be resistances as well (``_ohm``, ``_kohm``, ``_Mohm``), which are inverted one by one:

- samples: ``target_S, measured_S`` and optionally ``t_s`` (time after programming) and ``cell`` (which cell it was);
- summary: ``target_S, mean_S, sigma_S`` and optionally ``t_s`` and ``count`` (cells behind the line); levels rise
  within a time and times rise.

Every level is measured at every time. ``sigma`` is the sample standard deviation (n - 1). Lines that are empty or begin
with # are passed over. Columns are separated by commas, semicolons or tabs, decimals by a point or, beside the latter
two, a comma. Other columns are refused, so that a misspelt one is not lost.

Readings below zero, as an instrument with an offset gives them of a cell that is off, are kept, and a mean below zero
is taken as 0. Where times differ from read to read, the samples from one moment on that come within 10 % of it, or
within a second or 1 % of the last time (the smaller of the two), count as of one moment, their mean. Notes say either.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.bounded import printable
from configs.errors import InputError
from configs.text_tables import number_of, read_rows

PER_SIEMENS = {"_S": 1.0, "_mS": 1e3, "_uS": 1e6, "_nS": 1e9}
SAMPLES = ("target_S", "measured_S")
SUMMARY = ("target_S", "mean_S", "sigma_S")
OPTIONAL = {SAMPLES: ("t_s", "cell"), SUMMARY: ("t_s", "count")}
OHM = {"_ohm": 1.0, "_kohm": 1e3, "_Mohm": 1e6}
TEXT = ("cell",)
LARGEST_S = 1.0
LARGEST_COUNT = 10**9
MOST_CELLS_OF_TABLE = 100_000
TIME_SHARE, TIME_S, TIME_SHARE_OF_LAST = 0.1, 1.0, 0.01
PROBLEMS_SHOWN = 20

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredTable:
    """Mean and spread by time (rows) and level (columns), as ``Measured`` takes them; ``count`` is 0 where unknown."""

    source: str
    target_S: tuple[float, ...]
    t_s: tuple[float, ...]
    mean_S: tuple[tuple[float, ...], ...]
    sigma_S: tuple[tuple[float, ...], ...]
    count: tuple[tuple[int, ...], ...]
    correlation: float | None


@dataclass(frozen=True)
class Measurements:
    """The columns of a file, in siemens and seconds. Either ``measured_S`` or ``mean_S`` and ``sigma_S`` are given.

    ``notes`` are sentences on what was read otherwise than it is written.
    """

    name: str
    sha256: str
    lines: NDArray[np.int64]
    target_S: Numbers
    measured_S: Numbers | None = None
    mean_S: Numbers | None = None
    sigma_S: Numbers | None = None
    t_s: Numbers | None = None
    count: Numbers | None = None
    cell: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The file as a record names it: name, lines, digest of its bytes."""
        what = "samples" if self.measured_S is not None else "lines of mean and spread"
        return f"{printable(Path(self.name).name)} ({len(self.target_S)} {what}, SHA-256 {self.sha256})"

    def table(self) -> MeasuredTable:
        """Mean and spread of every level at every time; InputError where a level or time lacks numbers."""
        levels = np.unique(self.target_S)
        times = np.unique(self.t_s) if self.t_s is not None else np.zeros(1)
        if len(levels) < 2:
            raise InputError(f"{self.name}: target_S must have at least two levels (got {len(levels)})")
        if len(levels) * len(times) > MOST_CELLS_OF_TABLE:
            raise InputError(
                f"{self.name}: must have at most {MOST_CELLS_OF_TABLE:,} levels times moments "
                f"(got {len(levels):,} x {len(times):,})"
            )
        shape = (len(times), len(levels))
        mean, sigma, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, int)
        for (row, column), here in zip(np.ndindex(shape), self.groups(), strict=True):
            at = f"level {levels[column]:g} S" + (f" at {times[row]:g} s" if self.t_s is not None else "")
            mean[row, column], sigma[row, column], count[row, column] = self._cell(here, at)
        return MeasuredTable(
            self.source,
            tuple(levels.tolist()),
            tuple(times.tolist()) if len(times) > 1 else (),
            tuple(map(tuple, mean.tolist())),
            tuple(map(tuple, sigma.tolist())),
            tuple(map(tuple, count.tolist())),
            self._correlation(times, levels, mean, sigma),
        )

    def groups(self) -> list[NDArray[np.int64]]:
        """The lines of every level at the first time, then at the next, in the order of the file."""
        levels, column = np.unique(self.target_S, return_inverse=True)
        row = np.zeros(len(column), np.int64) if self.t_s is None else np.unique(self.t_s, return_inverse=True)[1]
        number = row * len(levels) + column
        order = np.argsort(number, kind="stable")
        return np.split(order, np.searchsorted(number[order], np.arange(1, (row.max() + 1) * len(levels))))

    def _cell(self, here: NDArray[np.int64], at: str) -> tuple[float, float, int]:
        if self.measured_S is not None:
            values = self.measured_S[here]
            if len(values) < 2:
                raise InputError(f"{self.name}: {at} must have at least two samples (got {len(values)})")
            return float(values.mean()), float(values.std(ddof=1)), len(values)
        assert self.mean_S is not None
        assert self.sigma_S is not None
        if not len(here):
            raise InputError(f"{self.name}: {at} must have a line: every level is measured at every time (got none)")
        count = int(self.count[here][0]) if self.count is not None else 0
        return float(self.mean_S[here][0]), float(self.sigma_S[here][0]), count

    def _correlation(self, times: Numbers, levels: Numbers, mean: Numbers, sigma: Numbers) -> float | None:
        """Correlation of a cell's rank at one time with its rank at the next; None where not followed."""
        if self.measured_S is None or self.cell is None or self.t_s is None or len(times) < 2:
            return None
        row, column = np.searchsorted(times, self.t_s), np.searchsorted(levels, self.target_S)
        spread = sigma[row, column]
        score = (self.measured_S - mean[row, column]) / np.where(spread > 0.0, spread, 1.0)
        scores = {(c, k, r): z for c, k, r, z in zip(self.cell, column, row, score, strict=True)}
        pairs = [(z, scores[c, k, r + 1]) for (c, k, r), z in scores.items() if (c, k, r + 1) in scores]
        if len(scores) < len(score) or len(pairs) < 3 or not np.ptp(pairs, axis=0).all():
            return None
        return float(np.clip(np.corrcoef(np.array(pairs).T)[0, 1], 0.0, 1.0))


def read_measurements(path: Path | str) -> Measurements:
    """Read and check a file of samples or of a summary.

    Raises InputError with every problem, each as ``file:line: what is allowed (got ...)``.
    """
    name = str(path)
    data, mark, rows = read_rows(path)
    if not rows:
        raise InputError(f"{name}: must begin with a line that names its columns (got an empty file)")
    columns, kind = _header(name, *rows[0])
    if len(rows) == 1:
        raise InputError(f"{name}:{rows[0][0]}: must be followed by measurements (got none)")
    problems: list[str] = []
    values = [_row(name, number, fields, columns, mark, problems) for number, fields in rows[1:]]
    if len(problems) > PROBLEMS_SHOWN:
        problems = [*problems[:PROBLEMS_SHOWN], f"{name}: {len(problems) - PROBLEMS_SHOWN} more lines are bad so"]
    if problems:
        raise InputError(problems)
    found = {column.name: np.array([row[at] for row in values]) for at, column in enumerate(columns)}
    numbers = np.array([number for number, _ in rows[1:]])
    if kind == SUMMARY:
        _refuse_disorder(name, numbers, found)
    read = Measurements(name, hashlib.sha256(data).hexdigest(), numbers, **found)  # type: ignore[arg-type]
    read = _moments(read) if kind == SAMPLES and "t_s" in found else read
    return replace(read, notes=(*read.notes, *_notes(read, columns)))


def _moments(data: Measurements) -> Measurements:
    """Samples whose times differ from read to read, with the mean time of those that count as of one moment."""
    assert data.t_s is not None
    if min(map(len, data.groups())) > 1:
        return data
    times = np.unique(data.t_s)
    absolute_s = min(TIME_S, TIME_SHARE_OF_LAST * float(times[-1]))
    starts = [0]
    for number, t in enumerate(times.tolist()):
        first = float(times[starts[-1]])
        if t > first + max(TIME_SHARE * first, absolute_s):
            starts.append(number)
    if len(starts) == len(times):
        return data
    moment = np.searchsorted(times[starts], data.t_s, side="right") - 1
    mean = np.array([float(data.t_s[moment == number].mean()) for number in range(len(starts))])
    mean = np.array([float(f"{t:.6g}") for t in mean])
    note = (
        f"Times differ from read to read: {len(times)} of them were taken as {len(starts)} moments, those within "
        f"{TIME_SHARE:.0%} or {absolute_s:.3g} s of the first of a moment as their mean "
        f"({', '.join(f'{t:g}' for t in mean[:6])}{' ...' if len(mean) > 6 else ''} s)."
    )
    return replace(data, t_s=mean[moment], notes=(note,))


def _notes(data: Measurements, columns: list[Column]) -> list[str]:
    """What a reader of the result has to know of the numbers."""
    notes = []
    if any(column.inverted for column in columns):
        notes.append("Resistances were turned into conductances one by one, G = 1 / R.")
    values = data.measured_S if data.measured_S is not None else data.mean_S
    assert values is not None
    below = int((values < 0.0).sum())
    if below:
        what = "readings" if data.measured_S is not None else "means"
        notes.append(
            f"{below} of {len(values)} {what} are below zero, down to {values.min():.3g} S: an offset of the "
            "instrument, or the sign of the current. They were kept; a mean below zero is 0 in a table."
        )
    if data.cell is not None:
        keys = zip(
            data.cell.tolist(), data.target_S, np.zeros(len(data.cell)) if data.t_s is None else data.t_s, strict=True
        )
        repeated = len(data.cell) - len(set(keys))
        if repeated:
            notes.append(
                f"{repeated} lines repeat a cell at the same level and time: cells are not followed over time."
            )
    return notes


@dataclass(frozen=True)
class Column:
    """A column of a file: its name in siemens or seconds, what its numbers are multiplied with, and whether in ohm."""

    name: str
    scale: float = 1.0
    inverted: bool = False

    @classmethod
    def of(cls, field: str) -> Column:
        """The column of a name with a unit."""
        for unit in (unit for unit in OHM if field.endswith(unit)):
            return cls(field[: -len(unit)] + "_S", OHM[unit], True)
        for unit in sorted((unit for unit in PER_SIEMENS if field.endswith(unit)), key=len, reverse=True):
            return cls(field[: -len(unit)] + "_S", PER_SIEMENS[unit])
        return cls(field)

    def si(self, value: float) -> float:
        """A number of the column in siemens or seconds; infinite for no resistance at all."""
        if self.inverted:
            return 1.0 / (value * self.scale) if value else math.inf
        return value / self.scale


def _header(name: str, line: int, fields: list[str]) -> tuple[list[Column], tuple[str, ...]]:
    """The columns, and which of the two formats it is."""
    columns = [Column.of(field) for field in fields]
    names = [column.name for column in columns]
    kind = SUMMARY if {"mean_S", "sigma_S"} & set(names) else SAMPLES
    allowed = f"columns {', '.join(kind)}, and may have {' and '.join(OPTIONAL[kind])}"
    for wanted in kind:
        if wanted not in names:
            raise InputError(f"{name}:{line}: must have the {allowed} (got no {wanted}: {', '.join(fields)})")
    for column, field in zip(names, fields, strict=True):
        if column not in (*kind, *OPTIONAL[kind]):
            raise InputError(f"{name}:{line}: must have the {allowed} (got {field or 'a column without a name'})")
        if names.count(column) > 1:
            twice = ", ".join(field for other, field in zip(names, fields, strict=True) if other == column)
            raise InputError(f"{name}:{line}: must name each column once (got {twice})")
    if kind == SUMMARY and any(column.inverted for column in columns):
        raise InputError(
            f"{name}:{line}: must have mean and spread in siemens, since those of a resistance are not those of its "
            "inverse (got ohm): give samples, or conductances"
        )
    return columns, kind


def _row(
    name: str, line: int, fields: list[str], columns: list[Column], mark: str, problems: list[str]
) -> list[float | str]:
    if len(fields) != len(columns):
        problems.append(f"{name}:{line}: must have {len(columns)} fields (got {len(fields)})")
        return []
    values: list[float | str] = []
    for field, column in zip(fields, columns, strict=True):
        if column.name in TEXT:
            values.append(field)
            continue
        value = column.si(number_of(field, mark))
        least, most = _range(column.name)
        whole = column.name != "count" or not math.isfinite(value) or value == round(value)
        if not (least <= value <= most and math.isfinite(value) and whole):
            hint = ""
            if value > most and column.name.endswith("_S"):
                hint = "; is the column in kohm? then name it _kohm" if column.inverted else ""
                hint = hint or ("; is the column in uS? then name it _uS" if column.scale == 1.0 else "")
            problems.append(f"{name}:{line}: {column.name} must be {_allowed(column)} (got {field or 'nothing'}){hint}")
        values.append(value)
    return values


def _range(name: str) -> tuple[float, float]:
    if name == "count":
        return 2.0, LARGEST_COUNT
    if name == "t_s":
        return 0.0, math.inf
    return (-LARGEST_S if name in ("measured_S", "mean_S") else 0.0), LARGEST_S


def _allowed(column: Column) -> str:
    if column.name == "count":
        return f"a whole number from 2 to {LARGEST_COUNT:,}"
    if column.name == "t_s":
        return "a number of seconds, at least 0"
    if column.inverted:
        return f"a resistance of at least {1.0 / LARGEST_S:g} ohm"
    return f"a conductance from {_range(column.name)[0]:g} to {LARGEST_S:g} S"


def _refuse_disorder(name: str, lines: NDArray[np.int64], found: dict[str, NDArray[np.generic]]) -> None:
    """Levels of a summary rise within a time, and times rise: a swapped or doubled line is a mistake of the file."""
    keys = list(zip(found.get("t_s", np.zeros(len(lines))).tolist(), found["target_S"].tolist(), strict=True))
    for line, before, now in zip(lines[1:], keys, keys[1:], strict=False):
        if now <= before:
            what = "is there already" if now in keys[: keys.index(before) + 1] else "comes after a larger one"
            raise InputError(
                f"{name}:{line}: levels must rise within a time, and times rise (got {now[1]:g} S, which {what})"
            )
