"""A sparse matrix on tiles in four steps: the matrix, its tiles for given inputs, its cells, and what they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from scipy import sparse

from devices import ChipStreams, InputError, Stream
from mappings.actions import Actions
from mappings.contract import Layer, LayerRead, MappedLayer, ProgrammedLayer
from mappings.sparse.accuracy import SparseAccuracy, accuracy
from mappings.sparse.exact.product import spgemm
from mappings.sparse.tiles.actions import product_actions
from mappings.sparse.tiles.chip import SparseMapping
from mappings.sparse.tiles.compute import compute
from mappings.sparse.tiles.counting import SparseCounts, count
from mappings.sparse.tiles.product import ProductLayout, canonical
from mappings.sparse.tiles.writing import TileWrites, Written, WrittenTiles, write_tiles
from mappings.tile import TileGrid
from periphery.prices.cells import with_cells
from periphery.prices.component import Component, load_components
from periphery.prices.leakage import with_library


@dataclass(frozen=True, eq=False)
class SparseLayer(Layer):
    """A sparse matrix B that multiplies whatever comes in from the left: C = A B."""

    matrix: Any

    @cached_property
    def csr(self) -> Any:
        """CSR of float64 without duplicates and zeros; InputError where a value is not finite."""
        return canonical(self.matrix, "B")

    @property
    def inputs(self) -> int:
        """Rows of B."""
        return int(self.csr.shape[0])

    @property
    def outputs(self) -> int:
        """Columns of B."""
        return int(self.csr.shape[1])

    @property
    def parameters(self) -> int:
        """Nonzeros of B."""
        return int(self.csr.nnz)

    def map(self, chip: SparseMapping, *, name: str = "tiles", inputs: Any = None) -> MappedProduct:
        """Lay B on the tiles of a chip, for the rows of the matrix A in ``inputs``.

        Raises InputError where there is no A, and as ``ProductLayout.of`` does.
        """
        if inputs is None:
            raise InputError(f"{name}: inputs: the matrix A that drives the word lines (got none)")
        return MappedProduct.of(inputs, self.csr, chip, name=name)


class MappedProduct(ProductLayout, MappedLayer):
    """B on tiles, and A as what drives them; no cell is written."""

    @property
    def grid(self) -> TileGrid:
        """Tiles of all passes side by side, and the share of them that B's nonzeros fill."""
        return self.tiles.grid

    def components(self) -> Mapping[str, Component]:
        """The price list with the chip's cells and the converter that it names."""
        records = with_library(load_components(), "aladdin", self.chip.temperature_K)
        records = with_cells(records, self.chip.node_nm, weights=self.chip.device.kind)
        return {**records, self.chip.converter.name: self.chip.converter}

    @cached_property
    def counts(self) -> SparseCounts:
        """All activations of the product, with cells at their targets."""
        return count(self, threads=torch.get_num_threads())

    def actions(self, activity: SparseCounts | None = None, *, written: Written | None = None) -> Actions:
        """One product. ``activity``: counts of a part of it or an estimate, by default all activations are counted;
        ``written``: what a modelled write loop took, by default cells are priced."""
        notes = () if activity is not None else ("counted for these matrices, with cells at their targets",)
        counts = self.counts if activity is None else activity
        return product_actions(counts, self.mapping, self.circuits, name=self.name, written=written, notes=notes)

    def program(self, *, rng: ChipStreams) -> ProgrammedProduct:
        """Write B once on each chip of ``rng``."""
        return ProgrammedProduct(self, rng)


@dataclass(frozen=True, eq=False)
class ProgrammedProduct(ProgrammedLayer):
    """B as written on chips. The cells of so many tiles do not fit the memory: each chip's streams are kept."""

    mapped: MappedProduct
    rng: ChipStreams

    def tiles(self, chip: int = 0) -> Iterator[WrittenTiles]:
        """The tiles of one chip, some at a time; the same cells at every call."""
        return write_tiles(self.mapped, rng=self.rng.streams[chip])

    def at(self, t_s: float = 0.0) -> ProductRead:
        """The same cells ``t_s`` seconds after they were written."""
        self.mapped.chip.device.check_time(t_s)
        return ProductRead(self, t_s)


@dataclass(frozen=True, eq=False)
class ProductRead(LayerRead):
    """The chips at one time."""

    programmed: ProgrammedProduct
    t_s: float

    def run(self, exact: Any = None, *, threads: int | None = None) -> tuple[SparseRun, ...]:
        """C of every chip, whatever the number of ``threads``; ``exact``: A B in float64, where it is at hand."""
        mapped, runs = self.programmed.mapped, []
        threads = torch.get_num_threads() if threads is None else threads
        exact = spgemm(mapped.a, mapped.b, threads=threads) if exact is None else exact
        for chip in range(len(self.programmed.rng)):
            writes = TileWrites([], [])
            tiles = writes.of(self.programmed.tiles(chip), mapped.chip.write_rows_at_once)
            values, outside, ends = compute(mapped, exact, tiles, t_s=self.t_s, threads=threads)
            found = sparse.csr_array((values, exact.indices, exact.indptr), shape=exact.shape)
            runs.append(
                SparseRun(found, exact, mapped, self.t_s, writes.total(mapped.chip.tiles), outside, ends)
            )  # fmt: skip
        return tuple(runs)


@dataclass(frozen=True, eq=False)
class SparseRun:
    """One product in memory.

    Parameters
    ----------
    C : what the chip gives, CSR of float64, an entry wherever a partial product falls, also where its value is 0
    exact : A B in float64, with the same pattern
    mapped : how the product was laid out
    t_s : seconds since the cells were written
    written : what a modelled write loop took; None where the device has none
    beyond_codes, beyond_sums : conversions beyond the converter's codes, and additions that met the end of a fixed
        accumulator
    """

    C: Any
    exact: Any
    mapped: MappedProduct
    t_s: float
    written: Written | None
    beyond_codes: int
    beyond_sums: int

    @property
    def accuracy(self) -> SparseAccuracy:
        """Errors of C."""
        return accuracy(self.C, self.exact)

    @property
    def counts(self) -> SparseCounts:
        """What it took."""
        return self.mapped.counts

    @property
    def outside(self) -> float:
        """Share of conversions beyond the converter's codes [1]."""
        return self.beyond_codes / max(1.0, self.counts.conversions)

    @property
    def overflowed(self) -> float:
        """Share of additions that met the end of a fixed accumulator [1]."""
        return self.beyond_sums / max(1.0, self.counts.touched)

    def actions(self) -> Actions:
        """Actions, instances and schedule for the price list."""
        return self.mapped.actions(self.counts, written=self.written)


def multiply(
    A: Any, B: Any, mapping: SparseMapping, *, rng: Stream, t_s: float = 0.0, threads: int | None = None
) -> SparseRun:
    """The product of two sparse matrices on one chip, ``t_s`` seconds after B was written.

    The same stream is the same cells, at any time. Raises ``InputError`` as ``ProductLayout.of`` and ``spgemm`` do, and
    where nothing is known of the cells at ``t_s``.
    """
    mapped = SparseLayer(B).map(mapping, inputs=A)
    (run,) = mapped.program(rng=ChipStreams((rng,))).at(t_s).run(threads=threads)
    return run
