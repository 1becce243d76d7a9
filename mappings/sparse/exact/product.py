"""C = A B of sparse matrices, exact: formats, threads and memory around the compiled kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from configs.errors import InputError
from mappings.sparse.exact import kernel
from mappings.sparse.exact.indices import check_indices
from mappings.sparse.exact.kernel import PLUS_TIMES
from mappings.sparse.exact.memory import SHARE, available_bytes
from mappings.sparse.exact.semiring import SEMIRINGS, Semiring

Job = TypeVar("Job")

WORTH_A_THREAD = 1_000_000
"""Products below which starting a thread costs more than it saves."""
BLOCKS_A_THREAD = 4
"""Blocks of rows for each thread to take."""
MEET = 2
"""Products per entry at most, from which counting first takes longer than moving afterwards."""
CHECKED_FROM_BYTES = 1 << 26
"""Results below this size are made without asking how much memory there is."""
SAMPLE_PRODUCTS = 200_000_000
"""Products from which the size of a result is first estimated from evenly spaced rows."""


def partial_products(A: Any, B: Any) -> NDArray[np.int64]:
    """Scalar multiplications behind each row of C = A B: the length of B's row k, summed over A's nonzeros (i, k).

    Their sum is the count F by which sparse products are measured; F / nnz(C) is the compression.
    """
    a, b = _csr(A, "A"), _csr(B, "B")
    conform(a, b)
    return np.diff(_Operands(a, b, np.dtype(bool)).work)


def spgemm(
    A: Any,
    B: Any,
    *,
    semiring: str = "plus_times",
    dtype: DTypeLike | None = None,
    threads: int | None = None,
    sort: bool = True,
) -> Any:
    """The product of two sparse matrices, row by row: each nonzero A[i, k] scales row k of B, merged as it is made.

    Parameters
    ----------
    A, B : sparse matrices or arrays of any format, or dense arrays; CSR is used as it is, everything else converted.
        Duplicates, unsorted rows, explicit zeros and 64-bit indices are allowed.
    semiring : "plus_times"; "min_plus" (shortest paths; a missing entry is infinite, and nan is no length); "boolean"
        (true where the values of some pair are both not 0)
    dtype : type of products and sums: bool, an integer of 8 to 64 bits, float32 or float64. By default the one that
        both convert to, as in SciPy, and integers wrap in it as NumPy's do: choose a wider one for sums of small ones.
        bool means the boolean semiring; lengths (min_plus) are at least 32 bits wide.
    threads : at most so many; by default as many as torch uses. The result does not depend on it.
    sort : whether columns must rise within each row; some rows are quicker without.

    Returns CSR, of A's class where A is sparse (``csr_array`` or ``csr_matrix``), without duplicates. There is an
    entry wherever a partial product fell, also if they sum to 0, and also where a factor is an explicit 0. Products are
    added in stored order, so the result equals SciPy's to the last bit, apart from such zeros, which SciPy drops.

    Raises ``InputError`` for shapes that do not multiply, indices out of range, types other than these, and a result
    larger than four fifths of the free memory, whose size is computed first. Indices are compared with the shape before
    compiled code follows them, in one pass beside the count of products.
    """
    if semiring not in SEMIRINGS:
        raise InputError(f"spgemm: semiring: {', '.join(SEMIRINGS)} (got {semiring!r})")
    if threads is not None and threads < 1:
        raise InputError(f"spgemm: threads: at least 1 (got {threads})")
    a, b = _csr(A, "A"), _csr(B, "B")
    conform(a, b)
    values = np.dtype(dtype) if dtype is not None else np.result_type(a.dtype, b.dtype)
    ring = SEMIRINGS["boolean" if values.kind == "b" and semiring == "plus_times" else semiring]
    values = _result_type(values, ring)
    operands = _Operands(a, b, values)
    most = torch.get_num_threads() if threads is None else threads
    data, indices, indptr = _compute(operands, ring, min(most, 1 + operands.products // WORTH_A_THREAD), sort)
    kind = sparse.csr_array if isinstance(A, sparse.sparray) or not sparse.issparse(A) else sparse.csr_matrix
    shape = (a.shape[0], b.shape[1])
    same_size = data.dtype.itemsize == values.itemsize
    return _assemble(kind, data.view(values) if same_size else data.astype(values), indices, indptr, shape, sort)


@cache
def _empty(kind: Any) -> dict[str, Any]:
    """What SciPy keeps of a matrix."""
    return dict(vars(kind((1, 1))))


def _assemble(
    kind: Any, data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: tuple[int, int], sort: bool
) -> Any:
    """The three arrays as a matrix, without SciPy's checks, which take as long as a small product does."""
    attributes = _empty(kind)
    if "_shape" not in attributes:
        product = kind((data, indices, indptr), shape=shape)
    else:
        product = kind.__new__(kind)
        vars(product).update(attributes, _shape=shape, data=data, indices=indices, indptr=indptr)
    product.has_canonical_format = product.has_sorted_indices = sort
    return product


def _csr(matrix: Any, name: str) -> Any:
    """``matrix`` as CSR; that which is CSR already is not copied, and its indices are checked by the survey."""
    if not sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biufc":
        raise InputError(f"spgemm: {name}: a matrix of numbers (got {matrix.ndim} dimensions of {matrix.dtype})")
    if not sparse.issparse(matrix):
        return sparse.csr_array(matrix)
    if matrix.format != "csr":
        check_indices(matrix, f"spgemm: {name}")
        return sparse.csr_array(matrix)
    pointers, indices = matrix.indptr, matrix.indices
    fits = pointers.shape == (matrix.shape[0] + 1,) and indices.shape == matrix.data.shape and indices.ndim == 1
    if not fits or pointers[0] != 0 or pointers.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        raise InputError(f"spgemm: {name}: its index arrays do not fit its shape {matrix.shape}")
    return matrix


def conform(a: Any, b: Any) -> None:
    """Raise ``InputError`` for shapes that do not multiply."""
    if a.shape[1] != b.shape[0]:
        raise InputError(
            f"spgemm: B must have as many rows as A has columns (got A of {a.shape[0]} x {a.shape[1]} and B of "
            f"{b.shape[0]} x {b.shape[1]})"
        )


def _result_type(values: np.dtype[Any], ring: Semiring) -> np.dtype[Any]:
    """The type of C: ``values``, at least 32 bits wide where it is a length, or the narrowest float that holds it."""
    if ring.boolean:
        return np.dtype(bool)
    if values.kind == "f" and values.itemsize <= 8:
        return np.dtype(np.float32 if values.itemsize <= 4 else np.float64)
    if values.kind in "iu" and ring.code == PLUS_TIMES:
        return values.newbyteorder("=")
    if values.kind in "iu" and np.can_cast(values, np.int64):
        return np.dtype(np.int32 if np.can_cast(values, np.int32) else np.int64)
    raise InputError(
        f"spgemm: dtype: bool, int8 to int64, uint8 to uint64 (not for lengths), float32 or float64 (got {values}); "
        "choose one by dtype="
    )


def _as_kernel(data: NDArray[Any], values: np.dtype[Any]) -> NDArray[Any]:
    """Values in one of the types that are compiled; integers modulo 2^n are the same signed and unsigned."""
    if values.kind == "b":
        return np.asarray(data != 0).view(np.uint8)
    data = data.astype(values, copy=False)
    if values.kind == "f":
        return data
    wide = np.dtype(np.int64 if values.itemsize == 8 else np.int32)
    return data.view(wide) if values.itemsize == wide.itemsize else data.astype(wide)


def _as_pointers(array: NDArray[Any], pointer: Any, most: int, name: str, shape: tuple[int, int]) -> NDArray[Any]:
    """Indices in the kernel's type; where that is narrower, below ``most`` alone, since a cast would wrap others."""
    narrower = array.dtype.itemsize > np.dtype(pointer).itemsize
    if narrower and array.size and not 0 <= int(array.min()) <= int(array.max()) < most:
        raise _outside(name, shape)
    return array.astype(pointer, copy=False)


def _outside(name: str, shape: tuple[int, int]) -> InputError:
    return InputError(f"spgemm: {name}: column indices from 0 to {shape[1] - 1}, row pointers that rise (got others)")


class _Operands:
    """Both matrices as the kernel wants them, with the partial products before each row."""

    def __init__(self, a: Any, b: Any, dtype: np.dtype[Any]) -> None:
        self.rows, self.columns = a.shape[0], b.shape[1]
        widest = max(self.rows, self.columns, b.shape[0], a.indices.size, b.indices.size)
        pointer, unsigned = (np.int32, np.uint32) if widest < 2**31 else (np.int64, np.uint64)
        self.index = np.int32 if self.columns < 2**31 else np.int64
        self.a_ptr = _as_pointers(a.indptr, pointer, a.indices.size + 1, "A", a.shape)
        self.b_ptr = _as_pointers(b.indptr, pointer, b.indices.size + 1, "B", b.shape)
        self.a_idx = _as_pointers(a.indices, pointer, a.shape[1], "A", a.shape).view(unsigned)
        self.b_idx = _as_pointers(b.indices, pointer, b.shape[1], "B", b.shape).view(unsigned)
        self.a_val, self.b_val = _as_kernel(a.data, dtype), _as_kernel(b.data, dtype)
        self.work = np.empty(self.rows + 1, np.int64)
        products, self.bound, self.sorted_b = kernel.survey(
            self.a_ptr, self.a_idx, self.b_ptr, self.b_idx, self.columns, self.work
        )
        if products < 0:
            matrix, name = ((a, "A"), (b, "B"))[-products - 1]
            raise _outside(name, matrix.shape)
        self.products: int = products

    @property
    def factors(self) -> kernel.CsrFactors:
        """As the numeric phase takes them."""
        return kernel.CsrFactors(
            self.a_ptr, self.a_idx, self.a_val, self.b_ptr, self.b_idx, self.b_val, self.sorted_b, self.columns,
            self.work,
        )  # fmt: skip

    @property
    def entry_bytes(self) -> int:
        """Memory of one entry of C."""
        return int(np.dtype(self.index).itemsize + self.a_val.itemsize)

    def blocks(self, number: int) -> list[tuple[int, int]]:
        """Ranges of consecutive rows with about as many partial products each."""
        if number <= 1 or self.rows < 2:
            return [(0, self.rows)]
        aims = self.products * np.arange(1, number) / number
        cuts = [0, *np.searchsorted(self.work, aims).tolist(), self.rows]
        return [(first, last) for first, last in pairwise(cuts) if last > first]

    def at_most(self, first: int, last: int) -> int:
        """Entries that rows ``first`` to ``last`` can have."""
        return int(np.minimum(np.diff(self.work[first : last + 1]), self.columns).sum())


def _side_by_side(jobs: Sequence[Callable[[], Job]], threads: int) -> list[Job]:
    """What the jobs give; threads, of which this is one, take them in turn, so that a late one delays little."""
    if threads == 1 or len(jobs) == 1:
        return [job() for job in jobs]
    results: dict[int, Job] = {}
    left = iter(enumerate(jobs))

    def take() -> None:
        for number, job in left:
            results[number] = job()

    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(take) for _ in range(min(threads, len(jobs)) - 1)]
        take()
        for other in others:
            other.result()
    return [results[number] for number in range(len(jobs))]


def _compute(
    ab: _Operands, ring: Semiring, threads: int, sort: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Data, indices and row pointers of C.

    In one pass where products meet often: each block writes into a stretch of memory that is surely long enough (pages
    that are not touched cost nothing), and the stretches are then moved together. Where there would be much to move, or
    the stretches might not fit, a symbolic pass counts first, and each block writes where its rows belong.
    """
    blocks = ab.blocks(threads * BLOCKS_A_THREAD if threads > 1 else 1)
    counts = np.zeros(ab.rows + 1, np.int64)
    upper_bytes = ab.bound * ab.entry_bytes
    free = available_bytes() if upper_bytes > CHECKED_FROM_BYTES else None
    if (free is not None and upper_bytes > SHARE * free / 2) or (threads > 1 and ab.products < MEET * ab.bound):
        _count(ab, blocks, counts, free, threads)
        begins = [0, *np.cumsum([counts[first + 1 : last + 1].sum() for first, last in blocks]).tolist()]
    else:
        begins = [0, *np.cumsum([ab.at_most(first, last) for first, last in blocks[:-1]]).tolist(), ab.bound]
    indices = np.empty(begins[-1], ab.index)
    data = np.empty(begins[-1], ab.a_val.dtype)
    unsigned = indices.view(np.uint32 if ab.index is np.int32 else np.uint64)
    empty, factors = ring.empty(data.dtype), ab.factors
    ends = _side_by_side(
        [
            partial(kernel.multiply, ring.code, first, last, factors, empty, sort, (counts, unsigned, data), at)
            for (first, last), at in zip(blocks, begins, strict=False)
        ],
        threads,
    )
    filled = ends[0]
    for start, end in zip(begins[1:-1], ends[1:], strict=True):
        if start > filled:
            _side_by_side([partial(kernel.move, array, start, end, filled) for array in (unsigned, data)], threads)
        filled += end - start
    del unsigned
    indices.resize(filled, refcheck=False)
    data.resize(filled, refcheck=False)
    index = ab.index if filled < 2**31 else np.int64
    return data, indices.astype(index, copy=False), np.cumsum(counts, dtype=index)


def _count(
    ab: _Operands, blocks: list[tuple[int, int]], counts: NDArray[np.int64], free: int | None, threads: int
) -> None:
    """Symbolic phase: the length of every row of C, unless they do not fit the memory.

    Beyond ``SAMPLE_PRODUCTS`` a sample of rows comes first, so that a hopeless product is refused within a second.
    """
    if free is not None and ab.products > SAMPLE_PRODUCTS:
        stride = -(-ab.products // (SAMPLE_PRODUCTS // 10))
        products, entries = kernel.sample(stride, ab.a_ptr, ab.a_idx, ab.b_ptr, ab.b_idx, ab.columns)
        _refuse(entries * ab.products // max(products, 1), ab, free, "about ")
    _side_by_side(
        [
            partial(kernel.count, first, last, ab.a_ptr, ab.a_idx, ab.b_ptr, ab.b_idx, ab.columns, counts)
            for first, last in blocks
        ],
        threads,
    )
    if free is not None:
        _refuse(int(counts.sum()), ab, free, "")


class ProductTooLarge(InputError):
    """C would not fit the memory; ``size`` says how large it is."""

    def __init__(self, size: str) -> None:
        self.size = size
        super().__init__(f"spgemm: {size}; a part of A's rows may fit, spgemm(A[:n], B), or dtype=float32")


def _refuse(entries: int, ab: _Operands, free: int, about: str) -> None:
    needed = entries * ab.entry_bytes
    if needed > SHARE * free:
        raise ProductTooLarge(
            f"the product of {ab.rows} x {ab.columns} would hold {about}{entries:,} entries, or "
            f"{needed / 1e9:.1f} GB; allowed are {SHARE * free / 1e9:.1f} GB, {SHARE:.0%} of the memory that is free"
        )
