"""A recurrent layer on its chips at one time, run over whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch

from devices import BlockNoise, InputError
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import codes_of
from mappings.judged import judged
from mappings.matrix import PreActivation
from mappings.network.actions import RecurrentShape
from mappings.network.gpu.loop import DeviceLayer
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
    def fused(self) -> FusedLayer | DeviceLayer | None:
        """The same layer as the compiled loop runs it, or None where that does not know a part of it."""
        return self._prepared if self.projection is None else None

    @property
    def _prepared(self) -> FusedLayer | None:
        """The layer without its projection for the compiled loop, or None."""
        known = self.chip.rounding == "codes" and self.shape.cell in CELLS
        return FusedLayer.of(self.shape, self.chip, self.columns, self.state) if known else None

    def on(self, device: torch.device | str) -> RecurrentRead:
        """The same layer on another device, with the loop that runs there."""
        moved = super().on(device)
        projection = None if self.projection is None else self.projection.columns
        moved.__dict__["fused"] = DeviceLayer.of(self._prepared, projection, torch.device(device))
        return moved

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
        """States of all steps ``(chips, n, steps, outputs)`` and the last one, in clock periods, and what is stored.

        What is stored is a value ``(chips, n, hidden)``: the cell state of an LSTM, the state of a GRU. ``start``: the
        first state ``(chips | 1, n, outputs)`` and an LSTM's cell state ``(chips | 1, n, hidden)``, values, None for
        zero; ``lengths (n,)``: of sequences that end earlier: behind its end a sequence keeps its state, its outputs
        are zero, and ``activity`` counts nothing of it. One step of a sequence is a cell of torch. Raises InputError
        for other shapes, and values that are not finite.
        """
        shape = self.shape
        n, steps = inputs.shape[-3:-1]
        h0, c0 = self._checked(start, lengths, n, steps)
        fused = None if lengths is not None or (activity is not None and activity.recorded is not None) else self.fused
        if fused is not None and steps and h0 is None and c0 is None:
            states, c = fused.run(inputs, noise, activity)
            return states, states[:, :, -1], c
        device = inputs.device
        h = torch.zeros((self.chips, n, shape.fed_back), device=device)
        c = torch.zeros((self.chips, n, shape.hidden), device=device)
        if c0 is not None:
            c = self._stored(c0.float().expand(c.shape))
        if h0 is not None:
            h0 = h0.float()
            if shape.cell in ("gru", "gru_after"):
                h0 = c = self._stored(h0.expand(c.shape))
            h = self._pulses(h0).expand(h.shape)
        if fused is not None and steps:
            states, c = fused.run(inputs, noise, activity, h, c)
            return states, states[:, :, -1], c
        fed_back = slice(shape.inputs, shape.inputs + shape.fed_back)
        v = torch.zeros((self.chips, n, shape.rows), device=device)
        v[..., fed_back] = h
        v[..., fed_back.stop :] = float(2 ** (self.chip.bits - 1) - 1)
        states = torch.empty((self.chips, n, steps, shape.fed_back), device=device)
        for t in range(steps):
            v[..., : shape.inputs] = inputs[..., t, :]
            runs = None if lengths is None else (t < lengths).to(device)
            if activity is not None:
                activity.running = runs
                activity.samples += activity.counted(c[..., 0]).numel()
            counts, new = self._step(v, c, fed_back, noise, activity)
            if runs is None:
                states[:, :, t] = v[..., fed_back] = counts
                c = new
            else:
                states[:, :, t] = torch.where(runs[:, None], counts, 0.0)
                v[..., fed_back] = torch.where(runs[:, None], counts, v[..., fed_back])
                c = torch.where(runs[:, None], new, c)
        if activity is not None:
            activity.running = None
        return states, v[..., fed_back].clone(), c

    def _checked(
        self, start: Sequence[torch.Tensor | None], lengths: torch.Tensor | None, n: int, steps: int
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The first state and cell state; InputError for what does not fit the layer."""
        widths, states = {"h0": self.shape.fed_back, "c0": self.shape.hidden}, list[torch.Tensor | None]()
        if len(start) > (most := 2 if self.shape.cell == "lstm" else 1):
            raise InputError(f"start: a layer of {self.shape.cell} takes {most} (got {len(start)})")
        for (name, width), one in zip(widths.items(), start, strict=False):
            states.append(one)
            if one is None:
                continue
            if one.dim() != 3 or one.shape[0] not in (1, self.chips) or one.shape[1:] != (n, width):
                raise InputError(f"{name}: shape must be ({self.chips} or 1, {n}, {width}) (got {tuple(one.shape)})")

            def judge(finite: list[float], name: str = name) -> None:
                if not all(finite):
                    raise InputError(f"{name}: values must be finite")

            states[-1] = judged(one, lambda x: x.isfinite().all()[None], judge)
        if lengths is not None:
            if lengths.shape != (n,) or lengths.is_floating_point():
                raise InputError(
                    f"lengths: whole numbers of shape ({n},) (got {lengths.dtype}, {tuple(lengths.shape)})"
                )
            if n and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
                raise InputError(f"lengths: from 0 to {steps} steps (got {int(lengths.min())} to {int(lengths.max())})")
        h0, c0 = (*states, None, None)[:2]
        return h0, c0

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
            if self.shape.cell == "gru_after":
                table = replace(table, function=TANH, output_bits=self.chip.bits, range_z=self.chip.adc.range_z)
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
            driven_clocks = activity.counted(pulses)
            activity.add("state_pulses", driven_clocks != 0)
            activity.add("state_clocks", driven_clocks.abs())
            if self.columns.rounds:
                activity.add("state_compare_steps", activity.counted(group.scatter(codes)) + 1)
        return group.scatter(conversion.values(codes))
