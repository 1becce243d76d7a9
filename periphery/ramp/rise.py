"""Ramps whose steps err, one for every conversion, as a kernel. Imported on CUDA devices alone, where Triton is."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _rise(
    out, levels, sigma, drawn, rows, ramps, cells, thresholds, draws, at,
    SIZE: tl.constexpr, C: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    """Running maximum of ramps whose steps err, ``R`` ramps of one conversion."""
    row = tl.program_id(0).to(tl.int64)
    chip = row // rows
    ramp, k = tl.program_id(1) * R + tl.arange(0, R), tl.arange(0, C)
    inside = (ramp < ramps)[:, None] & (k < cells)[None, :]
    xi = tl.load(drawn + row * draws + at + ramp[:, None] * cells + k[None, :], mask=inside, other=0.0)
    step = xi * tl.load(sigma + (chip * ramps + ramp[:, None]) * cells + k[None, :], mask=inside, other=0.0)
    j = k - (cells - thresholds)
    of_step = inside & (j >= 0)[None, :]
    level = tl.load(levels + (chip * ramps + ramp[:, None]) * SIZE + j[None, :], mask=of_step, other=float("-inf"))
    highest = tl.associative_scan(level + tl.cumsum(step, 1), 1, _larger)
    here = out + (row * ramps + ramp[:, None]) * SIZE
    tl.store(here + j[None, :], highest, mask=of_step)
    rest = tl.arange(0, SIZE)
    beyond = (ramp < ramps)[:, None] & (rest >= thresholds)[None, :]
    tl.store(here + rest[None, :], tl.full([R, SIZE], float("nan"), tl.float32), mask=beyond)


@triton.jit
def _larger(a, b):
    return tl.maximum(a, b)


def rise(levels: torch.Tensor, sigma: torch.Tensor, drawn: torch.Tensor, at: int, thresholds: int) -> torch.Tensor:
    """As ``Converters.tables``: thresholds of every conversion ``(chips, n, steps, ramps, 2^log)``."""
    (chips, ramps, cells), size, (_, n, steps, draws) = sigma.shape, levels.shape[-1], drawn.shape
    out = torch.empty((chips, n, steps, ramps, size), device=drawn.device)
    together = min(8, triton.next_power_of_2(ramps))
    grid = (chips * n * steps, triton.cdiv(ramps, together))
    _rise[grid](
        out, levels, sigma, drawn, n * steps, ramps, cells, thresholds, draws, at,
        SIZE=size, C=triton.next_power_of_2(cells), R=together, num_warps=2 if together * cells <= 128 else 4,
    )  # fmt: skip
    return out
