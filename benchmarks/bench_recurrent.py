"""A keyword-spotting LSTM (40 inputs, 32 cells, 49 steps), and a larger one, on chips beside ``torch.nn.LSTM``.

The larger one (40 to 128, 50 steps, batch 128, PCM after a day with fresh read noise) is to take at most 3 times as
long as torch, for one chip and, beside torch at 8 times the batch, for 8; 1,000 chips of the keyword LSTM at batch 1 at
most 0.2 times as long as 1,000 calls for one chip that go step by step. Beside aihwkit's LSTM on its torch tile, which
has noise at the outputs, one chip is to take no longer.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Stream, SuperT, TaOx
from mappings.chip import Chip, Weights
from mappings.network.aware import AwareCell
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
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


LARGER, LARGER_STEPS, LARGER_BATCH, DAY_S = 128, 50, 128, 86400.0
MANY = 1000


def lstm_and_clips(
    clips: int, hidden: int = HIDDEN, steps: int = STEPS
) -> tuple[torch.nn.LSTM, list[torch.Tensor], torch.Tensor]:
    """torch's layer, its weights with one bias in place of two, and clips."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(INPUTS, hidden, batch_first=True)
    w_ih, w_hh, bias, _ = lstm.parameters()
    return lstm, [w_ih, w_hh, bias], torch.rand(clips, steps, INPUTS) * 2 - 1


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
        target_ratio=4.0,
    )
    assert row["ratio"] > 0


@pytest.mark.parametrize("device", [READ_NOISY_PCM, SuperT()], ids=["pcm", "rram_superT"])
@pytest.mark.parametrize("chips", [1, CHIPS])
def test_larger_layer_with_fresh_noise(chips: int, device: PCM | SuperT, side_by_side: SideBySide) -> None:
    """Read noise of one size for all cells, and one that follows their conductance: that takes a second product."""
    chip = Chip(weights=Weights(device=device), ramp=RampColumn(device=device))
    lstm, weights, x = lstm_and_clips(LARGER_BATCH, LARGER, LARGER_STEPS)
    rng = ChipStreams.of(Stream.root(0), chips)
    read = RecurrentLayer.from_torch("lstm", *weights).map(chip).program(rng=rng).at(DAY_S)
    counts, many = chip.driver.counts(x, chip.bits), x.repeat(chips, 1, 1)

    def work() -> torch.Tensor:
        noise = BlockNoise(rng.child("read"), range(LARGER_BATCH // BLOCK), BLOCK)
        with torch.no_grad():
            return read.run(counts, noise=noise)

    def reference() -> torch.Tensor:
        with torch.no_grad():
            return lstm(many)[0]  # type: ignore[no-any-return]

    row = side_by_side(
        f"LSTM 40->{LARGER}, {LARGER_STEPS} steps, {chips} chips x {LARGER_BATCH}: {device.kind}, fresh noise",
        work,
        f"nn.LSTM on {chips * LARGER_BATCH} sequences",
        reference,
        target_ratio=3.0,
    )
    assert row["ratio"] > 0


def test_a_peers_lstm(side_by_side: SideBySide) -> None:
    """aihwkit's LSTM on torch tiles of PCM after a day, default converters; mho's noise is that of every cell."""
    inference = pytest.importorskip("aihwkit.inference", reason="aihwkit is not installed")
    nn = pytest.importorskip("aihwkit.nn")
    configs = pytest.importorskip("aihwkit.simulator.configs")
    chip = VARIANTS["pcm after a month, nonlinear ramp"]
    _, weights, x = lstm_and_clips(LARGER_BATCH, LARGER, LARGER_STEPS)
    rng = ChipStreams.of(Stream.root(0), 1)
    read = RecurrentLayer.from_torch("lstm", *weights).map(chip).program(rng=rng).at(DAY_S)
    counts = chip.driver.counts(x, chip.bits)
    config = configs.TorchInferenceRPUConfig()
    config.noise_model = inference.PCMLikeNoiseModel(g_max=25.0)
    peer = nn.AnalogRNN(nn.AnalogLSTMCellCombinedWeight, INPUTS, LARGER, bias=True, rpu_config=config).eval()
    peer.drift_analog_weights(DAY_S)
    by_step = x.transpose(0, 1).contiguous()

    def work() -> torch.Tensor:
        noise = BlockNoise(rng.child("read"), range(LARGER_BATCH // BLOCK), BLOCK)
        with torch.no_grad():
            return read.run(counts, noise=noise)

    def reference() -> torch.Tensor:
        with torch.no_grad():
            return peer(by_step)[0]  # type: ignore[no-any-return]

    row = side_by_side(
        f"LSTM 40->{LARGER}, {LARGER_STEPS} steps, 1 chip x {LARGER_BATCH}: pcm, fresh noise of every cell",
        work,
        f"aihwkit {version('aihwkit')} LSTM on its torch tile, noise at the outputs",
        reference,
        target_ratio=1.0,
    )
    assert row["ratio"] > 0


def test_many_chips_in_one_call(side_by_side: SideBySide) -> None:
    chip = VARIANTS["pcm after a month, nonlinear ramp"]
    _, weights, x = lstm_and_clips(1)
    layer, counts = RecurrentLayer.from_torch("lstm", *weights).map(chip), chip.driver.counts(x, chip.bits)
    many, one = (ChipStreams.of(Stream.root(0), chips) for chips in (MANY, 1))
    read, single = (layer.program(rng=rng).at(DAY_S) for rng in (many, one))
    assert isinstance(single, RecurrentRead)
    step_by_step = replace(single)
    step_by_step.__dict__["fused"] = None

    def calls() -> None:
        for _ in range(MANY // 20):
            step_by_step.run(counts, noise=BlockNoise(one.child("read"), [0], 1))

    row = side_by_side(
        f"LSTM 40->32, {STEPS} steps, {MANY} chips in one call, batch 1",
        lambda: read.run(counts, noise=BlockNoise(many.child("read"), [0], 1)),
        f"{MANY // 20} calls for one chip, step by step: a twentieth",
        calls,
        target_ratio=0.2 * 20,
    )
    assert row["ratio"] > 0


@pytest.mark.parametrize("bits", [None, 5])
def test_hardware_aware_training_step(bits: int | None, side_by_side: SideBySide) -> None:
    lstm, weights, x = lstm_and_clips(BATCH)
    aware, generator = AwareCell(cell="lstm", bits=bits), torch.Generator().manual_seed(0)
    w_ih, w_hh, bias = weights

    def noisy(weight: torch.Tensor) -> torch.Tensor:
        xi = torch.empty_like(weight).normal_(generator=generator)
        return weight + xi * (0.05 * float(weight.detach().abs().max()))

    def work() -> None:
        lstm.zero_grad()
        held = {"weight_ih": noisy(w_ih), "weight_hh": noisy(w_hh), "bias_ih": bias}
        aware.sequence(x, held)[1].square().sum().backward()

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
