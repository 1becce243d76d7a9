"""Operators of ONNX without weights, as functions of torch, one for each operator.

A function takes the operator's inputs in order and its attributes by their names, with ONNX's defaults; sizes, axes and
positions come as int or tuple of int, never as tensors, so that ``torch.export`` keeps an open batch dimension open.
What moved from an attribute to an input with a later opset has one name, and comes either way.
Specification: https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from configs.errors import InputError
from workloads.network.exchange.onnx_file import DTYPES, Value

Ints = Sequence[int]
MOST_ELEMENTS = 1 << 28
"""Of a tensor that sizes in the file alone ask for."""
CODE_RANGES = {torch.int8: (-128, 127), torch.uint8: (0, 255), torch.int16: (-32768, 32767)}


def tensor_of(value: Value) -> Tensor:
    """A tensor as it is; whole numbers as int64."""
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.int64)


def ints(value: Value) -> tuple[int, ...]:
    """Whole numbers as a tuple. Raises InputError for a tensor, which is known only when the network runs."""
    if isinstance(value, Tensor):
        raise InputError("sizes, axes and positions that are known before the network runs (got computed ones)")
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def checked_rank(x: Tensor, dims: int) -> Tensor:
    """``x``, if it has ``dims`` dimensions; InputError otherwise."""
    if x.ndim != dims:
        raise InputError(f"an input of {dims} dimensions (got {x.ndim})")
    return x


def pads_of(
    sizes: Sequence[int], kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, auto_pad: str
) -> list[tuple[int, int]]:
    """Zeros before and after every spatial dimension of ``sizes``, by ``auto_pad`` where it says so."""
    if auto_pad == "VALID":
        return [(0, 0)] * len(kernel)
    if auto_pad == "NOTSET":
        return [(pads[k], pads[k + len(kernel)]) for k in range(len(kernel))]
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise InputError(f"auto_pad: NOTSET, VALID, SAME_UPPER or SAME_LOWER (got {auto_pad!r:.40})")
    found = []
    for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if auto_pad == "SAME_UPPER" else (more, less))
    return found


def padded(
    x: Tensor, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, auto_pad: str, fill: float = 0.0
) -> Tensor:
    """``x (batch, channels, sizes...)`` with ``fill`` around it, as a window of ``kernel`` asks for."""
    around = pads_of(x.shape[2:], kernel, strides, pads, dilations, auto_pad)
    return F.pad(x, [n for pair in reversed(around) for n in pair], value=fill) if any(map(any, around)) else x


def _pooled(
    kind: str, x: Tensor, kernel: Ints, strides: Ints | None, pads: Ints | None, dilations: Ints | None, how: str
) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]]]:
    """Strides, dilations and pads of a pool."""
    dims = len(kernel)
    if not 1 <= dims <= 2 or x.ndim != dims + 2:
        raise InputError(f"{kind} over 1 or 2 spatial dimensions (got a kernel of {dims} and an input of {x.ndim})")
    strides, dilations = tuple(strides or (1,) * dims), tuple(dilations or (1,) * dims)
    return strides, dilations, pads_of(x.shape[2:], kernel, strides, pads or (0,) * 2 * dims, dilations, how)


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    storage_order: int = 0,
) -> Tensor:
    """The largest value of every window."""
    strides, dilations, around = _pooled("a pool", x, kernel_shape, strides, pads, dilations, auto_pad)
    if all(before == after <= k // 2 for (before, after), k in zip(around, kernel_shape, strict=True)):
        padding = [before for before, _ in around]
    else:
        x = F.pad(x, [n for pair in reversed(around) for n in pair], value=-math.inf)
        padding = [0] * len(around)
    pool = F.max_pool1d if len(kernel_shape) == 1 else F.max_pool2d
    return pool(x, list(kernel_shape), list(strides), padding, list(dilations), bool(ceil_mode))


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Tensor:
    """The mean of every window, zeros around the input counted or not."""
    strides, dilations, around = _pooled("a pool", x, kernel_shape, strides, pads, dilations, auto_pad)
    if set(dilations) != {1}:
        raise InputError(f"AveragePool without dilation (got {dilations})")
    pool: Callable[..., Tensor] = F.avg_pool1d if len(kernel_shape) == 1 else F.avg_pool2d
    kernel, counted = list(kernel_shape), bool(count_include_pad)
    if all(before == after <= k // 2 for (before, after), k in zip(around, kernel, strict=True)):
        return pool(x, kernel, list(strides), [before for before, _ in around], bool(ceil_mode), counted)
    if ceil_mode:
        raise InputError("AveragePool with ceil_mode has equal pads on both sides")
    flat = [n for pair in reversed(around) for n in pair]
    means = pool(F.pad(x, flat), kernel, list(strides))
    return means if counted else means / pool(F.pad(torch.ones_like(x[:1, :1]), flat), kernel, list(strides))


def global_average_pool(x: Tensor) -> Tensor:
    """The mean over all spatial dimensions, which stay as 1."""
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    """The largest value over all spatial dimensions, which stay as 1."""
    return x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


def shape(x: Value, *, start: int = 0, end: int | None = None) -> tuple[int, ...]:
    """Sizes of ``x``, as whole numbers."""
    return tuple(tensor_of(x).shape)[start:end]


def reshape(x: Value, shape: Value, *, allowzero: int = 0) -> Value:
    """``x`` in another shape; 0 keeps a size, -1 takes what is left."""
    sizes = ints(shape)
    if not isinstance(x, Tensor):
        if len(sizes) > 1 or any(size not in (-1, len(ints(x))) for size in sizes):
            raise InputError(f"few whole numbers in one dimension (got the shape {sizes})")
        return ints(x) if sizes else ints(x)[0]
    return x.reshape([x.shape[k] if size == 0 and not allowzero else size for k, size in enumerate(sizes)])


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Two dimensions: all before ``axis``, and the rest."""
    axis = axis + x.ndim if axis < 0 else axis
    if axis == 0:
        return x.reshape(1, -1)
    if axis == x.ndim:
        return x.reshape(-1, 1)
    return x.flatten(axis).flatten(0, axis - 1)


def transpose(x: Tensor, *, perm: Ints | None = None) -> Tensor:
    """Dimensions in another order, by default the reverse."""
    return x.permute(*(range(x.ndim - 1, -1, -1) if perm is None else perm))


def squeeze(x: Value, axes: Value = None) -> Value:
    """Without dimensions of size 1."""
    if not isinstance(x, Tensor):
        return ints(x)[0] if len(ints(x)) == 1 else x
    if axes is None:
        return x.squeeze()
    wanted = ints(axes)
    if any(x.shape[axis] != 1 for axis in wanted):
        raise InputError(f"dimensions of size 1 are taken away (got axes {wanted} of {tuple(x.shape)})")
    return x.squeeze(wanted)


def unsqueeze(x: Value, axes: Value) -> Value:
    """With dimensions of size 1 at the axes of the result."""
    wanted = ints(axes)
    if isinstance(x, int) or type(x) is torch.SymInt:
        return (x,)
    x = tensor_of(x)
    for axis in sorted(axis + x.ndim + len(wanted) if axis < 0 else axis for axis in wanted):
        x = x.unsqueeze(axis)
    return x


def concat(*values: Value, axis: int) -> Value:
    """One after the other along ``axis``."""
    if any(isinstance(value, Tensor) for value in values):
        return torch.cat([tensor_of(value) for value in values], dim=axis)
    return tuple(number for value in values for number in ints(value))


def slice_of(x: Value, starts: Value, ends: Value, axes: Value = None, steps: Value = None) -> Value:
    """A part of each axis, as slices of Python."""
    first, last = ints(starts), ints(ends)
    along = ints(axes) if axes is not None else tuple(range(len(first)))
    by = ints(steps) if steps is not None else (1,) * len(first)
    if not isinstance(x, Tensor):
        return ints(x)[first[0] : last[0] : by[0]]
    for start, end, axis, step in zip(first, last, along, by, strict=True):
        if step < 0:
            kept = range(*slice(start, end, step).indices(x.shape[axis]))
            x = x.index_select(axis, torch.tensor(kept, dtype=torch.int64, device=x.device))
        else:
            x = x[(*(slice(None),) * (axis % x.ndim), slice(start, end, step))]
    return x


def gather(x: Value, indices: Value, *, axis: int = 0) -> Value:
    """Entries of ``x`` along ``axis``."""
    if not isinstance(x, Tensor):
        if isinstance(indices, Tensor):
            raise InputError("positions that are known before the network runs (got computed ones)")
        numbers = ints(x)
        return tuple(numbers[k] for k in indices) if isinstance(indices, tuple) else numbers[indices]
    if not isinstance(indices, (Tensor, tuple)):
        return x.select(axis, indices)
    where = tensor_of(indices).to(x.device)
    if axis == 0 and x.ndim == 2 and isinstance(indices, Tensor):
        return F.embedding(torch.where(where < 0, where + x.shape[0], where), x)
    where = torch.where(where < 0, where + x.shape[axis], where)
    axis = axis % x.ndim
    return x.index_select(axis, where.flatten()).reshape(x.shape[:axis] + where.shape + x.shape[axis + 1 :])


def split(
    x: Tensor, split: Value = None, *, axis: int = 0, num_outputs: int | None = None, outputs: int
) -> tuple[Tensor, ...]:
    """Parts of ``x`` along ``axis``, of equal size where none is stated, the last one smaller."""
    if split is not None:
        return tuple(x.split(list(ints(split)), dim=axis))
    return tuple(x.split(-(-x.shape[axis] // (num_outputs or outputs)), dim=axis))


def cast(x: Value, *, to: int, saturate: int = 1) -> Value:
    """``x`` in another type."""
    if to not in DTYPES:
        raise InputError(f"numbers of 8 to 64 bits or bool (got ONNX's type {to})")
    if not isinstance(x, Tensor) and DTYPES[to] in (torch.int64, torch.int32):
        return x
    return tensor_of(x).to(DTYPES[to])


def pad(
    x: Tensor,
    pads: Value,
    constant_value: Value = None,
    axes: Value = None,
    *,
    mode: str = "constant",
    value: float = 0.0,
) -> Tensor:
    """``x`` with a constant, its reflection or its edge around it."""
    around = ints(pads)
    along = [axis % x.ndim for axis in ints(axes)] if axes is not None else list(range(x.ndim))
    if len(around) != 2 * len(along):
        raise InputError(f"two pads for each of {len(along)} dimensions (got {len(around)})")
    pairs = {axis: (around[k], around[k + len(along)]) for k, axis in enumerate(along)}
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    if mode not in modes:
        raise InputError(f"mode: {', '.join(modes)} (got {mode!r:.40})")
    first = min((axis for axis, pair in pairs.items() if pair != (0, 0)), default=x.ndim)
    flat = [n for axis in range(x.ndim - 1, first - 1, -1) for n in pairs.get(axis, (0, 0))]
    if mode == "constant":
        fill = value if constant_value is None else constant_value
        return F.pad(x, flat, value=float(fill))
    if first < x.ndim - 2 or x.ndim < 3:
        raise InputError(f"mode {mode}: of the last two of at least three dimensions (got {around} of {x.ndim})")
    return F.pad(x, flat, mode=modes[mode])


def expand(x: Value, shape: Value) -> Tensor:
    """``x`` repeated along dimensions of size 1."""
    whole, sizes = tensor_of(x), ints(shape)
    if all(isinstance(size, int) for size in sizes) and math.prod(sizes) > MOST_ELEMENTS:
        raise InputError(f"at most {MOST_ELEMENTS:,} numbers (got the shape {sizes})")
    return whole.expand(torch.broadcast_shapes(whole.shape, sizes))


def constant_of_shape(shape: Value, *, value: Value = None) -> Tensor:
    """One number in a shape, 0 by default."""
    given = torch.zeros(1) if value is None else tensor_of(value)
    return expand(given.reshape(()), shape)


def _reduced(function: Callable[..., Tensor], x: Tensor, axes: Value, keepdims: int, noop: int) -> Tensor:
    along = () if axes is None else ints(axes)
    if not along and noop:
        return x
    return function(x, dim=along or tuple(range(x.ndim)), keepdim=bool(keepdims))


def reduce_mean(x: Tensor, axes: Value = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    """The mean over ``axes``, or all of them."""
    return _reduced(torch.mean, x, axes, keepdims, noop_with_empty_axes)


def reduce_sum(x: Tensor, axes: Value = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    """The sum over ``axes``, or all of them."""
    return _reduced(torch.sum, x, axes, keepdims, noop_with_empty_axes)


def reduce_max(x: Tensor, axes: Value = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    """The largest value over ``axes``, or all of them."""
    return _reduced(torch.amax, x, axes, keepdims, noop_with_empty_axes)


def _softmax(function: Callable[..., Tensor], x: Tensor, axis: int | None, opset: int) -> Tensor:
    if opset >= 13:
        return function(x, dim=-1 if axis is None else axis)
    # Before opset 13 all dimensions from the axis on are one.
    axis = 1 if axis is None else axis % x.ndim
    return function(x.flatten(axis), dim=-1).reshape(x.shape) if axis < x.ndim - 1 else function(x, dim=-1)


def softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """Exponentials that add up to 1 along ``axis``."""
    return _softmax(torch.softmax, x, axis, opset)


def log_softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """Logarithm of the softmax."""
    return _softmax(torch.log_softmax, x, axis, opset)


def gemm(
    a: Tensor,
    b: Tensor,
    c: Value = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """``alpha a b + beta c`` of matrices that the graph computes."""
    product = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return product if c is None else product + beta * tensor_of(c)


def quantize(
    x: Tensor,
    scale: Tensor,
    zero_point: Value = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    """Codes ``round(x / scale) + zero point`` within the zero point's type, ties to even."""
    if block_size:
        raise InputError("one scale for all or for each channel (got block_size)")
    if output_dtype and zero_point is None:
        zero_point = torch.zeros((), dtype=DTYPES.get(output_dtype, torch.float16))
    zero = torch.zeros((), dtype=torch.uint8) if zero_point is None else tensor_of(zero_point)
    if zero.dtype not in CODE_RANGES:
        raise InputError(f"codes of int8, uint8 or int16 (got {zero.dtype})")
    low, high = CODE_RANGES[zero.dtype]
    code = torch.round(x / along(scale, x, axis)) + along(zero, x, axis)
    return code.clamp(low, high).to(zero.dtype)


def dequantize(
    x: Value, scale: Tensor, zero_point: Value = None, *, axis: int = 1, block_size: int = 0, output_dtype: int = 0
) -> Tensor:
    """Values ``scale (code - zero point)``."""
    if block_size:
        raise InputError("one scale for all or for each channel (got block_size)")
    code = tensor_of(x).to(scale.dtype)
    if zero_point is not None:
        code = code - along(tensor_of(zero_point), code, axis)
    return code * along(scale, code, axis)


def along(value: Tensor, x: Tensor, axis: int) -> Tensor:
    """One number for all of ``x``, or one for each entry of its ``axis``."""
    if value.numel() == 1:
        return value.reshape(())
    if value.ndim != 1 or not -x.ndim <= axis < x.ndim or value.shape[0] != x.shape[axis]:
        raise InputError(
            f"one scale for all or for each entry of axis {axis} of {tuple(x.shape)} (got {value.numel()})"
        )
    return value.reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])


def clip(x: Tensor, min: Value = None, max: Value = None) -> Tensor:
    """``x`` within limits."""
    low, high = (None if limit is None else float(limit) for limit in (min, max))
    return x if low is None and high is None else x.clamp(low, high)


def arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Value, Value], Value]:
    """A function of two tensors, or of whole numbers, which may be sizes that are open."""

    def apply(a: Value, b: Value) -> Value:
        if isinstance(a, Tensor) or isinstance(b, Tensor):
            return function(*(tensor_of(v) if isinstance(v, tuple) else v for v in (a, b)))
        if isinstance(a, (float, bool)) or isinstance(b, (float, bool)):
            return function(a, b)
        left, right = ints(a), ints(b)
        n = max(len(left), len(right))
        left, right = (side * n if len(side) == 1 else side for side in (left, right))
        found = tuple(function(p, q) for p, q in zip(left, right, strict=True))
        return found if isinstance(a, tuple) or isinstance(b, tuple) else found[0]

    return apply


def divided(a: Value, b: Value) -> Value:
    """A quotient; of whole numbers the part before the point."""
    if isinstance(a, Tensor) and not a.is_floating_point():
        return torch.div(a, b, rounding_mode="trunc")
    return a / b if isinstance(a, Tensor) or isinstance(b, Tensor) or isinstance(a, float) else a // b


add, subtract, multiply, divide = map(arithmetic, (operator.add, operator.sub, operator.mul, divided))


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """``x``, and ``slope x`` where it is negative."""
    return torch.where(x < 0, slope * x, x)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``alpha (exp(x) - 1)`` where ``x`` is negative."""
    return F.elu(x, alpha)


SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805


def selu(x: Tensor, *, alpha: float = SELU_ALPHA, gamma: float = SELU_GAMMA) -> Tensor:
    """``gamma elu(x, alpha)``."""
    usual = math.isclose(alpha, SELU_ALPHA, rel_tol=1e-6) and math.isclose(gamma, SELU_GAMMA, rel_tol=1e-6)
    return F.selu(x) if usual else gamma * F.elu(x, alpha)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """``alpha x + beta`` within 0 and 1."""
    usual = math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5
    return F.hardsigmoid(x) if usual else (alpha * x + beta).clamp(0.0, 1.0)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """``x``, and ``alpha x`` where it is negative."""
    return F.leaky_relu(x, alpha)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """``x`` times the normal distribution up to ``x``."""
    return F.gelu(x, approximate=approximate)


def identity(x: Value) -> Value:
    """``x``."""
    return x


def total(*values: Tensor) -> Tensor:
    """The sum of all."""
    found = values[0]
    for value in values[1:]:
        found = found + value
    return found


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "Abs": torch.abs,
    "Add": add,
    "AveragePool": average_pool,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "DequantizeLinear": dequantize,
    "Div": divide,
    "Elu": elu,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": F.hardswish,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "Log": torch.log,
    "LogSoftmax": log_softmax,
    "MatMul": torch.matmul,
    "MaxPool": max_pool,
    "Mish": F.mish,
    "Mul": multiply,
    "Neg": torch.neg,
    "PRelu": prelu,
    "Pad": pad,
    "Pow": torch.pow,
    "QuantizeLinear": quantize,
    "ReduceMax": reduce_max,
    "ReduceMean": reduce_mean,
    "ReduceSum": reduce_sum,
    "Relu": torch.relu,
    "Reshape": reshape,
    "Selu": selu,
    "Shape": shape,
    "Sigmoid": torch.sigmoid,
    "Silu": F.silu,
    "Slice": slice_of,
    "Softmax": softmax,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Split": split,
    "Sqrt": torch.sqrt,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Sum": total,
    "Tanh": torch.tanh,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Where": torch.where,
}
"""Every operator without weights of its own."""
