"""Calls that compute each value from one or two others: sums, products, comparisons and functions of a word."""

from __future__ import annotations

import torch

from mappings.network.digital_calls.work import Call, Stage, Work, adds, looks_up, multiplies, power_of_two, shape_of

TWO_CHANGE = "both values change with the input, and cells hold numbers that stay"
BEHIND = "no converter of a layer computes it"

COMPARISONS = {"relu": 1, "relu6": 2, "hardtanh": 2, "clamp_min": 1, "clamp_max": 1, "threshold": 1, "abs": 1, "neg": 1}
COMPARISONS |= {name: 1 for name in ("eq", "ne", "lt", "le", "gt", "ge", "minimum", "maximum", "min", "max")}
CHOICES = (
    "where",
    "masked_fill",
    *(f"{kind}_{gate}" for kind in ("logical", "bitwise") for gate in ("not", "and", "or", "xor")),
)
FUNCTIONS = [
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "elu",
    "selu",
    "celu",
    "softplus",
    "leaky_relu",
    "log_sigmoid",
    "hardshrink",
    "softshrink",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "erf",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "asin",
    "acos",
    "atan",
    "sign",
    "sgn",
    "square",
    "floor",
    "ceil",
    "round",
    "trunc",
    "frac",
]


def _each(call: Call, stage: Stage, why: str = BEHIND) -> Work:
    return Work(what=f"{stage.name} of {shape_of(call.out)} values", why=why, stages=(stage,), stored=call.stored or 0)


def _why(call: Call) -> str:
    changing = sum(one.dim() > 0 for one in call.tensors)
    return TWO_CHANGE if changing > 1 and not call.stored else BEHIND


def added(call: Call, bits: int) -> Work:
    """A sum of two words of ``bits`` is a bit wider; ``alpha`` other than a power of two is a product."""
    alpha, parts = call.given("alpha"), [adds(call.values, bits + 1)]
    if alpha is not None and not power_of_two(alpha):
        parts.insert(0, multiplies(call.values, bits, bits))
    name = "differences" if call.name in ("sub", "rsub", "subtract") else "sums"
    return _each(call, Stage(name, call.values, tuple(parts)), _why(call))


def multiplied(call: Call, bits: int) -> Work:
    """Words of ``bits`` times words of ``bits``; a power of two moves the binary point, for nothing."""
    if power_of_two(call.given("other")):
        return Work(what="products with a power of two: the binary point moves", why="costs nothing", kept=False)
    return _each(call, Stage("products", call.values, (multiplies(call.values, bits, bits),)), _why(call))


def divided(call: Call, bits: int) -> Work:
    """By a tensor: the divisor's reciprocal, of ``2 bits``, from a table, and a product; by a number: a product."""
    other = call.given("other")
    whole = call.given("rounding_mode") is not None or call.name in ("floor_divide", "remainder", "fmod")
    if power_of_two(other) and not whole:
        return Work(what="quotients by a power of two: the binary point moves", why="costs nothing", kept=False)
    n, parts = call.values, []
    if torch.is_tensor(other) and other.dim() > 0:
        stages = [Stage("reciprocals", other.numel(), (looks_up(other.numel()),))]
        parts = [multiplies(n, bits, 2 * bits)]
    else:
        stages, parts = [], [multiplies(n, bits, bits)]
    if call.name in ("remainder", "fmod"):  # x - floor(x / y) y
        parts += [multiplies(n, bits, bits), adds(n, 2 * bits + 1)]
    stages.append(Stage("quotients", n, tuple(parts)))
    what = f"quotients of {shape_of(call.out)} values"
    return Work(what=what, why=_why(call), stages=tuple(stages), stored=call.stored or 0)


def compared(call: Call, bits: int) -> Work:
    """Comparisons with a number or a word, a subtraction each; the sign of the difference chooses."""
    times = COMPARISONS.get(call.name, 0)
    if call.name in ("clamp", "clip"):
        times = sum(call.given(end) is not None for end in ("min", "max"))
    stage = Stage(f"comparisons ({call.name})", times * call.values, (adds(times * call.values, bits),))
    return _each(call, stage, _why(call))


def chosen(call: Call, bits: int) -> Work:
    """A choice between two words, or a gate for each bit of a mask."""
    width = 1 if call.out.dtype == torch.bool else bits
    return _each(call, Stage(f"choices ({call.name})", call.values, (adds(call.values, width),)), _why(call))


def evaluated(call: Call, bits: int) -> Work:
    """A function of one word: a table with an entry for each word."""
    return _each(call, Stage(f"look-ups of {call.name}", call.values, (looks_up(call.values),)))


def powered(call: Call, bits: int) -> Work:
    """A number's power, or a power of a number: a table; two tensors: ``exp(y log x)``, two tables and a product.

    The logarithm has ``2 bits``.
    """
    n, (base, exponent) = call.values, (call.given("self"), call.given("exponent"))
    if not (torch.is_tensor(base) and torch.is_tensor(exponent)):
        return evaluated(call, bits)
    return _each(call, Stage("powers", n, (looks_up(2 * n), multiplies(n, 2 * bits, bits))), TWO_CHANGE)


def multiplied_and_added(call: Call, bits: int) -> Work:
    """``x + value a b``, and ``x + w (y - x)`` of a weighted mean, with a difference more."""
    n = call.values
    parts = [multiplies(n, bits, bits), adds(n, 2 * bits + 1)]
    if call.name == "lerp":
        parts.insert(0, adds(n, bits + 1))
    elif not power_of_two(call.given("value") or 1):
        parts.append(multiplies(n, 2 * bits, bits))
    return _each(call, Stage("products and sums", n, tuple(parts)), TWO_CHANGE)


def gated(call: Call, bits: int) -> Work:
    """``a sigmoid(b)``: a table and a product."""
    n = call.values
    return _each(call, Stage("gates", n, (looks_up(n), multiplies(n, bits, bits))), TWO_CHANGE)


def sloped(call: Call, bits: int) -> Work:
    """A slope of its own, which is a parameter, below zero: a comparison and a product."""
    n = call.values
    return _each(call, Stage("slopes", n, (adds(n, bits), multiplies(n, bits, bits))))
