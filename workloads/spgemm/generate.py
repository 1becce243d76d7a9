"""Random sparse matrices: graphs with hubs (R-MAT) and without (Erdős and Rényi), from keyed streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray
from scipy import sparse

from configs.errors import InputError
from devices.streams import Stream
from mappings.sparse.exact.memory import SHARE, available_bytes
from workloads.spgemm.matrices import Matrix, tidy
from workloads.spgemm.matrix_market import LINE_BYTES

CHUNK = 1 << 22
LARGEST_SCALE, MOST_EDGES = 26, 1 << 28
"""Graph500's smallest graph has 2^26 rows; edges are limited by what drawing them takes."""
EDGE_BYTES = 64
"""Memory for each edge while a graph is drawn: row, column, and both as one number, sorted."""
Rows = Annotated[int, Interval(ge=1, le=1 << LARGEST_SCALE)]


def _check_edges(name: str, edges: float) -> None:
    """ValueError for more edges than any machine should draw."""
    if not edges <= MOST_EDGES:
        raise ValueError(f"{name}: at most {MOST_EDGES:,} edges in all (got {edges:g})")


def _check_memory(edges: int, size: int) -> None:
    """InputError where the graph would not fit the memory that is free."""
    needed, free = EDGE_BYTES * edges + LINE_BYTES * size, available_bytes()
    if free is not None and needed > SHARE * free:
        raise InputError(
            f"graph: {edges:,} edges over {size:,} rows and columns take {needed / 1e9:.1f} GB to draw; allowed are "
            f"{SHARE * free / 1e9:.1f} GB, {SHARE:.0%} of the memory that is free: choose fewer rows or edges"
        )


def _pattern(i: NDArray[np.int64], j: NDArray[np.int64], shape: tuple[int, int]) -> Any:
    """1 wherever an edge fell, however often."""
    ids = np.unique(i * shape[1] + j)
    return tidy(sparse.coo_array((np.ones(ids.size), (ids // shape[1], ids % shape[1])), shape=shape))


@dataclass(frozen=True, kw_only=True)
class RMAT:
    """A graph whose hubs have hubs: each edge falls into one quarter of the matrix, of the quarter, and so on.

    D. Chakrabarti, Y. Zhan, C. Faloutsos, SIAM SDM 2004, doi 10.1137/1.9781611972740.43; quarters as in Graph500.

    Parameters
    ----------
    scale : 2^scale rows and columns
    edge_factor : edges drawn per row; those that fall on one another count once
    a, b, c : share of the upper left, upper right and lower left quarter; the lower right has the rest
    """

    kind: Literal["rmat"] = "rmat"
    scale: Annotated[int, Interval(ge=1, le=LARGEST_SCALE)] = 14
    edge_factor: Annotated[float, Interval(gt=0.0, le=1e9)] = 8.0
    a: Annotated[float, Interval(ge=0, le=1)] = 0.57
    b: Annotated[float, Interval(ge=0, le=1)] = 0.19
    c: Annotated[float, Interval(ge=0, le=1)] = 0.19

    def __post_init__(self) -> None:
        if self.a + self.b + self.c > 1.0 + 1e-12:
            raise ValueError(f"a + b + c must be at most 1 (got {self.a + self.b + self.c:g})")
        _check_edges("edge_factor x 2^scale", self.edge_factor * 2.0 ** min(self.scale, LARGEST_SCALE))

    def draw(self, *, rng: Stream) -> Matrix:
        """One graph (values 1), from the stream alone."""
        size, generator = 1 << self.scale, rng.numpy()
        edges = round(self.edge_factor * size)
        _check_memory(edges, 2 * size)
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        for start in range(0, edges, CHUNK):
            i = np.zeros(min(CHUNK, edges - start), np.int64)
            j = np.zeros_like(i)
            for _ in range(self.scale):
                u = generator.random(i.size)
                down = u >= self.a + self.b
                right = ((u >= self.a) & ~down) | (u >= self.a + self.b + self.c)
                i, j = 2 * i + down, 2 * j + right
            parts.append((i, j))
        i, j = (np.concatenate(column) for column in zip(*parts, strict=True))
        name = f"rmat{self.scale}_{self.edge_factor:g}"
        return Matrix(name, _pattern(i, j, (size, size)), "pattern", f"generated: {self}")


@dataclass(frozen=True, kw_only=True)
class ErdosRenyi:
    """A matrix in which every entry is 1 with the same probability, whatever the others are.

    P. Erdős, A. Rényi, Publ. Math. Debrecen 6, 290 (1959).

    Parameters
    ----------
    rows, columns : shape; square where ``columns`` is None
    per_row : expected entries in each row
    """

    kind: Literal["erdos_renyi"] = "erdos_renyi"
    rows: Rows = 16384
    columns: Rows | None = None
    per_row: Annotated[float, Interval(gt=0.0, le=1 << LARGEST_SCALE)] = 8.0

    def __post_init__(self) -> None:
        if self.per_row > (self.columns or self.rows):
            raise ValueError(f"per_row must be at most the {self.columns or self.rows} columns (got {self.per_row:g})")
        _check_edges("rows x per_row", self.rows * self.per_row)

    def draw(self, *, rng: Stream) -> Matrix:
        """One matrix (values 1), from the stream alone: entries of a row follow the binomial law."""
        columns, generator = self.columns or self.rows, rng.numpy()
        cells = self.rows * columns
        _check_memory(round(self.rows * self.per_row), self.rows + columns)
        wanted = int(generator.binomial(cells, self.per_row / columns))
        dense = wanted > cells // 2
        kept = np.empty(0, np.int64)
        missing = cells - wanted if dense else wanted
        while kept.size < missing:
            fresh = generator.integers(0, cells, missing - kept.size)
            kept = np.unique(np.concatenate([kept, fresh]))
        if dense:
            kept = np.setdiff1d(np.arange(cells), kept, assume_unique=True)
        csr = _pattern(kept // columns, kept % columns, (self.rows, columns))
        name = f"erdos_renyi{self.rows}_{self.per_row:g}"
        return Matrix(name, csr, "pattern", f"generated: {self}")
