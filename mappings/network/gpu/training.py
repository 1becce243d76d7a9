"""One step of the LSTM of ``aware_lstm``, forwards and backwards, as kernels of a GPU; numbers as in its loops.

Products are the library's; what is left of a step is one kernel. All steps are one CUDA graph, kept for the shape and
the rules that it was made for. Tensors have the steps first. Imported on CUDA devices alone, where Triton is installed.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from mappings.network.gpu.graphs import Graphs, Kept

BLOCK = 256


@triton.jit
def _whole(x):
    """The nearest whole number, a tie to the even one."""
    x = tl.minimum(tl.maximum(x, -2097152.0), 2097152.0)
    return (x + 12582912.0) - 12582912.0


@triton.jit
def _sigmoid(z, half, ROUNDS: tl.constexpr):
    y = 1.0 / (1.0 + tl.exp(-z))
    coded = y
    if ROUNDS:
        coded = (tl.minimum(tl.floor(y * 2.0 * half), 2.0 * half - 1.0) + 0.5) / (2.0 * half)
    return y, coded


@triton.jit
def _tanh(z, half, ROUNDS: tl.constexpr):
    y = 1.0 - 2.0 / (1.0 + tl.exp(2.0 * z))
    coded = y
    if ROUNDS:
        coded = (tl.minimum(tl.floor(y * half + half + 0.5), 2.0 * half - 1.0) - half) / half
    return y, coded


@triton.jit
def _forwards(
    z, before, smooth, coded, c, tanh, h, count, hidden, half, top, per_clock, lsb, limit, per_h,
    ROUNDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gates (smooth and coded), stored and unclipped state, tanh (smooth and coded) and h of one step."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    gate = at // hidden * 4 * hidden + at % hidden
    s_i, i = _sigmoid(tl.load(z + gate, mask=inside, other=0.0), half, ROUNDS)
    s_f, f = _sigmoid(tl.load(z + gate + hidden, mask=inside, other=0.0), half, ROUNDS)
    s_o, o = _sigmoid(tl.load(z + gate + 2 * hidden, mask=inside, other=0.0), half, ROUNDS)
    s_g, g = _tanh(tl.load(z + gate + 3 * hidden, mask=inside, other=0.0), half, ROUNDS)
    new = f * tl.load(before + at, mask=inside, other=0.0) + i * g
    stored = new
    driven = new
    if ROUNDS:
        stored = tl.minimum(tl.maximum(_whole(new / lsb) * lsb, -limit), limit - lsb)
        driven = tl.minimum(tl.maximum(_whole(stored * per_clock), -top), top) / per_clock
    s_t, t = _tanh(driven, half, ROUNDS)
    y = o * t
    if ROUNDS:
        y = tl.minimum(tl.maximum(_whole(y * per_h), -top), top) / per_h
    tl.store(smooth + gate, s_i, mask=inside)
    tl.store(smooth + gate + hidden, s_f, mask=inside)
    tl.store(smooth + gate + 2 * hidden, s_o, mask=inside)
    tl.store(smooth + gate + 3 * hidden, s_g, mask=inside)
    tl.store(coded + gate, i, mask=inside)
    tl.store(coded + gate + hidden, f, mask=inside)
    tl.store(coded + gate + 2 * hidden, o, mask=inside)
    tl.store(coded + gate + 3 * hidden, g, mask=inside)
    tl.store(c + at, stored, mask=inside)
    tl.store(c + count + at, new, mask=inside)
    tl.store(tanh + at, s_t, mask=inside)
    tl.store(tanh + count + at, t, mask=inside)
    tl.store(h + at, y, mask=inside)


@triton.jit
def _backwards(
    gradient, dh, dc, before, smooth, coded, c, tanh, dz, count, hidden, top, lsb, limit, per_h, drive_limit,
    ROUNDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient of the driven gates of one step; that of the cell state, ``dc``, in place."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    gate = at // hidden * 4 * hidden + at % hidden
    i = tl.load(coded + gate, mask=inside, other=0.0)
    f = tl.load(coded + gate + hidden, mask=inside, other=0.0)
    o = tl.load(coded + gate + 2 * hidden, mask=inside, other=0.0)
    g = tl.load(coded + gate + 3 * hidden, mask=inside, other=0.0)
    s_i = tl.load(smooth + gate, mask=inside, other=0.0)
    s_f = tl.load(smooth + gate + hidden, mask=inside, other=0.0)
    s_o = tl.load(smooth + gate + 2 * hidden, mask=inside, other=0.0)
    s_g = tl.load(smooth + gate + 3 * hidden, mask=inside, other=0.0)
    s_t = tl.load(tanh + at, mask=inside, other=0.0)
    t = tl.load(tanh + count + at, mask=inside, other=0.0)
    stored = tl.load(c + at, mask=inside, other=0.0)
    new = tl.load(c + count + at, mask=inside, other=0.0)
    from_h = tl.load(gradient + at, mask=inside, other=0.0) + tl.load(dh + at, mask=inside, other=0.0)
    from_c = tl.load(dc + at, mask=inside, other=0.0)
    slope = o * (1.0 - s_t * s_t)
    if ROUNDS:
        from_h = tl.where(tl.abs(o * t) * per_h > top, 0.0, from_h)
        from_c += tl.where(tl.abs(stored) <= drive_limit, from_h * slope, 0.0)
        from_c = tl.where((new < -limit) | (new > limit - lsb), 0.0, from_c)
    else:
        from_c += from_h * slope
    tl.store(dz + gate, from_c * g * s_i * (1.0 - s_i), mask=inside)
    kept = tl.load(before + at, mask=inside, other=0.0)
    tl.store(dz + gate + hidden, from_c * kept * s_f * (1.0 - s_f), mask=inside)
    tl.store(dz + gate + 2 * hidden, from_h * t * s_o * (1.0 - s_o), mask=inside)
    tl.store(dz + gate + 3 * hidden, from_c * i * (1.0 - s_g * s_g), mask=inside)
    tl.store(dc + at, from_c * f, mask=inside)


_GRAPHS = Graphs()


def forwards(driven: torch.Tensor, w_hh: torch.Tensor, h0: torch.Tensor, c0: torch.Tensor, rules: Any) -> Kept:
    """Gates, smooth and coded, states, tanh and h of all steps of ``driven (steps, batch, 4 hidden)``."""
    return _GRAPHS(_all_forwards, (driven, w_hh, h0, c0), tuple(float(rule) for rule in rules))


def backwards(
    of_states: torch.Tensor, of_last: torch.Tensor, w_hh: torch.Tensor, c0: torch.Tensor, rules: Any, kept: Kept
) -> Kept:
    """Gradients of the driven gates, and of the first h and c; ``of_states (steps, batch, hidden)``."""
    return _GRAPHS(_all_backwards, (of_states, of_last, w_hh, c0, *kept), tuple(float(rule) for rule in rules))


def _all_forwards(driven: torch.Tensor, w_hh: torch.Tensor, h0: torch.Tensor, c0: torch.Tensor, rules: Any) -> Kept:
    steps, batch, four = driven.shape
    hidden, count = four // 4, batch * four // 4
    smooth, coded = driven.new_empty((2, steps, batch, four))
    c, tanh = driven.new_empty((2, steps, 2, batch, hidden))
    h, grid, numbers = driven.new_empty((steps, batch, hidden)), (triton.cdiv(count, BLOCK),), [float(r) for r in rules]
    for t in range(steps):
        z = torch.addmm(driven[t], h[t - 1] if t else h0, w_hh.T)
        _forwards[grid](
            z, c[t - 1, 0] if t else c0, smooth[t], coded[t], c[t], tanh[t], h[t], count, hidden, *numbers[:6],
            ROUNDS=numbers[0] > 0.0, BLOCK=BLOCK,
        )  # fmt: skip
    return smooth, coded, c, tanh, h


def _all_backwards(
    of_states: torch.Tensor,
    of_last: torch.Tensor,
    w_hh: torch.Tensor,
    c0: torch.Tensor,
    smooth: torch.Tensor,
    coded: torch.Tensor,
    c: torch.Tensor,
    tanh: torch.Tensor,
    h: torch.Tensor,
    rules: Any,
) -> Kept:
    steps, batch, hidden = h.shape
    dz, dh, dc = torch.empty_like(smooth), torch.zeros_like(h[0]), of_last.contiguous().clone()
    _, top, _, lsb, limit, per_h, drive_limit = numbers = [float(rule) for rule in rules]
    count = batch * hidden
    for t in reversed(range(steps)):
        _backwards[(triton.cdiv(count, BLOCK),)](
            of_states[t], dh, dc, c[t - 1, 0] if t else c0, smooth[t], coded[t], c[t], tanh[t], dz[t], count, hidden,
            top, lsb, limit, per_h, drive_limit, ROUNDS=numbers[0] > 0.0, BLOCK=BLOCK,
        )  # fmt: skip
        dh = dz[t] @ w_hh
    return dz, dh, dc
