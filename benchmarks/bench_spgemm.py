"""Sparse products beside SciPy and python-graphblas, on the matrices in ../shared/data/matrices.

    pytest benchmarks/bench_spgemm.py --benchmark-only
    PYTHONPATH=. python benchmarks/bench_spgemm.py [THREADS]      # the table over all matrices, in Markdown

SciPy's product is on one thread and leaves its rows unsorted; the second SciPy column sorts them, as mho does.
GraphBLAS has as many threads as mho and sorts only when asked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mappings.sparse import partial_products, spgemm
from workloads.spgemm import factors, read_matrix

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

MATRICES = Path(__file__).resolve().parents[2] / "shared" / "data" / "matrices"
THREADS = 2
LARGE = 1_000_000
TIMED = ("bcsstk13", "ego-Facebook", "wiki-Vote", "astro-ph-metis", "citeseer_features")


def operands(name: str) -> tuple[Any, Any]:
    """A and B of A A, or A A^T where A is not square."""
    matrix = read_matrix(MATRICES / f"{name}.mtx.gz")
    square = matrix.csr.shape[0] == matrix.csr.shape[1]
    a, b = factors(matrix, "A*A" if square else "A*A^T")
    return a.csr, b.csr


def graphblas(a: Any, b: Any, threads: int) -> Callable[[], object]:
    """The same product by SuiteSparse:GraphBLAS."""
    gb = pytest.importorskip("graphblas")
    gb.init("suitesparse", blocking=True)
    gb.ss.config["nthreads"] = threads
    left, right = gb.io.from_scipy_sparse(a), gb.io.from_scipy_sparse(b)
    return lambda: left.mxm(right).new()


@pytest.mark.skipif(not MATRICES.is_dir(), reason="needs ../shared/data/matrices beside the checkout")
@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("peer", ["scipy", "graphblas"])
def test_sparse_product(name: str, peer: str, side_by_side: SideBySide) -> None:
    a, b = operands(name)
    reference = graphblas(a, b, THREADS) if peer == "graphblas" else lambda: a @ b
    row = side_by_side(
        f"sparse product of {name}, {THREADS} threads",
        lambda: spgemm(a, b, threads=THREADS),
        f"{peer}, {THREADS if peer == 'graphblas' else 1} threads",
        reference,
        target_ratio=1 / 1.3 if peer == "graphblas" else 0.5,
    )
    assert row["ratio"] > 0


def sorted_by_scipy(a: Any, b: Any) -> object:
    """SciPy's product with rows in order."""
    product = a @ b
    product.sort_indices()
    return product


def seconds(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """The least of all rounds, the works taking turns: a busy machine can only add to a time."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for times, work in zip(taken, works, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return [min(times) for times in taken]


def main(threads: int) -> None:
    """Print the table."""
    heads = ["matrix", "products", "nnz(C)", "mho ms", "SciPy ms", "sorted ms", "GraphBLAS ms", "SciPy / mho"]
    heads += ["sorted / mho", "GraphBLAS / mho"]
    sys.stdout.write("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|\n")
    ratios = []
    for path in sorted(MATRICES.glob("*.mtx.gz")):
        a, b = operands(path.name.removesuffix(".mtx.gz"))
        products = int(partial_products(a, b).sum())
        works: list[Callable[[], object]] = [lambda a=a, b=b: spgemm(a, b, threads=threads), lambda a=a, b=b: a @ b]  # type: ignore[misc]
        works += [lambda a=a, b=b: sorted_by_scipy(a, b), graphblas(a, b, threads)]  # type: ignore[misc]
        entries = spgemm(a, b).nnz
        times = seconds(works, 15 if products > LARGE else 60)
        gains = [other / times[0] for other in times[1:]]
        if products > LARGE:
            ratios.append(gains)
        cells = [path.name.removesuffix(".mtx.gz"), f"{products:,}", f"{entries:,}"]
        cells += [f"{t * 1e3:.3f}" for t in times] + [f"{g:.2f}" for g in gains]
        sys.stdout.write("| " + " | ".join(cells) + " |\n")
        sys.stdout.flush()
    means = np.exp(np.log(np.array(ratios)).mean(0))
    sys.stdout.write(f"\nGeometric means above {LARGE:,} products: " + ", ".join(f"{m:.2f}" for m in means) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else THREADS)
