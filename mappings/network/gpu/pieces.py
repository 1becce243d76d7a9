"""What the kernels of a step share: what comparators see, codes, the gates, the cell state, and the pulses fed back.

Tensors are those of ``records``. A table of ``2^b - 1`` thresholds takes ``b`` comparisons, each of which waits for the
one before: those of all four gates go side by side. Imported on CUDA devices alone, where Triton is installed.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from mappings.network.gpu.records import Product, Steps, Tensors


@triton.jit
def rounded(x, low, high):
    """The nearest whole number, a tie to the even one, within the limits."""
    x = tl.minimum(tl.maximum(x, -2097152.0), 2097152.0)
    return tl.minimum(tl.maximum((x + 12582912.0) - 12582912.0, low), high)


@triton.jit
def quantised(seen, lsb, half):
    """The code of a quantiser."""
    found = tl.floor(seen / lsb + 0.5)
    return (tl.minimum(tl.maximum(found, -half), half - 1.0) + half).to(tl.int32)


@triton.jit
def code_of(seen, table, place, inside, lsb, half, LOG: tl.constexpr):
    """Thresholds at or below what is seen, from ``table + place``; for ``LOG`` of 0 the code of a quantiser."""
    if LOG == 0:
        code = quantised(seen, lsb, half)
    else:
        code = tl.zeros(seen.shape, tl.int32)
        for k in tl.static_range(LOG):
            step = 1 << (LOG - 1 - k)
            level = tl.load(table + place + code + (step - 1), mask=inside, other=0.0)
            code += tl.where(level <= seen, step, 0)
    return code


@triton.jit
def seen_of(z, spread, gain, shift, floor, drawn, NOISY: tl.constexpr, SUPPLY: tl.constexpr):
    """What comparators see; ``spread``: variance by read noise."""
    if SUPPLY:
        z = z * gain
    z = z + shift
    if NOISY:
        z = z + tl.sqrt(spread + floor) * drawn
    return z


@triton.jit
def fixed(
    column, chip, here, shift, floor, by_column, ramp, wide, NOISY: tl.constexpr, SPREAD: tl.constexpr,
):  # fmt: skip
    """What stays as it is over the steps, of the columns of one gate: shift, floor of the variance, share of a sample's
    variance, and the number of the ramp."""
    at = chip * wide + column
    moved = tl.load(shift + at, mask=here, other=0.0)[None, :]
    least = moved
    across = moved
    if NOISY:
        least = tl.load(floor + at, mask=here, other=0.0)[None, :]
    if SPREAD == 1:
        across = tl.load(by_column + at, mask=here, other=0.0)[None, :]
    return moved, least, across, tl.load(ramp + column, mask=here, other=0)[None, :]


@triton.jit
def given(
    column, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY: tl.constexpr, SPREAD: tl.constexpr,
):  # fmt: skip
    """What does not depend on the state, of one gate at one step: the inputs' product, its variance, noise."""
    at = row[:, None] * wide + column[None, :]
    z = tl.load(x_z + at, mask=inside, other=0.0)
    spread = z
    noise = z
    if SPREAD == 2:
        spread = tl.load(x_spread + at, mask=inside, other=0.0)
    if NOISY:
        noise = tl.load(drawn + row[:, None] * draws + (decisions + column)[None, :], mask=inside, other=0.0)
    return z, spread, noise


@triton.jit
def seen_by_gate(
    z, spread, stays, now, scale, of_spread, gain, NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr,
):  # fmt: skip
    """What one gate's comparators see; ``z``: of the pulses fed back, ``spread``: their variance, for ``SPREAD`` of 1 a
    number a sample; ``stays``: of ``fixed``, ``now``: of ``given``; ``scale``, ``of_spread``: what takes factors of the
    products back."""
    if SPREAD == 1:
        spread = spread * stays[2]
    if SPREAD == 2:
        spread = (spread + now[1]) * of_spread
    return seen_of((z + now[0]) * scale, spread, gain, stays[0], stays[1], now[2], NOISY, SUPPLY)


@triton.jit
def gates(
    seen_i, seen_f, seen_o, seen_g, ramp_i, ramp_f, ramp_o, ramp_g, table_row, inside, table, values, steps, words,
    did, did_words, ramps, codes, lsb, half, LOG: tl.constexpr, COUNTS: tl.constexpr,
):  # fmt: skip
    """Values of i, f, o (of the first group of converters) and g (of the second) for what is seen of them."""
    if LOG == 0:
        i, f = quantised(seen_i, lsb, half), quantised(seen_f, lsb, half)
        o, g = quantised(seen_o, lsb, half), quantised(seen_g, lsb, half)
    else:
        first = table_row[:, None] * ramps
        i = tl.zeros(seen_i.shape, tl.int32)
        f, o, g = i, i, i
        of_i, of_f = table + ((first + ramp_i) << LOG), table + ((first + ramp_f) << LOG)
        of_o, of_g = table + ((first + ramp_o) << LOG), table + ((first + ramp_g) << LOG)
        for k in tl.static_range(LOG):
            step = 1 << (LOG - 1 - k)
            level_i = tl.load(of_i + i + (step - 1), mask=inside, other=0.0)
            level_f = tl.load(of_f + f + (step - 1), mask=inside, other=0.0)
            level_o = tl.load(of_o + o + (step - 1), mask=inside, other=0.0)
            level_g = tl.load(of_g + g + (step - 1), mask=inside, other=0.0)
            i += tl.where(level_i <= seen_i, step, 0)
            f += tl.where(level_f <= seen_f, step, 0)
            o += tl.where(level_o <= seen_o, step, 0)
            g += tl.where(level_g <= seen_g, step, 0)
    if COUNTS:
        did += tl.sum(counted(steps, i, f, o, g + codes, inside), axis=1)
        did_words += tl.sum(counted(words, i, f, o, g + codes, inside), axis=1)
    value_i = tl.load(values + i, mask=inside, other=0.0)
    value_f = tl.load(values + f, mask=inside, other=0.0)
    value_o = tl.load(values + o, mask=inside, other=0.0)
    value_g = tl.load(values + codes + g, mask=inside, other=0.0)
    return value_i, value_f, value_o, value_g, did, did_words


@triton.jit
def counted(table, i, f, o, g, inside):
    """The sum of what a table holds for four codes."""
    of_i, of_f = tl.load(table + i, mask=inside, other=0), tl.load(table + f, mask=inside, other=0)
    of_o, of_g = tl.load(table + o, mask=inside, other=0), tl.load(table + g, mask=inside, other=0)
    return of_i + of_f + of_o + of_g


@triton.jit
def tanh_of_state(
    c, chip, unit, row, inside, here, gain, drawn, draws, of_state,
    hidden, table, ramp, values, steps, decisions, ramps, table_row, tanh,
    top, per_clock, lsb, half, chips, clocks, pulsed, did,
    NOISY: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, RAMP: tl.constexpr, COUNTS: tl.constexpr,
):  # fmt: skip
    """tanh of stored states; ``of_state``: gain, offset, variance, floor and shift, one behind the other."""
    if RAMP:
        size = chips * hidden
        own = of_state + chip * hidden + unit
        pulse = rounded(c * per_clock, -top, top)
        z = pulse * tl.load(own, mask=here, other=0.0)[None, :] + tl.load(own + size, mask=here, other=0.0)[None, :]
        spread = pulse * pulse * tl.load(own + 2 * size, mask=here, other=0.0)[None, :]
        least = tl.load(own + 3 * size, mask=here, other=0.0)[None, :]
        moved = tl.load(own + 4 * size, mask=here, other=0.0)[None, :]
        noise = z
        if NOISY:
            noise = tl.load(drawn + row[:, None] * draws + (decisions + unit)[None, :], mask=inside, other=0.0)
        seen = seen_of(z, spread, gain, moved, least, noise, NOISY, SUPPLY)
        place = (table_row[:, None] * ramps + tl.load(ramp + unit, mask=here, other=0)[None, :]) << LOG
        code = code_of(seen, table, place, inside, 1.0, 1.0, LOG)
        if COUNTS:
            driven = tl.where(inside, tl.abs(pulse), 0.0).to(tl.int32)
            clocks += tl.sum(driven, axis=1)
            pulsed += tl.sum((driven > 0).to(tl.int32), axis=1)
            did += tl.sum(tl.load(steps + code, mask=inside, other=0), axis=1)
        found = tl.load(values + code, mask=inside, other=0.0)
    else:
        found = tl.load(tanh + (c / lsb + half + 0.5).to(tl.int32), mask=inside, other=0.0)
    return found, clocks, pulsed, did


@triton.jit
def arrived(pulse, settled, top, inside, SETTLED: tl.constexpr):
    """What reaches the word lines for pulses."""
    if SETTLED:
        pulse = tl.load(settled + (pulse + top + 0.5).to(tl.int32), mask=inside, other=0.0)
    return tl.where(inside, pulse, 0.0)


def shared(run: Steps, before: Tensors) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Arguments that the kernels of a step take: tensors, the last one for what is counted, numbers, and what is
    compiled in."""
    fused, main, state, (chips, n, steps, _) = run.layer, run.main, run.state, run.out.shape
    ways, back = main.converters, state.converters
    nothing = main.shift  # stands for what is not read
    of_state = (
        torch.stack([state.gain, state.offset, state.variance, state.floor, state.shift])
        if state.gain.numel()
        else nothing
    )
    done = torch.zeros((5, chips, n if run.counts else 0), dtype=torch.int32, device=run.c.device)
    tensors = [
        before["z"], _or(before["spread"], nothing), _or(main.by_column, nothing), main.shift, main.floor,
        before["drawn"], before.get("gain", nothing), before.get("state gain", nothing),
        before["table"] if ways.log else nothing, ways.ramp, ways.values, ways.steps, ways.words, of_state,
        before["state table"] if back.log else nothing, back.ramp, _or(back.values, nothing),
        _or(back.steps, ways.steps), _or(state.table, nothing), done,
    ]  # fmt: skip
    numbers = [
        n, steps, chips, fused.hidden, main.weights.shape[-1], main.draws, int(fused.first[-1, 0]), ways.decisions,
        ramps(main), ways.values.shape[1], ways.lsb, ways.half, back.decisions,
        max(1, back.levels.shape[1] if back.log else 1), float(fused.top), state.per_clock, float(fused.per_value),
        float(fused.state_lsb), float(fused.state_half),
    ]  # fmt: skip
    compiled = {
        "NOISY": ways.decisions >= 0,
        "SPREAD": spread_kind(main),
        "SUPPLY": "gain" in before,
        "LOG": ways.log,
        "EACH": ways.walks >= 0 or before["table"].shape[2] > 1,
        "STATE_NOISY": back.decisions >= 0,
        "STATE_LOG": back.log,
        "STATE_EACH": back.walks >= 0,
        "RAMP": state.gain.numel() > 0,
        "COUNTS": run.counts,
    }
    return tensors, numbers, compiled


def _or(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.numel() else other


def ramps(product: Product) -> int:
    """Ramps behind a product, one where quantisers convert."""
    return max(1, product.converters.levels.shape[1] if product.converters.log else 1)


def spread_kind(product: Product) -> int:
    """How variances are known: not at all (0), by a number a sample (1), by one a sample and column (2)."""
    return 2 if product.variances.numel() else int(product.by_row.numel() > 0)


def count(run: Steps, done: torch.Tensor) -> None:
    """Hand on what was counted."""
    if run.counts:
        for name, one in zip(("gates", "words", "pulses", "clocks", "state"), done, strict=True):
            run.did[name].copy_(one)
