"""Converting with a ramp: many columns, one table.

The comparators of all columns on a ramp watch the same ramp, so a conversion is a search in one sorted table of
``2^n - 1`` thresholds. Noise of the ramp's own cells is common to all columns of that conversion: it moves the table.
Offset and noise of the comparators are each column's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from devices import BlockNoise
from periphery.adc import with_noise
from periphery.crossing import first_crossing
from periphery.functions import output_levels
from periphery.ramp import Comparator, Ramp


@dataclass(frozen=True)
class RampConverter:
    """Ramps of one function with the comparators of their columns.

    ``offset_V``: ``(chips, ramps, columns)`` [V]; ``volts_per_z``: integrator voltage per unit of pre-activation at the
    present read voltage [V].
    """

    ramp: Ramp
    comparator: Comparator
    offset_V: torch.Tensor
    volts_per_z: float

    def read(self, t_s: float, factor: torch.Tensor | float = 1.0) -> RampConversion:
        """The converter at ``t_s``; ``factor`` stretches the ramp's clock (drift compensation).

        ``factor``: a number or ``(chips, ramps, 1)``.
        """
        ramp = self.ramp.read(t_s)
        stretched = ramp.levels * factor
        noise = None if ramp.noise is None else (ramp.noise * factor).float()
        return RampConversion(
            levels=stretched.float(),
            table=torch.cummax(stretched, dim=-1).values.float(),
            walk_sigma=noise,
            offset_z=(self.offset_V / self.volts_per_z)[:, None],
            sigma_z=self.comparator.noise_V / self.volts_per_z,
            per_step=self.comparator.noise == "per_step",
            low=float(output_levels(ramp.design.function, ramp.design.bits)[0]),
            lsb=(ramp.design.function.high - ramp.design.function.low) / 2**ramp.design.bits,
        )


@dataclass(frozen=True)
class RampConversion:
    """A bank of ramp converters at one time.

    ``levels`` and ``table``: ``(chips, ramps, L - 1)`` [z], in ramp order and as running maximum; ``walk_sigma``:
    ``(chips, ramps, start_cells + L - 1)`` [z] or None.
    """

    levels: torch.Tensor
    table: torch.Tensor
    walk_sigma: torch.Tensor | None
    offset_z: torch.Tensor
    sigma_z: float
    per_step: bool
    low: float
    lsb: float

    def codes(self, z: torch.Tensor, variance: torch.Tensor | None, noise: BlockNoise) -> torch.Tensor:
        """Codes of ``z (chips, n, ramps, columns)``: the first crossing of ramp and column, a tie going up.

        ``variance``: read noise of the array [z^2], same shape as z, or None.
        """
        if self.per_step:
            seen = with_noise(z + self.offset_z, variance, 0.0, noise)
            return self._per_step(seen, self._ramps(noise), noise)
        quiet = variance is None and self.sigma_z == 0.0
        xi = None if quiet else noise.normal(z.shape[2:])
        return first_crossing(
            z,
            self.table if self.walk_sigma is None else self.levels,
            offset=self.offset_z,
            variance=variance,
            sigma=self.sigma_z,
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
        codes = torch.zeros(seen.shape, dtype=torch.int32)
        for step in range(levels.shape[-1]):
            below &= seen + self.sigma_z * noise.normal(seen.shape[2:]) >= levels[..., step, None]
            codes += below
        return codes

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Output values of codes, float32."""
        return self.low + codes * self.lsb
