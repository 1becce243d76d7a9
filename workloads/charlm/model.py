"""The character network: an embedding, one LSTM with or without a projection, and an output layer.

States go in and come out, so that a text of any length is read in windows (``streams``): the next window of a stream
begins where the one before ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from torch import nn
from torch.nn.functional import cross_entropy

Widths = Annotated[int, Interval(ge=1, le=65_536)]
State = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class CharacterModel:
    """Sizes of the network.

    Parameters
    ----------
    inputs : width of the embedding
    units : of the LSTM
    projection : width to which their output is projected, None for no projection
    embedding : ``digital``, a table; or ``tiles``, a matrix on which a line is driven for each character
    output : where the layer in front of the softmax is
    """

    inputs: Widths = 128
    units: Widths = 504
    projection: Widths | None = None
    embedding: Literal["digital", "tiles"] = "digital"
    output: Literal["digital", "tiles"] = "tiles"

    @property
    def state(self) -> int:
        """Width of what is fed back."""
        return self.units if self.projection is None else self.projection


class OneLine(nn.Module):
    """Characters as vectors with a 1 at their number."""

    numbers: torch.Tensor

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.arange(characters), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(..., characters)`` of numbers ``(...)``."""
        return (x[..., None] == self.numbers).to(torch.float32)


class CharacterNetwork(nn.Module):
    """Numbers of characters ``(n, steps)`` and states of ``n`` streams to logits ``(n, steps, characters)`` and states.

    ``dropout``: shares of the embedding's and of the LSTM's outputs that training leaves out.
    """

    def __init__(self, characters: int, model: CharacterModel, dropout: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        self.model = model
        if model.embedding == "digital":
            self.embedding: nn.Module = nn.Embedding(characters, model.inputs)
        else:
            self.embedding = nn.Sequential(OneLine(characters), nn.Linear(characters, model.inputs, bias=False))
        nn.init.uniform_(self.table, -0.5, 0.5)
        self.lstm = nn.LSTM(model.inputs, model.units, batch_first=True, proj_size=model.projection or 0)
        self.output = nn.Linear(model.state, characters)
        self.dropped = nn.ModuleList([nn.Dropout(dropout[0]), nn.Dropout(dropout[1])])
        with torch.no_grad():
            # Forget gates that begin nearly open (Jozefowicz et al., ICML 2015).
            self.lstm.get_parameter("bias_ih_l0")[model.units : 2 * model.units] = 1.0

    @property
    def table(self) -> nn.Parameter:
        """Weights of the embedding."""
        (weights,) = self.embedding.parameters()
        return weights

    def start(self, streams: int) -> State:
        """States of zero, ``(streams, fed back)`` and ``(streams, units)``."""
        like = self.output.weight
        return like.new_zeros((streams, self.model.state)), like.new_zeros((streams, self.model.units))

    def read(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States at every step ``(n, steps, fed back)``, and the last ones."""
        states, (h, c) = self.lstm(self.dropped[0](self.embedding(x)), (h[None], c[None]))
        return states, h[0], c[0]

    def answers(self, states: torch.Tensor) -> torch.Tensor:
        """Logits of states."""
        logits: torch.Tensor = self.output(self.dropped[1](states))
        return logits

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of the next character at every step, and the last states."""
        states, h, c = self.read(x, h, c)
        return self.answers(states), h, c


def streams(text: torch.Tensor, count: int, window: int, *, first: int = 0) -> Iterator[State]:
    """Characters and the ones that follow them, ``(count, window)`` each: equal pieces of a text, read side by side.

    What is left at the end, less than ``count`` characters, is left out.

    ``first``: characters in front that are left out.
    """
    each = (len(text) - 1 - first) // count
    x = text[first : first + count * each].view(count, each)
    y = text[first + 1 : first + 1 + count * each].view(count, each)
    for begin in range(0, each, window):
        yield x[:, begin : begin + window], y[:, begin : begin + window]


def bits(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean bits per character [bit]: the negative logarithm to base 2 of the share given to what came."""
    return cross_entropy(logits.flatten(0, -2), wanted.flatten()) / math.log(2.0)


def bits_per_character(
    step: Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    start: State,
    text: torch.Tensor,
    count: int,
    window: int,
) -> float:
    """Of a text read in so many streams, their states carried from window to window; without gradients."""
    (h, c), total, seen = start, 0.0, 0
    with torch.no_grad():
        for x, y in streams(text, count, window):
            logits, h, c = step(x, h, c)
            total += float(bits(logits, y)) * y.numel()
            seen += y.numel()
    return total / seen
