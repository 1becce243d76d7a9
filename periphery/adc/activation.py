"""Digital activations behind a linear converter: a table, straight pieces, or CORDIC, each with its precision.

All take the converter's word as a value of z and give a value of the function; the chain rounds it to the output's
levels. Costs are counts of parts: ``actions`` and ``instances`` for the price list, ``stages`` for the time from word
to value, one entry a part in a row.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Interval

from devices import InputError
from devices.kinds import OneOf
from periphery.functions.function import Function

Counts = Mapping[str, Mapping[str, float]]
Fraction = Annotated[int, Interval(ge=4, le=24)]


@dataclass(frozen=True, kw_only=True)
class Activation(ABC):
    """A digital unit that computes a function of a word: by default one component, which evaluates a value at a time.

    ``component``: its name in the price list.
    """

    component: ClassVar[str]

    kind: str

    @abstractmethod
    def evaluate(self, function: Function, z: torch.Tensor, range_z: float) -> torch.Tensor:
        """``g(z)`` as the unit computes it, shape and dtype of ``z``; ``range_z``: full scale of the converter."""

    def actions(self, values: float) -> Counts:
        """What ``values`` evaluations do, ``{component: {action: count}}``."""
        return {self.component: {"evaluate": values}}

    def instances(self, lanes: float) -> Mapping[str, float]:
        """What has to be on the chip for ``lanes`` units."""
        return {self.component: lanes}

    @property
    def stages(self) -> tuple[str, ...]:
        """Components whose latencies add up from word to value."""
        return (self.component,)


@dataclass(frozen=True, kw_only=True)
class LookUpTable(Activation):
    """A table with one entry for each word of the converter: exact up to the rounding of the output."""

    component: ClassVar[str] = "lookup"

    kind: Literal["table"] = "table"

    def evaluate(self, function: Function, z: torch.Tensor, range_z: float) -> torch.Tensor:
        """The function itself."""
        return function.f(z)


@dataclass(frozen=True, kw_only=True)
class PiecewiseLinear(Activation):
    """Straight lines between even knots: ``y = y_k + (y_(k+1) - y_k) x``, x the place within piece k.

    With pieces h wide it errs by at most ``h^2 max|g''| / 8`` and half a step of the stored values.

    Parameters
    ----------
    segments : pieces over the range
    bits : bits of the stored values, of the place within a piece and of the product, over the function's span
    range_z : where the pieces end, either sign; values beyond take the end's; None takes the converter's range
    """

    kind: Literal["piecewise_linear"] = "piecewise_linear"
    segments: Annotated[int, Interval(ge=2, le=1024)] = 16
    bits: Fraction = 10
    range_z: Annotated[float, Gt(0.0)] | None = None

    def evaluate(self, function: Function, z: torch.Tensor, range_z: float) -> torch.Tensor:
        """Interpolation between stored values, rounded to the unit's step."""
        limit = self.range_z or range_z
        knots = torch.linspace(-limit, limit, self.segments + 1, dtype=torch.float64)
        step = (function.high - function.low) / 2.0**self.bits
        stored = torch.round(function.f(knots) / step)
        place = ((z.double() + limit) * (self.segments / (2.0 * limit))).clamp(0.0, float(self.segments))
        piece = place.floor().clamp_max(self.segments - 1)
        inside = torch.round((place - piece) * 2.0**self.bits) / 2.0**self.bits
        at = piece.long()
        return (torch.round(stored[at] + (stored[at + 1] - stored[at]) * inside) * step).to(z.dtype)

    def actions(self, values: float) -> Counts:
        """Two stored values read, a difference, a product and a sum."""
        return {
            "coefficient_table": {"read_bit": 2.0 * values * self.bits},
            "multiplier": {"bit_product": values * self.bits**2},
            "adder": {"add_bit": 2.0 * values * self.bits},
        }

    def instances(self, lanes: float) -> Mapping[str, float]:
        """A multiplier, two adders and a table of all knots a lane."""
        return {
            "coefficient_table": lanes * (self.segments + 1) * self.bits,
            "multiplier": lanes * self.bits**2,
            "adder": lanes * 2.0 * self.bits,
        }

    @property
    def stages(self) -> tuple[str, ...]:
        """Table, difference, product, sum."""
        return ("coefficient_table", "adder", "multiplier", "adder")


@dataclass(frozen=True, kw_only=True)
class Cordic(Activation):
    """Shifts and additions alone: ``exp`` by hyperbolic rotations, quotients by linear ones, in fixed point.

    ``exp(a) = 2^k (cosh r + sinh r)`` with ``a = k ln 2 + r`` and r small; then ``tanh |z| = (1 - e) / (1 + e)`` with
    ``e = exp(-2 |z|)`` and ``sigmoid |z| = 1 / (1 + e)`` with ``e = exp(-|z|)``; signs follow from symmetry. Rotations
    4 and 13 are made twice, without which hyperbolic CORDIC does not converge (Walther, AFIPS 1971, doi
    10.1145/1478786.1478840). Every shift cuts what falls off the end, as the circuit does. The error stays below about
    ``2^-iterations``, as long as there are a few bits more than iterations.

    Parameters
    ----------
    iterations : hyperbolic rotations, repetitions apart; the quotient takes as many steps and one
    bits : bits behind the binary point
    """

    component: ClassVar[str] = "cordic"

    kind: Literal["cordic"] = "cordic"
    iterations: Annotated[int, Interval(ge=2, le=24)] = 10
    bits: Fraction = 14

    @property
    def rotations(self) -> tuple[int, ...]:
        """Shifts of the hyperbolic rotations, in their order."""
        return tuple(i for i in range(1, self.iterations + 1) for _ in range(2 if i in (4, 13) else 1))

    def evaluate(self, function: Function, z: torch.Tensor, range_z: float) -> torch.Tensor:
        """The function in fixed point; ``InputError`` for one that is not made of exponentials."""
        one = 1 << self.bits
        fixed = torch.round(z.double() * one).long()
        # By the function itself: a user's table may bear any name.
        if function.f is torch.exp:
            result = self._exp(fixed)
        elif function.f in (torch.sigmoid, torch.tanh):
            tanh = function.f is torch.tanh
            e = self._exp(-fixed.abs() * (2 if tanh else 1))
            result = self._quotient(one - e if tanh else torch.full_like(e, one), one + e)
            result = torch.where(fixed < 0, -result if tanh else one - result, result)
        else:
            raise InputError(f"activation.kind: cordic computes sigmoid, tanh and exp (got {function.name!r})")
        return (result.double() / one).to(z.dtype)

    def _exp(self, a: torch.Tensor) -> torch.Tensor:
        one = 1 << self.bits
        ln2 = round(math.log(2.0) * one)
        k = torch.div(2 * a + ln2, 2 * ln2, rounding_mode="floor")
        rest = a - k * ln2
        gain = math.prod(math.sqrt(1.0 - 4.0**-i) for i in self.rotations)
        x = torch.full_like(a, round(one / gain))
        y = torch.zeros_like(a)
        for i in self.rotations:
            sign = torch.where(rest < 0, -1, 1)
            x, y = x + sign * (y >> i), y + sign * (x >> i)
            rest = rest - sign * round(math.atanh(2.0**-i) * one)
        total = x + y
        return torch.where(k >= 0, total << k.clamp(0, 24), total >> (-k).clamp(0, 62))

    def _quotient(self, dividend: torch.Tensor, divisor: torch.Tensor) -> torch.Tensor:
        one = 1 << self.bits
        quotient = torch.zeros_like(dividend)
        for i in range(self.iterations + 1):
            sign = torch.where(dividend < 0, -1, 1)
            dividend = dividend - sign * (divisor >> i)
            quotient = quotient + sign * (one >> i)
        return quotient

    @property
    def cycles(self) -> int:
        """Rotations and steps of the quotient."""
        return len(self.rotations) + self.iterations + 1

    @property
    def stages(self) -> tuple[str, ...]:
        """One stage an iteration."""
        return (self.component,) * self.cycles


ACTIVATIONS: dict[str, type[Activation]] = {"table": LookUpTable, "piecewise_linear": PiecewiseLinear, "cordic": Cordic}

AnyActivation = Annotated[Activation, OneOf(ACTIVATIONS, usual="table")]
