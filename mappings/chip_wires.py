"""The wires of a chip: resistances as given, or those that follow from a technology node.

A record with ``kind: ohms`` (the default) gives resistances; one with ``kind: node`` gives the sides of a
cell in widths of a line, and becomes resistances by NeuroSim's table (``crossbar.wires.technology``).

Capacitance: lines of 130 to 7 nm have 0.08 to 0.27 fF/um, most of them 0.15 to 0.2 (process kits and routed designs:
SkyWater, IHP, ICsprout, NanGate, ASAP7 in OpenROAD, CACTI); NeuRRAM's word line has 2.1 fF a cell at 130 nm, of which
1.5 are the access transistor (wan2022), taken as proportional to the node.

Current: the metals of the public kits of 130 and 55 nm bear 0.24 to 0.85 MA/cm2 on average over years; below 55 nm no
limit is established, and the same one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from crossbar.wires import Wires, line_width_m, segment_ohm
from devices.kinds import OneOf

Ohm = Annotated[float, Ge(0.0)]
CELL_F, ACCESS_F = 2.1e-15, 1.5e-15  # a cell's share of a word line of NeuRRAM, and its transistor's part of it
CELL_NM = 130.0
LIMIT_A_per_m2, ASPECT = 7e9, 2.0  # 0.7 MA/cm2; height of a local line over its width (CACTI)
SOURCE = "NeuroSim's tables of resistivity and aspect ratio by line width (neurosim/NeuroSim, commit cddb7d3)"


@dataclass(frozen=True, kw_only=True)
class OhmWires(Wires):
    """Wires by the resistance of a segment of each line, and by what ``Wires`` holds besides.

    Parameters
    ----------
    c_word_F, c_bit_F : None estimates them: 2.1 fF a cell at 130 nm, in proportion to the chip's node
    current_limit_A : None estimates it: 0.7 MA/cm2 in a line of the chip's node, twice as high as wide
    source : where the resistances are from
    """

    kind: Literal["ohms"] = "ohms"
    source: str = ""

    def lines(self, node_nm: float) -> Wires:
        """The wires on a chip of that node [nm], with estimates in place of what is not given."""
        cell_F, limit_A = CELL_F * node_nm / CELL_NM, LIMIT_A_per_m2 * ASPECT * line_width_m(node_nm) ** 2
        return replace(
            self,
            c_word_F=cell_F if self.c_word_F is None else self.c_word_F,
            c_bit_F=cell_F if self.c_bit_F is None else self.c_bit_F,
            current_limit_A=limit_A if self.current_limit_A is None else self.current_limit_A,
        )


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
    wire_F_per_m : capacitance of a line [F/m]
    access_F : what a cell's transistor adds to each line [F]; None estimates it: 1.5 fF at 130 nm, in proportion
    settle_taus : time constants after which a line has settled [1]; an estimate
    current_limit_A_per_m2 : largest mean current density of a line [A/m2]; an estimate below 55 nm
    aspect_ratio : height of a line over its width, for its current [1]; an estimate
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
    wire_F_per_m: Annotated[float, Ge(0.0)] = 0.19e-9
    access_F: Annotated[float, Ge(0.0)] | None = None
    settle_taus: Annotated[float, Interval(ge=4.0, le=20.0)] = 5.0
    current_limit_A_per_m2: Annotated[float, Gt(0.0)] = LIMIT_A_per_m2
    aspect_ratio: Annotated[float, Gt(0.0)] = ASPECT
    driver: Literal["left", "right"] = "left"
    sense: Literal["bottom", "top"] = "bottom"
    method: Literal["auto", "exact", "alpha_beta"] = "auto"
    tolerance: Annotated[float, Gt(0.0)] = 0.01
    source: str = SOURCE

    def lines(self, node_nm: float) -> Wires:
        """The wires of a chip of that node [nm]."""
        at_nm = node_nm if self.node_nm is None else self.node_nm
        width_m = line_width_m(at_nm)
        access_F = ACCESS_F * node_nm / CELL_NM if self.access_F is None else self.access_F
        return OhmWires(
            r_word_ohm=segment_ohm(at_nm, self.cell_width_F, barrier=self.barrier),
            r_bit_ohm=segment_ohm(at_nm, self.cell_height_F, barrier=self.barrier),
            r_driver_ohm=self.r_driver_ohm,
            r_sense_ohm=self.r_sense_ohm,
            driver=self.driver,
            sense=self.sense,
            method=self.method,
            tolerance=self.tolerance,
            c_word_F=access_F + self.wire_F_per_m * self.cell_width_F * width_m,
            c_bit_F=access_F + self.wire_F_per_m * self.cell_height_F * width_m,
            settle_taus=self.settle_taus,
            current_limit_A=self.current_limit_A_per_m2 * self.aspect_ratio * width_m**2,
            source=self.source,
        )


WIRES: dict[str, type[OhmWires | NodeWires]] = {"ohms": OhmWires, "node": NodeWires}
AnyWires = Annotated[OhmWires | NodeWires, OneOf(WIRES, usual="ohms")]
