"""Linear conversions of 256 x 512 outputs beside the 512 x 512 product whose outputs they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from devices import BlockNoise, ChipStreams, Stream
from periphery import ADC, CCO, SAR, Bank, Flash, Grid, LinearRamp, Quantiser

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

BATCH, ROWS, COLUMNS, BITS, RANGE_Z, VOLTS_PER_Z = 256, 512, 512, 8, 4.0, 0.06
LSB_V = 2 * RANGE_Z / 2**BITS * VOLTS_PER_Z
CONVERTERS: dict[str, tuple[ADC, float]] = {  # with the ratio that they must keep
    "ideal quantiser": (Quantiser(), 4.0),
    "SAR without noise": (SAR(capacitor_mismatch=0.01), 4.0),
    "SAR with noise at every decision": (SAR(capacitor_mismatch=0.01, offset_V=LSB_V, noise_V=0.5 * LSB_V), 4.0),
    "linear ramp with noise": (LinearRamp(capacitor_mismatch=0.01, offset_V=LSB_V, noise_V=0.5 * LSB_V), 4.0),
    "flash with offsets": (Flash(offset_V=0.3 * LSB_V), 4.0),
    "flash with noise at every comparator": (Flash(offset_V=0.3 * LSB_V, noise_V=0.5 * LSB_V), 4.0),
    "oscillator with jitter": (CCO(gain_error=0.01, jitter=0.05), 10.0),
}


@pytest.mark.parametrize("name", CONVERTERS)
def test_linear_conversion(name: str, side_by_side: SideBySide) -> None:
    adc, target = CONVERTERS[name]
    rng = ChipStreams.of(Stream.root(0), 1)
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(ROWS, COLUMNS, generator=draw) / ROWS**0.5
    x = torch.randn(BATCH, ROWS, generator=draw)
    z = (x @ weights)[None, :, None] * 1.5
    built = adc.build(Grid(BITS, -RANGE_Z, RANGE_Z), Bank(1, COLUMNS, 8, VOLTS_PER_Z), rng=rng)
    row = side_by_side(
        f"{BITS}-bit conversion of {BATCH} x {COLUMNS} outputs, {name}",
        lambda: built.codes(z, None, BlockNoise(rng, [0], BATCH)),
        f"{ROWS} x {COLUMNS} product of batch {BATCH}",
        lambda: x @ weights,
        target_ratio=target,
    )
    assert row["ratio"] > 0
