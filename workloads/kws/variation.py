"""Varied batches: the same features a little earlier or slower, coloured, masked, or mixed with another clip's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Interval


@dataclass(frozen=True, kw_only=True)
class Variation:
    """How far the features of a batch are varied.

    Parameters
    ----------
    shift_frames : whole clip moved by up to so many frames, either way
    tempo : up to so much slower or faster, frames repeated or left out [1]
    colour : standard deviation of a constant added to each coefficient, as another microphone would [full scale]
    mask_frames, mask_coefficients : widest band of frames and of coefficients set to zero (SpecAugment, Park et al.,
        doi 10.21437/Interspeech.2019-2680)
    recorded_share : share of the clips taken as recorded rather than from the varied copies [1]
    """

    shift_frames: Annotated[float, Ge(0.0)] = 4.0
    tempo: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.1
    colour: Annotated[float, Ge(0.0)] = 0.1
    mask_frames: Annotated[int, Interval(ge=0, le=100_000)] = 8
    mask_coefficients: Annotated[int, Interval(ge=0, le=100_000)] = 6
    recorded_share: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.1


def varied(
    x: torch.Tensor, y: torch.Tensor, batch: int, how: Variation, *, mixup: float, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """One batch drawn with replacement from ``x (copies, n, steps, inputs)`` and ``y (n,)``.

    Returns features ``(batch, steps, inputs)`` in [-1, 1], their classes, the classes of what was mixed in, and the
    share of the first (1 where nothing was mixed; mixup, Zhang et al., arXiv:1710.09412), each ``(batch,)``.
    """
    copies, count, steps, inputs = x.shape

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=draw)

    clip = torch.randint(count, (batch,), generator=draw)
    copy = torch.randint(1, copies, (batch,), generator=draw) if copies > 1 else torch.zeros(batch, dtype=torch.long)
    copy[uniform(batch) < how.recorded_share] = 0
    frame = torch.arange(steps)
    slower = 1.0 + how.tempo * (2.0 * uniform(batch, 1) - 1.0)
    moved = how.shift_frames * (2.0 * uniform(batch, 1) - 1.0)
    place = ((frame - steps / 2) * slower + steps / 2 + moved).round_().long().clamp_(0, steps - 1)
    rows = (copy * count + clip)[:, None] * steps + place
    out = x.view(-1, inputs)[rows.view(-1)].float().view(batch, steps, inputs)
    if how.colour > 0.0:
        out += how.colour * torch.randn((batch, 1, inputs), generator=draw)
    share = torch.ones(batch)
    if mixup > 0.0:
        share = torch.where(uniform(batch) < mixup, 0.5 + 0.5 * uniform(batch), share)
        out = torch.lerp(out.roll(1, dims=0), out, share[:, None, None])
    for length, widest, dim in ((steps, how.mask_frames, 1), (inputs, how.mask_coefficients, 2)):
        if widest > 0:
            width = widest * uniform(batch, 1)
            first = uniform(batch, 1) * (length - width)
            index = torch.arange(length)
            out *= ((index < first) | (index >= first + width)).unsqueeze(3 - dim)
    return out.clamp_(-1.0, 1.0), y[clip], y[clip].roll(1), share
