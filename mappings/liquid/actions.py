"""What a liquid does for one recording, by which circuits, and what the same network takes on a graphics processor.

Two read paths for the same cells. On the **board**, bit lines are read one after the other: a few transimpedance
amplifiers and 14-bit ADCs go along them, while a cell conducts for one conversion; differences and neurons are logic.
With **capacitors**, all bit lines are read at once for a step of a fraction of a microsecond: each line's current is
held at virtual ground, mirrored to the neurons beside it, and charges a membrane.

A cell costs only where its word line is active, so everything of the array goes with active lines x bit lines; what
bit lines cost (conversions, decisions) goes with time alone. The read voltage is not published; it is an estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mappings.actions import Action, ActionLedger, Actions
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidRead, LiquidRun
from periphery.neurons.lif import Counts, MembraneCapacitor

GpuModel = Literal["op_esgnn", "flop_fp32", "flop_fp16"]
GPU_MODELS: tuple[GpuModel, ...] = ("op_esgnn", "flop_fp32", "flop_fp16")


@dataclass(frozen=True, kw_only=True)
class LiquidActivity:
    """How much went on in a step, on average over recordings and chips.

    Parameters
    ----------
    lines : word lines driven, of inputs and of neurons that fired
    spikes : neurons that fired
    load_S : all cells on a driven word line [S]
    """

    lines: float
    spikes: float
    load_S: float

    @classmethod
    def of(cls, run: LiquidRun, read: LiquidRead) -> LiquidActivity:
        """Of a run on arrays as read; a line's load is the mean over all lines, driven or not."""
        return cls(
            lines=float(run.line_reads.double().mean()) / run.steps,
            spikes=float(run.counts.double().sum(2).mean()) / run.steps,
            load_S=float(read.load_S.double().mean()),
        )


def membrane(how: Liquid) -> MembraneCapacitor:
    """The capacitor that behaves as the liquid's neuron under its mirrored currents."""
    circuit = how.circuit
    unit_A = circuit.v_read_V * 1e-6 / how.gain_per_uS * circuit.copy_ratio
    return MembraneCapacitor.of(
        how.neuron,
        unit_A=unit_A,
        t_step_s=circuit.t_step_s,
        v_threshold_V=circuit.v_threshold_V,
        v_supply_V=circuit.v_supply_V,
    )


def liquid_actions(how: Liquid, activity: LiquidActivity, *, steps: int) -> Actions:
    """One step of the liquid: counts, instances and schedule; ``steps`` of them make a recording."""
    book = ActionLedger("liquid")
    book.act("word_line", "cell_pulse", activity.lines * how.columns)
    book.need("word_line", how.rows * (how.arrays / (len(how.row_edges) - 1)))
    book.need("cell_array", how.arrays * how.array_rows * how.array_columns)
    (_board if how.read_path == "board" else _capacitor)(book, how, activity, steps)
    return book.close(ops=2.0 * how.rows * how.neurons, steps=steps)


def readout_actions(how: Liquid, outputs: int, *, steps: int) -> Actions:
    """The linear read-out of one recording: counters times weights, in the board's logic or on the chip."""
    book, circuit = ActionLedger("read-out"), how.circuit
    products, counter = float(how.neurons * outputs), math.ceil(math.log2(steps + 1))
    word = circuit.readout_bits + counter + math.ceil(math.log2(how.neurons))
    board = how.read_path == "board"
    counts: Counts = {
        "multiplier": {"bit_product": products * circuit.readout_bits * counter},
        "adder": {"add_bit": products * word},
        "register": {"write_bit": products * word},
    }
    _count(book, counts, board=board)
    if not board:
        book.need("multiplier", circuit.lanes * circuit.readout_bits * counter)
        book.need("adder", circuit.lanes * word)
        book.need("register", products * circuit.readout_bits + outputs * word)
    book.schedule.add("product", "logic", products / circuit.lanes * (10e-9 if board else 1e-9))
    return book.close(ops=2.0 * products)


def gpu_actions(how: Liquid, outputs: int, *, steps: int, model: GpuModel = "op_esgnn") -> Actions:
    """The same network on a graphics processor: every product of every step, spikes or none.

    ``op_esgnn`` counts a multiply-accumulate as one operation, as the group's spike rule (spikes x fan-out) does.
    """
    macs = float(how.rows * how.neurons * steps + how.neurons * outputs)
    return Actions((Action("network", "gpu", model, macs * (1.0 if model == "op_esgnn" else 2.0)),), ops=2.0 * macs)


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Multiply-accumulates of training a read-out on a fixed liquid, and a spiking network of its size through time.

    Parameters
    ----------
    ridge, gradient : read-out alone, solved at once or by epochs of gradient descent, its features at hand
    forward : one pass of all recordings through the liquid, were it computed as dense products
    through_time : the recurrent network and its read-out by back-propagation through time: a forward pass, and twice
        as much for the gradients of states and weights, in every epoch
    """

    ridge: float
    gradient: float
    forward: float
    through_time: float


def training_cost(how: Liquid, outputs: int, *, steps: int, recordings: int, epochs: int) -> TrainingCost:
    """Multiply-accumulates, element-wise work left out on both sides."""
    n, features = float(recordings), float(how.neurons)
    forward = n * steps * how.rows * features
    readout = n * features * outputs
    return TrainingCost(
        ridge=n * features**2 / 2 + features**3 / 3 + readout + features**2 * outputs,
        gradient=3.0 * epochs * readout,
        forward=forward,
        through_time=3.0 * epochs * (forward + readout),
    )


def _count(book: ActionLedger, counts: Counts, *, board: bool) -> None:
    """Digital work of components of the chip, or all of it in the board's logic."""
    for component, of in counts.items():
        book.act_all({"fpga_logic" if board else component: of})


def _board(book: ActionLedger, how: Liquid, activity: LiquidActivity, steps: int) -> None:
    circuit, tiles = how.circuit, len(how.row_edges) - 1
    conversions = float(tiles * how.columns)
    turns = math.ceil(conversions / circuit.converters)
    book.act("cell_array", "read_J", activity.lines * activity.load_S * circuit.v_read_V**2 * circuit.t_convert_s)
    book.act("dac_board", "convert", turns)
    book.act("tia_board", "convert", conversions)
    book.act("adc_board", "convert", conversions)
    bits = (how.adc_bits or 14) + 1
    book.act("fpga_logic", "add_bit", (2.0 * tiles - 1.0) * how.neurons * bits)
    _count(book, how.neuron.actions(how.neurons, activity.spikes, steps), board=True)
    book.need_all({"dac_board": 1, "tia_board": circuit.converters, "adc_board": circuit.converters, "fpga_logic": 1})
    read = book.schedule.add("bit lines, in turn", "converters", turns * circuit.t_convert_s)
    book.schedule.add("neurons", "logic", how.neurons * 10e-9, after=[read])


def _capacitor(book: ActionLedger, how: Liquid, activity: LiquidActivity, steps: int) -> None:
    circuit, neuron = how.circuit, membrane(how)
    charge_C = activity.lines * activity.load_S * circuit.v_read_V * circuit.t_step_s
    copies = 2.0 * how.neurons / how.columns
    book.act("cell_array", "read_J", charge_C * circuit.v_read_V)
    book.act("column_front_end", "clock", how.columns)
    supplied_C = charge_C * (1.0 + copies * circuit.copy_ratio)
    _count(book, neuron.actions(how.neurons, activity.spikes, steps, charge_C=supplied_C), board=False)
    book.act("controller", "clock", 1.0)
    book.need_all(neuron.instances(how.neurons, steps))
    book.need("column_front_end", how.columns - how.neurons)
    book.need("controller", 1.0)
    read = book.schedule.add("currents charge membranes", "array", circuit.t_step_s)
    book.schedule.add("decide, reset", "neurons", circuit.t_gap_s, after=[read])
