"""Drift compensation before the comparator: by how much an array has shrunk, as its converters measure it.

The same calibration inputs are driven right after programming, at the temperature of programming, and now; both are
converted, the codes taken back through the table of ``g^-1``, and the slope between the two is the factor. End codes
carry no slope and are left out. ``baseline: exact`` compares with the products in software instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from devices import BlockNoise, ChipStreams
from mappings.chip import ROUNDS, Chip
from mappings.columns import ColumnsRead, DriftFactors, GroupConverter
from mappings.matrix import MatrixRead, ProgrammedMatrix, calibration_counts


def measured_factors(
    matrix: ProgrammedMatrix,
    written: Sequence[GroupConverter],
    now: Sequence[GroupConverter],
    t_s: float,
    *,
    chip: Chip,
    rng: ChipStreams,
) -> DriftFactors:
    """Factors of a matrix on ``chip`` whose converters are ``now`` at ``t_s`` and were ``written`` before.

    ``mode: per_column`` measures one slope more for every column, once the ramps' factors are applied.
    """
    how, values = chip.compensation, matrix.mapped.values
    counts = calibration_counts(values, chip)

    def measure(
        read: MatrixRead, by: Sequence[GroupConverter], at_s: float, factors: DriftFactors, *name: str | int
    ) -> list[torch.Tensor]:
        noise = BlockNoise(rng.child("calibration", *name), [0], counts.shape[1])
        codes = ColumnsRead.of(read, by, at_s, factors).codes(counts, noise)
        return [converter.linearised(code) for converter, code in zip(by, codes, strict=True)]

    factors = DriftFactors([torch.ones((len(rng), c.group.ramps, 1), dtype=torch.float64) for c in now])
    if how.baseline == "exact":
        exact = counts @ values * chip.driver.lsb(chip.bits)
        wanted = [c.group.gather(exact).expand(len(rng), -1, -1, -1) for c in now]
    else:
        wanted = measure(matrix.reading(chip.as_written).at(0.0), written, 0.0, factors, "start")
    read, when = matrix.reading(chip).at(t_s), float(t_s).hex()
    for turn in range(ROUNDS):
        found = measure(read, now, t_s, factors, when, turn)
        slopes = [_slope(z, before, (1, 3))[..., None] for z, before in zip(found, wanted, strict=True)]
        factors = DriftFactors(
            [_stepped(f * slope, how.resolution) for f, slope in zip(factors.ramp, slopes, strict=True)]
        )
    if how.mode == "per_column":
        found = measure(read, now, t_s, factors, when, "columns")
        trims = [_stepped(_slope(z, before, (1,)), how.resolution) for z, before in zip(found, wanted, strict=True)]
        factors = DriftFactors(factors.ramp, trims)
    return factors


def followed_factor(factors: Sequence[torch.Tensor | float], ramps: int) -> torch.Tensor | float:
    """The mean of factors ``(chips, ramps, 1)`` measured elsewhere, for ``ramps`` converters that measure none; 1 where
    nothing was measured."""
    tensors = [factor for factor in factors if isinstance(factor, torch.Tensor)]
    if not tensors:
        return 1.0
    mean = torch.stack([factor.mean(dim=1) for factor in tensors]).mean(dim=0)
    return mean[:, None].expand(-1, ramps, 1)


def _slope(now: torch.Tensor, before: torch.Tensor, over: tuple[int, ...]) -> torch.Tensor:
    """Least-squares factor that takes ``before`` to ``now``, over the given dimensions; 1 where nothing is finite."""
    use = torch.isfinite(now) & torch.isfinite(before)
    now, before = torch.where(use, now, 0.0), torch.where(use, before, 0.0)
    energy = before.square().sum(over)
    slope = (now * before).sum(over) / energy.clamp_min(1e-12)
    return torch.where(energy > 1e-12, slope, torch.ones_like(slope)).double()


def _stepped(factor: torch.Tensor, step: float) -> torch.Tensor:
    """The nearest setting of a generator with this step."""
    return (torch.round(factor / step) * step).clamp_min(step)
