"""Converting with a ramp: many columns, one table.

The comparators of all columns on a ramp watch the same ramp, so a conversion is a search in one sorted table of
``2^n - 1`` thresholds. Noise of the ramp's cells is common to all columns of that conversion: it moves the table.
Offset and noise of the comparators differ from column to column.

A late comparator and a leaking capacitor move the table as well (``periphery.ramp.timing``): both depend on where along
the ramp a column crosses, and on nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from devices import BlockNoise
from periphery.adc.base import with_noise
from periphery.functions.function import output_levels
from periphery.ramp.cells import Ramp
from periphery.ramp.comparator import NODE_NM, Comparator
from periphery.ramp.crossing import first_crossing
from periphery.ramp.timing import delayed, leaked


@dataclass(frozen=True)
class RampConverter:
    """Ramps of one function with the comparators of their columns.

    ``offset_V``: ``(chips, ramps, columns)`` [V]; ``volts_per_z``: integrator voltage per unit of pre-activation at the
    present read voltage [V]; ``t_clk_s``: clock period of the ramp, for what lasts seconds [s]; ``node_nm``: of the
    comparators [nm].
    """

    ramp: Ramp
    comparator: Comparator
    offset_V: torch.Tensor
    volts_per_z: float
    t_clk_s: float = 1e-9
    node_nm: float = NODE_NM

    def read(self, t_s: float, factor: torch.Tensor | float = 1.0) -> RampConversion:
        """The converter at ``t_s``; ``factor`` stretches the ramp's clock (drift compensation).

        ``factor``: a number or ``(chips, ramps, 1)``.
        """
        ramp, comparator = self.ramp.read(t_s), self.comparator
        design, clocks = ramp.design, ramp.design.step_clocks
        stretched = ramp.levels * factor
        period_s = factor * self.t_clk_s
        if late := comparator.late_clocks(self.t_clk_s):
            start = (ramp.start[..., None] * factor)[..., 0]
            stretched = delayed(start, stretched, clocks, late * self.t_clk_s / period_s)
        if comparator.hold_leak_s is not None:
            stretched = leaked(stretched, clocks, comparator.hold_leak_s / period_s)
        noise = None if ramp.noise is None else (ramp.noise * factor).float()
        return RampConversion(
            levels=stretched.float(),
            table=torch.cummax(stretched, dim=-1).values.float(),
            walk_sigma=noise,
            offset_z=(self.offset_V / self.volts_per_z)[:, None],
            sigma_z=comparator.noise_sigma_V(self.node_nm) / self.volts_per_z,
            per_step=comparator.noise == "per_step",
            low=float(output_levels(design.function, design.bits)[0]),
            lsb=(design.function.high - design.function.low) / 2**design.bits,
            hold_sigma_z=comparator.hold_noise_V / self.volts_per_z,
            words_of=None if design.function.rises else design.words,
            outputs=None if design.uniform else design.outputs.float(),
        )


@dataclass(frozen=True)
class RampConversion:
    """A bank of ramp converters at one time.

    ``levels`` and ``table``: ``(chips, ramps, L - 1)`` [z], in ramp order and as running maximum; ``walk_sigma``:
    ``(chips, ramps, start_cells + L - 1)`` [z] or None; ``sigma_z``, ``hold_sigma_z``: noise of a decision and of the
    sampled product [z]; ``words_of`` and ``outputs``: code and value by number of steps passed, where these are not the
    number itself and ``low + number * lsb``.
    """

    levels: torch.Tensor
    table: torch.Tensor
    walk_sigma: torch.Tensor | None
    offset_z: torch.Tensor
    sigma_z: float
    per_step: bool
    low: float
    lsb: float
    hold_sigma_z: float = 0.0
    words_of: torch.Tensor | None = None
    outputs: torch.Tensor | None = None

    def codes(self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise) -> torch.Tensor:
        """Steps that the ramp passes for ``z (chips, n, ramps, columns)``: its first crossing, a tie passing the step.

        For a rising function this is the code; where the function turns, ``words`` makes the code of it.
        ``variance``: read noise of the array [z^2], same shape as z, or None.
        """
        if self.per_step:
            seen = with_noise(z + self.offset_z, variance, self.hold_sigma_z, noise)
            return self._per_step(seen, self._ramps(noise), noise)
        sigma_z = math.hypot(self.sigma_z, self.hold_sigma_z) if self.hold_sigma_z else self.sigma_z
        quiet = variance is None and sigma_z == 0.0
        xi = None if quiet else noise.normal(z.shape[2:])
        return first_crossing(
            z,
            self.table if self.walk_sigma is None else self.levels,
            offset=self.offset_z,
            variance=variance,
            sigma=sigma_z,
            xi=xi,
            walk_sigma=self.walk_sigma,
            walk=None if self.walk_sigma is None else noise.normal(self.walk_sigma.shape[1:]),
        )

    def _ramps(self, noise: BlockNoise) -> torch.Tensor:
        """The ramp as it rises in every conversion, ``(chips, n or 1, ramps, L - 1)``: its cells' noise adds up."""
        if self.walk_sigma is None:
            return self.levels[:, None]
        walk = (self.walk_sigma[:, None] * noise.normal(self.walk_sigma.shape[1:])).cumsum(-1)
        return self.levels[:, None] + walk[..., walk.shape[-1] - self.levels.shape[-1] :]

    def _per_step(self, seen: torch.Tensor, levels: torch.Tensor, noise: BlockNoise) -> torch.Tensor:
        """The comparator decides afresh, with fresh noise, at every step until it has crossed."""
        below = torch.ones_like(seen, dtype=torch.bool)
        codes = torch.zeros(seen.shape, dtype=torch.int32, device=seen.device)
        for step in range(levels.shape[-1]):
            below &= seen + self.sigma_z * noise.normal(seen.shape[2:]) >= levels[..., step, None]
            codes += below
        return codes

    def words(self, codes: torch.Tensor) -> torch.Tensor:
        """What the counters hold after the numbers of steps passed that ``codes`` gives: the ``2^bits`` codes."""
        return codes if self.words_of is None else self.words_of.to(codes.dtype)[codes.long()]

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Output values of what ``codes`` gives, float32."""
        return self.low + codes * self.lsb if self.outputs is None else self.outputs[codes.long()]
