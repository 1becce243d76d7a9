"""The keyword spotter: one recurrent layer, and a linear read-out of its last hidden state."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Interval
from safetensors import SafetensorError
from safetensors.torch import load_file

from devices import InputError, Stream
from mappings.network.actions import Cell
from mappings.network.aware import Aware

FORGET_BIAS = 1.0
GATE_BLOCKS: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True, kw_only=True)
class Model:
    """Shape of the network.

    Parameters
    ----------
    cell : lstm, gru (reset gate before the product) or rnn
    hidden : units of the recurrent layer
    readout_steps : the read-out sees the mean hidden state of so many last steps (a digital sum; 1 takes the last)
    """

    cell: Cell = "lstm"
    hidden: Annotated[int, Interval(ge=1, le=65536)] = 32
    readout_steps: Annotated[int, Interval(ge=1, le=1024)] = 8


class KeywordNet(torch.nn.Module):
    """Parameters under torch's names (``weight_ih_l0`` ... of one layer, ``output.weight``, ``output.bias``).

    One bias vector serves each gate: ``bias_hh_l0`` stays zero, since on a crossbar both would share one word line.
    """

    def __init__(self, model: Model, inputs: int, classes: int, *, rng: Stream) -> None:
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


def load_weights(path: Path, net: KeywordNet) -> None:
    """Fill ``net`` with a user's own weights from a safetensors file with torch's names.

    The recurrent tensors may carry any prefix (``lstm.weight_ih_l0``, ``rnn.0.weight_ih_l0``); the read-out is the
    remaining 2-D tensor called ``*.weight`` with its ``*.bias``. torch's two bias vectors are added up.

    Raises InputError naming the file and the tensor that is missing or has another shape.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --weights takes a safetensors file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None

    def one(suffix: str, *, optional: bool = False) -> torch.Tensor | None:
        found = [name for name in tensors if name == suffix or name.endswith("." + suffix)]
        if len(found) == 1:
            return tensors.pop(found[0])
        if optional and not found:
            return None
        listed = ", ".join(found) if found else "none"
        raise InputError(f"{path}: exactly one tensor '*{suffix}' is needed (got {listed})")

    w_ih, w_hh = one("weight_ih_l0"), one("weight_hh_l0")
    b_ih, b_hh = one("bias_ih_l0", optional=True), one("bias_hh_l0", optional=True)
    w_out, b_out = one("weight"), one("bias", optional=True)
    if tensors:
        raise InputError(f"{path}: tensors that this network has no place for: {', '.join(sorted(tensors))}")
    zero = torch.zeros_like(net.bias_ih_l0)
    both = (zero if b_ih is None else b_ih), (zero if b_hh is None else b_hh)
    problems = []
    pairs = [
        ("weight_ih_l0", net.weight_ih_l0, w_ih),
        ("weight_hh_l0", net.weight_hh_l0, w_hh),
        ("bias_ih_l0", net.bias_ih_l0, both[0]),
        ("bias_hh_l0", net.bias_ih_l0, both[1]),
        ("output weight", net.output.weight, w_out),
        ("output bias", net.output.bias, torch.zeros_like(net.output.bias) if b_out is None else b_out),
    ]
    for name, place, given in pairs:
        assert given is not None
        if given.shape != place.shape:
            problems.append(f"{path}: {name}: shape must be {tuple(place.shape)} (got {tuple(given.shape)})")
        elif not bool(torch.isfinite(given).all()):
            problems.append(f"{path}: {name}: values must be finite")
    if problems:
        raise InputError(problems)
    with torch.no_grad():
        for _, place, given in pairs[:2] + pairs[4:]:
            assert given is not None
            place.copy_(given)
        net.bias_ih_l0.copy_(both[0] + both[1])
