"""Where the nonzeros of a sparse B are on tiles: rows of B are word lines, columns of B are bit lines.

Word lines first: B's rows are put in some order (``tiles.grouping``), and every R of them are a *group*, which
shares its inputs. A group's bit lines then, by one of two layouts:

- **blocks** (GraphR): the columns of B, in their order, are cut every C of them, and each block that holds anything is
  one tile, empty columns included;
- **compact**: only columns that hold something in this group get a bit line, and that list is cut every C of them.

With the same rows in a group, compact never takes more tiles: a block that is a tile holds at least one such column and
at most C. The price is a list of columns a tile, which names the column of B on each bit line, and so the bit lines
that an activation touches: no other one is converted.

Everything is kept as arrays over nonzeros, tiles and bit lines: nothing is as large as R x C x tiles.

GraphR: L. Song et al., HPCA 2018, doi 10.1109/HPCA.2018.00052.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from mappings.sparse.tiles.kernel import Tiles
from mappings.tile import TileGrid

Layout = Literal["blocks", "compact"]
LAYOUTS: tuple[Layout, ...] = ("blocks", "compact")
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TileMap:
    """Tile, word line and bit line of every nonzero of B. Nonzeros are sorted by tile, word line, bit line.

    Parameters
    ----------
    rows, columns : word lines and bit lines of one tile (R, C), reference lines not counted
    shape : of B
    position : word line of each row of B over all groups, ``(k,)``; -1 for a row that holds nothing and has none
    groups : sets of R word lines
    tile_ptr : nonzeros of tile t are ``tile_ptr[t] .. tile_ptr[t + 1] - 1``
    tile_group : group whose inputs tile t sees
    cell_row, cell_line : word line and bit line within its tile, of each nonzero
    cell_entry : the nonzero's position in B's CSR arrays
    line_start, line_column : bit line l of tile t is column ``line_column[line_start[t] + l]`` of B
    """

    layout: Layout
    rows: int
    columns: int
    shape: tuple[int, int]
    position: Ints
    groups: int
    tile_ptr: Ints
    tile_group: Ints
    cell_row: NDArray[np.int32]
    cell_line: NDArray[np.int32]
    cell_entry: Ints
    line_start: Ints
    line_column: Ints

    @property
    def tiles(self) -> int:
        """Tiles that hold something."""
        return self.tile_group.size

    @property
    def nonzeros(self) -> int:
        """Nonzeros of B."""
        return self.cell_row.size

    @property
    def grid(self) -> TileGrid:
        """The tiles side by side, and the share of them that nonzeros fill."""
        return TileGrid(
            row_tiles=1, column_tiles=self.tiles, rows=self.rows, columns=self.columns, used=float(self.nonzeros)
        )

    @property
    def arrays(self) -> Tiles:
        """As the compiled kernel takes them."""
        return Tiles(
            self.tile_ptr, self.tile_group, self.cell_row, self.cell_line, self.line_start, self.line_column,
            self.rows, self.columns,
        )  # fmt: skip

    @property
    def cell_tile(self) -> Ints:
        """Tile of each nonzero."""
        return np.repeat(np.arange(self.tiles), np.diff(self.tile_ptr))

    @property
    def lines(self) -> int:
        """Bit lines that hold something, over all tiles."""
        return int(np.unique(self.cell_tile * self.columns + self.cell_line).size)

    @property
    def fullest_line(self) -> int:
        """Nonzeros on the fullest bit line: no activation sums more of them."""
        if not self.nonzeros:
            return 0
        return int(np.unique(self.cell_tile * self.columns + self.cell_line, return_counts=True)[1].max())


def lay(
    b: Any, *, layout: Layout, rows: int, columns: int, row_order: Ints | None = None, column_order: Ints | None = None
) -> TileMap:
    """Put the CSR matrix ``b`` (without duplicates) on tiles of ``rows`` word lines and ``columns`` bit lines.

    ``row_order``: rows of B in the order of their word lines; rows left out must be empty; by default all, in B's
    order. ``column_order``: the same for columns, which matters to blocks alone.

    Raises ``InputError`` for a tile without lines, ValueError for an order that leaves out a row with nonzeros.
    """
    if rows < 1 or columns < 1:
        raise InputError(f"a tile: at least 1 word line and 1 bit line (got {rows} x {columns})")
    height, width = b.shape
    position = np.full(height, -1, np.int64)
    if row_order is None:
        position[:] = np.arange(height)
    else:
        position[row_order] = np.arange(row_order.size)
    of_entry = np.repeat(np.arange(height), np.diff(b.indptr))
    word_line = position[of_entry]
    if word_line.size and word_line.min() < 0:
        raise ValueError(f"row {int(of_entry[word_line.argmin()])} of B holds nonzeros and has no word line")
    group, row = word_line // rows, word_line % rows
    column = b.indices.astype(np.int64)
    if layout == "blocks":
        order = np.arange(width) if column_order is None else column_order.astype(np.int64)
        tile, line, tile_group, line_start, line_column = _blocks(group, column, order, columns)
    else:
        tile, line, tile_group, line_start, line_column = _compact(group, column, width, columns)
    # One stable sort by tile and word line; within a row, CSR's rising columns are rising bit lines unless reordered.
    sorted_entries = np.lexsort((line, row, tile))
    return TileMap(
        layout,
        rows,
        columns,
        (height, width),
        position,
        int(-(-(int(position.max()) + 1) // rows)) if height else 0,
        np.searchsorted(tile[sorted_entries], np.arange(tile_group.size + 1)),
        tile_group,
        row[sorted_entries].astype(np.int32),
        line[sorted_entries].astype(np.int32),
        sorted_entries,
        line_start,
        line_column,
    )


def _blocks(group: Ints, column: Ints, order: Ints, columns: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Tile and bit line of each nonzero, group of each tile, where its list of columns begins, and that list."""
    width = order.size
    position = np.empty(width, np.int64)
    position[order] = np.arange(width)
    across = position[column]
    blocks = max(-(-width // columns), 1)
    keys, tile = np.unique(group * blocks + across // columns, return_inverse=True)
    return tile, across % columns, keys // blocks, keys % blocks * columns, order


def _compact(group: Ints, column: Ints, width: int, columns: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The same for bit lines of columns that hold something in their group."""
    line_key, which = np.unique(group * width + column, return_inverse=True)
    line_group, line_column = line_key // max(width, 1), line_key % max(width, 1)
    first_line = np.searchsorted(line_group, line_group)
    piece_key = line_group * (width + 1) + (np.arange(line_key.size) - first_line) // columns
    keys, tile_of_line = np.unique(piece_key, return_inverse=True)
    line_start = np.searchsorted(piece_key, keys)
    tile = tile_of_line[which]
    return tile, which - line_start[tile], keys // (width + 1), line_start.astype(np.int64), line_column
