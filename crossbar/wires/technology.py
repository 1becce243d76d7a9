"""Resistance of a metal line by technology node.

Line width and resistance per micrometre follow from NeuroSim's tables of resistivity and aspect ratio by line width
(neurosim/NeuroSim, commit cddb7d3). Two columns are kept: by the table's bulk resistivity, and with the diffusion
barrier taken off the cross-section. NeuroSim's code subtracts a barrier in metres from a width in nanometres, so
that its correction does nothing and its figures are those of the bulk column.

``F`` is the line's width, half its pitch: a cell of 2 F is the densest cross-point; 4 F and 12 F are sides of cells
with a transistor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LineOfNode:
    """Width of a local line [nm], and its resistance by the bulk resistivity and with the barrier [ohm/um]."""

    width_nm: float
    bulk_ohm_per_um: float
    barrier_ohm_per_um: float


def _line(width_nm: float, bulk: float, barrier: float) -> LineOfNode:
    return LineOfNode(width_nm=width_nm, bulk_ohm_per_um=bulk, barrier_ohm_per_um=barrier)


LINES: dict[float, LineOfNode] = {
    130: _line(175, 0.41, 0.48),
    90: _line(110, 1.14, 1.49),
    65: _line(105, 1.18, 1.43),
    45: _line(80, 2.18, 2.60),
    32: _line(56, 4.66, 5.70),
    22: _line(40, 9.77, 11.6),
    14: _line(32, 15.9, 19.7),
    10: _line(22, 40.8, 52.8),
    7: _line(20, 52.1, 69.5),
    5: _line(15, 110.7, 166.0),
}


def segment_ohm(node_nm: float, length_F: float, *, barrier: bool = False) -> float:
    """Resistance of a piece of line ``length_F`` line widths long [ohm].

    Nodes between two of the table are interpolated on logarithmic axes; nodes outside are refused with ValueError.
    """
    nodes = sorted(LINES)
    if not nodes[0] <= node_nm <= nodes[-1]:
        raise ValueError(
            f"wire resistance is tabulated from {nodes[0]:g} to {nodes[-1]:g} nm (got {node_nm:g} nm): "
            "give r_word_ohm and r_bit_ohm instead"
        )
    if not length_F > 0.0:
        raise ValueError(f"the length of a segment must be above 0 F (got {length_F:g})")
    per_um = [LINES[node].barrier_ohm_per_um if barrier else LINES[node].bulk_ohm_per_um for node in nodes]
    return _log_interpolated(node_nm, nodes, per_um) * length_F * line_width_m(node_nm) * 1e6


def line_width_m(node_nm: float) -> float:
    """Width of a local line [m]; nodes as for ``segment_ohm``."""
    nodes = sorted(LINES)
    return _log_interpolated(node_nm, nodes, [LINES[node].width_nm for node in nodes]) * 1e-9


def _log_interpolated(x: float, nodes: Sequence[float], values: Sequence[float]) -> float:
    above = next(index for index, node in enumerate(nodes) if node >= x)
    if nodes[above] == x:
        return values[above]
    share = math.log(x / nodes[above - 1]) / math.log(nodes[above] / nodes[above - 1])
    return values[above - 1] * math.pow(values[above] / values[above - 1], share)
