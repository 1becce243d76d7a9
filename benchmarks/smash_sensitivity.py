"""SMASH on a 16,384-row R-MAT: versions, hashes, competing dataflows, and what the gain rests on, as Markdown tables.

PYTHONPATH=. python benchmarks/smash_sensitivity.py > tables.md        (a few minutes)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from devices import Stream
from mappings.sparse import DATAFLOWS, VERSIONS, Fabric, FabricRun, run_smash, spgemm
from mappings.sparse.fabric.machine import Hash
from workloads.spgemm import RMAT

SCALE, EDGE_FACTOR = 14, 8.0
HASHES: tuple[Hash, ...] = ("low_order", "high_order", "mixed")
HALF_AND_TWICE = (
    "clock_Hz", "threads_per_pipeline", "pipelines", "scratchpad_bytes", "scratchpad_cycles", "atomic_units",
    "atomic_cycles", "atomic_latency_cycles", "dram_latency_s",
)  # fmt: skip
VARIED: dict[str, tuple[float, float]] = {
    **dict.fromkeys(HALF_AND_TWICE, (0.5, 2)),
    **dict.fromkeys(("dram_bandwidth_B_s", "loads_in_flight"), (0.25, 4)),
    "dram_granularity_B": (2, 8),
}


class Product:
    """A and B of one product, run any way."""

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b
        self.entries = np.diff(spgemm(a, b).indptr).astype(np.int64)

    def smash(self, version: str, fabric: Fabric, **changes: Any) -> FabricRun:
        """One version, with changes to it."""
        return run_smash(self.a, self.b, fabric=fabric, version=replace(VERSIONS[version], **changes))

    def flow(self, name: str, fabric: Fabric) -> FabricRun:
        """One competing dataflow."""
        return DATAFLOWS[name](self.a, self.b, self.entries, fabric=fabric)


def drawn() -> tuple[Any, Any]:
    """A and B of the reference workload, from independent streams."""
    graph = RMAT(scale=SCALE, edge_factor=EDGE_FACTOR)
    a, b = (graph.draw(rng=Stream.root(0).child(name)).csr for name in ("A", "B"))
    return a, b


def renumbered(a: Any, b: Any) -> tuple[Any, Any]:
    """The same with vertices numbered at random, as Graph500 hands them out: hubs no longer have small numbers."""
    generator = Stream.root(0).child("numbers").numpy()
    rows, inner, columns = (generator.permutation(1 << SCALE) for _ in range(3))
    return a[rows][:, inner].tocsr(), b[inner][:, columns].tocsr()


def show(heads: list[str], rows: list[list[str]]) -> None:
    """One Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    sys.stdout.write("\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n\n")


def milliseconds(run: FabricRun) -> str:
    """Time of a run, for a table."""
    return f"{run.time_s * 1e3:,.1f}"


def approaches(product: Product, fabric: Fabric) -> None:
    """Table 1: everything once."""
    best = product.smash("v3_mixed", fabric)
    runs = [product.flow(name, fabric) for name in DATAFLOWS]
    runs += [product.smash(name, fabric, hash="mixed") for name in ("v1", "v2")] + [best]
    rows = []
    for run in runs:
        name = f"{run.approach}, mixed hash" if run.windows and "mixed" not in run.approach else run.approach
        rows.append([name, milliseconds(run), f"{run.time_s / best.time_s:.2f}", f"{run.instructions / 1e6:,.0f}"])
        rows[-1] += [f"{run.dram_read_B / 1e6:,.0f}", f"{run.dram_write_B / 1e6:,.0f}", f"{run.utilisation:.0%}"]
        rows[-1] += [run.limit]
    heads = ["approach", "time ms", "V3 = 1", "instructions M", "DRAM read MB", "written MB", "utilisation", "limit"]
    show(heads, rows)


def hashes(products: dict[str, Product], fabric: Fabric) -> None:
    """Table 2: which bits choose the slot."""
    rows = []
    for numbering, product in products.items():
        for hashing in HASHES:
            runs = [product.smash(name, fabric, hash=hashing) for name in ("v1", "v2", "v3")]
            rows.append([numbering, hashing, *(milliseconds(run) for run in runs)])
            rows[-1] += [f"{run.probes / run.products:,.2f}" for run in (runs[0], runs[2])]
            rows[-1] += [f"{runs[0].longest_probe:,}", f"{runs[0].time_s / runs[2].time_s:.2f}"]
    heads = ["vertices", "hash", "V1 ms", "V2 ms", "V3 ms", "probes a product V1", "V3", "longest V1", "V1 / V3"]
    show(heads, rows)


def sensitivity(product: Product, fabric: Fabric) -> None:
    """Table 3: V3 (mixed hash) and its gains, one parameter at a time."""

    def gains(changed: Fabric) -> list[str]:
        best = product.smash("v3_mixed", changed)
        others = [product.smash("v1", changed, hash="mixed")] + [product.flow(name, changed) for name in DATAFLOWS]
        return [milliseconds(best), *(f"{other.time_s / best.time_s:.2f}" for other in others), best.limit]

    changes: list[tuple[str, Callable[[], Fabric]]] = [("as given", lambda: fabric)]
    for name, factors in VARIED.items():
        for factor in factors:
            value = type(getattr(fabric, name))(getattr(fabric, name) * factor)
            changes.append((f"{name} x {factor:g}", lambda n=name, v=value: replace(fabric, **{n: v})))  # type: ignore[misc]
    for name in ("product", "probe", "sort"):
        for factor in (0.5, 2.0):
            cost = replace(fabric.instructions, **{name: getattr(fabric.instructions, name) * factor})
            changes.append((f"instructions.{name} x {factor:g}", lambda c=cost: replace(fabric, instructions=c)))  # type: ignore[misc]
    heads = ["parameter", "V3 ms", "gain on V1", *(f"on {name}" for name in DATAFLOWS), "V3's limit"]
    show(heads, [[label, *gains(make())] for label, make in changes])


def main() -> None:
    """Print the tables."""
    a, b = drawn()
    product, fabric = Product(a, b), Fabric()
    sys.stdout.write(f"nnz(A) {a.nnz:,}, nnz(B) {b.nnz:,}, nnz(C) {product.entries.sum():,}\n\n")
    approaches(product, fabric)
    hashes({"as drawn": product, "renumbered": Product(*renumbered(a, b))}, fabric)
    sensitivity(product, fabric)


if __name__ == "__main__":
    main()
