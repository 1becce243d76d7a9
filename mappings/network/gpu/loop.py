"""A recurrent layer on a GPU: the compiled loop of the CPU in torch and Triton, with the same noise.

The layer is the one that ``mappings.network.recurrent_fused`` prepares. What does not depend on the state is computed
for many steps at once: products of the inputs, noise (of the same counters, ``devices.counters``), and the tables of
ramps that err. The steps are one kernel for a small layer (``at_once``), else a product of the fed-back pulses and one
kernel for everything behind it (``step_by_step``). All of it is one CUDA graph, kept for the shape it was made for.
Sums round in another order than on the CPU: codes are the same but for ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from devices import BlockNoise
from devices.counters import has_triton, normals
from mappings.activity import Activity
from mappings.columns import ColumnsRead
from mappings.network.gpu.halves import HalfProduct
from mappings.network.gpu.records import Converters, Product, StateWay, Steps, Tensors
from mappings.network.recurrent_fused import FusedLayer, Matrix
from mappings.network.recurrent_kernel import DRAWN, LSTM, ORIGINS_BITS, STATE_SUPPLY, STEP, SUPPLY

AT_ONCE = 1 << 27
"""Numbers of single precision that one piece of a sequence may take on the device."""
UNITS = 128
"""Of the largest layer whose steps are one kernel."""
TENSOR_CORES = 8
"""Rows of a product of half precision come in multiples of this, else it is slow."""


@dataclass(frozen=True)
class DeviceLayer:
    """What the loop on a GPU needs of an LSTM on its chips at one time."""

    fused: FusedLayer
    main: Product
    state: StateWay
    projection: Product | None
    device: torch.device
    plans: dict[tuple[int, ...], Plan]

    @classmethod
    def of(cls, fused: FusedLayer | None, projection: ColumnsRead | None, device: torch.device) -> DeviceLayer | None:
        """The layer on the device, or None where the loop there does not know a part of it; ``projection``: of its
        output, without a bias."""
        if fused is None or fused.layer.cell != LSTM:
            return None
        layer, back, chips = fused.layer, fused.layer.back, fused.chips
        matrix = Matrix.of(fused.columns, chips)
        projected = None if projection is None else Matrix.of(projection, chips)
        if matrix is None or (projection is not None and projected is None):
            return None
        gain, offset, variance, floor, shift = (
            torch.from_numpy(one).to(device) for one in (back.gain, back.offset, back.variance, back.floor, back.shift)
        )
        table = torch.from_numpy(back.table).to(device)
        converters = Converters.of(back.bank, layer.hidden, device)
        state = StateWay(converters, gain, offset, variance, floor, shift, table, float(back.per_clock))
        main = Product.of(matrix, layer.draws, device)
        behind = None
        if projected is not None:
            behind = Product.of(projected, -(-projected.draws // DRAWN) * DRAWN, device)
        return cls(fused, main, state, behind, device, {})

    @property
    def fed_back(self) -> int:
        """Values of a state that is fed back."""
        return self.fused.layer.hidden if self.projection is None else self.projection.columns

    @cached_property
    def of_inputs(self) -> Product:
        """The rows that do not come from a step before: of the inputs and, behind them, of the bias."""
        main, layer = self.main, self.fused.layer
        fed = slice(layer.inputs, layer.inputs + self.fed_back)

        def rest(values: torch.Tensor) -> torch.Tensor:
            return torch.cat([values[:, : fed.start], values[:, fed.stop :]], dim=1) if values.numel() else values

        return replace(main, weights=rest(main.weights), variances=rest(main.variances), by_row=rest(main.by_row))

    @property
    def kernels(self) -> bool:
        """Whether kernels take the steps, and not torch."""
        return self.device.type == "cuda" and has_triton()

    @property
    def small(self) -> bool:
        """Whether one kernel takes all steps."""
        return self.projection is None and self.fused.layer.hidden <= UNITS

    @cached_property
    def at_once(self) -> tuple[torch.Tensor, ...]:
        """Fed-back weights as the kernel of all steps takes them."""
        from mappings.network.gpu.at_once import halves

        layer = self.fused.layer
        return halves(self.main, slice(layer.inputs, layer.inputs + layer.hidden), int(layer.first[-1, 0]))

    @cached_property
    def halves(self) -> tuple[HalfProduct, ...]:
        """Rows of the inputs, those that are fed back, and the projection's, in half precision."""
        layer, top = self.fused.layer, float(self.fused.layer.top)
        fed = slice(layer.inputs, layer.inputs + self.fed_back)
        inputs = HalfProduct.of(self.main, [slice(fed.start), slice(fed.stop, None)], top, multiple=TENSOR_CORES)
        found = [inputs, HalfProduct.of(self.main, [fed], top)]
        if self.projection is not None:
            found.append(HalfProduct.of(self.projection, [slice(None)], top))
        return tuple(found)

    def run(
        self,
        inputs: torch.Tensor,
        noise: BlockNoise,
        activity: Activity | None,
        h: torch.Tensor | None = None,
        c: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States ``(chips, n, steps, outputs)`` in clock periods, and the last stored one ``(chips, n, hidden)``; as
        ``FusedLayer.run``."""
        x = inputs if inputs.dim() == 4 else inputs[None]
        chips, (_, n, steps, _) = self.fused.chips, x.shape
        states = torch.empty((chips, n, steps, self.fed_back), device=self.device)
        state = None if c is None else c.float()
        start = None if h is None else h.float()
        kinds = [noise.next_run() << ORIGINS_BITS for _ in range(1 if self.projection is None else 2)]
        each = chips * n * (3 * self.main.weights.shape[-1] + self.main.draws)
        at_once = max(1, min(steps, AT_ONCE // each))
        at_once = at_once if at_once == steps else max(DRAWN, at_once // DRAWN * DRAWN)
        for first in range(0, steps, at_once):
            some = x[:, :, first : first + at_once]
            shape = (len(some), n, some.shape[2], int(activity is not None))
            if shape not in self.plans:
                self.plans[shape] = Plan(self, shape)
            plan = self.plans[shape]
            plan.fill(some, start, state, noise, first, kinds)
            plan()
            states[:, :, first : first + at_once] = plan.out
            start, state = plan.out[:, :, -1], plan.c
            if activity is not None:
                self._count(activity, plan, some)
        assert state is not None
        return states, state.clone()

    def _count(self, activity: Activity, plan: Plan, x: torch.Tensor) -> None:
        """Add what was done for the samples that count."""
        layer, matrix = self.fused.layer, self.fused.columns.matrix
        valid = x.shape[1] if activity.valid is None else activity.valid
        chips, steps = self.fused.chips, x.shape[2]
        before = torch.cat([plan.inputs["h"][:, :, None], plan.out[:, :, :-1]], dim=2)[:, :valid]
        bias = layer.rows - layer.inputs - self.fed_back
        top = before.new_full((chips, valid, steps, bias), float(layer.top))
        driven = torch.cat([x[:, :valid].expand(chips, -1, -1, -1), before, top], dim=-1)
        activity.drive(driven.flatten(1, 2), matrix.driver, matrix.bits)
        activity.samples += chips * valid * steps
        did = {name: one[:, :valid] for name, one in plan.did.items()}
        activity.add("gate_compare_steps", did["gates"])
        if not self.main.converters.log:
            activity.add("adc_steps", did["words"])
        if self.state.gain.numel():
            activity.add("state_pulses", did["pulses"])
            activity.add("state_clocks", did["clocks"])
            activity.add("state_compare_steps", did["state"])
        if self.projection is not None:
            of = activity.of_projection()
            of.drive(plan.units[:, :valid].flatten(1, 2), matrix.driver, matrix.bits)
            of.samples += chips * valid * steps
            of.add("gate_compare_steps", did["projected"])


def _captured(device: torch.device) -> bool:
    """Whether work is only noted for a graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


class Plan:
    """The run of a layer for one shape: buffers, and on a GPU the graph of everything between them.

    ``shape``: chips of the inputs, samples, steps, and whether what is done is counted. ``out``: pulses of all states;
    ``units``: of what is projected, where it is counted; ``c``: stored states.
    """

    def __init__(self, layer: DeviceLayer, shape: tuple[int, ...]) -> None:
        self.layer, fused, device = layer, layer.fused.layer, layer.device
        inputs, self.n, self.steps, self.counts = shape
        self.chips = layer.fused.chips

        def zeros(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(size, dtype=dtype, device=device)

        chips, n, steps = self.chips, self.n, self.steps
        self.inputs: Tensors = {
            "x": torch.full((inputs, n, steps, fused.rows - layer.fed_back), float(fused.top), device=device),
            "h": zeros(chips, n, layer.fed_back),
            "c": zeros(chips, n, fused.hidden),
        }
        sizes = {
            "keys": (chips, 2),
            "samples": (n,),
            "where": (steps,),
            "where supply": (-(-steps // DRAWN),),
            "kinds": (2,),
        }
        self.inputs |= {name: zeros(*size, dtype=torch.long) for name, size in sizes.items()}
        self.placed: tuple[int, list[int]] | None = None
        self.out = zeros(chips, n, steps, layer.fed_back)
        kept = layer.projection is not None and self.counts
        self.units = zeros(chips, n, steps if kept else 0, fused.hidden)
        self.c = zeros(chips, n, fused.hidden)
        self.did = {
            name: zeros(chips, n, dtype=torch.long)
            for name in ("gates", "words", "pulses", "clocks", "state", "projected")
        }
        self.graph: Any = None

    def fill(
        self,
        x: torch.Tensor,
        h: torch.Tensor | None,
        c: torch.Tensor | None,
        noise: BlockNoise,
        first: int,
        kinds: list[int],
    ) -> None:
        """Take inputs, states (None for zero) and the places of the noise: keys, samples, steps, and the numbers of the
        runs."""
        self.inputs["x"][..., : x.shape[-1]] = x
        for name, state in (("h", h), ("c", c)):
            if state is None:
                self.inputs[name].zero_()
            else:
                self.inputs[name].copy_(state)
        keys, numbers = noise.counters
        self.inputs["keys"].copy_(keys)
        self.inputs["samples"].copy_(numbers)
        if self.placed == (first, kinds) and not _captured(self.layer.device):
            return
        self.placed = first, kinds
        for name, start in (("where", first), ("where supply", first // DRAWN)):
            torch.arange(start, start + len(self.inputs[name]), out=self.inputs[name])
        for number, kind in enumerate(kinds):
            self.inputs["kinds"][number].fill_(kind)

    def __call__(self) -> None:
        """Run: on a GPU from the second time on as a graph, or as a part of one that is being made."""
        if self.layer.device.type != "cuda" or _captured(self.layer.device):
            self.run()
            return
        if self.graph is None:
            side = torch.cuda.Stream(self.layer.device)
            side.wait_stream(torch.cuda.current_stream(self.layer.device))
            with torch.cuda.stream(side):
                self.run()
            torch.cuda.current_stream(self.layer.device).wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.run()
        self.graph.replay()

    def run(self) -> None:
        """Everything from the inputs to ``out`` and ``c``."""
        layer, given = self.layer, self.inputs
        fused, main, chips = layer.fused.layer, layer.main, self.chips
        x = main.arrived(given["x"], float(fused.top)).flatten(1, 2).expand(chips, -1, -1)
        before = self._of_inputs(x)
        before = {name: one.unflatten(1, (self.n, self.steps)) if one.numel() else one for name, one in before.items()}
        before["drawn"] = self._drawn(main.draws, 0)
        before["table"] = main.converters.tables(before["drawn"])
        before["state table"] = layer.state.converters.tables(before["drawn"])
        if fused.supply_noise > 0.0:
            before["gain"], before["state gain"] = self._supply(SUPPLY), self._supply(STATE_SUPPLY)
        if layer.projection is not None:
            before["projected"] = self._drawn(layer.projection.draws, 1)
            before["projected table"] = layer.projection.converters.tables(before["projected"])
            if fused.supply_noise > 0.0:
                before["projected gain"] = self._supply(SUPPLY, 1)
        self.c.copy_(given["c"])
        if layer.kernels:
            from mappings.network.gpu import at_once, step_by_step

            parts = (layer.main, layer.state, layer.projection, given["h"], self.c, self.out, self.units)
            steps = Steps(fused, *parts, bool(self.counts), self.did)
            if layer.small:
                at_once.run(steps, before, layer.at_once)
            else:
                step_by_step.run(steps, before, layer.halves[1:])
        else:
            for one in self.did.values():
                one.zero_()
            self._steps(before)

    def _of_inputs(self, x: torch.Tensor) -> Tensors:
        """The inputs' products and their variances; for a larger layer times its factors."""
        layer = self.layer
        if not layer.kernels or layer.small:
            return {"z": torch.bmm(x, layer.of_inputs.weights), "spread": layer.of_inputs.spread(x, slice(None))}
        half, by_row = layer.halves[0], layer.of_inputs.by_row.numel() > 0
        return {"z": half.z(x), "spread": layer.of_inputs.spread(x, slice(None)) if by_row else half.spread(x)}

    def _drawn(self, draws: int, run: int) -> torch.Tensor:
        """Noise of all steps, ``(chips, n, steps, draws)``."""
        given = self.inputs
        if not draws:
            return torch.empty((self.chips, self.n, self.steps, 0), device=self.layer.device)
        kind = given["kinds"][run : run + 1] + STEP
        return normals(given["keys"], given["samples"], given["where"], kind, draws // 4)

    def _supply(self, origin: int, run: int = 0) -> torch.Tensor:
        """Read voltage of each product over that of its conversion, ``(chips, n, steps)``."""
        given = self.inputs
        kind = given["kinds"][run : run + 1] + origin
        drawn = normals(given["keys"], given["samples"], given["where supply"], kind, DRAWN // 4)
        return 1.0 + float(self.layer.fused.layer.supply_noise) * drawn.flatten(2)[..., : self.steps]

    def _steps(self, before: Tensors) -> None:
        """The steps in torch."""
        layer, pulses = self.layer, self.inputs["h"]
        fused, main = layer.fused.layer, layer.main
        hidden, top, fed = fused.hidden, float(fused.top), slice(fused.inputs, fused.inputs + layer.fed_back)
        other = int(fused.first[-1, 0])
        lsb, half = float(fused.state_lsb), float(fused.state_half)

        def now(name: str, t: int) -> Any:
            if name not in before:
                return None
            return before[name][:, :, t if before[name].shape[2] > 1 else 0]

        for t in range(self.steps):
            x = main.arrived(pulses, top)
            spread = main.spread(x, fed)
            if spread.numel():
                spread = spread + now("spread", t)
            z = now("z", t) + torch.bmm(x, main.weights[:, fed])
            seen = main.seen(z, spread, now("gain", t), now("drawn", t))
            codes = main.converters.codes(seen, now("table", t) if main.converters.log else main.converters.levels)
            gates = main.converters.looked(main.converters.values, codes)
            i, f, o, g = (gates[..., at : at + hidden] for at in (0, hidden, 2 * hidden, other))
            c = torch.round((f * self.c + i * g) / lsb).clamp(-half, half - 1.0) * lsb
            self.c.copy_(c)
            tanh = self._tanh(c, now, t)
            pulses = torch.round(o * tanh * float(fused.per_value)).clamp(-top, top)
            if self.counts:
                used = torch.cat([codes[..., : 3 * hidden], codes[..., other : other + hidden]], dim=-1)
                group = torch.cat([main.converters.group[: 3 * hidden], main.converters.group[other : other + hidden]])
                self.did["gates"] += main.converters.steps[group.long(), used].sum(-1)
                self.did["words"] += main.converters.words[group.long(), used].sum(-1)
            if (projection := layer.projection) is not None:
                if self.counts:
                    self.units[:, :, t] = pulses
                x = projection.arrived(pulses, top)
                z = torch.bmm(x, projection.weights)
                seen = projection.seen(
                    z, projection.spread(x, slice(None)), now("projected gain", t), now("projected", t)
                )
                table = now("projected table", t) if projection.converters.log else seen
                codes = projection.converters.codes(seen, table)[..., : projection.columns]
                values = projection.converters.values[0][codes]
                pulses = torch.round(values * float(fused.per_value)).clamp(-top, top)
                if self.counts:
                    self.did["projected"] += projection.converters.steps[0][codes].sum(-1)
            self.out[:, :, t] = pulses

    def _tanh(self, c: torch.Tensor, now: Callable[[str, int], Any], t: int) -> torch.Tensor:
        """tanh of stored states, through their cells and the second ramp or from a table."""
        fused, state = self.layer.fused.layer, self.layer.state
        if not state.gain.numel():
            return state.table[(c / float(fused.state_lsb) + float(fused.state_half)).round().long()]
        top, converters = float(fused.top), state.converters
        pulses = torch.round(c * state.per_clock).clamp(-top, top)
        z = pulses * state.gain[:, None] + state.offset[:, None]
        gain = now("state gain", t)
        seen = (z if gain is None else z * gain[..., None]) + state.shift[:, None]
        if (at := converters.decisions) >= 0:
            variance = pulses.square() * state.variance[:, None] + state.floor[:, None]
            seen = seen + variance.sqrt() * now("drawn", t)[..., at : at + fused.hidden]
        codes = converters.codes(seen, now("state table", t))
        if self.counts:
            self.did["pulses"] += (pulses != 0).sum(-1)
            self.did["clocks"] += pulses.abs().sum(-1).long()
            self.did["state"] += converters.steps[0][codes].sum(-1)
        return converters.values[0][codes]
