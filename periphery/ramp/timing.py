"""What time does to a ramp: steps that settle, comparators that decide late, sampled voltages that leak.

All three change the level at which a column's code changes, by an amount that follows from the ramp itself; the search
for the code stays a search in one table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def _lag(step: Any, decay: Any, lag: Any) -> None:
    for ramp in range(step.shape[0]):
        left = 0.0
        for k in range(step.shape[1]):
            left = (left + step[ramp, k]) * decay[k]
            lag[ramp, k] = left


def settled(start: torch.Tensor, levels: torch.Tensor, clocks: torch.Tensor, tau_clocks: float) -> torch.Tensor:
    """Levels that a ramp has reached at the end of each step when every step settles exponentially.

    ``start (...)`` and ``levels (..., steps)``: the ramp without lag; ``clocks (steps,)``; ``tau_clocks``: time
    constant in clock periods. What a step of ``m`` clocks leaves, ``exp(-m / tau)`` of it, settles on in the next.
    """
    step = torch.diff(levels, dim=-1, prepend=start[..., None]).double()
    decay = torch.exp(-clocks.double() / tau_clocks)
    lag = np.empty((step[..., 0].numel(), step.shape[-1]))
    _lag(step.reshape(lag.shape).contiguous().numpy(), decay.contiguous().numpy(), lag)
    return levels - torch.from_numpy(lag).reshape(levels.shape).to(levels.dtype)


def delayed(
    start: torch.Tensor, levels: torch.Tensor, clocks: torch.Tensor, delay_clocks: torch.Tensor | float
) -> torch.Tensor:
    """Inputs at which the code changes when the comparators answer ``delay_clocks`` after the crossing.

    The ramp rises evenly within a step. The counter goes on until the answer comes, so code ``k`` is latched by every
    input that the ramp crosses later than one delay before the end of step ``k``: the threshold is the highest level up
    to that moment. A negative delay is a counter that starts late. ``delay_clocks``: a number or ``(..., 1)``.
    """
    path = torch.cat([start[..., None], levels], dim=-1)
    highest = torch.cummax(path, dim=-1).values
    ends = torch.cat([clocks.new_zeros(1), clocks.cumsum(0)]).double()
    moment = (ends[1:] - torch.as_tensor(delay_clocks, dtype=torch.float64)).expand(levels.shape)
    moment = moment.clamp(0.0, float(ends[-1]))
    step = (torch.searchsorted(ends, moment.contiguous(), right=True) - 1).clamp(0, len(clocks) - 1)
    share = ((moment - ends[step]) / clocks.double()[step]).to(levels.dtype)
    before, after = path.gather(-1, step), path.gather(-1, step + 1)
    return torch.maximum(highest.gather(-1, step), before + (after - before) * share)


def leaked(levels: torch.Tensor, clocks: torch.Tensor, tau_clocks: torch.Tensor | float) -> torch.Tensor:
    """Inputs at which the code changes when the product's sampled voltage leaks to zero with ``tau_clocks`` meanwhile.

    A column with z at the start has ``z exp(-t / tau)`` at the end of step k, so it takes a larger z to reach
    the same level: the threshold is the level times ``exp(t_k / tau)``.
    """
    return levels * torch.exp(clocks.cumsum(0).double() / torch.as_tensor(tau_clocks, dtype=torch.float64))
