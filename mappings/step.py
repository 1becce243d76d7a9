"""The parts of one step of a layer on tiles: drive, convert, compute.

Each part counts its actions and has its start in time. A layer is a sequence of these parts
(``mappings.network.actions``). Prices are in ``configs/components``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mappings.actions import ActionLedger, Actions, ScheduledTask
from periphery.adc.activation import Activation, LookUpTable
from periphery.adc.base import ADC
from periphery.adc.kinds import Quantiser
from periphery.drivers import PWMDriver
from periphery.drivers.base import Driver
from periphery.prices.adc import adc_name
from periphery.prices.component import Component, component


@dataclass(frozen=True, kw_only=True)
class ColumnCircuit:
    """One front end, mean over a layer's columns.

    Parameters
    ----------
    bias_W, held_W : what it draws while it integrates, and while the capacitor keeps the product [W]
    open_s : time from the first pulse until the last charge has settled, of one product [s]
    area_m2 : of its transistors [m2]
    capacitor_F, capacitor : its capacitor [F], and the component that prices a picofarad of it
    """

    bias_W: float = 0.0
    held_W: float = 0.0
    open_s: float = 0.0
    area_m2: float = 0.0
    capacitor_F: float = 0.0
    capacitor: str = "capacitor_mim"


@dataclass(frozen=True, kw_only=True)
class Charge:
    """The supply of the charge through the cells.

    Parameters
    ----------
    v_read_V : read voltage [V]
    draw_V : energy for each coulomb through the cells [V]
    supply_m2 : area of a converter that makes the read voltage [m2]
    """

    v_read_V: float = 0.0
    draw_V: float = 0.0
    supply_m2: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LayerShape(ABC):
    """What one layer needs on the chip.

    Parameters
    ----------
    row_tiles, column_tiles, tile_rows, tile_columns : tiles above each other and side by side, and the word lines and
        columns of one; None where the layer fills them. Tiles are whole: their empty places have cells, lines, drivers,
        front ends and converters, and nothing drives them; of a tile that is ``shared`` with other layers, those that
        this one counts
    cells : memory cells of all tiles, all planes of the encoding and reference columns counted
    driver : drivers of the word lines
    slices, slice_shift_bits : parts of a weight that are converted apart, and by how many bits their words are shifted
    hold_F, hold_V2 : capacitor of its own that holds a product for the comparator [F], and swing times supply [V^2]
    settle_clocks : clock periods after each phase in which the last charge arrives
    trim_um2 : layout area of the trim of one column [um2]
    circuit, ramp_circuit, state_circuit : front end of a column, of a ramp, of a cell state that comes back as charge
    charge : where the charge through the cells comes from
    step_share, pair_layout_um2 : energy of a comparator's decision over that of the price list [1], and area of its
        input pair beside the price list's comparator [um2]
    converter, unit : kind of an ordinary ADC, and the digital unit behind it that computes activations
    groups : groups of columns on one tile that share a function, and with a linear ramp that ramp
    branches : capacitors of each column's integrator, one for each significance that is summed as charge
    bits : resolution of inputs
    converter_bits : resolution of one conversion; None means ``bits``
    ramps, ramp_cells : ramp columns of the layer, and the cells in all of them together
    ramp_lines : word lines of the ramps, one for each step, start and bias cell of a column; ramps of one function on a
        tile share those of their steps
    columns_per_adc : columns that share one ADC (conventional readout and digital partial sums)
    partial_sums : how several row tiles are summed
    lanes : digital units that work side by side; a unit takes its next value when it has given the last
    """

    layer: str
    bias_rows: int
    row_tiles: int
    column_tiles: int
    cells: int
    bits: int
    readout: Literal["ramp", "conventional"]
    ramps: int
    ramp_cells: int
    ramp_lines: int = 0
    columns_per_adc: int = 8
    adc_model: str = "andrulis2024"
    converter_bits: int | None = None
    partial_sums: Literal["charge", "digital"] = "charge"
    lanes: int = 4
    driver: Driver = PWMDriver()
    tile_rows: int | None = None
    tile_columns: int | None = None
    shared: bool = False
    slices: int = 1
    slice_shift_bits: int = 0
    branches: int = 1
    converter: ADC = Quantiser()
    unit: Activation = LookUpTable()
    groups: int = 1
    settle_clocks: int = 1
    hold_F: float = 0.0
    hold_V2: float = 0.0
    trim_um2: float = 0.0
    circuit: ColumnCircuit
    ramp_circuit: ColumnCircuit = ColumnCircuit()
    state_circuit: ColumnCircuit = ColumnCircuit()
    charge: Charge
    step_share: float = 1.0
    pair_layout_um2: float = 0.0

    def __post_init__(self) -> None:
        for name in ("row_tiles", "column_tiles", "cells", "bits", "columns_per_adc", "lanes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{self.layer}: {name}: at least 1 (got {getattr(self, name)!r})")

    @property
    @abstractmethod
    def rows(self) -> int:
        """Word lines of the whole layer, bias rows included."""

    @property
    @abstractmethod
    def columns(self) -> int:
        """Output columns of the whole layer."""

    @property
    def linear(self) -> bool:
        """Whether columns go through ordinary ADCs and a look-up rather than a nonlinear ramp."""
        return self.readout == "conventional" or self.sums_digitally

    @property
    def tile_parts(self) -> int:
        """Row tiles whose parts of a sum are converted apart."""
        return self.row_tiles if self.partial_sums == "digital" else 1

    @property
    def input_parts(self) -> int:
        """Phases of an input that are converted apart, one after the other."""
        return self.driver.phases(self.bits) if self.driver.digital_accumulation else 1

    @property
    def sums_digitally(self) -> bool:
        """Whether parts of a sum (row tiles, slices, input bits) are converted and added digitally."""
        return self.conversions_per_column > 1

    @property
    def lines_stand(self) -> int:
        """Word lines of all tiles."""
        above = self.rows if self.tile_rows is None else self.row_tiles * self.tile_rows
        return above * self.column_tiles

    @property
    def columns_stand(self) -> int:
        """Columns of all tiles beside each other."""
        return self.columns if self.tile_columns is None else self.column_tiles * self.tile_columns

    @property
    def utilisation(self) -> float:
        """Share of the places of all tiles at which there is a weight [1]."""
        return self.rows * self.columns * self.column_tiles / (self.lines_stand * self.columns_stand)

    @property
    def front_ends(self) -> int:
        """Columns in use that have a front end each: those of every row tile and slice that is converted apart."""
        return self.columns * self.tile_parts * self.slices

    @property
    def front_ends_stand(self) -> int:
        """Front ends of all tiles."""
        return self.columns_stand * self.tile_parts * self.slices

    @property
    def conversions_per_column(self) -> int:
        """Conversions for one column's sum."""
        return self.tile_parts * self.slices * self.input_parts

    @property
    def adcs(self) -> int:
        """ADCs that the layer's columns take turns on; none with the ramp."""
        return math.ceil(self.front_ends / self._columns_each) if self.linear else 0

    @property
    def adcs_stand(self) -> int:
        """ADCs of all tiles."""
        return math.ceil(self.front_ends_stand / self._columns_each) if self.linear else 0

    @property
    def _columns_each(self) -> int:
        return 1 if self.converter.per_column else self.columns_per_adc  # a comparator for every column

    @property
    def code_bits(self) -> int:
        """Bits that one conversion gives."""
        return self.converter_bits or self.bits

    @property
    def adc(self) -> str:
        """Name under which the ordinary ADC is counted and priced."""
        return adc_name(self.adc_model, self.code_bits)

    @property
    def sum_bits(self) -> int:
        """Width of a digital sum over row tiles, shifted slices and shifted input bits."""
        shifts = self.slice_shift_bits + (self.bits - 1 if self.input_parts > 1 else 0)
        return self.code_bits + shifts + math.ceil(math.log2(self.conversions_per_column))


@dataclass(frozen=True, kw_only=True)
class StepActivity:
    """Means over inferences and steps of what the simulator saw in one step; a GRU's values sum its two passes.

    Parameters
    ----------
    array_charge_C : ``sum G V t``, charge through the weight cells [C]
    row_pulses, row_clocks : word-line pulses that are not empty, and the sum of their clock periods
    gate_compare_steps : comparator steps taken, summed over columns (code + 1 where a comparator stops at its crossing)
    adc_steps : steps that ordinary ADCs with a comparator a column (or an oscillator) took, summed over conversions
    ramp_charge_C : the same sum over the cells of all ramps [C]
    state_charge_C, state_pulses, state_clocks, state_compare_steps : the same for the way back of the cell state
    projection : of the matrix that projects a hidden state; None where there is none
    """

    array_charge_C: float
    row_pulses: float
    row_clocks: float
    gate_compare_steps: float = 0.0
    adc_steps: float = 0.0
    ramp_charge_C: float = 0.0
    state_charge_C: float = 0.0
    state_pulses: float = 0.0
    state_clocks: float = 0.0
    state_compare_steps: float = 0.0
    projection: StepActivity | None = None


@dataclass(frozen=True, kw_only=True)
class StepTiming:
    """How long each part of a step takes.

    Parameters
    ----------
    input_clocks : all phases of the inputs
    gate_ramp_clocks, state_ramp_clocks : one whole ramp, steps of several clocks counted as such
    state_drive_clocks : pulse width given to the full range of the cell state
    adc_latency_s : one conversion of an ordinary ADC
    multiply_s, add_s, lookup_s : digital units, from operand to result
    control_s : reset of the integrators and hand-over between steps
    """

    t_clk_s: float
    input_clocks: int
    gate_ramp_clocks: int
    state_drive_clocks: int = 0
    state_ramp_clocks: int = 0
    adc_latency_s: float = 0.0
    multiply_s: float = 0.0
    add_s: float = 0.0
    lookup_s: float = 0.0
    control_s: float = 0.0

    @classmethod
    def of(
        cls,
        shape: LayerShape,
        *,
        t_clk_s: float,
        node_nm: float,
        components: Mapping[str, Component],
        gate_ramp_clocks: int = 0,
        state_ramp_clocks: int = 0,
    ) -> StepTiming:
        """Timing of ``shape`` with the latencies of the component records at ``node_nm``; ramps as designed."""

        def latency_s(name: str) -> float:
            return component(name, components).at(node_nm).latency_s

        adc_s = shape.converter.convert_s(shape.code_bits, t_clk_s) if shape.linear else 0.0
        adc_s = latency_s(shape.adc) if adc_s is None else adc_s
        return cls(
            t_clk_s=t_clk_s,
            input_clocks=shape.driver.drive_clocks(shape.bits) + shape.driver.phases(shape.bits) * shape.settle_clocks,
            gate_ramp_clocks=gate_ramp_clocks,
            state_drive_clocks=2 ** (shape.bits - 1) + shape.settle_clocks,
            state_ramp_clocks=state_ramp_clocks,
            adc_latency_s=adc_s,
            multiply_s=latency_s("multiplier"),
            add_s=latency_s("adder"),
            lookup_s=sum(latency_s(stage) for stage in shape.unit.stages),
            control_s=latency_s("controller"),
        )


class LayerStep:
    """Collects the counts and the schedule of one step while its parts are called in their order in time."""

    def __init__(self, shape: LayerShape, timing: StepTiming, *, activation: bool = True) -> None:
        self.shape, self.timing, self.activation = shape, timing, activation
        self.ledger = ActionLedger(shape.layer, merge=True)
        self.schedule, self.act, self.need = self.ledger.schedule, self.ledger.act, self.ledger.need
        self.front_end_J = 0.0
        self.held = 0.0
        self.counted_bits = 0.0
        self.conversions = 0.0
        self.rounds = 0.0
        self.products = 0

    def reset(self) -> ScheduledTask:
        return self.schedule.add("reset and hand over", "control", self.timing.control_s)

    def product(self, columns: int, name: str, *, after: ScheduledTask, looked_up: int | None = None) -> ScheduledTask:
        """Drive all rows, integrate, and convert ``columns`` columns; ``looked_up``: how many of them go through a
        look-up behind ordinary converters, None for all."""
        shape, timing = self.shape, self.timing
        phases = shape.driver.phases(shape.bits)
        phase_s = timing.input_clocks * timing.t_clk_s / phases
        names = {1: ("",), 2: (" (+)", " (-)")}.get(phases, tuple(f" ({phase + 1})" for phase in range(phases)))
        self.counted_bits += timing.input_clocks * shape.bits
        self.products += 1
        self.held += columns * shape.tile_parts * shape.slices * shape.input_parts
        together = columns * shape.tile_parts * shape.slices
        if shape.row_tiles > 1 and shape.tile_parts == 1:
            self.act("column_switch", "close", columns * shape.slices * shape.row_tiles)
        for phase in names:
            self.schedule.add(f"integrate {name}{phase}", "gate_integrators", phase_s, after=(after,))
            after = self.schedule.add(f"drive inputs{phase}", "word_lines", phase_s, after=(after,))
            if shape.input_parts > 1:
                after = self._convert(f"convert {name}{phase}", together, after)
        if not shape.linear:
            ramp_s = timing.gate_ramp_clocks * timing.t_clk_s
            self.front_end_J += columns * (shape.circuit.open_s * shape.circuit.bias_W + ramp_s * shape.circuit.held_W)
            self.counted_bits += timing.gate_ramp_clocks * shape.code_bits
            self.act("code_line", "step", columns * timing.gate_ramp_clocks)
            self.act("code_latch", "write_bit", columns * shape.code_bits)
            return self._ramp(f"ramp for {name}", "gate_ramp", timing.gate_ramp_clocks, after)
        self.front_end_J += together * shape.circuit.open_s * shape.circuit.bias_W
        if shape.input_parts == 1:
            after = self._convert(f"convert {name}", together, after)
        if shape.sums_digitally:
            additions = columns * (shape.conversions_per_column - 1)
            self.act("adder", "add_bit", additions * shape.sum_bits)
            after = self.compute(f"add partial sums of {name}", additions, timing.add_s, after=after)
        looked_up = columns if looked_up is None else looked_up
        return self.look_up(f"activation of {name}", looked_up, after=after) if self.activation else after

    def _ramp_lines(self) -> None:
        """Lines, sequencers and integrators of the ramps, all of which run once a step.

        A sequencer is a flip-flop a line that hands one token on: one is set and one cleared at each line.
        """
        shape = self.shape
        self.front_end_J += shape.groups * shape.ramp_circuit.open_s * shape.ramp_circuit.bias_W
        self.act("word_line", "cell_pulse", shape.ramp_cells)
        self.act("register", "write_bit", 2 * shape.ramp_lines)
        self.need("word_line", shape.ramp_lines)
        self.need("register", shape.ramp_lines)

    def _convert(self, name: str, columns: int, after: ScheduledTask) -> ScheduledTask:
        """One round of ordinary ADCs over ``columns`` columns side by side."""
        shape, timing = self.shape, self.timing
        rounds = math.ceil(columns / shape.adcs)
        # A column's integrator keeps its charge until its turn at the shared ADC: on average half the rounds.
        self.front_end_J += columns * (rounds + 1) / 2 * timing.adc_latency_s * shape.circuit.held_W
        self.conversions += columns
        self.rounds += 1.0
        self.act("code_latch", "write_bit", columns * shape.code_bits)
        return self.schedule.add(name, "adc", rounds * timing.adc_latency_s, after=(after,))

    def state_product(self, hidden: int, activity: StepActivity, *, after: ScheduledTask) -> ScheduledTask:
        """The cell state back to charge on two cells a unit, and the ramp of tanh(c)."""
        shape, timing = self.shape, self.timing
        drive_s = timing.state_drive_clocks * timing.t_clk_s
        self.schedule.add("integrate c", "state_integrators", drive_s, after=(after,))
        after = self.schedule.add("drive c", "state_lines", drive_s, after=(after,))
        ramp_s, circuit = timing.state_ramp_clocks * timing.t_clk_s, shape.state_circuit
        self.front_end_J += hidden * (circuit.open_s * circuit.bias_W + ramp_s * circuit.held_W)
        self.front_end_J += shape.ramp_circuit.open_s * shape.ramp_circuit.bias_W * (shape.ramps - shape.groups)
        self.counted_bits += (timing.state_drive_clocks + timing.state_ramp_clocks) * shape.bits
        self._charge("cell_array", activity.state_charge_C)
        self.act("word_line", "cell_pulse", 2 * activity.state_pulses)
        self.act("pwm_driver", "compare_bit", activity.state_clocks * shape.bits)
        self.act("pwm_driver", "load_bit", hidden * shape.bits)
        self.act("code_line", "step", hidden * (timing.state_drive_clocks + timing.state_ramp_clocks))
        self.act("comparator", "step", activity.state_compare_steps * shape.step_share)
        self.act("code_latch", "write_bit", hidden * shape.bits)
        self.need("cell_array", 2 * hidden)
        self.need("pwm_driver", hidden * shape.bits)
        self.need("word_line", hidden)
        self._front_ends(hidden, shape.state_circuit)
        self.need("comparator", hidden)
        self.need("column_front_end", hidden * shape.pair_layout_um2)
        self.need("code_latch", hidden * shape.bits)
        return self._ramp("ramp for tanh(c)", "state_ramp", timing.state_ramp_clocks, after)

    def _charge(self, cells: str, charge_C: float) -> None:
        """Charge through cells: what they turn into heat, and what its supply loses on the way to V_read."""
        supply = self.shape.charge
        self.act(cells, "read_J", charge_C * supply.v_read_V)
        self.act("read_supply", "loss_J", charge_C * (supply.draw_V - supply.v_read_V))

    def _front_ends(self, columns: float, circuit: ColumnCircuit, branches: int = 1) -> None:
        """Transistors of so many front ends, those of all lines, and a capacitor for each of the ``branches``."""
        self.need("column_front_end", columns * circuit.area_m2 * 1e12)
        self.need(circuit.capacitor, columns * branches * circuit.capacitor_F * 1e12)

    def _ramp(self, name: str, resource: str, clocks: int, after: ScheduledTask) -> ScheduledTask:
        duration_s = clocks * self.timing.t_clk_s
        ramp = self.schedule.add(name, resource, duration_s, after=(after,))
        self.schedule.add(f"compare with {name}", "comparators", duration_s, after=(after,))
        return ramp

    def compute(self, name: str, values: int, latency_s: float, *, after: ScheduledTask) -> ScheduledTask:
        """``values`` results on the digital lanes, one after the other on each: a unit without registers between its
        stages takes its next operands at the first clock edge after its last result."""
        turns, t_clk_s = math.ceil(values / self.shape.lanes), self.timing.t_clk_s
        each_s = max(1, math.ceil(latency_s / t_clk_s - 1e-9)) * t_clk_s
        return self.schedule.add(name, "digital", turns * each_s, after=(after,))

    def look_up(self, name: str, values: int, *, after: ScheduledTask) -> ScheduledTask:
        """``values`` activations from the digital look-up units."""
        self.ledger.act_all(self.shape.unit.actions(values))
        return self.compute(name, values, self.timing.lookup_s, after=after)

    def finish(self, activity: StepActivity, ops: float) -> Actions:
        """Everything that does not depend on the order in time, and the whole as one record."""
        shape, timing = self.shape, self.timing
        tiles = shape.row_tiles * shape.column_tiles
        tiled = shape.column_tiles
        self._charge("cell_array", activity.array_charge_C)
        # A pulse charges its line in every column of tiles, past empty places too.
        self.act("word_line", "cell_pulse", activity.row_pulses * tiled * shape.cells / shape.lines_stand)
        did = shape.driver.actions(
            shape.bits,
            rows=shape.rows * tiled * self.products,
            pulses=activity.row_pulses * tiled,
            clocks=activity.row_clocks * tiled,
        )
        self.ledger.act_all(did)
        if not shape.linear:
            self._ramp_lines()
        self.act("column_front_end", "bias_J", self.front_end_J)
        self.act("shared_counter", "count_bit", self.counted_bits * tiles)
        latency_s = max(task.end_s for task in self.schedule.tasks)
        self.act("controller", "clock", latency_s / timing.t_clk_s)
        self.need("cell_array", shape.cells)
        self.need("word_line", shape.lines_stand)
        self.ledger.need_all(shape.driver.instances(shape.bits, rows=shape.lines_stand))
        self._front_ends(shape.front_ends_stand, shape.circuit, shape.branches)
        self.need("column_front_end", shape.columns_stand * shape.trim_um2)
        if shape.hold_F > 0.0:
            self.need(shape.circuit.capacitor, shape.front_ends_stand * shape.hold_F * 1e12)
            self.act(shape.circuit.capacitor, "charge_J", self.held * shape.hold_F * shape.hold_V2)
        self.need("column_front_end", shape.front_ends_stand * shape.pair_layout_um2)
        self.need("code_latch", shape.front_ends_stand * shape.code_bits)
        self.need("shared_counter", (shape.bits if shape.linear else max(shape.bits, shape.code_bits)) * tiles)
        self.need("controller", 1)
        self.need("read_supply", shape.charge.supply_m2 * 1e12)
        if shape.row_tiles > 1 and shape.tile_parts == 1:
            self.need("column_switch", shape.columns_stand * shape.slices * shape.row_tiles)
        if shape.linear:
            ramps = float(shape.groups * shape.tile_parts * shape.slices)
            did = shape.converter.actions(
                shape.adc,
                shape.code_bits,
                conversions=self.conversions,
                steps=activity.adc_steps,
                ramps=self.rounds * ramps,
            )
            # A shared converter takes each product from a stage like a comparator's, whose offset and noise it has.
            steps = did.get("comparator", {"step": self.conversions})["step"]
            self.ledger.act_all({**did, "comparator": {"step": steps * shape.step_share}})
            needs = shape.converter.instances(
                shape.adc, shape.code_bits, adcs=shape.adcs_stand, columns=shape.front_ends_stand, ramps=ramps
            )
            self.ledger.need_all(needs)
            if self.activation:
                self.ledger.need_all(shape.unit.instances(shape.lanes))
            if shape.sums_digitally:
                self.need("adder", shape.lanes * shape.sum_bits)
        else:
            self.act("comparator", "step", activity.gate_compare_steps * shape.step_share)
            self._charge("ramp_cells", activity.ramp_charge_C)
            self.need("comparator", shape.columns_stand)
            self.need("ramp_cells", shape.ramp_cells)
            self._front_ends(shape.ramps, shape.ramp_circuit)
        return self.ledger.close(ops=ops, notes=_notes(shape, looked_up=self.activation))


def _notes(shape: LayerShape, *, looked_up: bool) -> tuple[str, ...]:
    notes = []
    if shape.shared:
        notes.append(
            f"{shape.layer}: {shape.rows} x {shape.columns} weights lie on the diagonal of a tile of several "
            f"layers, of which {shape.tile_rows} word lines and {shape.tile_columns} columns are counted here"
        )
    elif shape.utilisation < 1.0:
        notes.append(
            f"{shape.layer}: {shape.rows} x {shape.columns} weights take {shape.row_tiles * shape.column_tiles} whole "
            f"tiles of {shape.tile_rows or shape.rows} x {shape.tile_columns or shape.columns}, "
            f"{shape.utilisation:.1%} of their places"
        )
    if shape.row_tiles == 1:
        return tuple(notes)
    if shape.tile_parts > 1:
        how = "each part is converted linearly by an ordinary ADC and added digitally"
        if looked_up:
            how += ", and the sum is looked up"
        if shape.readout == "ramp":
            how += ", so the nonlinear ramp is not used here"
    else:
        how = "the parts are summed as charge on one integrator a column before the conversion"
    return (*notes, f"{shape.layer}: {shape.row_tiles} row tiles; {how}")
