"""Ramp conversions beside the matrix product whose outputs they convert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from crossbar import Array, DifferentialPair
from devices import BlockNoise, ChipStreams, Stream, TaOx
from periphery import SIGMOID, Comparator, RampColumn, RampConverter
from periphery.ramp.cells import Ramp

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

CHIPS, SAMPLES, ROWS, COLUMNS = 8, 512, 128, 128
BATCH, SIDE = 256, 512
RAMP_CELLS = {"quiet ramp": TaOx(read_noise_S=0.0), "ramp with read noise": TaOx()}


@pytest.mark.parametrize("cells", RAMP_CELLS)
@pytest.mark.parametrize("bits", [5, 8])
def test_ramp_conversion(cells: str, bits: int, side_by_side: SideBySide) -> None:
    rng = ChipStreams.of(Stream.root(0), CHIPS)
    draw = torch.Generator().manual_seed(0)
    read = Array.program(
        torch.randn((ROWS, COLUMNS), generator=draw) / ROWS**0.5,
        device=TaOx(read_noise_S=0.0),
        encoding=DifferentialPair(),
        tile_of_column=torch.zeros(COLUMNS, dtype=torch.long),
        rng=rng.child("weights"),
    ).read(0.0)
    counts = torch.randint(-15, 16, (1, SAMPLES // 64, 64, ROWS), generator=draw).float()
    ramp = Ramp.program(RampColumn(device=RAMP_CELLS[cells]).design(SIGMOID, bits), ramps=1, rng=rng.child("ramp"))
    comparator = Comparator()
    offset = comparator.offset_sigma_V() * rng.child("offset").normal((1, COLUMNS))
    conversion = RampConverter(ramp, comparator, offset, volts_per_z=0.06).read(0.0)
    z = (read.product(counts) * 1e2).flatten(1, 2)[:, :, None]

    def work() -> torch.Tensor:
        noise = BlockNoise(rng.child("read"), range(SAMPLES // 64), 64)
        return conversion.values(conversion.codes(z, None, noise))

    row = side_by_side(
        f"{bits}-bit conversion of {CHIPS} x {SAMPLES} x {COLUMNS} outputs, {cells}",
        work,
        f"product of the same outputs, {ROWS} rows",
        lambda: read.product(counts),
        target_ratio=10.0,
    )
    assert row["ratio"] > 0


@pytest.mark.parametrize("decision", ["noise apart", "decision noise"])
@pytest.mark.parametrize("bits", [5, 8])
def test_conversion_beside_a_plain_product(bits: int, decision: str, side_by_side: SideBySide) -> None:
    """The 256 x 512 outputs of a 512 x 512 product in single precision; one sorted table, each column's own offset."""
    rng = ChipStreams.of(Stream.root(0), 1)
    draw = torch.Generator().manual_seed(0)
    x, w = torch.randn((BATCH, SIDE), generator=draw), torch.randn((SIDE, SIDE), generator=draw) / SIDE**0.5
    column = RampColumn(device=RAMP_CELLS["quiet ramp"])
    ramp = Ramp.program(column.design(SIGMOID, bits), ramps=1, rng=rng.child("ramp"))
    quiet = decision == "noise apart"
    comparator = Comparator(noise_V=0.0) if quiet else Comparator()
    offset = comparator.offset_sigma_V() * rng.child("offset").normal((1, SIDE))
    conversion = RampConverter(ramp, comparator, offset, volts_per_z=0.06).read(0.0)
    z = (x @ w)[None, :, None] * 2.0
    theirs = torch.searchsorted(conversion.table[0, 0], z + conversion.offset_z, right=True)
    if quiet:
        assert torch.equal(conversion.codes(z, None, BlockNoise(rng, range(BATCH // 64), 64)).long(), theirs)

    def work() -> torch.Tensor:
        return conversion.codes(z, None, BlockNoise(rng, range(BATCH // 64), 64))

    row = side_by_side(
        f"{bits}-bit conversion of {BATCH} x {SIDE} outputs, {decision}",
        work,
        f"product {SIDE} x {SIDE} of a batch of {BATCH}, single precision",
        lambda: x @ w,
        target_ratio=1.0,
    )
    assert row["ratio"] > 0
