"""What one call of a traced network is made of: operations on digital lanes, in stages one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Call:
    """One ATen call of a traced network, with the shapes of one inference.

    Parameters
    ----------
    path : path of the module that makes it, and the call's name in it: what messages and tables say
    target : the overload, ``torch.ops.aten.add.Tensor``; also ``operator.getitem`` and the like
    args, kwargs : as in the graph, tensors as meta or fake tensors of a batch of 1
    output : what it gives, in the same form
    stored : how many values of ``args`` are parameters, which wait on the chip; None takes those that the call itself
        says (the table of an embedding, scales and offsets of a norm), and no others
    """

    path: str
    target: Any
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    stored: int | None = None

    @property
    def overload(self) -> str:
        """The call as messages name it, ``aten.add.Tensor``."""
        return str(self.target) if hasattr(self.target, "_schema") else getattr(self.target, "__name__", "?")

    @property
    def name(self) -> str:
        """The function without its overload, ``add``; one that works in place has the name of the other.

        Python's own operators are ``python``: in a traced network they take parts of tuples and compute with sizes.
        """
        if not hasattr(self.target, "_schema"):
            own = getattr(self.target, "__module__", "") in ("_operator", "builtins", "math")
            return "python" if own else self.overload
        named = self.overload.split(".")
        if named[0] != "aten":
            return self.overload
        return named[1] if named[1].startswith("__") else named[1].rstrip("_")

    def given(self, name: str) -> Any:
        """The argument of this name in the function's schema, or its default; None where it has no such argument."""
        for place, argument in enumerate(self.target._schema.arguments):
            if argument.name == name:
                if name in self.kwargs:
                    return self.kwargs[name]
                if place < len(self.args):
                    return self.args[place]
                return argument.default_value if argument.has_default_value() else None
        return None

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors that come in, those of lists included."""
        found: list[torch.Tensor] = []
        for value in (*self.args, *self.kwargs.values()):
            found += [one for one in (value if isinstance(value, (list, tuple)) else [value]) if torch.is_tensor(one)]
        return found

    @property
    def x(self) -> torch.Tensor:
        """The first tensor that comes in."""
        return self.tensors[0]

    @property
    def out(self) -> torch.Tensor:
        """What it gives, the first of several tensors."""
        first = self.output[0] if isinstance(self.output, (tuple, list)) else self.output
        if not torch.is_tensor(first):
            raise ValueError(f"{self.path}: {self.overload}: gives no tensor (got {first!r})")
        return first

    @property
    def values(self) -> int:
        """How many values it gives."""
        return int(self.out.numel())


@dataclass(frozen=True)
class Part:
    """``times`` operations of ``size`` units of a component, of which each lane has ``size``."""

    component: str
    action: str
    size: float
    times: float


@dataclass(frozen=True)
class Stage:
    """One result after the other on each lane, ``turns`` in all; the latencies of the parts' components add up."""

    name: str
    turns: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Buffer:
    """Words that wait: bits written in one inference, and bits that have to be there."""

    written_bits: float
    bits: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a call does.

    Parameters
    ----------
    what, why : for the table of layers: what is computed, and why digitally
    stages : in their order
    ops : operations, two for a multiply-accumulate of a matrix product; all else counts none, as in layers on tiles
    rows_wait : words of one row that wait within the call
    stored : parameters of the call, in values
    looked_up : values read from memory at places that the data give
    kept : whether what it gives goes to a buffer; otherwise it is read where it was
    """

    what: str
    why: str
    stages: tuple[Stage, ...] = ()
    ops: float = 0.0
    rows_wait: tuple[Buffer, ...] = ()
    stored: int = 0
    looked_up: int = 0
    kept: bool = True


def growth(n: float) -> int:
    """Bits by which the sum of ``n`` words is wider than one of them."""
    return math.ceil(math.log2(n)) if n > 1 else 0


def power_of_two(value: Any) -> bool:
    """Whether a product with this number only moves the binary point; a tensor's values are not known."""
    return isinstance(value, (int, float)) and value != 0 and abs(math.frexp(value)[0]) == 0.5


def adds(times: float, width: float) -> Part:
    """Additions, subtractions, comparisons or choices between two words of ``width`` bits.

    A comparison is a subtraction whose sign is used; a choice is a multiplexer, smaller than an adder, for which it is
    an estimate on the high side.
    """
    return Part("adder", "add_bit", width, times)


def multiplies(times: float, a_bits: float, b_bits: float) -> Part:
    """Products of an ``a_bits`` by a ``b_bits`` word."""
    return Part("multiplier", "bit_product", a_bits * b_bits, times)


def looks_up(times: float) -> Part:
    """Functions of one word from a table with an entry for each."""
    return Part("lookup", "evaluate", 1, times)


def aligns(times: float, width: float) -> Part:
    """Shifts of a word of ``width`` bits by as many places as its leading zeros, or back.

    A barrel shifter is ``width x log2(width)`` multiplexers; they are priced as bits of an adder, an estimate on the
    high side.
    """
    return Part("adder", "add_bit", width * growth(width), times)


def accumulates(times: float, width: float) -> tuple[Part, Part]:
    """Additions to a running sum of ``width`` bits, and the register that keeps it."""
    return adds(times, width), Part("register", "write_bit", width, times)


def products(name: str, sums: float, length: float, a_bits: float, b_bits: float) -> Stage:
    """``sums`` scalar products of ``length`` terms, one multiply-accumulate a turn: products of ``a_bits + b_bits``
    bits, sums ``log2(length)`` wider; the first term of a sum is not added to anything."""
    width = a_bits + b_bits + growth(length)
    every = sums * length
    return Stage(name, every, (multiplies(every, a_bits, b_bits), *accumulates(sums * max(length - 1, 0), width)))


def shape_of(tensor: torch.Tensor) -> str:
    """``4 x 16``, a batch of one left out."""
    shape = [int(n) for n in tensor.shape]
    return " x ".join(map(str, shape[1:] if shape[:1] == [1] else shape)) or "1"
