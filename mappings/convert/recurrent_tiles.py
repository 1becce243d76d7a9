"""Recurrent layers of a converted network: one layer in one direction each."""

from __future__ import annotations

from typing import Any

import torch

from mappings.convert.packed import BUILT, packed
from mappings.convert.tiles import TileModule

CELLS = {"lstm": 4, "gru": 3, "rnn": 1, "rnn_relu": 1}
"""Blocks of rows of torch's weights, one for each gate."""


class TileRecurrent(TileModule):
    """An LSTM, GRU or plain RNN over ``x (batch, steps, inputs)``, with initial states ``(batch, outputs)`` or None, and
    lengths ``(batch,)`` of packed sequences or None.

    A call gives ``(states of all steps, last h)``, and the last ``c`` of an LSTM. Parameters have torch's names:
    ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh`` and, of an LSTM's projection, ``weight_hr``.
    """

    kind = "recurrent"

    def __init__(self, name: str, cell: str, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__(name)
        self.cell = cell
        for label, tensor in tensors.items():
            self.register_parameter(label, torch.nn.Parameter(tensor.detach()))
        self.names = tuple(tensors)

    @property
    def described(self) -> str:
        """What is computed, for tables."""
        return f"{self.cell} of {self.hidden} units" + (f" to {self.outputs}" if "weight_hr" in self.names else "")

    @property
    def hidden(self) -> int:
        """Units."""
        return int(self.weight_hh.shape[0]) // CELLS[self.cell]

    @property
    def outputs(self) -> int:
        """Values of a state."""
        return int(self.weight_hh.shape[1])

    @property
    def weights(self) -> list[torch.Tensor]:
        """Parameters in torch's order."""
        return [getattr(self, name) for name in self.names]

    def software(self, *values: torch.Tensor | None) -> Any:
        """As torch computes it."""
        x, *start, lengths = values
        assert x is not None
        sizes = (self.outputs, self.hidden) if self.cell == "lstm" else (self.outputs,)
        begin = [
            x.new_zeros((1, x.shape[0], size)) if one is None else one[None]
            for one, size in zip(start, sizes, strict=True)
        ]
        biases = "bias_ih" in self.names
        if lengths is not None:
            states, *last = packed(self.cell, x, lengths, begin, self.weights, biases, 1, False)
            last = last[: len(sizes)]
        else:
            how = (self.weights, biases, 1, 0.0, False, False, True)
            states, *last = BUILT[self.cell](x, begin if self.cell == "lstm" else begin[0], *how)
        if self.observed is not None:
            self.observed.add(x, states)
        return (states, *(one[0] for one in last))

    def outline(self, *values: torch.Tensor | None) -> Any:
        """Shapes of the outputs."""
        x = values[0]
        assert x is not None
        batch, steps = x.shape[:2]
        last = [x.new_empty((batch, self.outputs))]
        if self.cell == "lstm":
            last.append(x.new_empty((batch, self.hidden)))
        return (x.new_empty((batch, steps, self.outputs)), *last)

    def steps(self, x: torch.Tensor) -> int:
        """One for each step of each sequence."""
        return x.shape[0] * x.shape[1]

    def record(self) -> dict[str, Any]:
        """What a file keeps beside the tensors."""
        return super().record() | {"cell": self.cell, "names": list(self.names)}

    @classmethod
    def of_record(cls, name: str, record: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TileModule:
        """The layer that a file describes."""
        made = cls(name, record["cell"], {one: tensors[one] for one in record["names"]})
        return made.restored(record, tensors)
