"""The LSTM of ``network.aware`` over whole sequences, fused: one compiled loop over samples, with its gradient.

The same numbers as the step-by-step form (a test compares them). Each sample goes through all its steps at once,
so nothing but its state moves between them; the weights' gradient is one product at the end. The loops release the
interpreter's lock: trainings for several bit widths run side by side in threads.
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
def _forward(driven: Array, w: Array, rules: Any, smooth: Array, coded: Array, c: Array, tanh: Array, h: Array) -> None:
    """Fill gates (smooth and coded), stored and unclipped state, tanh (smooth and coded) and h; batch first."""
    batch, steps, four = driven.shape
    hidden = four // 4
    half, top, per_clock, lsb, limit, per_h, _ = rules
    one, two = np.float32(1.0), np.float32(2.0)
    for n in range(batch):
        z = np.empty(four, np.float32)
        now = np.zeros(hidden, np.float32)
        cell = np.zeros(hidden, np.float32)
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
    smooth: Array,
    coded: Array,
    c: Array,
    tanh: Array,
    dz: Array,
) -> None:
    """Gradient of the driven gates ``dz (batch, steps, 4 hidden)`` from that of the last hidden states."""
    batch, steps, four = smooth.shape
    hidden = four // 4
    last = gradient.shape[0]
    half, top, _, lsb, limit, per_h, drive_limit = rules
    one = np.float32(1.0)
    for n in range(batch):
        dh = np.zeros(hidden, np.float32)
        dc = np.zeros(hidden, np.float32)
        for back in range(steps):
            t = steps - 1 - back
            if back < last:
                for j in range(hidden):
                    dh[j] += gradient[last - 1 - back, n, j]
            for j in range(hidden):
                i, f = coded[n, t, j], coded[n, t, hidden + j]
                o, g = coded[n, t, 2 * hidden + j], coded[n, t, 3 * hidden + j]
                si, sf = smooth[n, t, j], smooth[n, t, hidden + j]
                so, sg = smooth[n, t, 2 * hidden + j], smooth[n, t, 3 * hidden + j]
                before = c[n, t - 1, 0, j] if t > 0 else np.float32(0.0)
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


class LSTMSequence(torch.autograd.Function):
    """The ``last`` hidden states ``(last, batch, hidden)`` of driven gates ``(batch, steps, 4 hidden)``: i, f, o, g,
    and the cell state behind them ``(batch, hidden)``, which has no gradient."""

    @staticmethod
    def forward(
        ctx: Any, driven: torch.Tensor, w_hh: torch.Tensor, rules: Rules, last: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batch, steps, four = driven.shape
        hidden = four // 4
        w = np.ascontiguousarray(w_hh.detach().numpy().T)
        smooth, coded = np.empty((2, batch, steps, four), np.float32)
        c, tanh = np.empty((2, batch, steps, 2, hidden), np.float32)
        h = np.empty((batch, steps, hidden), np.float32)
        _forward(driven.detach().numpy(), w, rules, smooth, coded, c, tanh, h)
        ctx.kept = (w, rules, smooth, coded, c, tanh, h)
        stored = torch.from_numpy(c[:, -1, 0].copy())
        ctx.mark_non_differentiable(stored)
        return torch.from_numpy(h[:, steps - last :].transpose(1, 0, 2).copy()), stored

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        w, rules, smooth, coded, c, tanh, h = ctx.kept
        dz = np.empty_like(smooth)
        _backward(gradient.contiguous().numpy(), w, rules, smooth, coded, c, tanh, dz)
        rows = torch.from_numpy(dz[:, 1:]).flatten(0, 1)
        return torch.from_numpy(dz), rows.T @ torch.from_numpy(h[:, :-1]).flatten(0, 1), None, None
