"""What looks like a layer, a pair of layers or a sample of its own and is not one: computed right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from devices import InputError
from mappings.convert.equalise import homogeneous
from mho.network.convert import chip_named, convert
from mho.network.saved import load, save
from workloads.network.evaluate import evaluate


class OfTwo(nn.Module):
    """A product and what a function makes of it and the inputs."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
        super().__init__()
        self.a, self.function = nn.Linear(6, 4), function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self.a(x), x)


class Tied(nn.Module):
    """An embedding whose weights are those of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.a, self.out = nn.Embedding(10, 6), nn.Linear(6, 10), nn.Linear(10, 4)
        self.a.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> Any:
        return self.out(torch.relu(self.a(self.words(x))))


def tied_bias() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    net[2].bias = net[0].bias
    return net


def one_norm() -> nn.Module:
    norm = nn.BatchNorm1d(8)
    return nn.Sequential(nn.Linear(6, 8), norm, nn.ReLU(), nn.Linear(8, 8), norm, nn.ReLU(), nn.Linear(8, 3))


def capped(most: float) -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.Hardtanh(0.0, most), nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight.mul_(torch.linspace(1.0, 40.0 * most, 8)[:, None])
    return net


def attention() -> nn.Module:
    module = nn.MultiheadAttention(6, 2, batch_first=True)
    return OfTwo(lambda a, x: (a, module(x, x, x)[0]))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(6, 3)), nn.Parameter(torch.randn(3))

    def forward(self, x: torch.Tensor) -> Any:
        return torch.addmm(self.b, x, self.w, beta=2, alpha=3)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (tied_bias, (70, 6)),
        (one_norm, (70, 6)),
        (lambda: capped(30.0), (70, 6)),
        (lambda: capped(255.0), (70, 6)),
        (lambda: nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)), (70, 6, 5)),
        (lambda: nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(4)), (70, 4, 5)),
        (Scaled, (70, 6)),
        (lambda: OfTwo(lambda a, x: a.transpose(1, 2).flatten(1)), (70, 5, 6)),
    ],
)
def test_the_network_stays_what_it_is(module: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = module().double().eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    x = torch.randn(shape).double()
    same(net, x)


def test_weights_that_are_used_elsewhere_stay_what_they_are() -> None:
    torch.manual_seed(0)
    same(Tied().double().eval(), torch.randint(10, (70, 5)))


def test_attention_with_its_weights_is_that_of_torch() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(6, 2, batch_first=True)

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.m = module

        def forward(self, x: torch.Tensor) -> Any:
            return self.m(x, x, x)[0]

    same(Attending().double().eval(), torch.randn(5, 4, 6).double())


def same(net: nn.Module, x: torch.Tensor) -> None:
    converted, wanted = convert(net, "exact", example=x), net(x).detach()
    largest = float(wanted.abs().max())
    for found in (converted.software(x), converted.program(2, seed=0).at(0.0)(x)[1]):
        torch.testing.assert_close(found.double(), wanted, rtol=0.0, atol=1e-5 * largest)


@pytest.mark.parametrize(
    ("function", "scales"),
    [
        (torch.relu, True),
        (lambda z: F.leaky_relu(z, 0.1), True),
        (torch.abs, True),
        (lambda z: z.clamp(0.0, 22.0), False),
        (lambda z: z.clamp(-300.0, 25.0), False),
        (lambda z: F.hardshrink(z, 1e-3), False),
        (F.gelu, False),
        (torch.sigmoid, False),
    ],
)
def test_only_straight_pieces_that_meet_at_0_scale(
    function: Callable[[torch.Tensor], torch.Tensor], scales: bool
) -> None:
    tile: Any = type("Layer", (), {"function": staticmethod(function)})
    assert homogeneous(tile) is scales


@pytest.mark.parametrize(
    "function",
    [
        lambda a, x: a - a.mean(0),
        lambda a, x: a.softmax(0),
        lambda a, x: a.flip(0),
        lambda a, x: a * x.shape[0],
        lambda a, x: F.dropout(a, 0.5),
    ],
)
def test_what_mixes_samples_or_draws_is_refused(function: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
    with pytest.raises(InputError, match="must not depend on other samples of the batch, nor be drawn at random"):
        convert(OfTwo(function), "exact", example=torch.randn(7, 6))


def test_inputs_of_other_sizes_than_were_traced_are_refused() -> None:
    net = convert(OfTwo(lambda a, x: a[:, x.shape[1] - 1]), "exact", example=torch.randn(4, 5, 6))
    for use in (net, net.software, net.program(1).at(0.0)):
        with pytest.raises(
            InputError, match=r"input 0: must have the sizes of the example, \(batch, 5, 6\) \(got \(4,"
        ):
            use(torch.randn(4, 9, 6))
    assert net.of_any_sizes()(torch.randn(4, 9, 6)).shape == (4, 4)


def test_chips_stay_as_they_were_written() -> None:
    torch.manual_seed(0)
    x = torch.randn(70, 6)
    net = convert(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), "yang2025", example=x)
    chips = net.program(2)
    before = chips.at(0.0)(x)
    net.calibrate(100.0 * x)
    with torch.no_grad():
        for one in net.parameters():
            one.mul_(2.0)
    assert torch.equal(chips.at(0.0)(x), before)


def test_equal_samples_of_a_short_block_have_noise_of_their_own() -> None:
    torch.manual_seed(0)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 16, batch_first=True)

        def forward(self, x: torch.Tensor) -> Any:
            return self.lstm(x)[0][:, -1]

    x = torch.rand(1, 20, 8)
    net = convert(Last(), "yang2025", example=torch.rand(64, 20, 8))
    found = net.program(1).at(0.0)(x.expand(96, -1, -1))[0]
    assert len(found.unique(dim=0)) > 90, "a few of 5-bit states may meet by chance"


def test_affine_corrections_of_a_chip_do_not_depend_on_the_chips_beside() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    chip = chip_named("hermes_core")
    chip = replace(chip, compensation=replace(chip.compensation, mode="affine"))
    net = convert(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), chip, example=x)
    for seed in range(6):
        many, few = (net.program(chips, seed=seed).at(0.0)(x)[:2] for chips in (6, 2))
        assert torch.equal(many, few)


def test_evaluation_takes_what_belongs_together() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(10, 6), torch.randint(4, (10,))
    net = convert(OfTwo(lambda a, _: a), "exact", example=x)
    for batches, how, message in (
        ([(x, y[:9])], {}, r"batches\[0\]: a target for each of 10 samples"),
        ([(x, y[:, None])], {}, r"targets: must be whole numbers of shape \(10,\)"),
        ([(x, y + 1)], {}, "targets: must be classes from 0 to 3"),
        ([(x, y)], {"times_s": (3600.0, 0.0)}, "times_s: one or more times from 0 s on, rising"),
        ([(x, y)], {"times_s": ()}, "times_s: one or more times"),
        ([(x, y)], {"figures": {"chip": lambda a, b: 0.0}}, "figures: chip: is a column of the table"),
        (5, {}, r"batches: must be pairs of inputs and targets \(got int\)"),
        ((x, y), {}, r"batches\[0\]: must be a pair of inputs and targets \(got Tensor\)"),
        ([(x.numpy(), y)], {}, r"batches\[0\]: inputs: must be a tensor, or a tuple of tensors \(got ndarray\)"),
        ([(x, y.tolist())], {}, r"batches\[0\]: targets must be tensors or arrays \(got int\)"),
        ([(x, y.numpy())], {}, r"targets: must be a Tensor \(got ndarray\)"),
        ([(x.double(), y)], {}, r"input 0: must be torch.float32 as the example is \(got torch.float64\)"),
        ([(x, y)], {"figures": {"a": 5}}, r"figures: a: must be a function of outputs and targets \(got int\)"),
        ([(x, y)], {"figures": {"a": lambda a, b: a}}, r"figures: a: must give one number \(got Tensor\)"),
        ([(x, y)], {"figures": {}}, "figures: must be one or more functions by name"),
        ([(x, y)], {"times_s": 0.0}, r"times_s: must be a list of times \(got float\)"),
        ([(x, y)], {"times_s": ["a"]}, "times_s: one or more times"),
        ([(x, y)], {"seed": "a"}, r"seed: must be a whole number \(got 'a'\)"),
        ([(x, y)], {"reference": lambda x: x}, r"reference: must be a Module \(got function\)"),
        ([(x, y)], {"activity": 5}, r"activity: must be a dict \(got int\)"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(net, batches, chips=1, **how)  # type: ignore[arg-type]


class Gives(nn.Module):
    """A layer, and what a function makes of its outputs."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.a, self.function = nn.Linear(6, 4), function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self.a(x))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda y: None, "output 0: must be a tensor that the module computes (got None or a number)"),
        (lambda y: (y, None), "output 1: must be a tensor that the module computes (got None or a number)"),
        (lambda y: {"y": y, "n": 3}, "output 1: must be a tensor that the module computes (got None or a number)"),
        (lambda y: (), "outputs: must be a tensor that the module computes (got none)"),
    ],
)
def test_what_a_module_gives_beside_tensors_is_refused(function: Callable[[torch.Tensor], Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        convert(Gives(function), "exact", example=torch.randn(4, 6))
    assert list(raised.value.problems) == [said]


def test_arguments_of_another_type_are_one_message_each() -> None:
    torch.manual_seed(0)
    x, module = torch.randn(10, 6), nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    whole: dict[str, Any] = {"example": x}
    for changed, said in (
        ({"example": 5}, "example: must be a tensor, or a tuple of tensors (got int)"),
        ({"example": []}, "example: must be a tensor, or a tuple of tensors (got an empty one)"),
        ({"batch_dim": "a"}, "batch_dim: a whole number of at least 0 (got 'a')"),
        ({"batch_dim": -1}, "batch_dim: a whole number of at least 0 (got -1)"),
        ({"batch_dim": True}, "batch_dim: a whole number of at least 0 (got True)"),
        ({"replicas": 1.5}, "replicas: a whole number, or numbers by pattern, as in {'conv1': 4} (got 1.5)"),
        ({"replicas": "2"}, "replicas: a whole number, or numbers by pattern, as in {'conv1': 4} (got '2')"),
        ({"replicas": {0: 2}}, "replicas: a whole number, or numbers by pattern, as in {'conv1': 4} (got {0: 2})"),
        ({"shared_tiles": "0"}, "shared_tiles: must be a list of patterns, as in ('conv1', 'encoder.*') (got '0')"),
        ({"digital": "2"}, "digital: must be a list of patterns, as in ('conv1', 'encoder.*') (got '2')"),
    ):
        with pytest.raises(InputError) as raised:
            convert(module, "exact", **{**whole, **changed})
        assert list(raised.value.problems) == [said]
    with pytest.raises(InputError, match=r"module: must be a torch module \(got int\)"):
        convert(5, "exact", example=x)  # type: ignore[arg-type]
    net = convert(module, "exact", example=x)
    for batches, percentile, said in (
        (5, 100.0, "batches: must be inputs as the network takes them, or several such batches (got int)"),
        ("ab", 100.0, "batches: must be inputs as the network takes them, or several such batches (got str)"),
        ([x, 2], 100.0, "batches[1]: must be a tensor, or a tuple of tensors (got int)"),
        ([x.numpy()], 100.0, "batches[0]: must be a tensor, or a tuple of tensors (got ndarray)"),
        (x.long(), 100.0, "input 0: must be torch.float32 as the example is (got torch.int64)"),
        (x, "a", "percentile: must be from 50 to 100 (got 'a')"),
        (x, True, "percentile: must be from 50 to 100 (got True)"),
    ):
        with pytest.raises(InputError) as raised:
            net.calibrate(batches, percentile=percentile)  # type: ignore[arg-type]
        assert list(raised.value.problems) == [said]
    for how, said in (({"seed": "a"}, "seed: must be a whole number"), ({"device": "gpu"}, "device: must be a device")):
        with pytest.raises(InputError, match=said):
            net.program(1, **how)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"t_s: must be a number of seconds \(got 'a'\)"):
        net.program(1).at("a")  # type: ignore[arg-type]
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"device: this machine has no CUDA device"):
            net.program(1, device="cuda")


def test_a_saved_network_takes_no_other_tensors(tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    x = torch.randn(10, 6)
    for name, hidden in (("one", 8), ("other", 7)):
        save(
            convert(nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 3)), "exact", example=x),
            tmp_path / name,
        )
    file = tmp_path / "one" / "network.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith(".weight"))
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, file)
    with pytest.raises(InputError, match=r"weight: values must be finite"):
        load(tmp_path / "one")
    file.write_bytes((tmp_path / "other" / "network.safetensors").read_bytes())
    with pytest.raises(InputError, match="damaged or do not belong together"):
        load(tmp_path / "one")


def test_a_projection_has_a_row_and_its_tiles_are_counted() -> None:
    net = convert(nn.LSTM(40, 64, proj_size=32, batch_first=True), "yang2025", example=torch.rand(4, 3, 40))
    rows = net.layers.set_index("path")
    assert list(rows.index[:2]) == ["l0", "l0 projection"]
    assert (rows["rows"]["l0 projection"], rows["columns"]["l0 projection"]) == (64, 32)
    layer = next(one for one in net.cost(torch.rand(1, 3, 40)).parts if one.name == "l0")
    assert layer.tiles == rows["tiles"]["l0"] + rows["tiles"]["l0 projection"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda net, x: convert(net, "hermes_core", example=x * float("nan")), "example: values must be finite"),
        (lambda net, x: convert(net, "hermes_core", example=x, equalised="no"), "equalised: must be a bool"),
        (lambda net, x: convert(net, "hermes_core", example=x).calibrate(x[:0]), "batches: at least one sample each"),
        (
            lambda net, x: convert(net, "hermes_core", example=x).program(0),
            "chips: must be a whole number of at least 1",
        ),
    ],
)
def test_what_holds_no_values_or_no_choice_is_refused(made: Callable[[Any, torch.Tensor], Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(8, 6))


def test_numbers_of_numpy_are_numbers_and_chips_are_shown_in_a_line() -> None:
    net, x = nn.Sequential(nn.Linear(6, 4)), torch.randn(8, 6)
    converted = convert(net, "hermes_core", example=x)
    chips = converted.program(np.int64(2), seed=np.int64(3))
    assert torch.equal(chips.at(np.float32(0.0))(x), converted.program(2, seed=3).at(0.0)(x))
    assert repr(chips) == "<ProgrammedNetwork: 2 chips of 1 layers, on cpu>"
    assert all(len(repr(one)) < 100 for one in (chips.mapped, chips.at(0.0)))
