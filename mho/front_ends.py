"""``mho show integrator``: the budget of a front end behind a column of the reference chip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

from configs.errors import InputError
from mho.config.read import read_values
from mho.report.quantities import quantity
from periphery.front_end import FRONT_ENDS, BudgetLine, ColumnLoad, FrontEnd

ROWS, MEAN_S, RANGE_S, W_MAX = 73, 15e-6, 150e-6, 1.3

REFERENCE = ColumnLoad(
    node_nm=16.0,
    temperature_K=300.0,
    t_clk_s=1e-9,
    read_V=0.2,
    charge_per_z_C=0.2 * 1e-9 * 15 * RANGE_S / W_MAX,
    range_z=2.0 * math.log(31.0),
    line_S=ROWS * MEAN_S,
    lines=2,
    line_F=20e-15,
    peak_A=ROWS * MEAN_S * 0.2,
    mean_A=0.5 * 0.25 * ROWS * MEAN_S * 0.2,
    phases=2,
    drive_s=30e-9,
    phases_cancel=True,
    settle_s=1e-9,
)
"""A column of the LSTM of 40 + 32 + 1 rows on ``yang2025``: cells of 0 to 150 uS, a weight of 1.3 the largest.

Inputs of 5 bits are pulses of up to 15 clocks of 1 ns at 0.2 V in two phases of opposite polarity; a ramp computes the
sigmoid between 1/32 and 31/32. Cells of 15 uS in the mean, that of normal weights; all rows at full scale at most, a
quarter of it in the mean, each in one of the phases. Capacitance of the line: 73 cells of 0.2 um at 0.2 fF/um, and
0.2 fF of each transistor; an estimate.
"""


def text(kind: str, sets: Sequence[str], bits: int) -> str:
    """The design of one kind with ``sets`` (``key=value``) on its defaults, as a table. Raises InputError."""
    if not 1 <= bits <= 12:
        raise InputError(f"--bits: must be a whole number from 1 to 12 (got {bits})")
    front_end: FrontEnd = read_values({}, FRONT_ENDS[kind], sets=sets).value
    budget = front_end.design(REFERENCE).budget(bits)
    rows = [(line.name, value_text(line), line.equation, line.source) for line in budget]
    wide = [max(len(row[k]) for row in rows) for k in range(3)]
    stated = ((each.name, getattr(REFERENCE, each.name)) for each in fields(REFERENCE))
    load = ", ".join(f"{name} {value:.4g}" for name, value in stated if value is not None)
    lines = [f"# front end {kind}, behind a column of the LSTM of yang2025", f"load: {load}"]
    lines += [f"{a:{wide[0]}}  {b:>{wide[1]}}  {c:{wide[2]}}  {d}".rstrip() for a, b, c, d in rows]
    return "\n".join(lines)


def value_text(line: BudgetLine) -> str:
    """A value with its unit, areas in square micrometres."""
    if line.unit == "1":
        return f"{line.value:.4g}"
    return f"{line.value * 1e12:.3g} um2" if line.unit == "m2" else quantity(line.value, line.unit)
