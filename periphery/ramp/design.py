"""The nonlinear ramp: a column of memristors whose charges, added one after another, follow the inverse of a function.

The column's cells charge the same kind of integrator as the product does, from the same ``V_read`` and clock. With
``theta_k`` the thresholds of the function g in units of the pre-activation z, ``theta_k = g^-1(y_low + k LSB)``:

(1) product    z = q x_lsb / s                             q: array charge per V_read T_clk; s: siemens per unit weight
(2) ramp       rho_k = (-Q_start + B + sum_{i <= k} m_i G_i) / u        u: ramp siemens clocks per unit of z
(3) code       number of k with max_{i <= k} rho_i <= z    the first crossing, also where the ramp is not monotonic

``V_read`` and ``T_clk`` are in the charge of both and cancel; what remains is the ratio of the two integrators'
capacitors, ``C_ramp / C_product = u x_lsb / s``, a design value with a mismatch. Cell 0 and ``B`` make the start: cell
0 sits at the opposite polarity; ``B`` is the charge of the bias cells, programmed after the ramp was measured, so that
the middle threshold is exact (one-point calibration). Cells ``1 .. L - 1`` each lift the ramp to the next threshold.

A step is ``m`` clock periods of one or several parallel cells, plain or as a differential pair, because the steps of
one function span more (9x at 5 bits, 71x at 8 bits for a sigmoid) than a cell's on/off ratio. ``small_steps`` sets what
becomes of steps smaller than the smallest conductance. What does not fit is lost and reported.

Architecture: Yang et al., Nat. Commun. 16, 1136 (2025), doi 10.1038/s41467-025-56254-6. Its circuit equations are not
published; (1) to (3) are a reconstruction from first principles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from devices import AnyDevice, Ideal, InputError
from periphery.functions.function import Function, output_levels, steps, thresholds
from periphery.ramp.levels import optimal_levels


@dataclass(frozen=True, kw_only=True)
class RampColumn:
    """How a ramp is built from cells.

    Parameters
    ----------
    device : the cells of the ramp; may differ from those of the weights
    levels : outputs ``uniform``, or ``optimal`` for measured samples (least squared error of the output)
    step : ``plain`` (one polarity) or ``differential`` (a step is the difference of two cells)
    parallel_cells : cells of one column that share one step
    columns : memristor columns whose charges add on one integrator; each adds cells to every step
    start_cells : cells that share the start; more of them average their drift
    small_steps : what makes a step smaller than the smallest conductance. ``clocks``: the smallest step fits a cell
    and larger ones take several clock periods. The others take one clock period a step, the largest all of its cells
    at ``g_max``: ``parallel`` drives fewer of the parallel cells, ``differential`` makes small steps from the
    difference of two cells, ``lost`` leaves them at ``g_min`` and counts them
    smallest_step : with ``clocks``, the smallest step uses this share of a cell's range, at least ``g_min`` [1]
    max_clocks : most clock periods of one step
    bias_cells : cells for the one-point calibration; two make a signed trim, a single one more the coarse part
    calibrate : measure the ramp after programming and trim the bias cells
    reorder : deal the programmed cells out anew among steps of as many clocks, where that lowers the largest INL
    redundant_columns : ramps programmed in the place of one; the one with the lowest largest INL is used
    columns_per_ramp : product columns whose comparators watch one ramp; None is all columns of a tile
    capacitor_mismatch : standard deviation of the capacitor of the ramp's own integrator, one draw a ramp [1]; those of
    the columns, one draw a column, belong to the front end
    unselected : cells of steps that are not being taken: ``gated`` off by the transistor of each cell, so that only the
        driven ones hang on the ramp's integrator; or ``grounded``, so that all do
    jitter_clocks : standard deviation of one clock period, independent from period to period [clock periods]
    settling_clocks : time constant with which each step settles [clock periods]
    """

    device: AnyDevice
    levels: Literal["uniform", "optimal"] = "uniform"
    step: Literal["plain", "differential"] = "plain"
    parallel_cells: Annotated[int, Interval(ge=1, le=64)] = 1
    columns: Annotated[int, Interval(ge=1, le=64)] = 1
    start_cells: Annotated[int, Interval(ge=1, le=64)] = 1
    small_steps: Literal["clocks", "parallel", "differential", "lost"] = "clocks"
    smallest_step: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.25
    max_clocks: Annotated[int, Interval(ge=1, le=4096)] = 64
    bias_cells: Annotated[int, Interval(ge=0, le=64)] = 5
    calibrate: bool = True
    reorder: bool = False
    redundant_columns: Annotated[int, Interval(ge=1, le=64)] = 1
    columns_per_ramp: Annotated[int, Interval(ge=1, le=65536)] | None = None
    capacitor_mismatch: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.001
    unselected: Literal["gated", "grounded"] = "gated"
    jitter_clocks: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.0
    settling_clocks: Annotated[float, Interval(ge=0.0, le=64.0)] = 0.0

    def __post_init__(self) -> None:
        if self.small_steps == "differential" and self.step == "differential":
            raise ValueError("small_steps: differential is for step: plain; with step: differential every step is one")
        if self.small_steps == "parallel" and self.parallel_cells * self.columns == 1:
            raise ValueError("small_steps: parallel needs parallel_cells or columns above 1")

    def idealised(self) -> RampColumn:
        """The same column of cells, clock and capacitors without error."""
        return replace(self, device=Ideal(), capacitor_mismatch=0.0, jitter_clocks=0.0, settling_clocks=0.0)

    def design(self, function: Function, bits: int, *, samples: torch.Tensor | None = None) -> RampDesign:
        """Choose clocks and conductances for ``2^bits`` codes of ``function``.

        ``samples``: inputs as they occur, for ``levels: optimal``. Raises InputError for bits outside 1 to 12, and
        where optimal levels have no samples to follow.
        """
        device, cells = self.device, self.parallel_cells * self.columns
        made = steps(function, self._outputs(function, bits, samples))
        theta = made.theta
        wanted = torch.diff(theta)
        if not len(wanted):
            # One threshold spans nothing: its step is one of two bits, or one unit of z where those coincide, too.
            wanted = torch.diff(thresholds(function, 2)).mean()[None]
            wanted = torch.where(wanted > 0, wanted, torch.ones_like(wanted))
        elif not bool((wanted > 0).any()):
            raise InputError(
                f"function {function.name}: all {len(theta)} thresholds of {bits} bits lie at z = {float(theta[0]):g}, "
                "so that no step has a charge; take 1 bit"
            )
        else:
            wanted = torch.cat([wanted[:1], wanted])
        floor_S = device.g_min_S if self.step == "plain" else 0.0
        top_S = device.g_max_S - (device.g_min_S if self.step == "differential" else 0.0)
        paired = used = None
        if self.small_steps == "clocks":
            smallest_S = max(floor_S, self.smallest_step * top_S)
            # A jump of the function makes steps of nothing, which no scale can fit: they are lost, not the scale.
            unit_S = float(cells * smallest_S / wanted[wanted > 1e-6 * wanted.max()].min())
            charge = wanted * unit_S
            clocks = torch.ceil(charge / (cells * top_S) - 1e-9).clamp(1, self.max_clocks)
        else:
            unit_S = float(cells * top_S / wanted.max())
            charge = wanted * unit_S
            clocks = torch.ones_like(charge)
        share = charge / clocks
        if self.small_steps == "parallel":
            used = torch.ceil(share / top_S - 1e-9).clamp(1, cells)
            target_S = (share / used).clamp(floor_S, top_S)
        else:
            target_S = (share / cells).clamp(floor_S, top_S)
        if self.small_steps == "differential":
            paired = share / cells < floor_S * (1 - 1e-9)
            target_S = torch.where(paired, (share / cells).clamp_max(top_S - device.g_min_S), target_S)
        given = target_S * clocks * (cells if used is None else used)
        lost = (charge - given).abs() > 1e-6 * charge
        start = float((wanted[0] - theta[0]) * unit_S)
        first = self.start_cells
        start_clocks = max(1.0, math.ceil(abs(start) / (first * cells * top_S) - 1e-9))
        start_S = min(max(abs(start) / (start_clocks * first * cells), floor_S), top_S)
        polarity = -1.0 if start >= 0 else 1.0
        start_lost = abs(abs(start) - start_S * start_clocks * first * cells) > 1e-6 * abs(start)
        return RampDesign(
            column=self,
            function=function,
            bits=bits,
            theta=theta,
            unit_S=unit_S,
            clocks=torch.cat([clocks.new_full((first,), polarity * start_clocks), clocks]),
            target_S=torch.cat([target_S.new_full((first,), start_S), target_S]),
            lost_steps=int(lost.sum()) + start_lost,
            lost_z=float((charge - given).sum() / unit_S),
            decisions=made.decisions,
            words=made.words,
            outputs=made.outputs,
            used=None if used is None else torch.cat([used.new_full((first,), cells), used]).long(),
            paired=None if paired is None else torch.cat([paired.new_zeros(first), paired]),
        )

    def _outputs(self, function: Function, bits: int, samples: torch.Tensor | None) -> torch.Tensor:
        if self.levels == "uniform":
            return output_levels(function, bits)
        if samples is None:
            raise InputError("levels: optimal needs samples of the inputs (got none)")
        return optimal_levels(function, bits, samples)


@dataclass(frozen=True)
class RampDesign:
    """A ramp on paper.

    ``theta``: ideal thresholds ``(steps,)`` [z], ``2^bits - 1`` of them for a rising function; ``unit_S``: ramp siemens
    clocks per unit of z; ``clocks``: clock periods of every cell, ``(start_cells + steps,)``, negative at the start
    cells (their polarity is turned); ``target_S``: the same shape; ``lost_steps``: steps that the cells cannot make,
    the start among them where its cells would have to be below ``g_min``; ``lost_z``: the input range lost with steps;
    ``decisions``: outputs at the thresholds ``(steps,)``; ``words``, ``outputs``: code and output value after each
    number of steps passed ``(steps + 1,)``; ``used``: cells that a step drives, where not all; ``paired``: steps that
    are differences of two cells, where not all or none. The last two in the shape of ``clocks``.
    """

    column: RampColumn
    function: Function
    bits: int
    theta: torch.Tensor
    unit_S: float
    clocks: torch.Tensor
    target_S: torch.Tensor
    lost_steps: int
    lost_z: float
    decisions: torch.Tensor
    words: torch.Tensor
    outputs: torch.Tensor
    used: torch.Tensor | None = None
    paired: torch.Tensor | None = None

    @property
    def ramp_clocks(self) -> int:
        """Clock periods from the start of the ramp to the last threshold."""
        return int(self.clocks[self.column.start_cells :].sum())

    @property
    def step_clocks(self) -> torch.Tensor:
        """Clock periods of each step, ``(steps,)``."""
        return self.clocks[self.column.start_cells :]

    @property
    def present(self) -> torch.Tensor | None:
        """Which of the cells ``(polarities, start_cells + steps, cells of a step)`` exist; None where all do."""
        if self.used is None and self.paired is None:
            return None
        each = self.column.parallel_cells * self.column.columns
        all_cells = torch.full((len(self.clocks),), each)
        plus = torch.arange(each) < (all_cells if self.used is None else self.used)[:, None]
        if self.paired is not None:
            return torch.stack([plus, plus & self.paired[:, None]])
        return torch.stack([plus, plus]) if self.column.step == "differential" else plus[None]

    @property
    def cells_S(self) -> torch.Tensor:
        """Targets of one cell of every step, ``(polarities, start_cells + steps)``, float32 [S]."""
        target, least_S = self.target_S.to(torch.float32), self.column.device.g_min_S
        if self.column.step == "differential":
            return least_S + torch.stack([target, torch.zeros_like(target)])
        if self.paired is not None:
            least = torch.full_like(target, least_S)
            return torch.stack([torch.where(self.paired, least_S + target, target), least])
        return target[None]

    @property
    def loss_S(self) -> float:
        """``sum |clocks| G`` over the cells at their targets, bias cells left out [S clocks]; times ``V_read^2 T_clk``
        it is the ohmic loss of one ramp [J]."""
        present, each = self.present, self.column.parallel_cells * self.column.columns
        driven = self.cells_S * (each if present is None else present.sum(-1))
        return float((driven.double() * self.clocks.abs()).sum())

    @property
    def cells(self) -> int:
        """Memory cells of the ramp, bias cells and redundant columns included."""
        column, present = self.column, self.present
        pair = 2 if column.step == "differential" else 1
        each = (
            len(self.clocks) * column.parallel_cells * column.columns * pair if present is None else int(present.sum())
        )
        return each * column.redundant_columns + column.bias_cells

    @property
    def lines(self) -> int:
        """Word lines of the start and the steps, one for each cell of a column; those of bias cells come on top."""
        if self.used is None:
            return len(self.clocks) * self.column.parallel_cells
        return int(torch.ceil(self.used / self.column.columns).sum())

    @property
    def uniform(self) -> bool:
        """Whether the number of steps passed is the code and codes are evenly spaced."""
        return self.column.levels == "uniform" and self.function.rises

    @property
    def max_over_min_step(self) -> float:
        """Largest over smallest step of the function itself [1]."""
        step = torch.diff(self.theta)
        return float(step.max() / step.min())

    @property
    def middle(self) -> int:
        """Index of the threshold at which the calibration is exact."""
        return len(self.theta) // 2
