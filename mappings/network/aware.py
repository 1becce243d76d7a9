"""A recurrent layer as the chip computes it, differentiable: for training with its codes and its noise.

Every rounding is the one of the converters (``periphery.functions.function``), and its gradient is that of the function
itself (straight-through). Weights get fresh Gaussian noise for every batch, in units of the largest weight, so one
trained model suits any device of as much spread. With ``bits = None`` nothing is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt

from mappings.chip import CellState
from mappings.network.actions import Cell
from mappings.network.aware_lstm import LSTMSequence, rules_of
from periphery import SIGMOID, TANH, Function


class _Straight(torch.autograd.Function):
    """The value of one tensor with the gradient of another."""

    @staticmethod
    def forward(ctx: object, smooth: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        return rounded

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def straight(smooth: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """``rounded`` going forward, the gradient of ``smooth`` going back."""
    return _Straight.apply(smooth, rounded)  # type: ignore[no-any-return, no-untyped-call]


def coded(y: torch.Tensor, function: Function, bits: int) -> torch.Tensor:
    """Outputs ``y = g(z)`` as the codes of an ideal ramp give them; a tie goes up."""
    lsb = (function.high - function.low) / 2**bits
    shift = 0.5 if function.midtread else 0.0
    code = torch.floor((y.detach() - function.low) / lsb + shift).clamp_(0, 2**bits - 1)
    return straight(y, code.mul_(lsb).add_(function.low + (0.5 - shift) * lsb))


def digitised(z: torch.Tensor, range_z: float, bits: int) -> torch.Tensor:
    """Pre-activations as the words of an ideal linear converter over ``-range_z`` to ``range_z``."""
    half = 2.0 ** (bits - 1)
    lsb = range_z / half
    kept = z.clamp(-range_z, range_z - lsb)
    return straight(kept, torch.floor(z.detach() / lsb + 0.5).clamp_(-half, half - 1.0).mul_(lsb))


def pulsed(x: torch.Tensor, limit: float, bits: int) -> torch.Tensor:
    """``x`` as whole clock periods of a pulse-width driver give it, saturating at ``limit``."""
    per_clock = (2 ** (bits - 1) - 1) / limit
    kept = x.clamp(-limit, limit)
    return straight(kept, torch.round(kept.detach() * per_clock).div_(per_clock))


@dataclass(frozen=True)
class Aware:
    """What training takes from the hardware.

    Parameters
    ----------
    bits : resolution of inputs and outputs of the layer, or None for none
    weight_noise : standard deviation of the weights' error, drawn per batch, over the largest weight [1]
    state : the digital cell state
    x_max : input of the layer that takes the longest pulse
    """

    bits: int | None = None
    weight_noise: Annotated[float, Ge(0.0)] = 0.0
    state: CellState = CellState()
    x_max: Annotated[float, Gt(0.0)] = 1.0

    def noisy(self, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A weight with the error of one programming."""
        if self.weight_noise == 0.0:
            return weight
        xi = torch.empty_like(weight).normal_(generator=generator)
        return weight + xi * (self.weight_noise * float(weight.detach().abs().max()))

    def _act(self, z: torch.Tensor, function: Function) -> torch.Tensor:
        y = function.f(z)
        return y if self.bits is None else coded(y, function, self.bits)

    def _drive(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.bits is None else pulsed(x, self.x_max, self.bits)

    def _stored(self, c: torch.Tensor) -> torch.Tensor:
        if self.bits is None:
            return c
        lsb = 2.0 * self.state.limit / 2**self.state.bits
        kept = c.clamp(-self.state.limit, self.state.limit - lsb)
        return straight(kept, torch.round(kept.detach() / lsb).mul_(lsb))

    def hidden(
        self,
        cell: Cell,
        x: torch.Tensor,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias: torch.Tensor,
        *,
        generator: torch.Generator,
        readout_steps: int = 1,
    ) -> torch.Tensor:
        """Mean hidden state of the last ``readout_steps`` steps, ``(batch, hidden)``, of ``x (batch, steps, inputs)``.

        Weights are named and ordered as torch does. The GRU is the one of ``mappings.network.recurrent``.
        """
        hidden = weight_hh.shape[1]
        w_ih, w_hh = self.noisy(torch.cat([weight_ih, weight_hh], dim=1), generator).split([x.shape[2], hidden], dim=1)
        drive = self._drive(x)
        if cell == "lstm":
            order = torch.arange(4 * hidden).view(4, hidden)[[0, 1, 3, 2]].flatten()
            driven = torch.nn.functional.linear(drive, w_ih[order], bias[order])
            last, _ = LSTMSequence.apply(
                driven, w_hh[order], rules_of(self.bits, self.state, self.x_max), readout_steps
            )  # type: ignore[no-untyped-call]
            return self._drive(last.mean(dim=0)) if readout_steps > 1 else last[0]
        driven = torch.nn.functional.linear(drive, w_ih, bias).transpose(0, 1).contiguous()
        c = h = driven.new_zeros(driven.shape[1], hidden)
        states = []
        for z_in in driven:
            if cell == "rnn":
                h = self._drive(self._act(torch.addmm(z_in, h, w_hh.T), TANH))
                states.append(h)
                continue
            z = torch.addmm(z_in[:, : 2 * hidden], h, w_hh[: 2 * hidden].T)
            r, u = self._act(z, SIGMOID).chunk(2, dim=1)
            n = self._act(torch.addmm(z_in[:, 2 * hidden :], self._drive(r * c), w_hh[2 * hidden :].T), TANH)
            c = self._stored(torch.lerp(n, c, u))
            h = self._drive(c)
            states.append(h)
        return self._drive(torch.stack(states[-readout_steps:]).mean(dim=0)) if readout_steps > 1 else h
