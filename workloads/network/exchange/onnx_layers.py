"""Operators of ONNX with weights, as modules of torch: dense, convolution, recurrent, normalisation, quantisation.

ONNX keeps gates in the order i, o, f, c (LSTM) and z, r, h (GRU), torch in i, f, g, o and r, z, n; ONNX puts directions
into a dimension of their own, torch beside each other. Specification: https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from configs.errors import InputError
from mappings.network.torch_cells import ResetBeforeGRU
from workloads.network.exchange.onnx_file import OnnxNode, Value
from workloads.network.exchange.onnx_functions import checked_rank, dequantize, padded, pads_of, quantize

RESET_BEFORE = (
    "linear_before_reset 0 lets the reset gate act before the product, which is computed in one direction alone; "
    "torch's form is linear_before_reset 1 (Keras: reset_after=True)"
)
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Which of ONNX's gates is the first, second ... of torch's."""
ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


@dataclass(frozen=True)
class Layer:
    """A module, and what goes in and comes out.

    Parameters
    ----------
    module : computes the node
    before, after : functions of its input and of its output, with arguments, or None
    state : inputs of the node that are the initial hidden state, and the cell state
    """

    module: nn.Module
    before: tuple[Callable[..., Any], Mapping[str, Any]] | None = None
    after: tuple[Callable[..., Any], Mapping[str, Any]] | None = None
    state: tuple[int, ...] = field(default=())


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """torch's batch normalisation of channels, whatever dimensions follow them."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"an input of at least 2 dimensions (got {input.ndim})")


class QuantiseDequantise(nn.Module):
    """Values rounded to codes and back: ``scale (clamp(round(x / scale) + zero) - zero)``, ties to even.

    In training the gradient passes as if nothing were rounded, within the range (straight-through).

    Parameters
    ----------
    scale, zero_point : of all values, or of each entry of ``axis``
    """

    def __init__(self, scale: Tensor, zero_point: Tensor, axis: int) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("zero_point", zero_point)
        self.axis = axis
        self.scale: Tensor
        self.zero_point: Tensor

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value that a code stands for, of all entries."""
        zero = self.zero_point.to(self.scale.dtype)
        info = torch.iinfo(self.zero_point.dtype)
        return float(((info.min - zero) * self.scale).min()), float(((info.max - zero) * self.scale).max())

    @property
    def bits(self) -> int:
        """Of a code."""
        return int(torch.iinfo(self.zero_point.dtype).bits)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` on the grid of the codes."""
        code = quantize(x, self.scale, self.zero_point, axis=self.axis)
        value: Tensor = dequantize(code, self.scale, self.zero_point, axis=self.axis)
        if not self.training:
            return value
        low, high = self.range
        inside = x.clamp(low, high)
        return value.detach() + (inside - inside.detach())


def weight(value: Value, what: str, dims: int | None = None) -> Tensor:
    """A constant as a weight of finite numbers and ``dims`` dimensions. Raises InputError naming ``what`` it is."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise InputError(f"{what} that stand in the file as floating-point numbers")
    if dims is not None and value.ndim != dims:
        raise InputError(f"{what} of {dims} dimensions (got {tuple(value.shape)})")
    if not value.numel() or not bool(value.isfinite().all()):
        raise InputError(f"{what} of finite numbers, at least one (got {'infinity' if value.numel() else 'none'})")
    return value


def _fill(module: nn.Module, **tensors: Tensor | None) -> nn.Module:
    """``module`` in the type of the tensors, which become its parameters and buffers; InputError for another shape."""
    given = {name: value for name, value in tensors.items() if value is not None}
    module = module.to(next(iter(given.values())).dtype)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, value in given.items():
            if own[name].shape != value.shape:
                raise InputError(f"{name} of shape {tuple(own[name].shape)} (got {tuple(value.shape)})")
            own[name].copy_(value)
    return module


def linear(matrix: Tensor, bias: Tensor | None) -> nn.Module:
    """A dense layer of ``matrix (outputs, inputs)``."""
    made = nn.Linear(matrix.shape[1], matrix.shape[0], bias=bias is not None, device="meta").to_empty(device="cpu")
    return _fill(made, weight=matrix, bias=bias)


def matmul(node: OnnxNode, given: Sequence[Value]) -> Layer | None:
    """A product with a matrix of the file on the right; a third input is a bias that followed."""
    if not isinstance(given[1], Tensor) or given[1].ndim != 2:
        return None
    bias = weight(given[2], "a bias") if len(given) > 2 else None
    return Layer(linear(weight(given[1], "weights", 2).T, None if bias is None else bias.reshape(-1)))


def transposed(x: Tensor) -> Tensor:
    """A matrix with rows and columns exchanged."""
    return checked_rank(x, 2).T


def gemm(node: OnnxNode, given: Sequence[Value]) -> Layer | None:
    """``alpha a b + beta c`` with ``b`` and ``c`` of the file and ``c`` a bias."""
    a = dict({"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}, **node.attributes)
    bias = given[2] if len(given) > 2 else None
    if not isinstance(given[1], Tensor) or (len(given) > 2 and node.inputs[2] and not isinstance(bias, Tensor)):
        return None
    matrix = weight(given[1], "weights", 2)
    matrix = a["alpha"] * (matrix if a["transB"] else matrix.T)
    if isinstance(bias, Tensor):
        if bias.ndim > 2 or bias.numel() not in (1, len(matrix)) or (bias.ndim == 2 and bias.shape[0] != 1):
            return None
        bias = (a["beta"] * weight(bias, "a bias")).reshape(-1).expand(len(matrix))
    before = (transposed, {}) if a["transA"] else (checked_rank, {"dims": 2})
    return Layer(linear(matrix, bias), before=before)


def conv(node: OnnxNode, given: Sequence[Value]) -> Layer:
    """A convolution over one or two spatial dimensions."""
    kernel = weight(given[1], "weights")
    bias = weight(given[2], "a bias", 1) if len(given) > 2 and node.inputs[2] else None
    dims, a = kernel.ndim - 2, dict(node.attributes)
    if dims not in (1, 2):
        raise InputError(f"a convolution over 1 or 2 spatial dimensions (got weights of shape {tuple(kernel.shape)})")
    size = tuple(kernel.shape[2:])
    if tuple(a.get("kernel_shape", size)) != size:
        raise InputError(f"kernel_shape {size}, as the weights have it (got {a['kernel_shape']})")
    strides, dilations = (tuple(a.get(name, (1,) * dims)) for name in ("strides", "dilations"))
    pads, auto, groups = tuple(a.get("pads", (0,) * 2 * dims)), a.get("auto_pad", "NOTSET"), a.get("group", 1)
    if not (len(strides) == len(dilations) == dims and len(pads) == 2 * dims and min(pads) >= 0):
        raise InputError(f"strides, dilations and pads for {dims} dimensions (got {strides}, {dilations}, {pads})")
    if min(*strides, *dilations, groups) < 1 or kernel.shape[0] % groups:
        raise InputError(
            f"strides and dilations from 1, and groups that divide {kernel.shape[0]} "
            f"(got {strides}, {dilations}, {groups})"
        )
    before, around = None, [(0, 0)] * dims
    if auto.startswith("SAME") and set(strides) == {1}:
        around = pads_of((1,) * dims, size, strides, pads, dilations, auto)
    elif auto == "NOTSET":
        around = pads_of((), size, strides, pads, dilations, auto)
    if any(first != last for first, last in around) or (auto.startswith("SAME") and set(strides) != {1}):
        how = {"kernel": size, "strides": strides, "pads": pads, "dilations": dilations, "auto_pad": auto}
        before, around = (padded, how), [(0, 0)] * dims
    elif auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise InputError(f"auto_pad: NOTSET, VALID, SAME_UPPER or SAME_LOWER (got {auto!r:.40})")
    kind: Any = nn.Conv1d if dims == 1 else nn.Conv2d
    module = kind(
        kernel.shape[1] * groups,
        kernel.shape[0],
        size,
        stride=strides,
        padding=tuple(first for first, _ in around),
        dilation=dilations,
        groups=groups,
        bias=bias is not None,
        device="meta",
    ).to_empty(device="cpu")
    return Layer(_fill(module, weight=kernel, bias=bias), before=before)


def batch_norm(node: OnnxNode, given: Sequence[Value]) -> Layer:
    """Normalisation of every channel by the file's mean and variance."""
    if node.attributes.get("training_mode", 0) or node.attributes.get("spatial", 1) != 1:
        raise InputError("a normalisation for inference, one for each channel (got training_mode or spatial)")
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = {name: weight(value, name, 1) for name, value in zip(names, given[1:5], strict=True)}
    module = BatchNorm(len(tensors["weight"]), eps=node.attributes.get("epsilon", 1e-5))
    if bool((tensors["running_var"] < 0).any()):
        raise InputError("a variance of at least 0")
    return Layer(_fill(module, **tensors))


def layer_norm(node: OnnxNode, given: Sequence[Value]) -> Layer:
    """Normalisation over the last dimensions."""
    scale = weight(given[1], "a scale")
    bias = weight(given[2], "a bias") if len(given) > 2 and node.inputs[2] else None
    axis = node.attributes.get("axis", -1)
    if axis < 0 and -axis != scale.ndim:
        raise InputError(f"a scale of {-axis} dimensions, the last ones (got {tuple(scale.shape)})")
    module = nn.LayerNorm(tuple(scale.shape), eps=node.attributes.get("epsilon", 1e-5), bias=bias is not None)
    before = None if axis < 0 else (checked_rank, {"dims": axis + scale.ndim})
    return Layer(_fill(module, weight=scale, bias=bias), before=before)


def dropout(node: OnnxNode, given: Sequence[Value]) -> Layer:
    """Nothing, but in training a share of zeros."""
    ratio = node.attributes.get("ratio", 0.5)
    if len(given) > 1 and node.inputs[1]:
        ratio = float(given[1]) if isinstance(given[1], Tensor) else ratio
    training = given[2] if len(given) > 2 else None
    if len(given) > 2 and node.inputs[2] and not (isinstance(training, Tensor) and not bool(training)):
        raise InputError("a dropout for inference (got training_mode)")
    if not 0.0 <= ratio < 1.0:
        raise InputError(f"a ratio of 0 to less than 1 (got {ratio})")
    return Layer(nn.Dropout(ratio))


def quantised(node: OnnxNode, given: Sequence[Value]) -> Layer | None:
    """Quantisation and its reverse, of values that the graph computes."""
    scale = weight(given[1], "a scale")
    if not bool((scale > 0).all()):
        raise InputError("a scale above 0")
    zero = given[2] if len(given) > 2 and node.inputs[2] else torch.zeros((), dtype=torch.uint8)
    if not isinstance(zero, Tensor) or zero.dtype not in (torch.int8, torch.uint8, torch.int16):
        raise InputError("codes of int8, uint8 or int16")
    if node.attributes.get("block_size", 0):
        raise InputError("one scale for all or for each channel (got block_size)")
    return Layer(QuantiseDequantise(scale, zero, node.attributes.get("axis", 1)))


def recurrent_input(x: Tensor, layout: int, reverse: bool) -> Tensor:
    """Steps first, in the order in which the layer takes them."""
    x = checked_rank(x, 3)
    x = x.transpose(0, 1) if layout else x
    return x.flip(0) if reverse else x


def recurrent_output(made: Any, directions: int, layout: int, reverse: bool) -> tuple[Tensor, ...]:
    """ONNX's outputs of torch's: all steps (steps, directions, batch, hidden), and the last states."""
    y, last = made
    y = y.flip(0) if reverse else y
    y = y.unsqueeze(1) if directions == 1 else y.unflatten(2, (directions, -1)).transpose(1, 2)
    states = last if isinstance(last, tuple) else (last,)
    if layout:
        return (y.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in states))
    return (y, *states)


def recurrent(node: OnnxNode, given: Sequence[Value]) -> Layer:
    """An LSTM, a GRU, or an RNN of tanh or relu; one or both directions, of a GRU whose reset gate acts before the
    product (``linear_before_reset`` 0, which is mho's ``ResetBeforeGRU``) one."""
    op, a = node.op, dict(node.attributes)
    direction = a.get("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise InputError(f"direction: forward, reverse or bidirectional (got {direction!r:.40})")
    directions = 2 if direction == "bidirectional" else 1
    layout, gates = a.get("layout", 0), len(GATES[op])
    before = op == "GRU" and not a.get("linear_before_reset", 0)
    if before and directions == 2:
        raise InputError(RESET_BEFORE)
    for name in ("clip", "input_forget"):
        if a.get(name, 0):
            raise InputError(f"{name} is not computed (got {a[name]})")
    named = tuple(a.get("activations", ACTIVATIONS[op] * directions))
    kinds = [ACTIVATIONS[op] * directions] + ([("Relu",) * directions] if op == "RNN" else [])
    if named not in kinds:
        raise InputError(f"activations {' or '.join(', '.join(kind) for kind in kinds)} (got {', '.join(named)[:80]})")
    values = [*given, *[None] * (8 - len(given))]
    there = [bool(name) for name in node.inputs] + [False] * (8 - len(node.inputs))
    if there[4]:
        raise InputError("sequences of equal length (got sequence_lens)")
    if there[7] and (not isinstance(values[7], Tensor) or bool(values[7].any())):
        raise InputError("no peepholes (got P)")
    w, r = (weight(values[k], name, 3) for k, name in ((1, "W"), (2, "R")))
    hidden, inputs = r.shape[2], w.shape[2]
    rows = gates * hidden
    b = weight(values[3], "B", 2) if there[3] else None
    wanted = {"W": (directions, rows, inputs), "R": (directions, rows, hidden), "B": (directions, 2 * rows)}
    for name, value in (("W", w), ("R", r), ("B", b)):
        if value is not None and tuple(value.shape) != wanted[name]:
            raise InputError(f"{name} of shape {wanted[name]} (got {tuple(value.shape)})")
    if a.get("hidden_size", hidden) != hidden:
        raise InputError(f"hidden_size {hidden}, as R has it (got {a['hidden_size']})")
    options: dict[str, Any] = {"bias": b is not None, "bidirectional": directions == 2, "device": "meta"}
    if op == "RNN":
        options["nonlinearity"] = named[0].lower()
    if before:
        module = ResetBeforeGRU(inputs, hidden, bias=b is not None)
    else:
        module = getattr(nn, op)(inputs, hidden, **options).to_empty(device="cpu")
    tensors: dict[str, Tensor] = {}
    for k, suffix in zip(range(directions), ("", "_reverse"), strict=False):
        parts = {"weight_ih": w[k], "weight_hh": r[k]}
        if b is not None:
            first, second = b[k, :rows], b[k, rows:]
            parts |= {"bias": first + second} if before else {"bias_ih": first, "bias_hh": second}
        for name, part in parts.items():
            ordered = part.unflatten(0, (gates, hidden))[list(GATES[op])].flatten(0, 1)
            tensors[f"{name}_l0{suffix}"] = ordered
    how = {"layout": layout, "reverse": direction == "reverse"}
    return Layer(
        _fill(module, **tensors),
        before=(recurrent_input, how),
        after=(recurrent_output, {"directions": directions, **how}),
        state=tuple(k for k in (5, 6) if there[k] and (k == 5 or op == "LSTM")),
    )


LAYERS: dict[str, Callable[[OnnxNode, Sequence[Value]], Layer | None]] = {
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "Dropout": dropout,
    "GRU": recurrent,
    "Gemm": gemm,
    "LSTM": recurrent,
    "LayerNormalization": layer_norm,
    "MatMul": matmul,
    "QuantiseDequantise": quantised,
    "RNN": recurrent,
}
"""Every operator that is a module where its weights stand in the file; None is given where it is a function of two
computed values. ``QuantiseDequantise`` is a QuantizeLinear and the DequantizeLinear behind it."""
