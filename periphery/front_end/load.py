"""What a column asks of its front end."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.constants import Boltzmann


@dataclass(frozen=True, kw_only=True)
class ColumnLoad:
    """What hangs on the summing nodes of one column, and what the column is to measure. All design values.

    Parameters
    ----------
    node_nm : technology node of the circuit [nm]
    temperature_K : temperature of cells and circuit [K]
    t_clk_s : one clock period [s]
    read_V : largest voltage on a driven line above the virtual ground [V]
    charge_per_z_C : charge into the node for one unit of pre-activation, ``V_read t_clk s / x_lsb`` [C]
    range_z : peak-to-peak range of the converter in units of the pre-activation
    line_S : conductance that hangs on one line: cells of all row tiles that share it, driven or not [S]
    lines : lines of a column, each with a virtual ground; they are subtracted before the capacitor (2 for a pair)
    line_F : capacitance of one line [F]
    peak_A : largest mean current of a line while it is driven, inputs at full scale [A]
    drive_s : time for which a product is integrated, all phases together [s]
    phases_cancel : whether the polarity turns between phases of equal length, so that a constant charge cancels
    settle_s : time that the node has to settle after each phase [s]
    phases : how often it settles in one product
    mean_A : mean current of a line over a product, for what is integrated over it; None is the largest [A]
    copies : capacitors that a line's current goes to, each by a mirror of its own; neighbours of a liquid share a line
    """

    node_nm: float
    temperature_K: float
    t_clk_s: float
    read_V: float
    charge_per_z_C: float
    range_z: float
    line_S: float
    lines: int
    line_F: float
    peak_A: float
    drive_s: float
    phases_cancel: bool
    settle_s: float
    phases: int = 1
    mean_A: float | None = None
    copies: float = 1.0

    @property
    def open_s(self) -> float:
        """Time for which the node is connected to the front end: pulses and settling [s]."""
        return self.drive_s + self.phases * self.settle_s

    @property
    def phase_s(self) -> float:
        """Time of one phase [s]."""
        return self.drive_s / (self.phases if self.phases > 1 else 2 if self.phases_cancel else 1)

    @property
    def flowing_A(self) -> float:
        """Current of a line whose noise is integrated over a product [A]."""
        return self.peak_A if self.mean_A is None else self.mean_A

    @property
    def range_C(self) -> float:
        """Charge into the node over the converter's range, peak to peak [C]."""
        return self.charge_per_z_C * self.range_z

    @property
    def kT_J(self) -> float:
        """Thermal energy [J]."""
        return float(Boltzmann) * self.temperature_K
