"""``devices.counters.normals`` as one kernel. Imported on CUDA devices alone, where Triton is installed."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 256


@triton.jit
def _radius(word):
    u = ((word >> 8).to(tl.int32).to(tl.float32) + 1.0) * 5.9604644775390625e-08
    return tl.sqrt(tl.maximum(-2.0 * tl.log(u), 0.0))


@triton.jit
def _x_and_y(word, radius):
    """Sine and cosine within a quarter of a turn by their series."""
    a = (word << 2).to(tl.int32, bitcast=True).to(tl.float32) * 3.6572951981664496e-10
    q = a * a
    sine = a * (1.0 + q * (-1.0 / 6.0 + q * (1.0 / 120.0 + q * (-1.0 / 5040.0 + q * (1.0 / 362880.0)))))
    cosine = 1.0 + q * (-0.5 + q * (1.0 / 24.0 + q * (-1.0 / 720.0 + q * (1.0 / 40320.0 - q * (1.0 / 3628800.0)))))
    swap = ((word >> 30) & 1) == 1
    half = (word >> 31) == 1
    x = tl.where(swap, sine, cosine)
    y = tl.where(swap, cosine, sine)
    return radius * tl.where(swap != half, -x, x), radius * tl.where(half, -y, y)


@triton.jit
def _normals(out, keys, samples, steps, kind, n, q, BLOCK: tl.constexpr):
    row, step = tl.program_id(0).to(tl.int64), tl.program_id(1)
    count = tl.num_programs(1)
    chip, sample = row // n, row % n
    place = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], tl.uint32)
    c0 = place.to(tl.uint32)
    c1 = zero + tl.load(steps + step).to(tl.uint32)
    c2 = zero + tl.load(samples + sample).to(tl.uint32)
    c3 = zero + tl.load(kind).to(tl.uint32)
    m0, m1 = zero + 0xD2511F53, zero + 0xCD9E8D57
    k0 = zero + tl.load(keys + 2 * chip).to(tl.uint32)
    k1 = zero + tl.load(keys + 2 * chip + 1).to(tl.uint32)
    for _ in tl.static_range(10):
        high0, high1 = tl.umulhi(c0, m0), tl.umulhi(c2, m1)
        low0, low1 = c0 * m0, c2 * m1
        c0, c1 = high1 ^ c1 ^ k0, low1
        c2, c3 = high0 ^ c3 ^ k1, low0
        k0 = k0 + 0x9E3779B9
        k1 = k1 + 0xBB67AE85
    here = out + (row * count + step) * 4 * q + place
    inside = place < q
    a, b = _x_and_y(c1, _radius(c0))
    tl.store(here, a, mask=inside)
    tl.store(here + q, b, mask=inside)
    c, d = _x_and_y(c3, _radius(c2))
    tl.store(here + 2 * q, c, mask=inside)
    tl.store(here + 3 * q, d, mask=inside)


def normals_triton(
    keys: torch.Tensor, samples: torch.Tensor, steps: torch.Tensor, kind: torch.Tensor, q: int
) -> torch.Tensor:
    """As ``normals``."""
    rows = len(keys) * len(samples)
    out = torch.empty((len(keys), len(samples), len(steps), 4 * q), device=keys.device)
    block = min(BLOCK, triton.next_power_of_2(q))
    grid = (rows, len(steps), triton.cdiv(q, block))
    _normals[grid](out, keys, samples, steps, kind, len(samples), q, BLOCK=block, num_warps=4 if block > 64 else 2)
    return out
