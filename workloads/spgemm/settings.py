"""A sparse matrix product: which matrices, tiles, mappings, chips and fabric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from annotated_types import Interval, Len

from crossbar import AnySparseEncoding, DifferentialPair
from devices import InputError
from mappings.sparse import Fabric, SparseChip, SparseMapping
from mappings.sparse.tiles.grouping import Order
from mappings.sparse.tiles.layout import Layout
from mappings.sparse.tiles.product import check_columns
from workloads.experiment import MOST_CHIPS, Evaluation, Experiment, Variant, Variants, rising_from_zero
from workloads.spgemm.applications import Application
from workloads.spgemm.data import SparseData

VersionName = Literal["v1", "v2", "v3", "v3_mixed"]
FlowName = Literal["inner", "outer", "row_sorted", "row_dense"]


@dataclass(frozen=True, kw_only=True)
class Reals:
    """What replaces settings of a chip where a matrix has other values than 0 and 1.

    Parameters
    ----------
    encoding : of values of both signs; for B
    input_bits : of inputs with their sign; for A
    adc_bits : of the converter; never below the chip's
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
class SparseVariant(Variant):
    """One way to multiply: its chip says only what differs from the experiment's.

    Parameters
    ----------
    chip : of this variant
    aim : allowed relative error
    layout, order, scale, input_scale : as in ``SparseMapping``
    """

    chip: SparseChip
    aim: Annotated[float, Interval(ge=0.0, le=1e6)] | None = None
    layout: Layout = "compact"
    order: Order = "greedy"
    scale: Literal["matrix", "tile", "row"] = "matrix"
    input_scale: Literal["matrix", "row"] = "matrix"

    def __post_init__(self) -> None:
        try:
            check_columns(self.mapping)
        except InputError as error:
            raise InputError(f"chip.{problem}" for problem in error.problems) from None

    @property
    def mapping(self) -> SparseMapping:
        """For 0/1 matrices."""
        return SparseMapping(
            chip=self.chip, layout=self.layout, order=self.order, scale=self.scale, input_scale=self.input_scale
        )


@dataclass(frozen=True, kw_only=True)
class SparseMeans:
    """One way to map B to tiles, compared on the headline's chip."""

    name: str
    layout: Layout
    order: Order


@dataclass(frozen=True, kw_only=True)
class SparseEvaluation(Evaluation):
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

    chips: Annotated[int, Interval(ge=1, le=MOST_CHIPS)] = 4
    most_products: Annotated[float, Interval(ge=1.0, le=1e15)] = 4e7
    grid_bits: Annotated[tuple[Annotated[int, Interval(ge=1, le=12)], ...], Len(0, 12)] = (3, 4, 6, 8)
    grid_rows: Annotated[tuple[Annotated[int, Interval(ge=1, le=4096)], ...], Len(0, 100)] = (8, 16, 32, 64, 128)
    grid_products: Annotated[float, Interval(ge=1.0, le=1e15)] = 3e5
    grid_nonzeros: Annotated[float, Interval(ge=1.0, le=1e15)] = 3e4
    layouts: Annotated[tuple[SparseMeans, ...], Len(0, 100)] = (
        SparseMeans(name="blocks (GraphR)", layout="blocks", order="natural"),
        SparseMeans(name="blocks, Cuthill-McKee", layout="blocks", order="rcm"),
        SparseMeans(name="compacted", layout="compact", order="natural"),
        SparseMeans(name="compacted, min-hash", layout="compact", order="minhash"),
        SparseMeans(name="compacted, clustered", layout="compact", order="greedy"),
    )
    other_products: Annotated[float, Interval(ge=0.0, le=1e15)] = 5e6
    shown: Annotated[int, Interval(ge=100, le=50_000)] = 4000

    def __post_init__(self) -> None:
        rising_from_zero(self.times_s)


@dataclass(frozen=True, kw_only=True)
class SparseProduct(Experiment[SparseVariant]):
    """C = A B with B in the cells and A's rows as inputs, beside the same product on SMASH's fabric."""

    kind: Literal["spgemm"] = "spgemm"
    name: str = "spgemm"
    data: SparseData = SparseData()
    chip: SparseChip = SparseChip()
    reals: Reals = Reals()
    variants: Variants[SparseVariant]
    fabric: Fabric = Fabric()
    versions: Annotated[tuple[VersionName, ...], Len(0, 4)] = ("v1", "v2", "v3", "v3_mixed")
    dataflows: Annotated[tuple[FlowName, ...], Len(0, 4)] = ("outer", "row_sorted", "row_dense", "inner")
    evaluation: SparseEvaluation = SparseEvaluation()
    applications: Annotated[tuple[Application, ...], Len(0, 3)] = ()
