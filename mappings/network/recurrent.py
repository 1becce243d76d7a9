"""A recurrent layer on tiles: LSTM, GRU or plain RNN, with the nonlinear ramp as its activation.

Rows are the inputs, the hidden state and the bias; columns are the gates. One step of an LSTM is

    [i f o g] = ramp(W [x h 1])       sigmoid ramp for i, f, o and tanh ramp for g, all columns at once
    c = f c + i g                     digital, saturating fixed point
    h = o ramp(c)                     c goes back to charge through one cell pair per unit and to a second tanh ramp;
                                      h is rounded to the bits of the input

torch's GRU applies its reset gate to one part of its candidate's sum, ``n = tanh(W x + b + r (U h + b'))``. A nonlinear
conversion of a part would be wrong, so both parts are converted linearly, over ``-limit`` to ``limit``, and their
digital sum goes back to charge for its tanh, as an LSTM's cell state does. A GRU whose reset gate acts before the
product, ``n = tanh(W [x, r h, 1])``, needs no linear conversion, and two passes.

Inputs may have another full scale than states: weights of the inputs are then scaled by the ratio, as those of the bias
are, since all word lines have one format.

An LSTM may have a projection (Sak et al., arXiv 1402.1128; torch's ``proj_size``): ``h = W_hr (o tanh(c))`` is fed back
and goes out. ``W_hr`` is a dense layer on tiles of its own, whose linear ramp has the format of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import ClassVar, Literal

import torch

from devices import ChipStreams, InputError
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip, OutputConverter
from mappings.columns import ColumnGroup, ColumnsRead, DriftFactors, MappedConverter, range_z
from mappings.contract import WordFormat, WrittenCells
from mappings.matrix import MappedMatrix, WeightMatrix
from mappings.network.actions import GATES, THROUGH_STATE, Cell, RecurrentShape, recurrent_actions
from mappings.network.assumed import Assumed
from mappings.network.dense import DenseLayer
from mappings.network.layer import MappedMatrixLayer, MatrixLayer, MatrixLayerRead, ProgrammedMatrixLayer, StateRead
from mappings.network.recurrent_run import RecurrentRead
from mappings.network.torch_cells import cell_of, matrix_of
from mappings.step import StepActivity
from periphery import SIGMOID, TANH, identity
from periphery.functions.library import named_function
from periphery.prices.component import Component


@dataclass(frozen=True)
class RecurrentLayer(MatrixLayer):
    """Weights of one recurrent layer, before any hardware; columns are sigmoid gates first, then the others.

    ``limit``: largest state of an RNN with relu or of a projection, or part of a ``gru_after``'s candidate, either
    sign; what is larger saturates. Raises InputError for one that is not positive.
    """

    converts: ClassVar[str] = "a ramp that computes an activation"

    cell: Cell
    hidden: int
    weights: WeightMatrix
    projection: DenseLayer | None = None
    limit: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.limit < math.inf:
            raise InputError(f"limit: must be positive and finite (got {self.limit:g})")

    @classmethod
    def from_torch(
        cls,
        cell: Cell,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        bias_hh: torch.Tensor | None = None,
        weight_hr: torch.Tensor | None = None,
        reset: Literal["before", "after"] = "after",
        limit: float = 1.0,
    ) -> RecurrentLayer:
        """From tensors named and ordered as torch does; ``bias`` is torch's ``bias_ih``, or the sum of its two.

        ``reset``: whether the reset gate of a ``gru`` acts ``before`` the product or ``after`` it, as torch's does,
        whose two biases do not add up: nothing in the tensors tells; ``weight_hr``: of an LSTM's projection,
        ``(outputs, hidden)``. Raises InputError for shapes of another cell or of a projection that is not given, and
        for a GRU of torch with one bias.
        """
        cell = cell_of(cell, reset)
        matrix = matrix_of(cell, weight_ih, weight_hh, bias, bias_hh, weight_hr)
        hidden = weight_hh.shape[-1] if weight_hr is None else weight_hr.shape[-1]
        # Full scale of the projection is that of the words that go back, which the chip names.
        projection = None if weight_hr is None else DenseLayer.from_torch(weight_hr, None, limit=1.0)
        return cls(cell, hidden, matrix, projection, limit)

    @property
    def inputs(self) -> int:
        """Values that come in at every step."""
        return self.weights.inputs - self.outputs

    @property
    def outputs(self) -> int:
        """Hidden units, or what they are projected to."""
        return self.hidden if self.projection is None else self.projection.outputs

    @property
    def parameters(self) -> int:
        """Weights, biases and those of the projection included."""
        return self.weights.parameters + (0 if self.projection is None else self.projection.parameters)

    @property
    def state_limit(self) -> float:
        """Full scale of the states, where inputs have one of their own."""
        return self.limit if self.cell == "rnn_relu" or self.projection is not None else 1.0

    def map(
        self,
        chip: Chip,
        *,
        name: str = "layer",
        inputs: WordFormat | None = None,
        calibration: torch.Tensor | None = None,
    ) -> MappedRecurrent:
        """Find the tiles, columns and converters of the layer.

        ``inputs``: bits of all words, and full scale of the inputs alone; that of states is then the layer's own
        (``state_limit``), and weights of the inputs are scaled by the ratio. None: both are the chip's ``x_max``.
        ``calibration``: inputs in clock periods, as ``run`` takes them, for ranges and levels that follow data. Raises
        InputError where the layer does not fit the chip, and where it follows data and there is none.
        """
        layer, words = self, None
        if inputs is not None:
            words = replace(inputs, limit=self.state_limit)
            of_x, *others = self.weights.blocks
            blocks = (of_x * (inputs.limit / self.state_limit), *others)
            layer = replace(self, weights=replace(self.weights, blocks=blocks))
        mapped = super(RecurrentLayer, layer).map(chip, name=name, inputs=words, calibration=calibration)
        assert isinstance(mapped, MappedRecurrent)
        return mapped if inputs is None else replace(mapped, input_limit=inputs.limit)

    def follows_data(self, chip: Chip) -> bool:
        """Whether ranges or levels of the gates' converters are chosen for data on this chip."""
        return chip.follows_data

    def on_tiles(
        self, chip: Chip, name: str, matrix: MappedMatrix, data: Mapping[str, torch.Tensor]
    ) -> MappedRecurrent:
        """The layer with the converters of its gates and, where there is a ramp, of a digital state that comes back."""
        cold, groups = chip.as_written, self.groups(chip)
        # Functions on a range of their own, and of these what is not the end of a step.
        limited = {group.function for group in groups if group.function not in (SIGMOID, TANH)}
        linear = limited if self.cell == "gru_after" else set()

        def bits(group: ColumnGroup) -> int:
            return chip.output.bits if group.function in linear else chip.bits

        widest = max(chip.adc.range_z, self.limit) if limited else None
        front_end = matrix.front_end(range_z(chip, [(group.function, bits(group)) for group in groups], widest))

        def converter(group: ColumnGroup, on: Chip, name: str, *stream: str | int) -> MappedConverter:
            return MappedConverter(
                name=f"ramp of {name}",
                group=group,
                chip=on.without_data() if group.function in linear else on,
                stream=stream,
                renewal=stream[-1:],
                bits=bits(group),
                adc_bits=max(bits(group), chip.adc_bits) if group.function in linear else chip.adc_bits,
                range_z=self.limit if group.function in limited else chip.adc.range_z,
                volts_per_z=front_end.volts_per_z * chip.driver.supply_gain,
            )

        converters = []
        for k, group in enumerate(groups):
            z = data.get(str(k))
            gates = converter(group, cold, group.function.name, "group", k)
            converters.append(gates.following(None if z is None else group.gather(z)))
        state = None
        if self.cell in THROUGH_STATE and chip.readout == "ramp":
            units = ColumnGroup.cut(TANH, 0, self.hidden, chip.columns, chip.columns_per_ramp)
            # What comes back from the digital state is a whole number of clock periods: no data to choose levels for.
            state = converter(units, cold.without_data(), "the cell state", "state").following(None)
        projection = None
        if self.projection is not None:
            words = OutputConverter(bits=chip.bits, limit=chip.driver.x_max)
            projection = self.projection.map(replace(chip, output=words), name=f"{name} projection")
        return MappedRecurrent(
            layer=self,
            name=name,
            chip=chip,
            matrix=matrix,
            front_end=front_end,
            converters=tuple(converters),
            state=state,
            projection=projection,
        )

    def groups(self, chip: Chip) -> list[ColumnGroup]:
        """Columns by function, cut by tiles."""
        split, columns = len(GATES[self.cell][0]) * self.hidden, self.weights.columns
        other = {"gru_after": identity(self.limit), "rnn_relu": named_function("relu", 0.0, self.limit)}
        ends = [(SIGMOID, 0, split), (other.get(self.cell, TANH), split, columns)]
        return [
            ColumnGroup.cut(function, first, last, chip.columns, chip.columns_per_ramp)
            for function, first, last in ends
            if last > first
        ]


@dataclass(frozen=True, kw_only=True)
class MappedRecurrent(MappedMatrixLayer):
    """Where a recurrent layer goes; its ramps measure by how much its array has shrunk.

    ``input_limit``: full scale of the inputs, where it is not that of the states; ``layer`` then has its weights
    scaled.
    """

    layer: RecurrentLayer
    projection: MappedMatrixLayer | None = None
    input_limit: float | None = None

    @property
    def measures_drift(self) -> bool:
        """Its gates do."""
        return True

    @property
    def input_words(self) -> WordFormat:
        """The format of the inputs, in clock periods of the word lines."""
        words = super().input_words
        return words if self.input_limit is None else replace(words, limit=self.input_limit)

    @property
    def output_words(self) -> WordFormat:
        """Hidden states leave as the pulse widths that are fed back."""
        return super().input_words

    @property
    def passes(self) -> int:
        """Two for a GRU, whose candidate waits for its reset gate."""
        return 2 if self.layer.cell == "gru" else 1

    @cached_property
    def shape(self) -> RecurrentShape:
        """What the gates need on the chip, in the words of the price list."""
        layer = self.layer
        return self.shaped(
            RecurrentShape,
            cell=layer.cell,
            inputs=layer.inputs,
            hidden=layer.hidden,
            state_bits=self.chip.state.bits,
            projected=0 if layer.projection is None else layer.outputs,
        )

    def components(self) -> dict[str, Component]:
        """The price list, with the converters of the gates and of the projection."""
        return super().components() | ({} if self.projection is None else self.projection.components())

    def step(self, activity: StepActivity) -> Actions:
        """One step of the sequence; the integrators of a projection are reset while its last inputs are computed."""
        gates = recurrent_actions(self.shape, activity, self.timing)
        if self.projection is None:
            return gates
        if activity.projection is None:
            raise InputError(f"{self.name}: activity: must hold that of the projection as well (got none)")
        return gates.then(self.projection.step(activity.projection), overlap_s=self.timing.control_s)

    def expected(self, assumed: Assumed) -> StepActivity:
        """What one step is taken to do under these assumptions."""
        projected = None if self.projection is None else self.projection.expected(assumed)
        return replace(super().expected(assumed), projection=projected)

    def program(self, *, rng: ChipStreams) -> ProgrammedMatrixLayer:
        """Write cells, ramps and comparators of the layer once on ``len(rng)`` chips."""
        gates = super().program(rng=rng)
        if self.projection is None:
            return gates
        own = {field.name: getattr(gates, field.name) for field in fields(gates)}
        return ProjectedRecurrent(**own, projection=self.projection.program(rng=rng.child("projection")))

    def read(self, columns: ColumnsRead, factors: DriftFactors, chips: int, state: StateRead | None) -> RecurrentRead:
        """So many chips of the gates at one time."""
        return RecurrentRead(columns, tuple(factors.ramp), chips, self.layer.inputs, self.shape, self.chip, state)


@dataclass(frozen=True, kw_only=True)
class ProjectedRecurrent(ProgrammedMatrixLayer):
    """A recurrent layer as written, with the matrix that projects its hidden state."""

    projection: ProgrammedMatrixLayer

    def at(self, t_s: float, *, before: Sequence[torch.Tensor | float] = ()) -> MatrixLayerRead:
        """The layer ``t_s`` seconds after programming; the projection follows the drift that its gates measure."""
        gates = super().at(t_s, before=before)
        assert isinstance(gates, RecurrentRead)
        return replace(gates, projection=self.projection.at(t_s, before=gates.factors))

    def folded_on(self, device: torch.device) -> ProgrammedMatrixLayer:
        """The same layer, wires of both matrices folded on a device."""
        gates = super().folded_on(device)
        assert isinstance(gates, ProjectedRecurrent)
        return replace(gates, projection=self.projection.folded_on(device))

    def observed(self, activity: Activity) -> StepActivity:
        """Means per step of what was observed in a run, those of the projection with them."""
        return replace(super().observed(activity), projection=self.projection.observed(activity.of_projection()))

    def written(self) -> list[WrittenCells]:
        """Cells of the gates and of the projection."""
        return super().written() + [replace(one, part=f"projection, {one.part}") for one in self.projection.written()]
