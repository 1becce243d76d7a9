"""Graphs from lists of edges as SNAP, KONECT and spreadsheets write them: what the header says decides the direction.

J. Leskovec, A. Krevl, "SNAP Datasets", snap.stanford.edu/data (2014); J. Kunegis, "KONECT", WWW 2013 Companion, doi
10.1145/2487788.2488173.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from configs.errors import InputError
from workloads.spgemm.matrix_market import Values
from workloads.spgemm.number_lines import LARGEST_ID, NUMBER, NumberLines

Direction = Literal["directed", "undirected", "bipartite"]
KONECT: dict[str, Direction] = {"sym": "undirected", "asym": "directed", "bip": "bipartite"}
SOURCES, TARGETS = ("source", "src", "from", "u", "1"), ("target", "dst", "destination", "to", "v", "2")
LEFT, RIGHT = ("user", "left"), ("item", "movie", "product", "right")
VALUES = ("value", "weight", "w", "rating")
ASKED = "columns named source and target, or user and item, with weight if there is one"


@dataclass(frozen=True)
class _Header:
    """How the lines of a list are to be read."""

    direction: Direction = "directed"
    columns: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def edge_list(text: bytes, file: str) -> tuple[Any, Values, tuple[str, ...]]:
    """The adjacency matrix (COO, float64) of a list of edges, what its values are, and what a reader must know.

    Each line holds two node numbers, source (row) and target (column), and a value if there is one, separated by
    blanks, tabs, commas or semicolons; the decimal mark may be a comma where the separator is not. Lines that begin
    with ``#`` or ``%`` are comments. A first line of words names the columns.

    Nodes are numbered anew from 0 in the order of their numbers, so nodes without an edge take no row; the two sides of
    a bipartite list are numbered each for itself. A list that its header calls undirected counts in both directions.
    Edges that are listed twice are added. Raises ``InputError`` with file and line.
    """
    at, number = 0, 0
    comments: list[str] = []
    while at < len(text) and (not (line := _line(text, at)).strip() or line.lstrip()[:1] in (b"#", b"%")):
        if line.strip() and len(comments) < 100:
            comments.append(line.decode("utf-8", "replace").strip().lower())
        at, number = at + len(line) + 1, number + 1
    first = _line(text, at)
    separator = _separator(first)
    words = _words(first, separator)
    header = _from_comments(comments, words)
    if words and not any(word[:1] in "+-.0123456789" for word in words if word):
        header = _from_names(words, f"{file}:{number + 1}", header)
        at, number = at + len(first) + 1, number + 1
    width = len(words) if header.columns is None else len(header.columns)
    if width not in (2, 3):
        raise InputError(f"{file}:{number + 1}: two node numbers, and a value if there is one (got {width} columns)")
    body = text[at:] if separator == "," else text[at:].replace(b",", b".")
    lines = NumberLines(
        body, file, number, width, 0, (LARGEST_ID, LARGEST_ID), names=("node", "node"), separator=separator,
        columns=header.columns,
    )  # fmt: skip
    i, j, v = lines.read()
    values: Values = "pattern" if width == 2 else "real"
    if header.direction == "bipartite":
        (left, i), (right, j) = (np.unique(side, return_inverse=True) for side in (i, j))
        matrix = sparse.coo_array((v, (i, j)), shape=(left.size, right.size))
        return matrix, values, (*header.notes, f"two kinds of nodes, {left.size} x {right.size}, numbered apart")
    nodes, renumbered = np.unique(np.concatenate([i, j]), return_inverse=True)
    matrix = sparse.coo_array((v, (renumbered[: i.size], renumbered[i.size :])), shape=(nodes.size, nodes.size))
    if header.direction == "directed":
        return matrix, values, header.notes
    if (matrix.tocsr() != matrix.T.tocsr()).nnz == 0:
        return matrix, values, (*header.notes, "its header says undirected, and both directions are listed")
    (i, j), off = matrix.coords, matrix.coords[0] != matrix.coords[1]
    i, j, v = np.concatenate([i, j[off]]), np.concatenate([j, i[off]]), np.concatenate([v, v[off]])
    both = sparse.coo_array((v, (i, j)), shape=matrix.shape)
    note = "its header says undirected, so that each edge counts in both directions"
    return both, values, (*header.notes, note)


def _line(text: bytes, at: int) -> bytes:
    end = text.find(b"\n", at)
    return text[at:] if end < 0 else text[at:end]


def _separator(line: bytes) -> str | None:
    """Semicolon, comma, or a tab between names; None for blanks. In ``1 2 0,5`` the comma is a decimal mark."""
    if b";" in line:
        return ";"
    if b"\t" in line:
        return None if line.lstrip()[:1].isdigit() else "\t"
    decimal = re.fullmatch(rb"\s*[0-9]+\s+[0-9]+\s+[-+]?[0-9]*,[0-9]+(?:[eE][-+]?[0-9]+)?\s*", line)
    return "," if b"," in line and not decimal else None


def _words(line: bytes, separator: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.decode("utf-8", "replace").split(separator)] if line else []


def _from_comments(comments: list[str], words: list[str]) -> _Header:
    """Direction from KONECT's first line (``% bip weighted``) or SNAP's words, and KONECT's time stamps left out."""
    konect = re.match(r"%\s*(sym|asym|bip)\s", comments[0] + " ") if comments else None
    if konect:
        timed = len(words) == 4 and all(NUMBER.fullmatch(word) for word in words)
        notes = ("its fourth column, the time of an edge, was left out",) if timed else ()
        return _Header(KONECT[konect[1]], (0, 1, 2) if timed else None, notes)
    stated = re.search(r"\b(un)?directed\s+(?:graph|network)", " ".join(comments))
    undirected = bool(stated[1]) if stated else bool(re.search(r"\bundirected\b", " ".join(comments)))
    return _Header("undirected" if undirected else "directed")


def _from_names(words: list[str], where: str, header: _Header) -> _Header:
    """Columns by their names, whatever their order."""
    plain = [re.sub(r"[^a-z0-9]|node", "", word.lower()).removesuffix("id") for word in words]

    def column(names: tuple[str, ...]) -> int | None:
        return next((at for at, name in enumerate(plain) if name in names), None)

    ends = (column(SOURCES), column(TARGETS))
    sides = (column(LEFT), column(RIGHT))
    bipartite = None in ends
    i, j = sides if bipartite else ends
    if i is None or j is None:
        raise InputError(f"{where}: {ASKED} (got {', '.join(words)!r:.60})")
    value = column(VALUES)
    used = (i, j) if value is None else (i, j, value)
    left = [word for at, word in enumerate(words) if at not in used]
    notes = (f"columns left out: {', '.join(left)}",) if left else ()
    return _Header("bipartite" if bipartite else header.direction, used, notes)
