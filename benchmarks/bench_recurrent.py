"""A keyword-spotting LSTM (40 inputs, 32 cells, 49 steps) on simulated chips beside ``torch.nn.LSTM``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Stream, TaOx
from mappings.chip import Chip, Weights
from mappings.network.aware import Aware
from mappings.network.recurrent import RecurrentLayer
from periphery import RampColumn

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

INPUTS, HIDDEN, STEPS = 40, 32, 49
CHIPS, CLIPS, BLOCK = 8, 512, 64
BATCH = 64
READ_NOISY_PCM = PCM(read_noise_S=0.1e-6)
VARIANTS = {
    "taox, nonlinear ramp": Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx())),
    "pcm after a month, nonlinear ramp": Chip(
        weights=Weights(device=READ_NOISY_PCM), ramp=RampColumn(device=READ_NOISY_PCM)
    ),
    "taox, conventional ADC": Chip(
        weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()), readout="conventional"
    ),
}


def lstm_and_clips(clips: int) -> tuple[torch.nn.LSTM, list[torch.Tensor], torch.Tensor]:
    """torch's layer, its weights with one bias in place of two, and clips."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(INPUTS, HIDDEN, batch_first=True)
    w_ih, w_hh, bias, _ = lstm.parameters()
    return lstm, [w_ih, w_hh, bias], torch.rand(clips, STEPS, INPUTS) * 2 - 1


@pytest.mark.parametrize("name", VARIANTS)
def test_evaluation_on_chips(name: str, side_by_side: SideBySide) -> None:
    chip = VARIANTS[name]
    lstm, weights, x = lstm_and_clips(CLIPS)
    rng = ChipStreams.of(Stream.root(0), CHIPS)
    read = RecurrentLayer.from_torch("lstm", *weights).map(chip).program(rng=rng).at(2592000.0)
    counts, many = chip.driver.counts(x, chip.bits), x.repeat(CHIPS, 1, 1)

    def work() -> torch.Tensor:
        noise = BlockNoise(rng.child("read"), range(CLIPS // BLOCK), BLOCK)
        with torch.no_grad():
            return read.run(counts, noise=noise)

    def reference() -> torch.Tensor:
        with torch.no_grad():
            return lstm(many)[0]  # type: ignore[no-any-return]

    row = side_by_side(
        f"LSTM 40->32, {STEPS} steps, {CHIPS} chips x {CLIPS} clips: {name}",
        work,
        f"nn.LSTM on {CHIPS * CLIPS} clips",
        reference,
        target_ratio=8.0,
    )
    assert row["ratio"] > 0


@pytest.mark.parametrize("bits", [None, 5])
def test_hardware_aware_training_step(bits: int | None, side_by_side: SideBySide) -> None:
    lstm, weights, x = lstm_and_clips(BATCH)
    aware, generator = Aware(bits=bits, weight_noise=0.05), torch.Generator().manual_seed(0)

    def work() -> None:
        lstm.zero_grad()
        aware.hidden("lstm", x, *weights, generator=generator).square().sum().backward()

    def reference() -> None:
        lstm.zero_grad()
        lstm(x)[0][:, -1].square().sum().backward()

    row = side_by_side(
        f"training step, LSTM 40->32, batch {BATCH}, weight noise, {'no rounding' if bits is None else f'{bits} bits'}",
        work,
        "nn.LSTM training step, same batch",
        reference,
        target_ratio=3.0,
    )
    assert row["ratio"] > 0
