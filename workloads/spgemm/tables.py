"""The tables of a run with sparse products as they grow, and the figures drawn from them at the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mappings.actions import Actions
from mappings.cost import CostLine, price, shares, summarise
from mappings.sparse import (
    FabricRun,
    MappedProduct,
    SparseAccuracy,
    SparseChip,
    SparseMapping,
    fabric_actions,
)
from mappings.trace import trace
from periphery.prices.component import load_components
from workloads.result import Result
from workloads.spgemm.applications import Application, Outcome
from workloads.spgemm.data import Factors, Found
from workloads.spgemm.panels import panels
from workloads.spgemm.picture import outlines

if TYPE_CHECKING:
    from workloads.spgemm.run import SparseMeans, SparseProduct, SparseVariant

METRICS: dict[str, dict[str, Any]] = {
    "relative_error": {"higher_is_better": False, "unit": "1"},
    "exact_share": {"higher_is_better": True, "unit": "1"},
    "missing_share": {"higher_is_better": False, "unit": "1"},
    "false_share": {"higher_is_better": False, "unit": "1"},
}
SOFTWARE = {"relative_error": 0.0, "exact_share": 1.0, "missing_share": 0.0, "false_share": 0.0}
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
class Tables:
    """Rows by table, and what the headline figures need."""

    experiment: SparseProduct
    found: Found
    exact: Any
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    totals: dict[str, dict[str, float]] = field(default_factory=dict)
    lines: dict[str, list[CostLine]] = field(default_factory=dict)
    mappings: dict[str, SparseMapping] = field(default_factory=dict)
    cite: set[str] = field(default_factory=set)
    events: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notes.extend(self.found.notes)
        self.add(
            "accuracy",
            variant="",
            stage="software",
            split=0,
            chip=-1,
            t_s=0.0,
            **SOFTWARE,
            outside_share=0.0,
            overflowed_share=0.0,
        )

    def add(self, table: str, **row: Any) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append(row)

    def note(self, sentence: str) -> None:
        """A sentence that the reader must see, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def judged(
        self,
        variant: SparseVariant,
        stage: str,
        chip: int,
        t_s: float,
        found: SparseAccuracy,
        outside: float,
        overflowed: float,
    ) -> None:
        """One product of one chip at one time; what met the end of a converter or an accumulator is said."""
        if stage == "analog" and outside > 0.0:
            self.note(
                f"{variant.name}: some conversions lie beyond the converter's codes (outside_share in accuracy.csv)."
            )
        if stage == "analog" and overflowed > 0.0:
            self.note(f"{variant.name}: some sums met the end of an accumulator (overflowed_share in accuracy.csv).")
        row = {"variant": variant.name, "stage": stage, "split": 0, "chip": chip, "t_s": t_s}
        more = {"bias": found.bias, "largest_error": found.largest, "bitwise_share": found.exact_share}
        self.add("accuracy", **row, **figures(found), outside_share=outside, overflowed_share=overflowed, **more)

    def hardware(self, variant: SparseVariant, mapped: MappedProduct, actions: Actions) -> None:
        """Layout, counts and cost of one variant."""
        mapping, name, counts = mapped.mapping, variant.name, mapped.counts
        lines = self._priced(actions, mapped, name)
        total = summarise(lines, actions.latency_s, actions.ops)
        self.totals[name], self.lines[name], self.mappings[name] = total, lines, mapping
        chip = mapping.chip
        self.add(
            "layers",
            variant=name,
            layer="tiles",
            rows=chip.rows,
            columns=chip.columns,
            cells=min(counts.tiles, chip.tiles) * chip.rows * chip.columns,
            tiles=counts.tiles,
            steps=1,
            ops=actions.ops,
            area_m2=total["area_m2"],
            energy_J=total["energy_J"],
            leakage_W=total["leakage_W"],
            latency_s=total["latency_s"],
            clipped_weights=0.0,
            clipped_inputs=0.0,
        )
        self.rows.setdefault("components", []).extend(asdict(line) for line in lines)
        for task in actions.tasks:
            times = {"start_s": task.start_s, "duration_s": task.duration_s}
            self.add("schedule", variant=name, layer=task.layer, task=task.name, resource=task.resource, **times)
        self.add(
            "counts",
            variant=name,
            exact_by_design=mapped.bits_exact,
            products_per_activation=counts.products_per_activation,
            products_per_word=counts.products_per_word,
            **counts.row(),
        )
        for window, row in enumerate(counts.per_window.to_dict("records")):
            self.add(
                "windows",
                system=name,
                window=window,
                entries=row["entries"],
                updates=row["atomics"],
                probes=row["probes"],
                collisions=row["collisions"],
                probes_per_update=row["probes"] / max(1, row["atomics"]),
                tables=row["tables"],
            )
        if variant.default:
            self.events = trace(actions.tasks, title=f"{self.experiment.name}: one product, {name}")
            parts = {
                "tiles": counts.tile_s,
                "atomics": counts.merge_s,
                "DRAM": counts.dram_s,
                "writing": counts.write_s,
            }
            slow = max(parts, key=lambda part: parts[part])
            took = ", ".join(f"{part} {seconds * 1e6:.3g} us" for part, seconds in parts.items())
            self.note(f"{name}: of its latency, {slow} takes most ({took}, of which all but writing overlap).")
            self.system(f"tiles, {name}", "analog", total, counts.dram_read_B + counts.dram_write_B, counts.touched)
        for sentence in actions.notes:
            self.note(f"{name}: {sentence}.")

    def _priced(self, actions: Actions, mapped: MappedProduct, variant: str = "") -> list[CostLine]:
        records = mapped.components()
        lines = price(actions, node_nm=mapped.chip.node_nm, components=records, variant=variant)
        self.cite |= {key for line in lines if line.component in records for key in records[line.component].cite}
        return lines

    def system(self, name: str, kind: str, total: dict[str, float], moved_B: float, updates: float) -> None:
        """One machine that makes this product."""
        costs = {key: total[key] for key in ("area_m2", "energy_J", "leakage_W", "latency_s")}
        self.add("systems", system=name, kind=kind, **costs, dram_B=moved_B, updates=updates)

    def layout(self, matrix: str, means: SparseMeans, mapped: MappedProduct) -> None:
        """One mapping of one matrix."""
        counts, actions = mapped.counts, mapped.actions()
        total = summarise(self._priced(actions, mapped), actions.latency_s, actions.ops)
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
            actions = fabric_actions(run, block)
            lines = price(actions, node_nm=chip.node_nm, components=records)
            self.cite |= {key for line in lines for key in records[line.component].cite}
            total = summarise(lines, actions.latency_s, actions.ops)
            self.system(run.approach, "fabric", total, run.dram_read_B + run.dram_write_B, float(run.atomics))
            row = run.row() | {"energy_J": total["energy_J"], "area_m2": total["area_m2"]}
            self.add("fabric", **row)
            if run.per_window is None:
                continue
            for each in run.per_window.to_dict("records"):
                self.add(
                    "windows",
                    system=run.approach,
                    window=each["window"],
                    entries=each["entries"],
                    updates=each["products"],
                    probes=each["probes"],
                    collisions=each["collisions"],
                    probes_per_update=each["probes"] / max(1, each["products"]),
                    tables=1,
                )
        slowest = max((row["time_s"] for row in self.rows.get("fabric", [])), default=0.0)
        for row in self.rows.get("fabric", []):
            row["gain_over_slowest"] = slowest / row["time_s"] if row["time_s"] else 0.0

    def grid(self, cells: str, bits: int, rows: int, found: SparseAccuracy) -> None:
        """One pair of converter bits and rows driven at once."""
        self.add("precision", cells=cells, adc_bits=bits, rows_at_once=rows, **figures(found))

    def other(self, factors: Factors, exact: Any, found: SparseAccuracy | None) -> None:
        """A further matrix on the headline's chip."""
        nothing = dict.fromkeys(METRICS, float("nan"))
        self.add("matrices", **_sizes(factors, exact), **(nothing if found is None else figures(found)))

    def picture(self, b: Any, chip: SparseChip) -> None:
        """B as it stands in the tiles of three mappings."""
        points, boxes, sentence = outlines(b, chip, self.experiment.evaluation.shown)
        self.frames |= {"picture": points, "picture_tiles": boxes}
        self.note(sentence)

    def applied(self, what: Application, outcome: Outcome) -> None:
        """What an application found."""
        self.rows.setdefault(what, []).extend(outcome.rows)
        for sentence in outcome.notes:
            self.note(sentence)

    def result(self, stages: dict[str, float]) -> Result:
        """Everything, once all is done."""
        how, main = self.experiment, self.found.main
        default = how.default.name
        self._compared()
        self._said()
        accuracy = pd.DataFrame(self.rows["accuracy"])
        size = _sizes(main, self.exact)
        chips = accuracy[(accuracy["variant"] == default) & (accuracy["stage"] == "analog") & (accuracy["t_s"] == 0.0)]
        headline = {metric: float(chips[metric].mean()) for metric in METRICS}
        self.rows["matrices"] = [size | headline, *self.rows.get("matrices", [])]
        tables = {name: pd.DataFrame(rows) for name, rows in self.rows.items() if rows} | self.frames
        tables |= _shorter(tables, main.a.name, {variant.name for variant in how.variants if not variant.default})
        record = {
            "name": main.name,
            "digest": main.digest,
            "synthetic": self.found.synthetic,
            "source": self.found.source,
            "note": " ".join(self.found.notes),
            "train": None,
            "test": None,
            "splits": 1,
        }
        metrics = {
            "data": {key: record[key] for key in ("name", "digest", "synthetic", "train", "test", "splits")} | size,
            "metrics": METRICS,
            "software": SOFTWARE,
            "quantised": self._means(accuracy, default, "quantised", 0.0),
            "variants": [self._variant(variant, accuracy) for variant in how.variants],
            "comparisons": [self._comparison(variant, accuracy) for variant in how.variants],
            "notes": self.notes,
            "labels": [],
        }
        self.cite |= set(how.cite)
        for mapping in self.mappings.values():
            self.cite |= {*mapping.chip.cite, *mapping.chip.device.cite}
        return Result(
            metrics, tables, self.events, record, dict(stages), tuple(sorted(self.cite - {""})), panels(tables, default)
        )

    def _means(self, accuracy: pd.DataFrame, variant: str, stage: str, t_s: float) -> dict[str, float]:
        rows = accuracy[(accuracy["variant"] == variant) & (accuracy["stage"] == stage) & (accuracy["t_s"] == t_s)]
        return {metric: float(rows[metric].mean()) for metric in METRICS}

    def _variant(self, variant: SparseVariant, accuracy: pd.DataFrame) -> dict[str, Any]:
        mine = accuracy[(accuracy["variant"] == variant.name) & (accuracy["stage"] == "analog")]
        quality = []
        for t_s, rows in mine.groupby("t_s"):
            spread = {m: {"mean": float(rows[m].mean()), "std": float(rows[m].std(ddof=0))} for m in METRICS}
            quality.append({"t_s": t_s, "chips": len(rows), **spread})
        mapping = self.mappings[variant.name]
        return {
            "name": variant.name,
            "default": variant.default,
            "device": mapping.chip.device.kind,
            "bits": mapping.chip.adc_bits,
            "layout": mapping.layout,
            "order": mapping.order,
            "quality": quality,
            "cost": self.totals[variant.name],
        }

    def _comparison(self, variant: SparseVariant, accuracy: pd.DataFrame) -> dict[str, Any]:
        """Relative error of the chips: its difference from exact software is itself."""
        rows = accuracy[
            (accuracy["variant"] == variant.name) & (accuracy["stage"] == "analog") & (accuracy["t_s"] == 0.0)
        ]
        values = rows["relative_error"].to_numpy()
        half = 0.0
        if len(values) > 1:
            from_t = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}.get(len(values), 2.262)
            half = from_t * float(values.std(ddof=1)) / len(values) ** 0.5
        mean = float(values.mean())
        return {
            "name": variant.name,
            "text": f"{variant.name} minus the exact kernel; 95 % interval over {len(values)} chips",
            "metric": "relative_error",
            "mean": mean,
            "low": mean - half,
            "high": mean + half,
            "n": len(values),
            "pairs": len(values),
            "aim": None if variant.aim is None else -variant.aim,
        }

    def _compared(self) -> None:
        """Every mapping of the headline's matrix by the first of them, quantity by quantity."""
        own = [row for row in self.rows.get("mappings", []) if row["matrix"] == self.found.main.a.name]
        for row in own:
            for quantity in COMPARED:
                base = float(own[0][quantity])
                ratio = float(row[quantity]) / base if base else 1.0
                shown = quantity.rsplit("_", 1)[0] if quantity.endswith(("_J", "_s", "_m2")) else quantity
                self.add("mapping_ratios", quantity=shown.replace("_", " "), mapping=row["mapping"], times_first=ratio)

    def _said(self) -> None:
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
        found = shares(self.lines[default], "status")
        for status in ("fitted", "estimate"):
            if status in found:
                self.note(
                    f"{default}: prices marked {status!r} make {found[status].energy_share:.1%} of its energy and "
                    f"{found[status].area_share:.1%} of its area."
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
