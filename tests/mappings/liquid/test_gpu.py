"""The liquid in torch alone: the bits of the compiled engines without noise, their statistics with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from devices import ChipStreams, FormedTaOx, Stream
from mappings.liquid.gpu import run_torch
from mappings.liquid.liquid import Liquid, ProgrammedLiquid
from mappings.liquid.run import LineSpikes, LiquidRun
from periphery.neurons.lif import LIF
from tests.quiet import COLUMN

QUIET = FormedTaOx(read_noise_S=0.0, slow_noise_S=0.0)
CHIPS = ChipStreams.of(Stream.root(0).child("torch"), 2)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]
VARIANTS = {
    "board": Liquid(device=QUIET),
    "capacitor": Liquid(device=QUIET, read_path="capacitor", **COLUMN),
    "pairs": Liquid(device=QUIET, read_path="capacitor", pairing="pairs", **COLUMN),
    "four arrays": Liquid(device=QUIET, inputs=70, neurons=40, array_rows=64, array_columns=24, adc_lines=22.0),
    "slow neurons": Liquid(
        device=QUIET, neuron=LIF(threshold_sigma=0.5, residue=0.2, refractory_steps=2, threshold=3.0)
    ),
}


def spikes(inputs: int, n: int = 7, rate: float = 0.3) -> LineSpikes:
    return LineSpikes.of(np.random.default_rng(0).random((n, 40, inputs)) < rate)


def on(made: ProgrammedLiquid, lines: LineSpikes, device: str, *, record: bool = False) -> LiquidRun:
    return run_torch(made.at(), lines, rng=CHIPS, device=device, record=record)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", VARIANTS)
def test_without_noise_every_bit_is_that_of_the_compiled_engines(name: str, device: str) -> None:
    how = VARIANTS[name]
    made, lines = how.map().program(rng=CHIPS), spikes(how.inputs)
    expected, found = made.at().run(lines, noise=CHIPS, record=True), on(made, lines, device, record=True)
    assert 0.01 < float(expected.rates.mean()) < 0.6
    for field in ("counts", "line_reads", "clipped", "raster"):
        assert torch.equal(getattr(found, field), getattr(expected, field)), field
    if name == "four arrays":
        assert int(expected.clipped.sum()) > 0


@pytest.mark.parametrize("device", DEVICES)
def test_with_noise_rates_agree_and_blocks_stand_alone(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loud = replace(Liquid(), device=replace(QUIET, read_noise_S=8e-6), neuron=LIF(noise=1.0))
    made, lines = loud.map().program(rng=CHIPS), spikes(256, n=600, rate=0.05)
    expected, found = made.at().run(lines, noise=CHIPS), on(made, lines, device)
    calm = replace(loud, device=QUIET, neuron=LIF()).map().program(rng=CHIPS).at().run(lines, noise=CHIPS)
    for chip in range(2):
        assert float(found.rates[chip]) == pytest.approx(float(expected.rates[chip]), rel=0.01)
        assert float(found.rates[chip]) > 1.1 * float(calm.rates[chip]), "noise makes neurons fire"
    monkeypatch.setattr("mappings.liquid.gpu.GROUP", 256)
    assert torch.equal(on(made, lines, device).counts, found.counts), "256 recordings at a time, or 1024"


def test_numbers_are_refused_on_a_gpu() -> None:
    made = Liquid().map().program(rng=CHIPS)
    with pytest.raises(ValueError, match="numbers: allowed on the CPU alone"):
        made.at().run(spikes(256, n=2), noise=CHIPS, numbers=np.arange(2), device="cuda")
