"""The parts of one step of a layer on tiles: drive, convert, compute.

Each part counts its actions and takes its place in time. A layer is a sequence of these parts
(``mappings.recurrent_actions``). Prices stand in ``configs/components``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mappings.actions import Action, Actions, Instance, Schedule, Task
from periphery.adc_prices import adc_name
from periphery.component import Component, component


@dataclass(frozen=True, kw_only=True)
class LayerShape(ABC):
    """What stands on the chip for one layer.

    Parameters
    ----------
    cells : memory cells of the weights, pairs counted as two
    bits : resolution of inputs and of output codes
    adc_bits : resolution of an ordinary ADC; None means ``bits``
    ramps, ramp_cells : ramp columns of the layer, and the cells in all of them together
    columns_per_adc : columns that share one ADC (conventional readout and digital partial sums)
    partial_sums : how several row tiles are summed
    lanes : digital units that work side by side; one unit takes one value a clock
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
    columns_per_adc: int = 8
    adc_model: str = "andrulis2024"
    adc_bits: int | None = None
    partial_sums: Literal["charge", "digital"] = "charge"
    lanes: int = 4

    def __post_init__(self) -> None:
        for name in (
            "row_tiles",
            "column_tiles",
            "cells",
            "bits",
            "columns_per_adc",
            "lanes",
        ):
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
    def sums_digitally(self) -> bool:
        """Whether each row tile's part of a sum is converted and added digitally."""
        return self.row_tiles > 1 and self.partial_sums == "digital"

    @property
    def conversions_per_column(self) -> int:
        """Conversions for one column's sum."""
        return self.row_tiles if self.sums_digitally else 1

    @property
    def adcs(self) -> int:
        """ADCs of the layer; none with the ramp."""
        if not self.linear:
            return 0
        return math.ceil(self.columns * self.conversions_per_column / self.columns_per_adc)

    @property
    def code_bits(self) -> int:
        """Bits that one conversion gives."""
        return (self.adc_bits or self.bits) if self.linear else self.bits

    @property
    def adc(self) -> str:
        """Name under which the ordinary ADC is counted and priced."""
        return adc_name(self.adc_model, self.code_bits)

    @property
    def sum_bits(self) -> int:
        """Width of a digital sum over row tiles."""
        return self.code_bits + math.ceil(math.log2(self.row_tiles))


@dataclass(frozen=True, kw_only=True)
class StepActivity:
    """Means over inferences and steps of what the simulator saw in one step; a GRU's values sum its two passes.

    Parameters
    ----------
    array_ohmic_J : ``sum G V^2 t`` over the weight cells [J]
    row_pulses, row_clocks : word-line pulses that are not empty, and the sum of their clock periods
    gate_compare_steps : comparator steps taken, summed over columns (code + 1 where a comparator stops at its crossing)
    ramp_ohmic_J : the same sum over the cells of all ramps [J]
    state_ohmic_J, state_pulses, state_clocks, state_compare_steps : the same for the way back of the cell state
    """

    array_ohmic_J: float
    row_pulses: float
    row_clocks: float
    gate_compare_steps: float = 0.0
    ramp_ohmic_J: float = 0.0
    state_ohmic_J: float = 0.0
    state_pulses: float = 0.0
    state_clocks: float = 0.0
    state_compare_steps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StepTiming:
    """How long each part of a step takes.

    Parameters
    ----------
    input_clocks : both sign phases of the inputs
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

        return cls(
            t_clk_s=t_clk_s,
            input_clocks=2 * (2 ** (shape.bits - 1) - 1),
            gate_ramp_clocks=gate_ramp_clocks,
            state_drive_clocks=2 ** (shape.bits - 1),
            state_ramp_clocks=state_ramp_clocks,
            adc_latency_s=latency_s(shape.adc) if shape.linear else 0.0,
            multiply_s=latency_s("multiplier"),
            add_s=latency_s("adder"),
            lookup_s=latency_s("lookup"),
            control_s=latency_s("controller"),
        )


class LayerStep:
    """Collects the counts and the schedule of one step while its parts are called in their order in time."""

    def __init__(self, shape: LayerShape, timing: StepTiming, *, activation: bool = True) -> None:
        self.shape, self.timing, self.activation = shape, timing, activation
        self.schedule = Schedule(shape.layer)
        self.actions: list[Action] = []
        self.instances: list[Instance] = []
        self.front_end_clocks = 0.0
        self.counter_clocks = 0.0

    def act(self, name: str, action: str, count: float) -> None:
        self.actions.append(Action(self.shape.layer, name, action, float(count)))

    def need(self, name: str, count: float) -> None:
        self.instances.append(Instance(self.shape.layer, name, float(count)))

    def reset(self) -> Task:
        return self.schedule.add("reset and hand over", "control", self.timing.control_s)

    def product(self, columns: int, name: str, *, after: Task) -> Task:
        """Drive all rows, integrate, and convert ``columns`` columns."""
        shape, timing = self.shape, self.timing
        half_s = timing.input_clocks * timing.t_clk_s / 2
        for sign in ("+", "-"):
            self.schedule.add(f"integrate {name} ({sign})", "gate_integrators", half_s, after=(after,))
            after = self.schedule.add(f"drive inputs ({sign})", "word_lines", half_s, after=(after,))
        self.counter_clocks += timing.input_clocks
        if shape.row_tiles > 1 and not shape.sums_digitally:
            self.act("column_switch", "close", columns * shape.row_tiles)
        if not shape.linear:
            self.front_end_clocks += columns * (timing.input_clocks + timing.gate_ramp_clocks)
            self.counter_clocks += timing.gate_ramp_clocks
            self.act("code_latch", "write_bit", columns * shape.bits)
            return self._ramp(f"ramp for {name}", "gate_ramp", timing.gate_ramp_clocks, after)
        conversions = columns * shape.conversions_per_column
        rounds = math.ceil(conversions / shape.adcs)
        # A column's integrator has to hold its charge until its turn at the shared ADC: on average half the rounds.
        held_clocks = (rounds + 1) / 2 * timing.adc_latency_s / timing.t_clk_s
        self.front_end_clocks += conversions * (timing.input_clocks + held_clocks)
        self.act(shape.adc, "convert", conversions)
        self.act("code_latch", "write_bit", conversions * shape.code_bits)
        after = self.schedule.add(f"convert {name}", "adc", rounds * timing.adc_latency_s, after=(after,))
        if shape.sums_digitally:
            additions = columns * (shape.row_tiles - 1)
            self.act("adder", "add_bit", additions * shape.sum_bits)
            after = self.compute(f"add partial sums of {name}", additions, timing.add_s, after=after)
        return self.look_up(f"activation of {name}", columns, after=after) if self.activation else after

    def state_product(self, hidden: int, activity: StepActivity, *, after: Task) -> Task:
        """The cell state back to charge on two cells a unit, and the ramp of tanh(c)."""
        shape, timing = self.shape, self.timing
        drive_s = timing.state_drive_clocks * timing.t_clk_s
        self.schedule.add("integrate c", "state_integrators", drive_s, after=(after,))
        after = self.schedule.add("drive c", "state_lines", drive_s, after=(after,))
        self.front_end_clocks += hidden * (timing.state_drive_clocks + timing.state_ramp_clocks)
        self.counter_clocks += timing.state_drive_clocks + timing.state_ramp_clocks
        self.act("cell_array", "read_J", activity.state_ohmic_J)
        self.act("word_line", "cell_pulse", 2 * activity.state_pulses)
        self.act("pwm_driver", "compare_bit", activity.state_clocks * shape.bits)
        self.act("pwm_driver", "load_bit", hidden * shape.bits)
        self.act("comparator", "step", activity.state_compare_steps)
        self.act("code_latch", "write_bit", hidden * shape.bits)
        self.need("cell_array", 2 * hidden)
        self.need("pwm_driver", hidden * shape.bits)
        self.need("word_line", hidden)
        self.need("column_front_end", hidden)
        self.need("comparator", hidden)
        self.need("code_latch", hidden * shape.bits)
        return self._ramp("ramp for tanh(c)", "state_ramp", timing.state_ramp_clocks, after)

    def _ramp(self, name: str, resource: str, clocks: int, after: Task) -> Task:
        duration_s = clocks * self.timing.t_clk_s
        ramp = self.schedule.add(name, resource, duration_s, after=(after,))
        self.schedule.add(f"compare with {name}", "comparators", duration_s, after=(after,))
        return ramp

    def compute(self, name: str, values: int, latency_s: float, *, after: Task) -> Task:
        """``values`` results on the digital lanes, one a clock and lane, the last one ``latency_s`` after its start."""
        clocks = math.ceil(values / self.shape.lanes)
        return self.schedule.add(name, "digital", clocks * self.timing.t_clk_s + latency_s, after=(after,))

    def look_up(self, name: str, values: int, *, after: Task) -> Task:
        """``values`` activations from the digital look-up units."""
        self.act("lookup", "evaluate", values)
        return self.compute(name, values, self.timing.lookup_s, after=after)

    def finish(self, activity: StepActivity, ops: float) -> Actions:
        """Everything that does not depend on the order in time, and the whole as one record."""
        shape, timing = self.shape, self.timing
        tiles = shape.row_tiles * shape.column_tiles
        conversions = shape.columns * shape.conversions_per_column
        self.act("cell_array", "read_J", activity.array_ohmic_J)
        self.act("word_line", "cell_pulse", activity.row_pulses * shape.cells / shape.rows)
        self.act(
            "pwm_driver",
            "compare_bit",
            activity.row_clocks * shape.bits * shape.column_tiles,
        )
        self.act("pwm_driver", "load_bit", shape.rows * shape.bits * shape.column_tiles)
        self.act("column_front_end", "clock", self.front_end_clocks)
        self.act("shared_counter", "count_bit", self.counter_clocks * shape.bits * tiles)
        latency_s = max(task.end_s for task in self.schedule.tasks)
        self.act("controller", "clock", latency_s / timing.t_clk_s)
        self.need("cell_array", shape.cells)
        self.need("word_line", shape.rows * shape.column_tiles)
        self.need("pwm_driver", shape.rows * shape.bits * shape.column_tiles)
        self.need("column_front_end", conversions)
        self.need("code_latch", conversions * shape.code_bits)
        self.need("shared_counter", shape.bits * tiles)
        self.need("controller", 1)
        if shape.row_tiles > 1 and not shape.sums_digitally:
            self.need("column_switch", shape.columns * shape.row_tiles)
        if shape.linear:
            self.need(shape.adc, shape.adcs)
            if self.activation:
                self.need("lookup", shape.lanes)
            if shape.sums_digitally:
                self.need("adder", shape.lanes * shape.sum_bits)
        else:
            self.act("comparator", "step", activity.gate_compare_steps)
            self.act("ramp_cells", "read_J", activity.ramp_ohmic_J)
            self.need("comparator", shape.columns)
            self.need("ramp_cells", shape.ramp_cells)
        return Actions(
            _merged_actions(self.actions),
            _merged_instances(self.instances),
            tuple(self.schedule.tasks),
            ops=ops,
            notes=_notes(shape),
        )


def _merged_actions(actions: list[Action]) -> tuple[Action, ...]:
    totals: dict[tuple[str, str, str], float] = {}
    for line in actions:
        key = (line.layer, line.component, line.action)
        totals[key] = totals.get(key, 0.0) + line.count
    return tuple(Action(*key, count) for key, count in totals.items())


def _merged_instances(instances: list[Instance]) -> tuple[Instance, ...]:
    totals: dict[tuple[str, str], float] = {}
    for line in instances:
        totals[line.layer, line.component] = totals.get((line.layer, line.component), 0.0) + line.count
    return tuple(Instance(*key, count) for key, count in totals.items())


def _notes(shape: LayerShape) -> tuple[str, ...]:
    if shape.row_tiles == 1:
        return ()
    if shape.sums_digitally:
        how = "each part is converted linearly by an ordinary ADC, added digitally and looked up"
        if shape.readout == "ramp":
            how += ", so the nonlinear ramp is not used here"
    else:
        how = "the parts are summed as charge on one integrator a column before the conversion"
    return (f"{shape.layer}: {shape.row_tiles} row tiles; {how}",)
