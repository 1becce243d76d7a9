"""A recurrent layer as an ideal chip of its formats computes it, differentiable, step by step or fused.

The rounding is that of ``mappings.network.recurrent_run``; every gradient is that of the function without it
(straight-through). In float64 too, and on any device of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import linear

from mappings.chip import Chip
from mappings.network.aware import coded, digitised, pulsed, straight
from mappings.network.aware_lstm import LSTMSequence, rules_of
from periphery import SIGMOID, TANH, Function, identity
from periphery.functions.library import named_function

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class AwareCell:
    """The rounding of one recurrent layer.

    ``cell``: as torch's module (``lstm``, ``gru``, ``rnn``, ``rnn_relu``); ``state_limit``: largest state that is
    driven back; ``limit``: range of a relu, or of the parts of a GRU's candidate.
    """

    cell: str
    chip: Chip
    state_limit: float
    limit: float

    def sequence(
        self,
        x: torch.Tensor,
        weights: Tensors,
        start: Sequence[torch.Tensor | None] = (),
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """States of all steps ``(batch, steps, outputs)``, the last one and, of an LSTM, the last cell state.

        ``x (batch, steps, inputs)``: as driven; ``weights``: with torch's names, ``weight_ih`` ...; ``start``: first
        state and cell state, ``(batch, ...)``, None for zero; ``lengths (batch,)``: of sequences that end earlier.
        """
        bias_ih, bias_hh = weights.get("bias_ih"), weights.get("bias_hh")
        if self._fuses(x, weights, start, lengths):
            return self._fused(x, weights)
        apart = self.cell == "gru"
        bias = bias_ih if apart or bias_ih is None or bias_hh is None else bias_ih + bias_hh
        driven = linear(x, weights["weight_ih"], bias)
        batch, hidden = x.shape[0], driven.shape[-1] // {"lstm": 4, "gru": 3}.get(self.cell, 1)
        outputs = weights["weight_hh"].shape[1]
        h0, c0 = (*start, None, None)[:2]
        h = x.new_zeros((batch, outputs)) if h0 is None else h0.to(x.dtype)
        c = x.new_zeros((batch, hidden)) if c0 is None else self._stored(c0.to(x.dtype))
        if self.cell == "gru":
            c = self._stored(h)
        h = self._driven(h)
        states = []
        for t in range(x.shape[1]):
            new, kept = self._step(driven[:, t], h, c, weights)
            if lengths is None:
                h, c = new, kept
                states.append(h)
            else:
                runs = (t < lengths)[:, None]
                states.append(torch.where(runs, new, torch.zeros_like(new)))
                h, c = torch.where(runs, new, h), torch.where(runs, kept, c)
        whole = torch.stack(states, dim=1)
        return (whole, h, c) if self.cell == "lstm" else (whole, h)

    def _step(
        self, z_x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, weights: Tensors
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next state and what is stored of it."""
        w_hh = weights["weight_hh"]
        if self.cell == "lstm":
            z_i, z_f, z_g, z_o = (z_x + linear(h, w_hh)).chunk(4, dim=1)
            i, f, o = (self._coded(z, SIGMOID) for z in (z_i, z_f, z_o))
            c = self._stored(f * c + i * self._coded(z_g, TANH))
            new = self._driven(o * self._tanh_of_state(c))
            if "weight_hr" in weights:
                z = linear(new, weights["weight_hr"])
                new = self._driven(self._linear(z, self.state_limit, self.chip.bits))
            return new, c
        if self.cell == "gru":
            z_r, z_u, of_x = z_x.chunk(3, dim=1)
            h_r, h_u, of_h = linear(h, w_hh, weights.get("bias_hh")).chunk(3, dim=1)
            r, u = self._coded(z_r + h_r, SIGMOID), self._coded(z_u + h_u, SIGMOID)
            total = self._linear(of_x, self.limit) + r * self._linear(of_h, self.limit)
            c = self._stored((1.0 - u) * self._tanh_of_state(self._stored(total)) + u * c)
            return self._driven(c), c
        z = z_x + linear(h, w_hh)
        function = TANH if self.cell == "rnn" else named_function("relu", 0.0, self.limit)
        return self._driven(self._coded(z, function)), c

    @property
    def _rounds(self) -> bool:
        return self.chip.rounding == "codes"

    def _coded(self, z: torch.Tensor, function: Function) -> torch.Tensor:
        if not self._rounds:
            return function.f(z)
        if self.chip.readout == "conventional":
            z = digitised(z, self.chip.adc.range_z, self.chip.adc_bits)
        return coded(function.f(z), function, self.chip.bits)

    def _linear(self, z: torch.Tensor, limit: float, bits: int | None = None) -> torch.Tensor:
        """A plain sum at so many bits, those of the chip's output converter by default."""
        bits = bits or self.chip.output.bits
        if not self._rounds:
            return z
        if self.chip.readout == "conventional":
            z = digitised(z, limit, max(bits, self.chip.adc_bits))
        return coded(z, identity(limit), bits)

    def _driven(self, h: torch.Tensor) -> torch.Tensor:
        return pulsed(h, self.state_limit, self.chip.bits) if self._rounds else h

    def _stored(self, c: torch.Tensor) -> torch.Tensor:
        state = self.chip.state
        if not self._rounds:
            return c
        lsb = 2.0 * state.limit / 2**state.bits
        kept = c.clamp(-state.limit, state.limit - lsb)
        return straight(kept, torch.round(kept.detach() / lsb).mul_(lsb))

    def _tanh_of_state(self, c: torch.Tensor) -> torch.Tensor:
        """By a pulse and the second ramp, or by the look-up of the conventional chain."""
        if not self._rounds:
            return torch.tanh(c)
        if self.chip.readout == "ramp":
            c = pulsed(c, self.chip.state.drive_limit, self.chip.bits)
        return coded(torch.tanh(c), TANH, self.chip.bits)

    # The fused loop of an LSTM ------------------------------------------------------------------------------------

    def _fuses(self, x: torch.Tensor, weights: Tensors, start: Sequence[Any], lengths: torch.Tensor | None) -> bool:
        plain = all(one is None for one in (*start, lengths)) and "weight_hr" not in weights
        here = x.device.type == "cpu" and x.dtype == torch.float32 and self.chip.readout == "ramp" and self._rounds
        return self.cell == "lstm" and plain and here

    def _fused(self, x: torch.Tensor, weights: Tensors) -> tuple[torch.Tensor, ...]:
        """All states by the compiled loop; the last cell state carries no gradient, so it is computed where asked for
        in no training."""
        hidden = weights["weight_hh"].shape[1]
        order = torch.arange(4 * hidden).view(4, hidden)[[0, 1, 3, 2]].flatten()
        bias = weights.get("bias_ih")
        bias = None if bias is None else (bias + weights["bias_hh"])[order]
        driven = linear(x, weights["weight_ih"][order], bias)
        rules = rules_of(self.chip.bits, self.chip.state, self.state_limit)
        states, c = LSTMSequence.apply(driven, weights["weight_hh"][order], rules, x.shape[1])  # type: ignore[no-untyped-call]
        states = states.transpose(0, 1)
        return states, states[:, -1], c
