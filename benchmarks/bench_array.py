"""A 512 x 512 array, programmed, drifted and read with fresh noise by 8-bit ramps, beside torch's product and a peer's.

The array is read once at its time (``read``, timed by itself) and then used for many products; what is timed per batch
is the product, its noise and the conversion.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import torch

from crossbar import Array, ArrayRead, DifferentialPair
from devices import PCM, BlockNoise, ChipStreams, Stream
from mappings.chip import Chip, Weights
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, RampColumn, RampConversion, RampConverter, identity
from periphery.ramp.cells import Ramp

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

SIDE, BATCH, DAY_S = 512, 256, 86400.0
CHIPS, CHUNK = 64, 8
DEVICE = PCM(read_noise_S=0.1e-6)


def array_of(chips: range, draw: torch.Generator) -> tuple[Array, torch.Tensor, ChipStreams]:
    weights = torch.randn((SIDE, SIDE), generator=draw) / SIDE**0.5
    rng = ChipStreams.of(Stream.root(0), chips)
    tile = torch.zeros(SIDE, dtype=torch.long)
    array = Array.program(weights, device=DEVICE, encoding=DifferentialPair(), tile_of_column=tile, rng=rng)
    return array, weights, rng


def converter(rng: ChipStreams) -> RampConversion:
    ramp = Ramp.program(RampColumn(device=DEVICE).design(identity(4.0), 8), ramps=1, rng=rng.child("ramp"))
    comparator = Comparator()
    offset = comparator.offset_sigma_V() * rng.child("offset").normal((1, SIDE))
    return RampConverter(ramp, comparator, offset, volts_per_z=0.06).read(0.0)


def codes(
    read: ArrayRead, conversion: RampConversion, counts: torch.Tensor, per_z: torch.Tensor, rng: ChipStreams
) -> torch.Tensor:
    """Codes ``(chips, batch, 1, columns)`` of one batch: product, fresh noise, conversion."""
    noise = BlockNoise(rng.child("read"), [0], BATCH)
    z = read.product(counts) * per_z
    variance = read.variance_of_squares(counts.square())
    assert variance is not None
    return conversion.codes(z[:, :, None], (variance * per_z.square())[:, :, None], noise)


@pytest.mark.parametrize("noise", ["fresh read noise", "no read noise"])
def test_one_chip(noise: str, side_by_side: SideBySide) -> None:
    draw = torch.Generator().manual_seed(0)
    array, weights, rng = array_of(range(1), draw)
    counts = torch.randint(-127, 128, (1, BATCH, SIDE), generator=draw).float()
    read, conversion = array.read(DAY_S), converter(rng)
    per_z = (1 / 127 / array.encoded.scale_S).float()
    if noise == "no read noise":
        read = ArrayRead(read.difference_S, torch.zeros_like(read.variance_S2[:, :, :1]), read.row_S)  # type: ignore[index]
    x = counts[0] / 127

    row = side_by_side(
        f"{SIDE}x{SIDE} PCM array after a day, batch {BATCH}, {noise}, 8-bit ramp",
        lambda: codes(read, conversion, counts, per_z, rng),
        "torch.nn.functional.linear",
        lambda: torch.nn.functional.linear(x, weights),
        target_ratio=3.0,
    )
    assert row["ratio"] > 0


@pytest.mark.parametrize("what", ["products", "products, fresh noise and conversions"])
def test_many_chips(what: str, side_by_side: SideBySide) -> None:
    """Chips in chunks, so that memory stays bounded; the reference is one product, as often as there are chips."""
    draw = torch.Generator().manual_seed(0)
    counts = torch.randint(-127, 128, (1, BATCH, SIDE), generator=draw).float()
    parts = []
    for first in range(0, CHIPS, CHUNK):
        array, weights, rng = array_of(range(first, first + CHUNK), torch.Generator().manual_seed(1))
        parts.append((array.read(DAY_S), converter(rng), (1 / 127 / array.encoded.scale_S).float(), rng))
        del array
    x = counts[0] / 127

    def work() -> None:
        for read, conversion, per_z, rng in parts:
            if what == "products":
                read.product(counts)
            else:
                codes(read, conversion, counts, per_z, rng)

    row = side_by_side(
        f"{CHIPS} chips of {SIDE}x{SIDE}, batch {BATCH}: {what}",
        work,
        f"torch.nn.functional.linear, {CHIPS} times",
        lambda: [torch.nn.functional.linear(x, weights) for _ in range(CHIPS)],
        target_ratio=1.2,
    )
    assert row["ratio"] > 0


def test_read_after_a_day(side_by_side: SideBySide) -> None:
    """Drift and 1/f noise of half a million cells."""
    array, _, _ = array_of(range(1), torch.Generator().manual_seed(0))
    shape, draw = array.cells.programmed_S.shape, torch.Generator().manual_seed(0)
    row = side_by_side(
        f"reading {2 * SIDE * SIDE} PCM cells after a day",
        lambda: array.read(DAY_S),
        "two plain draws of so many normal numbers",
        lambda: (torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)),
        target_ratio=6.0,
    )
    assert row["ratio"] > 0


def test_64_chips_of_an_lstm_step_by_step(side_by_side: SideBySide) -> None:
    """The 72 x 128 LSTM at batch 32: chips as a batch dimension against one run a chip."""
    chip = Chip(weights=Weights(device=DEVICE), ramp=RampColumn(device=DEVICE))
    torch.manual_seed(0)
    w_ih, w_hh, bias, _ = torch.nn.LSTM(40, 32, batch_first=True).parameters()
    mapped = RecurrentLayer.from_torch("lstm", w_ih, w_hh, bias).map(chip)
    counts = chip.driver.counts(torch.rand(32, 49, 40) * 2 - 1, chip.bits)
    many = ChipStreams.of(Stream.root(0), CHIPS)
    together = mapped.program(rng=many).at(DAY_S)
    alone_rng = ChipStreams.of(Stream.root(0), 1)
    alone = mapped.program(rng=alone_rng).at(DAY_S)

    def run(read: object, rng: ChipStreams) -> torch.Tensor:
        with torch.no_grad():
            return read.run(counts, noise=BlockNoise(rng.child("read"), [0], 32))  # type: ignore[attr-defined, no-any-return]

    assert torch.equal(run(together, many)[:1], run(alone, alone_rng))
    row = side_by_side(
        f"{CHIPS} chips of the 72x128 LSTM, 49 steps, batch 32",
        lambda: run(together, many),
        f"{CHIPS} runs of one chip",
        lambda: [run(alone, alone_rng) for _ in range(CHIPS)],
        target_ratio=0.5,
    )
    assert row["ratio"] > 0


def test_a_peers_tile(side_by_side: SideBySide) -> None:
    """aihwkit's torch tile on the same work: programmed and drifted once, its own converters and output noise."""
    inference = pytest.importorskip("aihwkit.inference", reason="aihwkit is not installed")
    nn = pytest.importorskip("aihwkit.nn")
    configs = pytest.importorskip("aihwkit.simulator.configs")
    draw = torch.Generator().manual_seed(0)
    array, weights, rng = array_of(range(1), draw)
    counts = torch.randint(-127, 128, (1, BATCH, SIDE), generator=draw).float()
    read, conversion = array.read(DAY_S), converter(rng)
    per_z = (1 / 127 / array.encoded.scale_S).float()
    config = configs.TorchInferenceRPUConfig()
    config.noise_model = inference.PCMLikeNoiseModel(g_max=25.0)
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    layer = nn.AnalogLinear(SIDE, SIDE, bias=False, rpu_config=config).eval()
    layer.set_weights(weights)
    layer.drift_analog_weights(DAY_S)
    x = counts[0] / 127

    def peer() -> torch.Tensor:
        with torch.no_grad():
            return layer(x)  # type: ignore[no-any-return]

    row = side_by_side(
        f"{SIDE}x{SIDE} PCM array after a day, batch {BATCH}, fresh noise of every cell, 8-bit ramp",
        lambda: codes(read, conversion, counts, per_z, rng),
        f"aihwkit {version('aihwkit')} torch tile, default converters, noise at the outputs",
        peer,
        target_ratio=1.0,
    )
    assert row["ratio"] > 0
