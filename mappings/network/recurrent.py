"""A recurrent layer on tiles: LSTM, GRU or plain RNN, with the nonlinear ramp as its activation.

Rows are the inputs, the hidden state and the bias; columns are the gates. One step of an LSTM is

    [i f o g] = ramp(W [x h 1])       sigmoid ramp for i, f, o and tanh ramp for g, all columns at once
    c = f c + i g                     digital, saturating fixed point
    h = o ramp(c)                     c goes back to charge through one cell pair per unit and to a second tanh ramp;
                                      h is rounded to the bits of the input

The GRU is the form whose reset gate acts before the product (Cho et al., 2014), ``n = tanh(W [x, r h, 1])``: with a
nonlinear conversion there is no linear partial sum to which the gate could be applied afterwards. It takes two passes.

An LSTM may have a projection (Sak et al., arXiv 1402.1128; torch's ``proj_size``): ``h = W_hr (o tanh(c))`` is fed back
and goes out. ``W_hr`` is a dense layer on tiles of its own, whose linear ramp has the format of the inputs.
"""

from __future__ import annotations

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
from mappings.step import StepActivity
from periphery import SIGMOID, TANH, identity
from periphery.functions.library import named_function
from periphery.prices.component import Component

TORCH_ORDER: dict[Cell, tuple[str, ...]] = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("h",)}
TORCH_ORDER |= {"rnn_relu": TORCH_ORDER["rnn"], "gru_after": TORCH_ORDER["gru"]}
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
    projection: DenseLayer | None = None
    limit: float = 1.0

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
        """From tensors named and ordered as torch does; ``bias`` is the sum of torch's two, or ``bias_ih`` where
        ``bias_hh`` is given.

        ``limit``: largest state of an RNN with relu, or part of the candidate of torch's GRU (``gru_after``), either
        sign; ``weight_hr``: of an LSTM's projection, ``(outputs, hidden)``; ``reset``: a GRU (``gru``) must have been
        trained with its reset gate ``before`` the product, which nothing in its tensors tells. Raises InputError for
        another GRU, and for shapes of another cell or of a projection that is not given.
        """
        fed_back, gates = weight_hh.shape[-1], len(TORCH_ORDER[cell])
        hidden = fed_back if weight_hr is None else weight_hr.shape[-1]
        if cell == "gru" and reset != "before":
            raise InputError(f"reset: must be 'before' for a GRU (got {reset!r}): {RESET_AFTER}")
        if weight_hr is not None and (cell != "lstm" or weight_hr.shape != (fed_back, hidden)):
            raise InputError(
                "weight_hr: an LSTM alone has a projection, (p, h) of h units with a weight_hh of (4 h, p) "
                f"(got {tuple(weight_hr.shape)} and {tuple(weight_hh.shape)} of torch's {cell})"
            )
        if weight_hh.shape != (gates * hidden, fed_back) or weight_ih.shape[:-1] != (gates * hidden,):
            how = (
                "without a projection, whose weight_hr is to be given" if weight_hr is None else "with this projection"
            )
            h, p = f"{gates} h", "h" if weight_hr is None else str(fed_back)
            raise InputError(
                f"weight_ih, weight_hh: of h units of torch's {cell} they are ({h}, inputs) and ({h}, {p}), {how} "
                f"(got {tuple(weight_ih.shape)} and {tuple(weight_hh.shape)})"
            )
        if cell == "gru_after":
            return cls(cell, hidden, _parts_of_candidate(weight_ih, weight_hh, bias, bias_hh), limit=limit)
        if bias is not None and bias_hh is not None:
            bias = bias + bias_hh
        names = [*GATES[cell][0], *GATES[cell][1]]
        order = torch.cat([torch.arange(hidden) + TORCH_ORDER[cell].index(name) * hidden for name in names])
        # Full scale of the projection is that of the words that go back, which the chip names.
        projection = None if weight_hr is None else DenseLayer.from_torch(weight_hr, None, limit=1.0)
        return cls(cell, hidden, WeightMatrix((weight_ih, weight_hh), bias, order), projection, limit)

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

    def follows_data(self, chip: Chip) -> bool:
        """Whether ranges or levels of the gates' converters are chosen for data on this chip."""
        return chip.follows_data

    def on_tiles(
        self, chip: Chip, name: str, matrix: MappedMatrix, data: Mapping[str, torch.Tensor]
    ) -> MappedRecurrent:
        """The layer with the converters of its gates and, for an LSTM with a ramp, of its cell state."""
        cold, groups = chip.as_written, self.groups(chip)
        bits = [chip.output.bits if group.function.name == "identity" else chip.bits for group in groups]
        ranges = [(group.function, of) for group, of in zip(groups, bits, strict=True)]
        front_end = matrix.front_end(range_z(chip, ranges))

        def converter(group: ColumnGroup, on: Chip, name: str, *stream: str | int) -> MappedConverter:
            plain = group.function.name == "identity"
            return MappedConverter(
                name=f"ramp of {name}",
                group=group,
                chip=on.without_data() if plain else on,
                stream=stream,
                renewal=stream[-1:],
                bits=chip.output.bits if plain else chip.bits,
                adc_bits=max(chip.output.bits, chip.adc_bits) if plain else chip.adc_bits,
                range_z=self.limit if plain else chip.adc.range_z,
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
    """Where a recurrent layer goes; its ramps measure by how much its array has shrunk."""

    layer: RecurrentLayer
    projection: MappedMatrixLayer | None = None

    @property
    def measures_drift(self) -> bool:
        """Its gates do."""
        return True

    @property
    def output_words(self) -> WordFormat:
        """Hidden states leave as the pulse widths that are fed back."""
        return self.input_words

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

    def observed(self, activity: Activity) -> StepActivity:
        """Means per step of what was observed in a run, those of the projection with them."""
        return replace(super().observed(activity), projection=self.projection.observed(activity.of_projection()))

    def written(self) -> list[WrittenCells]:
        """Cells of the gates and of the projection."""
        return super().written() + [replace(one, part=f"projection, {one.part}") for one in self.projection.written()]


def _parts_of_candidate(
    weight_ih: torch.Tensor, weight_hh: torch.Tensor, bias_ih: torch.Tensor | None, bias_hh: torch.Tensor | None
) -> WeightMatrix:
    """torch's GRU as a matrix: r, z, and the two parts of the candidate in columns of their own."""
    hidden = weight_hh.shape[-1]
    gates, rows = 2 * hidden, 4 * hidden
    x, h = weight_ih.new_zeros((rows, weight_ih.shape[1])), weight_hh.new_zeros((rows, hidden))
    x[: 3 * hidden] = weight_ih
    h[:gates], h[3 * hidden :] = weight_hh[:gates], weight_hh[gates:]
    bias = None
    if bias_ih is not None:
        other = torch.zeros_like(bias_ih) if bias_hh is None else bias_hh
        bias = torch.cat([bias_ih[:gates] + other[:gates], bias_ih[gates:], other[gates:]])
    return WeightMatrix((x, h), bias)
