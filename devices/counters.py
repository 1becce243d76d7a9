"""Gaussian noise as a pure function of chip, sample and draw, on whichever device: for runs on a GPU.

A counter goes through Philox4x32-10 (J. Salmon et al., SC 2011, doi 10.1145/2063384.2063405), and each pair of its four
words through Box-Muller. Numbers, keys and places are those of the compiled loops of the CPU
(``mappings.counter_noise``), so that the two differ in the last digits of a logarithm and a sine alone.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cache

import torch

M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW = 0xFFFFFFFF
TOP, SECOND = 1 << 31, 1 << 30
ROUNDS = 10


def philox(counters: list[torch.Tensor], keys: list[torch.Tensor]) -> list[torch.Tensor]:
    """Philox4x32-10 of counters of four words under keys of two; words of 32 bits in int64, shapes that go together."""
    (c0, c1, c2, c3), (k0, k1) = counters, keys
    for _ in range(ROUNDS):
        p0, p1 = c0 * M0, c2 * M1  # beyond 63 bits it wraps, and every bit of the product is there
        c0, c1, c2, c3 = (p1 >> 32 & LOW) ^ c1 ^ k0, p1 & LOW, (p0 >> 32 & LOW) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return [c0, c1, c2, c3]


def pair(angle: torch.Tensor, radius: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two normal numbers from two words: a radius of ``sqrt(-2 ln u)``, and an angle whose quadrant is its upper two
    bits."""
    size = ((radius >> 8) + 1).float().mul_(2.0**-24).log_().mul_(-2.0).sqrt_()
    low = angle << 2 & LOW
    a = (low - (low >> 31 << 32)).float().mul_(math.pi / 4 / 2**31)
    sine, cosine = a.sin(), a.cos()
    swap, half = (angle & SECOND) != 0, (angle & TOP) != 0
    x, y = torch.where(swap, sine, cosine), torch.where(swap, cosine, sine)
    return size * torch.where(swap != half, -x, x), size * torch.where(half, -y, y)


def normals(keys: torch.Tensor, samples: torch.Tensor, steps: torch.Tensor, kind: torch.Tensor, q: int) -> torch.Tensor:
    """Standard normal numbers ``(chips, samples, steps, 4 q)``, float32.

    ``keys``: ``(chips, 2)``, ``samples``: ``(samples,)``, ``steps``: ``(steps,)``, numbers of the draws, and ``kind``,
    ``(1,)``, one number for each independent origin; int64 of 32 bits, all on one device. The number at a place depends
    on ``q``: callers keep to one length.
    """
    if keys.is_cuda and has_triton():
        from devices.counters_triton import normals_triton

        return normals_triton(keys, samples, steps, kind, q)
    place = torch.arange(q, device=keys.device)
    counters = [place, steps[:, None], samples[:, None, None], kind]
    w0, w1, w2, w3 = philox(counters, [key[:, None, None, None] for key in keys.unbind(1)])
    return torch.cat([*pair(w1, w0), *pair(w3, w2)], dim=-1)


@cache
def has_triton() -> bool:
    """Whether kernels can be written in Triton, which comes with torch's builds for CUDA on Linux."""
    return importlib.util.find_spec("triton") is not None
