"""Sparse matrices from Matrix Market coordinate files, every fault with its line.

R. F. Boisvert, R. Pozo, K. A. Remington, "The Matrix Market Exchange Formats: Initial Design", NISTIR 5935 (1996).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import sparse

from configs.errors import InputError
from mappings.sparse.exact.memory import SHARE, available_bytes
from workloads.spgemm.number_lines import NumberLines

Values = Literal["pattern", "integer", "real"]
LINE_BYTES = 100
"""Memory that a run takes for each row and column, whatever they hold: an estimate; a run with 3e6 of them took 50."""
LINES, LINES_PER_ENTRY = 4_000_000, 100
"""Rows and columns that a matrix may have however empty it is, and further ones for each entry."""


class DenseMatrix(InputError):
    """A file that holds every entry, such as the right-hand side beside a sparse matrix."""


def check_size(rows: int, columns: int, entries: int, where: str) -> None:
    """InputError where rows and columns alone, with nothing in them, take more memory than there is or is sensible."""
    free = available_bytes()
    most = LINES + LINES_PER_ENTRY * entries
    if free is not None:
        most = min(most, int(SHARE * free / LINE_BYTES))
    if rows + columns > most:
        raise InputError(
            f"{where}: at most {most:,} rows and columns together, since each takes {LINE_BYTES} bytes also where it "
            f"is empty (got {rows:,} x {columns:,} with {entries:,} entries); leave empty ones out, or give a list of "
            "edges (.txt), whose nodes are numbered anew"
        )


def matrix_market(text: bytes, file: str) -> tuple[Any, Values]:
    """The matrix (COO, float64) in a Matrix Market coordinate file, and what its values are.

    Symmetric and skew-symmetric files hold the lower triangle and come back in full. ``file``: its name in messages.
    Raises ``InputError`` with file and line for anything else, ``DenseMatrix`` for an array file.
    """
    banner = text[: text.find(b"\n") + 1 or len(text)]
    words = banner.decode("utf-8", "replace").lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        raise InputError(f"{file}:1: %%MatrixMarket matrix coordinate FIELD SYMMETRY (got {' '.join(words)!r:.60})")
    allowed = (("coordinate",), ("pattern", "integer", "real"), ("general", "symmetric", "skew-symmetric"))
    for word, choices in zip(words[2:], allowed, strict=True):
        if word not in choices and not (word == "double" and "real" in choices):
            kind = DenseMatrix if word == "array" else InputError
            raise kind(f"{file}:1: {', '.join(choices)} (got {word!r:.60})")
    values: Values = "pattern" if words[3] == "pattern" else "integer" if words[3] == "integer" else "real"
    symmetry, number, at, size = words[4], 1, len(banner), b""
    while at < len(text) and (not size or size.startswith(b"%")):
        end = text.find(b"\n", at) + 1 or len(text)
        size, at, number = text[at:end].strip(), end, number + 1
    sizes = size.decode("utf-8", "replace").split()
    if len(sizes) != 3 or not all(word.isascii() and word.isdigit() for word in sizes):
        raise InputError(f"{file}:{number}: rows, columns and entries (got {' '.join(sizes)!r:.60})")
    if any(len(word.lstrip("0")) > 18 for word in sizes):
        raise InputError(f"{file}:{number}: sizes below 1e18 (got {' '.join(sizes)!r:.60})")
    rows, columns, entries = (int(word) for word in sizes)
    if symmetry != "general" and rows != columns:
        raise InputError(f"{file}:{number}: as many rows as columns where a file is {symmetry} (got {rows}, {columns})")
    check_size(rows, columns, entries, f"{file}:{number}")
    width = 2 if values == "pattern" else 3
    lines = NumberLines(text[at:], file, number, width, 1, (rows, columns), whole=values == "integer")
    i, j, v = lines.read(entries)
    if symmetry != "general":
        above = np.flatnonzero(i < j + (symmetry == "skew-symmetric"))
        if above.size:
            first, more = int(above[0]), f", and {above.size - 1} more" * (above.size > 1)
            raise InputError(
                f"{file}:{lines.line_of(first)}: entries below the diagonal{' or on it' * (symmetry == 'symmetric')} "
                f"where a file is {symmetry} (got row {i[first]}, column {j[first]}{more}): write "
                f"'general' for {symmetry!r} in line 1 if both triangles are listed, else each entry once, below"
            )
        off = i != j
        mirrored = -v[off] if symmetry == "skew-symmetric" else v[off]
        i, j, v = np.concatenate([i, j[off]]), np.concatenate([j, i[off]]), np.concatenate([v, mirrored])
    return sparse.coo_array((v, (i - 1, j - 1)), shape=(rows, columns)), values
