"""What a sparse product does on the chip, counted activation by activation, without any conductance.

Time is a bound, not a cycle-accurate simulation. Tiles of a pass work side by side, each through its activations
one after the other: inputs are driven, then the converters of the tile take turns on the touched bit lines. They meet
at the end of every window of rows. A window lasts as long as its slowest tile, its atomic updates or its DRAM traffic,
whichever is longest; before each pass, arrays are written side by side, row by row.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mappings.sparse.exact.product import partial_products, spgemm
from mappings.sparse.tiles import kernel
from mappings.sparse.tiles.chip import SparseChip
from mappings.sparse.tiles.merging import hash_windows
from mappings.sparse.tiles.product import ProductLayout, clocks_of, rest_load_S
from periphery.prices.component import component

if TYPE_CHECKING:
    import pandas as pd

NAMES = (
    "activations", "row_drives", "products", "touched", "conversions", "rounds", "clocks", "pulses", "driven_clocks",
    "loss_S_clocks",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseCounts:
    """Counts of one product; times of its parts.

    Parameters
    ----------
    tiles, passes, lines : tiles that B takes, times that the chip is written, bit lines that hold something
    nonzeros, utilisation : of B, and the share of the tiles' crossings that they fill [1]
    rows_at_once : rows driven in one activation at most
    entries : of C
    activations, row_drives : one tile at a time, and the word lines driven in them
    products : scalar products that the activations sum as current; F, unless an input rounds to 0
    touched : bit lines read, one word each; every word is one atomic addition in the scratchpad
    conversions : conversions; ``touched`` times parts and phases that are converted apart
    rounds, clocks : turns of the converters, and clock periods of driving and settling, summed over activations
    pulses, driven_clocks : of all word lines
    loss_S_clocks : sum of conductance times clock periods at V_read, off cells and untouched bit lines included
    probes, collisions : slots looked at in the scratchpad, and those of them with another tag
    cells_written : cells of all tiles, off cells included, with their reference columns
    index_read_B : bytes of column lists read: a bit line a product, a column a word
    dram_read_B, dram_write_B : A in every pass, B once; words of a later pass meet those of the earlier ones in DRAM,
        at most every entry of a window
    write_s, tile_s, merge_s, dram_s, latency_s : writing; what tiles, atomics and DRAM would take alone; and together
    imbalance : longest time of a tile by the mean over tiles, in the sum over windows [1]
    per_window, per_tile : the same by window and by tile
    """

    tiles: int
    passes: int
    lines: int
    nonzeros: int
    utilisation: float
    rows_at_once: int
    entries: int
    activations: float
    row_drives: float
    products: float
    touched: float
    conversions: float
    rounds: float
    clocks: float
    pulses: float
    driven_clocks: float
    loss_S_clocks: float
    probes: float
    collisions: float
    cells_written: float
    index_read_B: float
    dram_read_B: float
    dram_write_B: float
    write_s: float
    tile_s: float
    merge_s: float
    dram_s: float
    latency_s: float
    imbalance: float
    per_window: pd.DataFrame
    per_tile: pd.DataFrame

    def row(self) -> dict[str, Any]:
        """One row of a table."""
        return {key: value for key, value in asdict(self).items() if not key.startswith("per_")}

    @property
    def products_per_activation(self) -> float:
        """Partial products summed as current in one activation, the mean."""
        return self.products / self.activations if self.activations else 0.0

    @property
    def products_per_word(self) -> float:
        """Partial products in one word: what the tiles save the scratchpad, compared with an atomic a product."""
        return self.products / self.touched if self.touched else 0.0


def row_ranges(work: NDArray[np.int64], window: NDArray[np.int64], threads: int) -> list[tuple[int, int]]:
    """Ranges of consecutive rows with about as many products each, cut between windows."""
    if not window.size:
        return []
    total = np.concatenate([[0], np.cumsum(work)])
    cuts = np.minimum(np.searchsorted(total, total[-1] * np.arange(1, threads) / threads), window.size - 1)
    edges = sorted({0, *np.searchsorted(window, window[cuts]).tolist(), window.size})
    return list(pairwise(edges))


def count(product: ProductLayout, pattern: Any | None = None, *, threads: int = 1) -> SparseCounts:
    """Walk through all activations. ``pattern``: the CSR pattern of C, where it is at hand."""
    chip, tiles = product.chip, product.tiles
    work = partial_products(product.a, product.b)
    window = product.windows(work)
    windows = int(window.max()) + 1 if window.size else 0
    if pattern is None:
        pattern = spgemm(product.a, product.b, dtype=bool)
    c_ptr, c_idx = pattern.indptr.astype(np.int64), pattern.indices
    hits = np.zeros(c_idx.size, np.int32)
    busy, merged = np.zeros((product.passes, windows)), np.zeros((product.passes, windows))
    rates = kernel.Rates(
        len(product.parts),
        chip.columns_per_adc,
        chip.tiles,
        *clocks_of(chip),
        float(chip.front_end.settle_clocks),
        chip.driver.t_clk_s,
        chip.converter.latency_s,
        *rest_load_S(product),
    )

    def part(span: tuple[int, int]) -> NDArray[np.float64]:
        per_tile = np.zeros((tiles.tiles, kernel.COUNTED))
        tally = kernel.Tally(window, c_ptr, c_idx, per_tile, busy, merged, hits)
        kernel.survey(span, product.entries, tiles.arrays, product.inputs, rates, tally)
        return per_tile

    spans = row_ranges(work, window, threads)
    with ThreadPoolExecutor(max(1, len(spans))) as pool:
        per_tile = sum(pool.map(part, spans), np.zeros((tiles.tiles, kernel.COUNTED)))
    table = hash_windows(c_ptr, c_idx, hits, window, product.b.shape[1], chip.merge)
    return _counts(product, c_idx.size, per_tile, table, busy, merged)


def write_s(chip: SparseChip, passes: int) -> float:
    """Time of writing a chip's arrays side by side, pass after pass, by the price of a written row [s]."""
    return passes * -(-chip.rows // chip.write_rows_at_once) * component("cell_write").latency_s


def _counts(
    product: ProductLayout, entries: int, per_tile: NDArray[np.float64], table: pd.DataFrame, busy: Any, merged: Any
) -> SparseCounts:
    import pandas as pd

    chip, tiles, fabric = product.chip, product.tiles, product.chip.merge.fabric
    total = dict(zip(NAMES, per_tile.sum(axis=0).tolist(), strict=True))
    filled = table["entries"].to_numpy(dtype=float)
    back = np.minimum(merged, filled)
    again = np.concatenate([np.zeros_like(back[:1]), np.minimum(back[1:], filled)]) if len(back) else back
    share = product.a.nnz * fabric.entry_bytes / max(1, merged.shape[1])
    atomics_s = fabric.atomics_s(merged)
    dram_s = (share + (back + again) * fabric.entry_bytes) / fabric.dram_bandwidth_B_s
    together = np.maximum(np.maximum(busy, atomics_s), dram_s)
    writing_s = write_s(chip, product.passes)
    tile_s = per_tile[:, kernel.CLOCKS] * chip.driver.t_clk_s + per_tile[:, kernel.ROUNDS] * chip.converter.latency_s
    mean = tile_s.sum() / max(1, tiles.tiles) * product.passes
    return SparseCounts(
        tiles=tiles.tiles,
        passes=product.passes,
        lines=tiles.lines,
        nonzeros=tiles.nonzeros,
        utilisation=tiles.grid.utilisation,
        rows_at_once=product.inputs.rows_at_once,
        entries=entries,
        probes=float(table["probes"].sum()),
        collisions=float(table["collisions"].sum()),
        cells_written=float(tiles.tiles) * chip.rows * chip.columns,
        index_read_B=total["products"] + total["touched"] * fabric.index_bytes,
        dram_read_B=float(product.passes * product.a.nnz + product.b.nnz) * fabric.entry_bytes
        + float(again.sum()) * fabric.entry_bytes,
        dram_write_B=float(back.sum()) * fabric.entry_bytes,
        write_s=writing_s,
        tile_s=float(busy.sum()),
        merge_s=float(atomics_s.sum()),
        dram_s=float(dram_s.sum()),
        latency_s=writing_s + float(together.sum()),
        imbalance=float(busy.sum() / mean) if mean else 1.0,
        per_window=table.assign(tile_s=busy.sum(0), atomics_s=atomics_s.sum(0), dram_s=dram_s.sum(0)),
        per_tile=pd.DataFrame(per_tile, columns=list(NAMES)).assign(time_s=tile_s),
        **total,
    )
