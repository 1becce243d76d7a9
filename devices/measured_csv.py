"""Measured conductances in a CSV file: either every sample, or mean and spread per level.

The first line names the columns, in any order; the ending of a name is its unit, ``_S``, ``_mS``, ``_uS`` or ``_nS``:

- samples: ``target_S, measured_S`` and optionally ``t_s`` (time after programming) and ``cell`` (which cell it was);
- summary: ``target_S, mean_S, sigma_S`` and optionally ``t_s`` and ``count`` (cells behind the line); levels rise
  within a time and times rise.

Every level is measured at every time. ``sigma`` is the sample standard deviation (n - 1). Lines that are empty or begin
with # are passed over. Other columns are refused, so that a misspelt one is not lost.
"""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError

PER_SIEMENS = {"_S": 1.0, "_mS": 1e3, "_uS": 1e6, "_nS": 1e9}
SAMPLES = ("target_S", "measured_S")
SUMMARY = ("target_S", "mean_S", "sigma_S")
OPTIONAL = {SAMPLES: ("t_s", "cell"), SUMMARY: ("t_s", "count")}
TEXT = ("cell",)
LARGEST_S = 1.0

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
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
    """The columns of a file, in siemens and seconds. Either ``measured_S`` or ``mean_S`` and ``sigma_S`` are given."""

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

    @property
    def source(self) -> str:
        """The file as a record names it: name, lines, digest of its bytes."""
        what = "samples" if self.measured_S is not None else "lines of mean and spread"
        return f"{Path(self.name).name} ({len(self.target_S)} {what}, SHA-256 {self.sha256})"

    def table(self) -> Table:
        """Mean and spread of every level at every time; InputError where a level or time lacks numbers."""
        levels = np.unique(self.target_S)
        times = np.unique(self.t_s) if self.t_s is not None else np.zeros(1)
        if len(levels) < 2:
            raise InputError(f"{self.name}: target_S must have at least two levels (got {len(levels)})")
        shape = (len(times), len(levels))
        mean, sigma, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, int)
        for row, t in enumerate(times):
            now = np.ones(len(self.target_S), bool) if self.t_s is None else self.t_s == t
            for column, level in enumerate(levels):
                at = f"level {level:g} S" + (f" at {t:g} s" if self.t_s is not None else "")
                mean[row, column], sigma[row, column], count[row, column] = self._cell(
                    now & (self.target_S == level), at
                )
        return Table(
            self.source,
            tuple(levels.tolist()),
            tuple(times.tolist()) if len(times) > 1 else (),
            tuple(map(tuple, mean.tolist())),
            tuple(map(tuple, sigma.tolist())),
            tuple(map(tuple, count.tolist())),
            self._correlation(times, levels, mean, sigma),
        )

    def _cell(self, here: NDArray[np.bool_], at: str) -> tuple[float, float, int]:
        if self.measured_S is not None:
            values = self.measured_S[here]
            if len(values) < 2:
                raise InputError(f"{self.name}: {at} must have at least two samples (got {len(values)})")
            return float(values.mean()), float(values.std(ddof=1)), len(values)
        assert self.mean_S is not None
        assert self.sigma_S is not None
        if not here.any():
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
        if len(pairs) < 3:
            return None
        return float(np.clip(np.corrcoef(np.array(pairs).T)[0, 1], 0.0, 1.0))


def read_measurements(path: Path | str) -> Measurements:
    """Read and check a file of samples or of a summary.

    Raises InputError with every problem, each as ``file:line: what is allowed (got ...)``.
    """
    name = str(path)
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: must be text in UTF-8 (got the byte {data[error.start]:#04x})") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"{name}: must begin with a line that names its columns (got an empty file)")
    rows = [(number, [field.strip() for field in next(csv.reader([line]))]) for number, line in lines]
    columns, kind = _header(name, *rows[0])
    if len(rows) == 1:
        raise InputError(f"{name}:{rows[0][0]}: must be followed by measurements (got none)")
    problems: list[str] = []
    values = [_row(name, number, fields, columns, problems) for number, fields in rows[1:]]
    if problems:
        raise InputError(problems)
    found = {column: np.array([row[at] for row in values]) for at, (column, _) in enumerate(columns)}
    numbers = np.array([number for number, _ in rows[1:]])
    if kind == SUMMARY:
        _refuse_disorder(name, numbers, found)
    return Measurements(name, hashlib.sha256(data).hexdigest(), numbers, **found)


def _header(name: str, line: int, fields: list[str]) -> tuple[list[tuple[str, float]], tuple[str, ...]]:
    """Each column's name in siemens, with the divisor to get there, and which of the two formats it is."""
    columns: list[tuple[str, float]] = []
    for field in fields:
        unit = next((unit for unit in sorted(PER_SIEMENS, key=len, reverse=True) if field.endswith(unit)), None)
        columns.append((field[: -len(unit)] + "_S", PER_SIEMENS[unit]) if unit else (field, 1.0))
    names = [column for column, _ in columns]
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
    return columns, kind


def _row(
    name: str, line: int, fields: list[str], columns: list[tuple[str, float]], problems: list[str]
) -> list[float | str]:
    if len(fields) != len(columns):
        problems.append(f"{name}:{line}: must have {len(columns)} fields (got {len(fields)})")
        return []
    values: list[float | str] = []
    for field, (column, divisor) in zip(fields, columns, strict=True):
        if column in TEXT:
            values.append(field)
            continue
        try:
            value = float(field) / divisor
        except ValueError:
            value = math.nan
        allowed = _allowed(column)
        top = LARGEST_S if column.endswith("_S") else math.inf
        least = 2.0 if column == "count" else 0.0
        whole = column != "count" or value == round(value)
        if not (least <= value <= top and math.isfinite(value) and whole):
            hint = "; is the column in uS? then name it _uS" if value > top and divisor == 1.0 else ""
            problems.append(f"{name}:{line}: {column} must be {allowed} (got {field or 'nothing'}){hint}")
        values.append(value)
    return values


def _allowed(column: str) -> str:
    if column == "count":
        return "a whole number of at least 2"
    return "a number of seconds, at least 0" if column == "t_s" else f"a conductance from 0 to {LARGEST_S:g} S"


def _refuse_disorder(name: str, lines: NDArray[np.int64], found: dict[str, NDArray[np.generic]]) -> None:
    """Levels of a summary rise within a time, and times rise: a swapped or doubled line is a mistake of the file."""
    keys = list(zip(found.get("t_s", np.zeros(len(lines))).tolist(), found["target_S"].tolist(), strict=True))
    for line, before, now in zip(lines[1:], keys, keys[1:], strict=False):
        if now <= before:
            what = "is there already" if now in keys[: keys.index(before) + 1] else "comes after a larger one"
            raise InputError(
                f"{name}:{line}: levels must rise within a time, and times rise (got {now[1]:g} S, which {what})"
            )
