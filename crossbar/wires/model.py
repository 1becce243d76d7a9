"""What the wires of an array are, how much they matter, and which method may be used on them.

Word line i runs from its driver through ``r_driver_ohm`` and one segment ``r_word_ohm`` to its first cell, and by one
segment from cell to cell; its far end is open. Bit line j is open above and leaves its last cell through one segment
``r_bit_ohm`` and ``r_sense_ohm`` into a virtual ground. Every cell joins its word node and its bit node.

    kappa = G (r_word n^2 + r_bit m^2) / 2 + 3/2 G (r_driver n + r_sense m)      m rows, n columns, G the mean [S]

so that ``2/3 kappa`` is the mean relative loss of current to first order under uniform drive, and ``kappa = n^2 r G``
on a square array with equal lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
from annotated_types import Ge, Gt, Interval

from crossbar.wires.technology import segment_ohm

Method = Literal["exact", "alpha_beta", "iterative"]
Ohm = Annotated[float, Ge(0.0)]

# Kappa, and the rms error of alpha-beta over the mean current: the worst of all arrays, cells and shares of lines in
# `benchmarks/wire_errors.py` (docs/wires.md).
ALPHA_BETA_RMS: tuple[tuple[float, float], ...] = (
    (0.01, 1.3e-5),
    (0.03, 1.2e-4),
    (0.1, 1.3e-3),
    (0.3, 9.9e-3),
    (1.0, 7.4e-2),
    (3.0, 0.29),
)


@dataclass(frozen=True, kw_only=True)
class Wires:
    """Resistances of the lines of an array and the method by which their voltage drops are found.

    Parameters
    ----------
    r_word_ohm, r_bit_ohm : resistance of one segment of a word line and of a bit line [ohm]
    r_driver_ohm, r_sense_ohm : resistance of the driver of a word line and of the input that holds a bit line [ohm]
    driver : the end of the word lines with the drivers
    sense : the end of the bit lines at which currents are sensed
    method : ``exact`` folds the wires of linear cells into the matrix, ``alpha_beta`` does so in closed form with an
        error, ``iterative`` solves every input vector; ``auto`` is exact where cells are linear, else iterative
    unselected : a row without input is kept at 0 V (``grounded``), or its transistors are off and its cells carry no
        current (``floating``)
    tolerance : largest rms error over the mean current at which ``alpha_beta`` is still used [1]
    c_word_F, c_bit_F : capacitance of one segment of a word line and of a bit line, its cell included [F]; None counts
        as none
    settle_taus : time constants after which a line has settled [1]; an estimate: 5 leave 0.7 %, and what they leave is
        not simulated
    current_limit_A : largest mean current of one line that its metal bears for years [A]; None is unknown
    """

    r_word_ohm: Ohm = 0.0
    r_bit_ohm: Ohm = 0.0
    r_driver_ohm: Ohm = 0.0
    r_sense_ohm: Ohm = 0.0
    driver: Literal["left", "right"] = "left"
    sense: Literal["bottom", "top"] = "bottom"
    method: Literal["auto", "exact", "alpha_beta", "iterative"] = "auto"
    unselected: Literal["grounded", "floating"] = "grounded"
    tolerance: Annotated[float, Gt(0.0)] = 0.01
    c_word_F: Annotated[float, Ge(0.0)] | None = None
    c_bit_F: Annotated[float, Ge(0.0)] | None = None
    settle_taus: Annotated[float, Interval(ge=4.0, le=20.0)] = 5.0
    current_limit_A: Annotated[float, Gt(0.0)] | None = None

    def __post_init__(self) -> None:
        for name in ("r_word_ohm", "r_bit_ohm", "r_driver_ohm", "r_sense_ohm", "c_word_F", "c_bit_F"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite (got {value})")
        if not self.tolerance > 0.0:
            raise ValueError(f"tolerance must be above 0 (got {self.tolerance})")

    @classmethod
    def from_node(
        cls,
        node_nm: float,
        *,
        cell_width_F: float = 2.0,
        cell_height_F: float = 2.0,
        barrier: bool = False,
        **fields: Any,
    ) -> Wires:
        """Wires of a technology node: a cell is ``cell_width_F`` line widths along its word line and
        ``cell_height_F`` along its bit line. ``barrier`` takes the diffusion barrier off the metal's cross-section;
        ``fields`` are further fields, such as ``r_driver_ohm``.

        Raises ValueError for a node outside the table (``crossbar.wires.technology``).
        """
        r_word_ohm, r_bit_ohm = (segment_ohm(node_nm, side, barrier=barrier) for side in (cell_width_F, cell_height_F))
        return cls(r_word_ohm=r_word_ohm, r_bit_ohm=r_bit_ohm, **fields)

    @property
    def ideal(self) -> bool:
        """Whether no line has a resistance."""
        return self.r_word_ohm == self.r_bit_ohm == self.r_driver_ohm == self.r_sense_ohm == 0.0

    def word_line_F(self, columns: int) -> float:
        """Capacitance of a word line that passes ``columns`` bit lines [F]."""
        return columns * (self.c_word_F or 0.0)

    def bit_line_F(self, rows: int) -> float:
        """Capacitance of a bit line that passes ``rows`` word lines [F]."""
        return rows * (self.c_bit_F or 0.0)

    def word_tau_s(self, columns: int) -> float:
        """Time constant of a word line, ``R_line C_line / 2 + R_driver C_line`` [s]."""
        return (0.5 * columns * self.r_word_ohm + self.r_driver_ohm) * self.word_line_F(columns)

    def bit_tau_s(self, rows: int) -> float:
        """The same of a bit line into its sense input [s]."""
        return (0.5 * rows * self.r_bit_ohm + self.r_sense_ohm) * self.bit_line_F(rows)

    def turned(self, matrix: torch.Tensor) -> torch.Tensor:
        """``(..., m, n)`` with the driver put to the left and the sense input to the bottom; twice is once."""
        flips = [-1] * (self.driver == "right") + [-2] * (self.sense == "top")
        return matrix.flip(flips) if flips else matrix

    def method_for(self, kappa: float, *, linear: bool = True) -> Method:
        """The method for cells of this kind at this ``kappa``.

        Raises ValueError, with the reason and a way out, where ``method`` names one that does not hold here.
        """
        folds = linear and self.unselected == "grounded"
        if self.method == "auto":
            return "exact" if folds else "iterative"
        if self.method != "iterative" and not folds:
            why = "the cells' current is not proportional to voltage" if not linear else "unselected rows float"
            raise ValueError(
                f"method {self.method!r} folds the wires into one matrix for all inputs, and {why}: "
                "use method 'iterative'"
            )
        limit = alpha_beta_limit(self.tolerance)
        if self.method == "alpha_beta" and kappa > limit:
            raise ValueError(
                f"method 'alpha_beta' has an rms error above {self.tolerance:g} of the mean current where kappa is "
                f"above {limit:.3g} (got {kappa:.3g}): use method 'exact', smaller tiles or a larger tolerance"
            )
        return self.method


class Ends(NamedTuple):
    """A linear array by the ends of its lines [S].

    ``columns_S``: ``(..., m, n)``, currents of the columns ``I = V @ columns_S``; ``alone_S``: ``(..., m)``, what a
    driver sees while all other lines are at 0 V; ``sunk_S``: ``(..., m)``, the part of it that these lines sink, the
    rest reaching the sense inputs.
    """

    columns_S: torch.Tensor
    alone_S: torch.Tensor
    sunk_S: torch.Tensor


def kappa(g_S: torch.Tensor, wires: Wires) -> torch.Tensor:
    """Size of the wires' effect on arrays ``(..., m, n)`` [1], shape ``(...)``: 3/2 of the mean relative loss of
    current to first order, ``(8 / pi^2) kappa`` the contraction of the plain fixed point."""
    m, n = g_S.shape[-2:]
    along = 0.5 * (wires.r_word_ohm * n * n + wires.r_bit_ohm * m * m)
    ends = 1.5 * (wires.r_driver_ohm * n + wires.r_sense_ohm * m)
    return g_S.mean(dim=(-2, -1)) * (along + ends)


def alpha_beta_limit(tolerance: float) -> float:
    """Largest ``kappa`` at which the rms error of ``alpha_beta`` stays within ``tolerance`` of the mean current.

    Interpolated on logarithmic axes between measured points; not extended beyond the last.
    """
    (low, low_rms), *rest = ALPHA_BETA_RMS
    if tolerance < low_rms:
        return low * math.sqrt(tolerance / low_rms)  # the error goes with the square of kappa
    for high, high_rms in rest:
        if tolerance < high_rms:
            return low * math.pow(high / low, math.log(tolerance / low_rms) / math.log(high_rms / low_rms))
        low, low_rms = high, high_rms
    return low
