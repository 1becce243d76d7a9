"""Functions of the ramp: codes, thresholds and inverses; functions that a user brings, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from devices import InputError
from periphery import (
    FUNCTIONS,
    SIGMOID,
    TANH,
    Function,
    from_callable,
    from_csv,
    identity,
    named_function,
    output_levels,
    quantised,
    thresholds,
)
from periphery.functions.function import steps, threshold_levels
from periphery.functions.library import SHAPES

ALL = [*FUNCTIONS.values(), identity(1.5)]
RISING = [function for function in ALL if not function.branches]
FOLDED = [function for function in ALL if function.branches]
BITS = range(1, 13)
DOUBLE = torch.float64


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.name)
@pytest.mark.parametrize("bits", BITS)
def test_codes_lie_one_lsb_apart_inside_the_range(function: Function, bits: int) -> None:
    levels = output_levels(function, bits)
    lsb = (function.high - function.low) / 2**bits
    assert len(levels) == 2**bits
    torch.testing.assert_close(torch.diff(levels), torch.full((2**bits - 1,), lsb, dtype=DOUBLE))
    assert float(levels[0]) == pytest.approx(function.low + (0.0 if function.midtread else lsb / 2))
    assert float(levels[-1]) < function.high


@pytest.mark.parametrize("function", RISING, ids=lambda f: f.name)
@pytest.mark.parametrize("bits", BITS)
def test_thresholds_are_the_inverse_half_way_between_codes(function: Function, bits: int) -> None:
    theta = thresholds(function, bits)
    assert len(theta) == 2**bits - 1
    assert torch.isfinite(theta).all()
    assert (torch.diff(theta) > 0).all()
    torch.testing.assert_close(function.f(theta), threshold_levels(function, bits), rtol=0.0, atol=1e-12)
    levels = output_levels(function, bits)
    torch.testing.assert_close(function.f(theta), (levels[1:] + levels[:-1]) / 2, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("function", FOLDED, ids=lambda f: f.name)
@pytest.mark.parametrize("bits", BITS)
def test_a_folded_function_counts_down_to_its_minimum_and_up_again(function: Function, bits: int) -> None:
    ramp = steps(function, output_levels(function, bits))
    assert (torch.diff(ramp.theta) > 0).all()
    torch.testing.assert_close(function.f(ramp.theta), ramp.decisions, rtol=0.0, atol=1e-12)
    change = torch.diff(ramp.words)
    falls = int((change == -1).sum())
    assert change.tolist() == [-1] * falls + [1] * (2**bits - 1)
    assert ramp.words.min() == 0
    assert int(ramp.words[0]) == falls == int(quantised(function, bits, torch.tensor(-4.0)))
    assert len(ramp.theta) == 2**bits - 1 + falls
    assert torch.equal(ramp.outputs, output_levels(function, bits)[ramp.words])


@given(
    name=st.sampled_from(sorted(SHAPES)),
    bits=st.integers(1, 12),
    z=st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=30),
    ends=st.one_of(st.none(), st.tuples(st.floats(-6.0, 0.0), st.floats(0.5, 6.0))),
)
def test_counting_thresholds_gives_the_nearest_output(
    name: str, bits: int, z: list[float], ends: tuple[float, float] | None
) -> None:
    """The steps passed by an input, turned into a word, are the output level nearest to f(z) on the range."""
    low, high = ends or (None, None)
    function = named_function(name, 0.0 if low is not None and name in ("sqrt", "relu") else low, high)
    ramp = steps(function, output_levels(function, bits))
    inputs = torch.tensor(z, dtype=DOUBLE)
    inside = inputs.clamp(low if ends else SHAPES[name].low, high if ends else SHAPES[name].high)
    near = (inside[:, None] - ramp.theta).abs().amin(1) < 1e-9
    words = ramp.words[(ramp.theta <= inputs[:, None]).sum(1)]
    wanted = (output_levels(function, bits) - function.f(inside)[:, None]).abs().argmin(1)
    assert words[~near].tolist() == wanted[~near].tolist()
    assert words[~near].tolist() == quantised(function, bits, inside)[~near].tolist()


REFERENCES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": lambda z: z,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "elu": F.elu,
    "selu": F.selu,
    "relu": F.relu,
    "hard_sigmoid": F.hardsigmoid,
    "exp": torch.exp,
    "sqrt": lambda z: torch.relu(z).sqrt(),
    "gelu": F.gelu,
    "silu": F.silu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "mish": F.mish,
    "hard_swish": F.hardswish,
    "hard_tanh": F.hardtanh,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "log_sigmoid": F.logsigmoid,
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_functions_are_those_that_networks_are_trained_with(name: str) -> None:
    z = torch.linspace(-10.0, 10.0, 2001, dtype=DOUBLE)
    torch.testing.assert_close(FUNCTIONS[name].f(z), REFERENCES[name](z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "numbers", "wanted"),
    [
        ("leaky_relu", {"slope": 0.2}, lambda z: F.leaky_relu(z, 0.2)),
        ("elu", {"alpha": 0.5}, lambda z: F.elu(z, 0.5)),
        ("softplus", {"beta": 3.0}, lambda z: F.softplus(z, 3.0)),
        ("hard_tanh", {"least": -0.5, "most": 2.0}, lambda z: F.hardtanh(z, -0.5, 2.0)),
    ],
)
def test_families_have_the_numbers_of_torch(
    name: str, numbers: dict[str, float], wanted: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    function = named_function(name, **numbers)
    z = torch.linspace(-4.0, 4.0, 801, dtype=DOUBLE)
    torch.testing.assert_close(function.f(z), wanted(z), rtol=1e-8, atol=1e-8)
    theta = thresholds(function, 8)
    torch.testing.assert_close(function.f(theta), threshold_levels(function, 8), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["gelu", "silu", "gelu_tanh", "mish", "hard_swish"])
def test_the_turning_point_is_where_the_slope_is_zero(name: str) -> None:
    (turn,) = SHAPES[name].turns
    z = torch.tensor(turn, dtype=DOUBLE, requires_grad=True)
    REFERENCES[name](z).backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert abs(float(z.grad)) < 1e-9
    assert FUNCTIONS[name].low == pytest.approx(float(REFERENCES[name](z.detach())), abs=1e-15)


@pytest.mark.parametrize("bits", range(2, 13))
def test_mid_tread_outputs_have_an_exact_zero_and_mid_rise_sigmoid_a_threshold_there(bits: int) -> None:
    middle = 2 ** (bits - 1)
    assert float(output_levels(TANH, bits)[middle]) == 0.0
    assert float(output_levels(identity(0.7), bits)[middle]) == pytest.approx(0.0, abs=1e-15)
    assert float(output_levels(FUNCTIONS["softsign"], bits)[middle]) == 0.0
    assert float(output_levels(FUNCTIONS["relu"], bits)[0]) == 0.0
    assert float(thresholds(SIGMOID, bits)[middle - 1]) == 0.0


@pytest.mark.parametrize(
    ("function", "bits", "ratio"),
    [(TANH, 5, 9.04), (TANH, 8, 70.6), (SIGMOID, 5, 5.80), (SIGMOID, 8, 44.6), (identity(2.0), 5, 1.0)],
    ids=lambda value: getattr(value, "name", value),
)
def test_steps_of_one_function_differ_by_far_more_than_a_cells_window(
    function: Function, bits: int, ratio: float
) -> None:
    """9.0 and 70.6 are also the ratios between the 32 and 256 mid-rise levels of a sigmoid; between the sigmoid's
    thresholds, half an LSB further in, they are 5.8 and 44.6."""
    step = torch.diff(thresholds(function, bits))
    assert float(step.max() / step.min()) == pytest.approx(ratio, rel=2e-3)


def test_the_flat_part_of_a_rectifier_has_no_threshold() -> None:
    wide, narrow = named_function("relu", -4.0, 4.0), named_function("relu")
    theta = thresholds(wide, 5)
    assert torch.equal(theta, thresholds(narrow, 5))
    assert float(theta[0]) == pytest.approx(0.5 * 4.0 / 32)


@pytest.mark.parametrize("bits", [1, 5, 8])
@pytest.mark.parametrize("name", ["softplus", "selu", "gelu", "silu"])
def test_a_python_function_makes_the_same_thresholds_as_the_shipped_one(name: str, bits: int) -> None:
    shape = SHAPES[name]
    mine = from_callable("mine", REFERENCES[name], -4.0, 4.0, turns=shape.turns)
    torch.testing.assert_close(thresholds(mine, bits), thresholds(FUNCTIONS[name], bits), rtol=0.0, atol=1e-9)


def test_a_function_of_plain_numbers_and_one_that_falls() -> None:
    bump = from_callable("cosine", math.cos, -3.0, 3.0, turns=(0.0,))
    torch.testing.assert_close(thresholds(bump, 3), -thresholds(bump, 3).flip(0))
    assert steps(bump, output_levels(bump, 3)).words.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1, 0]
    falling = from_callable("decay", lambda z: math.exp(-z) if z > 0 else 1.0, 0.0, 3.0)
    ramp = steps(falling, output_levels(falling, 4))
    assert ramp.words.tolist() == list(range(15, -1, -1))
    torch.testing.assert_close(ramp.theta, -ramp.decisions.log())


def test_a_table_is_straight_between_its_points_and_saturates_outside(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text("# bench, 300 K\nx,y\n-1,0\n\n0,1\n2,2\n", encoding="utf-8")
    table = from_csv(path)
    assert (table.name, table.low, table.high) == ("measured", 0.0, 2.0)
    torch.testing.assert_close(thresholds(table, 2), torch.tensor([-0.5, 0.0, 1.0], dtype=DOUBLE))
    assert quantised(table, 2, torch.tensor([-9.0, -0.75, 0.0, 0.5, 9.0])).tolist() == [0, 0, 2, 2, 3]
    x = np.linspace(-4.0, 4.0, 8001)
    np.savetxt(path, np.stack([x, F.gelu(torch.from_numpy(x)).numpy()], axis=1), delimiter=",", fmt="%.17g")
    turning = from_csv(path, turns=(-0.752,), name="gelu")
    torch.testing.assert_close(thresholds(turning, 5), thresholds(FUNCTIONS["gelu"], 5), rtol=0.0, atol=1e-4)


def lines_of(refused: Callable[[], object]) -> list[str]:
    with pytest.raises(InputError) as error:
        refused()
    return list(error.value.problems)


@pytest.mark.parametrize("bits", [0, -1, 13, 2.5, True, math.nan, math.inf, None, "5"])
def test_bits_outside_one_to_twelve_are_refused(bits: int) -> None:
    for refused in (lambda: thresholds(SIGMOID, bits), lambda: output_levels(TANH, bits)):
        assert lines_of(refused) == [f"bits must be a whole number from 1 to 12 (got {bits})"]


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (
            lambda: named_function("relux"),
            "function: must be one of sigmoid, tanh, identity, softplus, softsign, elu, selu, relu, hard_sigmoid, exp, "
            "sqrt, gelu, silu, gelu_tanh, mish, hard_swish, hard_tanh, relu6, leaky_relu, log_sigmoid (got relux)",
        ),
        (lambda: named_function("relu", slope=1.0), "function relu: its numbers are none (got slope)"),
        (lambda: named_function("elu", slope=1.0), "function elu: its numbers are alpha (got slope)"),
        (
            lambda: named_function("leaky_relu", slope=-0.1),
            "function leaky_relu: its numbers must be finite and above 0 (got slope -0.1)",
        ),
        (
            lambda: named_function("softplus", 4.0, -4.0),
            "function softplus: the range's low end must lie below its high end (got 4 to -4)",
        ),
        (
            lambda: named_function("gelu", 1.0, 1.0),
            "function gelu: the range's low end must lie below its high end (got 1 to 1)",
        ),
        (
            lambda: named_function("sqrt", -1.0, 1.0),
            "function sqrt: the range must lie within 0 to inf (got -1 to 1)",
        ),
        (
            lambda: named_function("relu", -2.0, -1.0),
            "function relu: the low end of the outputs must lie below the high end (got low 0, high 0)",
        ),
        (
            lambda: identity(-1.0),
            "function identity: the low end of the outputs must lie below the high end (got low 1, high -1)",
        ),
        (
            lambda: from_callable("mine", torch.exp, math.nan, 1.0),
            "function mine: the range's low end must lie below its high end (got nan to 1)",
        ),
        (
            lambda: from_callable("wave", torch.sin, -2.0, 2.0),
            "function wave: has no inverse on -2 to 2: it falls up to z = -1.57031 and rises from there; narrow the "
            "range, or name the turning points in turns",
        ),
        (
            lambda: from_callable("flat", torch.zeros_like, 0.0, 1.0),
            "function flat: has no inverse: it is flat from 0 to 1 (y = 0)",
        ),
        (
            lambda: from_callable("log", torch.log, -1.0, 1.0),
            "function log: must be finite on -1 to 1 (got nan at z = -1)",
        ),
        (
            lambda: from_callable("wave", torch.sin, -2.0, 2.0, turns=(1.0, -1.0)),
            "function wave: turns must rise and lie inside -2 to 2 (got [1.0, -1.0])",
        ),
        (
            lambda: from_callable("line", torch.clone, -1.0, 1.0, turns=(0.0,)),
            "function line: turns must be where it turns (got 0, and it rises on both sides)",
        ),
        (
            lambda: from_callable("log", math.log, 0.0, 1.0),
            "function log: must be a number at z = 0 (got ValueError: math domain error)",
        ),
        (
            lambda: from_callable("table", {0.0: 1.0}.__getitem__, 0.0, 1.0),
            "function table: must be a number at z = 0.000244141 (got KeyError: 0.000244140625)",
        ),
    ],
)
def test_what_cannot_be_converted_is_explained(refused: Callable[[], object], text: str) -> None:
    assert lines_of(refused) == [text]


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("x,y\n0,0\n2,1\n1,2\n", [":4: x must rise from line to line (got 1 after 2)"]),
        (
            "0,0\n0,1\n",
            [":2: x must rise from line to line (got 0 after 0)"],
        ),
        (
            "x,y\n0,0\n1,one\n2\n3,inf\n4,1\n",
            [
                ":3: must be two finite numbers, x and y (got 1,one)",
                ":4: must be two finite numbers, x and y (got 2)",
                ":5: must be two finite numbers, x and y (got 3,inf)",
            ],
        ),
        ("x,y\n", [": must have at least two points (got 0)"]),
        ("nan,inf\n0,0\n1,1\n", [":1: must be two finite numbers, x and y (got nan,inf)"]),
        (
            "0,0\n1,-1\n2,-1\n3,0.5\n",
            [
                ":4: y must go one way (got 0.5 after -1): it falls before and rises here, so an output has several "
                "inputs and no inverse; name the turning points in turns"
            ],
        ),
    ],
)
def test_a_table_that_is_no_function_is_refused_with_its_line(
    tmp_path: Path, content: str, problems: list[str]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")
    assert lines_of(lambda: from_csv(path)) == [f"{path}{problem}" for problem in problems]


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    assert lines_of(lambda: from_csv(path)) == [f"{path}: no such file"]
