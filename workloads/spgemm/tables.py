"""The tables of a run with sparse products as they grow, and the figures drawn from them at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mappings.actions import Actions
from mappings.cost import price, summarise
from mappings.priced import LayerOnChip, Priced, cited
from mappings.sparse import (
    FabricRun,
    MappedProduct,
    SparseAccuracy,
    SparseChip,
    SparseMapping,
    SparseRun,
    fabric_actions,
)
from periphery.prices.component import Component, load_components
from workloads.ledger import Ledger
from workloads.result import ERROR, SHARE, Comparison, Data, Quality, Result, VariantResult
from workloads.spgemm.applications import Application, Outcome
from workloads.spgemm.data import Factors, Found
from workloads.spgemm.panels import panels
from workloads.spgemm.picture import outlines
from workloads.spgemm.settings import SparseMeans, SparseProduct, SparseVariant
from workloads.statistics import interval

if TYPE_CHECKING:
    import pandas as pd

FIGURES = {"relative_error": ERROR, "exact_share": SHARE, "missing_share": ERROR, "false_share": ERROR}
SOFTWARE = {"relative_error": 0.0, "exact_share": 1.0, "missing_share": 0.0, "false_share": 0.0}
STAGES = {
    "software": "the exact kernel, in float64; all differences are to it",
    "quantised": "the same chip with cells and circuits without error and a converter that only rounds",
    "analog": "the chips",
}
COUNTED = (
    "variant", "tiles", "passes", "utilisation", "rows_at_once", "exact_by_design", "activations", "conversions",
    "touched", "products_per_activation", "products_per_word", "collisions", "imbalance", "write_s", "tile_s",
    "merge_s", "dram_s", "latency_s",
)  # fmt: skip
FABRIC = (
    "approach", "windows", "products", "probes", "collisions", "longest_probe", "atomics", "dram_read_B",
    "dram_write_B", "utilisation", "limit", "time_s", "energy_J", "gain_over_slowest",
)  # fmt: skip
COMPARED = ("tiles", "cells_written", "activations", "conversions", "merged_words", "energy_J", "latency_s", "area_m2")


def figures(found: SparseAccuracy) -> dict[str, float]:
    """The metrics of one product. Of whole-number products, an entry is exact once it rounds to the right number."""
    exact = found.exact_share if np.isnan(found.rounded_share) else found.rounded_share
    return {
        "relative_error": found.relative_frobenius,
        "exact_share": exact,
        "missing_share": found.missing,
        "false_share": found.false,
    }


@dataclass
class SparseTables(Ledger):
    """``found``: the matrices; ``exact``: C without error; ``mappings``: by variant."""

    experiment: SparseProduct
    found: Found
    exact: Any
    mappings: dict[str, SparseMapping] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.note(*self.found.notes)
        row = {"variant": "", "stage": "software", "split": 0, "chip": -1, "t_s": 0.0}
        self.add("accuracy", **row, **SOFTWARE, outside_share=0.0, overflowed_share=0.0)

    def judged(self, variant: str, stage: str, chip: int, t_s: float, run: SparseRun) -> None:
        """One product of one chip at one time; a note where it met the end of a converter or an accumulator."""
        found, ends = run.accuracy, {"outside_share": run.outside, "overflowed_share": run.overflowed}
        if stage == "analog" and run.outside > 0.0:
            self.note(f"{variant}: some conversions are beyond the converter's codes (outside_share in accuracy.csv).")
        if stage == "analog" and run.overflowed > 0.0:
            self.note(f"{variant}: some sums met the end of an accumulator (overflowed_share in accuracy.csv).")
        row = {"variant": variant, "stage": stage, "split": 0, "chip": chip, "t_s": t_s}
        more = {"bias": found.bias, "largest_error": found.largest, "bitwise_share": found.exact_share}
        self.add("accuracy", **row, **figures(found), **ends, **more)

    def hardware(self, variant: SparseVariant, mapped: MappedProduct, actions: Actions) -> None:
        """Layout, counts and cost of one variant."""
        name, self.mappings[variant.name] = variant.name, mapped.mapping
        chip, counts = mapped.chip, mapped.counts
        self.cite |= {*chip.cite, *chip.device.cite}
        tiles = LayerOnChip(
            name="tiles",
            actions=actions,
            rows=chip.rows,
            columns=chip.columns,
            cells=min(counts.tiles, chip.tiles) * chip.rows * chip.columns,
            tiles=counts.tiles,
        )
        priced = Priced.of([tiles], node_nm=chip.node_nm, components=mapped.components())
        self.price(variant, priced, shown="one product")
        self.add(
            "counts",
            variant=name,
            exact_by_design=mapped.bits_exact,
            products_per_activation=counts.products_per_activation,
            products_per_word=counts.products_per_word,
            **counts.row(),
        )
        for window, row in enumerate(counts.per_window.to_dict("records")):
            self._window(name, window, row["atomics"], row, tables=row["tables"])
        if variant.default:
            parts = {
                "tiles": counts.tile_s,
                "atomics": counts.merge_s,
                "DRAM": counts.dram_s,
                "writing": counts.write_s,
            }
            slow = max(parts, key=lambda part: parts[part])
            took = ", ".join(f"{part} {seconds * 1e6:.3g} us" for part, seconds in parts.items())
            self.note(f"{name}: of its latency, {slow} takes most ({took}, of which all but writing overlap).")
            self.system(
                f"tiles, {name}", "analog", self.costs[name], counts.dram_read_B + counts.dram_write_B, counts.touched
            )

    def _window(self, system: str, window: int, updates: Any, row: dict[Any, Any], *, tables: Any) -> None:
        """What merging takes in one window of C; of ``row`` its entries, probes and collisions."""
        found = {"entries": row["entries"], "updates": updates, "probes": row["probes"]}
        share = row["probes"] / max(1, updates)
        more = {"collisions": row["collisions"], "probes_per_update": share, "tables": tables}
        self.add("windows", system=system, window=window, **found, **more)

    def _total(self, actions: Actions, node_nm: float, components: Mapping[str, Component]) -> dict[str, float]:
        lines = price(actions, node_nm=node_nm, components=components)
        self.cite |= cited(lines, components)
        return summarise(lines, actions.latency_s, actions.ops)

    def system(self, name: str, kind: str, total: dict[str, float], moved_B: float, updates: float) -> None:
        """One machine that makes this product."""
        costs = {key: total[key] for key in ("area_m2", "energy_J", "leakage_W", "latency_s")}
        self.add("systems", system=name, kind=kind, **costs, dram_B=moved_B, updates=updates)

    def layout(self, matrix: str, means: SparseMeans, mapped: MappedProduct) -> None:
        """One mapping of one matrix."""
        counts, total = mapped.counts, self._total(mapped.actions(), mapped.chip.node_nm, mapped.components())
        self.add(
            "mappings",
            matrix=matrix,
            mapping=means.name,
            tiles=counts.tiles,
            utilisation=counts.utilisation,
            passes=counts.passes,
            cells_written=counts.cells_written,
            activations=counts.activations,
            conversions=counts.conversions,
            merged_words=counts.touched,
            collisions=counts.collisions,
            area_m2=total["area_m2"],
            energy_J=total["energy_J"],
            latency_s=total["latency_s"],
            write_s=counts.write_s,
        )

    def fabric(self, runs: list[FabricRun]) -> None:
        """The product on the digital block, by version and dataflow, at the headline chip's node."""
        chip, block = self.mappings[self.experiment.default.name].chip, self.experiment.fabric
        records = load_components()
        for run in runs:
            total = self._total(fabric_actions(run, block), chip.node_nm, records)
            self.system(run.approach, "fabric", total, run.dram_read_B + run.dram_write_B, float(run.atomics))
            row = run.row() | {"energy_J": total["energy_J"], "area_m2": total["area_m2"]}
            self.add("fabric", **row)
            if run.per_window is None:
                continue
            for each in run.per_window.to_dict("records"):
                self._window(run.approach, each["window"], each["products"], each, tables=1)
        slowest = max((row["time_s"] for row in self.rows.get("fabric", [])), default=0.0)
        for row in self.rows.get("fabric", []):
            row["gain_over_slowest"] = slowest / row["time_s"] if row["time_s"] else 0.0

    def grid(self, cells: str, bits: int, rows: int, found: SparseAccuracy) -> None:
        """One pair of converter bits and rows driven at once."""
        self.add("precision", cells=cells, adc_bits=bits, rows_at_once=rows, **figures(found))

    def other(self, factors: Factors, exact: Any, found: SparseAccuracy | None) -> None:
        """A further matrix on the headline's chip."""
        nothing = dict.fromkeys(FIGURES, float("nan"))
        self.add("matrices", **_sizes(factors, exact), **(nothing if found is None else figures(found)))

    def picture(self, b: Any, chip: SparseChip) -> None:
        """B on the tiles of three mappings."""
        points, boxes, sentence = outlines(b, chip, self.experiment.evaluation.shown)
        self.frames |= {"picture": points, "picture_tiles": boxes}
        self.note(sentence)

    def applied(self, what: Application, outcome: Outcome) -> None:
        """What an application found."""
        self.rows.setdefault(what, []).extend(outcome.rows)
        self.note(*outcome.notes)

    def finished(self, stages: dict[str, float]) -> Result:
        """Everything, once all is done."""
        import pandas as pd

        how, main = self.experiment, self.found.main
        default = how.default.name
        self._compared()
        self._caveats()
        self.estimated_prices()
        accuracy, size = pd.DataFrame(self.rows["accuracy"]), _sizes(main, self.exact)
        headline = _means(_rows(accuracy, default, "analog", 0.0))
        self.rows["matrices"] = [size | headline, *self.rows.get("matrices", [])]
        tables = self.tables()
        tables |= _shorter(tables, main.a.name, {variant.name for variant in how.variants if not variant.default})
        data = Data(
            name=main.name,
            digest=main.digest,
            synthetic=self.found.synthetic,
            source=self.found.source,
            note=" ".join(self.found.notes),
            train=None,
            test=None,
            splits=1,
        )
        metrics = self.metrics(
            FIGURES,
            data.model_copy(update=size),
            software=SOFTWARE,
            stages=STAGES,
            quantised=_means(_rows(accuracy, default, "quantised", 0.0)),
            variants=[self._variant(variant, accuracy) for variant in how.variants],
            comparisons=[self._comparison(variant, accuracy) for variant in how.variants],
            labels=(),
            panels=panels(tables, default),
        )
        return self.result(metrics, tables, data, stages)

    def _variant(self, variant: SparseVariant, accuracy: pd.DataFrame) -> VariantResult:
        mine, mapping = _rows(accuracy, variant.name, "analog"), self.mappings[variant.name]
        return VariantResult(
            name=variant.name,
            default=variant.default,
            device=mapping.chip.device.kind,
            wires="ideal",
            bits=mapping.chip.adc_bits,
            layout=mapping.layout,
            order=mapping.order,
            quality=tuple(
                Quality.of(float(t_s), len(rows), {metric: rows[metric] for metric in FIGURES})  # type: ignore[arg-type]
                for t_s, rows in mine.groupby("t_s")
            ),
            cost=self.costs[variant.name],
            cost_interval=self.intervals[variant.name],
        )

    def _comparison(self, variant: SparseVariant, accuracy: pd.DataFrame) -> Comparison:
        """Relative error of the chips: its difference from exact software is itself."""
        values = _rows(accuracy, variant.name, "analog", 0.0)["relative_error"].to_numpy()
        mean, low, high = interval(values)
        return Comparison(
            name=variant.name,
            text=f"{variant.name} minus the exact kernel; 95 % interval over {len(values)} chips",
            metric="relative_error",
            mean=mean,
            low=low,
            high=high,
            n=len(values),
            pairs=len(values),
            aim=None if variant.aim is None else -variant.aim,
        )

    def _compared(self) -> None:
        """Every mapping of the headline's matrix by the first of them, quantity by quantity."""
        ours = [row for row in self.rows.get("mappings", []) if row["matrix"] == self.found.main.a.name]
        for row in ours:
            for quantity in COMPARED:
                base = float(ours[0][quantity])
                ratio = float(row[quantity]) / base if base else 1.0
                shown = quantity.rsplit("_", 1)[0] if quantity.endswith(("_J", "_s", "_m2")) else quantity
                self.add("mapping_ratios", quantity=shown.replace("_", " "), mapping=row["mapping"], times_first=ratio)

    def _caveats(self) -> None:
        """What a reader must know of these figures."""
        main, default = self.found.main, self.experiment.default.name
        self.note(
            f"{main.name}: {main.a.csr.nnz:,} and {main.b.csr.nnz:,} nonzeros, {main.products:,} partial products, "
            f"{self.exact.nnz:,} entries of C."
        )
        if not main.pattern:
            mapping = self.mappings[default]
            self.note(
                "The matrices hold more than 0 and 1, so 'reals' replaces the chips' encoding and bits: "
                f"{mapping.chip.encoding.kind}, inputs of {mapping.chip.input_bits} bits, codes of "
                f"{mapping.chip.adc_bits} bits; an entry is exact within 1e-6 of its size."
            )
        else:
            self.note(
                "An entry is exact where it rounds to the right whole number; missing and false nonzeros are counted "
                "after rounding."
            )
        self.note(
            "Energy, latency and area are of one product, with B written for it: a B that stays spares the writing "
            "(component cell_write, task 'write B')."
        )


def _shorter(tables: dict[str, pd.DataFrame], matrix: str, others: set[str]) -> dict[str, pd.DataFrame]:
    """Tables of the page with fewer columns, or for the headline's matrix, or without the ``others``' windows."""
    windows = tables["windows"]
    out = {
        "counts_short": tables["counts"][list(COUNTED)],
        "windows_shown": windows[(windows["updates"] > 0) & ~windows["system"].isin(others)],
    }
    if "fabric" in tables:
        out["fabric_short"] = tables["fabric"][list(FABRIC)]
    if "mappings" in tables:
        out["own_mappings"] = tables["mappings"][tables["mappings"]["matrix"] == matrix]
    return out


def _rows(accuracy: pd.DataFrame, variant: str, stage: str, t_s: float | None = None) -> pd.DataFrame:
    """Chips of one variant, at one time or at all."""
    rows = accuracy[(accuracy["variant"] == variant) & (accuracy["stage"] == stage)]
    return rows if t_s is None else rows[rows["t_s"] == t_s]


def _means(rows: pd.DataFrame) -> dict[str, float]:
    return {metric: float(rows[metric].mean()) for metric in FIGURES}


def _sizes(factors: Factors, exact: Any) -> dict[str, Any]:
    a, b = factors.a.csr, factors.b.csr
    return {
        "matrix": factors.name,
        "rows": int(a.shape[0]),
        "columns": int(b.shape[1]),
        "nonzeros_a": int(a.nnz),
        "nonzeros_b": int(b.nnz),
        "products": factors.products,
        "entries": int(exact.nnz),
        "values": "0/1" if factors.pattern else "reals",
    }
