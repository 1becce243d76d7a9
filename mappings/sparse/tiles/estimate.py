"""What a sparse product would take, from the lengths of rows and columns alone: no product is formed.

The pattern is taken as random with the given lengths (the configuration model). With a_k nonzeros in column k of A, r_i
in row i, b_k in row k of B and c_j in its column j:

(1) products            F = sum_k a_k b_k, exact
(2) lines of group g    L_g = sum_j 1 - exp(-S_g c_j / nnz(B)),   S_g = sum of b_k over its rows
(3) tiles               sum_g ceil(L_g / C);  for blocks, those of which (2) expects a nonzero
(4) row drives          sum_k a_k sum_t 1 - (1 - s_t)^b_k over the group's tiles; s_t: tile t's part of its lines
(5) activations         sum_i sum_t E[ceil(X / rows_at_once)],   X Poisson of mean r_i (drives of tile t) / nnz(A)
(6) words               sum_i sum_g sum_j 1 - exp(-P_ig c_j / nnz(B)),   P_ig = r_i sum_k a_k b_k / nnz(A)

each over histograms of the lengths. Real matrices have communities: rows of a group share more columns than (2) has it,
and a row of A drives more of one group than (5) has it, so tiles, activations and words come out too large there. With
``tiles``, B's tiles replace (2) to (4), and each of its bit lines (6): only A stays random.
``sample`` needs the matrices instead of lengths, and is right about both: it walks through some rows of A.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mappings.sparse.exact.product import partial_products
from mappings.sparse.tiles.chip import SparseMapping
from mappings.sparse.tiles.counting import SparseCounts, count, write_s
from mappings.sparse.tiles.layout import TileMap
from mappings.sparse.tiles.product import ProductLayout, canonical
from mappings.tile import TileGrid

Floats = NDArray[np.float64]
BINS = 96
EXTENSIVE = (
    "entries", "activations", "row_drives", "products", "touched", "conversions", "rounds", "clocks", "pulses",
    "driven_clocks", "loss_S_clocks", "probes", "collisions", "index_read_B", "dram_read_B", "dram_write_B", "tile_s",
    "merge_s", "dram_s",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lengths:
    """Nonzeros of every row and column of A and B."""

    a_rows: Floats
    a_columns: Floats
    b_rows: Floats
    b_columns: Floats

    @classmethod
    def of(cls, a: Any, b: Any) -> Lengths:
        """Lengths of two CSR matrices."""
        rows = [np.diff(matrix.indptr).astype(float) for matrix in (a, b)]
        columns = [np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(float) for matrix in (a, b)]
        return cls(rows[0], columns[0], rows[1], columns[1])

    @property
    def products(self) -> float:
        """F."""
        return float(self.a_columns @ self.b_rows)

    @property
    def nnz_a(self) -> float:
        """Nonzeros of A, at least 1: divided by."""
        return max(1.0, float(self.a_columns.sum()))

    @property
    def nnz_b(self) -> float:
        """Nonzeros of B, at least 1: divided by."""
        return max(1.0, float(self.b_rows.sum()))


def _binned(values: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Means and numbers of positive values in bins that are even in their logarithm."""
    kept = values > 0
    values = values[kept]
    many = np.ones(values.size) if weights is None else weights[kept]
    if not values.size:
        return np.zeros(0), np.zeros(0)
    edges = np.log(values)
    width = max((edges.max() - edges.min()) / BINS, 1e-9)
    index = ((edges - edges.min()) / width).astype(np.int64)
    number = np.bincount(index, many).astype(float)
    total = np.bincount(index, many * values)
    filled = number > 0
    return total[filled] / number[filled], number[filled]


def _pieces(mean: Floats, limit: float) -> Floats:
    """``E[ceil(X / limit)]`` of a Poisson number: at least one where anything is driven."""
    return np.maximum(-np.expm1(-mean), mean / limit + 0.5 * (mean > limit))


def _distinct(draws: Floats, share: Floats, many: Floats) -> Floats:
    """Different ones among so many draws, ``share`` the probability of each; shape of ``draws``."""
    flat = np.asarray(draws, float).ravel()
    found = np.concatenate(
        [-np.expm1(-np.outer(flat[n : n + 4096], share)) @ many for n in range(0, flat.size, 4096)] or [np.zeros(0)]
    )
    return found.reshape(np.shape(draws))


@dataclass(frozen=True)
class _Group:
    """Groups of word lines: (2) to (4). Arrays over groups.

    ``size``, ``tiles``: nonzeros of B, and tiles; ``full``, ``last``: part of the nonzeros in all tiles but the last,
    and in the last; ``rows``, ``of_row``: rows of B that hold something, and their groups; ``lines``, ``fullest``: bit
    lines of all groups, and nonzeros on the fullest.
    """

    rows: NDArray[np.int64]
    of_row: NDArray[np.int64]
    size: Floats
    tiles: Floats
    lines: float
    fullest: int
    full: Floats
    last: Floats

    def total(self, values: Floats) -> Floats:
        """Sum over the rows of each group."""
        return np.bincount(self.of_row, values, minlength=self.size.size).astype(float)

    @classmethod
    def of(cls, lengths: Lengths, mapping: SparseMapping, tiles: TileMap | None) -> _Group:
        """From lengths alone, or as B's ``tiles`` are."""
        wide, b_rows = mapping.chip.values_per_row, lengths.b_rows
        if tiles is None:
            position, groups = np.arange(b_rows.size), -(-b_rows.size // mapping.chip.rows)
        else:
            position, groups = tiles.position, tiles.groups
        rows = np.flatnonzero((b_rows > 0) & (position >= 0))
        of_row = position[rows] // mapping.chip.rows
        size = np.bincount(of_row, b_rows[rows], minlength=groups).astype(float)
        if tiles is not None:
            of_group = np.bincount(tiles.tile_group, minlength=groups).astype(float)
            lines_total, fullest = float(tiles.lines), tiles.fullest_line
            filled = np.unique(tiles.cell_tile * tiles.columns + tiles.cell_line) // tiles.columns
            lines = np.bincount(tiles.tile_group[filled], minlength=groups).astype(float)
        else:
            c, columns = _binned(lengths.b_columns)
            lines = _distinct(size, c / lengths.nnz_b, columns)
            lines_total, fullest = float(lines.sum()), int(lengths.b_columns.max(initial=0.0))
            if mapping.layout == "compact":
                of_group = np.ceil(lines / wide - 1e-9) * (size > 0)
            else:
                blocks = np.add.reduceat(lengths.b_columns, np.arange(0, lengths.b_columns.size, wide))
                weight, number = _binned(blocks)
                of_group = _distinct(size, weight / lengths.nnz_b, number)
        # Part of its group's nonzeros that a tile holds: compact fills all tiles but the last.
        even = 1.0 / np.maximum(of_group, 1.0)
        full = even if mapping.layout == "blocks" else np.minimum(1.0, wide / np.maximum(lines, 1.0))
        last = np.clip(1.0 - (of_group - 1.0) * full, 0.0, 1.0)
        return cls(rows, of_row, size, of_group, lines_total, fullest, full, last)


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """What the model gives: (1) to (6)."""

    tiles: float
    lines: float
    row_drives: float
    activations: float
    touched: float
    entries: float
    rows_at_once: int


def estimate(lengths: Lengths, mapping: SparseMapping, *, tiles: TileMap | None = None) -> SparseCounts:
    """Expected counts of a product of 0/1 matrices whose rows keep their order; ``tiles``: where B is laid already."""
    chip, high = mapping.chip, mapping.chip.rows
    a_columns, b_rows = lengths.a_columns, lengths.b_rows
    r, rows = _binned(lengths.a_rows)
    c, columns = _binned(lengths.b_columns)
    group = _Group.of(lengths, mapping, tiles)
    many, one = np.maximum(group.tiles - 1.0, 0.0), np.minimum(group.tiles, 1.0)
    drives = [
        group.total(
            a_columns[group.rows]
            * -np.expm1(b_rows[group.rows] * np.log1p(-np.minimum(part[group.of_row], 1.0 - 1e-12)))
        )
        for part in (group.full, group.last)
    ]
    codes = 2**chip.adc_bits - 1
    fitting = high if min(high, group.fullest) <= codes else min(high, codes)
    limit = float(min(high, chip.rows_at_once) if chip.rows_at_once else fitting)
    mean, tile_number = _binned(np.concatenate(drives) / lengths.nnz_a, np.concatenate([many, one]))
    if tiles is None:
        load, number = _binned(group.total(a_columns[group.rows] * b_rows[group.rows]) / lengths.nnz_a)
        share = c / lengths.nnz_b
        touched = float(sum(m * (rows @ _distinct(r * x, share, columns)) for x, m in zip(load, number, strict=True)))
    else:
        key = tiles.cell_tile * tiles.columns + tiles.cell_line
        entry_row = np.repeat(np.arange(b_rows.size), b_rows.astype(np.int64))[tiles.cell_entry]
        driven = np.bincount(np.unique(key, return_inverse=True)[1], a_columns[entry_row])
        load, number = _binned(driven / lengths.nnz_a)
        touched = float(rows @ _distinct(r, load, number))
    entries = float(rows @ _distinct(r * (lengths.products / lengths.nnz_a), c / lengths.nnz_b, columns))
    expected = _Expected(
        tiles=float(group.tiles.sum()),
        lines=group.lines,
        row_drives=float(drives[0] @ many + drives[1] @ one),
        activations=float(rows @ _pieces(np.outer(r, mean), limit) @ tile_number) if mean.size else 0.0,
        touched=max(touched, entries),
        entries=min(entries, touched),
        rows_at_once=int(limit),
    )
    return _counts(lengths, mapping, expected)


def _counts(lengths: Lengths, mapping: SparseMapping, model: _Expected) -> SparseCounts:
    """The rest of the counts from those that the model gives. Time: tiles share the work evenly, so it is a bound."""
    import pandas as pd

    chip, fabric, touched = mapping.chip, mapping.chip.merge.fabric, model.touched
    parts, driver, bits = chip.parts, chip.driver, chip.input_bits
    nnz_a, nnz_b = float(lengths.a_rows.sum()), float(lengths.b_rows.sum())
    tiles = max(1, round(model.tiles)) if nnz_b else 0
    passes = max(1, -(-tiles // chip.tiles))
    grid = TileGrid(row_tiles=1, column_tiles=tiles, rows=chip.rows, columns=chip.values_per_row, used=nnz_b)
    per_read = touched / max(model.activations, 1e-30)
    # Touched lines fall on the tile's converters at random; the mean load of those that are busy is taken for the
    # busiest one's, which is larger.
    turns = -np.expm1(-per_read / chip.adcs_per_tile) * chip.adcs_per_tile
    rounds = model.activations * len(parts) * max(1.0, per_read / max(turns, 1e-30))
    driven = driver.drive_clocks(bits) / (2 if driver.phases(bits) % 2 == 0 else 1)
    apart = driver.phases(bits) if driver.digital_accumulation else 1
    clocks = model.activations * (driven + chip.front_end.settle_clocks * apart)
    g_min_S, window_S = chip.device.g_min_S, chip.device.g_max_S - chip.device.g_min_S
    fill = nnz_b / max(1.0, tiles * chip.rows)
    load_S = (chip.values_per_row * parts.planes + parts.references) * g_min_S + fill * window_S
    windows = max(1.0, lengths.products / chip.merge.capacity)
    alpha = min(0.95, model.entries / windows / fabric.slots(1))
    probes = touched * 0.5 * (1.0 + 1.0 / (1.0 - alpha))
    item = fabric.entry_bytes
    tile_s = (clocks * driver.t_clk_s + rounds * chip.converter.latency_s) / max(1, min(tiles, chip.tiles))
    merge_s = fabric.atomics_s(touched)
    dram_read = (passes * nnz_a + nnz_b) * item + (passes - 1) * model.entries * item
    dram_write = passes * model.entries * item
    dram_s = (dram_read - nnz_b * item + dram_write) / fabric.dram_bandwidth_B_s
    writing_s = write_s(chip, passes)
    return SparseCounts(
        tiles=tiles,
        passes=passes,
        lines=round(model.lines),
        nonzeros=round(nnz_b),
        utilisation=grid.utilisation,
        rows_at_once=model.rows_at_once,
        entries=round(model.entries),
        activations=model.activations,
        row_drives=model.row_drives,
        products=lengths.products,
        touched=touched,
        conversions=touched * len(parts),
        rounds=rounds,
        clocks=clocks,
        pulses=model.row_drives,
        driven_clocks=model.row_drives,
        loss_S_clocks=model.row_drives * load_S,
        probes=probes,
        collisions=probes - touched,
        cells_written=float(tiles) * chip.rows * chip.columns,
        index_read_B=lengths.products + touched * fabric.index_bytes,
        dram_read_B=dram_read,
        dram_write_B=dram_write,
        write_s=writing_s,
        tile_s=tile_s,
        merge_s=merge_s,
        dram_s=dram_s,
        latency_s=writing_s + max(tile_s, merge_s, dram_s),
        imbalance=1.0,
        per_window=pd.DataFrame(),
        per_tile=pd.DataFrame(),
    )


def sample(A: Any, B: Any, mapping: SparseMapping, *, products: float = 1e7, threads: int = 1) -> SparseCounts:
    """Counts of evenly spaced rows of A with about so many products, times what they leave out.

    Tiles are those of B, exactly. ``entries`` and all counts of activations are unbiased up to how evenly rows of A are
    spaced; times are scaled alike, so the share of a slowest tile stays that of the sample. The whole product where it
    has no more products than asked for.
    """
    work = partial_products(A, B)
    stride = max(1, int(work.sum() // max(1.0, products)))
    chosen = np.arange(stride // 2, A.shape[0], stride)
    found = count(ProductLayout.of(A[chosen], canonical(B, "B"), mapping), threads=threads)
    factor = float(work.sum()) / max(1.0, float(work[chosen].sum()))
    scaled = {name: getattr(found, name) * factor for name in EXTENSIVE}
    scaled["entries"] = round(scaled["entries"])
    # B is read once, whatever part of A passes over it.
    b_bytes = B.nnz * mapping.chip.merge.fabric.entry_bytes
    scaled["dram_read_B"] = (found.dram_read_B - b_bytes) * factor + b_bytes
    rest = found.latency_s - found.write_s
    return replace(found, **scaled, latency_s=found.write_s + rest * factor)
