"""Recurrent layers of a converted network: one layer in one direction each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import linear

from devices import BlockNoise, ChipStreams
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.contract import WordFormat
from mappings.convert.packed import BUILT, packed
from mappings.convert.tiles import TileModule, Values, host, own
from mappings.network.actions import Cell
from mappings.network.aware import AwareCell
from mappings.network.layer import MappedMatrixLayer, MatrixLayerRead
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from mappings.network.torch_cells import gru_reset_before

CELLS = {"lstm": 4, "gru": 3, "gru_before": 3, "rnn": 1, "rnn_relu": 1}
"""Blocks of rows of torch's weights, one for each gate; ``gru_before``: its reset gate acts before the product."""
ON_TILES: dict[str, Cell] = {
    "lstm": "lstm",
    "gru": "gru_after",
    "gru_before": "gru",
    "rnn": "rnn",
    "rnn_relu": "rnn_relu",
}


class TileRecurrent(TileModule):
    """An LSTM, GRU or plain RNN over ``x (batch, steps, inputs)``, with initial states ``(batch, outputs)`` or None,
    and lengths ``(batch,)`` of packed sequences or None.

    A call gives ``(states of all steps, last h)``, and the last ``c`` of an LSTM. Parameters have torch's names:
    ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh`` and, of an LSTM's projection, ``weight_hr``; a ``gru_before``
    has one bias.
    """

    kind = "recurrent"
    weight_ih: torch.Tensor
    weight_hh: torch.Tensor
    bias_ih: torch.Tensor
    bias_hh: torch.Tensor
    weight_hr: torch.Tensor

    def __init__(self, name: str, cell: str, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__(name)
        self.cell = cell
        for label, tensor in tensors.items():
            self.register_parameter(label, own(tensor))
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
        if self.cell == "gru_before":
            bias = self.bias_ih if biases else None
            states, *last = gru_reset_before(x, begin[0][0], self.weight_ih, self.weight_hh, bias)
            last = [one[None] for one in last]
        elif lengths is not None:
            states, *last = packed(self.cell, x, lengths, begin, self.weights, biases, 1, False)
            last = last[: len(sizes)]
        else:
            how = (self.weights, biases, 1, 0.0, False, False, True)
            states, *last = BUILT[self.cell](x, begin if self.cell == "lstm" else begin[0], *how)
        if self.observed is not None:
            self.observed.add(x, self._spread(x, states))
        return (states, *(one[0] for one in last))

    def _spread(self, x: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """What the range of the layer has to hold: its states, or the parts of a GRU's candidate."""
        if self.cell != "gru":
            return states
        before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)
        gates, biases = 2 * self.hidden, "bias_ih" in self.names
        of_x = linear(x, self.weight_ih[gates:], self.bias_ih[gates:] if biases else None)
        of_h = linear(before, self.weight_hh[gates:], self.bias_hh[gates:] if biases else None)
        return torch.cat([of_x, of_h], dim=-1)

    @property
    def limit(self) -> float:
        """Largest state of an RNN with relu or of a projection, or part of a GRU's candidate, either sign."""
        limit = max(map(abs, torch.stack([self.low, self.high]).tolist()))
        return limit if limit == limit and limit > 0.0 else 1.0

    @property
    def state_limit(self) -> float:
        """Largest state that is driven back."""
        return self.limit if self.cell == "rnn_relu" or "weight_hr" in self.names else 1.0

    def state_words(self, chip: Chip) -> WordFormat:
        """The format of the states."""
        return WordFormat(bits=chip.bits, limit=self.state_limit)

    def map(self, chip: Chip) -> dict[str, MappedMatrixLayer]:
        """The layer on its tiles."""
        found = {name: host(getattr(self, name)) for name in self.names}
        layer = RecurrentLayer.from_torch(
            ON_TILES[self.cell],
            found["weight_ih"],
            found["weight_hh"],
            found.get("bias_ih"),
            bias_hh=found.get("bias_hh"),
            weight_hr=found.get("weight_hr"),
            reset="before",
            limit=self.limit,
        )
        counts = None
        if layer.follows_data(chip) and self.calibration is not None:
            counts = self.counts(self.calibration.float()).cpu()
        return {self.name: layer.map(chip, name=self.name, inputs=self.words(chip), calibration=counts)}

    def run(
        self,
        reads: Sequence[MatrixLayerRead],
        values: Values,
        *,
        chips: int,
        rng: ChipStreams,
        activity: Sequence[Activity | None],
    ) -> Any:
        """States of all steps and the last ones, ``(chips, ...)``."""
        (read,), (did,), (x, *start, lengths) = reads, activity, values
        assert x is not None
        assert self.chip is not None
        assert isinstance(read, RecurrentRead)
        ends = None if lengths is None else lengths[0]
        noise = BlockNoise(rng, [0], x.shape[1], x.device)
        inputs = read.checked(self.counts(x.float()), noise)
        states, h, c = read.sequence(inputs, noise, did, start=start, lengths=ends)
        words = self.state_words(self.chip)
        found = [states * words.lsb, h * words.lsb, c]
        return tuple(one.to(x.dtype) for one in (found if self.cell == "lstm" else found[:2]))

    def formats(self, *values: torch.Tensor | None) -> Any:
        """The same as an ideal chip of these formats computes it, differentiably."""
        assert self.chip is not None
        x, *start, lengths = values
        assert x is not None
        if self.chip.rounding == "none" and not (self.training and self.disturb is not None):
            return self.software(*values)
        inputs, states = self.words(self.chip).limit, self.state_limit
        cell = AwareCell.of(ON_TILES[self.cell], self.chip, inputs=inputs, states=states, limit=self.limit)
        return cell.sequence(x, self._disturbed(inputs / states), start, lengths)

    def _disturbed(self, scale: float) -> dict[str, torch.Tensor]:
        """Parameters by name; in training with the errors of cells, which the array has at the scale of its lines."""
        found = {name: getattr(self, name) for name in self.names}
        if self.training and self.disturb is not None:
            both = self.weight_ih * scale, self.weight_hh
            whole = self.disturb(torch.cat(both, dim=1))
            found["weight_ih"], found["weight_hh"] = whole.split([one.shape[1] for one in both], dim=1)
            found["weight_ih"] = found["weight_ih"] / scale
            if "weight_hr" in found:
                found["weight_hr"] = self.disturb(found["weight_hr"])
        return found

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
