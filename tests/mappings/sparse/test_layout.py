"""Nonzeros on tiles: each in one place, compact never more tiles than blocks, orders that are permutations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from devices import InputError, Stream
from mappings.sparse import LAYOUTS, ORDERS, lay
from mappings.sparse.tiles.grouping import order, shared
from mappings.sparse.tiles.product import canonical


@st.composite
def matrices(draw: st.DrawFn) -> Any:
    """CSR with empty rows and columns; sometimes with a dense row."""
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = Stream.root(draw(st.integers(0, 10**6))).numpy()
    dense = rng.random((rows, columns)) < draw(st.sampled_from([0.0, 0.03, 0.2, 0.8]))
    if draw(st.booleans()):
        dense[rng.integers(rows)] = True
    return canonical(sparse.csr_array(dense.astype(float)), "B")


SIZES = {"rows": st.integers(1, 9), "columns": st.integers(1, 9)}


@given(b=matrices(), layout=st.sampled_from(LAYOUTS), kind=st.sampled_from(list(ORDERS)), **SIZES)
def test_every_nonzero_stands_in_exactly_one_place_that_leads_back_to_it(
    b: Any, layout: Any, kind: Any, rows: int, columns: int
) -> None:
    ordering = order(b, kind, group=rows)
    tiles = lay(
        b, layout=layout, rows=rows, columns=columns, row_order=ordering.rows,
        column_order=ordering.columns if layout == "blocks" else None,
    )  # fmt: skip
    np.testing.assert_array_equal(np.sort(tiles.cell_entry), np.arange(b.nnz))
    place = (tiles.cell_tile * rows + tiles.cell_row) * columns + tiles.cell_line
    assert np.unique(place).size == b.nnz
    assert (np.diff(place) > 0).all()
    assert b.nnz == 0 or (tiles.cell_row.max() < rows and tiles.cell_line.max() < columns)
    row_of_entry = np.repeat(np.arange(b.shape[0]), np.diff(b.indptr))[tiles.cell_entry]
    np.testing.assert_array_equal(
        tiles.position[row_of_entry], tiles.tile_group[tiles.cell_tile] * rows + tiles.cell_row
    )
    found = tiles.line_column[tiles.line_start[tiles.cell_tile] + tiles.cell_line]
    np.testing.assert_array_equal(found, b.indices[tiles.cell_entry])
    assert (np.diff(tiles.tile_ptr) > 0).all()
    assert 0.0 <= tiles.grid.utilisation <= 1.0


@given(b=matrices(), kind=st.sampled_from(list(ORDERS)), **SIZES)
def test_compact_never_takes_more_tiles_than_blocks_with_the_same_rows(
    b: Any, kind: Any, rows: int, columns: int
) -> None:
    ordering = order(b, kind, group=rows)
    blocks, compact = (lay(b, layout=layout, rows=rows, columns=columns, row_order=ordering.rows) for layout in LAYOUTS)
    assert compact.tiles <= blocks.tiles
    assert compact.lines == blocks.lines
    full = np.diff(b.tocsc().indptr).all() and b.shape[0] <= rows
    if full:
        assert compact.tiles == -(-b.shape[1] // columns) if b.nnz else compact.tiles == 0


@given(b=matrices(), kind=st.sampled_from([kind for kind in ORDERS if kind != "natural"]), group=st.integers(1, 9))
def test_an_order_holds_every_filled_row_once_and_no_other(b: Any, kind: Any, group: int) -> None:
    rows = order(b, kind, group=group).rows
    assert rows is not None
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(np.diff(b.indptr)))


def two_families() -> Any:
    """Rows of two disjoint sets of columns, alternating: neighbours have nothing in common."""
    dense = np.zeros((64, 64))
    dense[0::2, :32] = dense[1::2, 32:] = 1.0
    return canonical(sparse.csr_array(dense), "B")


@pytest.mark.parametrize("kind", ["leading", "minhash", "greedy"])
def test_orders_bring_rows_of_one_family_together(kind: Any) -> None:
    b = two_families()
    rows = order(b, kind, group=32).rows
    assert rows is not None
    assert lay(b, layout="compact", rows=32, columns=32).tiles == 4
    assert lay(b, layout="compact", rows=32, columns=32, row_order=rows).tiles == 2
    assert shared(b, rows, 32) == b.nnz - 64


def test_greedy_takes_the_row_that_shares_most_and_of_those_the_shortest() -> None:
    dense = np.zeros((5, 30))
    dense[0, :10] = 1.0
    dense[1, :4] = 1.0
    dense[2, :8] = 1.0
    dense[3, :8] = dense[3, 20] = 1.0
    dense[4, 12:18] = 1.0
    rows = order(canonical(sparse.csr_array(dense), "B"), "greedy", group=3).rows
    assert rows is not None
    assert rows[:3].tolist() == [0, 2, 3]


def test_columns_reordered_in_blocks_follow_their_matrix() -> None:
    """Reverse Cuthill-McKee turns a shuffled band back into one: few blocks along the diagonal."""
    rng = Stream.root(3).numpy()
    band = sparse.diags_array([np.ones(400 - abs(k)) for k in (-1, 0, 1)], offsets=[-1, 0, 1], format="csr")
    shuffle = rng.permutation(400)
    b = canonical(band[shuffle][:, shuffle], "B")
    natural = lay(b, layout="blocks", rows=20, columns=20)
    ordering = order(b, "rcm", group=20)
    rcm = lay(b, layout="blocks", rows=20, columns=20, row_order=ordering.rows, column_order=ordering.columns)
    assert natural.tiles > 300
    assert rcm.tiles <= 3 * 20


def test_wrong_tiles_and_orders_are_refused() -> None:
    b = two_families()
    with pytest.raises(InputError, match="at least 1 word line and 1 bit line"):
        lay(b, layout="compact", rows=0, columns=4)
    with pytest.raises(ValueError, match="row 5 of B holds nonzeros and has no word line"):
        lay(b, layout="compact", rows=4, columns=4, row_order=np.delete(np.arange(64), 5))
