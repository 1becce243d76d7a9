"""A recurrent layer on its chips at one time, run over whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch

from devices import BlockNoise
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import codes_of
from mappings.matrix import PreActivation
from mappings.network.actions import RecurrentShape
from mappings.network.layer import MatrixLayerRead, StateRead
from mappings.network.recurrent_fused import CELLS, FusedLayer
from periphery import TANH, LookUpConverter


@dataclass(frozen=True)
class RecurrentRead(MatrixLayerRead):
    """A recurrent layer at one time, ready to run; ``state``: of an LSTM with a ramp; ``projection``: of its output."""

    in_steps: ClassVar[bool] = True

    shape: RecurrentShape
    chip: Chip
    state: StateRead | None
    projection: MatrixLayerRead | None = None

    @cached_property
    def fused(self) -> FusedLayer | None:
        """The same layer as the compiled loop runs it, or None where that does not know a part of it."""
        known = self.projection is None and self.chip.rounding == "codes" and self.shape.cell in CELLS
        return FusedLayer.of(self.shape, self.chip, self.columns, self.state) if known else None

    def answers(self, inputs: torch.Tensor, noise: BlockNoise, activity: Activity | None) -> torch.Tensor:
        """Run whole sequences from states of zero: the states of all steps, ``(chips, n, steps, outputs)`` clock
        periods.

        ``inputs``: pulse widths ``([chips | 1,] n, steps, inputs)`` in clock periods, ``n`` a multiple of the block.
        ``activity`` counts what the first ``activity.valid`` samples did (all of them by default), since the last block
        may be filled up.
        """
        return self.sequence(inputs, noise, activity)[0]

    def sequence(
        self,
        inputs: torch.Tensor,
        noise: BlockNoise,
        activity: Activity | None,
        *,
        start: Sequence[torch.Tensor | None] = (),
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States of all steps ``(chips, n, steps, outputs)`` in clock periods, the last one, and the last cell state.

        ``start``: the first state and cell state, values ``(chips | 1, n, ...)``, None for zero; ``lengths (n,)``: of
        sequences that end earlier: behind its end a sequence keeps its state, and its outputs are zero. The circuits
        work on until the longest one has ended, and ``activity`` counts that.
        """
        shape, hidden = self.shape, self.shape.hidden
        n, steps = inputs.shape[-3:-1]
        h0, c0 = (*start, None, None)[:2]
        h = torch.zeros((self.chips, n, shape.fed_back))
        c = torch.zeros((self.chips, n, hidden))
        if h0 is not None:
            h = self._pulses(h0.float()).expand(h.shape)
            if shape.cell in ("gru", "gru_after"):
                c = self._stored(h0.float().expand(c.shape))
        if c0 is not None:
            c = self._stored(c0.float().expand(c.shape))
        if lengths is None and self.fused is not None and (activity is None or activity.recorded is None):
            states, c = self.fused.run(inputs, noise, activity, h, c)
            return states, states[:, :, -1], c
        fed_back = slice(shape.inputs, shape.inputs + shape.fed_back)
        v = torch.zeros((self.chips, n, shape.rows))
        v[..., fed_back] = h
        v[..., fed_back.stop :] = float(2 ** (self.chip.bits - 1) - 1)
        states = torch.empty((self.chips, n, steps, shape.fed_back))
        for t in range(steps):
            v[..., : shape.inputs] = inputs[..., t, :]
            if activity is not None:
                activity.samples += c[:, : activity.valid, 0].numel()
            counts, new = self._step(v, c, fed_back, noise, activity)
            if lengths is None:
                states[:, :, t] = v[..., fed_back] = counts
                c = new
            else:
                runs = (t < lengths)[:, None]
                states[:, :, t] = torch.where(runs, counts, 0.0)
                v[..., fed_back] = torch.where(runs, counts, v[..., fed_back])
                c = torch.where(runs, new, c)
        return states, v[..., fed_back].clone(), c

    def _step(
        self, v: torch.Tensor, c: torch.Tensor, fed_back: slice, noise: BlockNoise, activity: Activity | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step: the next state in clock periods, and what is stored of it."""
        cell, hidden = self.shape.cell, self.shape.hidden
        first_pass = (0,) if cell == "gru" else None
        gates = self.columns.values(self.columns.codes(v, noise, activity, used=first_pass))
        if cell == "lstm":
            i, f, o = gates[0].split(hidden, dim=-1)
            c = self._stored((f * c).addcmul_(i, gates[1]))
            h = o * self._tanh_of_state(c, noise, activity)
        elif cell == "gru":
            r, u = gates[0].split(hidden, dim=-1)
            second = v.clone()
            second[..., fed_back] = self._pulses(r * c)
            (code,) = self.columns.codes(second, noise, activity, converted=(1,))
            candidate = self.columns.groups[1].scatter(self.columns.conversions[1].values(code))
            h = c = self._stored((1.0 - u) * candidate + u * c)
        elif cell == "gru_after":
            r, u = gates[0].split(hidden, dim=-1)
            of_x, of_h = gates[1].split(hidden, dim=-1)
            candidate = self._tanh_of_state(self._stored(of_x + r * of_h), noise, activity)
            h = c = self._stored((1.0 - u) * candidate + u * c)
        else:
            h = gates[0]
        counts = self._pulses(h)
        if self.projection is not None:
            did = None if activity is None else activity.of_projection()
            counts = self._pulses(self.projection.answers(counts, noise, did))
        return counts, c

    def _pulses(self, h: torch.Tensor) -> torch.Tensor:
        """Pulse widths that feed ``h`` back to the word lines; the driver's range limits them."""
        return self.chip.counts(h)

    def _stored(self, c: torch.Tensor) -> torch.Tensor:
        """A cell state as its register keeps it: whole steps, saturating."""
        if self.chip.rounding == "none":
            return c
        state = self.chip.state
        lsb = 2.0 * state.limit / 2**state.bits
        return torch.round(c / lsb).mul_(lsb).clamp_(-state.limit, state.limit - lsb)

    def _tanh_of_state(self, c: torch.Tensor, noise: BlockNoise, activity: Activity | None) -> torch.Tensor:
        """tanh of the cell state: a pulse into one cell pair per unit and the second ramp, or a look-up."""
        if self.state is None:
            table = self.columns.conversions[-1]
            if not isinstance(table, LookUpConverter):
                return torch.tanh(c)
            table = replace(table, function=TANH, output_bits=self.chip.bits)
            return table.values(table.look_up(c))
        group, conversion, top = self.state.group, self.state.conversion, 2 ** (self.chip.bits - 1) - 1
        per_clock = top / self.chip.state.drive_limit
        pulses = c * per_clock
        if self.chip.rounding == "codes":
            pulses = pulses.round_().clamp_(-top, top)
        variance = (pulses.square() * (self.state.variance / per_clock**2)).add_(self.state.white)
        z = (pulses * (self.state.gain / per_clock)).add_(self.state.offset)
        if (moved := self.chip.read_supply_noise) > 0.0:
            z = z * (1.0 + moved * noise.normal((1,)))
        driven = PreActivation(z, variance if bool((variance > 0.0).any()) else None)
        codes = codes_of(conversion, group, [driven], noise)
        if activity is not None:
            real = slice(activity.valid)
            activity.add("state_pulses", pulses[:, real] != 0)
            activity.add("state_clocks", pulses[:, real].abs())
            if self.columns.rounds:
                activity.add("state_compare_steps", group.scatter(codes)[:, real] + 1)
        return group.scatter(conversion.values(codes))
