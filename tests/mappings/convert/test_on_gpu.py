"""A converted network whose chips compute on a GPU beside the CPU: the same chips, the same codes, other draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import nn

from devices import PCM, InputError, Stream
from mappings.activity import Activity
from mappings.chip import Chip, Weights
from mappings.chip_wires import OhmWires
from mappings.convert.converted import convert
from mappings.convert.disturbance import Disturbance
from mappings.network.aware import AwareCell
from periphery import RampColumn
from tests.mappings.network.test_recurrent_fused import WRITTEN

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

PCM_NOISY = PCM(read_noise_S=0.2e-6)
NOISY = Chip(weights=Weights(device=PCM_NOISY), ramp=RampColumn(device=PCM_NOISY))
CHIPS = {"quiet": WRITTEN, "noisy": NOISY, "conventional": replace(NOISY, readout="conventional")}


class Recurrent(nn.Module):
    """Layers of every kind that has a loop of its own, a normalisation between them."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.norm = nn.LSTM(6, 16, num_layers=2, batch_first=True), nn.LayerNorm(16)
        self.gru, self.out = nn.GRU(16, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.norm(self.lstm(x)[0]))[0][:, -1])  # type: ignore[no-any-return]


MODULES = {
    "convolution": (
        nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 5)
        ).eval(),
        (40, 1, 8, 8),
    ),
    "recurrent": (Recurrent(), (40, 5, 6)),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", CHIPS)
def test_chips_on_a_gpu_are_those_of_the_cpu(name: str, kind: str) -> None:
    torch.manual_seed(0)
    (module, shape), chip = MODULES[name], CHIPS[kind]
    x = torch.randn(shape).clamp(-1.0, 1.0)
    net = convert(module, chip, example=x)
    done, expected_done = dict[str, Activity](), dict[str, Activity]()
    programmed = net.program(16, device="cuda")
    expected, found = net.program(16).at(86400.0)(x, activity=expected_done), programmed.at(86400.0)(x, activity=done)
    assert found.device == x.device
    assert torch.equal(programmed.at(86400.0)(x), found)
    programmed.observed(done)
    if kind == "quiet":
        assert float((found - expected).abs().mean()) < 1e-3 * float(expected.std())
    else:
        apart = (found - expected).mean((0, 1)) / ((found - expected).var((0, 1)) / len(x)).sqrt()
        assert float(apart.abs().max()) < 5.0
    for layer, activity in expected_done.items():
        for what, value in activity.sums.items():
            assert done[layer].sums[what] == pytest.approx(value, rel=0.02), (layer, what)


class Layers(nn.Module):
    """LSTMs that a GPU takes whole."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(6, 16, num_layers=2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0])  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["convolution", "lstm", "gru"])
@pytest.mark.parametrize("kind", CHIPS)
def test_blocks_by_a_graph_are_those_computed_one_by_one(name: str, kind: str) -> None:
    torch.manual_seed(0)
    kinds = {"convolution": MODULES["convolution"], "lstm": (Layers(), (40, 5, 6)), "gru": MODULES["recurrent"]}
    (module, shape), chip = kinds[name], CHIPS[kind]
    x = torch.randn(shape).clamp(-1.0, 1.0).cuda()
    programmed = convert(module, chip, example=x.cpu()).program(3, device="cuda")
    expected = {block: programmed.at(86400.0)(x, first=block) for block in (3, 7)}
    read = programmed.at(86400.0)
    read(x)
    for block in (3, 7, 3):
        assert torch.equal(read(x, first=block), expected[block])
    kept = [graph is not None for graph in read._graphs.values()]
    assert kept == ([True] if name != "gru" and kind != "conventional" else [])
    x.view(-1)[0] = float("nan")
    with pytest.raises(InputError, match="inputs: must be from"):
        read(x)


def test_wires_folded_on_a_gpu_are_those_folded_on_the_cpu() -> None:
    torch.manual_seed(0)
    x, wires = torch.randn((8, 5, 20)).clamp(-1.0, 1.0), OhmWires(r_word_ohm=1.0, r_bit_ohm=1.0)
    net = convert(nn.LSTM(20, 24, proj_size=8, batch_first=True), replace(NOISY, rows=16, wires=wires), example=x)
    for name, here in net.program(3).layers.items():
        there = net.program(3, device="cuda").layers[name]
        for mine, theirs in zip(here.matrix.array_at(3600.0), there.matrix.array_at(3600.0), strict=True):
            assert theirs.difference_S.device.type == "cpu"
            torch.testing.assert_close(theirs.difference_S, mine.difference_S, rtol=1e-5, atol=1e-12)
            torch.testing.assert_close(theirs.variance_S2, mine.variance_S2, rtol=1e-4, atol=1e-20)


class Continued(nn.Module):
    """A layer that takes its first states."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 16, batch_first=True)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.lstm(x, (h.unsqueeze(0), c.unsqueeze(0)))[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_values_that_are_not_finite_are_refused_at_the_end_of_a_call(which: int) -> None:
    given = [torch.rand(40, 5, 6), torch.zeros(40, 16), torch.zeros(40, 16)]
    read = convert(Continued(), NOISY, example=tuple(given)).program(2, device="cuda").at(0.0)
    given[which].view(-1)[3] = float("nan")
    with pytest.raises(InputError, match=("inputs: must be from", "h0: values must be finite", "c0: values")[which]):
        read(*(one.cuda() for one in given))


@pytest.mark.parametrize("bits", [None, 5])
def test_gradients_of_an_lstm_are_those_of_the_cpu(bits: int | None) -> None:
    torch.manual_seed(0)
    cell, x = AwareCell(cell="lstm", bits=bits), torch.rand(7, 9, 5) * 2.0 - 1.0
    sizes = {"weight_ih": (48, 5), "weight_hh": (48, 12), "bias_ih": (48,)}
    weights = {name: torch.randn(size) * 0.4 for name, size in sizes.items()}
    start = (torch.rand(7, 12) - 0.5, torch.rand(7, 12) - 0.5)

    def found(device: str) -> list[torch.Tensor]:
        here = {name: one.to(device).requires_grad_() for name, one in weights.items()}
        begin = [one.to(device).requires_grad_() for one in start]
        states, _, c = cell.sequence(x.to(device), here, begin)
        (states.sin().sum() + c.square().sum()).backward()
        return [one.cpu() for one in (states, c, *(one.grad for one in (*here.values(), *begin)))]  # type: ignore[union-attr]

    for mine, theirs in zip(found("cuda"), found("cpu"), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["off", "global"])
def test_a_graph_draws_the_errors_that_are_drawn_without_one(mode: Literal["off", "global"]) -> None:
    chip = replace(NOISY, compensation=replace(NOISY.compensation, mode=mode))
    errors = Disturbance.of({"one": chip}, (0.0, 86400.0), rng=Stream.root(0), device="cuda")
    cells, weight = errors.layers["one"], torch.randn(24, 10, device="cuda")
    for time, step in ((0, 0), (1, 1), (8, 2), (1, 1)):
        rng = Stream.root(1).child(step)
        (found,) = cells._held(
            weight.T, torch.full((1,), time, dtype=torch.int32, device="cuda"), generator=rng.torch("cuda")
        )
        torch.testing.assert_close(cells.held(weight, time, rng=rng), found.T)
    assert len(cells.graphs.kept) == 1


def test_errors_of_training_lie_where_the_network_does() -> None:
    net = convert(nn.Linear(20, 8), NOISY, example=torch.rand(4, 20)).cuda()
    cells = next(
        iter(Disturbance.of(net.chips, (0.0,), rng=net.program().rng.streams[0], device="cuda").layers.values())
    )
    held = cells.held(torch.randn(8, 20, device="cuda"), 0, rng=net.program().rng.streams[0])
    assert held.is_cuda
    assert bool(held.isfinite().all())
