"""A recurrent layer on tiles: LSTM, GRU or plain RNN, with the nonlinear ramp as its activation.

Rows are the inputs, the hidden state and the bias; columns are the gates. One step of an LSTM is

    [i f o g] = ramp(W [x h 1])       sigmoid ramp for i, f, o and tanh ramp for g, all columns at once
    c = f c + i g                     digital, saturating fixed point
    h = o ramp(c)                     c goes back to charge through one cell pair per unit and to a second tanh ramp;
                                      h is rounded to the bits of the input

The GRU is the form whose reset gate acts before the product (Cho et al., 2014), ``n = tanh(W [x, r h, 1])``: with a
nonlinear conversion there is no linear partial sum to which the gate could be applied afterwards. It takes two passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from devices import InputError
from mappings.actions import Actions
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, DriftFactors, MappedConverter, volts_per_z
from mappings.contract import WordFormat
from mappings.matrix import MappedMatrix, WeightMatrix
from mappings.network.actions import GATES, Cell, RecurrentShape, recurrent_actions
from mappings.network.layer import MappedMatrixLayer, MatrixLayer, StateRead
from mappings.network.recurrent_run import RecurrentRead
from mappings.step import StepActivity
from periphery import SIGMOID, TANH

TORCH_ORDER: dict[Cell, tuple[str, ...]] = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("h",)}
RESET_AFTER = (
    "torch and Keras apply a GRU's reset gate after the product with the hidden state, with a bias of its own; mho "
    "applies it before (mappings/network/recurrent.py), so the same weights are another network, and nothing in the "
    "tensors tells which was trained"
)


@dataclass(frozen=True)
class RecurrentLayer(MatrixLayer):
    """Weights of one recurrent layer, before any hardware; columns are sigmoid gates first, then tanh gates."""

    converts: ClassVar[str] = "a ramp that computes an activation"

    cell: Cell
    hidden: int
    weights: WeightMatrix

    @classmethod
    def from_torch(
        cls,
        cell: Cell,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        reset: Literal["before", "after"] = "after",
    ) -> RecurrentLayer:
        """From tensors named and ordered as torch does; ``bias`` is the sum of torch's two.

        ``reset``: a GRU must have been trained with its reset gate ``before`` the product, which nothing in its tensors
        tells. Raises InputError for another GRU, and for shapes of another cell or of a projected hidden state.
        """
        hidden, gates = weight_hh.shape[-1], len(TORCH_ORDER[cell])
        if cell == "gru" and reset != "before":
            raise InputError(f"reset: must be 'before' for a GRU (got {reset!r}): {RESET_AFTER}")
        if weight_hh.shape != (gates * hidden, hidden) or weight_ih.shape[:-1] != (gates * hidden,):
            raise InputError(
                f"weight_ih, weight_hh: of h units of torch's {cell} they are ({gates} h, inputs) and ({gates} h, h), "
                f"without a projection (got {tuple(weight_ih.shape)} and {tuple(weight_hh.shape)})"
            )
        names = [*GATES[cell][0], *GATES[cell][1]]
        order = torch.cat([torch.arange(hidden) + TORCH_ORDER[cell].index(name) * hidden for name in names])
        return cls(cell, hidden, WeightMatrix((weight_ih, weight_hh), bias, order))

    @property
    def inputs(self) -> int:
        """Values that come in at every step."""
        return self.weights.inputs - self.hidden

    @property
    def outputs(self) -> int:
        """Hidden units."""
        return self.hidden

    def follows_data(self, chip: Chip) -> bool:
        """Whether ranges or levels of the gates' converters are chosen for data on this chip."""
        return chip.follows_data

    def on_tiles(
        self, chip: Chip, name: str, matrix: MappedMatrix, data: Mapping[str, torch.Tensor]
    ) -> MappedRecurrent:
        """The layer with the converters of its gates and, for an LSTM with a ramp, of its cell state."""
        cold, groups = chip.as_written, self.groups(chip)
        volts = volts_per_z(chip, [(group.function, chip.bits) for group in groups])

        def converter(group: ColumnGroup, on: Chip, name: str, *stream: str | int) -> MappedConverter:
            return MappedConverter(
                name=f"ramp of {name}",
                group=group,
                chip=on,
                stream=stream,
                renewal=stream[-1:],
                bits=chip.bits,
                adc_bits=chip.adc_bits,
                range_z=chip.adc.range_z,
                volts_per_z=volts,
            )

        converters = []
        for k, group in enumerate(groups):
            z = data.get(str(k))
            gates = converter(group, cold, group.function.name, "group", k)
            converters.append(gates.following(None if z is None else group.gather(z)))
        state = None
        if self.cell == "lstm" and chip.readout == "ramp":
            units = ColumnGroup.cut(TANH, 0, self.hidden, chip.columns, chip.columns_per_ramp)
            # What comes back from the digital state is a whole number of clock periods: no data to choose levels for.
            state = converter(units, cold.without_data(), "the cell state", "state").following(None)
        return MappedRecurrent(
            layer=self, name=name, chip=chip, matrix=matrix, converters=tuple(converters), state=state
        )

    def groups(self, chip: Chip) -> list[ColumnGroup]:
        """Columns by function, cut by tiles."""
        split, columns = len(GATES[self.cell][0]) * self.hidden, self.weights.columns
        ends = [(SIGMOID, 0, split), (TANH, split, columns)]
        return [
            ColumnGroup.cut(function, first, last, chip.columns, chip.columns_per_ramp)
            for function, first, last in ends
            if last > first
        ]


@dataclass(frozen=True, kw_only=True)
class MappedRecurrent(MappedMatrixLayer):
    """Where a recurrent layer goes; its ramps measure by how much its array has shrunk."""

    measures_drift: ClassVar[bool] = True

    layer: RecurrentLayer

    @property
    def output_words(self) -> WordFormat:
        """Hidden states leave as the pulse widths that are fed back."""
        return self.input_words

    @property
    def passes(self) -> int:
        """Two for a GRU, whose candidate waits for its reset gate."""
        return 2 if self.layer.cell == "gru" else 1

    @property
    def shape(self) -> RecurrentShape:
        """What the layer needs on the chip, in the words of the price list."""
        layer = self.layer
        return self.shaped(
            RecurrentShape, cell=layer.cell, inputs=layer.inputs, hidden=layer.hidden, state_bits=self.chip.state.bits
        )

    def step(self, activity: StepActivity) -> Actions:
        """One step of the sequence."""
        return recurrent_actions(self.shape, activity, self.timing)

    def read(self, columns: ColumnsRead, factors: DriftFactors, chips: int, state: StateRead | None) -> RecurrentRead:
        """So many chips of the layer at one time."""
        return RecurrentRead(columns, tuple(factors.ramp), chips, self.layer.inputs, self.shape, self.chip, state)
