"""What a step of an LSTM does behind its products, as kernels: noise, conversion, gates, state, the pulses fed back.

Tensors are those of ``records``. A table of ``2^b - 1`` thresholds takes ``b`` comparisons. Samples of a layer do not
wait for each other: up to ``UNITS`` units without a projection, one kernel takes some samples through all steps, their
states in registers, and forms the products too, in half precision and exact all the same: a weight is the sum of two
such numbers (22 bits), and so is what arrives of a pulse. Variances take one, within a thousandth. Larger layers take
one kernel a step behind a product of the library.
Imported on CUDA devices alone, where Triton is installed.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from mappings.network.gpu.records import Product, Steps, Tensors

UNITS = 128  # of a layer whose steps are one kernel
SAMPLES = 8  # that a program of it computes: with both parts of what arrives, 16 rows of a tensor core
UNITS_A_WARP = 16  # of each gate
OTHER_SHARED_BYTES = 32768  # of shared memory, for all but the fed-back weights
LARGEST = 2.0**14  # of a weight in half precision


@triton.jit
def _rounded(x, low, high):
    """The nearest whole number, a tie to the even one, within the limits."""
    x = tl.minimum(tl.maximum(x, -2097152.0), 2097152.0)
    return tl.minimum(tl.maximum((x + 12582912.0) - 12582912.0, low), high)


@triton.jit
def _code(seen, table, place, inside, lsb, half, LOG: tl.constexpr):
    """Thresholds at or below what is seen, from ``table + place``; for ``LOG`` of 0 the code of a quantiser."""
    if LOG == 0:
        found = tl.floor(seen / lsb + 0.5)
        code = (tl.minimum(tl.maximum(found, -half), half - 1.0) + half).to(tl.int32)
    else:
        code = tl.zeros(seen.shape, tl.int32)
        for k in tl.static_range(LOG):
            step = 1 << (LOG - 1 - k)
            level = tl.load(table + place + code + (step - 1), mask=inside, other=0.0)
            code += tl.where(level <= seen, step, 0)
    return code


@triton.jit
def _seen(z, spread, gain, shift, floor, drawn, NOISY: tl.constexpr, SUPPLY: tl.constexpr):
    """What comparators see; ``spread``: variance by read noise."""
    if SUPPLY:
        z = z * gain
    z = z + shift
    if NOISY:
        z = z + tl.sqrt(spread + floor) * drawn
    return z


@triton.jit
def _given(
    first, unit, chip, row, inside, here, x_z, shift, floor, drawn, wide, draws, decisions, NOISY: tl.constexpr,
):  # fmt: skip
    """What does not depend on the state, of one gate: the inputs' product, shift, floor of the variance, noise."""
    column = first + unit
    z = tl.load(x_z + row[:, None] * wide + column[None, :], mask=inside, other=0.0)
    moved = tl.load(shift + chip * wide + column, mask=here, other=0.0)[None, :]
    least = tl.zeros_like(moved)
    noise = z
    if NOISY:
        least = tl.load(floor + chip * wide + column, mask=here, other=0.0)[None, :]
        noise = tl.load(drawn + row[:, None] * draws + (decisions + column)[None, :], mask=inside, other=0.0)
    return z, moved, least, noise


@triton.jit
def _gate(
    z, given, spread, number, first, unit, chip, row, inside, here, gain, x_spread, by_column, table, ramp, values,
    steps, words, did, did_words, wide, ramps, codes, table_row, lsb, half,
    NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, COUNTS: tl.constexpr,
):  # fmt: skip
    """Values of one gate; ``z``: of the pulses fed back, ``spread``: their variance, for ``SPREAD`` of 1 a number a
    sample times ``by_column``; ``given``: of ``_given``."""
    column = first + unit
    of_x, moved, least, noise = given
    if SPREAD == 1:
        spread = spread * tl.load(by_column + chip * wide + column, mask=here, other=0.0)[None, :]
    if SPREAD == 2:
        spread += tl.load(x_spread + row[:, None] * wide + column[None, :], mask=inside, other=0.0)
    seen = _seen(z + of_x, spread, gain, moved, least, noise, NOISY, SUPPLY)
    place = (table_row[:, None] * ramps + tl.load(ramp + column, mask=here, other=0)[None, :]) << LOG
    code = _code(seen, table, place, inside, lsb, half, LOG)
    if COUNTS:
        did += tl.sum(tl.load(steps + number * codes + code, mask=inside, other=0), axis=1)
        did_words += tl.sum(tl.load(words + number * codes + code, mask=inside, other=0), axis=1)
    return tl.load(values + number * codes + code, mask=inside, other=0.0), did, did_words


@triton.jit
def _state(
    c, chip, unit, row, inside, here, gain, drawn, draws, of_state,
    hidden, table, ramp, values, steps, decisions, ramps, table_row, tanh,
    top, per_clock, lsb, half, chips, clocks, pulsed, did,
    NOISY: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, RAMP: tl.constexpr, COUNTS: tl.constexpr,
):  # fmt: skip
    """tanh of stored states; ``of_state``: gain, offset, variance, floor and shift, one behind the other."""
    if RAMP:
        size = chips * hidden
        fixed = of_state + chip * hidden + unit
        pulse = _rounded(c * per_clock, -top, top)
        z = pulse * tl.load(fixed, mask=here, other=0.0)[None, :] + tl.load(fixed + size, mask=here, other=0.0)[None, :]
        spread = pulse * pulse * tl.load(fixed + 2 * size, mask=here, other=0.0)[None, :]
        least = tl.load(fixed + 3 * size, mask=here, other=0.0)[None, :]
        moved = tl.load(fixed + 4 * size, mask=here, other=0.0)[None, :]
        noise = z
        if NOISY:
            noise = tl.load(drawn + row[:, None] * draws + (decisions + unit)[None, :], mask=inside, other=0.0)
        seen = _seen(z, spread, gain, moved, least, noise, NOISY, SUPPLY)
        place = (table_row[:, None] * ramps + tl.load(ramp + unit, mask=here, other=0)[None, :]) << LOG
        code = _code(seen, table, place, inside, 1.0, 1.0, LOG)
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
def _arrived(pulse, settled, top, inside, SETTLED: tl.constexpr):
    """What reaches the word lines for pulses."""
    if SETTLED:
        pulse = tl.load(settled + (pulse + top + 0.5).to(tl.int32), mask=inside, other=0.0)
    return pulse


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
    for t in range(many):
        row = sample * many + t
        gain = tl.full([S, 1], 1.0, tl.float32)
        state_gain = gain
        if SUPPLY:
            gain = tl.load(gains + row, mask=s < n, other=1.0)[:, None]
            state_gain = tl.load(state_gains + row, mask=s < n, other=1.0)[:, None]
        table_row = row if EACH else chip + none
        state_row = row if STATE_EACH else chip + none
        of_i = _given(0, unit, chip, row, inside, here, x_z, shift, floor, drawn, wide, draws, decisions, NOISY)
        of_f = _given(hidden, unit, chip, row, inside, here, x_z, shift, floor, drawn, wide, draws, decisions, NOISY)
        of_o = _given(
            2 * hidden, unit, chip, row, inside, here, x_z, shift, floor, drawn, wide, draws, decisions, NOISY
        )
        of_g = _given(other, unit, chip, row, inside, here, x_z, shift, floor, drawn, wide, draws, decisions, NOISY)
        both = _both(x)
        square = both
        spread = tl.zeros([S, 1], tl.float32)
        if SPREAD == 1:
            rows = tl.load(by_row + chip * hidden + unit, mask=here, other=0.0)[None, :]
            of_h = tl.sum(x * x * rows, axis=1)
            spread = (of_h + tl.load(x_spread + row, mask=s < n, other=0.0))[:, None]
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
        i, did_gates, did_words = _gate(
            z_i, of_i, v_i, 0, 0, unit, chip, row, inside, here, gain, x_spread, by_column, table, ramp,
            values, steps, words, did_gates, did_words, wide, ramps, codes, table_row, lsb, half,
            NOISY, SPREAD, SUPPLY, LOG, COUNTS,
        )  # fmt: skip
        f, did_gates, did_words = _gate(
            z_f, of_f, v_f, 0, hidden, unit, chip, row, inside, here, gain, x_spread, by_column, table, ramp,
            values, steps, words, did_gates, did_words, wide, ramps, codes, table_row, lsb, half,
            NOISY, SPREAD, SUPPLY, LOG, COUNTS,
        )  # fmt: skip
        o, did_gates, did_words = _gate(
            z_o, of_o, v_o, 0, 2 * hidden, unit, chip, row, inside, here, gain, x_spread, by_column, table, ramp,
            values, steps, words, did_gates, did_words, wide, ramps, codes, table_row, lsb, half,
            NOISY, SPREAD, SUPPLY, LOG, COUNTS,
        )  # fmt: skip
        g, did_gates, did_words = _gate(
            z_g, of_g, v_g, 1, other, unit, chip, row, inside, here, gain, x_spread, by_column, table, ramp,
            values, steps, words, did_gates, did_words, wide, ramps, codes, table_row, lsb, half,
            NOISY, SPREAD, SUPPLY, LOG, COUNTS,
        )  # fmt: skip
        state = _rounded((f * state + i * g) / c_lsb, -c_half, c_half - 1.0) * c_lsb
        found, clocks, pulsed, did_state = _state(
            state, chip, unit, row, inside, here, state_gain, drawn, draws, of_state, hidden, state_table, state_ramp,
            state_values, state_steps, state_decisions, state_ramps, state_row, tanh, top, per_clock, c_lsb, c_half,
            chips, clocks, pulsed, did_state, STATE_NOISY, SUPPLY, STATE_LOG, RAMP, COUNTS,
        )  # fmt: skip
        pulse = _rounded(o * found * per_value, -top, top)
        tl.store(out + row[:, None] * hidden + unit[None, :], pulse, mask=inside)
        x = tl.where(inside, _arrived(pulse, settled, top, inside, SETTLED), 0.0)
    tl.store(c + at, state, mask=inside)
    if COUNTS:
        size = chips * n
        tl.store(did + sample, did_gates, mask=s < n)
        tl.store(did + size + sample, did_words, mask=s < n)
        tl.store(did + 2 * size + sample, pulsed, mask=s < n)
        tl.store(did + 3 * size + sample, clocks, mask=s < n)
        tl.store(did + 4 * size + sample, did_state, mask=s < n)


@triton.jit(do_not_specialize=["t"])
def _one_step(
    t, z_h, spread_h, parts, c, out, next_x, next_part, by_row, settled,
    x_z, x_spread, by_column, shift, floor, drawn, gains, state_gains,
    table, ramp, values, steps, words,
    of_state, state_table, state_ramp, state_values, state_steps, tanh, did,
    n, many, chips, hidden, wide, draws, other, decisions, ramps, codes, lsb,
    half, state_decisions, state_ramps, top, per_clock, per_value, c_lsb, c_half,
    out_steps, part_rows, given_parts,
    NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, EACH: tl.constexpr,
    STATE_NOISY: tl.constexpr, STATE_LOG: tl.constexpr, STATE_EACH: tl.constexpr, RAMP: tl.constexpr,
    SETTLED: tl.constexpr, COUNTS: tl.constexpr, PARTS: tl.constexpr, NEXT: tl.constexpr, S: tl.constexpr,
    H: tl.constexpr,
):  # fmt: skip
    """One step behind the product ``z_h (chips, n, wide)`` and its variance ``spread_h``. ``parts``, ``next_part``:
    sums over some units each that add up to the variance of this product and of the next one, ``(chips n, .)``;
    ``next_x``: what the next one takes."""
    chip = tl.program_id(0).to(tl.int64)
    block = tl.program_id(2)
    s, unit = tl.program_id(1) * S + tl.arange(0, S), block * H + tl.arange(0, H)
    here = unit < hidden
    inside = (s < n)[:, None] & here[None, :]
    sample = chip * n + s
    row = sample * many + t
    none = tl.zeros([S], tl.int32)
    spread = tl.zeros([S, 1], tl.float32)
    if SPREAD == 1:
        p = tl.arange(0, PARTS)
        held = (s < n)[:, None] & (p < given_parts)[None, :]
        of_h = tl.sum(tl.load(parts + sample[:, None] * given_parts + p[None, :], mask=held, other=0.0), axis=1)
        spread = (of_h + tl.load(x_spread + row, mask=s < n, other=0.0))[:, None]
    gain = tl.full([S, 1], 1.0, tl.float32)
    state_gain = gain
    if SUPPLY:
        gain = tl.load(gains + row, mask=s < n, other=1.0)[:, None]
        state_gain = tl.load(state_gains + row, mask=s < n, other=1.0)[:, None]
    table_row = row if EACH else chip + none
    state_row = row if STATE_EACH else chip + none
    at = sample[:, None] * hidden + unit[None, :]
    state = tl.load(c + at, mask=inside, other=0.0)
    did_gates, did_words, pulsed, clocks, did_state = none, none, none, none, none
    i = state
    o = state
    for gate in tl.static_range(4):
        first = other if gate == 1 else (0 if gate == 0 else (gate - 1) * hidden)
        number = 1 if gate == 1 else 0
        from_h = sample[:, None] * wide + (first + unit)[None, :]
        mine = spread
        z = tl.load(z_h + from_h, mask=inside, other=0.0)
        if SPREAD == 2:
            mine = tl.load(spread_h + from_h, mask=inside, other=0.0)
        given = _given(first, unit, chip, row, inside, here, x_z, shift, floor, drawn, wide, draws, decisions, NOISY)
        value, did_gates, did_words = _gate(
            z, given, mine, number, first, unit, chip, row, inside, here, gain, x_spread, by_column, table, ramp,
            values, steps, words, did_gates, did_words, wide, ramps, codes, table_row, lsb, half,
            NOISY, SPREAD, SUPPLY, LOG, COUNTS,
        )  # fmt: skip
        if gate == 0:
            i = value
        elif gate == 1:
            i = i * value
        elif gate == 2:
            state = _rounded((value * state + i) / c_lsb, -c_half, c_half - 1.0) * c_lsb
        else:
            o = value
    tl.store(c + at, state, mask=inside)
    found, clocks, pulsed, did_state = _state(
        state, chip, unit, row, inside, here, state_gain, drawn, draws, of_state, hidden, state_table, state_ramp,
        state_values, state_steps, state_decisions, state_ramps, state_row, tanh, top, per_clock, c_lsb, c_half,
        chips, clocks, pulsed, did_state, STATE_NOISY, SUPPLY, STATE_LOG, RAMP, COUNTS,
    )  # fmt: skip
    pulse = _rounded(o * found * per_value, -top, top)
    if out_steps > 0:
        tl.store(out + (sample * out_steps + t)[:, None] * hidden + unit[None, :], pulse, mask=inside)
    x = _arrived(pulse, settled, top, inside, SETTLED)
    x = tl.where(inside, x, 0.0)
    tl.store(next_x + at, x, mask=inside)
    if NEXT:
        rows = tl.load(by_row + chip * hidden + unit, mask=here, other=0.0)[None, :]
        tl.store(next_part + sample * part_rows + block, tl.sum(x * x * rows, axis=1), mask=s < n)
    if COUNTS:
        size = chips * n
        tl.atomic_add(did + sample, did_gates, mask=s < n)
        tl.atomic_add(did + size + sample, did_words, mask=s < n)
        tl.atomic_add(did + 2 * size + sample, pulsed, mask=s < n)
        tl.atomic_add(did + 3 * size + sample, clocks, mask=s < n)
        tl.atomic_add(did + 4 * size + sample, did_state, mask=s < n)


@triton.jit(do_not_specialize=["t"])
def _project(
    t, z_h, spread_h, parts, out, next_x, next_part, by_row, settled,
    by_column, shift, floor, drawn, gains, table, ramp, values, steps, did,
    n, many, chips, outputs, wide, draws, decisions, ramps, lsb, half,
    top, per_value, part_rows, given_parts,
    NOISY: tl.constexpr, SPREAD: tl.constexpr, SUPPLY: tl.constexpr, LOG: tl.constexpr, EACH: tl.constexpr,
    SETTLED: tl.constexpr, COUNTS: tl.constexpr, PARTS: tl.constexpr, NEXT: tl.constexpr, S: tl.constexpr,
    H: tl.constexpr,
):  # fmt: skip
    """A projection behind its product, as ``_one_step``."""
    chip = tl.program_id(0).to(tl.int64)
    block = tl.program_id(2)
    s, unit = tl.program_id(1) * S + tl.arange(0, S), block * H + tl.arange(0, H)
    here = unit < outputs
    inside = (s < n)[:, None] & here[None, :]
    sample = chip * n + s
    row = sample * many + t
    none = tl.zeros([S], tl.int32)
    fixed = chip * wide + unit
    z = tl.load(z_h + sample[:, None] * wide + unit[None, :], mask=inside, other=0.0)
    spread = tl.zeros([S, 1], tl.float32)
    if SPREAD == 1:
        p = tl.arange(0, PARTS)
        held = (s < n)[:, None] & (p < given_parts)[None, :]
        spread = tl.sum(tl.load(parts + sample[:, None] * given_parts + p[None, :], mask=held, other=0.0), axis=1)[
            :, None
        ]
        spread = spread * tl.load(by_column + fixed, mask=here, other=0.0)[None, :]
    if SPREAD == 2:
        spread = tl.load(spread_h + sample[:, None] * wide + unit[None, :], mask=inside, other=0.0)
    gain = tl.full([S, 1], 1.0, tl.float32)
    if SUPPLY:
        gain = tl.load(gains + row, mask=s < n, other=1.0)[:, None]
    noise = z
    if NOISY:
        noise = tl.load(drawn + row[:, None] * draws + (decisions + unit)[None, :], mask=inside, other=0.0)
    moved = tl.load(shift + fixed, mask=here, other=0.0)[None, :]
    least = tl.load(floor + fixed, mask=here, other=0.0)[None, :]
    seen = _seen(z, spread, gain, moved, least, noise, NOISY, SUPPLY)
    table_row = row if EACH else chip + none
    place = (table_row[:, None] * ramps + tl.load(ramp + unit, mask=here, other=0)[None, :]) << LOG
    code = _code(seen, table, place, inside, lsb, half, LOG)
    if COUNTS:
        tl.atomic_add(did + sample, tl.sum(tl.load(steps + code, mask=inside, other=0), axis=1), mask=s < n)
    pulse = _rounded(tl.load(values + code, mask=inside, other=0.0) * per_value, -top, top)
    tl.store(out + row[:, None] * outputs + unit[None, :], pulse, mask=inside)
    x = tl.where(inside, _arrived(pulse, settled, top, inside, SETTLED), 0.0)
    tl.store(next_x + sample[:, None] * outputs + unit[None, :], x, mask=inside)
    if NEXT:
        rows = tl.load(by_row + chip * outputs + unit, mask=here, other=0.0)[None, :]
        tl.store(next_part + sample * part_rows + block, tl.sum(x * x * rows, axis=1), mask=s < n)


def _shared(run: Steps, before: Tensors) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Arguments that both kernels of a step take: tensors, numbers, and what is compiled in."""
    fused, main, state, (chips, n, steps, _) = run.layer, run.main, run.state, run.out.shape
    ways, back = main.converters, state.converters
    nothing = main.shift  # stands for what is not read
    gain = before.get("gain", nothing)
    of_state = (
        torch.stack([state.gain, state.offset, state.variance, state.floor, state.shift])
        if state.gain.numel()
        else nothing
    )
    counted = torch.zeros((5, chips, n if run.counts else 0), dtype=torch.int32, device=run.c.device)
    tensors = [
        before["z"], before["spread"] if before["spread"].numel() else nothing,
        main.by_column if main.by_column.numel() else nothing, main.shift, main.floor, before["drawn"], gain,
        before.get("state gain", nothing), before["table"] if ways.log else nothing, ways.ramp, ways.values, ways.steps,
        ways.words, of_state, before["state table"] if back.log else nothing, back.ramp,
        back.values if back.values.numel() else nothing, back.steps if back.steps.numel() else ways.steps,
        state.table if state.table.numel() else nothing, counted,
    ]  # fmt: skip
    numbers = [
        n, steps, chips, fused.hidden, main.weights.shape[-1], main.draws, int(fused.first[-1, 0]),
        ways.decisions, max(1, ways.levels.shape[1] if ways.log else 1), ways.values.shape[1], ways.lsb, ways.half,
        back.decisions,
        max(1, back.levels.shape[1] if back.log else 1), float(fused.top), state.per_clock, float(fused.per_value),
        float(fused.state_lsb),
        float(fused.state_half),
    ]  # fmt: skip
    compiled = {
        "NOISY": ways.decisions >= 0,
        "SPREAD": _spread(main),
        "SUPPLY": "gain" in before,
        "LOG": ways.log,
        "EACH": before["table"].shape[2] > 1 or (ways.walks >= 0),
        "STATE_NOISY": back.decisions >= 0,
        "STATE_LOG": back.log,
        "STATE_EACH": back.walks >= 0,
        "RAMP": state.gain.numel() > 0,
        "COUNTS": run.counts,
    }
    return tensors, numbers, compiled


def _spread(product: Product) -> int:
    """How variances are known: not at all, by a number a sample, by one a sample and column."""
    return 2 if product.variances.numel() else int(product.by_row.numel() > 0)


def _counts(run: Steps, counted: torch.Tensor) -> None:
    if not run.counts:
        return
    for name, one in zip(("gates", "words", "pulses", "clocks", "state"), counted, strict=True):
        run.did[name].copy_(one)


def halves(main: Product, fed: slice, other: int) -> tuple[torch.Tensor, ...]:
    """Fed-back weights, gate by gate, as the sum of two of half precision, ``(chips, 4, size, size)``, their variances
    as one, and what takes the scales of both back, ``(chips, 2)``; the last gate's columns start at ``other``."""
    hidden = fed.stop - fed.start
    size = max(16, triton.next_power_of_2(hidden))

    def gates(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = torch.stack([values[:, fed, at : at + hidden] for at in (0, hidden, 2 * hidden, other)], dim=1)
        found = torch.nn.functional.pad(found, (0, size - hidden, 0, size - hidden))
        scale = torch.exp2(torch.floor(torch.log2(LARGEST / found.abs().amax(dim=(1, 2, 3)).clamp_min(1e-30))))
        return found * scale[:, None, None, None], 1.0 / scale

    weights, scale = gates(main.weights)
    high = weights.half()
    low = (weights - high.float()).half()
    spreads, of_spreads = gates(main.variances) if main.variances.numel() else (high, scale)
    return high, low, spreads.half(), torch.stack([scale, of_spreads], dim=1).contiguous()


def all_steps(run: Steps, before: Tensors) -> None:
    """The steps of a layer: one kernel for all of them where it is small and not projected, else some for each."""
    if run.halves:
        _at_once(run, before)
    else:
        _step_by_step(run, before)


def _stages(device: torch.device, held: int, matrices: int) -> int:
    """3, so that one gate is multiplied while the next one's weights come; 1 where shared memory is too small."""
    has = getattr(torch.cuda.get_device_properties(device), "shared_memory_per_block_optin", 0)
    return 3 if has >= 2 * matrices * 2 * held**2 + OTHER_SHARED_BYTES else 1


def _at_once(run: Steps, before: Tensors) -> None:
    fused, main, (chips, n, _, fed) = run.layer, run.main, run.out.shape
    rows = slice(fused.inputs, fused.inputs + fed)
    held = run.halves[0].shape[-1]
    tensors, numbers, compiled = _shared(run, before)
    settled = main.settled if main.settled.numel() else main.shift
    _all_steps[(chips, triton.cdiv(n, SAMPLES))](
        main.arrived(run.h0, float(fused.top)), *run.halves, run.c, run.out,
        main.by_row[:, rows].contiguous() if main.by_row.numel() else main.shift, settled,
        *tensors, *numbers, **compiled, SETTLED=main.settled.numel() > 0, S=SAMPLES, K=held,
        num_warps=held // UNITS_A_WARP, STAGES=_stages(run.c.device, held, 3 if compiled["SPREAD"] == 2 else 2),
    )  # fmt: skip
    _counts(run, tensors[-1])


def _step_by_step(run: Steps, before: Tensors) -> None:
    fused, main, after, (chips, n, steps, fed) = run.layer, run.main, run.projection, run.out.shape
    hidden, top = fused.hidden, float(fused.top)
    rows = slice(fused.inputs, fused.inputs + fed)
    weights = main.weights[:, rows]
    x, units = main.arrived(run.h0, top), main.shift.new_empty((chips, n, hidden))
    tensors, numbers, compiled = _shared(run, before)
    of_rows = main.by_row[:, rows].contiguous() if main.by_row.numel() else main.shift
    samples, across = 2, min(128, triton.next_power_of_2(hidden))
    z = main.shift.new_empty((chips, n, main.weights.shape[-1]))
    spread_h = torch.empty_like(z) if compiled["SPREAD"] == 2 else z
    blocks = triton.cdiv(fed, across)
    # Two, since some programs of a step write while others read.
    parts = [main.shift.new_zeros((chips, n, blocks)) for _ in range(2)]
    if compiled["SPREAD"] == 1:
        parts[0][..., 0] = (x.square() * of_rows[:, None]).sum(-1)
    taken = [x.clone(), torch.empty_like(x)]
    if after is not None:
        unit_blocks = triton.cdiv(hidden, across)
        unit_parts = main.shift.new_zeros((chips, n, unit_blocks))
        z_p = main.shift.new_empty((chips, n, after.weights.shape[-1]))
        spread_p = torch.empty_like(z_p) if _spread(after) == 2 else z_p
        drawn_p, did = before["projected"], torch.zeros((chips, n), dtype=torch.int32, device=run.c.device)
    next_product = main if after is None else after
    next_rows = of_rows if after is None else (after.by_row if after.by_row.numel() else main.shift)
    next_settled = next_product.settled if next_product.settled.numel() else main.shift
    own_settled = main.settled if main.settled.numel() else main.shift
    for t in range(steps):
        now, then = (0, 0) if after is not None else (t % 2, (t + 1) % 2)
        torch.bmm(taken[now], weights, out=z)
        if compiled["SPREAD"] == 2:
            torch.bmm(taken[now].square(), main.variances[:, rows], out=spread_h)
        _one_step[(chips, triton.cdiv(n, samples), triton.cdiv(hidden, across))](
            t, z, spread_h, parts[now], run.c, run.out if after is None else run.units,
            taken[then] if after is None else units, parts[then] if after is None else unit_parts, next_rows,
            next_settled, *tensors, *numbers, steps if after is None else run.units.shape[2],
            triton.cdiv(hidden, across), blocks, **compiled, SETTLED=next_product.settled.numel() > 0,
            PARTS=triton.next_power_of_2(blocks), NEXT=_spread(next_product) == 1, S=samples, H=across, num_warps=4,
        )  # fmt: skip
        if after is None:
            continue
        torch.bmm(units, after.weights, out=z_p)
        if _spread(after) == 2:
            torch.bmm(units.square(), after.variances, out=spread_p)
        ways = after.converters
        _project[(chips, triton.cdiv(n, samples), blocks)](
            t, z_p, spread_p, unit_parts, run.out, taken[0], parts[0], of_rows, own_settled,
            after.by_column if after.by_column.numel() else after.shift, after.shift, after.floor, drawn_p,
            before.get("projected gain", after.shift), before["projected table"] if ways.log else after.shift,
            ways.ramp,
            ways.values, ways.steps, did, n, steps, chips, fed, after.weights.shape[-1], after.draws, ways.decisions,
            max(1, ways.levels.shape[1] if ways.log else 1), ways.lsb, ways.half, top, float(fused.per_value), blocks,
            unit_blocks,
            NOISY=ways.decisions >= 0, SPREAD=_spread(after), SUPPLY="gain" in before, LOG=ways.log,
            EACH=ways.walks >= 0, SETTLED=main.settled.numel() > 0, COUNTS=run.counts,
            PARTS=triton.next_power_of_2(unit_blocks), NEXT=_spread(main) == 1, S=samples, H=across, num_warps=4,
        )  # fmt: skip
    _counts(run, tensors[-1])
    if after is not None and run.counts:
        run.did["projected"].copy_(did)
