"""The loop over a recurrent layer's steps for a GPU beside that of the CPU, in torch here and in Triton where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Stream, SuperT
from devices.counters import normals
from mappings.activity import Activity
from mappings.chip import Chip, Weights
from mappings.counter_noise import normals as normals_of_loop
from mappings.network.gpu.loop import DeviceLayer
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from periphery import RampColumn
from tests.mappings.network.test_recurrent_fused import CASES, NOISES, counts, read_of

CHIPS, SAMPLES, DAY_S = 3, 20, 86400.0
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]
NOISY = NOISES["pcm, ramps that err"]
ALL = {**CASES, **NOISES, "noise by state": replace(NOISY, weights=Weights(device=SuperT()))}


def noise(device: str = "cpu", chips: int = CHIPS, samples: int = SAMPLES) -> BlockNoise:
    return BlockNoise(ChipStreams.of(Stream.root(1), chips).child("read"), [0], samples, device)


def projected(chip: Chip, chips: int = CHIPS) -> RecurrentRead:
    generator = torch.Generator().manual_seed(0)
    sizes = ((4 * 21, 11), (4 * 21, 9), (4 * 21,), (9, 21))
    w_ih, w_hh, bias, w_hr = (torch.randn(size, generator=generator) * 0.4 for size in sizes)
    layer = RecurrentLayer.from_torch("lstm", w_ih, w_hh, bias, weight_hr=w_hr, limit=1.0)
    read = layer.map(chip).program(rng=ChipStreams.of(Stream.root(1), chips)).at(DAY_S)
    assert isinstance(read, RecurrentRead)
    return read


def same(found: torch.Tensor, expected: torch.Tensor, device: str) -> None:
    """Equal codes; where a product sums in another order a few ties fall differently, by one code."""
    if device == "cpu":
        assert torch.equal(found, expected)
    apart = (found.cpu() - expected).abs()
    assert float((apart > 0).float().mean()) < 0.01
    assert float((apart > 1).float().mean()) < 0.001


def numbers_of_loop(chip: int, sample: int, step: int, kind: int, q: int) -> np.ndarray:
    key, out = noise().keys[chip], np.empty(4 * q, np.float32)
    normals_of_loop(key[0], key[1], np.uint32(sample), np.uint32(step), np.uint32(kind), out)
    return out


@pytest.mark.parametrize("device", DEVICES)
def test_noise_is_that_of_the_compiled_loop(device: str) -> None:
    keys, samples = noise(device).counters
    steps, kind = torch.tensor([0, 7], device=device), torch.tensor([2**32 - 3], device=device)
    found = normals(keys, samples, steps, kind, 13).cpu()
    for chip, sample, step in ((0, 0, 0), (2, 19, 1), (1, 5, 1)):
        expected = numbers_of_loop(chip, sample, (0, 7)[step], 2**32 - 3, 13)
        np.testing.assert_allclose(found[chip, sample, step].numpy(), expected, atol=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_draws_on_a_gpu_depend_on_chip_sample_and_draw_alone() -> None:
    rng = ChipStreams.of(Stream.root(1), 3).child("read")
    whole, part = BlockNoise(rng, range(4), 5, "cuda"), BlockNoise(ChipStreams(rng.streams[1:2]), [2], 5, "cuda")
    first, second = (whole.normal((70, 3)) for _ in range(2))
    assert torch.equal(first[1:2, 10:15], part.normal((70, 3)))
    assert torch.equal(second[1:2, 10:15], part.normal((70, 3)))
    assert abs(float(first.mean())) < 0.05
    assert float(first.std()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ALL)
def test_codes_and_counts_are_those_of_the_loop_of_the_cpu(name: str, device: str) -> None:
    chip = ALL[name]
    read, x = read_of("lstm", chip), counts(chip)
    done, expected_done = (Activity(valid=SAMPLES - 3) for _ in range(2))
    expected = read.run(x, noise=noise(), activity=expected_done)
    other = read.on(device)
    assert isinstance(other.fused, DeviceLayer)
    found = other.run(x.to(device), noise=noise(device), activity=done)
    same(found, expected, device)
    assert done.samples == expected_done.samples
    assert done.sums.keys() == expected_done.sums.keys()
    for what, value in expected_done.sums.items():
        assert done.sums[what] == pytest.approx(value, rel=1e-12 if device == "cpu" else 1e-2), what
    again = other.run(x.to(device), noise=noise(device))
    assert torch.equal(found, again)


@pytest.mark.parametrize("device", DEVICES)
def test_without_noise_a_projected_layer_gives_the_codes_of_the_step_by_step_run(device: str) -> None:
    read, x = projected(CASES["ramp"]), counts(CASES["ramp"])
    done, expected_done = (Activity(valid=SAMPLES - 3) for _ in range(2))
    expected = read.run(x, noise=noise(), activity=expected_done)
    other = read.on(device)
    assert isinstance(other.fused, DeviceLayer)
    same(other.run(x.to(device), noise=noise(device), activity=done), expected, device)
    for mine, theirs in ((done, expected_done), (done.of_projection(), expected_done.of_projection())):
        assert mine.samples == theirs.samples
        for what, value in theirs.sums.items():
            assert mine.sums[what] == pytest.approx(value, rel=1e-12 if device == "cpu" else 1e-2), what


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["lstm", "projected"])
def test_with_noise_states_have_the_moments_of_the_step_by_step_run(name: str, device: str) -> None:
    """Means and variances over 4,000 reads of one input, unit by unit; of a mean of states, 5 standard errors."""
    reads = 4000
    read = read_of("lstm", NOISY, chips=1) if name == "lstm" else projected(NOISY, 1)
    x = counts(NOISY, 1).expand(reads, -1, -1)[:, :3]
    by_step = replace(read)
    by_step.__dict__["fused"] = None
    expected = by_step.run(x, noise=noise(chips=1, samples=reads))[0].double()
    found = read.on(device).run(x.to(device), noise=noise(device, 1, reads))[0].double().cpu()
    spread = expected.var(0)
    assert spread.max() > 0.05
    error = ((spread + found.var(0)) / reads).sqrt().clamp_min(0.5 / reads)
    assert ((found.mean(0) - expected.mean(0)).abs() / error).max() < 5.0
    assert float(found.var(0).sum()) == pytest.approx(float(spread.sum()), rel=0.03)


@pytest.mark.parametrize("device", DEVICES)
def test_pieces_of_a_sequence_are_the_whole(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_of("lstm", NOISY).on(device)
    x = counts(NOISY).repeat(1, 20, 1).to(device)
    whole = read.run(x, noise=noise(device))
    monkeypatch.setattr("mappings.network.gpu.loop.AT_ONCE", 1)
    assert torch.equal(whole, read_of("lstm", NOISY).on(device).run(x, noise=noise(device)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ALL)
def test_a_kernel_a_step_gives_what_the_kernel_of_all_steps_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = ALL[name]
    x, (done, expected_done) = counts(chip).cuda(), (Activity(valid=SAMPLES - 3) for _ in range(2))
    expected = read_of("lstm", chip).on("cuda").run(x, noise=noise("cuda"), activity=expected_done)
    monkeypatch.setattr("mappings.network.gpu.loop.UNITS", 0)
    same(read_of("lstm", chip).on("cuda").run(x, noise=noise("cuda"), activity=done), expected.cpu(), "cuda")
    for what, value in expected_done.sums.items():
        assert done.sums[what] == pytest.approx(value, rel=1e-2), what


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_go_step_by_step_on_a_gpu(cell: str) -> None:
    chip = CASES["ramp"]
    read, x = read_of(cell, chip), counts(chip)  # type: ignore[arg-type]
    same(read.on("cuda").run(x.cuda(), noise=noise("cuda")), read.run(x, noise=noise()), "cuda")


def test_a_layer_of_pcm_takes_one_number_a_sample_for_its_noise() -> None:
    chip = Chip(weights=Weights(device=PCM(read_noise_S=0.1e-6)), ramp=RampColumn(device=PCM(read_noise_S=0.1e-6)))
    layer = read_of("lstm", chip).on("cpu").fused
    assert isinstance(layer, DeviceLayer)
    assert layer.main.by_row.numel() > 0
    assert layer.main.variances.numel() == 0
