"""The LSTM of ``network.aware`` over whole sequences, fused: one compiled loop over samples, with its gradient.

The same numbers as the step-by-step form (a test compares them), from any first states. Each sample goes through all
its steps at once, so nothing but its state moves between them; the weights' gradient is one product at the end. The
loops release the interpreter's lock: trainings for several bit widths run side by side in threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from mappings.chip import CellState

Array = NDArray[np.float32]
Rules = tuple[np.float32, ...]


def rules_of(bits: int | None, state: CellState, x_max: float = 1.0) -> Rules:
    """Half the codes, longest pulse, clock periods per unit of state, state LSB and limit, clock periods per unit of h,
    largest state that is driven; zeros where nothing rounds."""
    if bits is None:
        return (np.float32(0),) * 7
    half, top = 2.0 ** (bits - 1), 2.0 ** (bits - 1) - 1.0
    lsb = 2.0 * state.limit / 2**state.bits
    figures = (half, top, top / state.drive_limit, lsb, state.limit, top / x_max, state.drive_limit)
    return tuple(np.float32(figure) for figure in figures)


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"}, cache=True, error_model="numpy")
def _forward(
    driven: Array,
    w: Array,
    rules: Any,
    start: Any,
    smooth: Array,
    coded: Array,
    c: Array,
    tanh: Array,
    h: Array,
) -> None:
    """Fill gates (smooth and coded), stored and unclipped state, tanh (smooth and coded) and h; batch first.

    ``start``: h and c in front of the first step, ``(batch, hidden)`` each.
    """
    batch, steps, four = driven.shape
    hidden = four // 4
    half, top, per_clock, lsb, limit, per_h, _ = rules
    one, two = np.float32(1.0), np.float32(2.0)
    for n in range(batch):
        z = np.empty(four, np.float32)
        now = np.zeros(hidden, np.float32)
        cell = np.zeros(hidden, np.float32)
        for j in range(hidden):
            now[j], cell[j] = start[0][n, j], start[1][n, j]
        for t in range(steps):
            for j in range(four):
                z[j] = driven[n, t, j]
            for k in range(hidden):
                x = now[k]
                if x != 0:
                    for j in range(four):
                        z[j] += x * w[k, j]
            for j in range(3 * hidden):
                y = one / (one + math.exp(-z[j]))
                smooth[n, t, j] = y
                if half > 0:
                    y = (min(math.floor(y * two * half), two * half - one) + np.float32(0.5)) / (two * half)
                coded[n, t, j] = y
            for j in range(3 * hidden, four):
                y = one - two / (one + math.exp(two * z[j]))
                smooth[n, t, j] = y
                if half > 0:
                    y = (min(math.floor(y * half + half + np.float32(0.5)), two * half - one) - half) / half
                coded[n, t, j] = y
            for j in range(hidden):
                new = coded[n, t, hidden + j] * cell[j] + coded[n, t, j] * coded[n, t, 3 * hidden + j]
                c[n, t, 1, j] = new
                driven_state = new
                if half > 0:
                    new = min(max(np.rint(new / lsb) * lsb, -limit), limit - lsb)
                    driven_state = min(max(np.rint(new * per_clock), -top), top) / per_clock
                c[n, t, 0, j] = new
                cell[j] = new
                y = one - two / (one + math.exp(two * driven_state))
                tanh[n, t, 0, j] = y
                if half > 0:
                    y = (min(math.floor(y * half + half + np.float32(0.5)), two * half - one) - half) / half
                tanh[n, t, 1, j] = y
                y *= coded[n, t, 2 * hidden + j]
                if half > 0:
                    y = min(max(np.rint(y * per_h), -top), top) / per_h
                now[j] = y
                h[n, t, j] = y


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"}, cache=True, error_model="numpy")
def _backward(
    gradient: Array,
    w: Array,
    rules: Any,
    start: Any,
    smooth: Array,
    coded: Array,
    c: Array,
    tanh: Array,
    dz: Array,
    first: Any,
) -> None:
    """Gradient of the driven gates ``dz (batch, steps, 4 hidden)`` from that of all hidden states.

    ``first``: h and c, ``(batch, hidden)`` each: the gradient of the last cell state comes in as c, and those of the
    states in front of the first step go out.
    """
    batch, steps, four = smooth.shape
    hidden = four // 4
    half, top, _, lsb, limit, per_h, drive_limit = rules
    one = np.float32(1.0)
    for n in range(batch):
        dh = np.zeros(hidden, np.float32)
        dc = first[1][n]
        for back in range(steps):
            t = steps - 1 - back
            for j in range(hidden):
                dh[j] += gradient[n, t, j]
            for j in range(hidden):
                i, f = coded[n, t, j], coded[n, t, hidden + j]
                o, g = coded[n, t, 2 * hidden + j], coded[n, t, 3 * hidden + j]
                si, sf = smooth[n, t, j], smooth[n, t, hidden + j]
                so, sg = smooth[n, t, 2 * hidden + j], smooth[n, t, 3 * hidden + j]
                before = c[n, t - 1, 0, j] if t > 0 else start[1][n, j]
                if half > 0 and abs(o * tanh[n, t, 1, j]) * per_h > top:
                    dh[j] = np.float32(0.0)
                slope = o * (one - tanh[n, t, 0, j] * tanh[n, t, 0, j])
                if half == 0 or abs(c[n, t, 0, j]) <= drive_limit:
                    dc[j] += dh[j] * slope
                if half > 0 and (c[n, t, 1, j] < -limit or c[n, t, 1, j] > limit - lsb):
                    dc[j] = np.float32(0.0)
                dz[n, t, j] = dc[j] * g * si * (one - si)
                dz[n, t, hidden + j] = dc[j] * before * sf * (one - sf)
                dz[n, t, 2 * hidden + j] = dh[j] * tanh[n, t, 1, j] * so * (one - so)
                dz[n, t, 3 * hidden + j] = dc[j] * i * (one - sg * sg)
                dc[j] *= f
            for k in range(hidden):
                total = np.float32(0.0)
                for j in range(four):
                    total += dz[n, t, j] * w[k, j]
                dh[k] = total
        for j in range(hidden):
            first[0][n, j] = dh[j]


class LSTMSequence(torch.autograd.Function):
    """Hidden states of all steps ``(batch, steps, hidden)``, and the last cell state ``(batch, hidden)``.

    Of driven gates ``(batch, steps, 4 hidden)``, i, f, o, g, and of the first h and c as driven and as stored, None for
    zero.
    """

    @staticmethod
    def forward(
        ctx: Any,
        driven: torch.Tensor,
        w_hh: torch.Tensor,
        h0: torch.Tensor | None,
        c0: torch.Tensor | None,
        rules: Rules,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batch, steps, four = driven.shape
        hidden = four // 4
        if driven.is_cuda:
            return _forward_on_gpu(ctx, driven.detach(), w_hh.detach(), (h0, c0), rules)
        w = np.ascontiguousarray(w_hh.detach().numpy().T)
        start = tuple(
            np.zeros((batch, hidden), np.float32) if one is None else np.ascontiguousarray(one.detach().numpy())
            for one in (h0, c0)
        )
        smooth, coded = np.empty((2, batch, steps, four), np.float32)
        c, tanh = np.empty((2, batch, steps, 2, hidden), np.float32)
        h = np.empty((batch, steps, hidden), np.float32)
        _forward(driven.detach().contiguous().numpy(), w, rules, start, smooth, coded, c, tanh, h)
        ctx.kept = (w, rules, start, smooth, coded, c, tanh, h)
        ctx.starts = (h0 is not None, c0 is not None)
        return torch.from_numpy(h.copy()), torch.from_numpy(c[:, -1, 0].copy())

    @staticmethod
    def backward(ctx: Any, of_states: torch.Tensor, of_last: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if of_states.is_cuda:
            return _backward_on_gpu(ctx, of_states, of_last)
        w, rules, start, smooth, coded, c, tanh, h = ctx.kept
        dz = np.empty_like(smooth)
        first = np.empty_like(start[0]), of_last.numpy().copy()
        _backward(of_states.contiguous().numpy(), w, rules, start, smooth, coded, c, tanh, dz, first)
        rows = torch.from_numpy(dz[:, 1:]).flatten(0, 1)
        dw = rows.T @ torch.from_numpy(h[:, :-1]).flatten(0, 1)
        from_start = [torch.from_numpy(one) if given else None for one, given in zip(first, ctx.starts, strict=True)]
        if ctx.starts[0]:
            dw = dw + torch.from_numpy(dz[:, 0]).T @ torch.from_numpy(start[0])
        return torch.from_numpy(dz), dw, *from_start, None


def _forward_on_gpu(
    ctx: Any, driven: torch.Tensor, w_hh: torch.Tensor, start: tuple[torch.Tensor | None, ...], rules: Rules
) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``LSTMSequence.forward``, step by step in kernels."""
    from mappings.network.gpu.training import forwards

    zero = driven.new_zeros((driven.shape[0], driven.shape[2] // 4))
    h0, c0 = (zero if one is None else one.detach().contiguous() for one in start)
    kept = forwards(driven.transpose(0, 1).contiguous(), w_hh.contiguous(), h0, c0, rules)
    ctx.kept, ctx.starts = (w_hh.contiguous(), rules, h0, c0, kept), tuple(one is not None for one in start)
    *_, c, _, h = kept
    return h.transpose(0, 1).contiguous(), c[-1, 0].clone()


def _backward_on_gpu(ctx: Any, of_states: torch.Tensor, of_last: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """As ``LSTMSequence.backward``, step by step in kernels."""
    from mappings.network.gpu.training import backwards

    w_hh, rules, h0, c0, kept = ctx.kept
    dz, *first = backwards(of_states.transpose(0, 1).contiguous(), of_last, w_hh, c0, rules, kept)
    dw = dz[0].T @ h0 + dz[1:].flatten(0, 1).T @ kept[-1][:-1].flatten(0, 1)
    from_start = [one if given else None for one, given in zip(first, ctx.starts, strict=True)]
    return dz.transpose(0, 1), dw, *from_start, None
