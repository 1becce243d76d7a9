"""The wires of a chip: resistances as given, or those that follow from a technology node.

A record with ``kind: ohms`` (the default) gives resistances; one with ``kind: node`` gives the sides of a
cell in widths of a line, and becomes resistances by NeuroSim's table (``crossbar.wires.technology``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval
from pydantic import Field

from crossbar.wires import Wires, segment_ohm
from devices.kinds import usual_kind

Ohm = Annotated[float, Ge(0.0)]
SOURCE = "NeuroSim's tables of resistivity and aspect ratio by line width (neurosim/NeuroSim, commit cddb7d3)"


@dataclass(frozen=True, kw_only=True)
class OhmWires(Wires):
    """Wires by the resistance of a segment of each line."""

    kind: Literal["ohms"] = "ohms"


@dataclass(frozen=True, kw_only=True)
class NodeWires:
    """Wires by technology node: a segment of a line is as long as a cell.

    F is the width of a line, half its pitch: 2 F is the side of the densest cross-point; 4 F and 12 F are sides of
    cells with a transistor.

    Parameters
    ----------
    node_nm : technology node, 5 to 130; that of the chip where not given [nm]
    cell_width_F, cell_height_F : sides of a cell along the word line and along the bit line, in widths of a line [1]
    barrier : take the diffusion barrier off the cross-section of the metal
    r_driver_ohm, r_sense_ohm : resistance of the driver of a word line, and of the sense input of a bit line [ohm]
    driver : the end of the word lines at which the drivers are
    sense : the end of the bit lines at which currents are sensed
    method : ``exact`` folds the wires into the matrix, ``alpha_beta`` does so in closed form with an error; ``auto`` is
        exact
    tolerance : largest rms error over the mean current at which ``alpha_beta`` is still used [1]
    source : where the resistances are from
    """

    cite: ClassVar[tuple[str, ...]] = ("peng2020",)

    kind: Literal["node"] = "node"
    node_nm: Annotated[float, Interval(ge=5.0, le=130.0)] | None = None
    cell_width_F: Annotated[float, Gt(0.0)] = 2.0
    cell_height_F: Annotated[float, Gt(0.0)] = 2.0
    barrier: bool = False
    r_driver_ohm: Ohm = 0.0
    r_sense_ohm: Ohm = 0.0
    driver: Literal["left", "right"] = "left"
    sense: Literal["bottom", "top"] = "bottom"
    method: Literal["auto", "exact", "alpha_beta"] = "auto"
    tolerance: Annotated[float, Gt(0.0)] = 0.01
    source: str = SOURCE

    def lines(self, node_nm: float) -> Wires:
        """The wires of a chip of that node [nm]."""
        at_nm = node_nm if self.node_nm is None else self.node_nm
        return OhmWires(
            r_word_ohm=segment_ohm(at_nm, self.cell_width_F, barrier=self.barrier),
            r_bit_ohm=segment_ohm(at_nm, self.cell_height_F, barrier=self.barrier),
            r_driver_ohm=self.r_driver_ohm,
            r_sense_ohm=self.r_sense_ohm,
            driver=self.driver,
            sense=self.sense,
            method=self.method,
            tolerance=self.tolerance,
        )


AnyWires = Annotated[OhmWires | NodeWires, Field(discriminator="kind"), usual_kind("ohms")]
