"""A sparse matrix product in memory, end to end: matrices, tiles, chips over time, cost, and the fabric beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Interval, Len
from scipy import sparse

from crossbar import DifferentialPair
from devices import ChipStreams, Ideal, InputError, Stream
from mappings.sparse import (
    DATAFLOWS,
    Fabric,
    SparseAccuracy,
    SparseChip,
    SparseLayer,
    SparseMapping,
    SparseRun,
    partial_products,
    run_smash,
    spgemm,
)
from mappings.sparse.exact.memory import SHARE, available_bytes
from mappings.sparse.fabric.machine import VERSIONS
from mappings.sparse.fabric.run import FabricRun
from mappings.sparse.tiles.cells import AnySparseEncoding
from mappings.sparse.tiles.grouping import Order
from mappings.sparse.tiles.layout import Layout
from periphery.adc.quantiser import Quantiser
from workloads.result import Progress, Result, silent
from workloads.running import check_variants, timed
from workloads.spgemm.applications import Application, Applied, apply
from workloads.spgemm.data import Factors, Found, SparseData
from workloads.spgemm.tables import Tables

ENTRY_BYTES = 60
"""Memory of one entry of C while it is compared: indices, exact and found values, errors."""
VersionName = Literal["v1", "v2", "v3", "v3_mixed"]
FlowName = Literal["inner", "outer", "row_sorted", "row_dense"]


@dataclass(frozen=True, kw_only=True)
class Reals:
    """What takes the place of a chip's own settings where a matrix holds anything but 0 and 1.

    Parameters
    ----------
    encoding : of values of both signs; for B
    input_bits : of inputs with their sign; for A
    adc_bits : of the converter; never below the chip's own
    scale, input_scale : values that share a full scale, as in ``SparseMapping``
    """

    encoding: AnySparseEncoding = DifferentialPair()
    input_bits: Annotated[int, Interval(ge=2, le=12)] = 8
    adc_bits: Annotated[int, Interval(ge=1, le=12)] = 8
    scale: Literal["matrix", "tile", "row"] = "row"
    input_scale: Literal["matrix", "row"] = "row"

    def on(self, mapping: SparseMapping, a: Any, b: Any) -> SparseMapping:
        """The mapping for A and B; itself where both are 0/1."""
        plain_a, plain_b = (bool((matrix.data == 1.0).all()) for matrix in (a, b))
        if plain_a and plain_b:
            return mapping
        chip = replace(mapping.chip, adc_bits=max(self.adc_bits, mapping.chip.adc_bits))
        if not plain_b:
            chip = replace(chip, encoding=self.encoding)
        if not plain_a or self.scale == "row":
            chip = replace(chip, input_bits=max(self.input_bits, chip.input_bits))
        scale = self.scale if not plain_b else mapping.scale
        return replace(mapping, chip=chip, scale=scale, input_scale=self.input_scale)


@dataclass(frozen=True, kw_only=True)
class SparseVariant:
    """One way to multiply: its chip says only what differs from the experiment's.

    Parameters
    ----------
    name : how reports call it
    default : exactly one variant is the headline
    aim : allowed relative error
    layout, order, scale, input_scale : as in ``SparseMapping``
    """

    name: str
    chip: SparseChip
    default: bool = False
    aim: Annotated[float, Ge(0.0)] | None = None
    layout: Layout = "compact"
    order: Order = "greedy"
    scale: Literal["matrix", "tile", "row"] = "matrix"
    input_scale: Literal["matrix", "row"] = "matrix"

    @property
    def mapping(self) -> SparseMapping:
        """For 0/1 matrices."""
        return SparseMapping(
            chip=self.chip, layout=self.layout, order=self.order, scale=self.scale, input_scale=self.input_scale
        )


@dataclass(frozen=True, kw_only=True)
class SparseMeans:
    """One way to lay B on tiles, compared on the headline's chip."""

    name: str
    layout: Layout
    order: Order


@dataclass(frozen=True, kw_only=True)
class SparseEvaluation:
    """How products are judged.

    Parameters
    ----------
    chips : chips of each variant
    times_s : seconds after B was written [s]; cells that do not drift are judged at the first alone
    most_products : partial products that one variant computes on all its chips and times together; a larger product is
        judged on fewer chips, at least one, and the report says so
    grid_bits, grid_rows : converter bits and rows driven at once, of which every pair is judged on one default chip
    grid_products, grid_nonzeros : partial products of each of these, and nonzeros of B; of a larger product evenly
        spaced rows and columns of C are judged
    layouts : mappings compared
    other_products : products of further matrices up to this size are computed, larger ones only counted
    shown : nonzeros drawn at most in each picture of the matrix
    """

    chips: Annotated[int, Interval(ge=1, le=10_000)] = 4
    times_s: Annotated[tuple[Annotated[float, Ge(0.0)], ...], Len(1)] = (0.0,)
    most_products: Annotated[float, Ge(1.0)] = 4e7
    grid_bits: tuple[Annotated[int, Interval(ge=1, le=12)], ...] = (3, 4, 6, 8)
    grid_rows: tuple[Annotated[int, Ge(1)], ...] = (8, 16, 32, 64, 128)
    grid_products: Annotated[float, Ge(1.0)] = 3e5
    grid_nonzeros: Annotated[float, Ge(1.0)] = 3e4
    layouts: tuple[SparseMeans, ...] = (
        SparseMeans(name="blocks (GraphR)", layout="blocks", order="natural"),
        SparseMeans(name="blocks, Cuthill-McKee", layout="blocks", order="rcm"),
        SparseMeans(name="compacted", layout="compact", order="natural"),
        SparseMeans(name="compacted, min-hash", layout="compact", order="minhash"),
        SparseMeans(name="compacted, clustered", layout="compact", order="greedy"),
    )
    other_products: Annotated[float, Ge(0.0)] = 5e6
    shown: Annotated[int, Interval(ge=100, le=50_000)] = 4000

    def __post_init__(self) -> None:
        if self.times_s[0] != 0.0 or list(self.times_s) != sorted(set(self.times_s)):
            raise ValueError(f"times_s must rise from 0 (got {', '.join(map(str, self.times_s))})")


@dataclass(frozen=True, kw_only=True)
class SparseProduct:
    """C = A B with B in the cells and A's rows as inputs, beside the same product on SMASH's fabric."""

    kind: Literal["spgemm"] = "spgemm"
    name: str = "spgemm"
    description: str = ""
    cite: tuple[str, ...] = ()
    seed: Annotated[int, Ge(0)] = 0
    data: SparseData = SparseData()
    chip: SparseChip = SparseChip()
    reals: Reals = Reals()
    variants: Annotated[tuple[SparseVariant, ...], Len(1)]
    fabric: Fabric = Fabric()
    versions: tuple[VersionName, ...] = ("v1", "v2", "v3", "v3_mixed")
    dataflows: tuple[FlowName, ...] = ("outer", "row_sorted", "row_dense", "inner")
    evaluation: SparseEvaluation = SparseEvaluation()
    applications: tuple[Application, ...] = ()

    def __post_init__(self) -> None:
        check_variants(self.variants)

    @property
    def default(self) -> SparseVariant:
        """The headline."""
        return next(variant for variant in self.variants if variant.default)

    def run(
        self,
        *,
        data: Path | None = None,
        weights: Path | None = None,
        device: str = "cpu",
        progress: Progress = silent,
    ) -> Result:
        """Run the experiment. Raises ``InputError`` for ``weights``, and for a product that does not fit the memory."""
        if weights is not None:
            raise InputError("--weights: a sparse product has none; its matrices are given by --data")
        return SparseExperimentRun(self, device, progress).run(data)


@dataclass
class SparseExperimentRun:
    """The state of one run."""

    how: SparseProduct
    device: str
    progress: Progress
    stages: dict[str, float] = field(default_factory=dict)
    threads: int = field(default_factory=torch.get_num_threads)

    def __post_init__(self) -> None:
        self.rng = Stream.root(self.how.seed)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the body to one stage."""
        with timed(self.stages, name):
            yield
        self.progress(name, 1, 1)

    def run(self, data: Path | None) -> Result:
        """Matrices, exact product, variants, mappings, fabric, precision, further matrices, applications."""
        how = self.how
        with self.stage("matrices"):
            found = how.data.find(data, rng=self.rng)
        with self.stage("exact product"):
            exact = self._exact(found.main)
        tables = Tables(how, found, exact)
        if self.device != "cpu":
            tables.note(f"--device {self.device} changes nothing here: sparse products are simulated on the CPU.")
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
        return tables.result(self.stages)

    def _mapping(self, variant: SparseVariant, factors: Factors) -> SparseMapping:
        return self.how.reals.on(variant.mapping, factors.a.csr, factors.b.csr)

    def _exact(self, factors: Factors) -> Any:
        """A B in float64; ``InputError`` that names the file where it is too large."""
        try:
            exact = spgemm(factors.a.csr, factors.b.csr, threads=self.threads)
        except InputError as error:
            raise InputError(f"{factors.a.source}: {problem}" for problem in error.problems) from error
        free = available_bytes()
        needed = ENTRY_BYTES * exact.nnz
        if free is not None and needed > SHARE * free:
            raise InputError(
                f"{factors.a.source}: the product's {exact.nnz:,} entries take {needed / 1e9:.1f} GB while they are "
                f"compared; allowed are {SHARE * free / 1e9:.1f} GB, {SHARE:.0%} of the memory that is free"
            )
        return exact

    def _variant(self, variant: SparseVariant, found: Found, exact: Any, tables: Tables) -> None:
        """One variant on its chips at all times, and once on ideal cells."""
        judged = self.how.evaluation
        mapping = self._mapping(variant, found.main)
        a, layer = found.main.a.csr, SparseLayer(found.main.b.csr)
        mapped = layer.map(mapping, inputs=a)
        times = judged.times_s if mapping.chip.device.drifts else judged.times_s[:1]
        room = int(judged.most_products // max(1, found.main.products * len(times)))
        chips = max(1, min(judged.chips, room))
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
                tables.judged(variant, "analog", chip, t_s, run.accuracy, run.outside, run.overflowed)
                written = written or run.written
        ideal = layer.map(as_ideal(mapping), inputs=a).program(rng=ChipStreams((self.rng.child("ideal"),)))
        (run,) = ideal.at().run(exact, threads=self.threads)
        # Shares are of the conversions and additions of the variant.
        run = replace(run, mapped=mapped)
        tables.judged(variant, "quantised", -1, 0.0, run.accuracy, run.outside, run.overflowed)
        tables.hardware(variant, mapped, mapped.actions(mapped.counts, written=written))

    def _layouts(self, factors: Factors, tables: Tables) -> None:
        """The same chip under other mappings: counted, since an ideal chip computes the same under all of them."""
        default = self.how.default
        for means in self.how.evaluation.layouts:
            mapping = self._mapping(replace(default, layout=means.layout, order=means.order), factors)
            mapped = SparseLayer(factors.b.csr).map(mapping, inputs=factors.a.csr)
            tables.layout(factors.a.name, means, mapped)

    def _fabric(self, a: Any, b: Any, exact: Any, tables: Tables) -> None:
        """SMASH and other dataflows on the same digital block."""
        how, entries = self.how, np.diff(exact.indptr).astype(np.int64)
        runs: list[FabricRun] = []
        for name in how.versions:
            try:
                runs.append(run_smash(a, b, fabric=how.fabric, version=VERSIONS[name]))
            except InputError as error:
                tables.note(f"{VERSIONS[name].name} was left out. {error}.")
        for flow in how.dataflows:
            runs.append(DATAFLOWS[flow](a, b, entries, fabric=how.fabric))
        tables.fabric(runs)

    def _grid(self, factors: Factors, exact: Any, tables: Tables) -> None:
        """Error against converter bits and rows driven at once, on rows of C that are evenly spaced."""
        judged, a, b = self.how.evaluation, factors.a.csr, factors.b.csr
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
        base = self._mapping(self.how.default, factors)
        for bits in judged.grid_bits:
            for rows in judged.grid_rows:
                if rows > base.chip.rows:
                    continue
                mapping = replace(base, chip=replace(base.chip, adc_bits=bits, rows_at_once=rows, lsb_units=None))
                for one, cells in ((mapping, base.chip.device.kind), (as_ideal(mapping), "ideal")):
                    if one is not mapping and base.chip.device.kind == "ideal":
                        continue
                    tables.grid(cells, bits, rows, self._first_chip(a, b, one, part).accuracy)

    def _other(self, factors: Factors, tables: Tables) -> None:
        """A further matrix: all mappings counted, and one default chip computed where it is small enough."""
        exact = self._exact(factors)
        self._layouts(factors, tables)
        mapping = self._mapping(self.how.default, factors)
        found: SparseAccuracy | None = None
        if factors.products <= self.how.evaluation.other_products:
            found = self._first_chip(factors.a.csr, factors.b.csr, mapping, exact).accuracy
        tables.other(factors, exact, found)

    def _applied(self, found: Found) -> Applied:
        variants = {variant.name: variant for variant in self.how.variants}
        return Applied(found.main.a, found.place, tuple(variants), self.how.default.name, self.rng)

    def _analog(self, name: str, a: Any, b: Any) -> Any:
        """C on the first chip of a variant, right after writing."""
        variant = next(variant for variant in self.how.variants if variant.name == name)
        exact = spgemm(a, b, threads=self.threads)
        return self._first_chip(a, b, self.how.reals.on(variant.mapping, a, b), exact).C

    def _first_chip(self, a: Any, b: Any, mapping: SparseMapping, exact: Any) -> SparseRun:
        """A B on the first chip, right after writing."""
        made = SparseLayer(b).map(mapping, inputs=a).program(rng=ChipStreams.of(self.rng, 1))
        (run,) = made.at().run(exact, threads=self.threads)
        return run


def as_ideal(mapping: SparseMapping) -> SparseMapping:
    """The same chip with cells without error and a converter that only rounds."""
    device = mapping.chip.device
    ideal = Ideal(g_min_S=device.g_min_S, g_max_S=device.g_max_S)
    return replace(mapping, chip=replace(mapping.chip, device=ideal, adc=Quantiser()))
