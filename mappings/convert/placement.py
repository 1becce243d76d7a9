"""Small layers in one tile: along its diagonal, so that they share neither word lines nor columns.

A layer that does not fill its tile leaves lines, drivers, front ends and converters that do nothing. Layers work one
after the other. While one does, the word lines of the others stay at 0 V, so that their cells bring no charge to any
column, and its own lines drive, beside its own cells, only cells that hold no weight, on columns that nothing converts:
what empty columns of a tile are anyway. So a layer computes in a shared tile what it computes in one of its own, in the
same time; what stands is paid once. Cells off the diagonal stay empty: layers that fill the word lines of a tile cannot
share it, however few columns they have. The wires of a layer are those of a tile that it has for itself.

Arrays that work at the same time (of one layer, and its copies) do not share: the lines of one would drive the idle
cells of the others' columns.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from devices import InputError
from mappings.network.dense import MappedDense
from mappings.network.layer import MappedMatrixLayer

Arrays = dict[str, dict[str, MappedMatrixLayer]]


@dataclass
class SharedTile:
    """A tile of several arrays: by name, word lines and columns of each; ``layers``: whose they are."""

    of: MappedMatrixLayer
    arrays: dict[str, tuple[int, int]] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)

    @property
    def used(self) -> tuple[int, int]:
        """Word lines and columns that are taken."""
        return sum(rows for rows, _ in self.arrays.values()), sum(columns for _, columns in self.arrays.values())

    def fits(self, layer: str, array: MappedMatrixLayer) -> bool:
        """Whether the tile is of the array's kind, and has lines and columns left for it."""
        rows, columns, grid = *self.used, self.of.grid
        alike = replace(array.chip, driver=self.of.chip.driver) == self.of.chip and array.grid.rows == grid.rows
        fits = rows + array.matrix.rows <= grid.rows and columns + array.matrix.columns <= grid.columns
        return alike and fits and layer not in self.layers

    @property
    def utilisation(self) -> float:
        """Share of the tile's places at which there is a weight [1]."""
        return sum(rows * columns for rows, columns in self.arrays.values()) / (
            self.of.grid.rows * self.of.grid.columns
        )

    def counted(self) -> dict[str, tuple[int, int]]:
        """Word lines and columns of the whole tile as each array counts them: its own, and its share of the idle."""
        grid, used = self.of.grid, self.used
        found: dict[str, tuple[int, int]] = {}
        rows_before = columns_before = rows_given = columns_given = 0
        for name, (rows, columns) in self.arrays.items():
            rows_before, columns_before = rows_before + rows, columns_before + columns
            to_row, to_column = round(grid.rows * rows_before / used[0]), round(grid.columns * columns_before / used[1])
            found[name] = to_row - rows_given, to_column - columns_given
            rows_given, columns_given = to_row, to_column
        return found


def check_shared(layers: Sequence[str], patterns: Sequence[str]) -> None:
    """Raise InputError for a pattern that matches no layer."""
    idle = [one for one in patterns if not fnmatch.filter(layers, one)]
    if idle:
        raise InputError(f"shared_tiles: {', '.join(idle)}: matches no layer (layers: {', '.join(layers)})")


def shared(arrays: Arrays, patterns: Sequence[str]) -> tuple[Arrays, tuple[SharedTile, ...]]:
    """Arrays with what they count of the tiles that they share, and these tiles.

    Arrays of one tile, of layers that a pattern matches, are put into the first tile that they fit into, those of most
    lines and columns first.
    """
    small: Mapping[str, tuple[str, MappedMatrixLayer]] = {
        array: (name, one)
        for name, of in arrays.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        for array, one in of.items()
        if isinstance(one, MappedDense) and one.grid.tiles == 1
    }
    tiles: list[SharedTile] = []
    for array in sorted(small, key=lambda one: -max(_sizes(small[one][1]))):
        name, one = small[array]
        tile = next((tile for tile in tiles if tile.fits(name, one)), None)
        if tile is None:
            tile = SharedTile(one)
            tiles.append(tile)
        tile.arrays[array] = one.matrix.rows, one.matrix.columns
        tile.layers.add(name)
    together = tuple(tile for tile in tiles if len(tile.arrays) > 1)
    parts = {array: part for tile in together for array, part in tile.counted().items()}
    placed = {
        name: {array: replace(one, part=parts[array]) if array in parts else one for array, one in of.items()}
        for name, of in arrays.items()
    }
    return placed, together


def alone(arrays: Arrays, tiles: Sequence[SharedTile], patterns: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each pattern of whose layers none has come to share a tile."""
    together = {name for tile in tiles for name in tile.layers}
    return tuple(
        f"shared_tiles: {pattern}: none of its layers shares a tile; in a tile of "
        f"{' and '.join(dict.fromkeys(f'{one.grid.rows} x {one.grid.columns}' for one in of))} no two fit along the "
        "diagonal, of one kind of chip and each of one tile."
        for pattern in patterns
        if not together.intersection(names := fnmatch.filter(arrays, pattern))
        and (of := [one for name in names for one in arrays[name].values()])
    )


def _sizes(one: MappedMatrixLayer) -> tuple[float, float]:
    """Shares of the word lines and columns of a tile."""
    return one.matrix.rows / one.grid.rows, one.matrix.columns / one.grid.columns
