"""Functions behind a product: the library's closed form is found in whatever calls a module writes it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from mappings.chip import Chip
from mappings.convert.functions import fitted_function, known_function
from mho.config.read import read
from mho.network.convert import convert
from periphery.functions.function import output_levels, thresholds

EXACT = read("exact", Chip, folder="chips").value
LOW, HIGH = -3.0, 5.0


class Behind(nn.Module):
    """A function behind a linear layer."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(6, 5), function

    def forward(self, x):
        return self.function(self.linear(x))


# fmt: off
FORMS = [
    (nn.GELU(approximate="tanh"), "gelu_tanh", {}),
    (nn.Mish(), "mish", {}),
    (lambda z: z * torch.tanh(functional.softplus(z)), "mish", {}),
    (nn.Hardswish(), "hard_swish", {}),
    (lambda z: z * functional.relu6(z + 3) / 6, "hard_swish", {}),
    (nn.Hardtanh(), "hard_tanh", {}),
    (lambda z: z.clamp(-1.0, 1.0), "hard_tanh", {}),
    (nn.Hardtanh(-0.5, 2.0), "hard_tanh", {"least": -0.5, "most": 2.0}),
    (nn.ReLU6(), "relu6", {}),
    (lambda z: z.clamp(0, 6), "relu6", {}),
    (lambda z: functional.relu(z), "relu", {}),
    (nn.LeakyReLU(), "leaky_relu", {}),
    (nn.LeakyReLU(0.2), "leaky_relu", {"slope": 0.2}),
    (lambda z: torch.maximum(z, 0.3 * z), "leaky_relu", {"slope": 0.3}),
    (nn.LogSigmoid(), "log_sigmoid", {}),
    (lambda z: -functional.softplus(-z), "log_sigmoid", {}),
    (nn.ELU(), "elu", {}),
    (nn.ELU(0.5), "elu", {"alpha": 0.5}),
    (nn.Softplus(), "softplus", {}),
    (nn.Softplus(3.0), "softplus", {"beta": 3.0}),
    (nn.Softsign(), "softsign", {}),
    (lambda z: z * torch.sigmoid(z), "silu", {}),
]
# fmt: on


@pytest.mark.parametrize(("form", "name", "numbers"), FORMS)
def test_modules_and_functional_forms_are_the_closed_function(form, name, numbers):
    torch.manual_seed(0)
    module, x = Behind(form).double().eval(), 3.0 * torch.randn(40, 6, dtype=torch.float64)
    net = convert(module, EXACT, example=x)
    (tile,) = net.tiles.values()
    found, own = known_function(tile.function, LOW, HIGH)
    assert (found, own) == (name, {key: pytest.approx(value, rel=1e-6) for key, value in numbers.items()})
    assert len(net.layers) == 1
    with torch.no_grad():
        torch.testing.assert_close(net(x), module(x), rtol=1e-5, atol=1e-5)
    function = fitted_function(tile.function_name, tile.function, LOW, HIGH)
    assert function.name == name
    theta = thresholds(function, 5)
    assert bool((theta.diff() >= 0).all())
    assert LOW <= float(theta[0]) < float(theta[-1]) <= HIGH or name in ("sigmoid", "tanh")
    torch.testing.assert_close(tile.function(theta), function.f(theta), rtol=1e-5, atol=1e-6)


def test_several_calls_that_make_a_known_function_have_its_name_in_tables():
    for form, name in ((lambda z: z * torch.sigmoid(z), "silu"), (lambda z: torch.sin(z) + z, "sin+add")):
        net = convert(Behind(form), EXACT, example=torch.randn(4, 6))
        assert net.layers["kind"].tolist() == [f"linear + {name}"]


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (lambda z: torch.celu(z, 0.7), "bends elsewhere"),
        (lambda z: 1.1 * torch.tanh(z), "is scaled"),
        (lambda z: z.clamp(-1.0, 1.0) * (1 + 1e-3 * z), "ends rise"),
        (lambda z: torch.where(z > 0, z, -0.1 * z), "turns"),
        (lambda z: torch.clamp(z, min=-1.0), "has one end"),
    ],
)
def test_what_only_resembles_a_known_function_is_computed_as_it_is(f, why):
    assert known_function(f, LOW, HIGH) is None, why
    function = fitted_function("own", f, LOW, HIGH)
    z = torch.linspace(LOW, HIGH, 101, dtype=torch.float64)
    torch.testing.assert_close(function.f(z), f(z))


def test_a_short_range_does_not_take_one_function_for_another():
    """From 0.1 to 0.5 relu, relu6 and leaky_relu are one; what the inputs of other data meet is not."""
    for module, name in ((nn.ReLU6(), "relu6"), (nn.LeakyReLU(0.2), "leaky_relu"), (nn.ReLU(), "relu")):
        assert fitted_function("own", module, 0.1, 0.5).name == name


def test_a_function_that_is_no_number_outside_its_domain_is_fitted_on_the_range():
    root = fitted_function("sqrt", torch.sqrt, 0.5, 4.0)
    assert root.low == pytest.approx(math.sqrt(0.5))
    clipped = fitted_function("relu+sqrt", lambda z: z.clamp(min=0.0).sqrt(), -1.0, 4.0)
    assert float(output_levels(clipped, 4)[0]) == 0.0
