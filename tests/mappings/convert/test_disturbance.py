"""Errors of weights in training, against real cells that were programmed and read."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossbar import Array, BitSlices, DifferentialPair, Encoding, OffsetColumn
from devices import DEVICES, PCM, ChipStreams, Device, Gaussian, Ideal, InputError, Stream, SuperT
from devices.effects import DiscreteLevels, ProgramVerify, Stuck
from mappings.chip import Chip, Compensation, OutputConverter, Weights
from mappings.convert.converted import convert
from mappings.convert.disturbance import Disturbance, LayerCells, spread_times
from periphery import RampColumn
from tests.registry import every, named

LEVELS = torch.tensor([-1.0, -0.55, -0.12, 0.0, 0.03, 0.26, 0.37, 0.8, 1.0])
ROWS = 4000
MONTH_S = 2.6e6
DRIFTING = Gaussian(sigma_absolute=0.05, drift_mean=0.05, drift_sd=0.02, read_noise_S=2e-6)


def chip_of(device: Device, encoding: Encoding | None = None, **how: object) -> Chip:
    weights = Weights(device=device, encoding=encoding or DifferentialPair())
    return Chip(bits=8, weights=weights, ramp=RampColumn(device=Ideal()), output=OutputConverter(bits=8), **how)  # type: ignore[arg-type]


def layer_of(chip: Chip, *times_s: float, seed: int = 0) -> LayerCells:
    return Disturbance.of({"a": chip}, times_s or (0.0,), rng=Stream.root(seed)).layers["a"]


def programmed(weight: torch.Tensor, chip: Chip, t_s: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of weights of every column on a real array, with one read of it."""
    cells, rows = chip.weights, weight.T.contiguous()
    rng = ChipStreams.of(Stream.root(11), 1)
    array = Array.program(rows, device=cells.device, encoding=cells.encoding, rng=rng)
    read = array.read(t_s, v_read_V=chip.driver.v_read_V, window_s=chip.driver.window_s(chip.bits))
    held = read.difference_S[0] / array.encoded.scale_S
    variance = torch.zeros_like(held) if read.variance_S2 is None else read.variance_S2[0].expand_as(held)
    if read.common_S2 is not None:
        variance = variance + read.common_S2[0][:, read.reference]
    noise = (variance / array.encoded.scale_S.square()).mean(0)
    return held.mean(0), (held.var(0) + noise).sqrt()


@pytest.mark.parametrize(
    "device",
    [
        PCM(),
        SuperT(),
        SuperT(verified=False),
        DRIFTING,
        Gaussian(sigma_absolute=0.02, effects=(DiscreteLevels(count=9), Stuck(off_rate=0.05, on_rate=0.02))),
        SuperT(effects=(ProgramVerify(),)),
    ],
    ids=["pcm", "superT", "unverified", "gaussian", "levels and stuck", "program and verify"],
)
@pytest.mark.parametrize("t_s", [0.0, MONTH_S])
def test_errors_have_the_mean_and_spread_of_programmed_cells_in_every_state(device: Device, t_s: float) -> None:
    chip, weight = chip_of(device), (0.3 * LEVELS)[:, None].repeat(1, ROWS)
    held = layer_of(chip, t_s).held(weight, 0, rng=Stream.root(5))
    mean, sigma = programmed(weight, chip, t_s)
    # Standard errors of the mean: 1/63 of sigma in each of the array, the table and the draw.
    assert float(((held.mean(1) - mean) / sigma).abs().max()) < 4.5 * 3**0.5 / 63
    assert torch.allclose(held.std(1), sigma, rtol=0.13)


@pytest.mark.parametrize("encoding", [OffsetColumn(), BitSlices(), DifferentialPair(balanced=True, cells=2)])
def test_every_encoding_errs_as_its_cells_do(encoding: Encoding) -> None:
    chip, weight = chip_of(PCM(), encoding), LEVELS[:, None].repeat(1, ROWS)
    held = layer_of(chip).held(weight, 0, rng=Stream.root(5))
    mean, sigma = programmed(weight, chip, 0.0)
    assert float(((held.mean(1) - mean) / sigma).abs().max()) < 4.5 * 3**0.5 / 63
    assert torch.allclose(held.std(1), sigma, rtol=0.1)


def test_a_reference_column_shifts_all_columns_of_its_tile_together() -> None:
    chip = chip_of(Gaussian(sigma_absolute=0.1), OffsetColumn(), columns=2)
    weight = torch.zeros(4, ROWS)
    weight[:, 0] = 1.0
    found = torch.corrcoef(layer_of(chip).held(weight, 0, rng=Stream.root(5))[:, 1:])
    assert found[0, 1] == pytest.approx(0.5, abs=0.06)
    assert found[1, 2] == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("device", every(DEVICES), ids=named)
def test_any_device_that_can_be_written_disturbs_weights(device: Device) -> None:
    if not device.writable:
        with pytest.raises(InputError, match=r"a: cells of kind [a-z_]+ cannot"):
            layer_of(chip_of(device))
        return
    held = layer_of(chip_of(device)).held(LEVELS[:, None].repeat(1, 500), 0, rng=Stream.root(1))
    assert held.isfinite().all()
    assert torch.allclose(held.median(1).values, LEVELS, atol=0.35)


def test_ideal_cells_hold_the_weights_and_tiles_have_scales_of_their_own() -> None:
    weight = torch.cat([torch.randn(3, 20), 100.0 * torch.randn(3, 20)])
    for chip in (chip_of(Ideal(), columns=3), chip_of(Ideal(), BitSlices(weight_bits=12), columns=3)):
        error = (layer_of(chip).held(weight, 0, rng=Stream.root(0)) - weight).abs().amax(1)
        assert float(error[:3].max()) < 1e-3
    noisy = layer_of(chip_of(Gaussian(sigma_absolute=0.05), columns=3)).held(weight, 0, rng=Stream.root(0)) - weight
    assert float(noisy[3:].std() / noisy[:3].std()) > 30.0


def test_gradients_pass_straight_through_and_a_matrix_errs_once_a_step() -> None:
    errors = Disturbance.of({"a": chip_of(PCM())}, (0.0, 3600.0), scale=0.5, rng=Stream.root(3))
    weight = torch.randn(4, 3, 5, requires_grad=True)
    disturb = errors.drawn(7)["a"]
    found = disturb(weight)
    (found * torch.arange(60.0).view(4, 3, 5)).sum().backward()
    assert torch.equal(weight.grad, torch.arange(60.0).view(4, 3, 5))  # type: ignore[arg-type]
    assert torch.equal(found, disturb(weight))
    assert torch.equal(found, errors.drawn(7)["a"](weight))
    assert not torch.equal(found, errors.drawn(8)["a"](weight))
    whole = replace(errors, scale=1.0).drawn(7)["a"](weight)
    assert torch.allclose(whole - weight, 2.0 * (found - weight), atol=1e-6)


def test_times_are_spread_over_the_decades() -> None:
    assert spread_times((0.0,)) == (0.0,)
    times = spread_times((86400.0, 0.0, 60.0))
    assert (times[0], times[-1]) == (0.0, 86400.0)
    assert sum(t < 300.0 for t in times) == 5
    for wrong in ((), (-1.0,), (float("nan"),), (0.0, float("inf"))):
        with pytest.raises(InputError, match="times_s: at least one time"):
            spread_times(wrong)


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize("mode", ["off", "global", "per_column"])
def test_outputs_in_training_err_as_those_of_real_chips_after_a_month(readout: str, mode: str) -> None:
    chip = chip_of(PCM(), readout=readout, compensation=Compensation(mode=mode))  # type: ignore[arg-type]
    chip = replace(chip, ramp=RampColumn(device=PCM(), reorder=False) if mode != "off" else chip.ramp)
    module = torch.nn.Linear(100, 64, bias=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        module.weight.normal_(generator=generator).mul_(0.1)
    x = torch.randn(32, 100, generator=generator).clamp(-2, 2)
    net = convert(module, chip, example=x)
    errors = Disturbance.of(net.chips, (MONTH_S,), rng=Stream.root(0))
    with torch.no_grad():
        wanted, real = net(x), net.program(chips=4, seed=1).at(MONTH_S)(x)
        net.train()
        parts = []
        for step in range(4):
            (name,) = net.tiles
            net.tiles[name].disturb = errors.drawn(step)[name]
            parts.append(net(x))
    trained = torch.stack(parts)

    def gain_and_rest(y: torch.Tensor) -> tuple[float, float]:
        gain = (y * wanted).mean() / wanted.square().mean()
        return float(gain), float((y - gain * wanted).square().mean().sqrt() / wanted.square().mean().sqrt())

    (gain, rest), (real_gain, real_rest) = gain_and_rest(trained), gain_and_rest(real)
    assert gain == pytest.approx(real_gain, rel=0.03)
    assert rest == pytest.approx(real_rest, rel=0.15)


def test_groups_that_share_an_array_err_by_its_idle_cells_and_its_bias_in_training_as_on_chips() -> None:
    """Of 8 groups of 9 inputs on one diagonal, 7/8 of the cells hold no weight; the bias drives its line in full."""
    chip = chip_of(Gaussian(sigma_absolute=0.02)).idealised()
    chip = replace(chip, weights=replace(chip.weights, device=Gaussian(sigma_absolute=0.02)))
    module = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        module.weight.normal_(generator=generator)
        module.bias.normal_(generator=generator)
    x = torch.randn(16, 8, 6, 6, generator=generator).clamp(-2, 2)
    net = convert(module, chip, example=x)
    errors = Disturbance.of(net.chips, (0.0,), rng=Stream.root(0))
    (name,) = net.tiles
    with torch.no_grad():
        wanted, real = net(x), net.program(chips=16, seed=1).at(0.0)(x)
        net.train()
        parts = []
        for step in range(16):
            net.tiles[name].disturb = errors.drawn(step)[name]
            parts.append(net(x))
    trained = (torch.stack(parts) - wanted).square().mean()
    assert float(trained / (real - wanted).square().mean()) == pytest.approx(1.0, rel=0.1)


def test_a_ramp_of_the_same_cells_takes_most_of_the_drift_away() -> None:
    chip = replace(chip_of(PCM()), ramp=RampColumn(device=PCM()))
    weight = torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    alone, beside = (
        layer_of(replace(chip, readout=readout), MONTH_S).held(weight, 0, rng=Stream.root(1))
        for readout in ("conventional", "ramp")
    )
    assert float((alone * weight).sum() / weight.square().sum()) == pytest.approx(0.55, abs=0.03)
    assert float((beside * weight).sum() / weight.square().sum()) == pytest.approx(0.98, abs=0.03)
