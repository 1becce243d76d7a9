"""The steps of a larger LSTM, projected or not: for each a product of the library and one kernel behind it.

Products are those of ``halves``: the kernels hand on what arrives of their pulses as the next product takes it.
Imported on CUDA devices alone, where Triton is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import triton
import triton.language as tl

from mappings.network.gpu import pieces
from mappings.network.gpu.halves import HalfProduct
from mappings.network.gpu.pieces import (
    arrived,
    code_of,
    fixed,
    gates,
    given,
    rounded,
    seen_by_gate,
    seen_of,
    tanh_of_state,
)
from mappings.network.gpu.records import Product, Steps, Tensors

SAMPLES, UNITS, WARPS = 1, 64, 2  # of a program


@triton.jit
def _summed(parts, sample, s, n, given_parts, S: tl.constexpr, PARTS: tl.constexpr):
    """The sums over ``given_parts`` parts of each sample's variance."""
    p = tl.arange(0, PARTS)
    held = (s < n)[:, None] & (p < given_parts)[None, :]
    return tl.sum(tl.load(parts + sample[:, None] * given_parts + p[None, :], mask=held, other=0.0), axis=1)


@triton.jit
def _hand_on(
    x, next_x, next_square, next_part, by_row, chip, sample, s, n, unit, units, block, blocks, inside, here, top,
    NEXT: tl.constexpr, NEXT_PARTS: tl.constexpr,
):  # fmt: skip
    """What the next product takes of ``x``, as ``HalfProduct.taken`` and ``squares``; for ``NEXT`` of 1 its share of
    the variance."""
    at = next_x + sample[:, None] * (NEXT_PARTS * units) + unit[None, :]
    high = x.to(tl.float16)
    tl.store(at, high, mask=inside)
    if NEXT_PARTS == 3:
        tl.store(at + units, (x - high.to(tl.float32)).to(tl.float16), mask=inside)
    tl.store(at + (NEXT_PARTS - 1) * units, high, mask=inside)
    if NEXT == 1:
        rows = tl.load(by_row + chip * units + unit, mask=here, other=0.0)[None, :]
        tl.store(next_part + sample * blocks + block, tl.sum(x * x * rows, axis=1), mask=s < n)
    if NEXT == 2:
        part = x / top
        tl.store(next_square + sample[:, None] * units + unit[None, :], (part * part).to(tl.float16), mask=inside)


@triton.jit(do_not_specialize=["t"])
def _one_step(
    t, z_h, spread_h, scales, parts, c, out, next_x, next_square, next_part, by_row, settled,
    x_z, x_spread, by_column, shift, floor, drawn, gains, state_gains,
    table, ramp, values, steps, words,
    of_state, state_table, state_ramp, state_values, state_steps, tanh, did,
    n, many, chips, hidden, wide, draws, other, decisions, ramps, codes, lsb,
    half, state_decisions, state_ramps, top, per_clock, per_value, c_lsb, c_half,
    out_steps, blocks, given_parts,
    NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, EACH: tl.constexpr,
    STATE_NOISY: tl.constexpr, STATE_LOG: tl.constexpr, STATE_EACH: tl.constexpr, RAMP: tl.constexpr,
    SETTLED: tl.constexpr, COUNTS: tl.constexpr, PARTS: tl.constexpr, NEXT: tl.constexpr, NEXT_PARTS: tl.constexpr,
    S: tl.constexpr, H: tl.constexpr,
):  # fmt: skip
    """One step behind the product ``z_h (chips, n, wide)`` and its variance ``spread_h``, both times ``scales``.

    ``parts``, ``next_part``: sums over some units each that add up to the variance of this product and of the next one,
    ``(chips n, .)``; ``next_x``, ``next_square``: what the next one takes.
    """
    chip = tl.program_id(0).to(tl.int64)
    block = tl.program_id(2)
    s, unit = tl.program_id(1) * S + tl.arange(0, S), block * H + tl.arange(0, H)
    here = unit < hidden
    inside = (s < n)[:, None] & here[None, :]
    sample = chip * n + s
    row = sample * many + t
    none = tl.zeros([S], tl.int32)
    gain = tl.full([S, 1], 1.0, tl.float32)
    state_gain = gain
    if SUPPLY:
        gain = tl.load(gains + row, mask=s < n, other=1.0)[:, None]
        state_gain = tl.load(state_gains + row, mask=s < n, other=1.0)[:, None]
    table_row = row if EACH else chip + none
    state_row = row if STATE_EACH else chip + none
    scale, of_spread = tl.load(scales + 2 * chip), tl.load(scales + 2 * chip + 1)
    from_h = sample[:, None] * wide + unit[None, :]
    z_i = tl.load(z_h + from_h, mask=inside, other=0.0)
    z_f = tl.load(z_h + from_h + hidden, mask=inside, other=0.0)
    z_o = tl.load(z_h + from_h + 2 * hidden, mask=inside, other=0.0)
    z_g = tl.load(z_h + from_h + other, mask=inside, other=0.0)
    v_i, v_f, v_o, v_g = z_i, z_i, z_i, z_i
    if SPREAD == 1:
        of_h = _summed(parts, sample, s, n, given_parts, S, PARTS)
        v_i = (of_h + tl.load(x_spread + row, mask=s < n, other=0.0))[:, None]
        v_f, v_o, v_g = v_i, v_i, v_i
    if SPREAD == 2:
        v_i = tl.load(spread_h + from_h, mask=inside, other=0.0)
        v_f = tl.load(spread_h + from_h + hidden, mask=inside, other=0.0)
        v_o = tl.load(spread_h + from_h + 2 * hidden, mask=inside, other=0.0)
        v_g = tl.load(spread_h + from_h + other, mask=inside, other=0.0)
    now_i = given(unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
    now_f = given(hidden + unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
    now_o = given(2 * hidden + unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
    now_g = given(other + unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
    stays_i = fixed(unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    stays_f = fixed(hidden + unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    stays_o = fixed(2 * hidden + unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    stays_g = fixed(other + unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    at = sample[:, None] * hidden + unit[None, :]
    state = tl.load(c + at, mask=inside, other=0.0)
    i, f, o, g, did_gates, did_words = gates(
        seen_by_gate(z_i, v_i, stays_i, now_i, scale, of_spread, gain, NOISY, SPREAD, SUPPLY),
        seen_by_gate(z_f, v_f, stays_f, now_f, scale, of_spread, gain, NOISY, SPREAD, SUPPLY),
        seen_by_gate(z_o, v_o, stays_o, now_o, scale, of_spread, gain, NOISY, SPREAD, SUPPLY),
        seen_by_gate(z_g, v_g, stays_g, now_g, scale, of_spread, gain, NOISY, SPREAD, SUPPLY),
        stays_i[3], stays_f[3], stays_o[3], stays_g[3], table_row, inside, table, values, steps, words,
        none, none, ramps, codes, lsb, half, LOG, COUNTS,
    )  # fmt: skip
    state = rounded((f * state + i * g) / c_lsb, -c_half, c_half - 1.0) * c_lsb
    tl.store(c + at, state, mask=inside)
    found, clocks, pulsed, did_state = tanh_of_state(
        state, chip, unit, row, inside, here, state_gain, drawn, draws, of_state, hidden, state_table, state_ramp,
        state_values, state_steps, state_decisions, state_ramps, state_row, tanh, top, per_clock, c_lsb, c_half,
        chips, none, none, none, STATE_NOISY, SUPPLY, STATE_LOG, RAMP, COUNTS,
    )  # fmt: skip
    pulse = rounded(o * found * per_value, -top, top)
    if out_steps > 0:
        tl.store(out + (sample * out_steps + t)[:, None] * hidden + unit[None, :], pulse, mask=inside)
    _hand_on(
        arrived(pulse, settled, top, inside, SETTLED), next_x, next_square, next_part, by_row, chip, sample, s, n, unit,
        hidden, block, blocks, inside, here, top, NEXT, NEXT_PARTS,
    )  # fmt: skip
    if COUNTS:
        size = chips * n
        tl.atomic_add(did + sample, did_gates, mask=s < n)
        tl.atomic_add(did + size + sample, did_words, mask=s < n)
        tl.atomic_add(did + 2 * size + sample, pulsed, mask=s < n)
        tl.atomic_add(did + 3 * size + sample, clocks, mask=s < n)
        tl.atomic_add(did + 4 * size + sample, did_state, mask=s < n)


@triton.jit(do_not_specialize=["t"])
def _project(
    t, z_h, spread_h, scales, parts, out, next_x, next_square, next_part, by_row, settled,
    by_column, shift, floor, drawn, gains, table, ramp, values, steps, did,
    n, many, outputs, wide, draws, decisions, ramps, lsb, half, top, per_value, blocks, given_parts,
    NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, EACH: tl.constexpr,
    SETTLED: tl.constexpr, COUNTS: tl.constexpr, PARTS: tl.constexpr, NEXT: tl.constexpr, NEXT_PARTS: tl.constexpr,
    S: tl.constexpr, H: tl.constexpr,
):  # fmt: skip
    """A projection behind its product, as ``_one_step``."""
    chip = tl.program_id(0).to(tl.int64)
    block = tl.program_id(2)
    s, unit = tl.program_id(1) * S + tl.arange(0, S), block * H + tl.arange(0, H)
    here = unit < outputs
    inside = (s < n)[:, None] & here[None, :]
    sample = chip * n + s
    row = sample * many + t
    from_h = sample[:, None] * wide + unit[None, :]
    z = tl.load(z_h + from_h, mask=inside, other=0.0) * tl.load(scales + 2 * chip)
    stays = fixed(unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    spread = tl.zeros([S, 1], tl.float32)
    if SPREAD == 1:
        spread = _summed(parts, sample, s, n, given_parts, S, PARTS)[:, None] * stays[2]
    if SPREAD == 2:
        spread = tl.load(spread_h + from_h, mask=inside, other=0.0) * tl.load(scales + 2 * chip + 1)
    gain = tl.full([S, 1], 1.0, tl.float32)
    if SUPPLY:
        gain = tl.load(gains + row, mask=s < n, other=1.0)[:, None]
    noise = z
    if NOISY:
        noise = tl.load(drawn + row[:, None] * draws + (decisions + unit)[None, :], mask=inside, other=0.0)
    seen = seen_of(z, spread, gain, stays[0], stays[1], noise, NOISY, SUPPLY)
    table_row = row if EACH else chip + tl.zeros([S], tl.int32)
    code = code_of(seen, table, (table_row[:, None] * ramps + stays[3]) << LOG, inside, lsb, half, LOG)
    if COUNTS:
        tl.atomic_add(did + sample, tl.sum(tl.load(steps + code, mask=inside, other=0), axis=1), mask=s < n)
    pulse = rounded(tl.load(values + code, mask=inside, other=0.0) * per_value, -top, top)
    tl.store(out + row[:, None] * outputs + unit[None, :], pulse, mask=inside)
    _hand_on(
        arrived(pulse, settled, top, inside, SETTLED), next_x, next_square, next_part, by_row, chip, sample, s, n, unit,
        outputs, block, blocks, inside, here, top, NEXT, NEXT_PARTS,
    )  # fmt: skip


@dataclass(frozen=True)
class _Taken:
    """A product of every step, and the buffers on its way: what it takes, and what it gives.

    ``by_row``: of its rows that come from a step before; ``parts``: sums over blocks of those rows that add up to its
    variance, two of them where some programs of a step write while others read.
    """

    product: Product
    half: HalfProduct
    x: torch.Tensor
    squares: torch.Tensor
    by_row: torch.Tensor
    parts: list[torch.Tensor]
    z: torch.Tensor
    spread: torch.Tensor

    @classmethod
    def of(cls, product: Product, half: HalfProduct, rows: slice, size: tuple[int, int]) -> _Taken:
        """Buffers for ``size``: chips and samples."""
        units = half.weights.shape[1] // half.parts
        kind, blocks = pieces.spread_kind(product), triton.cdiv(units, UNITS)
        z = product.shift.new_empty((*size, product.weights.shape[-1]))
        x = half.weights.new_empty((*size, half.parts * units))
        squares = x.new_empty((*size, units)) if kind == 2 else x
        by_row = product.by_row[:, rows].contiguous() if kind == 1 else product.shift
        parts = [product.shift.new_zeros((*size, blocks)) for _ in range(2)]
        return cls(product, half, x, squares, by_row, parts, z, torch.empty_like(z) if kind == 2 else z)

    def begin(self, x: torch.Tensor) -> None:
        """Take what arrives in front of the first step."""
        kind = pieces.spread_kind(self.product)
        self.x.copy_(self.half.taken(x))
        if kind == 1:
            self.parts[0][..., 0] = (x.square() * self.by_row[:, None]).sum(-1)
        if kind == 2:
            self.squares.copy_(self.half.squares(x))

    def multiply(self) -> None:
        """Form the product and its variance."""
        torch.bmm(self.x, self.half.weights, out_dtype=torch.float32, out=self.z)
        if pieces.spread_kind(self.product) == 2:
            torch.bmm(self.squares, self.half.spreads, out_dtype=torch.float32, out=self.spread)

    def given(self, now: int) -> list[torch.Tensor]:
        """What the kernel behind it takes."""
        return [self.z, self.spread, self.half.scales, self.parts[now]]

    def asked(self, then: int) -> list[torch.Tensor]:
        """What the kernel in front of it fills or needs to."""
        settled = self.product.settled
        return [
            self.x, self.squares, self.parts[then], self.by_row, settled if settled.numel() else self.product.shift,
        ]  # fmt: skip

    @property
    def compiled(self) -> dict[str, Any]:
        """What is compiled into the kernel in front of it."""
        return {
            "NEXT": pieces.spread_kind(self.product),
            "NEXT_PARTS": self.half.parts,
            "SETTLED": self.product.settled.numel() > 0,
        }

    @property
    def blocks(self) -> int:
        """Programs of the kernel in front of it, across its rows."""
        return int(self.parts[0].shape[-1])


def run(steps: Steps, before: Tensors, of: tuple[HalfProduct, ...]) -> None:
    """All steps of the layer; ``of``: the fed-back rows, and the projection if there is one."""
    fused, main, after, (chips, n, many, fed) = steps.layer, steps.main, steps.projection, steps.out.shape
    fed_back = _Taken.of(main, of[0], slice(fused.inputs, fused.inputs + fed), (chips, n))
    units = fed_back if after is None else _Taken.of(after, of[1], slice(None), (chips, n))
    tensors, numbers, compiled = pieces.shared(steps, before)
    done = torch.zeros((chips, n), dtype=torch.int32, device=steps.c.device)
    project = None if after is None else _projection(steps, before, after, (units, fed_back), done)
    fed_back.begin(main.arrived(steps.h0, float(fused.top)))
    out = steps.out if after is None else steps.units
    grid = (chips, triton.cdiv(n, SAMPLES), units.blocks)
    for t in range(many):
        now, then = (t % 2, (t + 1) % 2) if after is None else (0, 0)
        fed_back.multiply()
        _one_step[grid](
            t, *fed_back.given(now), steps.c, out, *units.asked(then), *tensors, *numbers, out.shape[2], units.blocks,
            fed_back.blocks, **compiled, **units.compiled, PARTS=triton.next_power_of_2(fed_back.blocks),
            S=SAMPLES, H=UNITS, num_warps=WARPS,
        )  # fmt: skip
        if project is not None:
            units.multiply()
            project(t)
    pieces.count(steps, tensors[-1])
    if project is not None and steps.counts:
        steps.did["projected"].copy_(done)


def _projection(
    steps: Steps, before: Tensors, after: Product, products: tuple[_Taken, _Taken], done: torch.Tensor
) -> Callable[[int], None]:
    """The kernel behind the projection's product, the first of ``products`` and in front of the second, as a function
    of the step; ``done (chips, n)``: comparisons."""
    units, fed_back = products
    fused, (chips, n, many, fed), ways = steps.layer, steps.out.shape, after.converters
    tensors = [
        after.by_column if after.by_column.numel() else after.shift, after.shift, after.floor, before["projected"],
        before.get("projected gain", after.shift), before["projected table"] if ways.log else after.shift, ways.ramp,
        ways.values, ways.steps, done,
    ]  # fmt: skip
    numbers = [
        n, many, fed, after.weights.shape[-1], after.draws, ways.decisions, pieces.ramps(after), ways.lsb, ways.half,
        float(fused.top), float(fused.per_value), fed_back.blocks, units.blocks,
    ]  # fmt: skip
    launch = partial(
        _project[(chips, triton.cdiv(n, SAMPLES), fed_back.blocks)],
        NOISY=ways.decisions >= 0, SPREAD=pieces.spread_kind(after), SUPPLY="projected gain" in before, LOG=ways.log,
        EACH=ways.walks >= 0, COUNTS=steps.counts, PARTS=triton.next_power_of_2(units.blocks), S=SAMPLES, H=UNITS,
        num_warps=WARPS, **fed_back.compiled,
    )  # fmt: skip

    def project(t: int) -> None:
        launch(t, *units.given(0), steps.out, *fed_back.asked(0), *tensors, *numbers)

    return project
