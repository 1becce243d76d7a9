"""A recurrent layer on tiles: LSTM, GRU or plain RNN, with the nonlinear ramp as its activation.

Rows are the inputs, the hidden state and the bias; columns are the gates. One step of an LSTM is

    [i f o g] = ramp(W [x h 1])       sigmoid ramp for i, f, o and tanh ramp for g, all columns at once
    c = f c + i g                     digital, saturating fixed point
    h = o ramp(c)                     c goes back to charge through one cell pair per unit and meets a second tanh ramp;
                                      h is rounded to the bits of the input

The GRU is the form whose reset gate acts before the product (Cho et al., 2014), ``n = tanh(W [x, r h, 1])``: with a
nonlinear conversion there is no linear partial sum to which the gate could be applied afterwards. It takes two passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from devices import BlockNoise, ChipStreams, InputError, Stream
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, Factors, MappedConverter, volts_per_z
from mappings.compensation import measured_factors
from mappings.contract import WordFormat
from mappings.matrix import MappedMatrix, WeightMatrix, check_chip
from mappings.network.actions import GATES, Cell, RecurrentShape, recurrent_actions
from mappings.network.layer import MappedMatrixLayer, MatrixLayer, ProgrammedMatrixLayer, with_inputs
from mappings.network.recurrent_run import RecurrentRead, StateRead
from mappings.step import StepActivity
from periphery import SIGMOID, TANH

TORCH_ORDER: dict[Cell, tuple[str, ...]] = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("h",)}


@dataclass(frozen=True)
class RecurrentLayer(MatrixLayer):
    """Weights of one recurrent layer, before any hardware; columns are sigmoid gates first, then tanh gates."""

    cell: Cell
    hidden: int
    weights: WeightMatrix

    @classmethod
    def from_torch(
        cls, cell: Cell, weight_ih: torch.Tensor, weight_hh: torch.Tensor, bias: torch.Tensor | None
    ) -> RecurrentLayer:
        """From tensors named and ordered as torch does; ``bias`` is the sum of torch's two."""
        hidden = weight_hh.shape[1]
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
        """Whether ranges or levels of the gates' converters are chosen for data."""
        return chip.follows_data

    def seen_by(self, chip: Chip, counts: torch.Tensor) -> dict[str, torch.Tensor]:
        """Pre-activations ``(samples, columns)`` at each group's conversions on an ideal chip of this format.

        ``counts``: calibration inputs ``(n, steps, inputs)`` in clock periods. Keys are the numbers of the groups of
        columns, ``"0"`` and ``"1"``: what ranges and optimal levels are chosen for.
        """
        rng = ChipStreams.of(Stream.root(0).child("calibration"), 1)
        activity = Activity(seen={})
        ideal = self.map(chip.plain()).program(rng=rng).at(0.0)
        ideal.run(counts, noise=BlockNoise(rng, [0], counts.shape[-3]), activity=activity)
        assert activity.seen is not None
        return {name: torch.cat(z, dim=1)[0] for name, z in activity.seen.items()}

    def map(
        self,
        chip: Chip,
        *,
        name: str = "layer",
        inputs: WordFormat | None = None,
        calibration: torch.Tensor | None = None,
    ) -> MappedRecurrent:
        """Find the tiles, columns and converters of the layer; ``calibration``: ``(n, steps, inputs)``."""
        chip = with_inputs(chip, inputs)
        if chip.follows_data and calibration is None:
            raise InputError(
                "chip: ranges calibrated on data and optimal levels need calibration inputs (got none): "
                "layer.map(chip, calibration=counts)"
            )
        cold = chip.as_written
        matrix = MappedMatrix.of(self.weights, cold)
        check_chip(chip, matrix.rows, "a ramp that computes an activation")
        groups = self.groups(chip)
        volts = volts_per_z(chip, [(group.function, chip.bits) for group in groups])
        seen = self.seen_by(chip, calibration) if calibration is not None and chip.follows_data else {}

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

        converters = [
            converter(group, cold, group.function.name, "group", k).following(
                group.gather(seen[str(k)]) if str(k) in seen else None
            )
            for k, group in enumerate(groups)
        ]
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
    """Where a recurrent layer goes."""

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

    def program(self, *, rng: ChipStreams) -> ProgrammedRecurrent:
        """Write cells, ramps and comparators once on ``len(rng)`` chips."""
        cells, device = None, self.chip.ramp.device
        if self.state is not None:
            top = torch.full((1, self.layer.hidden), device.g_max_S)
            cells = device.program(top, rng=rng.child("state cells"))
        return ProgrammedRecurrent(
            mapped=self,
            matrix=self.matrix.program(rng=rng.child("weights")),
            converters=tuple(converter.build(rng) for converter in self.converters),
            rng=rng,
            state=None if self.state is None else self.state.build(rng),
            state_cells=cells,
        )


@dataclass(frozen=True, kw_only=True)
class ProgrammedRecurrent(ProgrammedMatrixLayer):
    """A recurrent layer as written."""

    mapped: MappedRecurrent

    def at(self, t_s: float, *, before: Sequence[torch.Tensor | float] = ()) -> RecurrentRead:
        """The layer ``t_s`` seconds after programming; its own ramps measure by how much its array has shrunk."""
        chip, mapped = self.mapped.chip, self.mapped
        converters, state = self.renewed(t_s)
        factors = Factors([1.0] * len(converters))
        if chip.compensation.mode != "off":
            factors = measured_factors(self.matrix, self.converters, converters, t_s, chip=chip, rng=self.rng)
        read_state = None
        if state is not None and self.state_cells is not None:
            device = chip.ramp.device
            gain = (device.conductance_S(self.state_cells, t_s) / device.g_max_S)[:, None]
            read_state = StateRead(state.group, state.at(t_s), gain)
        return RecurrentRead(
            mapped.shape,
            chip,
            ColumnsRead.of(self.matrix.reading(chip).at(t_s), converters, t_s, factors),
            tuple(factors.ramp),
            len(self.rng),
            read_state,
        )
