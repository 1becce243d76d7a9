"""The chip on which a sparse product runs in memory, and how B is laid on it.

**A's nonzeros are inputs**: the driver turns A[i, k] into a signed count on the word line of B's row k. Both signs use
the same cells: positive inputs first, then negative ones with the integrator's polarity turned, so that an activation
takes a second phase only where it has negative inputs. **B's nonzeros are cells**: one for 0/1, digits for reals, pairs
or an offset for signs.

Every row of a tile that row i of A needs is driven at once, up to ``rows_at_once``; more rows take more activations.
The limit is the converter's: the largest sum of so many rows has to be in its range. It is the off cells' limit, too,
whose spread no reference takes off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval

from crossbar import AnySparseEncoding, OneCell
from devices import AnyDevice, Ideal, InputError
from mappings.sparse.fabric.machine import Fabric, Hash
from mappings.sparse.tiles.cells import Parts, parts_of
from mappings.sparse.tiles.grouping import Order
from mappings.sparse.tiles.layout import Layout
from mappings.tile import Tile
from periphery.adc.kinds import AnyADC
from periphery.adc.quantiser import Quantiser
from periphery.drivers import AnyDriver, PWMDriver
from periphery.front_end import AnyFrontEnd, Integrator
from periphery.prices.adc import adc_component, priced_by
from periphery.prices.component import Component
from periphery.supply import AnyReadSupply, Regulated


@dataclass(frozen=True, kw_only=True)
class Merge:
    """The scratchpad in which words of all tiles that belong to one entry of C meet, by atomic additions.

    Parameters
    ----------
    fabric : scratchpad, its atomic units and the DRAM behind it; the fabric's threads play no part
    hash, fill : where a tag starts to look for a slot, and the share of slots that a window may need
    accumulator : ``float`` (rounded to ``bits`` significant bits after every addition) or ``fixed`` (two's complement
        of ``bits`` bits in units of the product's smallest step, saturating)
    bits : of the accumulator: 24 is a 32-bit float's significand, 11 a 16-bit one's, 53 a 64-bit one's
    """

    fabric: Fabric = field(default_factory=lambda: Fabric(tag_bytes=4, value_bytes=4, atomic_units=64))
    hash: Hash = "mixed"
    fill: Annotated[float, Interval(gt=0.0, le=0.95)] = 0.5
    accumulator: Literal["float", "fixed"] = "float"
    bits: Annotated[int, Interval(ge=4, le=53)] = 24

    @property
    def capacity(self) -> int:
        """Entries of one window."""
        return max(1, int(self.fill * self.fabric.slots(1)))


COLUMN = Integrator(division=8.0, capacitor="stacked_mim", auto_zero_F=0.5e-12, trim_bits=6)
"""A column's front end that leaves sums of 0/1 products within a step of a 6-bit converter: an estimate."""


@dataclass(frozen=True, kw_only=True)
class SparseChip:
    """Tiles, converters and scratchpad.

    Parameters
    ----------
    node_nm : technology node for which prices are scaled [nm]
    tiles : arrays on the chip; a B that needs more is written in passes
    rows, columns : word lines and bit lines of one array; a value takes as many bit lines as its encoding has planes
    device, encoding : the cell, and how a value becomes cells
    driver, input_bits : word-line drivers, and bits of an input with its sign: 2 for A of 0 and 1
    adc, adc_bits : the converter and its resolution
    adc_price : price model of the converter, which must be for its kind; None takes the first that is
    adc_rate_per_s : conversions per second of one converter [1/s]
    columns_per_adc : values side by side that take turns on one converter
    rows_at_once : rows driven in one activation at most; None: as many as the converter's codes distinguish
    lsb_units : one step of the converter [units]; None: the largest sum of ``rows_at_once`` rows reaches the last code,
        but no step below one unit where sums are whole numbers of them
    write_rows_at_once : word lines of one array that are written together
    front_end : what integrates a column's current and holds it for the converter, sized for the largest activation of a
        product; the converter's errors in volts relate to its swing
    read_supply : where the charge through the cells comes from
    temperature_K : of the circuit [K]
    compensation : ``tile``: each tile's converter reference follows the mean gain of its cells at the time of
        reading, found by comparing what they conduct with what they were meant to; the error of measuring it is left
        out. ``off``: the reference stays
    """

    description: str = ""
    source: str = ""
    cite: tuple[str, ...] = ()
    node_nm: Annotated[float, Interval(ge=7, le=130)] = 16.0
    tiles: Annotated[int, Interval(ge=1, le=1 << 24)] = 4096
    rows: Annotated[int, Interval(ge=1, le=4096)] = 128
    columns: Annotated[int, Interval(ge=2, le=4096)] = 128
    device: AnyDevice = Ideal()
    encoding: AnySparseEncoding = OneCell()
    driver: AnyDriver = PWMDriver()
    input_bits: Annotated[int, Interval(ge=2, le=12)] = 2
    adc: AnyADC = Quantiser()
    adc_bits: Annotated[int, Interval(ge=1, le=12)] = 6
    adc_price: str | None = None
    adc_rate_per_s: Annotated[float, Interval(ge=1.0, le=1e12)] = 1e8
    columns_per_adc: Annotated[int, Interval(ge=1, le=4096)] = 8
    rows_at_once: Annotated[int, Interval(ge=1, le=4096)] | None = None
    lsb_units: Annotated[float, Interval(ge=1e-9, le=1e9)] | None = None
    write_rows_at_once: Annotated[int, Interval(ge=1, le=4096)] = 1
    compensation: Literal["off", "tile"] = "off"
    front_end: AnyFrontEnd = COLUMN
    read_supply: AnyReadSupply = Regulated()
    temperature_K: Annotated[float, Interval(gt=0.0, le=1000.0)] = 300.0
    merge: Merge = field(default_factory=Merge)

    def __post_init__(self) -> None:
        try:
            priced_by(self.adc_price, self.adc.kind)
        except InputError as error:
            raise InputError(f"adc_price: {problem}" for problem in error.problems) from None
        try:
            self.read_supply.draw_V(self.driver.v_read_V, self.node_nm)
        except InputError as error:
            raise ValueError(f"driver.{error}") from None

    @property
    def parts(self) -> Parts:
        """Conversions of one column."""
        return parts_of(self.encoding, self.device)

    @property
    def values_per_row(self) -> int:
        """Values that are side by side in one array; ``InputError`` where not one fits."""
        parts = self.parts
        values = (self.columns - parts.references) // parts.planes
        if values < 1:
            raise InputError(
                f"columns: at least {parts.planes + parts.references} bit lines, one value's and its reference's "
                f"(got {self.columns})"
            )
        return values

    @property
    def bit_lines(self) -> int:
        """Bit lines of one array that hold values or their references."""
        return self.values_per_row * self.parts.planes + self.parts.references

    @property
    def adcs_per_tile(self) -> int:
        """Converters of one array."""
        return math.ceil(self.values_per_row / self.columns_per_adc)

    @property
    def converter(self) -> Component:
        """The converter as a component with a price."""
        model = priced_by(self.adc_price, self.adc.kind)
        return adc_component(model, bits=self.adc_bits, rate_per_s=self.adc_rate_per_s, node_nm=self.node_nm)

    @property
    def word_bits(self) -> int:
        """Width of a word after its digits, and the bits of its input, have been shifted and added."""
        weight = self.parts.weight
        bits = self.input_bits - 1 if self.driver.digital_accumulation else 0
        return self.adc_bits + round(math.log2(max(weight) / min(weight))) + bits

    @property
    def tile(self) -> Tile:
        """One array; its columns are the values that are side by side in it."""
        return Tile(
            rows=self.rows,
            columns=self.values_per_row,
            device=self.device,
            encoding=self.encoding,
            driver=self.driver,
            adc=self.adc,
            adc_bits=self.adc_bits,
            columns_per_adc=self.columns_per_adc,
        )


@dataclass(frozen=True, kw_only=True)
class SparseMapping:
    """How B is laid on a chip, and what shares a scale.

    Parameters
    ----------
    layout : ``compact`` (columns that hold something) or ``blocks`` (GraphR)
    order : order of B's rows on the word lines (``mappings.sparse.tiles.grouping``); ``best``: fewest tiles
    scale : values of the whole ``matrix``, of a ``tile`` or of a ``row`` of B share a full scale; a row's goes
        into the inputs of that row
    input_scale : inputs of the whole ``matrix`` A share their full scale, or those of each ``row``
    """

    chip: SparseChip = field(default_factory=SparseChip)
    layout: Layout = "compact"
    order: Order | Literal["best"] = "best"
    scale: Literal["matrix", "tile", "row"] = "matrix"
    input_scale: Literal["matrix", "row"] = "matrix"

    @property
    def scaled(self) -> bool:
        """Whether words or entries are multiplied by factors of tiles or rows."""
        return self.scale == "tile" or self.input_scale == "row"
