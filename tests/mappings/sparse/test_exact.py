"""The sparse product: SciPy's, to the last bit, whatever the rows look like and however many threads share them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from devices import InputError, Stream
from mappings.sparse import SEMIRINGS, partial_products, spgemm
from mappings.sparse.exact import kernel, product

MATRICES = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "matrices"
NAMES = sorted(path.name.removesuffix(".mtx.gz") for path in MATRICES.glob("*.mtx.gz"))


def canonical(matrix: Any) -> Any:
    """Sorted, and without entries that are 0: SciPy drops what sums to 0."""
    matrix = sparse.csr_array(matrix, copy=True)
    matrix.sort_indices()
    matrix.eliminate_zeros()
    return matrix


def assert_same_bits(ours: Any, theirs: Any) -> None:
    ours, theirs = canonical(ours), canonical(theirs)
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_array_equal(ours.data, theirs.data)


@pytest.mark.skipif(not NAMES, reason="needs ../shared/data/matrices beside the checkout")
@pytest.mark.parametrize("name", NAMES)
def test_equals_scipy_bit_for_bit_on_real_matrices(name: str) -> None:
    a = sparse.csr_array(scipy.io.mmread(MATRICES / f"{name}.mtx.gz")).astype(np.float64)
    b = a if a.shape[0] == a.shape[1] else sparse.csr_array(a.T)
    ours = spgemm(a, b, threads=2)
    assert ours.has_sorted_indices
    assert ours.copy().sum_duplicates() is None
    assert_same_bits(ours, a @ b)


def random_csr(rows: int, columns: int, entries: int, seed: int, **form: Any) -> Any:
    """Raw CSR: duplicates, unsorted rows and explicit zeros included, as SciPy allows."""
    draw = Stream.root(seed).numpy()
    row = np.sort(draw.integers(0, max(rows, 1), entries)) if rows and columns else np.empty(0, np.int64)
    pointers = np.searchsorted(row, np.arange(rows + 1)).astype(form.get("index", np.int32))
    indices = draw.integers(0, max(columns, 1), row.size).astype(form.get("index", np.int32))
    values = draw.integers(-2, 3, row.size).astype(form.get("dtype", np.float64))
    if values.dtype.kind == "f":
        values *= draw.standard_normal(row.size).astype(values.dtype)
    return sparse.csr_array((values, indices, pointers), shape=(rows, columns))


def ones(matrix: Any) -> Any:
    """1 at every stored entry: products of such count partial products."""
    data = np.ones(matrix.indices.size, np.int64)
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


@given(
    shape=st.tuples(*[st.integers(0, 90)] * 3),
    fill=st.tuples(*[st.sampled_from([0.0, 0.5, 3.0, 20.0])] * 2),
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.int64]),
    index=st.sampled_from([np.int32, np.int64]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=120)
def test_equals_scipy_on_unsorted_duplicate_and_empty_rows(
    shape: tuple[int, int, int], fill: tuple[float, float], dtype: Any, index: Any, threads: int, seed: int
) -> None:
    m, k, n = shape
    a = random_csr(m, k, int(fill[0] * m), seed, dtype=dtype, index=index)
    b = random_csr(k, n, int(fill[1] * k), seed + 1, dtype=dtype)
    before = product.WORTH_A_THREAD
    product.WORTH_A_THREAD = 1
    try:
        ours = spgemm(a, b, threads=threads)
    finally:
        product.WORTH_A_THREAD = before
    assert_same_bits(ours, a @ b)
    fallen = ones(a) @ ones(b)
    assert ours.nnz == fallen.nnz
    np.testing.assert_array_equal(partial_products(a, b), fallen.sum(axis=1))


PATHS = {
    "copy": lambda: (random_csr(50, 9000, 50, 1), canonical(random_csr(9000, 20000, 90000, 2))),
    "insert": lambda: (random_csr(60, 3000, 100, 21), random_csr(3000, 90000, 6000, 22)),
    "rank": lambda: (random_csr(60, 3000, 150, 3), canonical(random_csr(3000, 90000, 9000, 4))),
    "bits": lambda: (random_csr(60, 3000, 1500, 5), canonical(random_csr(3000, 90000, 30000, 6))),
    "bytes": lambda: (random_csr(40, 500, 4000, 7), canonical(random_csr(500, 700, 50000, 8))),
    "hash": lambda: (random_csr(60, 3000, 1500, 9), random_csr(3000, 3_000_000, 30000, 10)),
    "hash with many meetings": lambda: (
        random_csr(30, 60, 3000, 11),
        canonical(random_csr(60, 700_000, 1200, 12)),
    ),
    "slots outside the cache": lambda: (random_csr(3, 3000, 3000, 13), random_csr(3000, 600_000, 90000, 14)),
    "far apart": lambda: (random_csr(60, 300, 200, 15), random_csr(300, 1 << 30, 900, 16)),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sort", [True, False])
def test_every_way_of_merging_a_row_gives_the_same_bits(path: str, sort: bool) -> None:
    a, b = PATHS[path]()
    columns = np.unique(b.indices)
    compact = sparse.csr_array((b.data, np.searchsorted(columns, b.indices), b.indptr), (b.shape[0], columns.size))
    ours = canonical(spgemm(a, b, sort=sort))
    theirs = canonical(a @ compact)
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, columns[theirs.indices])
    np.testing.assert_array_equal(ours.data, theirs.data)


DENSE: dict[str, Callable[[Any, Any], Any]] = {
    "plus_times": lambda a, b: np.einsum("ik,kj->ij", a, b),
    "min_plus": lambda a, b: (a[:, :, None] + b[None]).min(axis=1),
    "boolean": lambda a, b: (a[:, :, None] & b[None]).any(axis=1),
}


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    seed=st.integers(0, 10**6),
    name=st.sampled_from(sorted(SEMIRINGS)),
    dtype=st.sampled_from([np.float64, np.int64]),
)
def test_semirings_match_a_dense_reference(shape: tuple[int, int, int], seed: int, name: str, dtype: Any) -> None:
    m, k, n = shape
    draw = Stream.root(seed).numpy()
    a, b = (np.where(draw.random(s) < 0.5, draw.integers(-9, 10, s), 0).astype(dtype) for s in ((m, k), (k, n)))
    ours = spgemm(a, b, semiring=name)
    if name == "boolean":
        assert ours.dtype == bool
        np.testing.assert_array_equal(ours.toarray(), DENSE[name](a != 0, b != 0))
    elif name == "plus_times":
        np.testing.assert_array_equal(ours.toarray(), DENSE[name](a, b))
    else:
        far = 10.0**6
        expected = DENSE[name](np.where(a == 0, far, a), np.where(b == 0, far, b))
        dense = np.full((m, n), np.inf)
        coo = ours.tocoo()
        dense[coo.row, coo.col] = coo.data
        np.testing.assert_array_equal(dense, np.where(expected > far / 2, np.inf, expected))


def test_min_plus_keeps_a_stored_zero_as_a_way_of_no_length() -> None:
    ways = sparse.csr_array((np.array([0.0, 2.0]), ([0, 0], [0, 1])), shape=(2, 2))
    on = sparse.csr_array((np.array([5.0, 1.0]), ([0, 1], [0, 0])), shape=(2, 2))
    np.testing.assert_array_equal(spgemm(ways, on, semiring="min_plus").toarray(), [[3.0, 0.0], [0.0, 0.0]])


TYPES = (bool, *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), np.float32, np.float64)


@pytest.mark.parametrize("of_a", TYPES)
@pytest.mark.parametrize("of_b", TYPES)
def test_types_and_wrapping_integers_are_those_of_scipy(of_a: Any, of_b: Any) -> None:
    draw = Stream.root(3).numpy()

    def drawn(shape: tuple[int, int], of: Any) -> Any:
        kind = np.dtype(of)
        if kind.kind == "b":
            values = draw.random(shape) < 0.5
        elif kind.kind == "f":
            values = draw.standard_normal(shape).astype(kind)
        else:
            values = draw.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, kind, endpoint=True)
        return sparse.csr_array(np.where(draw.random(shape) < 0.6, values, kind.type(0)))

    a, b = drawn((6, 40), of_a), drawn((40, 5), of_b)
    ours, theirs = spgemm(a, b), a @ b
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours.toarray(), theirs.toarray())


def test_bool_is_the_boolean_semiring_and_a_wider_type_keeps_small_integers_from_wrapping() -> None:
    full = np.ones((2, 300), np.int8)
    assert spgemm(full.astype(bool), full.T.astype(bool)).dtype == bool
    counts = spgemm(full, full.T, dtype=np.int32)
    assert counts.dtype == np.int32
    assert counts.toarray().max() == 300
    assert spgemm(full, full.T, dtype=np.float32).dtype == np.float32
    lengths = spgemm(np.full((1, 1), 100, np.int8), np.full((1, 1), 100, np.int8), semiring="min_plus")
    assert lengths.toarray() == 200


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("shape", [(0, 0, 0), (0, 3, 2), (3, 0, 2), (2, 3, 0), (1, 1, 1), (4, 6, 2)])
def test_every_format_and_empty_shapes(kind: str, shape: tuple[int, int, int]) -> None:
    draw = Stream.root(5).numpy()
    dense = [np.where(draw.random(part) < 0.5, draw.random(part), 0.0) for part in (shape[:2], shape[1:])]
    a, b = (sparse.coo_array(part).asformat(kind) for part in dense)
    np.testing.assert_allclose(spgemm(a, b).toarray(), dense[0] @ dense[1])


def test_class_and_sortedness_of_the_result() -> None:
    a = sparse.eye_array(3, format="coo")
    assert isinstance(spgemm(a, a), sparse.csr_array)
    assert isinstance(spgemm(sparse.csr_matrix(a), a), sparse.csr_matrix)
    assert isinstance(spgemm(np.eye(3), a), sparse.csr_array)


def test_operands_are_left_as_they_were() -> None:
    a = random_csr(40, 40, 200, 1)
    before = [array.copy() for array in (a.data, a.indices, a.indptr)]
    spgemm(a, a)
    spgemm(a, a, semiring="boolean")
    for array, copy in zip((a.data, a.indices, a.indptr), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_symbolic_phase_is_taken_where_memory_is_short_and_refuses_with_the_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(product, "CHECKED_FROM_BYTES", 0)
    a = random_csr(400, 400, 6000, 1)
    exact = spgemm(a, a, threads=1)
    needed = exact.nnz * 12
    monkeypatch.setattr(product, "available_bytes", lambda: int(needed / product.SHARE) + 2)
    assert_same_bits(spgemm(a, a, threads=2), exact)
    monkeypatch.setattr(product, "available_bytes", lambda: int(needed / product.SHARE) - 2)
    with pytest.raises(InputError, match=rf"400 x 400 would hold {exact.nnz:,} entries, or 0\.\d GB; allowed are"):
        spgemm(a, a)


def test_hopeless_product_is_refused_from_a_sample_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "CHECKED_FROM_BYTES", 0)
    monkeypatch.setattr(product, "SAMPLE_PRODUCTS", 100_000)
    monkeypatch.setattr(product, "available_bytes", lambda: 10_000)
    a = random_csr(2000, 2000, 20000, 1)
    exact = (ones(a) @ ones(a)).nnz
    with pytest.raises(InputError, match="would hold about") as refused:
        spgemm(a, a)
    estimated = int(str(refused.value).split("about ")[1].split(" ")[0].replace(",", ""))
    assert estimated == pytest.approx(exact, rel=0.3)


EYE64 = np.eye(2, dtype=np.uint64)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: spgemm(np.eye(3), np.eye(4)), r"as many rows as A has columns \(got A of 3 x 3 and B of 4 x 4\)"),
        (lambda: spgemm(np.eye(2), np.eye(2), semiring="times"), r"plus_times, min_plus, boolean \(got 'times'\)"),
        (lambda: spgemm(np.eye(2), np.eye(2), threads=0), r"threads: at least 1 \(got 0\)"),
        (lambda: spgemm(np.eye(2) * 1j, np.eye(2)), r"float32 or float64 \(got complex128\)"),
        (lambda: spgemm(np.eye(2), np.eye(2), dtype=np.longdouble), r"\(got float128\)"),
        (lambda: spgemm(EYE64, EYE64, semiring="min_plus"), r"uint64 \(not for lengths\).*\(got uint64\)"),
        (lambda: spgemm(np.ones(3), np.eye(3)), r"A: a matrix of numbers \(got 1 dimensions of float64\)"),
    ],
)
def test_wrong_use_is_one_message(call: Callable[[], object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        call()


@pytest.mark.parametrize("which", ["A", "B"])
def test_index_out_of_range_is_refused_and_not_followed(which: str) -> None:
    good, bad = sparse.eye_array(3, format="csr"), sparse.eye_array(3, format="csr")
    bad.indices = np.array([0, 7, 2], np.int32)
    operands = (bad, good) if which == "A" else (good, bad)
    with pytest.raises(InputError, match=f"{which}: column indices from 0 to 2"):
        spgemm(*operands)


LIES = {
    "csr": {
        "indices": [(0, 10**9, 2), (0, -1, 2), (0, 2**32 + 1, 2), (0.0, 1.0, 2.0)],
        "indptr": [(1, 1, 2, 3), (0, 2, 1, 3), (0, 2**32 + 1, 2, 3), (0, 1, 2, 2**40)],
    },
    "csc": {"indices": [(0, 10**9, 2), (0, -1, 2), (0, 2**32 + 1, 2)], "indptr": [(0, 10**9, 2, 3), (0, 2, 1, 3)]},
    "bsr": {"indices": [(0, 10**8, 2), (0, -(10**8), 2)], "indptr": [(0, 10**8, 2, 3), (0, 1)]},
    "coo": {"coords": [((0, 1, 10**9), (0, 1, 2)), ((0, 1, 2), (0, 1, -1)), ((0, 1), (0, 1))]},
    "dia": {"offsets": [(10**9,), (-(10**9),), (0, 1), (0.5,)]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [(kind, name, wrong) for kind, parts in LIES.items() for name, values in parts.items() for wrong in values],
)
def test_no_format_lets_an_index_through_that_does_not_fit(kind: str, name: str, wrong: Any) -> None:
    good = sparse.eye_array(3, format="csr")
    matrix = good.asformat(kind)
    setattr(matrix, name, tuple(map(np.array, wrong)) if name == "coords" else np.array(wrong))
    for pair in ((matrix, good), (good, matrix)):
        with pytest.raises(InputError, match=r"^spgemm: [AB]: "):
            spgemm(*pair)


def test_a_product_too_large_names_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "CHECKED_FROM_BYTES", 0)
    monkeypatch.setattr(product, "available_bytes", lambda: 1000)
    a = random_csr(400, 400, 6000, 1)
    with pytest.raises(product.ProductTooLarge, match=r"a part of A's rows may fit, spgemm\(A\[:n\], B\), or dtype"):
        spgemm(a, a)


def test_limits_of_the_paths_fit_their_keys() -> None:
    assert kernel.RANK_LIMIT <= 64
    assert kernel.FAR << 6 <= kernel.LAST_KEY + 1
