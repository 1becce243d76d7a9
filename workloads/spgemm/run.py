"""A sparse matrix product in memory, end to end: matrices, tiles, chips over time, cost, and the fabric beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from devices import ChipStreams, Ideal, InputError, Stream
from mappings.sparse import (
    DATAFLOWS,
    SparseAccuracy,
    SparseLayer,
    SparseMapping,
    SparseRun,
    partial_products,
    run_smash,
    spgemm,
)
from mappings.sparse.exact.memory import SHARE, available_bytes
from mappings.sparse.exact.product import ProductTooLarge
from mappings.sparse.fabric.machine import VERSIONS
from mappings.sparse.fabric.run import FabricRun
from periphery.adc.quantiser import Quantiser
from periphery.front_end import IdealFrontEnd
from workloads.result import Result
from workloads.running import ExperimentRun, RunOptions, named
from workloads.spgemm.applications import Applied, apply
from workloads.spgemm.data import Factors, Found
from workloads.spgemm.settings import SparseProduct, SparseVariant
from workloads.spgemm.tables import SparseTables

ENTRY_BYTES = 60
"""Memory of one entry of C while it is compared: indices, exact and found values, errors."""
SMALLER = "a run compares all of it: give a smaller matrix, or run where more memory is free"


def run(settings: SparseProduct, options: RunOptions) -> Result:
    """Run the experiment. Raises ``InputError`` for weights, and for a product that does not fit the memory."""
    options.refuse_weights("a sparse product has none; its matrices are given by --data")
    return SparseExperimentRun(settings, options).run()


@dataclass
class SparseExperimentRun(ExperimentRun[SparseProduct]):
    """Matrices, exact product, variants, mappings, fabric, precision, further matrices, applications."""

    threads: int = field(default_factory=torch.get_num_threads)

    def __post_init__(self) -> None:
        self.rng = Stream.root(self.settings.seed)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the body to one stage, and report that it is done."""
        with super().stage(name):
            yield
        self.progress(name, 1, 1)

    def run(self) -> Result:
        """The whole job."""
        how = self.settings
        with self.stage("matrices"):
            found = how.data.find(self.options.data, rng=self.rng)
        with self.stage("exact product"):
            exact = self._exact(found.main)
        tables = SparseTables(how, found, exact)
        a, b = found.main.a.csr, found.main.b.csr
        for number, variant in enumerate(how.variants):
            with self.stage(f"chips: {variant.name}"):
                self._variant(variant, found, exact, tables)
            self.progress("variants", number + 1, len(how.variants))
        with self.stage("mappings"):
            self._layouts(found.main, tables)
        with self.stage("fabric"):
            self._fabric(a, b, exact, tables)
        with self.stage("precision"):
            self._grid(found.main, exact, tables)
        with self.stage("further matrices"):
            for other in found.others:
                self._other(other, tables)
        with self.stage("pictures"):
            tables.picture(b, self._mapping(how.default, found.main).chip)
        for what in how.applications:
            with self.stage(what):
                applied = apply(what, self._applied(found), self._analog)
                tables.applied(what, applied)
        return tables.finished(self.stages)

    def _mapping(self, variant: SparseVariant, factors: Factors) -> SparseMapping:
        return self.settings.reals.on(variant.mapping, factors.a.csr, factors.b.csr)

    def _exact(self, factors: Factors) -> Any:
        """A B in float64; ``InputError`` that names the file where it is too large."""
        try:
            exact = spgemm(factors.a.csr, factors.b.csr, threads=self.threads)
        except ProductTooLarge as error:
            raise InputError(f"{factors.a.source}: {error.size}; {SMALLER}") from error
        free = available_bytes()
        needed = ENTRY_BYTES * exact.nnz
        if free is not None and needed > SHARE * free:
            raise InputError(
                f"{factors.a.source}: the product's {exact.nnz:,} entries take {needed / 1e9:.1f} GB while they are "
                f"compared; allowed are {SHARE * free / 1e9:.1f} GB, {SHARE:.0%} of the memory that is free; {SMALLER}"
            )
        return exact

    def _variant(self, variant: SparseVariant, found: Found, exact: Any, tables: SparseTables) -> None:
        """One variant on its chips at all times, and once on ideal cells."""
        judged, name = self.settings.evaluation, variant.name
        mapping = self._mapping(variant, found.main)
        a, layer = found.main.a.csr, SparseLayer(found.main.b.csr)
        with named(name):
            mapped = layer.map(mapping, inputs=a)
        if unknown := mapping.chip.device.unknown_drift:
            tables.note(f"{variant.name}: {unknown}.")
        times = judged.times_s if mapping.chip.device.drifts else judged.times_s[:1]
        affordable = int(judged.most_products // max(1, found.main.products * len(times)))
        chips = max(1, min(judged.chips, affordable))
        if chips < judged.chips:
            tables.note(
                f"{variant.name}: {chips} of {judged.chips} chips, since all together would compute more than "
                f"{judged.most_products:g} partial products (evaluation.most_products)."
            )
        written = None
        for chip in range(chips):
            made = mapped.program(rng=ChipStreams.of(self.rng, [chip]))
            for t_s in times:
                (run,) = made.at(t_s).run(exact, threads=self.threads)
                tables.judged(name, "analog", chip, t_s, run)
                written = written or run.written
        ideal = layer.map(as_ideal(mapping), inputs=a).program(rng=ChipStreams((self.rng.child("ideal"),)))
        (run,) = ideal.at().run(exact, threads=self.threads)
        # Shares are of the conversions and additions of the variant.
        tables.judged(name, "quantised", -1, 0.0, replace(run, mapped=mapped))
        tables.hardware(variant, mapped, mapped.actions(mapped.counts, written=written))

    def _layouts(self, factors: Factors, tables: SparseTables) -> None:
        """The same chip under other mappings: counted, since an ideal chip computes the same under all of them."""
        default = self.settings.default
        for means in self.settings.evaluation.layouts:
            mapping = self._mapping(replace(default, layout=means.layout, order=means.order), factors)
            tables.layout(factors.a.name, means, SparseLayer(factors.b.csr).map(mapping, inputs=factors.a.csr))

    def _fabric(self, a: Any, b: Any, exact: Any, tables: SparseTables) -> None:
        """SMASH and other dataflows on the same digital block."""
        how, entries = self.settings, np.diff(exact.indptr).astype(np.int64)
        runs: list[FabricRun] = []
        for name in how.versions:
            try:
                runs.append(run_smash(a, b, fabric=how.fabric, version=VERSIONS[name]))
            except InputError as error:
                tables.note(f"{VERSIONS[name].name} was left out. {error}.")
        for flow in how.dataflows:
            runs.append(DATAFLOWS[flow](a, b, entries, fabric=how.fabric))
        tables.fabric(runs)

    def _grid(self, factors: Factors, exact: Any, tables: SparseTables) -> None:
        """Error against converter bits and rows driven at once, on rows of C that are evenly spaced."""
        judged, a, b = self.settings.evaluation, factors.a.csr, factors.b.csr
        if not judged.grid_bits or not judged.grid_rows:
            return
        across = max(1, round(b.nnz / judged.grid_nonzeros))
        b = sparse.csr_array(b[:, ::across]) if across > 1 else b
        stride = max(1, round(float(partial_products(a, b).sum()) / judged.grid_products))
        a = sparse.csr_array(a[::stride]) if stride > 1 else a
        if across > 1 or stride > 1:
            tables.note(
                f"Error against bits and rows: on {a.shape[0]} of {exact.shape[0]} rows and {b.shape[1]} of "
                f"{exact.shape[1]} columns of C, evenly spaced."
            )
        part = spgemm(a, b, threads=self.threads)
        base = self._mapping(self.settings.default, factors)
        for bits in judged.grid_bits:
            for rows in judged.grid_rows:
                if rows > base.chip.rows:
                    continue
                mapping = replace(base, chip=replace(base.chip, adc_bits=bits, rows_at_once=rows, lsb_units=None))
                for one, cells in ((mapping, base.chip.device.kind), (as_ideal(mapping), "ideal")):
                    if one is not mapping and base.chip.device.kind == "ideal":
                        continue
                    with named(f"{self.settings.default.name}, {bits} bits and {rows} rows of evaluation.grid"):
                        tables.grid(cells, bits, rows, self._first_chip(a, b, one, part).accuracy)

    def _other(self, factors: Factors, tables: SparseTables) -> None:
        """A further matrix: all mappings counted, and one default chip computed where it is small enough."""
        exact = self._exact(factors)
        self._layouts(factors, tables)
        mapping = self._mapping(self.settings.default, factors)
        found: SparseAccuracy | None = None
        if factors.products <= self.settings.evaluation.other_products:
            found = self._first_chip(factors.a.csr, factors.b.csr, mapping, exact).accuracy
        tables.other(factors, exact, found)

    def _applied(self, found: Found) -> Applied:
        variants = {variant.name: variant for variant in self.settings.variants}
        return Applied(found.main.a, found.folder, tuple(variants), self.settings.default.name, self.rng)

    def _analog(self, name: str, a: Any, b: Any) -> Any:
        """C on the first chip of a variant, right after writing."""
        variant = next(variant for variant in self.settings.variants if variant.name == name)
        exact = spgemm(a, b, threads=self.threads)
        return self._first_chip(a, b, self.settings.reals.on(variant.mapping, a, b), exact).C

    def _first_chip(self, a: Any, b: Any, mapping: SparseMapping, exact: Any) -> SparseRun:
        """A B on the first chip, right after writing."""
        made = SparseLayer(b).map(mapping, inputs=a).program(rng=ChipStreams.of(self.rng, 1))
        (run,) = made.at().run(exact, threads=self.threads)
        return run


def as_ideal(mapping: SparseMapping) -> SparseMapping:
    """The same chip with cells and circuits without error and a converter that only rounds."""
    chip = mapping.chip
    ideal = replace(
        chip,
        device=Ideal(g_min_S=chip.device.g_min_S, g_max_S=chip.device.g_max_S),
        adc=Quantiser(),
        front_end=IdealFrontEnd(swing_V=chip.front_end.swing_V),
        read_supply=replace(chip.read_supply, noise_V=0.0),
    )
    return replace(mapping, chip=ideal)
