"""Softmax and norms: sums over a row, a table for the exponential, the reciprocal or the root, and products.

A table is enough for each function, since words have few bits and a sum is first shifted until its leading one is in
front; Yu et al. (DAC 2022, arXiv 2112.02191) replace these functions and GELU in transformers by tables, of straight
pieces, accurately. Exponentials, reciprocals and roots have twice the words' bits. What comes out is rounded to the
words' bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from configs.errors import InputError
from mappings.network.digital_calls.work import (
    Buffer,
    Call,
    Part,
    Stage,
    Work,
    accumulates,
    adds,
    aligns,
    growth,
    looks_up,
    multiplies,
    power_of_two,
    products,
)


def softmax_stages(rows: int, n: int, bits: int) -> tuple[list[Stage], Buffer]:
    """``exp(x - max) / sum`` of each row of ``n``, and the row of exponentials that waits for its sum."""
    every, wide = rows * n, 2 * bits
    stages = [
        *_exponentials(rows, n, bits),
        Stage("reciprocals", rows, (aligns(rows, wide + growth(n)), looks_up(rows))),
        Stage("quotients", every, (multiplies(every, wide, wide), aligns(every, wide))),
    ]
    return stages, Buffer(every * wide, n * wide)


def _exponentials(rows: int, n: int, bits: int) -> list[Stage]:
    every, fewer, width = rows * n, rows * (n - 1), 2 * bits + growth(n)
    return [
        Stage("largest of each row", fewer, (adds(fewer, bits),)),
        Stage("exponentials", every, (adds(every, bits), looks_up(every))),
        Stage("sums of exponentials", fewer, accumulates(fewer, width)),
    ]


def softmax(call: Call, bits: int) -> Work:
    """Softmax or its logarithm over one dimension."""
    n = int(call.out.shape[call.given("dim")]) if call.out.dim() else 1
    rows = call.values // max(n, 1)
    if "log" in call.name:
        stages = [
            *_exponentials(rows, n, bits),
            Stage("logarithms", rows, (aligns(rows, 2 * bits + growth(n)), looks_up(rows))),
            Stage("differences", call.values, (adds(2 * call.values, 2 * bits),)),
        ]
        waits: tuple[Buffer, ...] = ()
    else:
        stages, row = softmax_stages(rows, n, bits)
        waits = (row,)
    what = f"{'logarithm of a ' if 'log' in call.name else ''}softmax of {rows} x {n} values"
    return Work(
        what=what,
        why="it takes the sum over a whole row, which a converter of one column has not",
        stages=tuple(stages),
        rows_wait=waits,
    )


def log_sum_exp(call: Call, bits: int) -> Work:
    """``max + log(sum exp(x - max))`` of each row."""
    rows, n = call.values, call.x.numel() // max(call.values, 1)
    stages = [
        *_exponentials(rows, n, bits),
        Stage("logarithms", rows, (aligns(rows, 2 * bits + growth(n)), looks_up(rows), adds(rows, 2 * bits))),
    ]
    what = f"logarithm of sums of exponentials of {rows} x {n} values"
    return Work(what=what, why="it takes the sum over a whole row", stages=tuple(stages))


def moments(rows: int, n: int, bits: int, *, mean: bool = True) -> list[Stage]:
    """Sum and sum of squares of each row in one pass, and its variance (or mean square) from them: ``E x^2 - (E x)^2``.

    The factor ``1 / n`` has ``2 bits``, and where n is a power of two there is no product with it.
    """
    every, fewer, wide = rows * n, rows * (n - 1), 2 * bits
    summed = accumulates(fewer, bits + growth(n)) if mean else ()
    squares = products("", rows, n, bits, bits).parts
    stages = [Stage("sums and squares", every, (*summed, *squares))]
    parts: list[Part] = []
    if not power_of_two(n):
        parts.append(multiplies(rows, wide + growth(n), wide))
        if mean:
            parts.append(multiplies(rows, bits + growth(n), wide))
    if mean:
        parts += [multiplies(rows, wide, wide), adds(rows, 2 * wide)]
    return [*stages, Stage("variances" if mean else "mean squares", rows, tuple(parts))] if parts else stages


def _normalised(call: Call, bits: int, rows: int, n: int, *, mean: bool, parameters: Sequence[str]) -> Work:
    """``(x - mean) / deviation`` of each row, then scales and offsets where there are any."""
    every, wide = rows * n, 2 * bits
    scaled, offset = (call.given(name) is not None for name in parameters)
    stages = moments(rows, n, bits, mean=mean)
    stages.append(Stage("inverse roots", rows, (adds(rows, 2 * wide), aligns(rows, 2 * wide), looks_up(rows))))
    parts = [adds(every, wide)] if mean else []
    parts += [multiplies(every, wide, wide), aligns(every, wide)]
    parts += [multiplies(every, wide, bits)] if scaled else []
    parts += [adds(every, wide + bits)] if offset else []
    stages.append(Stage("normalised values", every, tuple(parts)))
    given = [call.given(name) for name in parameters]
    stored = sum(int(one.numel()) for one in given if one is not None)
    return Work(
        what=f"{call.name.replace('native_', '').strip('_')} of {rows} x {n} values",
        why="mean and deviation of the values change with the input, so they cannot be folded into weights",
        stages=tuple(stages),
        stored=stored if call.stored is None else call.stored,
    )


def layer_norm(call: Call, bits: int) -> Work:
    """Over the last dimensions, with a mean (layer norm) or without (root-mean-square norm)."""
    n = math.prod(int(size) for size in call.given("normalized_shape"))
    with_mean = "rms" not in call.name
    parameters = ("weight", "bias" if with_mean else "")
    return _normalised(call, bits, call.x.numel() // n, n, mean=with_mean, parameters=parameters)


def group_norm(call: Call, bits: int) -> Work:
    """Over each group of channels; an instance norm's groups are single channels."""
    if call.given("use_input_stats") is False:
        return batch_norm(call, bits)
    groups = call.given("num_groups") or call.given("group") or int(call.x.shape[1])
    rows = int(call.x.shape[0]) * groups
    return _normalised(call, bits, rows, call.x.numel() // rows, mean=True, parameters=("weight", "bias"))


def batch_norm(call: Call, bits: int) -> Work:
    """Mean and deviation are those of training: a factor and an offset a channel, computed beforehand."""
    if call.given("training"):
        raise InputError(f"{call.path}: {call.overload}: takes statistics of a batch, and one inference has none")
    n = call.values
    stored = 2 * int(call.x.shape[1])
    return Work(
        what=f"batch norm of {n} values",
        why="it is not folded into the weights of a layer before it",
        stages=(Stage("scales and offsets", n, (multiplies(n, bits, bits), adds(n, 2 * bits + 1))),),
        stored=stored if call.stored is None else call.stored,
    )
