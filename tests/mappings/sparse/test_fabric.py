"""The SMASH fabric: counts that must hold exactly, a walk through the hash table slot by slot, what time rests on."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import sparse

from devices import InputError, Stream
from mappings.cost import price, summarise
from mappings.sparse import (
    DATAFLOWS,
    VERSIONS,
    Fabric,
    FabricRun,
    Instructions,
    Merge,
    SparseChip,
    Version,
    fabric_actions,
    partial_products,
    run_smash,
    spgemm,
    table,
)
from mappings.sparse.fabric.kernel import cut_windows
from periphery.prices.component import load_components
from workloads.spgemm import RMAT, ErdosRenyi

SMALL = Fabric(scratchpad_bytes=1 << 16)
GRAPH = RMAT(scale=10, edge_factor=8).draw(rng=Stream.root(0)).csr
LENGTHS = np.diff(spgemm(GRAPH, GRAPH).indptr).astype(np.int64)


def random_factors(rows: int, per_row: int, seed: int) -> tuple[Any, Any]:
    graph = ErdosRenyi(rows=rows, per_row=min(per_row, rows))
    return tuple(graph.draw(rng=Stream.root(seed).child(name)).csr for name in "AB")  # type: ignore[return-value]


@given(
    rows=st.integers(1, 200),
    per_row=st.integers(1, 8),
    seed=st.integers(0, 999),
    version=st.sampled_from(sorted(VERSIONS)),
    hashing=st.sampled_from(["low_order", "high_order", "mixed"]),
    token=st.integers(1, 5),
    units=st.sampled_from([1, 4, 8]),
)
@settings(max_examples=60)
def test_counts_are_those_of_the_product(
    rows: int, per_row: int, seed: int, version: str, hashing: Any, token: int, units: int
) -> None:
    a, b = random_factors(rows, per_row, seed)
    layout = replace(VERSIONS[version], hash=hashing, token_nonzeros=token)
    run = run_smash(a, b, fabric=replace(SMALL, atomic_units=units), version=layout)
    assert run.products == partial_products(a, b).sum()
    assert run.entries == spgemm(a, b).nnz
    assert run.probes == run.products + run.collisions
    assert run.probes >= run.products
    assert run.atomics == run.probes + run.products + run.tokens
    assert run.windows >= 1
    assert run.dram_write_B == run.entries * 16
    assert 0 <= run.utilisation <= 1 + 1e-9
    if not layout.dynamic:
        assert run.tokens == 0
    elif token == 1:
        assert run.tokens == a.nnz
    assert run.per_window is not None
    assert (run.per_window["fill"] <= layout.fill).all()
    assert run.per_window["products"].sum() == run.products


def walked(a: Any, b: Any, firsts: np.ndarray, slots: int, slot_of: Any) -> tuple[int, int]:
    """Probes and the longest walk, slot by slot, nonzeros in stored order: what one thread does."""
    probes = longest = 0
    bits = int(b.shape[1] - 1).bit_length()
    for first, last in pairwise(firsts):
        filled: dict[int, int] = {}
        for i in range(first, last):
            for k in a.indices[a.indptr[i] : a.indptr[i + 1]]:
                for j in b.indices[b.indptr[k] : b.indptr[k + 1]]:
                    tag = (int(i - first) << bits) | int(j)
                    slot, steps = slot_of(tag, int(last - first) << bits), 1
                    while filled.get(slot, tag) != tag:
                        slot, steps = (slot + 1) % slots, steps + 1
                    filled[slot] = tag
                    probes, longest = probes + steps, max(longest, steps)
    return probes, longest


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("hashing", ["low_order", "high_order"])
def test_probes_are_those_of_a_walk_slot_by_slot(hashing: Any, overlapped: bool) -> None:
    graph = RMAT(scale=7, edge_factor=6).draw(rng=Stream.root(5)).csr
    one = Fabric(pipelines=1, threads_per_pipeline=1, scratchpad_bytes=1 << 14)
    layout = Version(name="one thread", hash=hashing, overlapped=overlapped, fill=0.6)
    slots = one.slots(2 if overlapped else 1)
    bound = np.minimum(partial_products(graph, graph), graph.shape[1])
    rules = {"low_order": lambda tag, span: tag % slots, "high_order": lambda tag, span: tag * slots // span}
    expected = walked(graph, graph, cut_windows(bound, int(0.6 * slots)), slots, rules[hashing])
    run = run_smash(graph, graph, fabric=one, version=layout)
    assert (run.probes, run.longest_probe) == expected
    assert run.collisions > 0


@given(bound=st.lists(st.integers(0, 50), min_size=1, max_size=60), capacity=st.integers(50, 200))
def test_windows_hold_all_rows_in_order_and_are_as_long_as_fit(bound: list[int], capacity: int) -> None:
    firsts = cut_windows(np.array(bound), capacity)
    assert firsts[0] == 0
    assert firsts[-1] == len(bound)
    assert (np.diff(firsts) > 0).all()
    for first, last in pairwise(firsts):
        assert sum(bound[first:last]) <= capacity
        assert last == len(bound) or sum(bound[first : last + 1]) > capacity


def test_a_hash_that_mixes_probes_as_linear_probing_should() -> None:
    """Knuth: filling an empty table up to the share x with scattered tags takes (1 + 1 / (1 - x)) / 2 probes each; for
    12,000 tags the mean has a standard error of about 2 %."""
    one = sparse.csr_array(np.ones((1, 1)))
    b = ErdosRenyi(rows=1, columns=1 << 20, per_row=12000).draw(rng=Stream.root(2)).csr
    fabric = Fabric(scratchpad_bytes=16 * 16381)
    run = run_smash(one, b, fabric=fabric, version=replace(VERSIONS["v2"], hash="mixed", fill=0.95))
    x = run.entries / 16381
    assert x > 0.7
    assert run.probes / run.products == pytest.approx((1 + 1 / (1 - x)) / 2, rel=0.06)


def run_of(**changes: Any) -> FabricRun:
    return run_smash(GRAPH, GRAPH, fabric=replace(SMALL, **changes), version=VERSIONS["v3_mixed"])


def test_tokens_balance_what_static_rows_leave_to_one_thread() -> None:
    fabric = Fabric()
    static = run_smash(GRAPH, GRAPH, fabric=fabric, version=Version(name="static", hash="mixed"))
    dynamic = run_smash(GRAPH, GRAPH, fabric=fabric, version=Version(name="dynamic", hash="mixed", dynamic=True))
    assert dynamic.time_s < static.time_s
    assert dynamic.utilisation > static.utilisation
    assert dynamic.products == static.products


def test_every_resource_limits_where_it_is_scarce() -> None:
    assert run_of(dram_bandwidth_B_s=1e8).limit == "DRAM"
    assert run_of(atomic_units=1, atomic_cycles=50.0).limit == "atomics"
    assert run_of(dram_latency_s=1e-5).limit == "slowest thread"
    assert run_of(pipelines=1, threads_per_pipeline=64, dram_latency_s=0.0, atomic_latency_cycles=0.0).limit in (
        "pipelines",
        "slowest thread",
    )
    few, many = (run_of(dram_bandwidth_B_s=rate) for rate in (1e8, 2e8))
    assert few.time_s / many.time_s == pytest.approx(2.0, rel=0.05)


def test_time_is_at_least_what_each_resource_needs_in_all() -> None:
    for version in VERSIONS.values():
        run = run_smash(GRAPH, GRAPH, fabric=SMALL, version=version)
        assert run.time_s >= (run.dram_read_B + run.dram_write_B) / SMALL.dram_bandwidth_B_s
        assert run.time_s >= run.instructions / SMALL.pipelines / SMALL.clock_Hz * (1 - 1e-9)
        assert run.time_s >= run.atomics / SMALL.atomic_units * SMALL.atomic_cycles / SMALL.clock_Hz


def test_dataflows_move_what_their_definition_says() -> None:
    a, b = random_factors(300, 5, 1)
    lengths = np.diff(spgemm(a, b).indptr).astype(np.int64)
    fabric = Fabric()
    runs = {name: flow(a, b, lengths, fabric=fabric) for name, flow in DATAFLOWS.items()}
    products = int(partial_products(a, b).sum())
    assert {run.products for run in runs.values()} == {products}
    assert {run.entries for run in runs.values()} == {int(lengths.sum())}
    once = (a.nnz + b.nnz) * 12
    assert runs["outer"].dram_read_B == once + 16 * products
    full = int((np.diff(a.indptr) > 0).sum())
    assert runs["inner"].dram_read_B == a.nnz * 12 + b.nnz * full * 4 + products * 8
    assert runs["inner"].dram_write_B < runs["outer"].dram_write_B
    assert runs["row_sorted"].dram_read_B < runs["row_dense"].dram_read_B
    frame = table(list(runs.values()))
    assert frame["gain"].iloc[0] == 1.0
    assert len(frame) == 4


def test_smash_reads_less_than_inner_and_writes_less_than_outer() -> None:
    fabric = Fabric()
    smash = run_smash(GRAPH, GRAPH, fabric=fabric, version=VERSIONS["v3_mixed"])
    assert smash.dram_read_B < DATAFLOWS["inner"](GRAPH, GRAPH, LENGTHS, fabric=fabric).dram_read_B
    assert smash.dram_write_B < DATAFLOWS["outer"](GRAPH, GRAPH, LENGTHS, fabric=fabric).dram_write_B


def test_a_row_that_fits_no_window_is_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"scratchpad_bytes: row \d+ may hold \d+ entries, and a window 32 "):
        run_smash(GRAPH, GRAPH, fabric=Fabric(scratchpad_bytes=1024), version=VERSIONS["v1"])


def test_empty_products_take_no_windows_worth_of_anything() -> None:
    nothing = sparse.csr_array((5, 5))
    for version in VERSIONS.values():
        run = run_smash(nothing, nothing, fabric=SMALL, version=version)
        assert (run.products, run.entries, run.probes) == (0, 0, 0)
        assert np.isfinite(run.time_s)


def test_the_same_run_gives_the_same_counts() -> None:
    assert run_of().row() == run_of().row()


def test_cost_has_a_price_for_every_count() -> None:
    run = run_of()
    actions = fabric_actions(run, SMALL)
    lines = price(actions, node_nm=7, components=load_components())
    cost = summarise(lines, actions.latency_s, actions.ops)
    assert actions.latency_s == pytest.approx(run.time_s)
    assert cost["ops"] == 2 * run.products
    dram = sum(line.energy_J for line in lines if line.component == "dram")
    assert dram == pytest.approx(64e-12 * (run.dram_read_B + run.dram_write_B))
    assert cost["energy_J"] > dram


def numbers_of(record: type) -> list[tuple[type, str]]:
    """Fields of a record that hold one number."""
    hints = get_type_hints(record)
    return [
        (record, each.name) for each in fields(record) if hints[each.name] in (int, float, int | None, float | None)
    ]


@pytest.mark.parametrize(
    ("record", "name"), [pair for record in (Fabric, Instructions, SparseChip, Merge) for pair in numbers_of(record)]
)
def test_no_number_of_the_machine_or_the_chip_is_unbounded(record: type, name: str) -> None:
    for wrong in (float("inf"), float("nan"), 1e300, 10**300, -1.0):
        with pytest.raises(ValidationError):
            TypeAdapter(record).validate_python({name: wrong})


@pytest.mark.parametrize("bytes_", [1, 64])
@pytest.mark.parametrize("scratchpad", [1024, 1 << 28])
def test_the_smallest_and_largest_tables_give_the_product(bytes_: int, scratchpad: int) -> None:
    fabric = Fabric(scratchpad_bytes=scratchpad, tag_bytes=bytes_, value_bytes=bytes_)
    a = sparse.eye_array(20, format="csr")
    for version in VERSIONS.values():
        run = run_smash(a, a, fabric=fabric, version=version)
        assert run.products == 20
