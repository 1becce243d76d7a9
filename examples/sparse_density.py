"""Traffic of a sparse product over its density: merging in a hashed scratchpad, beside dataflows that do not.

Random square matrices of 1024 rows, from 1 to 64 entries a row. SMASH gathers a row of the result in its scratchpad and
writes it once; row-wise merging by sorting moves less while rows are short, and three times as much when they outgrow
what a thread keeps; the outer product writes every partial product and reads it again. The dashed line reads A and B
and writes C once each, the least there is. SMASH: Shivdikar, arXiv:2105.14156; model and its bounds:
docs/spgemm_fabric.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mho
from mappings.sparse import DATAFLOWS, VERSIONS, Fabric, run_smash
from workloads.spgemm import ErdosRenyi

NAMES = {"row_sorted": "row-wise, merged by sorting", "outer": "outer product"}


def main() -> None:
    """Draw matrices, count what each way moves."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rows", type=int, default=1024)
    ask.add_argument("--per-row", type=float, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    ask.add_argument("--figure", type=Path, default=Path("sparse_density.svg"))
    given = ask.parse_args()

    fabric, moved = Fabric(), {name: [] for name in ("SMASH", *NAMES, "least")}
    for per_row in given.per_row:
        graph = ErdosRenyi(rows=given.rows, per_row=per_row)
        a, b = (graph.draw(rng=mho.Stream.root(0).child(name)).csr for name in ("A", "B"))
        c = mho.spgemm(a, b)
        entries = np.diff(c.indptr).astype(np.int64)
        runs = {"SMASH": run_smash(a, b, fabric=fabric, version=VERSIONS["v3_mixed"])}
        runs |= {name: DATAFLOWS[name](a, b, entries, fabric=fabric) for name in NAMES}
        for name, run in runs.items():
            moved[name].append((run.dram_read_B + run.dram_write_B) / 1e6)
        moved["least"].append(12.0 * (a.nnz + b.nnz + c.nnz) / 1e6)  # a value of 8 bytes and a column of 4
        shown = ", ".join(f"{name} {values[-1]:.2f} MB" for name, values in moved.items())
        print(f"{per_row:4g} a row, {c.nnz:8,} entries of C: {shown}")

    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    density = [100.0 * per_row / given.rows for per_row in given.per_row]
    for name, values in moved.items():
        if name == "least":
            axes.loglog(density, values, "--", color="0.5", label="A, B and C once")
        else:
            axes.loglog(density, values, "o-", label=NAMES.get(name, name))
    axes.set(xlabel="entries that are not zero [%]", ylabel="traffic of the DRAM [MB]")
    axes.legend()
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
