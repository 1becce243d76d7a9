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

PRIOR = 2.0
"""Vectors of usual size, or of one step of the converter, that a fit is worth before anything is measured, so that a
column that hardly moves keeps its factor; an estimate."""


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
    reaches = [converter.reach_z for converter in now]
    counts = calibration_counts(values, chip, _reach(now, reaches, matrix.mapped.columns))
    exact = counts @ values * chip.driver.lsb(chip.bits)
    sums = [converter.group.gather(exact) for converter in now]
    weights = [_weights(z, reach) for z, reach in zip(sums, reaches, strict=True)]

    def measure(
        read: MatrixRead, by: Sequence[GroupConverter], at_s: float, factors: DriftFactors, *name: str | int
    ) -> list[torch.Tensor]:
        noise = BlockNoise(rng.child("calibration", *name), [0], counts.shape[1])
        codes = ColumnsRead.of(read, by, at_s, factors).codes(counts, noise)
        return [converter.linearised(code) for converter, code in zip(by, codes, strict=True)]

    if how.baseline == "exact":
        whole = matrix.mapped.parts == 1 and not chip.driver.digital_accumulation
        wanted = [c.without_error(z, whole=whole) for c, z in zip(now, sums, strict=True)]
    else:
        wanted = measure(matrix.reading(chip.as_written).at(0.0), written, 0.0, DriftFactors(), "start")
    when = float(t_s).hex()

    steps = [(high - low) / (len(c.levels_z) - 3) for c, (low, high) in zip(now, reaches, strict=True)]
    ramps = [torch.ones((len(rng), c.group.ramps, 1), dtype=torch.float64) for c in now]
    columns = [torch.ones((len(rng), c.group.ramps, c.group.width), dtype=torch.float64) for c in now]
    by_column = how.mode == "per_column"
    on_sums = by_column and chip.readout == "ramp"  # words are rounded before their factor: it would tilt the slope
    for turn in range(ROUNDS + by_column):
        factors = DriftFactors(ramps, columns if on_sums else ())
        found = measure(read, now, t_s, factors, when, turn if turn < ROUNDS else "columns")
        for k, one in enumerate(zip(found, wanted, weights, steps, strict=True)):
            common = _slope(*one, (1, 3))[..., None] if turn < ROUNDS else torch.ones_like(ramps[k])
            ramps[k] = _stepped(ramps[k] * common, how.resolution)
            if turn >= ROUNDS - 1:
                trim = _slope(*one, (1,)) / common
                columns[k] = _stepped(columns[k] * trim if on_sums else trim, how.resolution)
    return DriftFactors(ramps, columns if by_column else ())


def _reach(
    converters: Sequence[GroupConverter], reaches: Sequence[tuple[torch.Tensor, torch.Tensor]], columns: int
) -> torch.Tensor:
    """How far from zero sums of each column may lie, ``(columns,)``: to the nearer end of a range around zero."""
    found = torch.ones(columns, dtype=torch.float64)
    for converter, (low, high) in zip(converters, reaches, strict=True):
        ends = torch.stack([low.abs(), high.abs()])
        reach = torch.where((low < 0) & (high > 0), ends.amin(0), ends.amax(0))
        found[converter.group.columns] = reach.expand(converter.group.columns.shape)
    return found


def _weights(exact: torch.Tensor, reach: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """With what each vector's value counts in a slope, ``(1, n, ramps, width)``: its exact sum, over the mean of those
    of its column where the range lies around zero, so that no offset counts; 0 outside the inner half of the range."""
    low, high = reach
    margin = 0.125 * (high - low)
    least, most = (torch.where(end * side > 0, 0.5 * end, end - side * margin) for end, side in ((low, -1), (high, 1)))
    inside = ((exact >= least) & (exact <= most)).double()
    mean = (inside * exact).sum(1, keepdim=True) / inside.sum(1, keepdim=True).clamp_min(1.0)
    return inside * (exact - torch.where((low < 0) & (high > 0), mean, 0.0))


def _slope(
    now: torch.Tensor, before: torch.Tensor, weights: torch.Tensor, step: torch.Tensor, over: tuple[int, ...]
) -> torch.Tensor:
    """``sum u z_now / sum u z_before`` over the given dimensions, drawn to 1 as by ``PRIOR`` values of a step of the
    converter; 1 where all values together weigh less."""
    prior, weight = PRIOR * step.square().mean(), (weights * before).sum(over)
    slope = ((weights * now).sum(over) + prior) / (weight + prior)
    return torch.where(weight > prior, slope, 1.0)


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


def _stepped(factor: torch.Tensor, step: float) -> torch.Tensor:
    """The nearest setting of a generator with this step."""
    return (torch.round(factor / step) * step).clamp_min(step)
