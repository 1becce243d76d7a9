"""Sparse matrices from text: Matrix Market coordinate files and lists of edges, every fault with its line.

A body of numbers is read in one go. Only where something about it is odd is it read again line by line, which finds the
line that is wrong, or that nothing is.

R. F. Boisvert, R. Pozo, K. A. Remington, "The Matrix Market Exchange Formats: Initial Design", NISTIR 5935 (1996).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from configs.errors import InputError

Values = Literal["pattern", "integer", "real"]
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
LARGEST_ID = 2**53


def _lines_of(text: bytes, width: int) -> int | None:
    """How many lines there are, or None where one of them has not ``width`` words."""
    if text and not text.endswith(b"\n"):
        text += b"\n"
    characters = np.frombuffer(text, np.uint8)
    blank = characters <= ord(" ")
    begins = ~blank
    begins[1:] &= blank[:-1]
    words = np.cumsum(begins, dtype=np.int64)[characters == ord("\n")]
    return words.size if (words == width * np.arange(1, words.size + 1)).all() else None


@dataclass(frozen=True)
class _Body:
    """Rows of two or three numbers after ``header_lines`` lines of a file: what they may be, and where they are.

    ``limits``: the largest row and column; ``first``: the smallest of both.
    """

    text: bytes
    where: str
    header_lines: int
    width: int
    first: int
    limits: tuple[int, int]
    whole: bool
    names: tuple[str, str] = ("row", "column")

    def read(self, entries: int | None) -> Columns:
        """Rows, columns and values (1 where there are none); ``entries``: how many there must be, if announced."""
        table = self._at_once(entries)
        if table is None:
            table = self._line_by_line(entries)
        values = table[:, 2] if self.width == 3 else np.ones(len(table))
        return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), values

    def _at_once(self, entries: int | None) -> NDArray[np.float64] | None:
        """All numbers, or None where anything is not as it should be."""
        if b"%" in self.text or b"#" in self.text:
            return None
        lines = _lines_of(self.text, self.width)
        if lines is None or (entries is not None and lines != entries):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                numbers = np.fromstring(self.text.decode("ascii"), dtype=np.float64, sep=" ")
        except (ValueError, DeprecationWarning):
            return None
        if numbers.size != lines * self.width:
            return None
        table: NDArray[np.float64] = numbers.reshape(-1, self.width)
        if not np.isfinite(table).all():
            return None
        cells = table[:, :2]
        sound = (cells == np.floor(cells)) & (cells >= self.first) & (cells <= np.array(self.limits))
        whole = not self.whole or bool((table[:, 2:] == np.floor(table[:, 2:])).all())
        return table if sound.all() and whole else None

    def _line_by_line(self, entries: int | None) -> NDArray[np.float64]:
        found: list[list[float]] = []
        number = self.header_lines
        for number, line in enumerate(self.text.decode("utf-8", "replace").splitlines(), self.header_lines + 1):
            if not line.strip() or line.lstrip().startswith(("%", "#")):
                continue
            if entries is not None and len(found) == entries:
                raise InputError(
                    f"{self.where}:{number}: no more than the {entries} entries announced (got {line!r:.60})"
                )
            found.append(self._entry(line, f"{self.where}:{number}"))
        if entries is not None and len(found) < entries:
            raise InputError(
                f"{self.where}:{number}: {entries} entries, as announced (the file ends after {len(found)})"
            )
        return np.array(found, np.float64).reshape(-1, self.width)

    def _entry(self, line: str, where: str) -> list[float]:
        words = line.split()
        if len(words) != self.width:
            raise InputError(f"{where}: {self.width} numbers (got {line.strip()!r:.60})")
        for word, name, limit in zip(words, self.names, self.limits, strict=False):
            if not word.isascii() or not word.isdigit() or not self.first <= int(word) <= limit:
                raise InputError(f"{where}: {name} from {self.first} to {limit} (got {word!r:.60})")
        entry = [float(word) for word in words[:2]]
        for word in words[2:]:
            try:
                value = float(word)
            except ValueError:
                value = math.nan
            if not math.isfinite(value) or (self.whole and value != math.floor(value)):
                raise InputError(
                    f"{where}: value: {'an integer' if self.whole else 'a finite number'} (got {word!r:.60})"
                )
            entry.append(value)
        return entry


def matrix_market(text: bytes, where: str) -> tuple[Any, Values]:
    """The matrix (CSR, float64) in a Matrix Market coordinate file, and what its values are.

    Symmetric and skew-symmetric files have the lower triangle and come back in full; entries given twice are added.
    ``place``: the file's name in messages. Raises ``InputError`` with file and line for anything else.
    """
    banner, _, rest = text.partition(b"\n")
    words = banner.decode("utf-8", "replace").lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        raise InputError(f"{where}:1: %%MatrixMarket matrix coordinate FIELD SYMMETRY (got {' '.join(words)!r:.60})")
    allowed = (("coordinate",), ("pattern", "integer", "real"), ("general", "symmetric", "skew-symmetric"))
    for word, choices in zip(words[2:], allowed, strict=True):
        if word not in choices and not (word == "double" and "real" in choices):
            raise InputError(f"{where}:1: {', '.join(choices)} (got {word!r})")
    values: Values = "pattern" if words[3] == "pattern" else "integer" if words[3] == "integer" else "real"
    symmetry, number, size = words[4], 1, b""
    while rest and (not size or size.startswith(b"%")):
        size, _, rest = rest.partition(b"\n")
        size, number = size.strip(), number + 1
    sizes = size.decode("utf-8", "replace").split()
    if len(sizes) != 3 or not all(word.isascii() and word.isdigit() for word in sizes):
        raise InputError(f"{where}:{number}: rows, columns and entries (got {' '.join(sizes)!r:.60})")
    rows, columns, entries = (int(word) for word in sizes)
    if symmetry != "general" and rows != columns:
        raise InputError(
            f"{where}:{number}: as many rows as columns where a file is {symmetry} (got {rows}, {columns})"
        )
    width = 2 if values == "pattern" else 3
    body = _Body(rest, where, number, width, 1, (rows, columns), whole=values == "integer")
    i, j, v = body.read(entries)
    if symmetry != "general":
        above = np.flatnonzero(i < j + (symmetry == "skew-symmetric"))
        if above.size:
            at = _line_of_entry(rest, number, int(above[0]))
            raise InputError(
                f"{where}:{at}: entries below the diagonal{' or on it' * (symmetry == 'symmetric')} where a file is "
                f"{symmetry} (got row {i[above[0]]}, column {j[above[0]]})"
            )
        off = i != j
        mirrored = -v[off] if symmetry == "skew-symmetric" else v[off]
        i, j, v = np.concatenate([i, j[off]]), np.concatenate([j, i[off]]), np.concatenate([v, mirrored])
    return sparse.coo_array((v, (i - 1, j - 1)), shape=(rows, columns)).tocsr(), values


def _line_of_entry(body: bytes, header_lines: int, entry: int) -> int:
    lines = [n for n, line in enumerate(body.splitlines(), 1) if line.strip() and not line.lstrip().startswith(b"%")]
    return header_lines + lines[entry]


def edge_list(text: bytes, where: str) -> tuple[Any, Values]:
    """The adjacency matrix (CSR, float64) of a list of edges: two node numbers a line, and a value if there is one.

    Numbers are separated by blanks, tabs or commas; lines that begin with ``#`` or ``%`` are comments. Nodes are
    numbered anew from 0 in the order of their numbers, so nodes without an edge take no row. Edges given twice are
    added. Raises ``InputError`` with file and line.
    """
    number, rest = 0, text.replace(b",", b" ")
    while rest and (rest[:1] in b"#%" or not rest.partition(b"\n")[0].strip()):
        rest, number = rest.partition(b"\n")[2], number + 1
    width = len(rest.partition(b"\n")[0].split())
    if width not in (2, 3):
        raise InputError(f"{where}:{number + 1}: two node numbers, and a value if there is one (got {width} columns)")
    body = _Body(rest, where, number, width, 0, (LARGEST_ID, LARGEST_ID), whole=False, names=("node", "node"))
    i, j, v = body.read(None)
    nodes, renumbered = np.unique(np.concatenate([i, j]), return_inverse=True)
    i, j = renumbered[: i.size], renumbered[i.size :]
    values: Values = "pattern" if width == 2 else "real"
    return sparse.coo_array((v, (i, j)), shape=(nodes.size, nodes.size)).tocsr(), values
