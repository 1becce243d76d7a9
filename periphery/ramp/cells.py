"""The ramp as programmed: its cells, the trims of its start, and how it is mended after measuring."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from devices import Cells, ChipStreams, Device
from periphery.front_end.design import FrontEndDesign
from periphery.ramp.design import RampDesign
from periphery.ramp.integrator import RampIntegrator
from periphery.ramp.order import following_order, sorted_order
from periphery.ramp.read import RampRead
from periphery.ramp.timing import settled

POLARITY = torch.tensor([1.0, -1.0], dtype=torch.float64)


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
    """Ramps as programmed: ``ramps`` columns on every chip, all of one design.

    ``choice``: ``(chips, ramps)``, which of the programmed columns each ramp uses, where there are redundant ones;
    ``order``: ``(chips, ramps, steps)``, the cell of each step, where they were dealt out anew; ``identity``: the
    stream of the bias cells, ``written``: how often these were programmed; ``integrator``: None for one without error.
    """

    design: RampDesign
    steps: Cells
    bias: tuple[BiasCells, ...]
    mismatch: torch.Tensor
    choice: torch.Tensor | None = None
    order: torch.Tensor | None = None
    identity: ChipStreams | None = None
    written: int = 0
    integrator: RampIntegrator | None = None

    @classmethod
    def program(
        cls,
        design: RampDesign,
        *,
        ramps: int,
        rng: ChipStreams,
        front_end: FrontEndDesign | None = None,
        supply_gain: float = 1.0,
    ) -> Ramp:
        """Write ``ramps`` copies of a column on every chip, measure them, choose, and trim the bias cells.

        ``front_end``: the integrator of one ramp; ``supply_gain``: read voltage over that of the integrator's design.
        """
        column, device = design.column, design.column.device
        each = column.parallel_cells * column.columns
        target = design.cells_S[None, None, :, :, None].expand(1, ramps * column.redundant_columns, -1, -1, each)
        main = device.program(target, rng=rng.child("steps"))
        spread = math.hypot(column.capacitor_mismatch, 0.0 if front_end is None else front_end.gain_sigma)
        mismatch = spread * rng.child("capacitors").normal((ramps,))
        integrator = None
        if front_end is not None:
            integrator = RampIntegrator(front_end, rng.child("integrators").normal((ramps,)).double(), supply_gain)
        ramp = cls(design, main, (), mismatch, identity=rng.child("bias"), integrator=integrator)
        if column.redundant_columns > 1:
            ramp = ramp.tried(column.redundant_columns)
        if column.reorder:
            ramp = ramp.reordered()
        if column.redundant_columns > 1:
            ramp = ramp.chosen(column.redundant_columns)
        return ramp.recentred(0.0, rng.child("bias")) if column.calibrate else ramp

    def tried(self, candidates: int) -> Ramp:
        """The columns from which each ramp is chosen, all on the ramp's own integrator."""
        mismatch, integrator = self.mismatch.repeat_interleave(candidates, dim=1), self.integrator
        if integrator is not None:
            integrator = replace(integrator, offset=integrator.offset.repeat_interleave(candidates, dim=1))
        return replace(self, mismatch=mismatch, integrator=integrator)

    @property
    def device(self) -> Device:
        """The cells' device."""
        return self.design.column.device

    def at_K(self, temperature_K: float) -> Ramp:
        """The same cells read at another temperature, where their device has one among its effects."""
        column = replace(self.design.column, device=self.design.column.device.at_K(temperature_K))
        return replace(self, design=replace(self.design, column=column))

    def _cells(self, t_s: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Conductance and read noise of the cells in use, ``(chips, ramps, polarities, start and steps, cells)``."""
        g = self.device.conductance_S(self.steps, t_s)
        sigma = self.device.read_sigma_S(g, self.steps).double()
        present, first = self.design.present, self.design.column.start_cells
        if present is not None:
            g, sigma = g * present, sigma * present
        if self.choice is not None:
            index = self.choice[..., None, None, None].expand(*self.choice.shape, *g.shape[2:])
            g, sigma = g.gather(1, index), sigma.gather(1, index)
        if self.order is not None:
            start = torch.arange(first).expand(*self.order.shape[:-1], first)
            index = torch.cat([start, first + self.order], dim=-1)[:, :, None, :, None].expand_as(g)
            g, sigma = g.gather(3, index), sigma.gather(3, index)
        return g, sigma

    def read(self, t_s: float) -> RampRead:
        """The ramp ``t_s`` seconds after programming."""
        design, column, device = self.design, self.design.column, self.device
        clocks = design.clocks.to(torch.float64)
        g, sigma = self._cells(t_s)
        charge = torch.einsum("crpkn,p,k->crk", g.double(), POLARITY[: g.shape[2]], clocks)
        loss = torch.einsum("crpkn,k->cr", g.double(), clocks.abs())
        total_S = g.double().sum((2, 3, 4))
        variance = torch.einsum("crpkn,k->crk", sigma.square(), clocks.square())
        if column.jitter_clocks:
            variance = variance + charge.square() * (column.jitter_clocks**2 / clocks.abs())
        for trim in self.bias:
            b = device.conductance_S(trim.cells, max(t_s - trim.born_s, 0.0)).double()
            charge[..., 0] += (b * trim.weight).sum(-1)
            loss += (b * trim.weight.abs()).sum(-1)
            total_S += b.sum(-1)
            variance[..., 0] += (device.read_sigma_S(b, trim.cells) * trim.weight).square().sum(-1)
            if column.jitter_clocks:
                # The cells of a trim share their clock periods, whose errors act on what the trim adds in all.
                periods = trim.weight.abs().amax(-1).clamp_min(1.0)
                variance[..., 0] += (b * trim.weight).sum(-1).square() * (column.jitter_clocks**2 / periods)
        first = column.start_cells
        unit = design.unit_S / (1.0 + self.mismatch.double())
        risen = charge.cumsum(-1) / unit[..., None]
        variance = variance / unit.square()[..., None]
        if column.unselected == "gated":
            total_S = loss / clocks.abs().sum()
        if self.integrator is not None:
            gain = self.integrator.gain(total_S)[..., None]
            risen = risen * gain + self.integrator.tilt_z(total_S, clocks)
            variance = variance * gain.square() + self.integrator.noise_z2(total_S, clocks)
        start, levels = risen[..., first - 1], risen[..., first:]
        if column.settling_clocks:
            levels = settled(start, levels, design.step_clocks, column.settling_clocks)
        noise = variance.sqrt()
        return RampRead(design, levels, noise if bool((noise > 0).any()) else None, loss, start)

    def _largest_inl(self) -> torch.Tensor:
        """Largest |INL| right after programming, the middle moved to where it should be, ``(chips, ramps)`` [LSB]."""
        read, middle = self.read(0.0), self.design.middle
        centred = read.levels - (read.levels[..., middle] - self.design.theta[middle])[..., None]
        return replace(read, levels=centred).inl_lsb().abs().amax(-1)

    def reordered(self) -> Ramp:
        """The same cells, dealt out anew among steps of the same clocks on those ramps where that lowers the INL."""
        design, first = self.design, self.design.column.start_cells
        g = self._cells(0.0)[0][..., first:, :].double()
        measured = torch.einsum("crpkn,p->crk", g, POLARITY[: g.shape[2]])
        each = torch.full_like(design.clocks, g.shape[4]) if design.used is None else design.used.double()
        paired = torch.zeros_like(each) if design.paired is None else design.paired.double()
        wanted = (design.target_S * each)[first:]
        kinds = torch.stack([design.clocks, each, paired])[:, first:]
        group = torch.unique(kinds, dim=1, return_inverse=True)[1]
        order, least = torch.arange(len(wanted)).expand(measured.shape), self._largest_inl()
        for dealt in (
            sorted_order(measured, wanted, group),
            following_order(measured, wanted, design.step_clocks, group),
        ):
            inl = replace(self, order=dealt)._largest_inl()
            order = torch.where((inl < least)[..., None], dealt, order)
            least = torch.minimum(inl, least)
        return replace(self, order=order)

    def chosen(self, candidates: int) -> Ramp:
        """Of every ``candidates`` neighbouring ramps the one with the lowest largest INL."""
        inl = self._largest_inl().unflatten(1, (-1, candidates))
        choice = inl.argmin(-1) + candidates * torch.arange(inl.shape[1])
        order = None
        if self.order is not None:
            order = self.order.gather(1, choice[..., None].expand(-1, -1, self.order.shape[-1]))
        integrator = self.integrator
        if integrator is not None:
            integrator = replace(integrator, offset=integrator.offset.gather(1, choice))
        return replace(
            self, mismatch=self.mismatch.gather(1, choice), choice=choice, order=order, integrator=integrator
        )

    def recentred(self, t_s: float, rng: ChipStreams) -> Ramp:
        """The same steps with the bias cells programmed at ``t_s`` so that the middle threshold is where it should be.

        Each trim is programmed to cancel what the measurement before it left, and is switched off on those ramps where
        a second measurement shows that it made the error larger. The measurement itself is averaged until exact.

        They are the cells that the ramp came with: where cells differ (defects, effects), they
        keep it, and what belongs to one programming follows from ``identity`` and from how often they were written.
        Where all cells are alike, ``rng`` draws what is programmed.
        """
        count, ramp = self.design.column.bias_cells, replace(self, bias=(), written=self.written + 1)
        if count % 2:
            ramp = ramp._trimmed(t_s, rng, ("coarse",))
        for pair in range(count // 2):
            ramp = ramp._trimmed(t_s, rng, ("pair", pair))
        return ramp

    def _error_S(self, t_s: float) -> torch.Tensor:
        """Charge by which the middle threshold is off, ``(chips, ramps)`` [S clocks]."""
        middle = self.design.middle
        return (self.read(t_s).levels[..., middle] - self.design.theta[middle]) * self.design.unit_S

    def _write(self, target_S: torch.Tensor, rng: ChipStreams, part: tuple[str | int, ...]) -> Cells:
        device = self.device
        alike = not device.effects and device.writable
        if alike or self.identity is None:
            return device.program(target_S, rng=rng.child(*part))
        return device.program(target_S, rng=self.identity.child(*part), cycle=self.written - 1)

    def _trimmed(self, t_s: float, rng: ChipStreams, part: tuple[str | int, ...]) -> Ramp:
        """One more trim: a single cell of either polarity (coarse) or the difference of two cells.

        A correction beyond one cell's range takes several clock periods, which multiplies the error of that trim.
        """
        device, error, coarse = self.device, self._error_S(t_s), part == ("coarse",)
        window_S = device.g_max_S - device.g_min_S
        clocks = torch.ceil(error.abs() / (device.g_max_S if coarse else window_S)).clamp_min(1.0)
        size = error.abs() / clocks
        if coarse:
            target = size.clamp_min(device.g_min_S)[..., None]
            weight = (-error.sign() * clocks)[..., None]
        else:
            target = device.g_min_S + torch.stack([(error < 0) * size, (error > 0) * size], dim=-1)
            weight = torch.stack([clocks, -clocks], dim=-1)
        cells = self._write(target.float(), rng, part)
        trial = replace(self, bias=(*self.bias, BiasCells(cells, weight, t_s)))
        better = (trial._error_S(t_s).abs() < error.abs())[..., None]
        return replace(self, bias=(*self.bias, BiasCells(cells, weight * better, t_s)))
