"""The keyword spotter: one recurrent layer, and a linear read-out of its last hidden state."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from devices import Stream
from mappings.network.aware import Aware

FORGET_BIAS = 1.0
KeywordCell = Literal["lstm", "gru", "rnn"]
GATE_BLOCKS: dict[KeywordCell, int] = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True, kw_only=True)
class KeywordModel:
    """Shape of the network.

    Parameters
    ----------
    cell : lstm, gru (reset gate before the product) or rnn
    hidden : units of the recurrent layer
    readout_steps : the read-out sees the mean hidden state of so many last steps (a digital sum; 1 takes the last), at
        most the frames of a clip
    classes : order of the classes in a network that the user gives (``--weights``), where its file does not state it
    """

    cell: KeywordCell = "lstm"
    hidden: Annotated[int, Interval(ge=1, le=4096)] = 32
    readout_steps: Annotated[int, Interval(ge=1, le=1024)] = 8
    classes: tuple[str, ...] = ()


class KeywordNet(torch.nn.Module):
    """Parameters under torch's names (``weight_ih_l0`` ... of one layer, ``output.weight``, ``output.bias``).

    One bias vector serves each gate: ``bias_hh_l0`` stays zero, since on a crossbar both would share one word line.
    """

    def __init__(self, model: KeywordModel, inputs: int, classes: int, *, rng: Stream) -> None:
        super().__init__()
        cell, hidden = model.cell, model.hidden
        self.model = model
        draw = rng.child("init").torch()
        rows, bound = GATE_BLOCKS[cell] * hidden, hidden**-0.5
        self.weight_ih_l0 = torch.nn.Parameter(torch.empty(rows, inputs).uniform_(-bound, bound, generator=draw))
        self.weight_hh_l0 = torch.nn.Parameter(torch.empty(rows, hidden).uniform_(-bound, bound, generator=draw))
        bias = torch.zeros(rows)
        if cell == "lstm":
            bias[hidden : 2 * hidden] = FORGET_BIAS
        self.bias_ih_l0 = torch.nn.Parameter(bias)
        self.output = torch.nn.Linear(hidden, classes)
        with torch.no_grad():
            self.output.weight.uniform_(-bound, bound, generator=draw)
            self.output.bias.zero_()

    def forward(
        self, x: torch.Tensor, aware: Aware | None = None, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Logits ``(batch, classes)`` of features ``x (batch, steps, inputs)``; in software, or as ``aware`` says."""
        if aware is None:
            return self.output(self._software(x))  # type: ignore[no-any-return]
        draw = generator or torch.Generator()
        h = self._aware(x, aware, draw)
        return torch.nn.functional.linear(h, aware.noisy(self.output.weight, draw), self.output.bias)

    def _aware(self, x: torch.Tensor, aware: Aware, draw: torch.Generator) -> torch.Tensor:
        return aware.hidden(
            self.model.cell,
            x,
            self.weight_ih_l0,
            self.weight_hh_l0,
            self.bias_ih_l0,
            generator=draw,
            readout_steps=self.model.readout_steps,
        )

    def _software(self, x: torch.Tensor) -> torch.Tensor:
        if self.model.cell == "gru":
            return self._aware(x, Aware(), torch.Generator())
        weights = [self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, torch.zeros_like(self.bias_ih_l0)]
        start = x.new_zeros(1, x.shape[0], self.model.hidden)
        if self.model.cell == "rnn":
            states = torch._VF.rnn_tanh(x, start, weights, True, 1, 0.0, True, False, True)[0]
        else:
            states = torch._VF.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)[0]
        return states[:, -self.model.readout_steps :].mean(dim=1)

    def without_bias(self) -> KeywordNet:
        """The same network with its biases at zero, where training leaves them."""
        net = copy.deepcopy(self)
        for bias in (net.bias_ih_l0, net.output.bias):
            bias.requires_grad_(False).zero_()
        return net

    def limit_weights(self, recurrent: float, output: float) -> None:
        """Clip every weight and bias to ``[-limit, limit]``: what a pair of cells can hold at a sensible scale."""
        with torch.no_grad():
            for parameter in (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0):
                parameter.clamp_(-recurrent, recurrent)
            for parameter in self.output.parameters():
                parameter.clamp_(-output, output)
