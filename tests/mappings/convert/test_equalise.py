"""Channels of equal size: the network stays what it is, and errors of cells take less of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

import mho
from devices.gaussian import Gaussian
from mappings.chip import Chip
from mappings.convert.equalise import pairs_of
from mho.network.convert import chip_named


def separable(slope: float = 0.0) -> nn.Sequential:
    """Convolutions of groups and of points, a pool and two linear layers, channels of very different sizes."""
    torch.manual_seed(1)
    act = nn.LeakyReLU(slope) if slope else nn.ReLU()
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        act,
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.BatchNorm2d(6),
        act,
        nn.Conv2d(6, 8, 1, groups=2),
        act,
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 16),
        act,
        nn.Linear(16, 4),
    )
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_var.copy_(10.0 ** torch.empty(layer.num_features).uniform_(-2.0, 2.0))
                layer.running_mean.normal_()
                layer.bias.normal_()
    return net.eval()


def spread(weight: torch.Tensor) -> float:
    """The largest over the smallest of the largest weights of all channels."""
    sizes = weight.detach().flatten(1).abs().amax(1)
    return float(sizes.max() / sizes.min())


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_an_equalised_network_is_what_it_was_in_software_and_on_the_exact_chip(slope: float) -> None:
    net = separable(slope).double().requires_grad_(False)
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    converted = mho.convert(net, "exact", example=x)
    wanted = net(x).detach()
    before = mho.convert(net, "exact", example=x, equalised=False)
    assert spread(converted.tiles["0"].folded[0]) < 0.15 * spread(before.tiles["0"].folded[0])
    torch.testing.assert_close(converted.software(x), wanted, rtol=0.0, atol=1e-9 * float(wanted.abs().max()))
    (chip,) = converted.program(1).at(0.0)(x)
    assert float((chip - wanted).abs().max()) < 1e-5 * float(wanted.abs().max())


def test_both_sides_of_a_channel_have_the_same_largest_weight() -> None:
    converted = mho.convert(separable(), "yang2025", example=torch.randn(4, 2, 4, 4))
    pairs = pairs_of(converted.graph)
    assert [(one.first.name, one.second.name, one.repeats) for one in pairs] == [
        ("0", "3", 1),
        ("3", "6", 1),
        ("6", "10", 4),
        ("10", "12", 1),
    ]
    for pair in pairs:
        scales = pair.scales()
        assert float(scales.max() / scales.min()) < 1.02
    assert all(one.second is two.first for one, two in pairwise(pairs))


class Branches(nn.Module):
    """A product whose output is used twice, one behind a function that is not homogeneous, one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.twice, self.last = (nn.Linear(5, 5) for _ in range(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every reason for which channels cannot be scaled."""
        y = torch.relu(self.first(x))
        z = torch.tanh(self.second(y)) + y
        z = torch.relu(self.twice(torch.relu(self.third(z))))
        return self.last(torch.relu(self.twice(z)) + 1.0)


def test_channels_stay_where_scaling_them_would_change_the_network() -> None:
    net, x = Branches().double(), torch.randn(7, 5, dtype=torch.float64)
    converted = mho.convert(net, "exact", example=x)
    assert pairs_of(converted.graph) == []
    torch.testing.assert_close(converted.software(x), net(x))


def noisy(chip: str, sigma: float) -> Chip:
    """A chip whose cells alone err."""
    ideal = chip_named(chip).idealised()
    cells = Gaussian(g_max_S=100e-6, sigma_absolute=sigma)
    return replace(ideal, bits=8, weights=replace(ideal.weights, device=cells))


def test_small_channels_do_not_drown_in_the_errors_of_cells() -> None:
    net, x = separable(), torch.randn(64, 2, 4, 4)
    wanted = net(x).detach()
    errors = []
    for equalised in (False, True):
        found = mho.convert(net, noisy("yang2025", 0.02), example=x, equalised=equalised).program(8, seed=3).at(0.0)(x)
        errors.append(float((found - wanted).square().mean() / wanted.square().mean()))
    assert errors[1] < 0.75 * errors[0]
