"""Products of two matrices that both change with the input, attention among them, and layers that stay digital."""

from __future__ import annotations

import math

import torch

from mappings.network.digital_calls.normalisation import softmax_stages
from mappings.network.digital_calls.work import (
    Call,
    Stage,
    Work,
    adds,
    growth,
    multiplies,
    power_of_two,
    products,
    shape_of,
)

WHY = "both factors change with the input, and cells hold weights that stay"
STAYS = "it was asked to stay digital"
WITH_A_SUM = ("addmm", "baddbmm", "addmv")


def matrix_product(call: Call, bits: int) -> Work:
    """``(..., m, k) x (..., k, n)``: ``m k n`` products; ``addmm`` and ``baddbmm`` add a matrix to it."""
    adds_one = call.name in WITH_A_SUM
    first, second = call.tensors[1:3] if adds_one else call.tensors[:2]
    length = 1 if call.name == "outer" else int(first.shape[-1])
    stages = [products("products", call.values, length, bits, bits)]
    if adds_one:
        width = 2 * bits + growth(length + 1)
        factors = [call.given(name) for name in ("alpha", "beta")]
        scales = [multiplies(call.values, 2 * bits, bits) for one in factors if not power_of_two(one)]
        stages.append(Stage("sums with a matrix", call.values, (*scales, adds(call.values, width))))
    shapes = " by ".join("(" + " x ".join(str(int(n)) for n in one.shape) + ")" for one in (first, second))
    return Work(
        what=f"product of matrices {shapes}",
        why=WHY,
        stages=tuple(stages),
        ops=2.0 * call.values * length,
        stored=call.stored or 0,
    )


def layer_product(call: Call, bits: int) -> Work:
    """A linear layer or a convolution that stays digital: a product for each weight at each of its positions.

    Products with the zeros of a padding are counted. Weights wait on the chip, each read once for all its positions.
    """
    weight, bias = call.given("weight"), call.given("bias")
    length = weight[0].numel()
    stages = [products("products", call.values, length, bits, bits)]
    if bias is not None:
        stages.append(Stage("biases", call.values, (adds(call.values, 2 * bits + growth(length + 1)),)))
    stored = weight.numel() + (0 if bias is None else bias.numel()) if call.stored is None else call.stored
    groups = call.given("groups") or 1
    of = f" of {groups} groups" if groups > 1 else ""
    return Work(
        what=f"{call.name}{of} to {shape_of(call.out)} values, {length} products each",
        why=STAYS if stored else WHY,
        stages=tuple(stages),
        ops=2.0 * call.values * length,
        stored=stored,
    )


def einstein_sum(call: Call, bits: int) -> Work:
    """A sum over all letters of the equation, of two operands; several of one product go one after the other.

    A sum of one operand adds up what it drops; further operands multiply each term once more, at the words' bits.
    """
    equation, operands = call.given("equation").replace(" ", ""), call.given("tensors")
    sizes: dict[str, int] = {}
    rest = 1
    for letters, tensor in zip(equation.split("->")[0].split(","), operands, strict=True):
        named = letters.replace("...", "")
        before = letters.index("...") if "..." in letters else len(named)
        spread = tensor.dim() - len(named)
        rest = max(rest, math.prod(int(n) for n in tensor.shape[before : before + spread]))
        places = [*range(before), *range(before + spread, tensor.dim())]
        for letter, place in zip(named, places, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), int(tensor.shape[place]))
    terms = rest * math.prod(sizes.values())
    length = terms / max(call.values, 1)
    several = len(operands) - 1
    stages = [products("sums of products", call.values, length, bits, bits if several else 0)]
    if several > 1:
        stages.insert(0, Stage("products of further factors", terms, (multiplies(terms * (several - 1), bits, bits),)))
    return Work(
        what=f"sum of products {equation}",
        why=WHY,
        stages=tuple(stages),
        ops=2.0 * terms * several,
        stored=call.stored or 0,
    )


def attention(call: Call, bits: int) -> Work:
    """``softmax(scale q k^T + mask) v``: every score is computed, those that a causal mask then drops too.

    Scores are scaled as whole sums and rounded to ``bits`` before the softmax, whose quotients have ``bits`` again.
    """
    query, key, value = (call.given(name) for name in ("query", "key", "value"))
    rows, width, keys, values = (
        math.prod(int(n) for n in query.shape[:-1]),
        *(int(n) for n in (query.shape[-1], key.shape[-2], value.shape[-1])),
    )
    scores = rows * keys
    stages = [products("scores", scores, width, bits, bits)]
    sum_bits = 2 * bits + growth(width)
    scale = call.given("scale")
    if not power_of_two(1.0 / math.sqrt(width) if scale is None else scale):
        stages.append(Stage("scale", scores, (multiplies(scores, sum_bits, bits),)))
    mask = call.given("attn_mask")
    if mask is not None or call.given("is_causal"):
        summed = torch.is_tensor(mask) and mask.dtype.is_floating_point
        stages.append(Stage("mask", scores, (adds(scores, bits + 1 if summed else bits),)))
    softmax, waits = softmax_stages(rows, keys, bits)
    stages += [*softmax, products("weighted values", rows * values, keys, bits, bits)]
    return Work(
        what=f"attention of {rows} rows of {width} over {keys} keys: scores, softmax, weighted values",
        why=WHY + "; a softmax takes the values of a whole row",
        stages=tuple(stages),
        ops=2.0 * scores * (width + values),
        rows_wait=(waits,),
        stored=call.stored or 0,
    )
