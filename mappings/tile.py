"""The tile: one array with its drivers, front ends and converters, which dense, sparse and liquid chips share."""

from __future__ import annotations

from dataclasses import dataclass

from crossbar import Encoding
from crossbar.wires import Wires
from devices import Device
from periphery.adc.base import ADC
from periphery.drivers import Driver

CELL_F, CELL_NODE_NM = 2.1e-15, 130.0
"""Line and access device of a NeuRRAM cell [F] (10.1038/s41586-022-04992-8), and its node; in proportion elsewhere."""


@dataclass(frozen=True, kw_only=True)
class TileGrid:
    """How many tiles a matrix takes, and how full they are.

    Parameters
    ----------
    row_tiles, column_tiles : tiles above each other, and side by side; a sparse matrix has one row of tiles
    rows, columns : word lines and columns of one tile
    used : crossings of a word line and a column at which a value is stored, over all tiles
    """

    row_tiles: int
    column_tiles: int
    rows: int
    columns: int
    used: float

    @property
    def tiles(self) -> int:
        """All of them."""
        return self.row_tiles * self.column_tiles

    @property
    def utilisation(self) -> float:
        """Share of the crossings at which a value is stored [1]; 0 where there is no tile."""
        return self.used / (self.tiles * self.rows * self.columns) if self.tiles else 0.0


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One array and the circuits around it.

    Parameters
    ----------
    rows, columns : word lines, and columns of one value a row, each of as many bit lines as a value has cells
    device, encoding : the cell, and how a value becomes cells; None where cells keep what forming left
    driver : of the word lines; None where lines are driven by spikes
    adc, adc_bits, columns_per_adc : the linear converter, and columns that take turns on one; None where there is none
    wires : resistance of the lines; None where they are ideal
    """

    rows: int
    columns: int
    device: Device
    encoding: Encoding | None = None
    driver: Driver | None = None
    adc: ADC | None = None
    adc_bits: int | None = None
    columns_per_adc: int | None = None
    wires: Wires | None = None

    def grid(self, rows: int, columns: int) -> TileGrid:
        """Tiles of a full matrix of ``rows`` word lines and ``columns`` columns."""
        return TileGrid(
            row_tiles=-(-rows // self.rows),
            column_tiles=-(-columns // self.columns),
            rows=self.rows,
            columns=self.columns,
            used=float(rows * columns),
        )

    def bit_line_F(self, rows: int, node_nm: float) -> float:
        """Capacitance of a bit line with so many cells [F]."""
        return rows * CELL_F * node_nm / CELL_NODE_NM
