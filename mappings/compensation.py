"""Drift compensation before the comparator: by how much an array has shrunk, as its converters measure it.

The same calibration inputs are driven right after programming, at the temperature of programming, and now; both are
converted, the codes taken back through the table of ``g^-1``, and the slope between the two is the factor. End codes
carry no slope and are left out. ``baseline: exact`` compares with the products in software instead.

``mode: affine`` fits a factor and an offset of every column to the layer's own inputs, whose means and correlations
decide what errors of cells do. Values beyond the converter's range stay in the fit at its end, on either side, so that
what noise pushes over an end does not tilt it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from devices import BlockNoise, ChipStreams, InputError
from mappings.chip import ROUNDS, Chip
from mappings.columns import ColumnsRead, DriftFactors, GroupConverter
from mappings.matrix import MatrixRead, ProgrammedMatrix, calibration_counts


def measured_factors(
    matrix: ProgrammedMatrix,
    written: Sequence[GroupConverter],
    now: Sequence[GroupConverter],
    read: MatrixRead,
    t_s: float,
    *,
    chip: Chip,
    rng: ChipStreams,
    own: torch.Tensor | None = None,
) -> DriftFactors:
    """Factors of a matrix on ``chip``, which is ``read`` and whose converters are ``now`` at ``t_s`` and were
    ``written`` before.

    ``mode: per_column`` measures one slope more for every column, once the ramps' factors are applied; ``affine`` takes
    the layer's own inputs ``own (n, inputs)`` in clock periods, and raises InputError where there are none.
    """
    how, values = chip.compensation, matrix.mapped.values
    if how.mode == "affine":
        return _affine(matrix, written, now, read, t_s, own, chip=chip, rng=rng)
    counts = calibration_counts(values, chip)

    def measure(
        read: MatrixRead, by: Sequence[GroupConverter], at_s: float, factors: DriftFactors, *name: str | int
    ) -> list[torch.Tensor]:
        noise = BlockNoise(rng.child("calibration", *name), [0], counts.shape[1])
        codes = ColumnsRead.of(read, by, at_s, factors).codes(counts, noise)
        exactly = how.baseline == "exact"
        return [converter.linearised(code, ends=exactly) for converter, code in zip(by, codes, strict=True)]

    factors = DriftFactors([torch.ones((len(rng), c.group.ramps, 1), dtype=torch.float64) for c in now])
    if how.baseline == "exact":
        exact = counts @ values * chip.driver.lsb(chip.bits)
        wanted = [_inside(c.group.gather(exact), c.levels_z).expand(len(rng), -1, -1, -1) for c in now]
    else:
        wanted = measure(matrix.reading(chip.as_written).at(0.0), written, 0.0, factors, "start")
    when = float(t_s).hex()
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


def _inside(exact: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Exact products within the range of the inner codes, NaN beyond. Which vectors count must not depend on what was
    measured of them, or those that read low count more often and the slope comes out low."""
    inner = levels[1:-1]
    inner = inner[inner.isfinite()]
    if not len(inner):
        return exact
    return torch.where((exact >= inner.min()) & (exact <= inner.max()), exact, torch.nan)


PRIOR = 2.0
"""Vectors of usual size that a fit is worth before anything is measured, so that a column that hardly moves keeps its
factor; an estimate."""


def _affine(
    matrix: ProgrammedMatrix,
    written: Sequence[GroupConverter],
    now: Sequence[GroupConverter],
    read: MatrixRead,
    t_s: float,
    own: torch.Tensor | None,
    *,
    chip: Chip,
    rng: ChipStreams,
) -> DriftFactors:
    """Factor and offset of every column, in rounds: each fits what the one before left over."""
    how, mapped = chip.compensation, matrix.mapped
    if own is None:
        raise InputError(
            "compensation.mode: affine measures with a layer's own inputs, and this layer has none; calibrate the "
            "network with data, or take per_column"
        )
    pads = (0, mapped.bias_rows)
    counts = torch.nn.functional.pad(own.float(), pads, value=float(mapped.bias_counts))[None]
    levels = [c.levels_z[c.levels_z.isfinite()] for c in now]
    ends = [(float(level.min()), float(level.max())) for level in levels]

    def measure(
        read: MatrixRead, by: Sequence[GroupConverter], at_s: float, factors: DriftFactors, *name: str | int
    ) -> list[torch.Tensor]:
        noise = BlockNoise(rng.child("calibration", *name), [0], counts.shape[1])
        codes = ColumnsRead.of(read, by, at_s, factors).codes(counts.expand(len(rng), -1, -1), noise)
        return [converter.levels_z[code.long()] for converter, code in zip(by, codes, strict=True)]

    if how.baseline == "exact":
        exact = counts @ mapped.values * chip.driver.lsb(chip.bits)
        wanted = [c.group.gather(exact).clamp(*end) for c, end in zip(now, ends, strict=True)]
    else:
        wanted = measure(matrix.reading(chip.as_written).at(0.0), written, 0.0, DriftFactors(), "start")
    shapes = [(len(rng), c.group.ramps, c.group.width) for c in now]
    trims, shifts = [torch.ones(shape).double() for shape in shapes], [torch.zeros(shape).double() for shape in shapes]
    when = float(t_s).hex()
    for turn in range(ROUNDS + 1):
        found = measure(read, now, t_s, DriftFactors((), trims, shifts), when, turn)
        for k, (z, before, end) in enumerate(zip(found, wanted, ends, strict=True)):
            slope, offset = _line(z, before, end)
            step = 0.5 * how.resolution * (end[1] - end[0])
            shifts[k] = (torch.round((shifts[k] + trims[k] * offset) / step) * step).clamp(
                -step / how.resolution, step / how.resolution
            )
            trims[k] = _stepped(trims[k] * slope, how.resolution)
    return DriftFactors([1.0] * len(now), trims, shifts)


def _line(now: torch.Tensor, before: torch.Tensor, ends: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Slope and offset of ``now`` over ``before (chips, n, ramps, width)`` by least squares, drawn to 1 and 0; values
    at an end of the converter's range count where the other one is inside."""
    before = before.expand(now.shape).double()
    now, slack = now.double(), 1e-6 * (ends[1] - ends[0])
    known = now.isfinite() & before.isfinite()
    now, before = torch.where(known, now, 0.0), torch.where(known, before, 0.0)
    inside = [(z > ends[0] + slack) & (z < ends[1] - slack) for z in (now, before)]
    use = (known & (inside[0] | inside[1])).double()
    whole = (1, 2, 3)  # of one chip
    usual = ((use * before.square()).sum(whole) / use.sum(whole).clamp_min(1.0))[:, None, None]
    n, x = use.sum(1) + PRIOR, (use * before).sum(1)
    xx = (use * before.square()).sum(1) + PRIOR * usual
    rest = use * (now - before)
    r, xr = rest.sum(1), (rest * before).sum(1)
    determinant = (n * xx - x.square()).clamp_min(1e-300)
    return 1.0 + (n * xr - x * r) / determinant, (xx * r - x * xr) / determinant


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
