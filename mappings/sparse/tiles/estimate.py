"""What a sparse product would take, from the lengths of rows and columns alone: no product is formed.

The pattern is taken as random with the given lengths (the configuration model). With a_k nonzeros in column k of A, r_i
in row i, b_k in row k of B and c_j in its column j:

(1) products            F = sum_k a_k b_k, exact
(2) lines of group g    L_g = sum_j 1 - exp(-S_g c_j / nnz(B)),   S_g = sum of b_k over its rows
(3) tiles               sum_g ceil(L_g / C);  for blocks, those of which (2) expects a nonzero
(4) row drives          sum_k a_k sum_t 1 - (1 - s_t)^b_k over the group's tiles; s_t: tile t's part of its lines
(5) activations         sum_i sum_t E[ceil(X / rows_at_once)],   X Poisson of mean r_i (drives of tile t) / nnz(A)
(6) words               sum_i sum_g sum_j 1 - exp(-P_ig c_j / nnz(B)),   P_ig = r_i sum_k a_k b_k / nnz(A)

each over histograms of the lengths. Real matrices have communities: rows of a group share more columns than (2) says,
and a row of A drives more of one group than (5) says, so tiles, activations and words come out too large there. With
``tiles``, B's own tiles take the place of (2) to (4), and each of its bit lines that of (6): only A stays random.
``sample`` needs the matrices instead of lengths, and is right about both: it walks through some rows of A.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mappings.sparse.exact.product import partial_products
from mappings.sparse.tiles.chip import SparseMapping
from mappings.sparse.tiles.counting import SparseCounts, count, write_row_s
from mappings.sparse.tiles.layout import TileMap
from mappings.sparse.tiles.plan import plan
from periphery.prices.adc import adc_component

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
        return cls(
            np.diff(a.indptr).astype(float),
            np.bincount(a.indices, minlength=a.shape[1]).astype(float),
            np.diff(b.indptr).astype(float),
            np.bincount(b.indices, minlength=b.shape[1]).astype(float),
        )

    @property
    def products(self) -> float:
        """F."""
        return float(self.a_columns @ self.b_rows)


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


def estimate(lengths: Lengths, mapping: SparseMapping, *, tiles: TileMap | None = None) -> SparseCounts:
    """Expected counts of a product of 0/1 matrices whose rows stand as they are; ``tiles``: where B is laid already."""
    chip, wide, high = mapping.chip, mapping.chip.values_per_row, mapping.chip.rows
    a_columns, b_rows = lengths.a_columns, lengths.b_rows
    nnz_a, nnz_b = max(1.0, float(a_columns.sum())), max(1.0, float(b_rows.sum()))
    r, rows = _binned(lengths.a_rows)
    c, columns = _binned(lengths.b_columns)
    if tiles is None:
        place = np.arange(b_rows.size)
        groups = -(-b_rows.size // high)
    else:
        place, groups = tiles.position, tiles.groups
    held = np.flatnonzero((b_rows > 0) & (place >= 0))
    group = place[held] // high

    def per_group(values: Floats) -> Floats:
        return np.bincount(group, values, minlength=groups).astype(float)

    size = per_group(b_rows[held])
    if tiles is not None:
        of_group = np.bincount(tiles.tile_group, minlength=groups).astype(float)
        lines_total, fullest = float(tiles.lines), tiles.fullest_line
        held_lines = np.unique(tiles.cell_tile * tiles.columns + tiles.cell_line) // tiles.columns
        lines = np.bincount(tiles.tile_group[held_lines], minlength=groups).astype(float)
    else:
        lines = _distinct(size, c / nnz_b, columns)
        lines_total, fullest = float(lines.sum()), int(lengths.b_columns.max(initial=0.0))
        if mapping.layout == "compact":
            of_group = np.ceil(lines / wide - 1e-9) * (size > 0)
        else:
            blocks = np.add.reduceat(lengths.b_columns, np.arange(0, lengths.b_columns.size, wide))
            weight, number = _binned(blocks)
            of_group = _distinct(size, weight / nnz_b, number)
    number_of_tiles = float(of_group.sum())
    # Part of its group's nonzeros that a tile holds: compact fills all tiles but the last.
    even = 1.0 / np.maximum(of_group, 1.0)
    full = even if mapping.layout == "blocks" else np.minimum(1.0, wide / np.maximum(lines, 1.0))
    last = np.clip(1.0 - (of_group - 1.0) * full, 0.0, 1.0)
    many = np.maximum(of_group - 1.0, 0.0)
    drives = [
        per_group(a_columns[held] * -np.expm1(b_rows[held] * np.log1p(-np.minimum(part[group], 1.0 - 1e-12))))
        for part in (full, last)
    ]
    row_drives = float(drives[0] @ many + drives[1] @ np.minimum(of_group, 1.0))
    codes = 2**chip.adc_bits - 1
    fitting = high if min(high, fullest) <= codes else min(high, codes)
    limit = float(min(high, chip.rows_at_once) if chip.rows_at_once else fitting)
    mean, tile_number = _binned(
        np.concatenate(drives) / nnz_a, np.concatenate([many, np.minimum(of_group, 1.0)])
    )  # fmt: skip
    activations = float(rows @ _pieces(np.outer(r, mean), limit) @ tile_number) if mean.size else 0.0
    if tiles is None:
        load, number = _binned(per_group(a_columns[held] * b_rows[held]) / nnz_a)
        touched = float(
            sum(m * (rows @ _distinct(r * x, c / nnz_b, columns)) for x, m in zip(load, number, strict=True))
        )
    else:
        key = tiles.cell_tile * tiles.columns + tiles.cell_line
        entry_row = np.repeat(np.arange(b_rows.size), b_rows.astype(np.int64))[tiles.cell_entry]
        driven = np.bincount(np.unique(key, return_inverse=True)[1], a_columns[entry_row])
        load, number = _binned(driven / nnz_a)
        touched = float(rows @ _distinct(r, load, number))
    entries = float(rows @ _distinct(r * (lengths.products / nnz_a), c / nnz_b, columns))
    return _assembled(
        lengths, mapping, tiles_number=number_of_tiles, lines=lines_total, row_drives=row_drives,
        activations=activations, touched=max(touched, entries), entries=min(entries, touched), limit=int(limit),
    )  # fmt: skip


def _assembled(
    lengths: Lengths,
    mapping: SparseMapping,
    *,
    tiles_number: float,
    lines: float,
    row_drives: float,
    activations: float,
    touched: float,
    entries: float,
    limit: int,
) -> SparseCounts:
    """The rest of the counts from those that the model gives. Time: tiles share the work evenly, so it is a bound."""
    chip, fabric = mapping.chip, mapping.chip.merge.fabric
    parts, driver, bits = chip.parts, chip.driver, chip.input_bits
    adc_s = adc_component(
        chip.adc_price, bits=chip.adc_bits, rate_per_s=chip.adc_rate_per_s, node_nm=chip.node_nm
    ).latency_s
    nnz_a, nnz_b = float(lengths.a_rows.sum()), float(lengths.b_rows.sum())
    tiles = max(1, round(tiles_number)) if nnz_b else 0
    passes = max(1, -(-tiles // chip.tiles))
    conversions = touched * len(parts)
    per_read = touched / max(activations, 1e-30)
    # Touched lines fall on the tile's converters at random; the mean load of those that are busy stands for the
    # busiest one's, which is larger.
    turns = -np.expm1(-per_read / chip.adcs_per_tile) * chip.adcs_per_tile
    rounds = activations * len(parts) * max(1.0, per_read / max(turns, 1e-30))
    clocks = activations * driver.drive_clocks(bits) / (2 if driver.phases(bits) % 2 == 0 else 1)
    device = chip.device
    fill = nnz_b / max(1.0, tiles * chip.rows)
    idle = (chip.values_per_row * parts.planes + parts.references) * device.g_min_S
    load = idle + fill * (device.g_max_S - device.g_min_S)
    capacity = chip.merge.capacity
    windows = max(1.0, lengths.products / capacity)
    alpha = min(0.95, entries / windows / fabric.slots(1))
    probes = touched * 0.5 * (1.0 + 1.0 / (1.0 - alpha))
    item = fabric.index_bytes + fabric.value_bytes
    tile_s = (clocks * driver.t_clk_s + rounds * adc_s) / max(1, min(tiles, chip.tiles))
    merge_s = touched * fabric.atomic_cycles / (fabric.atomic_units * fabric.clock_Hz)
    dram_read = (passes * nnz_a + nnz_b) * item + (passes - 1) * entries * item
    dram_write = passes * entries * item
    dram_s = (dram_read - nnz_b * item + dram_write) / fabric.dram_bandwidth_B_s
    write_s = passes * -(-chip.rows // chip.write_rows_at_once) * write_row_s()
    return SparseCounts(
        tiles=tiles,
        passes=passes,
        lines=round(lines),
        nonzeros=round(nnz_b),
        utilisation=nnz_b / (tiles * chip.rows * chip.values_per_row) if tiles else 0.0,
        rows_at_once=limit,
        entries=round(entries),
        activations=activations,
        row_drives=row_drives,
        products=lengths.products,
        touched=touched,
        conversions=conversions,
        rounds=rounds,
        clocks=clocks,
        pulses=row_drives,
        driven_clocks=row_drives,
        loss_S_clocks=row_drives * load,
        probes=probes,
        collisions=probes - touched,
        cells_written=float(tiles) * chip.rows * chip.columns,
        index_read_B=lengths.products + touched * fabric.index_bytes,
        dram_read_B=dram_read,
        dram_write_B=dram_write,
        write_s=write_s,
        tile_s=tile_s,
        merge_s=merge_s,
        dram_s=dram_s,
        latency_s=write_s + max(tile_s, merge_s, dram_s),
        imbalance=1.0,
        per_window=pd.DataFrame(),
        per_tile=pd.DataFrame(),
    )


def sample(A: Any, B: Any, mapping: SparseMapping, *, products: float = 1e7, threads: int = 1) -> SparseCounts:
    """Counts of evenly spaced rows of A with about so many products, times what they leave out.

    Tiles are B's own, exactly. ``entries`` and all counts of activations are unbiased up to how evenly rows of A are
    spaced; times are scaled alike, so the share of a slowest tile stays that of the sample. The whole product where it
    has no more products than asked for.
    """
    work = partial_products(A, B)
    stride = max(1, int(work.sum() // max(1.0, products)))
    chosen = np.arange(stride // 2, A.shape[0], stride)
    found = count(plan(A[chosen], B, mapping), threads=threads)
    factor = float(work.sum()) / max(1.0, float(work[chosen].sum()))
    scaled = {name: getattr(found, name) * factor for name in EXTENSIVE}
    scaled["entries"] = round(scaled["entries"])
    # B is read once, whatever part of A passes over it.
    b_bytes = B.nnz * (mapping.chip.merge.fabric.index_bytes + mapping.chip.merge.fabric.value_bytes)
    scaled["dram_read_B"] = (found.dram_read_B - b_bytes) * factor + b_bytes
    rest = found.latency_s - found.write_s
    return replace(found, **scaled, latency_s=found.write_s + rest * factor)
