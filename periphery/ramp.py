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
one function span more (9x at 5 bits, 71x at 8 bits for a sigmoid) than a cell's on/off ratio. What does not fit is
lost and reported.

Architecture: Yang et al., Nat. Commun. 16, 1136 (2025), doi 10.1038/s41467-025-56254-6. Its circuit equations are not
published; (1) to (3) are a reconstruction from first principles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Interval

from devices import AnyDevice, Cells, ChipStreams, Device
from periphery.functions import Function, output_levels, threshold_levels, thresholds


@dataclass(frozen=True, kw_only=True)
class RampColumn:
    """How a ramp is built from cells.

    Parameters
    ----------
    device : the cells of the ramp; may differ from those of the weights
    step : ``plain`` (one polarity) or ``differential`` (a step is the difference of two cells)
    parallel_cells : cells that share one step
    start_cells : cells that share the start; more of them average their drift
    smallest_step : the smallest step of the function uses this share of a cell's range, at least ``g_min`` [1]
    max_clocks : most clock periods of one step
    bias_cells : cells for the one-point calibration; two make a signed trim, a single one more the coarse part
    calibrate : measure the ramp after programming and trim the bias cells
    capacitor_mismatch : standard deviation of the ratio of the integrators' capacitors [1]
    """

    device: AnyDevice
    step: Literal["plain", "differential"] = "plain"
    parallel_cells: Annotated[int, Interval(ge=1, le=64)] = 1
    start_cells: Annotated[int, Interval(ge=1, le=64)] = 1
    smallest_step: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.25
    max_clocks: Annotated[int, Interval(ge=1, le=4096)] = 64
    bias_cells: Annotated[int, Interval(ge=0, le=64)] = 5
    calibrate: bool = True
    capacitor_mismatch: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.001

    def design(self, function: Function, bits: int) -> RampDesign:
        """Choose clocks and conductances for ``2^bits`` codes of ``function``."""
        device, cells = self.device, self.parallel_cells
        theta = thresholds(function, bits)
        wanted = torch.diff(theta)
        wanted = torch.cat([wanted[:1], wanted])
        floor_S = device.g_min_S if self.step == "plain" else 0.0
        top_S = device.g_max_S - (device.g_min_S if self.step == "differential" else 0.0)
        smallest_S = max(floor_S, self.smallest_step * top_S)
        unit_S = float(cells * smallest_S / wanted.min())
        charge = wanted * unit_S
        clocks = torch.ceil(charge / (cells * top_S) - 1e-9).clamp(1, self.max_clocks)
        target_S = (charge / (clocks * cells)).clamp(floor_S, top_S)
        lost = (charge - target_S * clocks * cells).abs() > 1e-6 * charge
        start = float((wanted[0] - theta[0]) * unit_S)
        first = self.start_cells
        start_clocks = max(1.0, math.ceil(abs(start) / (first * cells * top_S) - 1e-9))
        start_S = min(max(abs(start) / (start_clocks * first * cells), floor_S), top_S)
        polarity = -1.0 if start >= 0 else 1.0
        start_lost = abs(abs(start) - start_S * start_clocks * first * cells) > 1e-6 * abs(start)
        return RampDesign(
            self,
            function,
            bits,
            theta,
            unit_S,
            torch.cat([clocks.new_full((first,), polarity * start_clocks), clocks]),
            torch.cat([target_S.new_full((first,), start_S), target_S]),
            int(lost.sum()) + start_lost,
            float((charge - target_S * clocks * cells).sum() / unit_S),
        )


@dataclass(frozen=True)
class RampDesign:
    """A ramp on paper.

    ``theta``: ideal thresholds ``(L - 1,)`` [z]; ``unit_S``: ramp siemens clocks per unit of z; ``clocks``: clock
    periods of every cell, ``(start_cells + L - 1,)``, negative at the start cells (their polarity is turned);
    ``target_S``: the same shape; ``lost_steps``: steps that the cells cannot make, the start among them where its cells
    would have to lie below ``g_min``; ``lost_z``: the input range lost with steps.
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

    @property
    def ramp_clocks(self) -> int:
        """Clock periods from the start of the ramp to the last threshold."""
        return int(self.clocks[self.column.start_cells :].sum())

    @property
    def cells(self) -> int:
        """Memory cells of the column, bias cells included."""
        pair = 2 if self.column.step == "differential" else 1
        return len(self.clocks) * self.column.parallel_cells * pair + self.column.bias_cells

    @property
    def max_over_min_step(self) -> float:
        """Largest over smallest step of the function itself [1]."""
        step = torch.diff(self.theta)
        return float(step.max() / step.min())

    @property
    def middle(self) -> int:
        """Index of the threshold at which the calibration is exact."""
        return len(self.theta) // 2

    def program(self, *, ramps: int, rng: ChipStreams) -> Ramp:
        """Write ``ramps`` copies of this column on every chip, measure them, and trim the bias cells."""
        column, device = self.column, self.column.device
        cells = self.target_S.to(torch.float32)[None]
        if column.step == "differential":
            cells = device.g_min_S + torch.cat([cells, torch.zeros_like(cells)])
        target = cells[None, None, :, :, None].expand(1, ramps, -1, -1, column.parallel_cells)
        main = device.program(target, rng=rng.child("steps"))
        mismatch = column.capacitor_mismatch * rng.child("capacitors").normal((ramps,))
        ramp = Ramp(self, main, (), mismatch)
        return ramp.recentred(0.0, rng.child("bias")) if column.calibrate else ramp


@dataclass(frozen=True)
class BiasCells:
    """One trim of the ramp's start: a pair of cells, or one cell with a polarity.

    ``weight``: ``(chips, ramps, cells)``, signed clock periods of each cell, 0 where the trim is switched off;
    ``born_s``: when these cells were programmed, counted from the programming of the ramp [s].
    """

    cells: Cells
    weight: torch.Tensor
    born_s: float = 0.0


@dataclass(frozen=True)
class Ramp:
    """Ramps as programmed: ``ramps`` columns on every chip, all of one design."""

    design: RampDesign
    steps: Cells
    bias: tuple[BiasCells, ...]
    mismatch: torch.Tensor

    @property
    def device(self) -> Device:
        """The cells' device."""
        return self.design.column.device

    def read(self, t_s: float) -> RampRead:
        """The ramp ``t_s`` seconds after programming."""
        design, device = self.design, self.device
        clocks = design.clocks.to(torch.float64)
        g = device.conductance_S(self.steps, t_s)
        sigma = device.read_sigma_S(g).double()
        polarity = torch.tensor([1.0, -1.0], dtype=torch.float64)[: g.shape[2]]
        charge = torch.einsum("crpkn,p,k->crk", g.double(), polarity, clocks)
        loss = torch.einsum("crpkn,k->cr", g.double(), clocks.abs())
        variance = torch.einsum("crpkn,k->crk", sigma.square(), clocks.square())
        for trim in self.bias:
            b = device.conductance_S(trim.cells, max(t_s - trim.born_s, 0.0)).double()
            charge[..., 0] += (b * trim.weight).sum(-1)
            loss += (b * trim.weight.abs()).sum(-1)
            variance[..., 0] += (device.read_sigma_S(b) * trim.weight).square().sum(-1)
        first = design.column.start_cells
        unit = design.unit_S / (1.0 + self.mismatch.double())
        levels = charge.cumsum(-1)[..., first:] / unit[..., None]
        noise = variance.sqrt() / unit[..., None]
        return RampRead(design, levels, noise if bool((noise > 0).any()) else None, loss)

    def recentred(self, t_s: float, rng: ChipStreams) -> Ramp:
        """The same steps with the bias cells programmed at ``t_s`` so that the middle threshold is where it should be.

        Each trim is programmed to cancel what the measurement before it left, and is switched off on those ramps where
        a second measurement shows that it made the error larger. The measurement itself is averaged until exact.
        """
        count, ramp = self.design.column.bias_cells, replace(self, bias=())
        if count % 2:
            ramp = ramp._trimmed(t_s, rng.child("coarse"), coarse=True)
        for pair in range(count // 2):
            ramp = ramp._trimmed(t_s, rng.child("pair", pair), coarse=False)
        return ramp

    def _error_S(self, t_s: float) -> torch.Tensor:
        """Charge by which the middle threshold is off, ``(chips, ramps)`` [S clocks]."""
        middle = self.design.middle
        return (self.read(t_s).levels[..., middle] - self.design.theta[middle]) * self.design.unit_S

    def _trimmed(self, t_s: float, rng: ChipStreams, *, coarse: bool) -> Ramp:
        """One more trim: a single cell of either polarity (coarse) or the difference of two cells.

        A correction beyond one cell's range takes several clock periods, which multiplies that trim's own error.
        """
        device, error = self.device, self._error_S(t_s)
        window_S = device.g_max_S - device.g_min_S
        clocks = torch.ceil(error.abs() / (device.g_max_S if coarse else window_S)).clamp_min(1.0)
        size = error.abs() / clocks
        if coarse:
            target = size.clamp_min(device.g_min_S)[..., None]
            weight = (-error.sign() * clocks)[..., None]
        else:
            target = device.g_min_S + torch.stack([(error < 0) * size, (error > 0) * size], dim=-1)
            weight = torch.stack([clocks, -clocks], dim=-1)
        cells = device.program(target.float(), rng=rng)
        trial = replace(self, bias=(*self.bias, BiasCells(cells, weight, t_s)))
        better = (trial._error_S(t_s).abs() < error.abs())[..., None]
        return replace(self, bias=(*self.bias, BiasCells(cells, weight * better, t_s)))


@dataclass(frozen=True)
class RampRead:
    """A ramp at one time.

    ``levels``: ``(chips, ramps, L - 1)``, the ramp after each step in units of z; ``noise``: ``(chips, ramps,
    start_cells + L - 1)``, standard deviation of the start and of each step by fast read noise, or None; ``loss_S``:
    ``(chips, ramps)``, conductance clocks of one whole ramp [S clocks].
    """

    design: RampDesign
    levels: torch.Tensor
    noise: torch.Tensor | None
    loss_S: torch.Tensor

    def thresholds(self, factor: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Inputs at which the code changes, ``(chips, ramps, L - 1)`` [z]: the running maximum of the levels."""
        return torch.cummax(self.levels * factor, dim=-1).values

    def inl_lsb(self) -> torch.Tensor:
        """Output-referred integral nonlinearity at every threshold, ``(chips, ramps, L - 1)`` [LSB].

        ``INL_k = (g(rho_k) - g(theta_k)) / LSB``: errors are placed at the thresholds, where a code changes.
        """
        function, bits = self.design.function, self.design.bits
        lsb = (function.high - function.low) / float(2**bits)
        return (function.f(self.thresholds()) - threshold_levels(function, bits)) / lsb

    def outputs(self) -> torch.Tensor:
        """Output values of the codes, ``(L,)``."""
        return output_levels(self.design.function, self.design.bits)


@dataclass(frozen=True, kw_only=True)
class Comparator:
    """The comparator of a column and the integrator in front of it.

    Parameters
    ----------
    offset_V : standard deviation over columns of the offset that auto-zeroing leaves [V]; an estimate
    noise_V : standard deviation of the noise of one decision [V]; an estimate
    noise : ``per_conversion`` (one draw a conversion) or ``per_step`` (one draw at every step of the ramp)
    swing_V : voltage over which the largest ramp sweeps at the nominal read voltage [V]; sets the integrator's
    capacitor
    """

    offset_V: Annotated[float, Ge(0.0)] = 0.5e-3
    noise_V: Annotated[float, Ge(0.0)] = 0.3e-3
    noise: Literal["per_conversion", "per_step"] = "per_conversion"
    swing_V: Annotated[float, Gt(0.0)] = 0.5
