"""All steps of a small LSTM in one kernel, whose programs take some samples of a chip each.

Samples do not wait for each other: their states stay in registers, and the products too are formed there, by tensor
cores in half precision and exact all the same: a weight is the sum of two such numbers (22 bits), and so is what
arrives of a pulse. Variances take one, within a thousandth. Imported on CUDA devices alone, where Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from mappings.network.gpu import pieces
from mappings.network.gpu.halves import split
from mappings.network.gpu.pieces import arrived, fixed, gates, given, rounded, seen_by_gate, tanh_of_state
from mappings.network.gpu.records import Product, Steps, Tensors

SAMPLES = 8  # that a program computes: with both parts of what arrives, 16 rows of a tensor core
UNITS_A_WARP = 16  # of each gate
OTHER_SHARED_BYTES = 32768  # of shared memory, for all but the fed-back weights


@triton.jit
def _both(x):
    """Numbers of half precision that add up to ``x (S, K)``, one part below the other, ``(2 S, K)``."""
    high = x.to(tl.float16)
    low = (x - high.to(tl.float32)).to(tl.float16)
    both = tl.permute(tl.join(high, low), (2, 0, 1))
    return tl.reshape(both, (2 * x.shape[0], x.shape[1]))


@triton.jit
def _added(z):
    """The upper half of ``z (2 S, K)`` and the lower one."""
    return tl.sum(tl.reshape(z, (2, z.shape[0] // 2, z.shape[1])), axis=0)


@triton.jit
def _products(x, square, high, low, spreads, at, scale, spread_scale, SPREAD: tl.constexpr):
    """The product of ``x`` of ``_both`` with the weights of one gate at ``at``, and its variance."""
    z = tl.dot(x, tl.load(high + at))
    z = _added(tl.dot(x, tl.load(low + at), z)) * scale
    spread = z
    if SPREAD == 2:
        spread = _added(tl.dot(square, tl.load(spreads + at))) * spread_scale
    return z, spread


@triton.jit
def _all_steps(
    h0, high, low, spreads, scales, c, out, by_row, settled,
    x_z, x_spread, by_column, shift, floor, drawn, gains, state_gains,
    table, ramp, values, steps, words,
    of_state, state_table, state_ramp, state_values, state_steps, tanh, did,
    n, many, chips, hidden, wide, draws, other, decisions, ramps, codes, lsb,
    half, state_decisions, state_ramps, top, per_clock, per_value, c_lsb, c_half,
    NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, EACH: tl.constexpr,
    STATE_NOISY: tl.constexpr, STATE_LOG: tl.constexpr, STATE_EACH: tl.constexpr, RAMP: tl.constexpr,
    SETTLED: tl.constexpr, COUNTS: tl.constexpr, S: tl.constexpr, K: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """All steps of ``S`` samples of a chip whose layer has at most ``K`` units; weights are those of ``halves``."""
    chip = tl.program_id(0).to(tl.int64)
    s, unit, k = tl.program_id(1) * S + tl.arange(0, S), tl.arange(0, K), tl.arange(0, K)
    here = unit < hidden
    inside = (s < n)[:, None] & here[None, :]
    sample = chip * n + s
    at = sample[:, None] * hidden + unit[None, :]
    state = tl.load(c + at, mask=inside, other=0.0)
    x = tl.load(h0 + at, mask=inside, other=0.0)
    none = tl.zeros([S], tl.int32)
    did_gates, did_words, pulsed, clocks, did_state = none, none, none, none, none
    scale = tl.load(scales + 2 * chip)
    spread_scale = tl.load(scales + 2 * chip + 1) * (top * top)
    weights = (chip * 4 * K + k[:, None]) * K + unit[None, :]
    stays_i = fixed(unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    stays_f = fixed(hidden + unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    stays_o = fixed(2 * hidden + unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    stays_g = fixed(other + unit, chip, here, shift, floor, by_column, ramp, wide, NOISY, SPREAD)
    rows = stays_i[0]
    if SPREAD == 1:
        rows = tl.load(by_row + chip * hidden + unit, mask=here, other=0.0)[None, :]
    for t in range(many):
        row = sample * many + t
        gain = tl.full([S, 1], 1.0, tl.float32)
        state_gain = gain
        if SUPPLY:
            gain = tl.load(gains + row, mask=s < n, other=1.0)[:, None]
            state_gain = tl.load(state_gains + row, mask=s < n, other=1.0)[:, None]
        table_row = row if EACH else chip + none
        state_row = row if STATE_EACH else chip + none
        now_i = given(unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
        now_f = given(hidden + unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
        now_o = given(2 * hidden + unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
        now_g = given(other + unit, row, inside, x_z, x_spread, drawn, wide, draws, decisions, NOISY, SPREAD)
        both = _both(x)
        square = both
        spread = tl.zeros([S, 1], tl.float32)
        if SPREAD == 1:
            spread = (tl.sum(x * x * rows, axis=1) + tl.load(x_spread + row, mask=s < n, other=0.0))[:, None]
        if SPREAD == 2:
            square = _both(x * x / (top * top))
        z_i, z_f, z_o, z_g = x, x, x, x
        v_i, v_f, v_o, v_g = spread, spread, spread, spread
        if SPREAD == 2:
            v_i, v_f, v_o, v_g = x, x, x, x
        for gate in tl.range(0, 4, num_stages=STAGES):
            z, v = _products(both, square, high, low, spreads, weights + gate * (K * K), scale, spread_scale, SPREAD)
            z_i = tl.where(gate == 0, z, z_i)
            z_f = tl.where(gate == 1, z, z_f)
            z_o = tl.where(gate == 2, z, z_o)
            z_g = tl.where(gate == 3, z, z_g)
            if SPREAD == 2:
                v_i = tl.where(gate == 0, v, v_i)
                v_f = tl.where(gate == 1, v, v_f)
                v_o = tl.where(gate == 2, v, v_o)
                v_g = tl.where(gate == 3, v, v_g)
        i, f, o, g, did_gates, did_words = gates(
            seen_by_gate(z_i, v_i, stays_i, now_i, 1.0, 1.0, gain, NOISY, SPREAD, SUPPLY),
            seen_by_gate(z_f, v_f, stays_f, now_f, 1.0, 1.0, gain, NOISY, SPREAD, SUPPLY),
            seen_by_gate(z_o, v_o, stays_o, now_o, 1.0, 1.0, gain, NOISY, SPREAD, SUPPLY),
            seen_by_gate(z_g, v_g, stays_g, now_g, 1.0, 1.0, gain, NOISY, SPREAD, SUPPLY),
            stays_i[3], stays_f[3], stays_o[3], stays_g[3], table_row, inside, table, values, steps, words,
            did_gates, did_words, ramps, codes, lsb, half, LOG, COUNTS,
        )  # fmt: skip
        state = rounded((f * state + i * g) / c_lsb, -c_half, c_half - 1.0) * c_lsb
        found, clocks, pulsed, did_state = tanh_of_state(
            state, chip, unit, row, inside, here, state_gain, drawn, draws, of_state, hidden, state_table, state_ramp,
            state_values, state_steps, state_decisions, state_ramps, state_row, tanh, top, per_clock, c_lsb, c_half,
            chips, clocks, pulsed, did_state, STATE_NOISY, SUPPLY, STATE_LOG, RAMP, COUNTS,
        )  # fmt: skip
        pulse = rounded(o * found * per_value, -top, top)
        tl.store(out + row[:, None] * hidden + unit[None, :], pulse, mask=inside)
        x = arrived(pulse, settled, top, inside, SETTLED)
    tl.store(c + at, state, mask=inside)
    if COUNTS:
        size = chips * n
        tl.store(did + sample, did_gates, mask=s < n)
        tl.store(did + size + sample, did_words, mask=s < n)
        tl.store(did + 2 * size + sample, pulsed, mask=s < n)
        tl.store(did + 3 * size + sample, clocks, mask=s < n)
        tl.store(did + 4 * size + sample, did_state, mask=s < n)


def halves(main: Product, fed: slice, other: int) -> tuple[torch.Tensor, ...]:
    """Fed-back weights, gate by gate, as the sum of two of half precision, ``(chips, 4, size, size)``, their variances
    as one, and what takes the scales of both back, ``(chips, 2)``; the last gate's columns start at ``other``."""
    hidden = fed.stop - fed.start
    size = max(16, triton.next_power_of_2(hidden))

    def by_gate(values: torch.Tensor) -> torch.Tensor:
        found = torch.stack([values[:, fed, at : at + hidden] for at in (0, hidden, 2 * hidden, other)], dim=1)
        return torch.nn.functional.pad(found, (0, size - hidden, 0, size - hidden))

    high, low, scale = split(by_gate(main.weights))
    spreads, _, of_spreads = split(by_gate(main.variances)) if main.variances.numel() else (high, low, scale)
    return high, low, spreads, torch.stack([scale, of_spreads], dim=1).contiguous()


def run(steps: Steps, before: Tensors, of: tuple[torch.Tensor, ...]) -> None:
    """All steps of the layer; ``of``: its ``halves``."""
    fused, main, (chips, n, _, fed) = steps.layer, steps.main, steps.out.shape
    rows = slice(fused.inputs, fused.inputs + fed)
    held = of[0].shape[-1]
    tensors, numbers, compiled = pieces.shared(steps, before)
    _all_steps[(chips, triton.cdiv(n, SAMPLES))](
        main.arrived(steps.h0, float(fused.top)), *of, steps.c, steps.out,
        main.by_row[:, rows].contiguous() if main.by_row.numel() else main.shift,
        main.settled if main.settled.numel() else main.shift,
        *tensors, *numbers, **compiled, SETTLED=main.settled.numel() > 0, S=SAMPLES, K=held,
        num_warps=held // UNITS_A_WARP, STAGES=_stages(steps.c.device, held, 3 if compiled["SPREAD"] == 2 else 2),
    )  # fmt: skip
    pieces.count(steps, tensors[-1])


def _stages(device: torch.device, held: int, matrices: int) -> int:
    """3, so that one gate is multiplied while the next one's weights come; 1 where shared memory is too small."""
    has = getattr(torch.cuda.get_device_properties(device), "shared_memory_per_block_optin", 0)
    return 3 if has >= 2 * matrices * 2 * held**2 + OTHER_SHARED_BYTES else 1
