"""The circuits of a liquid: their voltages, times and formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Interval


@dataclass(frozen=True, kw_only=True)
class LiquidCircuit:
    """Voltages, times and formats of a liquid's circuits; all but the board's conversion are estimates.

    Parameters
    ----------
    node_nm : node of the circuits on the chip [nm]
    v_read_V : voltage across a cell whose word line is active [V]
    t_step_s : time for which the bit lines' currents charge the membranes [s] (``capacitor``)
    t_gap_s : from the end of a step to the next: decide, reset, drive the lines of who fired [s] (``capacitor``)
    v_threshold_V, v_supply_V : reference of the membranes' comparators, supply of their currents [V] (``capacitor``)
    copy_ratio : current that a mirror passes to a membrane over that of its bit line [1] (``capacitor``)
    converters : amplifiers and ADCs that work side by side (``board``)
    t_convert_s : time of one conversion [s] (``board``); the ADS8324 makes 50,000 a second
    readout_bits : bits of a weight of the linear read-out
    lanes : multipliers of the read-out that work side by side
    """

    node_nm: Annotated[float, Interval(ge=7, le=130)] = 40.0
    v_read_V: Annotated[float, Gt(0.0)] = 0.1
    t_step_s: Annotated[float, Gt(0.0)] = 100e-9
    t_gap_s: Annotated[float, Gt(0.0)] = 10e-9
    v_threshold_V: Annotated[float, Gt(0.0)] = 0.45
    v_supply_V: Annotated[float, Gt(0.0)] = 0.9
    copy_ratio: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.125
    converters: Annotated[int, Interval(ge=1, le=4096)] = 8
    t_convert_s: Annotated[float, Gt(0.0)] = 20e-6
    readout_bits: Annotated[int, Interval(ge=1, le=32)] = 8
    lanes: Annotated[int, Interval(ge=1, le=65536)] = 4
