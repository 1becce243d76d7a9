"""Output levels put where the data are: the quantiser of least squared error for a measured distribution."""

from __future__ import annotations

import torch

from devices import InputError
from periphery.functions.function import Function, checked_bits

ROUNDS = 1000


def optimal_levels(function: Function, bits: int, samples: torch.Tensor) -> torch.Tensor:
    """The ``2^bits`` outputs that represent ``f(samples)`` with the least mean squared error, rising, float64.

    ``samples``: inputs z as they occur, any shape. Lloyd's iteration on the outputs, referred to the output because
    that is what the next layer sees: every level is the mean of the outputs nearest to it, every threshold is
    half-way between two levels, until neither moves. Raises InputError where the samples have fewer distinct outputs
    than levels.

    Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982), doi 10.1109/TIT.1982.1056489; Max, IRE Trans. Inf. Theory 6, 7
    (1960), doi 10.1109/TIT.1960.1057548.
    """
    count = int(2 ** checked_bits(bits))
    y = function.f(samples.detach().double().flatten()).clamp(function.low, function.high)
    y = y[torch.isfinite(y)].sort().values
    distinct = torch.unique_consecutive(y)
    if len(distinct) < count:
        raise InputError(
            f"levels: optimal needs samples with at least {count} distinct outputs of {function.name} "
            f"(got {len(distinct)})"
        )
    total = torch.cat([y.new_zeros(1), y.cumsum(0)])
    levels: torch.Tensor = distinct[((torch.arange(count) + 0.5) / count * len(distinct)).long()]
    for _ in range(ROUNDS):
        ends = torch.searchsorted(y, 0.5 * (levels[1:] + levels[:-1]))
        ends = torch.cat([ends.new_zeros(1), ends, ends.new_full((1,), len(y))])
        members = torch.diff(ends)
        means = torch.diff(total[ends]) / members.clamp_min(1)
        moved = torch.where(members > 0, means, levels)
        still = float((moved - levels).abs().max()) <= 1e-12 * (function.high - function.low)
        levels = moved
        if still:
            break
    return levels
