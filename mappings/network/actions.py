"""What one step of a recurrent or dense layer does on its tiles, how long each part takes, and what it needs there.

One step with the **nonlinear ramp** readout (Yang et al., Nat. Commun. 16, 1136, 2025, doi 10.1038/s41467-025-56254-6;
the order of the steps is this project's reconstruction, since the paper's Supplement is not at hand):

1. the word lines drive the inputs as pulse widths, positive ones first and then negative ones, while every column's
   integrator sums charge;
2. one ramp a function, from a column of cells, rises past all columns at once; a comparator a column stops the code;
3. LSTM only: ``c = f c + i a`` in saturating fixed point; c goes back to charge as a pulse width on two cells a unit
   (one phase of ``2^(bits - 1)`` clocks), and a second ramp converts tanh(c) on further integrators and comparators;
   ``h = o tanh(c)``, rounded to the inputs' bits.

A **GRU** as torch has it (``gru_after``) applies r to a part of its candidate's sum. A nonlinear conversion of parts is
wrong, so the two parts, that of the inputs and that of the state, have columns of their own (4 columns a unit instead
of 3, a quarter of whose cells store zeros) and are converted linearly in one pass; ``tanh`` of their digital sum goes
the way of an LSTM's cell state. Driving 3 columns a unit twice instead would save that quarter of the cells and cost a
second product and conversion in every step. One whose reset gate acts before the product (``gru``) takes two passes,
since r gates h before the candidate's product: first z and r, then the digital ``r h``, then the candidate with ``r h``
on its rows; ``h = (1 - z) n + z h``. A plain **RNN**'s h is the code itself, of a tanh or of a relu (``rnn_relu``).

With the **conventional** readout, ADCs shared by several columns convert one column after the other, and a digital
look-up does every activation, tanh(c) included; there is no second ramp.

**Partial sums.** A nonlinear conversion of a part of a sum is wrong. A layer on several row tiles therefore either sums
charge (``charge``: the tiles' columns share one integrator through switches, and everything above applies), or converts
each tile's part with an ordinary ADC, adds digitally and looks the activation up (``digital``), whatever the
``readout``.

Counts only: prices are in ``configs/components``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mappings.actions import Actions
from mappings.step import LayerShape, LayerStep, StepActivity, StepTiming

Cell = Literal["lstm", "gru", "gru_after", "rnn", "rnn_relu"]
"""``gru``: reset gate before the product; ``gru_after``: behind it, as torch has it; ``rnn_relu``: a plain one."""

# Gates in the order of the columns: those with a sigmoid, and the others.
GATES: dict[Cell, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lstm": (("i", "f", "o"), ("g",)),
    "gru": (("r", "z"), ("n",)),
    "gru_after": (("r", "z"), ("n of x", "n of h")),
    "rnn": ((), ("h",)),
    "rnn_relu": ((), ("h",)),
}
PARTS = (
    "{}: a GRU as torch has it gates a part of its candidate's sum, so both parts are converted linearly, on columns "
    "of their own, and tanh is computed of their digital sum"
)
THROUGH_STATE: tuple[Cell, ...] = ("lstm", "gru_after")
"""Cells with a tanh of a digital sum: it goes back to charge for a second ramp."""


@dataclass(frozen=True, kw_only=True)
class RecurrentShape(LayerShape):
    """A recurrent layer: inputs + fed_back + bias_rows rows, gates x hidden columns, a cell state of ``state_bits``.

    ``projected``: values to which a matrix of its own takes the hidden ones; 0 where these go back themselves.
    """

    cell: Cell
    inputs: int
    hidden: int
    state_bits: int
    projected: int = 0

    @property
    def fed_back(self) -> int:
        """Values that come back to the word lines, and go out."""
        return self.projected or self.hidden

    @property
    def rows(self) -> int:
        """Word lines: inputs, fed-back outputs, bias."""
        return self.inputs + self.fed_back + self.bias_rows

    @property
    def columns(self) -> int:
        """Gate columns."""
        return sum(len(names) for names in GATES[self.cell]) * self.hidden

    @property
    def has_state_ramp(self) -> bool:
        """Whether a digital sum goes back to charge for a second ramp."""
        return self.cell in THROUGH_STATE and not self.linear

    @property
    def ops(self) -> float:
        """Operations of one step of the gates: two per weight, bias not counted, nor what stores no weight."""
        weights = 3 * self.hidden if self.cell == "gru_after" else self.columns
        return 2.0 * (self.inputs + self.fed_back) * weights


@dataclass(frozen=True, kw_only=True)
class DenseShape(LayerShape):
    """A dense layer of ``outputs`` columns without activation: its ramp is the linear one."""

    inputs: int
    outputs: int

    @property
    def rows(self) -> int:
        """Word lines: inputs and bias."""
        return self.inputs + self.bias_rows

    @property
    def columns(self) -> int:
        """Output columns."""
        return self.outputs

    @property
    def ops(self) -> float:
        """Operations of one product: two per weight, bias not counted."""
        return 2.0 * self.inputs * self.outputs


def recurrent_actions(shape: RecurrentShape, activity: StepActivity, timing: StepTiming) -> Actions:
    """One step of a recurrent layer: counts, instances and schedule."""
    step = LayerStep(shape, timing)
    ready = step.reset()
    if shape.cell == "gru":
        ready = step.product(2 * shape.hidden, "z, r", after=ready)
        ready = step.compute("r h", shape.hidden, timing.multiply_s, after=ready)
        ready = step.product(shape.hidden, "candidate", after=ready)
        ready = step.compute(
            "h = (1 - z) n + z h",
            shape.hidden,
            timing.multiply_s + timing.add_s,
            after=ready,
        )
    else:
        looked_up = 2 * shape.hidden if shape.cell == "gru_after" else None
        ready = step.product(shape.columns, "gates", after=ready, looked_up=looked_up)
    if shape.cell == "gru_after":
        each_s = timing.multiply_s + timing.add_s
        ready = step.compute("n of x + r (n of h)", shape.hidden, each_s, after=ready)
        if shape.has_state_ramp:
            ready = step.state_product(shape.hidden, activity, after=ready)
        else:
            ready = step.look_up("tanh of the sum", shape.hidden, after=ready)
        ready = step.compute("h = (1 - z) n + z h", shape.hidden, each_s, after=ready)
    if shape.cell == "lstm":
        ready = step.compute("c = f c + i a", shape.hidden, timing.multiply_s + timing.add_s, after=ready)
        if shape.has_state_ramp:
            ready = step.state_product(shape.hidden, activity, after=ready)
        else:
            ready = step.look_up("tanh(c)", shape.hidden, after=ready)
        ready = step.compute("h = o tanh(c)", shape.hidden, timing.multiply_s, after=ready)
    _count_arithmetic(step, shape)
    found = step.finish(activity, shape.ops)
    return found if shape.cell != "gru_after" else replace(found, notes=(*found.notes, PARTS.format(shape.layer)))


def dense_actions(
    shape: DenseShape, activity: StepActivity, timing: StepTiming, *, activation: bool = False
) -> Actions:
    """One product of a dense layer: counts, instances and schedule; ``activation``: whether a function is computed."""
    step = LayerStep(shape, timing, activation=activation)
    step.product(shape.columns, "outputs", after=step.reset())
    return step.finish(activity, shape.ops)


def _count_arithmetic(step: LayerStep, shape: RecurrentShape) -> None:
    """Multiplications in bit products, additions in bits, and the registers of the state and of what leaves."""
    bits, hidden = shape.bits, shape.hidden
    # What leaves for the next step, the next layer and the projection waits in a register.
    waiting = (hidden + shape.projected) * bits
    step.act("register", "write_bit", waiting)
    step.need("register", waiting)
    stored = shape.state_bits
    if shape.cell == "lstm":
        products, sums = bits * stored + 2 * bits * bits, stored + bits
        multiplier, adder = bits * stored + bits * bits, stored
    elif shape.cell == "gru_after":
        # r takes the word of n of h, z h the state as it is stored; (1 - z) n takes two codes.
        word = shape.code_bits
        products, sums = bits * word + bits * stored + bits * bits, 2 * stored + 2 * bits
        multiplier, adder = max(bits * word, bits * stored + bits * bits), stored + bits
    elif shape.cell == "gru":
        # r h and z h take the state as it is stored; (1 - z) n takes two codes.
        products, sums = 2 * bits * stored + bits * bits, stored + 2 * bits
        multiplier, adder = bits * stored + bits * bits, stored + bits
    else:
        return
    step.act("multiplier", "bit_product", hidden * products)
    step.act("adder", "add_bit", hidden * sums)
    step.act("register", "write_bit", hidden * stored)
    step.need("multiplier", shape.lanes * multiplier)
    step.need("adder", shape.lanes * adder)
    step.need("register", hidden * stored)
