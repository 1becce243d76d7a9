"""Sparse products on tiles, as Markdown tables: layouts and orders, accuracy, precision of the merge, estimates.

    PYTHONPATH=. python benchmarks/spgemm_tiles.py [tiles] [accuracy] [merge] [estimates] > tables.md

Matrices are in ../shared/data/matrices beside the checkout; products are A A, or A A^T where A is not square.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crossbar import BitSlices
from devices import PCM, SONOS, AnyDevice, Ideal, Stream, TaOx
from mappings.cost import price
from mappings.sparse import (
    Lengths,
    MappedProduct,
    Merge,
    SparseChip,
    SparseCounts,
    SparseLayer,
    SparseMapping,
    estimate,
    multiply,
    sample,
)
from mappings.sparse.tiles.layout import Layout
from workloads.spgemm import ErdosRenyi, read_matrix

MATRICES = Path(__file__).resolve().parents[2] / "shared" / "data" / "matrices"
CHIP = SparseChip(device=TaOx(), tiles=4096, rows=128, columns=128, adc_bits=6)
LAYOUTS: tuple[tuple[Layout, Any], ...] = (
    ("blocks", "natural"),
    ("blocks", "rcm"),
    ("compact", "natural"),
    ("compact", "rcm"),
    ("compact", "greedy"),
    ("compact", "best"),
)


def pattern(name: str) -> tuple[Any, Any]:
    """The factors of a matrix's product, all values 1."""
    a = read_matrix(MATRICES / f"{name}.mtx.gz").csr
    a.data[:] = 1.0
    return (a, a) if a.shape[0] == a.shape[1] else (a, a.T.tocsr())


def energies(mapped: MappedProduct, counts: SparseCounts) -> tuple[float, float, float]:
    """Energy of the tiles (cells, lines, drivers, converters, column lists, control), of writing them, and of all."""
    lines = price(mapped.actions(counts), node_nm=mapped.chip.node_nm, components=mapped.components())
    total = sum(line.energy_J for line in lines if line.action != "leakage")
    writing = sum(line.energy_J for line in lines if line.component == "cell_write")
    beside = sum(
        line.energy_J for line in lines if line.component in ("merge_bank", "dram") and line.action != "leakage"
    )
    return total - writing - beside, writing, total


def tiles_table() -> None:
    """Tiles, utilisation and energy of every layout and order."""
    heads = ("matrix", "field", "nnz", "blocks", "blocks, RCM", "compact", "compact, RCM", "compact, greedy")
    more = ("compact, best", "utilisation", "tiles' energy [uJ]", "writing [uJ]")
    print(f"| {' | '.join((*heads, *more))} |\n|{'---|' * len((*heads, *more))}")
    gains: list[tuple[float, float]] = []
    for row in csv.DictReader((MATRICES / "TABLE.csv").open()):
        a, b = pattern(row["name"])
        seen = []
        for layout, order in LAYOUTS:
            mapping = SparseMapping(chip=CHIP, layout=layout, order=order)
            mapped = SparseLayer(b).map(mapping, inputs=a)
            seen.append((mapped.counts, *energies(mapped, mapped.counts)))
        chosen = [seen[0], seen[2], seen[5]]
        cells = [str(one[0].tiles) for one in seen]
        filled = " / ".join(f"{one[0].utilisation:.2%}" for one in chosen)
        spent, wrote = (" / ".join(f"{one[n] * 1e6:.3g}" for one in chosen) for n in (1, 2))
        field = row["field"].split("(")[0].strip()
        print(f"| {row['name']} | {field} | {b.nnz} | {' | '.join(cells)} | {filled} | {spent} | {wrote} |", flush=True)
        gains.append((seen[0][0].tiles / seen[2][0].tiles, seen[0][0].tiles / seen[5][0].tiles))
    compact, best = (np.exp(np.log(column).mean()) for column in zip(*gains, strict=True))
    print(
        f"\nBlocks by compact: {compact:.2f}x fewer tiles, by compact in the best order: {best:.2f}x (geometric means)."
    )


DEVICES: tuple[tuple[str, AnyDevice], ...] = (
    ("ideal", Ideal()),
    ("TaOx", TaOx()),
    ("PCM", PCM()),
    ("SONOS", SONOS()),
)
TIMES = (("0 s", 0.0), ("1 h", 3600.0), ("1 day", 86400.0))


def accuracy_table() -> None:
    """Exact integers and relative error on one graph, by converter bits, rows at once, device and time."""
    a, b = pattern("email-Eu-core")
    heads = " | ".join(f"right, {name}" for name, _ in TIMES)
    print(f"| device | bits | rows at once | step [units] | {heads} | error, 1 day |")
    print("|---|---|---|---|" + "---|" * (len(TIMES) + 1))
    for name, device in DEVICES:
        for bits in (4, 6, 8):
            for rows, lsb in ((15, None), (63, None), (128, None), (128, 1.0)):
                if bits == 8 and lsb:
                    continue
                chip = replace(
                    CHIP, device=device, adc_bits=bits, rows_at_once=rows, lsb_units=lsb, compensation="tile"
                )
                mapping = SparseMapping(chip=chip)
                runs = [multiply(a, b, mapping, rng=Stream.root(0).child(name), t_s=t_s) for _, t_s in TIMES]
                shares = " | ".join(f"{run.accuracy.rounded_share:.2%}" for run in runs)
                error, step = runs[-1].accuracy.relative_frobenius, float(runs[0].mapped.converter.lsb[0])
                print(f"| {name} | {bits} | {rows} | {step:.3g} | {shares} | {error:.2e} |", flush=True)


MERGES = (
    ("float, 8 significant bits", Merge(bits=8)),
    ("float, 11 (16-bit)", Merge(bits=11)),
    ("float, 24 (32-bit)", Merge(bits=24)),
    ("float, 53 (64-bit)", Merge(bits=53)),
    ("fixed, 12 bits", Merge(accumulator="fixed", bits=12)),
    ("fixed, 16 bits", Merge(accumulator="fixed", bits=16)),
    ("fixed, 32 bits", Merge(accumulator="fixed", bits=32)),
)


def merge_table() -> None:
    """What the accumulator adds on ideal cells: a graph, and real values in 8-bit slices under 8-bit inputs."""
    print("| accumulator | ego-Facebook, exact | error | at the end | bcsstk13, error |")
    print("|---|---|---|---|---|")
    graph = pattern("ego-Facebook")
    real = read_matrix(MATRICES / "bcsstk13.mtx.gz").csr
    for name, merge in MERGES:
        run = multiply(*graph, SparseMapping(chip=SparseChip(merge=merge)), rng=Stream.root(0))
        slices = BitSlices(slice_bits=2, weight_bits=8, combine="digital")
        chip = SparseChip(encoding=slices, input_bits=8, adc_bits=10, merge=merge)
        other = multiply(real, real, SparseMapping(chip=chip, scale="row", input_scale="row"), rng=Stream.root(0))
        print(
            f"| {name} | {run.accuracy.exact_share:.2%} | {run.accuracy.relative_frobenius:.2e} | "
            f"{run.overflowed:.2%} | "
            f"{other.accuracy.relative_frobenius:.3e} |",
            flush=True,
        )


ESTIMATED = (
    "karate", "power", "wing", "p2p-Gnutella31", "pubmed_graph", "wiki-Vote", "email-Eu-core", "ca-GrQc",
    "astro-ph-metis", "ego-Facebook", "bcsstk13", "sparse-images-1024_subset",
)  # fmt: skip


def estimate_table() -> None:
    """Estimated by counted, three ways."""
    print("| matrix | F | from | tiles | row drives | activations | words | energy |")
    print("|---|---|---|---|---|---|---|---|")
    mapping = SparseMapping(chip=CHIP, order="natural")
    random = ErdosRenyi(rows=8192, per_row=8.0).draw(rng=Stream.root(0)).csr
    cases = [("Erdős-Rényi", (random, random)), *((name, pattern(name)) for name in ESTIMATED)]
    for name, (a, b) in cases:
        mapped = SparseLayer(b).map(mapping, inputs=a)
        true = mapped.counts
        ways: dict[str, Callable[[], SparseCounts]] = {
            "lengths": lambda a=a, b=b: estimate(Lengths.of(a, b), mapping),
            "lengths and B's tiles": lambda a=a, b=b, t=mapped.tiles: estimate(Lengths.of(a, b), mapping, tiles=t),
            "1/16 of A": lambda a=a, b=b, f=true.products: sample(a, b, mapping, products=f / 16),
        }
        for way, make in ways.items():
            found = make()
            ratios = [found.tiles / true.tiles, found.row_drives / true.row_drives]
            ratios += [found.activations / true.activations, found.touched / true.touched]
            ratios.append(energies(mapped, found)[2] / energies(mapped, true)[2])
            print(
                f"| {name} | {true.products:.3g} | {way} | " + " | ".join(f"{r:.2f}" for r in ratios) + " |", flush=True
            )


TABLES = {"tiles": tiles_table, "accuracy": accuracy_table, "merge": merge_table, "estimates": estimate_table}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or TABLES:
        print(f"## {wanted}\n")
        TABLES[wanted]()
        print()
