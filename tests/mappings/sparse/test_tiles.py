"""Sparse products in memory: exact where they should be, wrong by as much as they should be, counted as computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from crossbar import BitSlices, DifferentialPair, OffsetColumn, OneCell
from devices import PCM, Gaussian, Ideal, InputError, Stream, TaOx
from devices.effects import ProgramVerify
from mappings.sparse import (
    Lengths,
    Merge,
    SparseChip,
    SparseLayer,
    SparseMapping,
    accuracy,
    estimate,
    multiply,
    partial_products,
    sample,
)
from mappings.sparse.tiles import writing
from periphery import SAR, AmplitudeDAC, BitSerial, PWMDriver
from tests.quiet import COLUMN
from workloads.spgemm import ErdosRenyi, read_matrix

MATRICES = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "matrices"
GRAPHS = (
    "karate", "jagmesh7", "bcspwr10", "ca-GrQc", "ca-HepTh", "email-Eu-core", "p2p-Gnutella31", "wiki-Vote",
    "hep-th-metis", "PGPgiantcompo", "power", "fe_4elt2", "airfoil1", "cora_graph", "citeseer_graph", "pubmed_graph",
)  # fmt: skip
SMALL = SparseChip(**COLUMN, rows=8, columns=9, tiles=6, adc_bits=4, columns_per_adc=2)
ROOT = Stream.root(0)


def ones(rows: int, columns: int, density: float, seed: int) -> Any:
    rng = Stream.root(seed).numpy()
    return sparse.csr_array((rng.random((rows, columns)) < density).astype(float))


def whole(rows: int, columns: int, density: float, seed: int, top: int) -> Any:
    rng = Stream.root(seed).numpy()
    values = rng.integers(-top, top + 1, (rows, columns)) * (rng.random((rows, columns)) < density)
    return sparse.csr_array(values.astype(float))


@pytest.mark.skipif(not MATRICES.exists(), reason="needs ../shared/data/matrices beside the checkout")
@pytest.mark.parametrize("name", GRAPHS)
def test_ideal_cells_and_enough_bits_give_the_exact_product_of_real_graphs(name: str) -> None:
    a = read_matrix(MATRICES / f"{name}.mtx.gz").csr
    a.data[:] = 1.0
    run = multiply(a, a, SparseMapping(chip=SparseChip(**COLUMN, adc_bits=5)), rng=ROOT, threads=1)
    assert run.mapped.bits_exact
    assert run.outside == 0.0
    np.testing.assert_array_equal(run.C.data, run.exact.data)
    assert run.counts.products == partial_products(a, a).sum()


WAYS: dict[str, Any] = {
    "one cell": {"chip": SMALL},
    "blocks": {"chip": SMALL, "layout": "blocks", "order": "natural"},
    "blocks, reordered": {"chip": SMALL, "layout": "blocks", "order": "rcm"},
    "digital reference": {"chip": replace(SMALL, encoding=OneCell(reference="digital"))},
    "pair": {"chip": replace(SMALL, encoding=DifferentialPair())},
    "offset": {"chip": replace(SMALL, encoding=OffsetColumn())},
    "off cells conduct": {"chip": replace(SMALL, device=Ideal(g_min_S=20e-6, g_max_S=100e-6))},
    "scale of a tile": {"chip": SMALL, "scale": "tile"},
    "scale of a row": {"chip": SMALL, "scale": "row", "input_scale": "row"},
    "amplitude": {"chip": replace(SMALL, driver=AmplitudeDAC())},
    "bits one by one": {"chip": replace(SMALL, driver=BitSerial(accumulation="digital"))},
    "successive approximation": {"chip": replace(SMALL, adc=SAR())},
    "compensated": {"chip": replace(SMALL, compensation="tile")},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_exact_on_ideal_cells(way: str) -> None:
    a, b = ones(31, 23, 0.3, 1), ones(23, 37, 0.3, 2)
    run = multiply(a, b, SparseMapping(**WAYS[way]), rng=ROOT, threads=2)
    assert run.mapped.bits_exact
    np.testing.assert_allclose(run.C.toarray(), (a @ b).toarray(), rtol=0, atol=1e-9)
    assert run.accuracy.rounded_share == 1.0
    assert run.counts.products == partial_products(a, b).sum()
    assert run.counts.passes == -(-run.counts.tiles // 6)


SIGNED = {
    "pair, slices": BitSlices(slice_bits=2, weight_bits=4, combine="digital"),
    "pair, slices as charge": BitSlices(slice_bits=2, weight_bits=4, combine="charge"),
}


@pytest.mark.parametrize("driver", [PWMDriver(), BitSerial(accumulation="digital"), AmplitudeDAC(signed="bipolar")])
@pytest.mark.parametrize("encoding", SIGNED.values(), ids=SIGNED)
def test_whole_numbers_of_both_signs_are_exact_in_digits(encoding: Any, driver: Any) -> None:
    a, b = whole(20, 17, 0.4, 1, 3), whole(17, 19, 0.4, 2, 15)
    chip = SparseChip(**COLUMN, 
        rows=8, columns=64, encoding=encoding, driver=driver, input_bits=3, adc_bits=12, rows_at_once=8
    )  # fmt: skip
    run = multiply(a, b, SparseMapping(chip=chip), rng=ROOT, threads=1)
    assert run.mapped.bits_exact
    np.testing.assert_allclose(run.C.toarray(), (a @ b).toarray(), atol=1e-9)


@settings(max_examples=30)
@given(
    shape=st.tuples(*[st.integers(1, 25)] * 3),
    density=st.floats(0.0, 1.0),
    seed=st.integers(0, 10**6),
    rows_at_once=st.integers(1, 9),
)
def test_counts_are_what_a_loop_over_activations_counts(
    shape: tuple[int, int, int], density: float, seed: int, rows_at_once: int
) -> None:
    a, b = ones(shape[0], shape[1], density, seed), ones(shape[1], shape[2], density, seed + 1)
    mapping = SparseMapping(chip=replace(SMALL, rows_at_once=rows_at_once, tiles=2))
    run = multiply(a, b, mapping, rng=ROOT, threads=2)
    tiles, counts = run.mapped.tiles, run.counts
    np.testing.assert_array_equal(run.C.toarray(), (a @ b).toarray())
    dense = np.zeros((tiles.tiles, tiles.rows, tiles.columns), bool)
    dense[tiles.cell_tile, tiles.cell_row, tiles.cell_line] = True
    activations = drives = touched = rounds = 0
    for i in range(shape[0]):
        places = tiles.position[a.indices[a.indptr[i] : a.indptr[i + 1]]]
        for t in range(tiles.tiles):
            lines = [p % 8 for p in places if p >= 0 and p // 8 == tiles.tile_group[t] and dense[t, p % 8].any()]
            for first in range(0, len(lines), rows_at_once):
                seen = dense[t, lines[first : first + rows_at_once]].any(axis=0)
                activations, drives = activations + 1, drives + len(lines[first : first + rows_at_once])
                touched += int(seen.sum())
                rounds += max(int(seen[n : n + 2].sum()) for n in range(0, seen.size, 2))
    assert (counts.activations, counts.row_drives, counts.touched) == (activations, drives, touched)
    assert counts.rounds == rounds
    assert counts.products == partial_products(a, b).sum()
    assert counts.entries == run.exact.nnz
    assert counts.per_window["atomics"].sum() == touched
    assert counts.per_window["entries"].sum() == counts.entries
    assert counts.entries <= touched <= counts.products


def noisy(**more: Any) -> SparseMapping:
    device = Gaussian(g_min_S=10e-6, g_max_S=100e-6, sigma_absolute=0.03, read_noise_S=1e-6)
    return SparseMapping(chip=replace(SMALL, device=device, adc_bits=12, lsb_units=0.001, **more))


def test_the_result_depends_on_neither_threads_nor_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = ones(60, 40, 0.3, 1), ones(40, 60, 0.3, 2)
    first = multiply(a, b, noisy(), rng=ROOT, threads=1).C.data
    assert np.abs(first - np.rint(first)).max() > 0.05
    np.testing.assert_array_equal(multiply(a, b, noisy(), rng=ROOT, threads=3).C.data, first)
    monkeypatch.setattr(writing, "CELLS_AT_ONCE", 200)
    np.testing.assert_array_equal(multiply(a, b, noisy(), rng=ROOT, threads=2).C.data, first)
    assert (multiply(a, b, noisy(), rng=ROOT.child("other")).C.data != first).any()


def test_off_cells_of_driven_rows_spread_every_sum_by_the_law_of_independent_errors() -> None:
    """n driven rows: n cells of 3 % of g_max and 2 uS of read noise each, on a window of 90 % of g_max; and as much
    again from the reference, common to all lines of a tile."""
    n, wide, high = 32, 64, 1600
    device = Gaussian(g_min_S=10e-6, g_max_S=100e-6, sigma_absolute=0.03, read_noise_S=2e-6)
    chip = SparseChip(**COLUMN, rows=n, columns=wide + 1, device=device, adc_bits=12, rows_at_once=n, lsb_units=0.05)
    rows = np.arange(n * high)
    b = sparse.csr_array(
        (np.ones(2 * rows.size), (np.tile(rows, 2), np.concatenate([rows % n, rows % n + n]))), (rows.size, wide)
    )
    a = sparse.csr_array((np.ones(rows.size), (rows // n, rows)), (high, rows.size))
    run = multiply(a, b, SparseMapping(chip=chip, order="natural"), rng=ROOT, threads=1)
    assert run.counts.tiles == high
    error = (run.C.data - run.exact.data).reshape(high, wide)
    own = np.sqrt(n * ((3e-6) ** 2 + (2e-6) ** 2)) / 90e-6
    # Words below 0 do not exist; at 1 +- 0.32 they are one in a thousand. Tolerances: three standard errors.
    assert error.std(axis=1, ddof=1).mean() == pytest.approx(own, rel=0.01)
    assert error.mean(axis=1).std() == pytest.approx(own * np.sqrt(1 + 1 / wide), rel=0.055)


def test_drift_shrinks_sums_and_the_tile_s_own_gain_takes_it_back() -> None:
    a = ones(200, 120, 0.2, 1)
    b = ones(120, 200, 0.2, 2)
    chip = SparseChip(**COLUMN, device=PCM(), adc_bits=8, rows_at_once=128)
    off, on = (
        multiply(a, b, SparseMapping(chip=replace(chip, compensation=mode)), rng=ROOT, t_s=86400.0).accuracy
        for mode in ("off", "tile")
    )
    assert off.bias < -0.5
    assert abs(on.bias) < 0.1
    assert on.relative_frobenius < off.relative_frobenius / 2


def test_more_rows_at_once_than_codes_tell_apart_cost_exactness() -> None:
    a, b = ones(50, 60, 0.7, 1), ones(60, 50, 0.7, 2)
    chip = SparseChip(**COLUMN, rows=64, columns=65, adc_bits=4)
    fits = multiply(a, b, SparseMapping(chip=chip), rng=ROOT)
    assert fits.mapped.inputs.rows_at_once == 15
    assert fits.accuracy.exact_share == 1.0
    coarse = multiply(a, b, SparseMapping(chip=replace(chip, rows_at_once=64)), rng=ROOT)
    assert coarse.mapped.converter.lsb[0] > 1.0
    assert not coarse.mapped.bits_exact
    assert coarse.accuracy.rounded_share < 0.5
    assert np.abs((coarse.C - coarse.exact).data).max() <= coarse.mapped.converter.lsb[0] / 2 + 1e-5
    short = multiply(a, b, SparseMapping(chip=replace(chip, rows_at_once=64, lsb_units=1.0)), rng=ROOT)
    assert short.outside == pytest.approx((short.exact.data > 15).mean())
    np.testing.assert_array_equal(short.C.data, np.minimum(short.exact.data, 15))


def test_accumulators_round_to_their_bits_and_saturate_at_their_end() -> None:
    a, b = sparse.csr_array(np.ones((1, 100))), sparse.csr_array(np.ones((100, 3)))
    chip = replace(SMALL, adc_bits=4)

    def total(**merge: Any) -> Any:
        return multiply(a, b, SparseMapping(chip=replace(chip, merge=Merge(**merge)), order="natural"), rng=ROOT)

    np.testing.assert_array_equal(total(bits=24).C.data, 100.0)
    # Thirteen words of 8 (the last of 4): a 4-bit significand holds multiples of 8 from 64 on, and 4 is a tie to 96.
    assert total(bits=4).C.data[0] in (96.0, 104.0)
    fixed = total(accumulator="fixed", bits=6)
    np.testing.assert_array_equal(fixed.C.data, 31.0)
    assert fixed.overflowed == pytest.approx(10 / 13)


@pytest.mark.parametrize("name", ["mixed", "low_order", "high_order"])
def test_windows_hold_what_fits_and_probes_are_those_of_a_table_walked_slot_by_slot(name: Any) -> None:
    a, b = ones(120, 60, 0.1, 1), ones(60, 100, 0.1, 2)
    slots = 256
    merge = Merge(fabric=replace(Merge().fabric, scratchpad_bytes=8 * slots), hash=name, fill=0.7)
    run = multiply(
        a, b, SparseMapping(chip=SparseChip(**COLUMN, rows=8, columns=9, merge=merge), order="natural"), rng=ROOT
    )
    table = run.counts.per_window
    assert (table["entries"] <= merge.capacity * table["tables"]).all()
    assert table["rows"].sum() == 120
    assert len(table) > 10
    assert (table["tables"] == 1).all()
    words = np.zeros(run.exact.shape)
    for tile in range(run.counts.tiles):
        t = run.mapped.tiles
        cells = slice(*t.tile_ptr[tile : tile + 2])
        held = np.zeros(run.exact.shape[1])
        places = np.zeros((60, held.size))
        rows = np.arange(60)[t.tile_group[tile] * 8 : t.tile_group[tile] * 8 + 8]
        places[rows[t.cell_row[cells]], t.line_column[t.line_start[tile] + t.cell_line[cells]]] = 1.0
        words += (a @ places) > 0
    probes = 0
    for first, rows in zip(table["first_row"], table["rows"], strict=True):
        full = np.zeros(slots, bool)
        for i in range(first, first + rows):
            for j in np.flatnonzero(run.exact[[i]].toarray()[0]):
                tag = (i - first) << 7 | int(j)
                mixed = ((tag * 0x9E3779B97F4A7C15) % 2**64) >> 24
                high = int(tag / (rows << 7) * slots)
                start = {"mixed": mixed, "low_order": tag, "high_order": high}[name] % slots
                place = start
                while full[place % slots]:
                    place += 1
                full[place % slots] = True
                probes += int(words[i, j]) * (place - start + 1)
    assert table["atomics"].sum() == words.sum()
    assert table["probes"].sum() == probes
    assert (table["probes"] - table["atomics"] == table["collisions"]).all()


def test_a_write_loop_s_energy_and_time_replace_the_price_of_a_cell() -> None:
    a, b = ones(20, 16, 0.4, 1), ones(16, 20, 0.4, 2)
    chip = replace(SMALL, tiles=2)
    plain = multiply(a, b, SparseMapping(chip=replace(chip, device=TaOx())), rng=ROOT)
    looped = multiply(a, b, SparseMapping(chip=replace(chip, device=TaOx(effects=(ProgramVerify(),)))), rng=ROOT)
    assert plain.written is None
    assert looped.written is not None
    counted = {(one.component, one.action): one.count for one in looped.actions().actions}
    assert counted["cell_write", "write_J"] == looped.written.energy_J
    assert ("cell_write", "write") not in counted
    # Eight word lines of some microseconds each, pass after pass.
    assert looped.written.time_s > looped.counts.passes * 8 * 2e-6
    assert looped.actions().latency_s == pytest.approx(
        looped.written.time_s + looped.counts.latency_s - looped.counts.write_s
    )


def test_estimates_meet_the_count_where_the_pattern_is_random() -> None:
    a = ErdosRenyi(rows=3000, per_row=6.0).draw(rng=Stream.root(5)).csr
    mapping = SparseMapping(order="natural")
    mapped = SparseLayer(a).map(mapping, inputs=a)
    true = mapped.counts
    ways = {
        "lengths": estimate(Lengths.of(a, a), mapping),
        "tiles": estimate(Lengths.of(a, a), mapping, tiles=mapped.tiles),
        "sample": sample(a, a, mapping, products=true.products / 8),
    }
    for found in ways.values():
        for name in ("tiles", "lines", "row_drives", "activations", "touched", "entries"):
            assert getattr(found, name) == pytest.approx(getattr(true, name), rel=0.03), name
        # Converters' turns: the model knows the mean load of those that are busy, not that of the busiest.
        assert found.rounds == pytest.approx(true.rounds, rel=0.1)
        assert found.products == pytest.approx(true.products)
        assert found.dram_read_B == pytest.approx(true.dram_read_B, rel=0.03)


def test_empty_products() -> None:
    nothing = sparse.csr_array((5, 7))
    for a, b in ((nothing, ones(7, 4, 0.5, 1)), (ones(4, 5, 0.5, 1), nothing), (nothing, nothing.T.tocsr())):
        run = multiply(a, b, SparseMapping(chip=SMALL), rng=ROOT)
        assert run.C.nnz == 0
        assert run.counts.activations == 0
        assert run.actions().ops == 0


@pytest.mark.parametrize(
    ("a", "b", "mapping", "text"),
    [
        (np.eye(3), np.eye(4), SparseMapping(), r"as many rows as A has columns \(got A of 3 x 3 and B of 4 x 4\)"),
        (np.eye(2), -np.eye(2), SparseMapping(), r"one_cell holds no negative values \(got -1 in B\)"),
        (np.diag([np.inf, 1.0]), np.eye(2), SparseMapping(), r"A: finite numbers \(got"),
        (
            np.eye(2),
            np.eye(2),
            SparseMapping(chip=SparseChip(**COLUMN, columns=2, encoding=BitSlices())),
            "at least 8 bit lines",
        ),
        (
            np.eye(2),
            np.eye(2),
            SparseMapping(chip=SparseChip(**COLUMN, driver=PWMDriver(edge_jitter_s=1e-12))),
            "jitter",
        ),
        (
            np.eye(2),
            np.eye(2),
            SparseMapping(chip=SparseChip(**COLUMN, merge=Merge(accumulator="fixed")), scale="tile"),
            r"accumulator: float where tiles have separate scales \(got fixed\)",
        ),
    ],
)
def test_wrong_use_is_one_message(a: Any, b: Any, mapping: SparseMapping, text: str) -> None:
    with pytest.raises(InputError, match=text):
        multiply(a, b, mapping, rng=ROOT)


def test_accuracy_needs_one_pattern_and_tells_missing_from_false() -> None:
    exact = sparse.csr_array((np.array([2.0, 0.0, 1.0, 3.0]), ([0, 0, 1, 1], [0, 1, 0, 1])), shape=(2, 2))
    found = exact.copy()
    found.data = np.array([2.2, 1.0, 0.3, 3.0])
    seen = accuracy(found, exact)
    assert (seen.exact_share, seen.rounded_share, seen.missing, seen.false) == (0.25, 0.5, pytest.approx(1 / 3), 1.0)
    assert seen.relative_frobenius == pytest.approx(np.sqrt(0.04 + 1 + 0.49) / np.sqrt(14))
    with pytest.raises(ValueError, match="same pattern"):
        accuracy(sparse.eye_array(2, format="csr"), exact)
