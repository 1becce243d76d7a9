"""Activation functions by name, on a range of inputs, and functions that a user brings.

| name | y | default range | inverse on it |
|---|---|---|---|
| sigmoid | 1 / (1 + exp(-z)) | all z, outputs 0 to 1 | ln(y / (1 - y)) |
| tanh | tanh z | all z, outputs -1 to 1 | artanh y |
| identity | z | -4 to 4 | y |
| softplus | ln(1 + exp z) | -4 to 4 | ln(exp y - 1) |
| softsign | z / (1 + abs z) | -4 to 4 | y / (1 - abs y) |
| elu | z, below 0 exp z - 1 [1] | -4 to 4 | y, below 0 ln(1 + y) |
| selu | s z, below 0 s a (exp z - 1) [2] | -4 to 4 | y / s, below 0 ln(1 + y / (s a)) |
| relu | max(0, z), saturating at the top of its range | 0 to 4 | y; none at 0, where there is no threshold |
| hard_sigmoid | z / 6 + 1/2 within 0 to 1 | -3 to 3 | 6 y - 3 |
| exp | exp z | -4 to 0 | ln y |
| sqrt | square root of z | 0 to 4 | y^2 |
| gelu | z Phi(z) [3] | -4 to 4 | two branches, by bisection |
| silu | z / (1 + exp(-z)), Swish [4] | -4 to 4 | two branches, by bisection |
| gelu_tanh | z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 [3] | -4 to 4 | two branches, by bisection |
| mish | z tanh(ln(1 + exp z)) [5] | -4 to 4 | two branches, by bisection |
| hard_swish | z min(max(0, z + 3), 6) / 6 [6] | -4 to 4 | two branches, by bisection |
| hard_tanh | z within ``least`` to ``most``, -1 to 1 | -1 to 1 | y |
| relu6 | z within 0 to 6 | 0 to 6 | y; none at 0 |
| leaky_relu | z, below 0 ``slope`` z, 0.01 z | -4 to 4 | y, below 0 y / slope |
| log_sigmoid | -ln(1 + exp(-z)) | -4 to 4 | -ln(exp(-y) - 1) |

[1] Clevert et al., arXiv 1511.07289, alpha = 1. [2] Klambauer et al., arXiv 1706.02515, s = 1.0507, a = 1.6733.
[3] Hendrycks and Gimpel, arXiv 1606.08415. [4] Ramachandran et al., arXiv 1710.05941. [5] Misra, arXiv 1908.08681.
[6] Howard et al., arXiv 1905.02244. The ranges of four functions on -4 to 4 are those of the reconstruction in
tests/reference/ramp_inl.json; the others are choices. Four functions have numbers of their own (``FAMILIES``): elu
``alpha``, softplus ``beta``, leaky_relu ``slope``, hard_tanh ``least`` and ``most``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from devices import InputError
from periphery.functions.function import SIGMOID, TANH, Branch, Function, Map

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# Where the derivative is zero.
GELU_TURN, SILU_TURN = -0.7517915246935645, -1.278464542761074
GELU_TANH_TURN, MISH_TURN = -0.7524614220710163, -1.192431214515495
PROBES = 4097


def _selu(z: torch.Tensor) -> torch.Tensor:
    return SELU_SCALE * torch.where(z > 0, z, SELU_ALPHA * torch.expm1(z.clamp(max=0.0)))


def _selu_inverse(y: torch.Tensor) -> torch.Tensor:
    x = y / SELU_SCALE
    return torch.where(x > 0, x, torch.log1p(x.clamp(max=0.0) / SELU_ALPHA))


def _gelu(z: torch.Tensor) -> torch.Tensor:
    return 0.5 * z * torch.erfc(z * -math.sqrt(0.5))


def _gelu_tanh(z: torch.Tensor) -> torch.Tensor:
    return 0.5 * z * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))


def _mish(z: torch.Tensor) -> torch.Tensor:
    return z * torch.tanh(torch.logaddexp(z, torch.zeros_like(z)))


def _hard_swish(z: torch.Tensor) -> torch.Tensor:
    return z * (z + 3.0).clamp(0.0, 6.0) / 6.0


@dataclass(frozen=True)
class Shape:
    """A function before a range is chosen; ``inverse`` is None where it turns (``turns``, rising)."""

    f: Map
    inverse: Map | None
    low: float = -4.0
    high: float = 4.0
    midtread: bool = False
    turns: tuple[float, ...] = ()
    domain: tuple[float, float] = (-math.inf, math.inf)


def _elu(alpha: float = 1.0) -> Shape:
    return Shape(
        lambda z: torch.where(z > 0, z, alpha * torch.expm1(z.clamp(max=0.0))),
        lambda y: torch.where(y > 0, y, torch.log1p(y.clamp(max=0.0) / alpha)),
    )


def _softplus(beta: float = 1.0) -> Shape:
    return Shape(
        lambda z: torch.logaddexp(beta * z, torch.zeros_like(z)) / beta,
        lambda y: y + torch.log(-torch.expm1(-beta * y)) / beta,
    )


def _leaky_relu(slope: float = 0.01) -> Shape:
    return Shape(lambda z: torch.where(z > 0, z, slope * z), lambda y: torch.where(y > 0, y, y / slope), midtread=True)


def _hard_tanh(least: float = -1.0, most: float = 1.0) -> Shape:
    return Shape(lambda z: z.clamp(least, most), torch.clone, least, most, midtread=True)


FAMILIES: dict[str, Callable[..., Shape]] = {
    "elu": _elu,
    "softplus": _softplus,
    "leaky_relu": _leaky_relu,
    "hard_tanh": _hard_tanh,
}
SHAPES: dict[str, Shape] = {
    "sigmoid": Shape(torch.sigmoid, torch.logit, -math.inf, math.inf),
    "tanh": Shape(torch.tanh, torch.atanh, -math.inf, math.inf, midtread=True),
    "identity": Shape(torch.clone, torch.clone, midtread=True),
    "softplus": _softplus(),
    "softsign": Shape(lambda z: z / (1 + z.abs()), lambda y: y / (1 - y.abs()), midtread=True),
    "elu": _elu(),
    "selu": Shape(_selu, _selu_inverse),
    "relu": Shape(lambda z: z.clamp(min=0.0), torch.clone, low=0.0, midtread=True),
    "hard_sigmoid": Shape(lambda z: (z / 6 + 0.5).clamp(0.0, 1.0), lambda y: 6 * y - 3, -3.0, 3.0),
    "exp": Shape(torch.exp, torch.log, high=0.0),
    "sqrt": Shape(lambda z: z.clamp(min=0.0).sqrt(), torch.square, low=0.0, domain=(0.0, math.inf)),
    "gelu": Shape(_gelu, None, turns=(GELU_TURN,)),
    "silu": Shape(lambda z: z * torch.sigmoid(z), None, turns=(SILU_TURN,)),
    "gelu_tanh": Shape(_gelu_tanh, None, turns=(GELU_TANH_TURN,)),
    "mish": Shape(_mish, None, turns=(MISH_TURN,)),
    "hard_swish": Shape(_hard_swish, None, turns=(-1.5,)),
    "hard_tanh": _hard_tanh(),
    "relu6": _hard_tanh(0.0, 6.0),
    "leaky_relu": _leaky_relu(),
    "log_sigmoid": Shape(lambda z: -torch.logaddexp(-z, torch.zeros_like(z)), lambda y: y - torch.log(-torch.expm1(y))),
}


def named_function(
    name: str,
    low: float | None = None,
    high: float | None = None,
    *,
    midtread: bool | None = None,
    **numbers: float,
) -> Function:
    """The function ``name`` on inputs from ``low`` to ``high``, the range of the table above where they are not given.

    ``numbers``: those of a family. Raises InputError for an unknown name or number, a range that does not rise or that
    leaves the function's domain, or one on which the function is flat.
    """
    if name not in SHAPES:
        raise InputError(f"function: must be one of {', '.join(SHAPES)} (got {name})")
    shape = _of_family(name, numbers) if numbers else SHAPES[name]
    z_low, z_high = shape.low if low is None else low, shape.high if high is None else high
    if not z_low < z_high:
        got = f"got {z_low:g} to {z_high:g}"
        raise InputError(f"function {name}: the range's low end must lie below its high end ({got})")
    if not (shape.domain[0] <= z_low and z_high <= shape.domain[1]):
        allowed = f"{shape.domain[0]:g} to {shape.domain[1]:g}"
        raise InputError(f"function {name}: the range must lie within {allowed} (got {z_low:g} to {z_high:g})")
    kept = shape.midtread if midtread is None else midtread
    if shape.inverse is not None:
        low_y, high_y = (float(shape.f(torch.tensor(z, dtype=torch.float64))) for z in (z_low, z_high))
        return Function(name, low_y, high_y, shape.f, shape.inverse, kept)
    return _pieced(name, shape.f, z_low, z_high, shape.turns, kept)


def _of_family(name: str, numbers: dict[str, float]) -> Shape:
    """A function with numbers of its own."""
    known = list(inspect.signature(FAMILIES[name]).parameters) if name in FAMILIES else []
    if strange := [number for number in numbers if number not in known]:
        raise InputError(f"function {name}: its numbers are {', '.join(known) or 'none'} (got {', '.join(strange)})")
    if bad := [
        f"{key} {n:g}" for key, n in numbers.items() if not math.isfinite(n) or (n <= 0 and name != "hard_tanh")
    ]:
        raise InputError(f"function {name}: its numbers must be finite and above 0 (got {', '.join(bad)})")
    return FAMILIES[name](**numbers)


def from_callable(
    name: str,
    f: Callable[[torch.Tensor], torch.Tensor] | Callable[[float], float],
    low: float,
    high: float,
    *,
    turns: Sequence[float] = (),
    midtread: bool = False,
) -> Function:
    """A user's function on inputs from ``low`` to ``high``, inverted by bisection (to the last bit of the input).

    ``f`` takes a tensor (float64, any shape) or a number, and is asked inside the range alone. ``turns``: inputs
    between which it is monotonic; without them it must rise or fall throughout, flat stretches allowed. An output that
    a flat stretch holds is reached at the stretch's low end.

    Raises InputError for a range that does not rise, an output that is not finite or cannot be computed, a function
    that is flat throughout, one that turns where ``turns`` has no entry (it has no inverse there, and the message
    gives the input), and a turn at which it goes on as before.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"function {name}: the range's low end must lie below its high end (got {low:g} to {high:g})")
    if list(turns) != sorted(set(turns)) or not all(low < turn < high for turn in turns):
        raise InputError(f"function {name}: turns must rise and lie inside {low:g} to {high:g} (got {list(turns)})")
    on_tensors = _on_tensors(name, f)
    return _pieced(name, lambda z: on_tensors(z.clamp(low, high)), low, high, tuple(turns), midtread)


def _on_tensors(name: str, f: Callable[..., object]) -> Map:
    """``f`` for tensors, also where it was written for one number."""

    def number(z: float) -> float:
        try:
            return float(f(z))  # type: ignore[arg-type]
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            got = f"got {type(error).__name__}: {error}"
            raise InputError(f"function {name}: must be a number at z = {z:g} ({got})") from error

    def wrapped(z: torch.Tensor) -> torch.Tensor:
        try:
            y = torch.as_tensor(f(z), dtype=torch.float64)
        except (TypeError, ValueError, LookupError, RuntimeError, ArithmeticError):
            y = torch.tensor([], dtype=torch.float64)
        if y.shape == z.shape:
            return y
        one_by_one = [number(value) for value in z.double().flatten().tolist()]
        return torch.tensor(one_by_one, dtype=torch.float64).reshape(z.shape)

    return wrapped


def _pieced(name: str, f: Map, low: float, high: float, turns: tuple[float, ...], midtread: bool) -> Function:
    """The function with one branch between each pair of turning points inside the range."""
    ends = (low, *(turn for turn in turns if low < turn < high), high)
    pieces = [_branch(name, f, first, last) for first, last in pairwise(ends)]
    for turn, before, after in zip(ends[1:-1], pieces[:-1], pieces[1:], strict=True):
        rises = before.last > before.first
        if rises == (after.last > after.first):
            way = "rises" if rises else "falls"
            raise InputError(
                f"function {name}: turns must be where it turns (got {turn:g}, and it {way} on both sides)"
            )
    outputs = [y for piece in pieces for y in (piece.first, piece.last)]
    made = Function(name, min(outputs), max(outputs), f, pieces[-1].inverse, midtread)
    rises = len(pieces) == 1 and pieces[0].first < pieces[0].last
    return made if rises else replace(made, branches=tuple(pieces))


def _branch(name: str, f: Map, low: float, high: float) -> Branch:
    z = torch.linspace(low, high, PROBES, dtype=torch.float64)
    y = f(z)
    strange = ~torch.isfinite(y)
    if bool(strange.any()):
        got = f"got {float(y[strange][0]):g} at z = {float(z[strange][0]):g}"
        raise InputError(f"function {name}: must be finite on {low:g} to {high:g} ({got})")
    step = torch.diff(y)
    slack = 1e-12 * float(y.abs().max())
    up, down = step > slack, step < -slack
    if not bool((up | down).any()):
        raise InputError(f"function {name}: has no inverse: it is flat from {low:g} to {high:g} (y = {float(y[0]):g})")
    if bool(up.any()) and bool(down.any()):
        first_up, first_down = int(up.nonzero()[0]), int(down.nonzero()[0])
        was, then = ("rises", "falls") if first_up < first_down else ("falls", "rises")
        where = float(z[max(first_up, first_down)])
        raise InputError(
            f"function {name}: has no inverse on {low:g} to {high:g}: it {was} up to z = {where:g} and {then} from "
            "there; narrow the range, or name the turning points in turns"
        )
    return Branch(float(y[0]), float(y[-1]), _bisection(f, low, high, bool(up.any())))


def _bisection(f: Map, low: float, high: float, rises: bool) -> Map:
    """Smallest input at which a rising (falling) ``f`` has come up (down) to an output, to the last bit."""

    def inverse(y: torch.Tensor) -> torch.Tensor:
        a, b = torch.full_like(y, low), torch.full_like(y, high)
        for _ in range(80):
            middle = 0.5 * (a + b)
            value = f(middle)
            passed = value >= y if rises else value <= y
            a, b = torch.where(passed, a, middle), torch.where(passed, middle, b)
        return b

    return inverse


FUNCTIONS: dict[str, Function] = {
    name: {"sigmoid": SIGMOID, "tanh": TANH}.get(name) or named_function(name) for name in SHAPES
}


def described(name: str) -> str:
    """Ranges of a function of the library, the position of zero among its codes, and where it turns."""
    shape, made = SHAPES[name], FUNCTIONS[name]
    turns = "".join(f", turns at {turn:.3f}" for turn in shape.turns)
    zero = "mid-tread" if made.midtread else "mid-rise"
    return f"output {made.low:g} to {made.high:g}, {zero}, input {shape.low:g} to {shape.high:g}{turns}"
