"""Calls that make one value of many: sums, means, extremes, deviations, and pooling."""

from __future__ import annotations

import math
from typing import Any

from configs.errors import InputError
from mappings.network.digital_calls.normalisation import moments
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
    shape_of,
)

WHY = "it takes many values that leave tiles"


def _rows(call: Call) -> tuple[int, int]:
    """How many values come out, and of how many values each."""
    return call.values, int(call.x.numel()) // max(call.values, 1)


def summed(call: Call, bits: int) -> Work:
    """Sums of n words, ``log2(n)`` bits wider; a mean is a product with ``1 / n`` more, but for powers of two.

    Layers give their words step by step and position by position: every sum grows in a register of its own, where it
    stays until it is read.
    """
    rows, n = _rows(call)
    width = bits + growth(n)
    stages = [Stage("sums", rows * (n - 1), (adds(rows * (n - 1), width),))]
    if call.name == "mean" and not power_of_two(n):
        stages.append(Stage("divisions by their number", rows, (multiplies(rows, width, bits),)))
    sums = Buffer(float(rows * n * width), float(rows * width))
    what = f"{call.name} of {rows} x {n} values"
    return Work(what=what, why=WHY, stages=tuple(stages), rows_wait=(sums,), kept=False)


def cumulated(call: Call, bits: int) -> Work:
    """Running sums along a dimension."""
    n = int(call.out.shape[call.given("dim")]) if call.out.dim() else 1
    additions = call.values - call.values // max(n, 1)
    stage = Stage("sums", additions, accumulates(additions, bits + growth(n)))
    return Work(what=f"running sums of {shape_of(call.out)} values", why=WHY, stages=(stage,))


def extreme(call: Call, bits: int) -> Work:
    """Largest or smallest of n words, or its place: ``n - 1`` comparisons; of masks, as many gates."""
    rows, n = _rows(call)
    width = 1 if call.name in ("any", "all") else bits
    stage = Stage("comparisons", rows * (n - 1), (adds(rows * (n - 1), width),))
    return Work(what=f"{call.name} of {rows} x {n} values", why=WHY, stages=(stage,))


def deviation(call: Call, bits: int) -> Work:
    """Variances from sums and sums of squares, and their roots; a Euclidean norm is the root of a sum of squares."""
    rows, n = _rows(call)
    norm = "norm" in call.name
    order = call.given("ord") if call.name == "linalg_vector_norm" else call.given("p")
    if norm and order not in (2, None):
        raise InputError(f"{call.path}: {call.overload}: a norm of order 2 (got {order!r})")
    stages = moments(rows, n, bits, mean=not norm)[: 1 if norm else None]
    if call.name != "var":
        stages.append(Stage("roots", rows, (aligns(rows, 4 * bits), looks_up(rows), aligns(rows, 2 * bits))))
    return Work(what=f"{call.name} of {rows} x {n} values", why=WHY, stages=tuple(stages))


def pooled(call: Call, bits: int) -> Work:
    """Largest value or mean of each window, places beyond the edges not counted.

    A mean is a sum and a product with the reciprocal of the number; where that is one power of two, there is no
    product.
    """
    dims = int(call.name.removesuffix("_with_indices")[-2])
    channels = math.prod(int(n) for n in call.out.shape[:-dims])
    windows = [_windows(call, place, dims) for place in range(dims)]
    inside = channels * math.prod(sum(each) for each in windows)
    joins = inside - call.values
    if "max" in call.name:
        stages = [Stage("comparisons", joins, (adds(joins, bits),))]
    else:
        most = math.prod(max(each) for each in windows)
        wide = bits + growth(most)
        stages = [Stage("sums", joins, accumulates(joins, wide))]
        divisors = _divisors(call, windows, dims)
        if not all(power_of_two(one) for one in divisors):
            stages.append(Stage("divisions by their number", call.values, (multiplies(call.values, wide, bits),)))
    return Work(what=f"{call.name} to {shape_of(call.out)} values", why=WHY, stages=tuple(stages))


def _listed(value: Any, place: int) -> int | None:
    """An entry of an option that is given for each dimension, or once for all."""
    if value is None or value == []:
        return None
    if isinstance(value, (list, tuple)):
        return int(value[place if len(value) > 1 else 0])
    return int(value)


def _windows(call: Call, place: int, dims: int) -> list[int]:
    """How many places of the input are in each window along one dimension."""
    before, after = (int(shape[place - dims]) for shape in (call.x.shape, call.out.shape))
    if "adaptive" in call.name:
        return [-(-(i + 1) * before // after) - i * before // after for i in range(after)]
    kernel = _listed(call.given("kernel_size"), place) or 1
    stride = _listed(call.given("stride"), place) or kernel
    padding = _listed(call.given("padding"), place) or 0
    dilation = _listed(call.given("dilation"), place) or 1
    starts = [i * stride - padding for i in range(after)]
    return [sum(0 <= start + tap * dilation < before for tap in range(kernel)) for start in starts]


def _divisors(call: Call, windows: list[list[int]], dims: int) -> set[int]:
    """By what the sums of a mean are divided."""
    if (stated := call.given("divisor_override")) is not None:
        return {int(stated)}
    if "adaptive" not in call.name and call.given("count_include_pad"):
        return {math.prod(_listed(call.given("kernel_size"), place) or 1 for place in range(dims))}
    found = {1}
    for each in windows:
        found = {one * size for one in found for size in set(each)}
    return found


def interpolated(call: Call, bits: int) -> Work:
    """Weighted means of the two neighbours along each dimension: as many products as corners, with stored weights."""
    corners = 2 ** {"linear": 1, "bilinear": 2, "trilinear": 3}[call.name.removeprefix("upsample_")[:-2]]
    n = call.values
    parts: tuple[Part, ...] = (
        multiplies(n * corners, bits, bits),
        *accumulates(n * (corners - 1), 2 * bits + growth(corners)),
    )
    what = f"interpolation to {shape_of(call.out)} values"
    return Work(what=what, why=WHY, stages=(Stage("sums", n * corners, parts),))
