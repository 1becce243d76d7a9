"""Lines of numbers: NumPy reads them by the megabyte, and only what it refuses is walked through, to name the line.

SciPy's ``mmread`` is three times as fast, and reads ``2.5d-01`` as 2.5 and ``1_0`` as 1, passes over a fourth column,
and ends the process at a NUL byte (1.17.1); ``numpy.loadtxt`` refuses each of these, and rounds correctly.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
LARGEST_WHOLE = 2**53
"""Whole numbers below it, and not all beyond, are float64."""
LARGEST_ID = 2**63 - 1
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_PIECE = 1 << 23
_COMMENT = re.compile(rb"^[ \t]*[%#].*$", re.MULTILINE)
_FORTRAN = bytes.maketrans(b"dD", b"eE")
_FIELDS = [("row", np.int64), ("column", np.int64), ("value", np.float64)]


@dataclass(frozen=True)
class NumberLines:
    """Two whole numbers a line, and a value where ``width`` is 3, after ``header_lines`` lines of a file.

    Parameters
    ----------
    file : name in messages
    limits : the largest first and second number; ``first`` is the smallest of both
    whole : values are integers
    names : of the two numbers, in messages
    separator : of a line's numbers; blanks where None
    columns : those of a line that are read, where there are more
    """

    text: bytes
    file: str
    header_lines: int
    width: int
    first: int
    limits: tuple[int, int]
    whole: bool = False
    names: tuple[str, str] = ("row", "column")
    separator: str | None = None
    columns: tuple[int, ...] | None = None

    def read(self, entries: int | None = None) -> Columns:
        """Both numbers and the values (1 where there are none); ``entries``: how many lines there must be, if known.

        Comments (``%``, ``#``) and blank lines are passed over. Raises InputError with file and line.
        """
        parts: list[NDArray[np.void]] = []
        line, found = self.header_lines, 0
        for piece in self._pieces():
            part = self._at_once(piece)
            if part is None or (entries is not None and found + part.size > entries):
                raise self._fault(piece, line, found, entries)
            parts.append(part)
            found += part.size
            line += piece.count(b"\n")
        if entries is not None and found < entries:
            line += not self.text.endswith(b"\n") and bool(self.text)
            raise InputError(f"{self.file}:{line}: {entries} entries, as announced (the file ends after {found})")
        table = np.concatenate([np.empty(0, _FIELDS[: self.width]), *parts])
        values = table["value"] if self.width == 3 else np.ones(table.size)
        return table["row"], table["column"], values

    def line_of(self, entry: int) -> int:
        """In which line of the file an entry is, counted from 0."""
        return next(islice(self._lines(self.text, self.header_lines), entry, None))[0]

    def _pieces(self) -> Iterator[bytes]:
        start = 0
        while start < len(self.text):
            stop = self.text.find(b"\n", start + _PIECE) + 1 or len(self.text)
            yield self.text[start:stop]
            start = stop

    def _lines(self, piece: bytes, before: int) -> Iterator[tuple[int, bytes]]:
        """Number and text of each line that is neither blank nor a comment."""
        for number, line in enumerate(piece.split(b"\n"), before + 1):
            if line.strip() and not line.lstrip().startswith((b"%", b"#")):
                yield number, line

    def _at_once(self, piece: bytes) -> NDArray[np.void] | None:
        """All numbers of a piece, or None where anything is not as it should be."""
        if b"%" in piece or b"#" in piece:
            piece = _COMMENT.sub(b"", piece)
        if b"d" in piece or b"D" in piece:
            piece = piece.translate(_FORTRAN)
        fields = _FIELDS[: self.width]
        if not piece or piece.isspace():
            return np.empty(0, fields)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                table: NDArray[np.void] = np.loadtxt(
                    io.BytesIO(piece), fields, comments=None, delimiter=self.separator, quotechar='"',
                    usecols=self.columns, ndmin=1, encoding="ascii",
                )  # fmt: skip
        except (ValueError, OverflowError, Warning):
            return None
        for name, limit in zip(("row", "column"), self.limits, strict=True):
            if (table[name] < self.first).any() or (table[name] > limit).any():
                return None
        if self.width == 3:
            values = table["value"]
            whole = (values == np.floor(values)) & (np.abs(values) < LARGEST_WHOLE) if self.whole else True
            if not (np.isfinite(values) & whole).all():
                return None
        return table

    def _fault(self, piece: bytes, line: int, found: int, entries: int | None) -> InputError:
        """What is wrong with a piece, with the line."""
        for number, raw in self._lines(piece, line):
            text = raw.decode("utf-8", "replace")
            if entries is not None and found == entries:
                return InputError(
                    f"{self.file}:{number}: no more than the {entries} entries announced (got {text!r:.60})"
                )
            if (wrong := self._wrong(text)) is not None:
                return InputError(f"{self.file}:{number}: {wrong}")
            found += 1
        return InputError(f"{self.file}:{line + 1}: lines of {self.width} numbers (got others in what follows)")

    def _wrong(self, text: str) -> str | None:
        words = [word.strip().strip('"') for word in text.split(self.separator)]
        if self.columns is None and len(words) != self.width:
            return f"{self.width} numbers (got {text.strip()!r:.60})"
        if self.columns is not None:
            if len(words) <= max(self.columns):
                return f"at least {max(self.columns) + 1} columns (got {text.strip()!r:.60})"
            words = [words[column] for column in self.columns]
        for word, name, limit in zip(words, self.names, self.limits, strict=False):
            digits = word.removeprefix("+")
            if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and self.first <= int(digits) <= limit):
                return f"{name} from {self.first} to {limit} (got {word!r:.60})"
        for word in words[2:]:
            plain = word.translate({ord("d"): "e", ord("D"): "E"})
            value = float(plain) if NUMBER.fullmatch(plain) else np.nan
            if not np.isfinite(value):
                return f"value: {'an integer' if self.whole else 'a finite number'} (got {word!r:.60})"
            if self.whole and value != np.floor(value):
                return f"value: an integer (got {word!r:.60})"
            if self.whole and abs(value) >= LARGEST_WHOLE:
                return f"value: an integer below 2^53 in size, which float64 holds exactly (got {word!r:.60})"
        return None
