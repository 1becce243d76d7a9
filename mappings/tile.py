"""The tile: one array with its drivers, front ends and converters, which dense, sparse and liquid chips share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossbar import Encoding
from crossbar.encoding import RelativeWeights
from crossbar.wires import Wires
from devices import Device
from periphery.adc.base import ADC
from periphery.drivers import Driver


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

    @property
    def bit_lines(self) -> int:
        """Bit lines: those of all cells of a value, and of reference columns."""
        if self.encoding is None:
            return self.columns
        zero = RelativeWeights(torch.zeros(1, 1), torch.ones(1), torch.zeros(1, dtype=torch.long))
        planes, _, width = self.encoding.lay(zero, self.device).target_S.shape
        return planes * (self.columns + width - 1)

    @property
    def word_line_F(self) -> float:
        """Capacitance of one word line [F]; 0 where lines are ideal."""
        return self.wires.word_line_F(self.bit_lines) if self.wires else 0.0

    @property
    def bit_line_F(self) -> float:
        """Capacitance of one bit line [F]; 0 where lines are ideal."""
        return self.wires.bit_line_F(self.rows) if self.wires else 0.0

    def pulse_J(self, line_V: float, supply_V: float) -> float:
        """Energy that a pulse of ``line_V`` on one word line takes from its supply, ``C V_line V_supply`` [J]."""
        return self.word_line_F * line_V * supply_V

    @property
    def settling_s(self) -> tuple[float, str]:
        """Time until the slower kind of line has settled [s], and which it is; 0 where lines are ideal."""
        if self.wires is None:
            return 0.0, ""
        word_s, bit_s = self.wires.word_tau_s(self.bit_lines), self.wires.bit_tau_s(self.rows)
        slower = f"word line past {self.bit_lines} bit lines" if word_s > bit_s else f"bit line past {self.rows} rows"
        return self.wires.settle_taus * max(word_s, bit_s), slower

    def grid(self, rows: int, columns: int) -> TileGrid:
        """Tiles of a full matrix of ``rows`` word lines and ``columns`` columns."""
        return TileGrid(
            row_tiles=-(-rows // self.rows),
            column_tiles=-(-columns // self.columns),
            rows=self.rows,
            columns=self.columns,
            used=float(rows * columns),
        )
