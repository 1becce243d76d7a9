"""What dense and recurrent layers have in common: one weight matrix, and converters for groups of its columns."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

import torch

from devices import BlockNoise, Cells, ChipStreams, InputError, Stream
from mappings.actions import ActionLedger, Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, Conversion, DriftFactors, GroupConverter, MappedConverter
from mappings.compensation import followed_factor, measured_factors
from mappings.contract import Layer, LayerRead, MappedLayer, ProgrammedLayer, WordFormat, WrittenCells
from mappings.front_end import MappedFrontEnd, circuit_of, mean_circuit, ramp_load, state_load
from mappings.judged import judged
from mappings.matrix import MappedMatrix, ProgrammedMatrix, WeightMatrix, check_chip
from mappings.network.assumed import Assumed
from mappings.placed import placed
from mappings.step import Charge, ColumnCircuit, LayerShape, StepActivity, StepTiming
from mappings.tile import TileGrid
from periphery import RampDesign
from periphery.front_end import FrontEndDesign
from periphery.prices.adc import adc_component
from periphery.prices.component import Component
from periphery.prices.scaling import nominal_supply_V

Shape = TypeVar("Shape", bound=LayerShape)
Read = TypeVar("Read", bound="MatrixLayerRead")


class MatrixLayer(Layer):
    """A layer of one weight matrix; ``converts`` names the ramp that its sums go through."""

    weights: WeightMatrix
    converts: ClassVar[str]
    words: ClassVar[tuple[str, ...]] = ("signed",)  # kinds of inputs that it takes

    @property
    def parameters(self) -> int:
        """Weights, biases included."""
        return self.weights.parameters

    def follows_data(self, chip: Chip) -> bool:
        """Whether ranges or levels of the converters are chosen for data on this chip."""
        return False

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
        ``run`` takes them, for ranges and levels that follow data. Raises InputError where the layer does not fit
        the chip, and where it follows data and there is none.
        """
        if inputs is not None:
            if inputs.kind not in self.words:
                raise InputError(
                    f"inputs: word lines of this layer take {' or '.join(self.words)} words (got {inputs.kind})"
                )
            chip = chip.of_words(inputs)
        chip = chip.unrounded()
        matrix = MappedMatrix.of(self.weights, chip.as_written)
        check_chip(chip, matrix.rows, self.converts)
        data: dict[str, torch.Tensor] = {}
        if self.follows_data(chip):
            if calibration is None:
                raise InputError(
                    "chip: ranges calibrated on data and optimal levels need calibration inputs (got none): "
                    "layer.map(chip, calibration=counts)"
                )
            data = self.pre_activations(chip, calibration)
        mapped = self.on_tiles(chip, name, matrix, data)
        if chip.compensation.mode != "affine" or calibration is None or calibration.dim() != 2:
            return mapped
        generator = Stream.root(0).child("own inputs").torch()
        some = torch.randint(len(calibration), (chip.compensation.vectors,), generator=generator)
        return replace(mapped, own_inputs=calibration[some.to(calibration.device)])

    @abstractmethod
    def on_tiles(
        self, chip: Chip, name: str, matrix: MappedMatrix, data: Mapping[str, torch.Tensor]
    ) -> MappedMatrixLayer:
        """The layer with its converters; ``data``: by the number of a group, pre-activations that they follow."""

    def ideal(self, chip: Chip, counts: torch.Tensor, activity: Activity | None = None) -> torch.Tensor:
        """What one ideal chip of the same formats gives for inputs ``(1, n, ...)`` in clock periods."""
        rng = ChipStreams.of(Stream.root(0).child("calibration"), 1)
        read, noise = self.map(chip.plain()).program(rng=rng).at(0.0), BlockNoise(rng, [0], counts.shape[1])
        return read.run(counts, noise=noise, activity=activity)

    def pre_activations(self, chip: Chip, counts: torch.Tensor) -> dict[str, torch.Tensor]:
        """Pre-activations ``(samples, columns)`` at the conversions of each group on an ideal chip of these formats.

        ``counts``: calibration inputs ``([1,] n, steps, inputs)`` in clock periods. Keys are the numbers of the groups
        of columns, ``"0"`` and ``"1"``: what ranges and optimal levels are chosen for.
        """
        activity = Activity(recorded={})
        self.ideal(chip, counts.reshape(1, *counts.shape[-3:]), activity)
        return {name: torch.cat(z, dim=1)[0] for name, z in (activity.recorded or {}).items()}


@dataclass(frozen=True, kw_only=True)
class MappedMatrixLayer(MappedLayer):
    """Where a layer goes.

    Parameters
    ----------
    chip : as its cells are read; matrix and converters have the chip at the temperature of writing
    front_end : of all columns
    converters : of each group of columns
    state : of the cell state that comes back as charge, on an LSTM with a ramp; else None
    part : word lines and columns that it counts of a tile that it shares with others; None where its tiles are its own
    own_inputs : ``(vectors, inputs)`` that the layer is calibrated with, in clock periods, or None
    """

    layer: MatrixLayer
    name: str
    chip: Chip
    matrix: MappedMatrix
    front_end: MappedFrontEnd
    converters: tuple[MappedConverter, ...]
    state: MappedConverter | None = None
    part: tuple[int, int] | None = None
    own_inputs: torch.Tensor | None = None

    @property
    def grid(self) -> TileGrid:
        """Tiles that the layer takes, and how full they are."""
        return self.matrix.grid

    @property
    def input_words(self) -> WordFormat:
        """The format of the inputs, in clock periods of the word lines."""
        driver = self.chip.driver
        kind: Literal["signed", "unsigned"] = "signed" if driver.signed_words else "unsigned"
        return WordFormat(bits=self.chip.bits, limit=driver.x_max, kind=kind)

    @property
    def output_words(self) -> WordFormat | None:
        """The format of what a run gives; None for values."""
        return None

    @property
    def measures_drift(self) -> bool:
        """Whether its converters measure by how much the array has shrunk."""
        return False

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
        ramps, stand = self._ramps(), (self.grid.rows, self.grid.columns)
        lines, columns = self.part or stand
        return kind(
            layer=self.name,
            bias_rows=matrix.bias_rows,
            row_tiles=self.grid.row_tiles,
            column_tiles=self.grid.column_tiles,
            tile_rows=lines,
            tile_columns=columns,
            shared=self.part is not None,
            cells=max(1, round(matrix.cells_stand * lines / stand[0])),
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
            ramp_lines=self._ramp_lines(),
            columns_per_adc=chip.adc.columns_per_adc,
            adc_model=chip.adc.price_model,
            converter_bits=max(one.adc_bits if one.design is None else one.bits for one in self.converters),
            partial_sums=chip.partial_sums,
            lanes=chip.lanes,
            settle_clocks=chip.front_end.settle_clocks,
            hold_F=chip.comparator.hold_F or 0.0,
            hold_V2=chip.front_end.swing_V * nominal_supply_V(chip.node_nm),
            trim_um2=self._trim_bits * chip.compensation.trim_um2,
            circuit=self.front_end.circuit,
            step_share=chip.comparator.step_share(chip.node_nm),
            pair_layout_um2=chip.comparator.pair_area_um2,
            ramp_circuit=mean_circuit(*self._ramp_circuits()),
            state_circuit=mean_circuit([] if self.state is None else [circuit_of(self.state_design())]),
            charge=Charge(
                v_read_V=chip.driver.v_read_V,
                draw_V=chip.read_supply.draw_V(chip.driver.v_read_V, chip.node_nm),
                supply_m2=chip.read_supply.area_m2,
            ),
            **fields,
        )

    @property
    def state_pair_S(self) -> float:
        """Conductance of the pair of cells through which a cell state comes back as charge [S]."""
        return self.chip.ramp.device.g_max_S + self.chip.ramp.device.g_min_S

    def _ramps(self) -> list[tuple[int, RampDesign]]:
        """How many ramps there are of each design."""
        both = (*self.converters, *([self.state] if self.state else []))
        return [(one.group.ramps, one.design) for one in both if one.design is not None]

    def _ramp_circuits(self) -> tuple[list[ColumnCircuit], list[int]]:
        """The integrators of ramps by their designs, and how many there are of each."""
        chip, range_z, ramps = self.chip, self.front_end.designs[0].load.range_z, self._ramps()
        designs = [chip.design_of_ramps(ramp_load(chip, design, range_z)) for _, design in ramps]
        return [circuit_of(design) for design in designs], [count for count, _ in ramps]

    def state_design(self) -> FrontEndDesign:
        """The integrator of a cell state."""
        range_z = self.front_end.designs[0].load.range_z
        load = state_load(self.chip, self.state_pair_S, 2 ** (self.chip.bits - 1), range_z)
        return self.chip.design_of_ramps(load)

    def _ramp_lines(self) -> int:
        """Word lines of all ramps: those of the steps for each tile that a group is on, those of bias cells for each
        ramp."""
        lines = 0
        for one in (*self.converters, *([self.state] if self.state else [])):
            if one.design is not None:
                tiles = len(torch.unique(one.group.columns[:, 0] // self.chip.columns))
                lines += tiles * one.design.lines + one.group.ramps * one.design.column.bias_cells
        return lines

    def components(self) -> dict[str, Component]:
        """The price list, with the converter that the chip names."""
        records, adc, shape = self.chip.price_list(), self.chip.adc, self.shape
        if shape.linear:
            record = adc_component(
                adc.price_model, bits=shape.code_bits, rate_per_s=adc.rate_per_s, node_nm=self.chip.node_nm
            )
            records[record.name] = record
        return records

    @property
    def timing(self) -> StepTiming:
        """How long each part of a step takes."""
        gates = [converter.design.ramp_clocks for converter in self.converters if converter.design]
        # The last code is latched when the comparator has answered, whether the counter allows for it or not.
        late = math.ceil(self.chip.comparator.delay_s / self.chip.driver.t_clk_s - 1e-9)
        return StepTiming.of(
            self.shape,
            t_clk_s=self.chip.driver.t_clk_s,
            node_nm=self.chip.node_nm,
            components=self.components(),
            gate_ramp_clocks=max(gates) + late if gates else 0,
            state_ramp_clocks=self.state.design.ramp_clocks + late if self.state and self.state.design else 0,
        )

    def actions(self, activity: StepActivity | None = None) -> Actions:
        """What one step does: counts, instances and schedule.

        ``activity``: what a run was observed to do (``ProgrammedMatrixLayer.observed``), or ``expected`` under other
        assumptions; None takes the default ones, and a note of the result names them.
        """
        if self.chip.rounding == "none":
            raise InputError(
                f"{self.name}: a chip with rounding: none is an idealisation for checking a conversion, and has no "
                "cost; take one with rounding: codes"
            )
        if activity is not None:
            return self._compensated(self.step(activity))
        assumed = Assumed()
        found = self._compensated(self.step(self.expected(assumed)))
        return replace(found, notes=(*found.notes, f"{self.name}: {assumed.note(self.matrix)}"))

    def calibration(self, step: Actions) -> Actions | None:
        """What one calibration does, from what one step does; None where there is none.

        Every vector is driven, converted and taken back through the table of the function's inverse; a slope takes two
        products and two sums a value. Bias cells are programmed again where ramps move. What a step does behind its
        conversion is left in: the count is not below the truth.
        """
        how, shape = self.chip.compensation, self.shape
        if how.mode == "off" or not self.measures_drift:
            return None
        ledger = ActionLedger(self.name, merge=True)
        for one in step.actions:
            ledger.act(one.component, one.action, how.products * one.count)
        values, bits = how.products * shape.columns, shape.code_bits
        ledger.act("lookup", "evaluate", values)
        ledger.act("multiplier", "bit_product", 2 * values * bits**2)
        ledger.act("adder", "add_bit", 2 * values * 2 * bits)
        if how.recentre and shape.ramps:
            ledger.act("cell_write", "write", shape.ramps * self.chip.ramp.bias_cells)
        ledger.schedule.add("calibrate", "control", how.products * step.latency_s)
        return ledger.close()

    def _compensated(self, step: Actions) -> Actions:
        """A step with its share of the calibrations, with what keeps their factors and trims, and with what brings
        columns of different scales to one: behind ordinary converters a product and a sum of every word."""
        how, shape, calibration = self.chip.compensation, self.shape, self.calibration(step)
        scaled = shape.linear and ((calibration is not None and how.trim_bits > 0) or self._scales_columns)
        if calibration is None and not scaled:
            return step
        ledger = ActionLedger(self.name, merge=True)
        for one in step.actions:
            ledger.act(one.component, one.action, one.count)
        for stands in step.instances:
            ledger.need(stands.component, stands.count)
        if scaled:
            bits, words = shape.sum_bits, shape.columns * self.passes
            ledger.act("multiplier", "bit_product", words * bits * how.factor_bits)
            ledger.need("multiplier", shape.lanes * bits * how.factor_bits)
            if how.mode == "affine":
                ledger.act("adder", "add_bit", words * bits)
                ledger.need("adder", shape.lanes * bits)
            if calibration is None:
                ledger.need("register", shape.columns_stand * how.factor_bits)
        if calibration is not None:
            share = step.latency_s / how.every_s
            for one in calibration.actions:
                ledger.act(one.component, one.action, share * one.count)
            factors = sum(converter.group.ramps for converter in self.converters)
            ledger.need("register", factors * how.factor_bits + shape.columns_stand * how.trim_bits)
            if not any(one.component == "lookup" for one in step.instances):
                ledger.need("lookup", 1)
        counted = ledger.close()
        return replace(step, actions=counted.actions, instances=counted.instances)

    @property
    def _trim_bits(self) -> int:
        """Analog trims of a column on a ramp, whose integrator takes its scale too; none behind ordinary converters."""
        how = self.chip.compensation
        if self.chip.readout != "ramp":
            return 0
        return how.trim_bits + (how.factor_bits if self._scales_columns else 0)

    @property
    def _scales_columns(self) -> bool:
        """Whether columns differ in what a unit of charge stands for."""
        return self.chip.weights.encoding.scale == "column"

    @abstractmethod
    def step(self, activity: StepActivity) -> Actions:
        """Counts and schedule of one step in the order of its parts."""

    def program(self, *, rng: ChipStreams) -> ProgrammedMatrixLayer:
        """Write cells, ramps and comparators of the layer once on ``len(rng)`` chips.

        Raises InputError for weights on the meta device.
        """
        if not self.layer.weights.real:
            raise InputError(
                f"{self.name}: weights on the meta device have a shape and no values, and cells cannot be written "
                "with them; actions() needs none"
            )
        cells, device = None, self.chip.ramp.device
        if self.state is not None:
            top = torch.tensor([device.g_max_S, device.g_min_S])[:, None].expand(1, 2, self.state.group.last)
            cells = device.program(top, rng=rng.child("state cells"))
        return ProgrammedMatrixLayer(
            mapped=self,
            matrix=self.matrix.program(self.front_end, rng=rng.child("weights")),
            converters=tuple(converter.build(rng, self.matrix.parts) for converter in self.converters),
            rng=rng,
            state=None if self.state is None else self.state.build(rng),
            state_cells=cells,
        )

    @abstractmethod
    def read(self, columns: ColumnsRead, factors: DriftFactors, chips: int, state: StateRead | None) -> MatrixLayerRead:
        """So many chips of the layer at one time, from their matrix and converters."""

    def expected(self, assumed: Assumed) -> StepActivity:
        """What one step is taken to do under these assumptions."""
        return assumed.activity(
            self.matrix,
            self.shape,
            passes=self.passes,
            codes=sum((one.group.last - one.group.first) * 2**one.bits for one in self.converters),
            states=self.state.group.last if self.state else 0,
            state_pair_S=self.state_pair_S,
            ramp_loss_S=sum(count * design.loss_S for count, design in self._ramps()),
        )


@dataclass(frozen=True, kw_only=True)
class ProgrammedMatrixLayer(ProgrammedLayer):
    """A layer as written on a batch of chips; it can be read at any time, and gives the same chips each time.

    ``state_cells``: the pairs of cells through which a cell state comes back as charge, ``(chips, 2, hidden)``.
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

    def at(self, t_s: float, *, before: Sequence[torch.Tensor | float] = ()) -> MatrixLayerRead:
        """The layer ``t_s`` seconds after programming, compensated where the chip does so.

        Cells are read at the temperature of the chip; they were written, and ramps calibrated, at that of programming.
        ``before``: factors of the layers in front; a layer that measures no drift itself follows their mean.
        """
        mapped, chip = self.mapped, self.mapped.chip
        converters, state = self.renewed(t_s)
        # Folding wires takes longest: it is done once.
        read = self.matrix.reading(chip).at(t_s)
        if chip.compensation.mode == "off":
            factors = DriftFactors([1.0] * len(converters))
        elif mapped.measures_drift:
            factors = measured_factors(
                self.matrix, self.converters, converters, read, t_s, chip=chip, rng=self.rng, own=mapped.own_inputs
            )
        else:
            factors = DriftFactors([followed_factor(before, converter.group.ramps) for converter in converters])
        read_state = None
        if state is not None and self.state_cells is not None:
            read_state = self._state_read(state, t_s)
        columns = ColumnsRead.of(read, converters, t_s, factors)
        return mapped.read(columns, factors, len(self.rng), read_state)

    def folded_on(self, device: torch.device) -> ProgrammedMatrixLayer:
        """The same layer, its wires folded on a device."""
        array = replace(self.matrix.array, folded_on=device)
        return replace(self, matrix=replace(self.matrix, array=array))

    def _state_read(self, state: GroupConverter, t_s: float) -> StateRead:
        """The way back of the cell states at ``t_s``: cells, and the integrator of each with its mirrors and capacitor,
        drawn once."""
        assert self.state_cells is not None
        chip, rng = self.mapped.chip, self.rng.child("state integrators")
        design = self.mapped.state_design()
        device, supply = chip.ramp.device, chip.driver.supply_gain
        cells_S, span_S = device.conductance_S(self.state_cells, t_s), device.g_max_S - device.g_min_S
        hidden = cells_S.shape[-1]
        lines = 1.0 + design.mirror_sigma * rng.child("mirrors").normal((2, hidden))
        whole = torch.as_tensor(design.gain(cells_S.sum(1) / design.load.lines) / design.gain(design.load.line_S))
        whole = whole / (1.0 + design.capacitor_sigma * rng.child("capacitors").normal((hidden,)))
        gain = (cells_S * lines)[:, 0] - (cells_S * lines)[:, 1]
        variance = (device.read_sigma_S(cells_S, self.state_cells) * lines).square().sum(1)
        white = torch.as_tensor(design.noise_z2(cells_S.sum(1) / design.load.lines)) / supply**2
        offset = torch.as_tensor(design.offset_sigma_z(cells_S.sum(1) / design.load.lines)) / supply
        return StateRead(
            state.group,
            state.at(t_s),
            (gain * whole)[:, None].float() / span_S,
            (variance * whole.square())[:, None].float() / span_S**2,
            white.expand(gain.shape)[:, None].float(),
            (offset * rng.child("offsets").normal((hidden,)))[:, None].float(),
        )

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
        """Means per step of what was observed in a run, with the charge through the cells as they were written."""
        chip = self.mapped.chip
        quantum_C = chip.driver.v_read_V * chip.driver.t_clk_s
        ramps = [converter.reading(chip).ramp for converter in self.ramps]
        return StepActivity(
            array_charge_C=activity.mean_charge_S(self.matrix.reading(chip).array_at(0.0)[0]) * quantum_C,
            row_pulses=activity.mean("row_pulses"),
            row_clocks=activity.mean("row_clocks"),
            gate_compare_steps=activity.mean("gate_compare_steps"),
            adc_steps=activity.mean("adc_steps"),
            ramp_charge_C=quantum_C * sum(float(c.ramp.read(0.0).loss_S.sum(1).mean()) for c in ramps if c),
            state_charge_C=activity.mean("state_clocks") * self.mapped.state_pair_S * quantum_C,
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


@dataclass(frozen=True)
class StateRead:
    """The way of a cell state back to charge and to its tanh: one pair of cells a unit, and a second ramp.

    ``gain``: difference of a pair's conductances over the largest one, as its integrator gives it, ``(chips, 1,
    hidden)``; ``variance``: of its fast read noise; ``white``, ``offset``: variance of the integrator's noise, and its
    offset, in units of the cell state squared and of the cell state; the same shape.
    """

    group: ColumnGroup
    conversion: Conversion
    gain: torch.Tensor
    variance: torch.Tensor
    white: torch.Tensor
    offset: torch.Tensor


@dataclass(frozen=True)
class MatrixLayerRead(LayerRead):
    """A layer on so many chips at one time.

    ``factors``: for each group what scales its converters against drift, ``(chips, ramps, 1)``, or 1; ``inputs``:
    values that come in at every step.
    """

    in_steps: ClassVar[bool]  # whether inputs always have a dimension of steps

    columns: ColumnsRead
    factors: tuple[torch.Tensor | float, ...]
    chips: int
    inputs: int

    def on(self: Read, device: torch.device | str) -> Read:
        """The same layer on another device; inputs and noise of a run are then there too."""
        return placed(self, device)

    def run(self, inputs: torch.Tensor, *, noise: BlockNoise, activity: Activity | None = None) -> torch.Tensor:
        """Outputs ``(chips, n, ...)`` for inputs ``([chips | 1,] n, ..., inputs)`` in clock periods.

        ``noise``: of as many chips, and blocks of ``n`` samples in all. Raises InputError for other shapes, and for
        inputs that are not finite or longer than the word lines' range.
        """
        return self.answers(self.checked(inputs, noise), noise, activity)

    def checked(self, inputs: torch.Tensor, noise: BlockNoise) -> torch.Tensor:
        """The inputs; raises InputError, with ``mappings.judged``, for inputs and noise that do not fit the layer."""
        shape, each = tuple(inputs.shape), f"{self.chips} or 1" if self.chips > 1 else "1"
        least = 3 if self.in_steps else 2
        if (
            not least <= len(shape) <= 4
            or shape[-1] != self.inputs
            or (len(shape) > least and shape[0] not in (1, self.chips))
        ):
            steps, size = f"n, steps, {self.inputs}", f"n, {self.inputs}"
            shapes = (steps,) if self.in_steps else (size, f"{each}, {size}")
            allowed = " or ".join(f"({one})" for one in (*shapes, f"{each}, {steps}"))
            raise InputError(f"inputs: the layer takes {allowed} clock periods (got {shape})")
        driver = self.columns.matrix.driver
        top = driver.top(self.columns.matrix.bits)
        low = -top if driver.signed_words else 0

        def judge(ends: list[float]) -> None:
            wrong = [end for end in ends if not low - 1e-6 * top <= end <= top * (1 + 1e-6)]
            if wrong and (self.columns.rounds or not all(map(math.isfinite, wrong))):
                allowed = f"from {low} to {top} clock periods, as driver.counts makes them"
                raise InputError(f"inputs: must be {allowed} (got {wrong[-1]:g})")

        n = shape[0 if len(shape) == least else 1]
        if (noise.chips, noise.samples) != (self.chips, n):
            raise InputError(
                f"noise: must be of {self.chips} chips and {n} samples, as the layer and its inputs "
                f"(got {noise.chips} chips and {noise.samples} samples)"
            )
        return judged(inputs, lambda x: torch.stack(x.aminmax()), judge)

    @abstractmethod
    def answers(self, inputs: torch.Tensor, noise: BlockNoise, activity: Activity | None) -> torch.Tensor:
        """The outputs of ``run`` for inputs and noise that fit the layer."""
