"""The functions that a distorted ramp can compute: outputs, inverses, and the inputs at which a code changes.

A converter of ``2^bits`` codes has one threshold for every output level that the function passes on its way from the
low to the high end of its range, at the input where it passes it. For a rising function these are ``2^bits - 1``, and
the number of thresholds passed is the code.

**Flat parts.** A rectifier is zero left of zero and has no inverse there. It needs none: what has no output levels
inside has no thresholds, and the first one, half an LSB up, is where the flat part ends for a code.

**Functions that fall.** GELU and SiLU fall to a minimum before they rise, so one output belongs to two inputs. The
input still rises along the ramp: each *branch* between turning points is monotonic and brings its own thresholds, in
rising order, and the counter of the column counts down on the steps of a falling branch and up on those of a rising
one. The direction is one bit a step, the same for all columns, stored beside the ramp. So the ramp of a folded function
has more steps than ``2^bits - 1`` (by the levels that it passes twice), and its code is not the number of thresholds
passed but ``words[number]``. A tie passes the step, also where that is a step down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from devices import InputError

Map = Callable[[torch.Tensor], torch.Tensor]
MOST_BITS = 12


@dataclass(frozen=True)
class Branch:
    """A monotonic piece of a function between the outputs at its two ends, with its inverse."""

    first: float
    last: float
    inverse: Map


@dataclass(frozen=True)
class Function:
    """A function ``y = f(z)`` and the range of outputs that is quantised; inputs outside its range saturate.

    ``inverse`` is that of a rising function, or of the last branch of one that turns; ``midtread``: outputs include the
    value at ``z = 0``, which a mid-rise code of an odd function would not; ``branches``: the pieces between turning
    points in the order of rising input, or none for a rising function. Raises InputError for a range that does not
    rise.
    """

    name: str
    low: float
    high: float
    f: Map
    inverse: Map
    midtread: bool = False
    branches: tuple[Branch, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"function {self.name}: the low end of the outputs must lie below the high end (got low "
                f"{self.low:g}, high {self.high:g})"
            )

    @property
    def rises(self) -> bool:
        """Whether the number of thresholds passed is the code."""
        return not self.branches

    def lsb(self, bits: int) -> float:
        """Output range of one code."""
        return (self.high - self.low) / float(2 ** checked_bits(bits))


def checked_bits(bits: int) -> int:
    """The resolution, or InputError outside 1 to 12 bits."""
    if isinstance(bits, bool) or bits not in range(1, MOST_BITS + 1):
        raise InputError(f"bits must be a whole number from 1 to {MOST_BITS} (got {bits})")
    return int(bits)


SIGMOID = Function("sigmoid", 0.0, 1.0, torch.sigmoid, torch.logit)
TANH = Function("tanh", -1.0, 1.0, torch.tanh, torch.atanh, midtread=True)


def identity(limit: float) -> Function:
    """The linear function on ``[-limit, limit]``: an ordinary ramp converter."""
    return Function("identity", -limit, limit, torch.clone, torch.clone, midtread=True)


def output_levels(function: Function, bits: int) -> torch.Tensor:
    """Outputs ``y_c`` of the codes ``c = 0 .. 2^bits - 1``, shape ``(2^bits,)``, float64.

    Mid-rise: ``y_c = low + (c + 1/2) LSB``; mid-tread: ``y_c = low + c LSB``; ``LSB = (high - low) / 2^bits``.
    """
    count = int(2 ** checked_bits(bits))
    lsb = (function.high - function.low) / count
    return function.low + (torch.arange(count, dtype=torch.float64) + (0.0 if function.midtread else 0.5)) * lsb


@dataclass(frozen=True)
class Steps:
    """The thresholds of a function in the order of the ramp.

    ``theta``: inputs at which the code changes ``(steps,)``, rising; ``decisions``: outputs of the function there, same
    shape; ``words``: code after each number of steps passed ``(steps + 1,)``; ``outputs``: value of each, same shape.
    """

    theta: torch.Tensor
    decisions: torch.Tensor
    words: torch.Tensor
    outputs: torch.Tensor


def steps(function: Function, levels: torch.Tensor) -> Steps:
    """Thresholds of a quantiser with the rising output ``levels (L,)``, each half-way between two of them."""
    decisions = 0.5 * (levels[1:] + levels[:-1])
    if not function.branches:
        return Steps(function.inverse(decisions), decisions, torch.arange(len(levels)), levels)
    theta, passed, change = [], [], []
    for branch in function.branches:
        bottom, top = min(branch.first, branch.last), max(branch.first, branch.last)
        inside = decisions[(decisions > bottom) & (decisions < top)]
        falls = branch.last < branch.first
        inside = inside.flip(0) if falls else inside
        theta.append(branch.inverse(inside))
        passed.append(inside)
        change.append(torch.full((len(inside),), -1 if falls else 1))
    entry = function.branches[0]
    below = decisions < entry.first if entry.last < entry.first else decisions <= entry.first
    start = int(below.sum())
    words = start + torch.cat([torch.zeros(1, dtype=torch.long), torch.cat(change).cumsum(0)])
    return Steps(torch.cat(theta), torch.cat(passed), words, levels[words])


def threshold_levels(function: Function, bits: int) -> torch.Tensor:
    """Outputs half-way between neighbouring codes, in the order in which the ramp passes them.

    Shape ``(2^bits - 1,)`` for a rising function; a folded one passes some of them twice.
    """
    return steps(function, output_levels(function, bits)).decisions


def thresholds(function: Function, bits: int) -> torch.Tensor:
    """Inputs at which an ideal converter changes its code, in the shape of ``threshold_levels``, float64, rising."""
    return steps(function, output_levels(function, bits)).theta


def quantised(function: Function, bits: int, z: torch.Tensor) -> torch.Tensor:
    """Codes of an ideal quantiser of ``f(z)``, int64: the nearest output level, a tie up, saturating at both ends."""
    levels = output_levels(function, bits)
    decisions = 0.5 * (levels[1:] + levels[:-1])
    return torch.bucketize(function.f(z.double()), decisions, right=True)
