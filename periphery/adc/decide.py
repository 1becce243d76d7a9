"""Decisions of comparators, compiled: sorted thresholds, successive approximation, and thermometers, with noise.

A comparator that sees ``d`` above its threshold with Gaussian noise ``sigma`` says yes with the probability
``Phi(d / sigma)``: one even number against Phi, in place of a normal number drawn for every decision. A
sample's seed, 64 bits, comes from the block's generator, and the numbers of its decisions are hashed from it and from
their place; so they depend on the experiment's seed, chip, block and place alone. Decisions of all columns are made
beside each other, without a branch on data, and fill the processor's vectors. Tensors of a GPU come to the host for
it, except those of an ideal quantiser.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit

from devices import BlockNoise, InputError


@njit(nogil=True, cache=True, inline="always")
def _even(place: Any, seed: Any, other: Any) -> Any:
    """An even number strictly between 0 and 1, of 23 bits, from a place and two words of seed; the constants are those
    of a 32-bit integer hash of little bias (C. Wellons, hash-prospector, public domain)."""
    # Each product is cut to 32 bits: numba would go on in 64, which fewer vectors multiply.
    x = np.uint32(np.uint32(place) * np.uint32(0x9E3779B9) + seed)
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD) + other)
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(15))) * np.uint32(0xD35A2D97))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    return (np.float32(np.int32(x >> np.uint32(9))) + np.float32(0.5)) * np.float32(2.0**-23)


@njit(nogil=True, cache=True, inline="always")
def _chance(s: Any) -> Any:
    """``Phi(s)`` within 1e-6: formula 7.1.28 of Abramowitz and Stegun (1964). What is less likely than the smallest
    even number never happens: beyond 5.3 sigma no decision goes wrong."""
    x = min(np.float32(abs(s)), np.float32(40.0)) * np.float32(0.70710678)
    p = np.float32(0.0000430638) * x + np.float32(0.0002765672)
    p = p * x + np.float32(0.0001520143)
    p = p * x + np.float32(0.0092705272)
    p = p * x + np.float32(0.0422820123)
    p = p * x + np.float32(0.0705230784)
    p = p * x + np.float32(1.0)
    p *= p
    p *= p
    p *= p
    p *= p
    tail = np.float32(0.5) / p
    return tail if s < np.float32(0.0) else np.float32(1.0) - tail


@njit(nogil=True, cache=True, error_model="numpy")
def _search(u: Any, table: Any, per: int, first: Any, codes: Any) -> None:
    """``table``: (chips | 1, ramps | 1, converters, thresholds), rising. Starting from where even steps from ``first``
    on would put it, a code walks to its place."""
    chips, samples, ramps, columns = u.shape
    own_chip, own_ramp, _, last = table.shape
    for chip in range(chips):
        for sample in range(samples):
            for ramp in range(ramps):
                rows = table[chip % own_chip, ramp % own_ramp]
                for column in range(columns):
                    x = u[chip, sample, ramp, column]
                    row = rows[column // per]
                    guess = x - first
                    code = 0
                    if guess >= last:
                        code = last
                    elif guess > 0.0:
                        code = int(guess)
                    while code < last and row[code] <= x:
                        code += 1
                    while code > 0 and row[code - 1] > x:
                        code -= 1
                    codes[chip, sample, ramp, column] = code


@njit(nogil=True, cache=True, error_model="numpy")
def _approximate(u: Any, table: Any, per: int, offset: Any, noise: Any, bits: int, codes: Any) -> None:
    """Binary search by comparisons; ``table``: (chips, ramps, converters * 2^bits), what is compared with at a trial
    code; ``noise``: one over its standard deviation, or of size 0, and seeds."""
    per_sigma, seeds = noise
    chips, samples, ramps, columns = u.shape
    seen, above, code = np.empty(columns, np.float32), np.empty(columns, np.float32), np.empty(columns, np.int32)
    nothing = np.empty(0, np.float32)
    start = np.array([(column // per) << bits for column in range(columns)], np.int32)
    for chip in range(chips):
        for sample in range(samples):
            seed, other = seeds[chip, sample]
            for ramp in range(ramps):
                row = table[chip, ramp]
                sharp = per_sigma[chip, ramp] if per_sigma.size else nothing
                for column in range(columns):
                    seen[column] = u[chip, sample, ramp, column] + offset[chip, ramp, column]
                    code[column] = start[column]
                for k in range(bits):
                    step = np.int32(1 << (bits - 1 - k))
                    if per_sigma.size:
                        place = np.int32((ramp * bits + k) * columns)
                        # Gathered first: a loop that gathers and writes what it gathers by fills no vectors.
                        for column in range(columns):
                            above[column] = (seen[column] - row[code[column] + step]) * sharp[column]
                        for column in range(columns):
                            yes = _even(place + column, seed, other) < _chance(above[column])
                            code[column] += step if yes else np.int32(0)
                    else:
                        for column in range(columns):
                            code[column] += step if seen[column] >= row[code[column] + step] else np.int32(0)
                for column in range(columns):
                    codes[chip, sample, ramp, column] = code[column] - start[column]


ONES, FIRST_ZERO, HIGHEST_ONE = 0, 1, 2
DOUBT = 5.5  # sigma; from 5.44 on, ``_chance`` is beyond the smallest and the largest even number


@njit(nogil=True, cache=True, error_model="numpy")
def _thermometer(u: Any, table: Any, per: int, first: Any, reach: Any, noise: Any, encoder: int, codes: Any) -> None:
    """All comparators of a flash converter decide at once; ``table``: (chips, ramps, converters * count), their
    thresholds in their order; ``reach``: (2, chips, ramps, columns), how far below and above its even place a
    threshold of the column may be and still be in doubt. Only comparators in doubt are asked."""
    per_sigma, seeds = noise
    chips, samples, ramps, columns = u.shape
    count = table.shape[2] // ((columns + per - 1) // per)
    seen, above = np.empty(columns, np.float32), np.empty(columns, np.float32)
    low, at, seat = np.empty(columns, np.int32), np.empty(columns, np.int32), np.empty(columns, np.int32)
    code, whole = np.empty(columns, np.int32), np.empty(columns, np.int32)
    start = np.array([column // per * count for column in range(columns)], np.int32)
    all_of, none = np.float32(count), np.float32(0.0)
    for chip in range(chips):
        for sample in range(samples):
            seed, other = seeds[chip, sample]
            for ramp in range(ramps):
                row, sharp = table[chip, ramp], per_sigma[chip, ramp]
                below, beyond = reach[0, chip, ramp], reach[1, chip, ramp]
                seen[:] = u[chip, sample, ramp]
                widest = np.int32(0)
                for column in range(columns):
                    # Not-a-number fails every comparison and is below everything.
                    sure = seen[column] - first - below[column]
                    sure = sure if sure > none else none
                    some = seen[column] - first + beyond[column]
                    some = some if some > none else none
                    low[column] = np.int32(sure if sure < all_of else all_of)
                    widest = max(widest, np.int32(some if some < all_of else all_of) - low[column])
                # All columns ask as many; those asked without need answer as they must.
                for column in range(columns):
                    code[column] = min(low[column], count - widest)
                    at[column] = start[column] + code[column]
                    seat[column] = (ramp * count + code[column]) * columns + column
                    whole[column] = 1
                if encoder == HIGHEST_ONE:
                    low[:] = code
                for k in range(widest):
                    for column in range(columns):
                        above[column] = (seen[column] - row[at[column] + k]) * sharp[column]
                    further = np.int32(k * columns)
                    if encoder == ONES:
                        for column in range(columns):
                            code[column] += np.int32(
                                _even(seat[column] + further, seed, other) < _chance(above[column])
                            )
                    elif encoder == FIRST_ZERO:
                        for column in range(columns):
                            yes = np.int32(_even(seat[column] + further, seed, other) < _chance(above[column]))
                            whole[column] &= yes
                            code[column] += whole[column]
                    else:
                        for column in range(columns):
                            yes = _even(seat[column] + further, seed, other) < _chance(above[column])
                            code[column] = low[column] + np.int32(k + 1) if yes else code[column]
                codes[chip, sample, ramp] = code


def search(u: torch.Tensor, table: torch.Tensor, columns_per_adc: int, first: float) -> torch.Tensor:
    """Codes, int32, of ``u (chips, n, ramps, columns)``: the thresholds at or below it.

    ``table``: ``(chips | 1, ramps | 1, converters, count)``, rising, close to ``first + 1, first + 2, ..``: the closer,
    the faster. Raises ``InputError`` where a table falls.
    """
    falls = (table.diff(dim=-1) < 0).flatten(0, -2).any(0)
    if bool(falls.any()):
        raise InputError(
            f"table: thresholds in rising order (got one that falls after code {int(falls.nonzero()[0]) + 1})"
        )
    if u.device.type != "cpu":
        rows = table.repeat_interleave(columns_per_adc, dim=2)[:, :, : u.shape[-1]]
        rows = rows.expand(u.shape[0], *u.shape[2:], -1).to(u).contiguous()
        found = torch.searchsorted(rows, u.permute(0, 2, 3, 1).contiguous(), right=True, out_int32=True)
        return found.permute(0, 3, 1, 2)
    codes = np.empty(tuple(u.shape), np.int32)
    _search(_array(u), _array(table), columns_per_adc, np.float32(first), codes)
    return torch.from_numpy(codes).to(u.device)


def approximate(
    u: torch.Tensor,
    table: torch.Tensor,
    columns_per_adc: int,
    *,
    offset: torch.Tensor,
    sigma: torch.Tensor,
    noise: BlockNoise,
) -> torch.Tensor:
    """Codes of a successive approximation, int32; ``table (chips, ramps, converters, 2^bits)``: trial levels by code.

    ``offset`` and ``sigma``: (chips | 1, 1, ramps | 1, columns | 1) [LSB].
    """
    codes = np.empty(tuple(u.shape), np.int32)
    bits = table.shape[-1].bit_length() - 1
    spread = _spread(u, sigma, noise)
    _approximate(_array(u), _array(table.flatten(2)), columns_per_adc, _array(_each(offset, u)), spread, bits, codes)
    return torch.from_numpy(codes).to(u.device)


def thermometer(
    u: torch.Tensor,
    table: torch.Tensor,
    columns_per_adc: int,
    first: float,
    *,
    sigma: torch.Tensor,
    noise: BlockNoise,
    encoder: int,
) -> torch.Tensor:
    """Codes of noisy comparators that all decide at once, int32; shapes as in ``search`` and ``approximate``.

    The closer the thresholds are to ``first + 1, first + 2, ..`` and the less noise, the fewer comparators are in
    doubt, and the faster; those beyond ``DOUBT`` sigma would decide the same for every even number there is.
    """
    codes = np.empty(tuple(u.shape), np.int32)
    off = table - (torch.arange(1, table.shape[-1] + 1, device=table.device) + first)
    # A thousandth covers the rounding of places up to 2^12 in single precision.
    stray = [ends.clamp_min(0.0).repeat_interleave(columns_per_adc, dim=-1) for ends in (off.amax(-1), -off.amin(-1))]
    doubt = DOUBT * _each(sigma, u)
    below, beyond = (doubt + each[..., : u.shape[-1]].expand(doubt.shape) + 1e-3 for each in stray)
    reach = _array(torch.stack([below, beyond]))
    _thermometer(
        _array(u),
        _array(table.flatten(2)),
        columns_per_adc,
        np.float32(first),
        reach,
        _spread(u, sigma, noise),
        encoder,
        codes,
    )
    return torch.from_numpy(codes).to(u.device)


def _spread(u: torch.Tensor, sigma: torch.Tensor, noise: BlockNoise) -> tuple[Any, Any]:
    """One over the noise of every column, (chips, ramps, columns) or nothing, and two words of seed for each sample."""
    if not bool((sigma > 0).any()):
        return np.empty((0, 0, 0), np.float32), np.zeros((*u.shape[:2], 2), np.uint32)
    return _array(_each(1.0 / sigma, u)), noise.normal((2,)).contiguous().cpu().numpy().view(np.uint32)


def _each(values: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    return values.expand(u.shape[0], 1, *u.shape[2:])[:, 0]


def _array(values: torch.Tensor) -> Any:
    return values.float().contiguous().cpu().numpy()
