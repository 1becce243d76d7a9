"""The LSTM of ``mappings.aware`` over a whole sequence, with its gradient written out.

The same numbers as the step-by-step form (a test holds both together), some ten times faster: one product and a few
in-place operations a step, derivatives of all steps formed at once, weight gradients in one product at the end.
"""

from __future__ import annotations

from typing import Any

import torch

from mappings.chip import CellState


class LSTMSequence(torch.autograd.Function):
    """The ``last`` hidden states ``(last, batch, hidden)`` of driven gates ``(steps, batch, 4 hidden)``: i, f, o, g."""

    @staticmethod
    def forward(
        ctx: Any, driven: torch.Tensor, w_hh: torch.Tensor, bits: int | None, state: CellState, last: int
    ) -> torch.Tensor:
        steps, batch, four = driven.shape
        hidden = four // 4
        smooth = torch.empty_like(driven)
        coded = torch.empty_like(driven) if bits else smooth
        h = driven.new_zeros(steps + 1, batch, hidden)
        c = driven.new_zeros(steps + 1, batch, hidden)
        tanh_smooth = driven.new_empty(steps, batch, hidden)
        tanh_coded = torch.empty_like(tanh_smooth) if bits else tanh_smooth
        unclipped = torch.empty(0)
        half = 0.0
        if bits:
            half = 2.0 ** (bits - 1)
            top = half - 1.0
            state_lsb = 2.0 * state.limit / 2**state.bits
            per_clock = top / state.drive_limit
            unclipped = driven.new_empty(steps, batch, hidden)
        w = w_hh.T.contiguous()
        for t in range(steps):
            z = torch.addmm(driven[t], h[t], w, out=smooth[t])
            torch.sigmoid(z[:, : 3 * hidden], out=z[:, : 3 * hidden])
            torch.tanh(z[:, 3 * hidden :], out=z[:, 3 * hidden :])
            if bits:
                y = coded[t]
                s = torch.mul(z[:, : 3 * hidden], 2.0 * half, out=y[:, : 3 * hidden])
                s.floor_().clamp_(max=2.0 * half - 1.0).add_(0.5).div_(2.0 * half)
                _code_tanh(z[:, 3 * hidden :], half, y[:, 3 * hidden :])
            i, f, o, g = coded[t].split(hidden, dim=1)
            new = torch.mul(f, c[t], out=c[t + 1]).addcmul_(i, g)
            if bits:
                unclipped[t] = new
                new.div_(state_lsb).round_().mul_(state_lsb).clamp_(-state.limit, state.limit - state_lsb)
                pulses = new.mul(per_clock).round_().clamp_(-top, top).div_(per_clock)
                torch.tanh(pulses, out=tanh_smooth[t])
                _code_tanh(tanh_smooth[t], half, tanh_coded[t])
                torch.mul(o, tanh_coded[t], out=h[t + 1]).mul_(top).round_().div_(top)
            else:
                torch.tanh(new, out=tanh_smooth[t])
                torch.mul(o, tanh_smooth[t], out=h[t + 1])
        ctx.save_for_backward(w_hh, smooth, coded, h, c, tanh_smooth, tanh_coded, unclipped)
        ctx.state, ctx.bits = state, bits
        return h[steps + 1 - last :]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:  # type: ignore[override]
        w_hh, smooth, coded, h, c, tanh_smooth, tanh_coded, unclipped = ctx.saved_tensors
        steps, batch, four = smooth.shape
        hidden = four // 4
        state: CellState = ctx.state
        i, f, o, g = coded.split(hidden, dim=2)
        slope = smooth * (1.0 - smooth)
        slope[..., 3 * hidden :] = 1.0 - smooth[..., 3 * hidden :].square()
        slope *= torch.cat([g, c[:-1], tanh_coded, i], dim=2)
        to_c = o * (1.0 - tanh_smooth.square())
        if ctx.bits:
            lsb = 2.0 * state.limit / 2**state.bits
            to_c *= c[1:].abs() <= state.drive_limit
            kept = (unclipped >= -state.limit) & (unclipped <= state.limit - lsb)
        dz = torch.empty_like(smooth)
        dh = torch.zeros_like(gradient[0])
        dc = torch.zeros_like(dh)
        for t in range(steps - 1, -1, -1):
            if steps - t <= len(gradient):
                dh = dh + gradient[t - steps]
            dc = torch.addcmul(dc, dh, to_c[t])
            if ctx.bits:
                dc *= kept[t]
            torch.mul(slope[t].view(batch, 4, hidden), dc[:, None], out=dz[t].view(batch, 4, hidden))
            torch.mul(slope[t, :, 2 * hidden : 3 * hidden], dh, out=dz[t, :, 2 * hidden : 3 * hidden])
            dh = dz[t] @ w_hh
            dc = dc * f[t]
        return dz, dz.flatten(0, 1).T @ h[:-1].flatten(0, 1), None, None, None


def _code_tanh(y: torch.Tensor, half: float, out: torch.Tensor) -> torch.Tensor:
    """Mid-tread codes of outputs in [-1, 1]."""
    return torch.mul(y, half, out=out).add_(half + 0.5).floor_().clamp_(max=2.0 * half - 1.0).sub_(half).div_(half)
