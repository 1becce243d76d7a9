"""What dense and recurrent layers have in common: one weight matrix, and converters for groups of its columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from devices import Cells, ChipStreams, InputError
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import GroupConverter, MappedConverter
from mappings.contract import Layer, LayerRead, MappedLayer, ProgrammedLayer, WordFormat, WrittenCells
from mappings.matrix import MappedMatrix, ProgrammedMatrix, WeightMatrix
from mappings.network.assumed import Assumed
from mappings.step import LayerShape, StepActivity, StepTiming
from mappings.tile import TileGrid
from periphery.drivers.base import full_scale
from periphery.prices.adc import adc_component
from periphery.prices.component import Component, load_components

Shape = TypeVar("Shape", bound=LayerShape)


class MatrixLayer(Layer):
    """A layer of one weight matrix."""

    weights: WeightMatrix

    @property
    def parameters(self) -> int:
        """Weights, biases included."""
        return self.weights.parameters

    def follows_data(self, chip: Chip) -> bool:
        """Whether the layer needs calibration inputs to be mapped to this chip."""
        return False

    @abstractmethod
    def map(
        self,
        chip: Chip,
        *,
        name: str = "layer",
        inputs: WordFormat | None = None,
        calibration: torch.Tensor | None = None,
    ) -> MappedMatrixLayer:
        """Find the tiles, columns and converters of the layer.

        ``inputs``: the format of its inputs, the chip's by default; ``calibration``: inputs in clock periods, as
        ``run`` takes them, for ranges and levels that follow data. Raises InputError where the chip cannot hold the
        layer, and where it follows data and there is none.
        """


def with_inputs(chip: Chip, inputs: WordFormat | None) -> Chip:
    """The chip with the format of a layer's inputs; raises InputError for words that are not signed."""
    if inputs is None:
        return chip
    if inputs.kind != "signed":
        raise InputError(f"inputs: word lines of this layer take signed words (got {inputs.kind})")
    return replace(chip, bits=inputs.bits, driver=replace(chip.driver, x_max=inputs.limit))


@dataclass(frozen=True, kw_only=True)
class MappedMatrixLayer(MappedLayer):
    """Where a layer goes.

    Parameters
    ----------
    chip : as its cells are read; matrix and converters have the chip at the temperature of writing
    converters : of each group of columns
    state : of the cell state that comes back as charge, on an LSTM with a ramp; else None
    """

    layer: MatrixLayer
    name: str
    chip: Chip
    matrix: MappedMatrix
    converters: tuple[MappedConverter, ...]
    state: MappedConverter | None = None

    @property
    def grid(self) -> TileGrid:
        """Tiles that the layer takes, and how full they are."""
        return self.matrix.grid

    @property
    def input_words(self) -> WordFormat:
        """The format of the inputs, in clock periods of the word lines."""
        return WordFormat(bits=self.chip.bits, limit=self.chip.driver.x_max)

    @property
    def output_words(self) -> WordFormat | None:
        """The format of what a run gives; None for values."""
        return None

    @property
    def passes(self) -> int:
        """Products of the matrix in one step."""
        return 1

    @property
    @abstractmethod
    def shape(self) -> LayerShape:
        """What the layer needs on the chip, in the words of the price list."""

    def shaped(self, kind: Callable[..., Shape], **fields: Any) -> Shape:
        """A shape of this kind, from what all kinds share and its further ``fields``."""
        chip, matrix, encoded = self.chip, self.matrix, self.matrix.format
        ramps = self._ramps()
        return kind(
            layer=self.name,
            bias_rows=matrix.bias_rows,
            row_tiles=self.grid.row_tiles,
            column_tiles=self.grid.column_tiles,
            cells=matrix.cells,
            driver=chip.driver,
            converter=chip.adc.converter,
            unit=chip.adc.activation,
            groups=sum(converter.group.ramps for converter in self.converters),
            slices=encoded.parts,
            slice_shift_bits=encoded.shift_bits,
            branches=encoded.branches,
            bits=chip.bits,
            readout=chip.readout,
            ramps=sum(count for count, _ in ramps),
            ramp_cells=sum(count * design.cells for count, design in ramps),
            columns_per_adc=chip.adc.columns_per_adc,
            adc_model=chip.adc.price,
            adc_bits=self.converters[0].adc_bits,
            partial_sums=chip.partial_sums,
            lanes=chip.lanes,
            **fields,
        )

    def _ramps(self) -> list[tuple[int, Any]]:
        """How many ramps there are of each design."""
        both = (*self.converters, *([self.state] if self.state else []))
        return [(one.group.ramps, one.design) for one in both if one.design is not None]

    def components(self) -> dict[str, Component]:
        """The price list, with the converter that the chip names."""
        records, adc, shape = load_components(), self.chip.adc, self.shape
        if shape.linear:
            record = adc_component(
                adc.price, bits=shape.code_bits, rate_per_s=adc.rate_per_s, node_nm=self.chip.node_nm
            )
            records[record.name] = record
        return records

    @property
    def timing(self) -> StepTiming:
        """How long each part of a step takes."""
        gates = [converter.design.ramp_clocks for converter in self.converters if converter.design]
        return StepTiming.of(
            self.shape,
            t_clk_s=self.chip.driver.t_clk_s,
            node_nm=self.chip.node_nm,
            components=self.components(),
            gate_ramp_clocks=max(gates, default=0),
            state_ramp_clocks=self.state.design.ramp_clocks if self.state and self.state.design else 0,
        )

    def actions(self, activity: StepActivity | None = None) -> Actions:
        """What one step does: counts, instances and schedule.

        ``activity``: what a run was observed to do (``ProgrammedMatrixLayer.observed``), or ``expected`` under other
        assumptions; None takes the default ones, and a note of the result names them.
        """
        if activity is not None:
            return self.step(activity)
        assumed = Assumed()
        found = self.step(self.expected(assumed))
        return replace(found, notes=(*found.notes, f"{self.name}: {assumed.note(self.matrix)}"))

    @abstractmethod
    def step(self, activity: StepActivity) -> Actions:
        """Counts and schedule of one step in the order of its parts."""

    @abstractmethod
    def program(self, *, rng: ChipStreams) -> ProgrammedMatrixLayer:
        """Write cells, ramps and comparators of the layer once on ``len(rng)`` chips."""

    def expected(self, assumed: Assumed) -> StepActivity:
        """What one step is taken to do under these assumptions."""
        chip, matrix, shape = self.chip, self.matrix, self.shape
        driver, bits, passes = chip.driver, chip.bits, self.passes
        counts, top = assumed.counts(full_scale(bits)), torch.tensor([float(full_scale(bits))])
        quantum_J = driver.v_read_V**2 * driver.t_clk_s

        def rows(of: Callable[[torch.Tensor, int], torch.Tensor]) -> float:
            """The sum over word lines of what one of them does."""
            return passes * (
                matrix.weights.inputs * float(of(counts, bits).mean()) + matrix.bias_rows * float(of(top, bits))
            )

        conversions = shape.columns * shape.conversions_per_column if shape.linear else 0
        states = self.state.group.last if self.state else 0
        state_clocks = states * float(counts.abs().mean())
        return StepActivity(
            array_ohmic_J=rows(driver.loss_counts) * assumed.row_S(matrix) * quantum_J,
            row_pulses=rows(driver.pulses),
            row_clocks=rows(driver.driven_clocks),
            gate_compare_steps=shape.columns * assumed.code_share * 2 ** self.converters[0].bits,
            adc_steps=conversions * assumed.code_share * 2**shape.code_bits,
            ramp_ohmic_J=quantum_J * sum(count * design.loss_S for count, design in self._ramps()),
            state_ohmic_J=state_clocks * chip.ramp.device.g_max_S * quantum_J,
            state_pulses=states * float((counts != 0).float().mean()),
            state_clocks=state_clocks,
            state_compare_steps=states * assumed.code_share * 2**bits,
        )


@dataclass(frozen=True, kw_only=True)
class ProgrammedMatrixLayer(ProgrammedLayer):
    """A layer as written on a batch of chips; it can be read at any time, and gives the same chips each time.

    ``state_cells``: the cells through which a cell state comes back as charge, ``(chips, hidden)``.
    """

    mapped: MappedMatrixLayer
    matrix: ProgrammedMatrix
    converters: tuple[GroupConverter, ...]
    rng: ChipStreams
    state: GroupConverter | None = None
    state_cells: Cells | None = None

    @property
    def ramps(self) -> list[GroupConverter]:
        """All converters that have a ramp, the one of tanh(c) last."""
        return [c for c in (*self.converters, self.state) if c is not None and c.ramp is not None]

    @abstractmethod
    def at(self, t_s: float, *, before: Sequence[torch.Tensor | float] = ()) -> MatrixLayerRead:
        """The layer ``t_s`` seconds after programming, compensated if the chip says so.

        Cells are read at the temperature of the chip; they were written, and ramps calibrated, at that of programming.
        ``before``: the factors of the layers in front, for a layer that measures none itself.
        """

    def renewed(self, t_s: float) -> tuple[list[GroupConverter], GroupConverter | None]:
        """Converters of columns and of the state, bias cells programmed again at ``t_s`` where the chip does so."""
        chip = self.mapped.chip
        converters = [converter.reading(chip) for converter in self.converters]
        state = self.state and self.state.reading(chip)
        if chip.ramp_moves(t_s):
            rng = self.rng.child("recentre", float(t_s).hex())
            converters = [converter.recentred(t_s, rng) for converter in converters]
            state = state and state.recentred(t_s, rng)
        return converters, state

    def observed(self, activity: Activity) -> StepActivity:
        """Means per step of what was seen in a run, with the ohmic losses of the cells as they were written."""
        chip = self.mapped.chip
        quantum_J = chip.driver.v_read_V**2 * chip.driver.t_clk_s
        ramps = [converter.reading(chip).ramp for converter in self.ramps]
        return StepActivity(
            array_ohmic_J=activity.mean_loss_S(self.matrix.reading(chip).at(0.0).array) * quantum_J,
            row_pulses=activity.mean("row_pulses"),
            row_clocks=activity.mean("row_clocks"),
            gate_compare_steps=activity.mean("gate_compare_steps"),
            adc_steps=activity.mean("adc_steps"),
            ramp_ohmic_J=quantum_J * sum(float(c.ramp.read(0.0).loss_S.sum(1).mean()) for c in ramps if c),
            state_ohmic_J=activity.mean("state_clocks") * chip.ramp.device.g_max_S * quantum_J,
            state_pulses=activity.mean("state_pulses"),
            state_clocks=activity.mean("state_clocks"),
            state_compare_steps=activity.mean("state_compare_steps"),
        )

    def written(self) -> list[WrittenCells]:
        """Weights in blocks; the few cells of the state, and each ramp with its trims, one by one."""
        weights, ramp = self.mapped.chip.weights, self.mapped.chip.ramp.device.kind
        parts = [
            WrittenCells(
                part="weights",
                device=weights.device.kind,
                cells=[self.matrix.array.cells],
                rows_at_once=weights.write_rows,
                columns_at_once=weights.write_columns,
            )
        ]
        if self.state_cells is not None:
            parts.append(WrittenCells(part="cell state to charge", device=ramp, cells=[self.state_cells]))
        for converter in self.ramps:
            if converter.ramp is not None:
                of = converter.ramp.ramp
                cells = [of.steps, *(trim.cells for trim in of.bias)]
                parts.append(WrittenCells(part=converter.mapped.name, device=ramp, cells=cells))
        return parts


class MatrixLayerRead(LayerRead):
    """A layer's chips at one time.

    ``factors``: for each group what scales its converters against drift, ``(chips, ramps, 1)``, or 1.
    """

    factors: tuple[torch.Tensor | float, ...]
