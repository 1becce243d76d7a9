"""A recurrent layer as an ideal chip of its formats computes it, differentiable: for training with its codes.

Every rounding is the one of the converters (``periphery.functions.function``) and of
``mappings.network.recurrent_run``; its gradient is that of the function itself (straight-through). In either precision
and on any device of torch; an LSTM in float32 on the CPU goes through one compiled loop
(``mappings.network.aware_lstm``). Errors of weights are the caller's: whoever calls passes weights that have them. With
``bits = None`` nothing is rounded: torch's own functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import linear

from devices.counters import has_triton
from mappings.chip import CellState, Chip
from mappings.network.actions import Cell
from mappings.network.aware_lstm import LSTMSequence, rules_of
from periphery import SIGMOID, TANH, Function, identity
from periphery.functions.library import named_function

Start = Sequence[torch.Tensor | None]


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


def digitised(z: torch.Tensor, low: float, high: float, bits: int) -> torch.Tensor:
    """Pre-activations as the words of an ideal linear converter over ``low`` to ``high``."""
    lsb = (high - low) / 2.0**bits
    first = math.floor(low / lsb)
    between = low / lsb - first  # of two multiples of a step: 0 where zero is a word
    kept = z.clamp(low, high - lsb)
    code = torch.floor(z.detach() / lsb + (0.5 - between)).clamp_(first, first + 2.0**bits - 1.0)
    return straight(kept, code.add_(between).mul_(lsb))


def pulsed(x: torch.Tensor, limit: float, bits: int) -> torch.Tensor:
    """``x`` as whole clock periods of a pulse-width driver give it, saturating at ``limit``."""
    per_clock = (2 ** (bits - 1) - 1) / limit
    kept = x.clamp(-limit, limit)
    return straight(kept, torch.round(kept.detach() * per_clock).div_(per_clock))


@dataclass(frozen=True, kw_only=True)
class AwareCell:
    """The rounding of one recurrent layer.

    Parameters
    ----------
    cell : as of ``mappings.network.recurrent``: ``gru`` has its reset gate before the product, ``gru_after`` behind it
    bits : resolution of inputs, gates and states, or None for none
    state : the digital cell state
    input_limit, state_limit : largest input, and largest state that is driven back
    limit : range of a relu, or of the two parts of a ``gru_after``'s candidate
    sum_bits : resolution of these two parts
    adc_bits, adc_range_z : of the linear converters in front of look-ups; None for ramps
    """

    cell: Cell
    bits: int | None = None
    state: CellState = CellState()
    input_limit: float = 1.0
    state_limit: float = 1.0
    limit: float = 1.0
    sum_bits: int = 8
    adc_bits: int | None = None
    adc_range_z: float = 4.0

    @classmethod
    def of(cls, cell: Cell, chip: Chip, *, inputs: float, states: float = 1.0, limit: float = 1.0) -> AwareCell:
        """The rounding on this chip; ``inputs``, ``states``: values at full scale of what comes in and of states."""
        return cls(
            cell=cell,
            bits=None if chip.rounding == "none" else chip.bits,
            state=chip.state,
            input_limit=inputs,
            state_limit=states,
            limit=limit,
            sum_bits=chip.output.bits,
            adc_bits=chip.adc_bits if chip.readout == "conventional" else None,
            adc_range_z=chip.adc.range_z,
        )

    def sequence(
        self,
        x: torch.Tensor,
        weights: Mapping[str, torch.Tensor],
        start: Start = (),
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """States of all steps ``(batch, steps, outputs)``, the last one and, of an LSTM, the last cell state.

        ``x (batch, steps, inputs)``; ``weights``: with torch's names, ``weight_ih``, ``weight_hh`` and, where there are
        any, ``bias_ih``, ``bias_hh``, ``weight_hr``; ``start``: first state and cell state, ``(batch, ...)``, None for
        zero; ``lengths (batch,)``: of sequences that end earlier, which keep their state and whose outputs are zero.
        """
        bias, other = weights.get("bias_ih"), weights.get("bias_hh")
        if self.cell != "gru_after" and other is not None:
            bias = other if bias is None else bias + other
        h0, c0 = (None if one is None else one.to(x.dtype) for one in (*start, None, None)[:2])
        x = self._driven(x, self.input_limit)
        if self._fuses(x, weights, lengths):
            return self._fused(x, weights, bias, h0, c0)
        driven = linear(x, weights["weight_ih"], bias).transpose(0, 1).contiguous()
        batch, hidden = x.shape[0], weights["weight_hh"].shape[0] // self._blocks
        h = x.new_zeros((batch, weights["weight_hh"].shape[1])) if h0 is None else h0
        c = x.new_zeros((batch, hidden)) if c0 is None else self._stored(c0)
        if self.cell in ("gru", "gru_after"):
            h = c = self._stored(h)
        h = self._driven(h)
        states = []
        for t, z_x in enumerate(driven):
            new, kept = self._step(z_x, h, c, weights)
            if lengths is None:
                h, c = new, kept
                states.append(h)
            else:
                runs = (t < lengths)[:, None]
                states.append(torch.where(runs, new, torch.zeros_like(new)))
                h, c = torch.where(runs, new, h), torch.where(runs, kept, c)
        whole = torch.stack(states, dim=1)
        return (whole, h, c) if self.cell == "lstm" else (whole, h)

    @property
    def _blocks(self) -> int:
        return {"lstm": 4, "gru": 3, "gru_after": 3}.get(self.cell, 1)

    def _step(
        self, z_x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, weights: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next state and what is stored of it."""
        w_hh, hidden = weights["weight_hh"], c.shape[1]
        gates = 2 * hidden
        if self.cell == "lstm":
            z_i, z_f, z_g, z_o = torch.addmm(z_x, h, w_hh.T).chunk(4, dim=1)
            i, f, o = (self._coded(z, SIGMOID) for z in (z_i, z_f, z_o))
            c = self._stored(f * c + i * self._coded(z_g, TANH))
            new = self._driven(o * self._tanh_of_state(c))
            if "weight_hr" in weights:
                new = self._driven(self._linear(linear(new, weights["weight_hr"]), self.state_limit, self.bits))
            return new, c
        if self.cell == "gru":
            r, u = self._coded(torch.addmm(z_x[:, :gates], h, w_hh[:gates].T), SIGMOID).chunk(2, dim=1)
            n = self._coded(torch.addmm(z_x[:, gates:], self._driven(r * c), w_hh[gates:].T), TANH)
        elif self.cell == "gru_after":
            z_h = linear(h, w_hh, weights.get("bias_hh"))
            r, u = self._coded(z_x[:, :gates] + z_h[:, :gates], SIGMOID).chunk(2, dim=1)
            of_x, of_h = (self._linear(z[:, gates:], self.limit, self.sum_bits) for z in (z_x, z_h))
            n = self._tanh_of_state(self._stored(of_x + r * of_h))
        else:
            function = TANH if self.cell == "rnn" else named_function("relu", 0.0, self.limit)
            return self._driven(self._coded(torch.addmm(z_x, h, w_hh.T), function)), c
        c = self._stored(torch.lerp(n, c, u))
        return self._driven(c), c

    def _coded(self, z: torch.Tensor, function: Function) -> torch.Tensor:
        if self.bits is None:
            return function.f(z)
        if self.adc_bits is not None:
            range_z = self.limit if self.cell == "rnn_relu" else self.adc_range_z
            z = digitised(z, -range_z, range_z, self.adc_bits)
        y = function.f(z)
        return coded(y.clamp(max=function.high) if self.cell == "rnn_relu" else y, function, self.bits)

    def _linear(self, z: torch.Tensor, limit: float, bits: int | None) -> torch.Tensor:
        """A plain sum at so many bits."""
        if self.bits is None or bits is None:
            return z
        if self.adc_bits is not None:
            z = digitised(z, -limit, limit, max(bits, self.adc_bits))
        return coded(z.clamp(-limit, limit), identity(limit), bits)

    def _driven(self, h: torch.Tensor, limit: float | None = None) -> torch.Tensor:
        return h if self.bits is None else pulsed(h, limit or self.state_limit, self.bits)

    def _stored(self, c: torch.Tensor) -> torch.Tensor:
        if self.bits is None:
            return c
        lsb = 2.0 * self.state.limit / 2**self.state.bits
        kept = c.clamp(-self.state.limit, self.state.limit - lsb)
        return straight(kept, torch.round(kept.detach() / lsb).mul_(lsb))

    def _tanh_of_state(self, c: torch.Tensor) -> torch.Tensor:
        """By a pulse and the second ramp, or by a look-up."""
        if self.bits is None:
            return torch.tanh(c)
        if self.adc_bits is None:
            c = pulsed(c, self.state.drive_limit, self.bits)
        return coded(torch.tanh(c), TANH, self.bits)

    # The compiled loop of an LSTM -----------------------------------------------------------------------------------

    def _fuses(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], lengths: torch.Tensor | None) -> bool:
        here = (x.device.type == "cpu" or (x.is_cuda and has_triton())) and x.dtype == torch.float32 and lengths is None
        return here and self.cell == "lstm" and "weight_hr" not in weights and self.adc_bits is None

    def _fused(
        self,
        x: torch.Tensor,
        weights: Mapping[str, torch.Tensor],
        bias: torch.Tensor | None,
        h0: torch.Tensor | None,
        c0: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """The same by the compiled loop, whose gates stand in the order i, f, o, g."""

        def ordered(rows: torch.Tensor) -> torch.Tensor:
            i, f, g, o = rows.chunk(4)
            return torch.cat([i, f, o, g])

        driven = linear(x, ordered(weights["weight_ih"]), None if bias is None else ordered(bias))
        h0, c0 = (None if h0 is None else self._driven(h0)), (None if c0 is None else self._stored(c0))
        rules = rules_of(self.bits, self.state, self.state_limit)
        states, c = LSTMSequence.apply(driven, ordered(weights["weight_hh"]), h0, c0, rules)  # type: ignore[no-untyped-call]
        return states, states[:, -1], c
