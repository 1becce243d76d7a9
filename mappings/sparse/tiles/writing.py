"""B written on tiles, some at a time, and what that took where the device models a loop of pulses and verify reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from crossbar import Array, RelativeWeights
from crossbar.array import Tiling
from devices import ChipStreams, Stream
from devices.effects.write import WriteRecord
from mappings.sparse.tiles.product import ProductLayout

CELLS_AT_ONCE = 1 << 21
"""Cells programmed together: 8 MB of each of a device's quantities."""


@dataclass(frozen=True)
class Written:
    """Energy of all cells [J], and time with arrays written side by side, pass after pass [s]."""

    energy_J: float
    time_s: float


@dataclass(frozen=True, eq=False)
class WrittenTiles:
    """Some tiles of one chip.

    ``numbers``: which; ``array``: their cells, with tiles as its chips; ``wanted_S``: what each cell was meant to
    be [S]; ``streams``: of each tile.
    """

    numbers: NDArray[np.int64]
    array: Array
    wanted_S: torch.Tensor
    streams: ChipStreams


def write_tiles(product: ProductLayout, *, rng: Stream) -> Iterator[WrittenTiles]:
    """All tiles of one chip, some at a time, each from separate streams."""
    chip, tiles = product.chip, product.tiles
    height, width = tiles.rows, tiles.columns
    batch = max(1, CELLS_AT_ONCE // (product.parts.planes * height * (width + 1)))
    level = product.level[tiles.cell_entry]
    for first in range(0, tiles.tiles, batch):
        numbers = np.arange(first, min(first + batch, tiles.tiles))
        cells = slice(int(tiles.tile_ptr[numbers[0]]), int(tiles.tile_ptr[numbers[-1] + 1]))
        dense = torch.zeros(height, numbers.size * width)
        of_tile = np.repeat(np.arange(numbers.size), np.diff(tiles.tile_ptr[first : first + numbers.size + 1]))
        dense[
            torch.from_numpy(tiles.cell_row[cells].astype(np.int64)),
            torch.from_numpy(of_tile * width + tiles.cell_line[cells]),
        ] = torch.from_numpy(level[cells])
        tile_of_column = torch.arange(numbers.size).repeat_interleave(width)
        encoded = chip.encoding.lay(RelativeWeights(dense, torch.ones(dense.shape[1]), tile_of_column), chip.device)
        target = encoded.target_S
        wanted = target[..., : dense.shape[1]].unflatten(2, (numbers.size, width)).permute(2, 0, 1, 3)
        if encoded.reference is not None:
            wanted = torch.cat([wanted, target[..., dense.shape[1] :].permute(2, 0, 1)[..., None]], dim=3)
        wanted = wanted.contiguous()
        streams = ChipStreams(tuple(rng.child("tile", int(number)) for number in numbers))
        reference = None if encoded.reference is None else torch.zeros(width, dtype=torch.long)
        one = replace(encoded, target_S=wanted[0], scale_S=encoded.scale_S[:width], reference=reference)
        written = chip.device.program(wanted, rng=streams)
        array = Array(chip.device, one, written, Tiling(torch.zeros(width, dtype=torch.long), height))
        yield WrittenTiles(numbers, array, wanted, streams)


@dataclass(frozen=True)
class TileWrites:
    """Energy [J] and time [s] of each tile, gathered while tiles are written."""

    energy_J: list[float]
    time_s: list[float]

    def of(self, tiles: Iterable[WrittenTiles], rows_at_once: int) -> Iterator[WrittenTiles]:
        """The same tiles, with what writing them took added here."""
        for some in tiles:
            if some.array.cells.write is not None:
                self._add(some.array.cells.write, rows_at_once)
            yield some

    def _add(self, write: WriteRecord, rows_at_once: int) -> None:
        """Tiles ``(tiles, planes, rows, columns)``; planes are side by side on a word line, written together."""
        names = ("iterations", "converged", "energy_J", "time_s", "resets")
        record = replace(write, **{name: getattr(write, name).transpose(1, 2).flatten(2) for name in names})
        cost = record.total(rows_at_once=rows_at_once, columns_at_once=record.time_s.shape[-1])
        self.energy_J.extend(cost.energy_J.tolist())
        self.time_s.extend(cost.time_s.tolist())

    def total(self, tiles_a_pass: int) -> Written | None:
        """All of them; None where writing is not modelled."""
        if not self.energy_J:
            return None
        times = self.time_s
        passes = [max(times[first : first + tiles_a_pass]) for first in range(0, len(times), tiles_a_pass)]
        return Written(float(torch.tensor(self.energy_J, dtype=torch.float64).sum()), sum(passes))
