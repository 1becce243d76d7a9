"""Ramps whose steps err, one for every conversion, as a kernel. Imported on CUDA devices alone, where Triton is."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

RAMPS, WARPS = 16, 2  # of a program


@triton.jit
def _walked(sigma, drawn, row, chip, ramp, k, ramps, cells, draws, at, inside):
    """Errors of the cells ``k`` of some ramps."""
    xi = tl.load(drawn + row * draws + at + ramp[:, None] * cells + k[None, :], mask=inside, other=0.0)
    return xi * tl.load(sigma + (chip * ramps + ramp[:, None]) * cells + k[None, :], mask=inside, other=0.0)


@triton.jit
def _rise(
    out, levels, sigma, drawn, rows, ramps, cells, thresholds, draws, at,
    SIZE: tl.constexpr, C: tl.constexpr, START: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    """Running maximum of ramps whose steps err, ``R`` ramps of one conversion; at most ``START`` cells hold where they
    begin."""
    row = tl.program_id(0).to(tl.int64)
    chip = row // rows
    ramp, j = tl.program_id(1) * R + tl.arange(0, R), tl.arange(0, C)
    here = (ramp < ramps)[:, None]
    first, inside = cells - thresholds, here & (j < thresholds)[None, :]
    error = tl.cumsum(_walked(sigma, drawn, row, chip, ramp, first + j, ramps, cells, draws, at, inside), 1)
    if START > 0:
        k = tl.arange(0, START)
        begin = _walked(sigma, drawn, row, chip, ramp, k, ramps, cells, draws, at, here & (k < first)[None, :])
        error += tl.sum(begin, axis=1)[:, None]
    level = tl.load(levels + (chip * ramps + ramp[:, None]) * SIZE + j[None, :], mask=inside, other=float("-inf"))
    highest = tl.associative_scan(level + error, 1, _larger)
    place = out + (row * ramps + ramp[:, None]) * SIZE
    tl.store(place + j[None, :], highest, mask=inside)
    rest = tl.arange(0, SIZE)
    beyond = here & (rest >= thresholds)[None, :]
    tl.store(place + rest[None, :], tl.full([R, SIZE], float("nan"), tl.float32), mask=beyond)


@triton.jit
def _larger(a, b):
    return tl.maximum(a, b)


def rise(levels: torch.Tensor, sigma: torch.Tensor, drawn: torch.Tensor, at: int, thresholds: int) -> torch.Tensor:
    """As ``Converters.tables``: thresholds of every conversion ``(chips, n, steps, ramps, 2^log)``."""
    (chips, ramps, cells), size, (_, n, steps, draws) = sigma.shape, levels.shape[-1], drawn.shape
    out = torch.empty((chips, n, steps, ramps, size), device=drawn.device)
    together = min(RAMPS, triton.next_power_of_2(ramps))
    start = cells - thresholds
    _rise[(chips * n * steps, triton.cdiv(ramps, together))](
        out, levels, sigma, drawn, n * steps, ramps, cells, thresholds, draws, at,
        SIZE=size, C=triton.next_power_of_2(thresholds), START=triton.next_power_of_2(start) if start else 0,
        R=together, num_warps=WARPS,
    )  # fmt: skip
    return out
