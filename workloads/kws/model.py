"""The keyword spotter: recurrent layers, and a linear read-out of the mean of the last hidden states."""

from __future__ import annotations

import contextlib
import copy
import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Interval

from devices import InputError, Stream
from mappings.network.torch_cells import gru_reset_before

FORGET_BIAS = 1.0
KeywordCell = Literal["lstm", "gru", "rnn"]
GATE_BLOCKS: dict[KeywordCell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
OUTPUT = "output"
# What torch's own modules call; each gives the states of all steps first.
_TORCH: dict[KeywordCell, Any] = {"lstm": torch._VF.lstm, "gru": torch._VF.gru, "rnn": torch._VF.rnn_tanh}


@dataclass(frozen=True, kw_only=True)
class KeywordModel:
    """Shape of the network.

    Parameters
    ----------
    cell : lstm, gru or rnn
    reset : of a gru, whether its reset gate acts before the product or behind it, as torch's does
    layers : recurrent layers, each on the states of the one before it
    hidden : units of a recurrent layer
    readout_steps : the read-out sees the mean hidden state of so many last steps (a digital sum; 1 takes the last), at
        most the frames of a clip
    classes : order of the classes in a network that the user gives (``--weights``), where its file does not state it
    """

    cell: KeywordCell = "lstm"
    reset: Literal["before", "after"] = "before"
    layers: Annotated[int, Interval(ge=1, le=16)] = 1
    hidden: Annotated[int, Interval(ge=1, le=4096)] = 32
    readout_steps: Annotated[int, Interval(ge=1, le=1024)] = 8
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reset == "after" and self.cell != "gru":
            raise InputError(f"reset: only a gru has a reset gate (got after, of cell {self.cell})")

    @property
    def recurrent(self) -> tuple[str, ...]:
        """Names of the recurrent layers on chips and in tables."""
        return ("recurrent",) if self.layers == 1 else tuple(f"recurrent.l{k}" for k in range(self.layers))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all layers on chips, in order."""
        return (*self.recurrent, OUTPUT)

    @property
    def described(self) -> str:
        """What a recurrent layer computes."""
        torchs = {"lstm": "torch's LSTM", "gru": "torch's GRU", "rnn": "torch's RNN of tanh"}
        before = self.cell == "gru" and self.reset == "before"
        return "a GRU whose reset gate acts before the product" if before else torchs[self.cell]


class KeywordNet(torch.nn.Module):
    """Parameters under torch's names (``weight_ih_l0``, ``weight_ih_l1`` ..., ``output.weight``, ``output.bias``).

    One bias vector serves each gate, since on a crossbar both would share one word line; a GRU of torch has a
    ``bias_hh`` of its own, which does not add up with the other.
    """

    no_bias: torch.Tensor

    def __init__(self, model: KeywordModel, inputs: int, classes: int, *, rng: Stream) -> None:
        super().__init__()
        cell, hidden = model.cell, model.hidden
        self.model, self.inputs, self.classes = model, inputs, classes
        draw = rng.child("init").torch()
        rows, bound = GATE_BLOCKS[cell] * hidden, hidden**-0.5
        for layer in range(model.layers):
            for name, width in (("weight_ih", hidden if layer else inputs), ("weight_hh", hidden)):
                drawn = torch.empty(rows, width).uniform_(-bound, bound, generator=draw)
                self.register_parameter(f"{name}_l{layer}", torch.nn.Parameter(drawn))
            bias = torch.zeros(rows)
            if cell == "lstm":
                bias[hidden : 2 * hidden] = FORGET_BIAS
            self.register_parameter(f"bias_ih_l{layer}", torch.nn.Parameter(bias))
            if model.reset == "after":
                self.register_parameter(f"bias_hh_l{layer}", torch.nn.Parameter(torch.zeros(rows)))
        self.register_buffer("no_bias", torch.zeros(rows), persistent=False)
        self.output = torch.nn.Linear(hidden, classes)
        with torch.no_grad():
            self.output.weight.uniform_(-bound, bound, generator=draw)
            self.output.bias.zero_()

    def tensors(self, layer: int) -> dict[str, torch.Tensor]:
        """Parameters of one recurrent layer, by torch's names without its number."""
        end = f"_l{layer}"
        return {name.removesuffix(end): one for name, one in self.named_parameters() if name.endswith(end)}

    @property
    def biases(self) -> list[torch.nn.Parameter]:
        """The vectors among the parameters."""
        return [one for one in self.parameters() if one.dim() == 1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, classes)`` of features ``x (batch, steps, inputs)``."""
        for layer in range(self.model.layers):
            x = self._states(x, self.tensors(layer))
        steps = self.model.readout_steps
        return self.output(x[:, -1] if steps == 1 else x[:, -steps:].mean(dim=1))  # type: ignore[no-any-return]

    def _states(self, x: torch.Tensor, of: dict[str, torch.Tensor]) -> torch.Tensor:
        """States of all steps of one layer, ``(batch, steps, hidden)``."""
        cell, hidden = self.model.cell, self.model.hidden
        if cell == "gru" and self.model.reset == "before":
            found: torch.Tensor = gru_reset_before(x, x.new_zeros(x.shape[0], hidden), *of.values())[0]
            return found
        weights = [of["weight_ih"], of["weight_hh"], of["bias_ih"], of.get("bias_hh", self.no_bias)]
        start = x.new_zeros(1, x.shape[0], hidden)
        with warnings.catch_warnings() if x.is_cuda else contextlib.nullcontext():
            if x.is_cuda:  # cuDNN copies weights that do not lie behind each other; these are small
                warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
            states: torch.Tensor = _TORCH[cell](
                x, (start, start) if cell == "lstm" else start, weights, True, 1, 0.0, self.training, False, True
            )[0]
        return states

    def without_bias(self) -> KeywordNet:
        """The same network with its biases at zero, where training leaves them."""
        net = copy.deepcopy(self)
        for bias in net.biases:
            bias.requires_grad_(False).zero_()
        return net

    def limit_weights(self, recurrent: float, output: float) -> None:
        """Clip every weight and bias to ``[-limit, limit]``: what a pair of cells can hold at a sensible scale."""
        with torch.no_grad():
            for layer in range(self.model.layers):
                for parameter in self.tensors(layer).values():
                    parameter.clamp_(-recurrent, recurrent)
            for parameter in self.output.parameters():
                parameter.clamp_(-output, output)
