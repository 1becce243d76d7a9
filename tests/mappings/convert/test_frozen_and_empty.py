"""Odd inputs and modules: parameters that are not trained, empty batches, layers that give zeros, short floats, and
functions that turn beyond the range of their calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from devices import InputError
from mappings.chip import Chip
from mho import HardwareTraining, convert, evaluate, from_onnx, read_config, train_for_hardware


def mlp() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(20, 9), torch.nn.ReLU(), torch.nn.Linear(9, 4))


def samples(count: int = 30) -> torch.Tensor:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(1))


def shipped(name: str, bits: int) -> Chip:
    chip = read_config(name, Chip, folder="chips").value
    return replace(chip, bits=bits, adc=replace(chip.adc, bits=None))


def test_what_the_module_does_not_train_stays_untrained() -> None:
    x = samples()
    net = torch.nn.Sequential(torch.nn.Linear(20, 9), torch.nn.ReLU(), torch.nn.LSTM(9, 5, batch_first=True))
    net[0].weight.requires_grad_(False)
    net[2].weight_ih_l0.requires_grad_(False)
    steps = x[:, None].expand(-1, 3, -1)
    converted = convert(net, "yang2025", example=steps)
    before = {name: one.detach().clone() for name, one in converted.named_parameters()}
    how = HardwareTraining(steps=2, learning_rate=1e-2, outputs="values")
    train_for_hardware(converted, [(steps, torch.zeros(30, 3, 5))], lambda y, goal: (y[0] - goal).square().mean(), how)
    same = {name.split("tiles_")[1] for name, one in converted.named_parameters() if torch.equal(one, before[name])}
    assert same == {"0.weight", "2_l0.weight_ih"}


def test_training_asks_for_something_to_train() -> None:
    x = samples()
    converted = convert(mlp().requires_grad_(False), "yang2025", example=x)
    with pytest.raises(InputError, match="at least one parameter must be trained"):
        train_for_hardware(
            converted, [(x, torch.zeros(30, 4))], torch.nn.functional.mse_loss, HardwareTraining(steps=1)
        )


class Tied(torch.nn.Module):
    """A weight of two layers, a layer that is called twice before different functions, and an embedding that is the
    output layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 6)
        self.first, self.second, self.twice = (torch.nn.Linear(6, 6) for _ in range(3))
        self.second.weight = self.first.weight
        self.last = torch.nn.Linear(6, 11, bias=False)
        self.last.weight = self.embedding.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.second(torch.relu(self.first(self.embedding(words))))
        return self.last(torch.tanh(self.twice(torch.relu(self.twice(x)))))


def test_shared_weights_are_trained_as_torch_trains_them() -> None:
    """One step of AdamW for each parameter, on the sum of its gradients."""
    torch.manual_seed(0)
    net, words = Tied(), torch.arange(33).reshape(11, 3) % 11
    goal = torch.randn(11, 3, 11)
    converted = convert(net, "exact", example=words)
    how = HardwareTraining(steps=3, learning_rate=1e-2, gradient_limit=None, clip_sd=None, noise=0.0)
    loss = torch.nn.functional.mse_loss
    train_for_hardware(converted, lambda step: (words, goal), loss, how)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.0)
    for step in range(3):
        optimiser.param_groups[0]["lr"] = how.learning_rate_at(step / 3)
        optimiser.zero_grad()
        loss(net(words), goal).backward()
        optimiser.step()
    assert len(list(converted.parameters())) == len(list(net.parameters()))
    assert torch.allclose(converted.software(words), net(words), atol=1e-5)


def test_a_checkpoint_says_what_was_not_trained(tmp_path: Path) -> None:
    x, net = samples(), mlp()

    def train() -> None:
        how = HardwareTraining(steps=1)
        data = [(x, torch.zeros(30, 4))]
        train_for_hardware(
            convert(net, "yang2025", example=x), data, torch.nn.functional.mse_loss, how, checkpoint=tmp_path
        )

    net[0].weight.requires_grad_(False)
    train()
    net[0].weight.requires_grad_(True)
    with pytest.raises(InputError, match=r"holds another training \(untrained "):
        train()


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_values_that_single_precision_does_not_hold_are_refused(scale: float) -> None:
    net = torch.nn.Linear(20, 4, bias=False).double()
    with pytest.raises(InputError, match=r"network: inputs must be of sizes from 1e-15 to 1e\+15"):
        convert(net, "yang2025", example=samples().double() * scale)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("weights.device.read_voltage_max_V=-1", "read_voltage_max_V: must be a number above 0"),
        ("front_end.bias_A=1e6", "front_end.bias_A: must be a number above 0 and of at most 1"),
        ("ramp_front_end.virtual_ground_V=2", "driver.v_read_V: at most 0 V above a virtual ground at 2 V"),
    ],
)
def test_settings_that_no_circuit_has_are_named(setting: str, named: str) -> None:
    """A ramp's front end says what is wrong with it, and makes up no name for the driver of the whole chip."""

    def write() -> None:
        chip = read_config("yang2025", Chip, folder="chips", sets=[setting]).value
        convert(mlp(), chip, example=samples()).program(1)

    with pytest.raises(InputError) as refused:
        write()
    assert named in str(refused.value)
    assert "ramp_driver" not in str(refused.value)


def test_no_samples_are_refused_by_chips_and_costs() -> None:
    x = samples()
    converted = convert(mlp(), "yang2025", example=x)
    assert converted(x[:0]).shape == (0, 4)
    for call in (
        lambda: converted.program(1).at(0.0)(x[:0]),
        lambda: converted.cost(x[:0]),
        lambda: evaluate(converted, [(x[:0], torch.zeros(0, dtype=torch.long))], chips=1),
    ):
        with pytest.raises(InputError, match=r"input 0: must have at least 1 sample \(got \(0, 20\)\)"):
            call()


def test_a_reference_of_other_classes_or_inputs_is_refused() -> None:
    x = samples()
    converted, data = convert(mlp(), "yang2025", example=x), [(x, torch.zeros(30, dtype=torch.long))]
    with pytest.raises(InputError, match=r"reference: must give outputs .*\(30, 4\) \(got \(30, 6\)\)"):
        evaluate(converted, data, chips=1, reference=torch.nn.Linear(20, 6))
    other = torch.nn.Linear(21, 4)
    with pytest.raises(InputError, match="reference: must take the inputs of the network"):
        evaluate(converted, data, chips=1, reference=other)
    assert other.training
    with pytest.raises(InputError, match=r"batches\[0\]: inputs must be finite"):
        evaluate(converted, [(x * float("nan"), data[0][1])], chips=1)


@pytest.mark.parametrize("chip", ["yang2025", "hermes_core"])
def test_a_layer_that_gives_zeros_alone_fits_a_chip(chip: str) -> None:
    net, x = mlp(), samples()
    with torch.no_grad():
        net[0].bias -= 100.0
    converted = convert(net, chip, example=x)
    assert bool(converted.program(1, seed=0).at(0.0)(x).isfinite().all())
    y = convert(net, shipped(chip, 6).idealised(), example=x).program(1).at(0.0)(x)[0]
    step = 2.0 * float(net[2].bias.detach().abs().max()) / 2**8
    assert float((y - net[2].bias.detach()).abs().max()) <= 1.01 * step  # the end of the range is a step short


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_networks_of_short_floats_are_equalised(kind: torch.dtype) -> None:
    converted = convert(mlp().to(kind), "exact", example=samples().to(kind))
    y = converted.program(1).at(0.0)(samples().to(kind))
    exact = mlp()(samples()).detach()
    assert y.dtype == kind
    assert float((y.float() - exact).abs().max()) < 0.03 * float(exact.abs().max())


class Square(torch.nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.square(z)


@pytest.mark.parametrize("chip", ["yang2025", "hermes_core"])
@pytest.mark.parametrize("function", [torch.nn.GELU(), torch.nn.SiLU(), Square()], ids=["gelu", "silu", "own"])
def test_formats_and_chips_agree_beyond_the_calibrated_range(chip: str, function: torch.nn.Module) -> None:
    """Of a function that turns, which is not what it would be beyond that range."""
    torch.manual_seed(2)
    net = torch.nn.Sequential(torch.nn.Linear(20, 9), function)
    x = samples(200)
    ideal = shipped(chip, 6).idealised()
    converted = convert(net, ideal, example=0.5 * x)
    formats, chips = converted(3.0 * x).detach().numpy(), converted.program(1).at(0.0)(3.0 * x)[0].numpy()
    step = (formats.max() - formats.min()) / 2**6
    assert np.mean(np.abs(formats - chips) > 0.5 * step) < 2e-3  # of ties in single precision


def test_an_empty_pattern_and_a_number_for_a_file_are_refused() -> None:
    with pytest.raises(InputError, match="digital: must be a list of patterns"):
        convert(torch.nn.Linear(4, 2), "yang2025", example=torch.rand(3, 4), digital=[""])
    with pytest.raises(InputError, match=r"path: must be the path of an ONNX file \(got 3\)"):
        from_onnx(3)  # type: ignore[arg-type]
