"""What a liquid and its read-out do for one recording, and by which circuits.

Two read paths for the same cells. On the **board**, bit lines are read one after the other: a few transimpedance
amplifiers and 14-bit ADCs go along them, while a cell conducts for one conversion; differences and neurons are logic.
With **capacitors**, all bit lines are read at once for a step of a fraction of a microsecond: each line's current is
taken at virtual ground, mirrored to the neurons beside it, and charges a membrane (``mappings.liquid.membrane``).

A cell costs only where its word line is active, so everything of the array goes with active lines x bit lines; what
bit lines cost (conversions, decisions) goes with time alone. The read voltage is not published; it is an estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mappings.actions import ActionLedger, Actions
from mappings.liquid.chip import LiquidChip, LiquidShape
from mappings.liquid.membrane import MappedMembranes
from mappings.liquid.run import LiquidActivity
from periphery.neurons.lif import LIF, Counts, MembraneCapacitor

BOARD = (
    "amplifiers and converters of the board are priced as parts: their data sheets' supply current for the time of a "
    "conversion, which holds every bias, reference and output stage in them; they are no silicon on the chip"
)


def reservoir_actions(
    shape: LiquidShape,
    neuron: LIF | MembraneCapacitor,
    membranes: MappedMembranes | None,
    activity: LiquidActivity,
    *,
    name: str,
    notes: tuple[str, ...],
) -> Actions:
    """One step of the reservoir: counts, instances and schedule; ``activity.steps`` of them make a recording.

    ``neuron``: numbers of the board's logic, or a capacitor on the chip; ``membranes``: its bit lines' front ends.
    """
    ledger, grid = ActionLedger(name), shape.grid
    ledger.act("word_line", "cell_pulse", activity.lines * shape.columns)
    ledger.need("word_line", shape.rows * grid.column_tiles)
    ledger.need("cell_array", grid.tiles * shape.chip.array_rows * shape.chip.array_columns)
    if isinstance(neuron, MembraneCapacitor):
        assert membranes is not None
        _capacitor(ledger, shape, neuron, membranes, activity)
    else:
        notes = (*notes, BOARD)
        _board(ledger, shape, neuron, activity)
    return ledger.close(ops=2.0 * shape.rows * shape.neurons, steps=activity.steps, notes=notes)


@dataclass(frozen=True, kw_only=True)
class LiquidReadout:
    """The linear read-out of a liquid, digital: counters times weights, in the board's logic or on the chip.

    Parameters
    ----------
    features, outputs : neurons that are counted, and classes or dimensions
    bits : of a weight, sign included
    chip : of the liquid
    """

    features: int
    outputs: int
    bits: int
    chip: LiquidChip

    @property
    def parameters(self) -> int:
        """Weights."""
        return self.features * self.outputs

    def actions(self, *, steps: int) -> Actions:
        """One recording of ``steps``, which the neurons' counters hold."""
        ledger, products = ActionLedger("read-out"), float(self.parameters)
        lanes, counter = self.chip.circuit.lanes, math.ceil(math.log2(steps + 1))
        word = self.bits + counter + math.ceil(math.log2(self.features))
        board = self.chip.read_path == "board"
        counts: Counts = {
            "multiplier": {"bit_product": products * self.bits * counter},
            "adder": {"add_bit": products * word},
            "register": {"write_bit": products * word},
        }
        _count(ledger, counts, board=board)
        if not board:
            ledger.need("multiplier", lanes * self.bits * counter)
            ledger.need("adder", lanes * word)
            ledger.need("register", products * self.bits + self.outputs * word)
        ledger.schedule.add("product", "logic", products / lanes * (10e-9 if board else 1e-9))
        return ledger.close(ops=2.0 * products)


def _count(ledger: ActionLedger, counts: Counts, *, board: bool) -> None:
    """Digital work of components of the chip, or all of it in the board's logic."""
    for component, of in counts.items():
        ledger.act_all({"fpga_logic" if board else component: of})


def _board(ledger: ActionLedger, shape: LiquidShape, neuron: LIF, activity: LiquidActivity) -> None:
    chip, circuit, tiles = shape.chip, shape.chip.circuit, shape.grid.row_tiles
    conversions = float(tiles * shape.columns)
    turns = math.ceil(conversions / circuit.converters)
    _charge(ledger, chip, activity.lines * activity.load_S * circuit.v_read_V * circuit.t_convert_s)
    ledger.act("dac_board", "convert", turns)
    ledger.act("tia_board", "convert", conversions)
    ledger.act("adc_board", "convert", conversions)
    bits = (chip.adc_bits or 14) + 1
    ledger.act("fpga_logic", "add_bit", (2.0 * tiles - 1.0) * shape.neurons * bits)
    _count(ledger, neuron.actions(shape.neurons, activity.spikes, activity.steps), board=True)
    ledger.need_all({"dac_board": 1, "tia_board": circuit.converters, "adc_board": circuit.converters, "fpga_logic": 1})
    read = ledger.schedule.add("bit lines, in turn", "converters", turns * circuit.t_convert_s)
    ledger.schedule.add("neurons", "logic", shape.neurons * 10e-9, after=[read])


def _capacitor(
    ledger: ActionLedger,
    shape: LiquidShape,
    neuron: MembraneCapacitor,
    membranes: MappedMembranes,
    activity: LiquidActivity,
) -> None:
    circuit = shape.chip.circuit
    _charge(ledger, shape.chip, activity.lines * activity.load_S * circuit.v_read_V * circuit.t_step_s)
    # What mirrors pass on to membranes is drawn from the supply by the branches that the bias counts.
    ledger.act("column_front_end", "bias_J", shape.columns * membranes.bias_J)
    _count(ledger, neuron.actions(shape.neurons, activity.spikes, activity.steps), board=False)
    ledger.act("controller", "clock", 1.0)
    ledger.need_all(neuron.instances(shape.neurons, activity.steps))
    ledger.need("column_front_end", shape.columns * membranes.area_m2 * 1e12)
    ledger.need(f"capacitor_{membranes.design.capacitor}", shape.neurons * neuron.c_membrane_F * 1e12)
    ledger.need("controller", 1.0)
    read = ledger.schedule.add("currents charge membranes", "array", circuit.t_step_s)
    ledger.schedule.add("decide, reset", "neurons", circuit.t_gap_s, after=[read])


def _charge(ledger: ActionLedger, chip: LiquidChip, charge_C: float) -> None:
    """Charge through cells: what they turn into heat, and what its supply loses on the way to V_read."""
    v_read_V = chip.circuit.v_read_V
    ledger.act("cell_array", "read_J", charge_C * v_read_V)
    draw_V = chip.read_supply.draw_V(v_read_V, chip.circuit.node_nm)
    ledger.act("read_supply", "loss_J", charge_C * (draw_V - v_read_V))
    ledger.need("read_supply", chip.read_supply.area_m2 * 1e12)
