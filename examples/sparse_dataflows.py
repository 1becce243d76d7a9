"""Row-wise products against inner products: how long a sparse product takes on one fabric, by dataflow.

A graph with hubs (R-MAT) is multiplied by another. An inner product matches the indices of every row with every column,
mostly in vain; row-wise ones form what there is to form, and differ in how they add it up; versions of SMASH differ in
how work is shared among threads and written back. Times are bounds of the most loaded resource. Shivdikar,
arXiv:2105.14156; R-MAT: doi 10.1137/1.9781611972740.43; docs/spgemm_fabric.md has the full size.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mho
from mappings.sparse import DATAFLOWS, VERSIONS, Fabric, run_smash
from workloads.spgemm import RMAT


def main() -> None:
    """Every dataflow on the same pair of matrices."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--scale", type=int, default=11, help="2^scale rows")
    ask.add_argument("--figure", type=Path, default=Path("sparse_dataflows.svg"))
    given = ask.parse_args()

    graph, fabric = RMAT(scale=given.scale), Fabric()
    a, b = (graph.draw(rng=mho.Stream.root(0).child(name)).csr for name in ("A", "B"))
    entries = np.diff(mho.spgemm(a, b).indptr).astype(np.int64)
    runs = [flow(a, b, entries, fabric=fabric) for flow in DATAFLOWS.values()]
    for name in ("v1", "v2", "v3"):
        runs.append(run_smash(a, b, fabric=fabric, version=replace(VERSIONS[name], hash="mixed")))

    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, run in enumerate(runs):
        colour = "C0" if run.windows else "0.6"
        axes.barh(place, run.time_s * 1e3, color=colour)
        axes.text(run.time_s * 1.1e3, place, f"{run.time_s * 1e3:.3g} ms, {run.limit}", va="center", fontsize=8)
        print(f"{run.approach:28} {run.time_s * 1e3:9.3f} ms, limited by {run.limit}")
    axes.set_yticks(range(len(runs)), [run.approach.replace(", mixed hash", "") for run in runs])
    axes.invert_yaxis()
    longest = max(run.time_s for run in runs)
    axes.set(xscale="log", xlabel="time of the product [ms], and what limits it", xlim=(None, 8e3 * longest))
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
