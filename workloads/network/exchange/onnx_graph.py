"""``from_onnx``: an ONNX file as an ordinary module of torch, whose sub-modules have the names of the file's nodes.

Products with weights of the file are ``nn.Linear``, ``nn.Conv1d``, ``nn.Conv2d``, ``nn.LSTM``, ``nn.GRU`` and
``nn.RNN``, all else functions of torch; ``torch.export`` traces it. Whatever cannot be computed is named, all nodes in
one sentence.
"""

from __future__ import annotations

import inspect
import logging
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from configs.bounded import FAULTS, quoted
from configs.errors import InputError
from mappings.network.torch_cells import ResetBeforeGRU
from workloads.network.exchange.onnx_file import OnnxFile, OnnxNode, Value, module_name, plain, read_onnx
from workloads.network.exchange.onnx_functions import FUNCTIONS, MOST_ELEMENTS
from workloads.network.exchange.onnx_fusions import fused
from workloads.network.exchange.onnx_layers import LAYERS, Layer, QuantiseDequantise

MOST_NAMED = 25
"""Nodes that one message names."""
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "Clip", "Pad")
"""Operators to which a constant number is given as such, not as a tensor."""
WITH_STATES = ("LSTM", "GRU", "RNN", "Split")
"""Operators whose outputs after the first are computed."""
ACTIVATIONS = [
    FUNCTIONS[op]
    for op in (
        *("Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu", "Sigmoid"),
        *("Silu", "Softplus", "Softsign", "Tanh"),
    )
]
STEPS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.LSTM, nn.GRU, nn.RNN, ResetBeforeGRU)


@dataclass(frozen=True)
class StatedRange:
    """Values that a quantised file states for a layer's input or output, and the bits of their codes."""

    low: float
    high: float
    bits: int


@dataclass(frozen=True)
class StatedRanges:
    """What a quantised file states of one layer; None where it says nothing.

    Parameters
    ----------
    input, output : ranges of what goes in and, after at most one activation, comes out
    weight_scale : steps of the weights' codes, one for all or one for each output
    """

    input: StatedRange | None = None
    output: StatedRange | None = None
    weight_scale: tuple[float, ...] | None = None


def from_onnx(path: Path | str) -> fx.GraphModule:
    """The network of an ONNX file, in evaluation mode, with the weights of the file.

    Inputs and outputs are the file's, in its order; one output comes as a tensor, several as a tuple. Open dimensions
    stay open. A batch that the exporter fixed in the shapes of ``Reshape`` is opened where the network computes every
    sample by itself. ``module.meta["ranges"]`` holds what a quantised file states, path of a layer to ``StatedRanges``;
    roundings to codes are sub-modules ``QuantiseDequantise``.

    Raises InputError, one sentence, for whatever ``read_onnx`` refuses and for nodes that cannot be computed, all of
    them with name, operator and reason.
    """
    file = read_onnx(path)
    opened = _Build(file, open_batch=True)
    module = opened.module()
    if opened.opened and not _each_by_itself(module, file):
        module = _Build(file, open_batch=False).module()
    _check_shapes(module, file)
    return module


class _Build:
    """The graph of torch as it grows: values of the file by name, constants or nodes of ``graph``."""

    def __init__(self, file: OnnxFile, *, open_batch: bool) -> None:
        self.file = file
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.constants: dict[str, Value] = dict(file.constants)
        self.made: dict[str, fx.Node] = {}
        self.zeros = {name for name, value in file.constants.items() if isinstance(value, Tensor) and not value.any()}
        self.scales: dict[str, tuple[float, ...]] = {}
        self.ranges: dict[str, StatedRanges] = {}
        self.unknown: set[str] = set()
        self.refused: list[str] = []
        self.taken: set[str] = {node.name for node in file.nodes}
        self.opened = False
        first = next(iter(file.inputs.values()), (None, None))[0]
        self.batch = first[0] if open_batch and first else None
        self.used = {name for node in file.nodes for name in node.inputs} | set(file.outputs)

    def module(self) -> fx.GraphModule:
        """The whole network. Raises InputError naming every node that cannot be computed."""
        for name in self.file.inputs:
            self.made[name] = self.graph.placeholder(module_name(name, self.taken))
        for node in fused(self.file):
            self._add(node)
        if self.refused:
            more = len(self.refused) - MOST_NAMED
            listed = "; ".join(self.refused[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
            raise InputError(f"{self.file.where}: opset {self.file.opset}: nodes that cannot be computed: {listed}")
        outputs = [self._operand(name) for name in self.file.outputs]
        self.graph.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
        module = fx.GraphModule(self.root, self.graph, "OnnxNetwork")
        module.graph.eliminate_dead_code()
        module.recompile()
        module.meta["ranges"] = {
            str(node.target): self._stated(node)
            for node in module.graph.nodes
            if node.op == "call_module" and isinstance(module.get_submodule(str(node.target)), STEPS)
        }
        return module.eval()

    def _add(self, node: OnnxNode) -> None:
        reason = ""
        try:
            if node.op not in (*FUNCTIONS, *LAYERS, "Constant"):
                raise InputError("no such operator here")
            extra = [name for name in node.outputs[1:] if name in self.used]
            if extra and node.op not in WITH_STATES:
                raise InputError(f"only its first output is computed (got a use of {quoted(extra[0])!r})")
            if self.unknown.isdisjoint(node.inputs):
                self._compute(node)
                return
        except FAULTS as error:
            reason = quoted(" ".join(str(error).split()), 200)
        self.unknown |= set(node.outputs)
        if reason:
            self.refused.append(f"{node.label}: {reason}")

    def _compute(self, node: OnnxNode) -> None:
        given = [self.constants.get(name) for name in node.inputs]
        if node.op == "Constant":
            self._constant(node)
            return
        layer = LAYERS[node.op](node, given) if node.op in LAYERS else None
        if layer is not None and given[0] is None:
            self._layer(node, layer)
        elif layer is not None and isinstance(layer.module, QuantiseDequantise):
            with torch.no_grad():
                self._keep(node.outputs[0], layer.module.eval()(given[0]))
            self.scales[node.outputs[0]] = tuple(layer.module.scale.reshape(-1).tolist())
        elif layer is not None:
            self._layer(node, layer)
        elif node.op not in FUNCTIONS:
            raise InputError("its weights stand in the file")
        else:
            self._function(node, given)

    def _constant(self, node: OnnxNode) -> None:
        ((kind, value),) = node.attributes.items()
        if kind in ("value_float", "value_floats"):
            value = torch.tensor(value, dtype=torch.float32)
        elif kind not in ("value", "value_int", "value_ints"):
            raise InputError(f"a constant of numbers (got {kind})")
        self._keep(node.outputs[0], value)

    def _keep(self, name: str, value: Value) -> None:
        """A constant that was computed here."""
        if isinstance(value, Tensor):
            if value.numel() > MOST_ELEMENTS:
                raise InputError(f"at most {MOST_ELEMENTS:,} numbers in a constant (got {value.numel():,})")
            value = plain(value)
            if isinstance(value, Tensor) and not value.any():
                self.zeros.add(name)
        self.constants[name] = value

    def _layer(self, node: OnnxNode, layer: Layer) -> None:
        self.root.add_module(node.name, layer.module)
        x: Any = self._operand(node.inputs[0])
        if layer.before is not None:
            x = self._call(node, layer.before[0], (x,), layer.before[1])
        states = [self._operand(node.inputs[k]) for k in layer.state if node.inputs[k] not in self.zeros]
        arguments: tuple[Any, ...] = (x,)
        if states:
            layout = node.attributes.get("layout", 0)
            if layout:
                states = [self._call(node, torch.transpose, (state, 0, 1), {}) for state in states]
            if node.op == "LSTM" and len(states) == 1:
                zeros = self._call(node, torch.zeros_like, (states[0],), {})
                states = [states[0], zeros] if node.inputs[layer.state[0]] not in self.zeros else [zeros, states[0]]
                if layer.state == (6,):
                    states.reverse()
            arguments = (x, tuple(states) if node.op == "LSTM" else states[0])
        made = self.graph.call_module(node.name, arguments)
        made.meta["onnx"] = node.label
        scales = [self.scales[name] for name in node.inputs[1:2] if name in self.scales]
        self.ranges[node.name] = StatedRanges(weight_scale=scales[0] if scales else None)
        if layer.after is not None:
            made = self._call(node, layer.after[0], (made,), layer.after[1])
        self._outputs(node, made)

    def _function(self, node: OnnxNode, given: Sequence[Value]) -> None:
        function = FUNCTIONS[node.op]
        options = self._options(node, function)
        if all(value is not None for name, value in zip(node.inputs, given, strict=True) if name):
            with torch.no_grad():
                found = function(*given, **options)
            if node.op == "DequantizeLinear" and isinstance(given[1], Tensor):
                self.scales[node.outputs[0]] = tuple(given[1].reshape(-1).tolist())
            for name, value in zip(node.outputs, found if node.op == "Split" else (found,), strict=False):
                self._keep(name, value)
            return
        operands: list[Any] = []
        for name, value in zip(node.inputs, given, strict=True):
            number = isinstance(value, Tensor) and value.is_floating_point() and value.numel() == 1
            if number and node.op in ARITHMETIC and (value.ndim == 0 or node.op in ("Clip", "Pad")):
                operands.append(value.item())
            else:
                operands.append(self._operand(name) if name else None)
        while operands and operands[-1] is None:
            operands.pop()
        if node.op == "Reshape" and isinstance(operands[1], tuple):
            operands[1] = self._open(operands[1])
        given_options = {
            name: self._buffer(f"{node.name}_{name}", value) if isinstance(value, Tensor) else value
            for name, value in options.items()
        }
        self._outputs(node, self._call(node, function, tuple(operands), given_options))
        if node.op == "ConstantOfShape" and not options.get("value", torch.zeros(1)).any():
            self.zeros.add(node.outputs[0])
        if node.op in ("Expand", "Identity") and node.inputs[0] in self.zeros:
            self.zeros.add(node.outputs[0])

    def _options(self, node: OnnxNode, function: Callable[..., Any]) -> dict[str, Any]:
        """The node's attributes as arguments of the function. Raises InputError for one that it does not have."""
        own = getattr(function, "__module__", "") == FUNCTIONS["Identity"].__module__
        parameters: Mapping[str, Any] = inspect.signature(function).parameters if own else {}
        options: dict[str, Any] = {}
        for name, value in node.attributes.items():
            if name not in parameters:
                raise InputError(f"its attribute {quoted(name)!r} is not computed")
            options[name] = value
        if "opset" in parameters:
            options["opset"] = self.file.opset
        if "outputs" in parameters:
            options["outputs"] = len(node.outputs)
        return options

    def _open(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Sizes of a Reshape whose first one is the batch that the file was exported for, with the batch open."""
        if self.batch is None or not sizes or sizes[0] != self.batch:
            return sizes
        self.opened = True
        return (0 if -1 in sizes else -1, *sizes[1:])

    def _outputs(self, node: OnnxNode, made: fx.Node) -> None:
        if node.op not in WITH_STATES:
            self.made[node.outputs[0]] = made
            return
        for k, name in enumerate(node.outputs):
            if name:
                self.made[name] = self._call(node, operator.getitem, (made, k), {})

    def _call(
        self, node: OnnxNode, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]
    ) -> fx.Node:
        made = self.graph.call_function(function, arguments, dict(options))
        made.meta["onnx"] = node.label
        return made

    def _operand(self, name: str) -> Any:
        """A value as an argument: a node of the graph, or whole numbers."""
        if name in self.made:
            return self.made[name]
        value = self.constants[name]
        if not isinstance(value, Tensor):
            return value
        self.made[name] = self._buffer(f"constant_{name}", value)
        return self.made[name]

    def _buffer(self, name: str, value: Tensor) -> fx.Node:
        """A tensor of the file as a buffer of the module."""
        buffer = module_name(name, self.taken)
        self.root.register_buffer(buffer, value)
        return self.graph.get_attr(buffer)

    def _stated(self, layer: fx.Node) -> StatedRanges:
        """Ranges of a layer, from the roundings before and behind it."""
        label = layer.meta["onnx"]
        source: Any = layer.args[0]
        while isinstance(source, fx.Node) and source.op == "call_function" and source.meta["onnx"] == label:
            source = source.args[0]
        behind, activations = layer, 0
        while len(behind.users) == 1:
            (user,) = behind.users
            activations += user.target in ACTIVATIONS
            if not (user.target in ACTIVATIONS or user.meta.get("onnx") == label) or activations > 1:
                break
            behind = user
        return StatedRanges(
            input=self._rounding(source),
            output=self._rounding(next(iter(behind.users))) if len(behind.users) == 1 else None,
            weight_scale=self.ranges[str(layer.target)].weight_scale,
        )

    def _rounding(self, node: Any) -> StatedRange | None:
        if not isinstance(node, fx.Node) or node.op != "call_module":
            return None
        module = self.root.get_submodule(str(node.target))
        return StatedRange(*module.range, bits=module.bits) if isinstance(module, QuantiseDequantise) else None


class _Checked(fx.Interpreter):
    """Runs a graph; what torch says against it becomes one sentence with the file's node."""

    where = ""

    def run_node(self, n: fx.Node) -> Any:
        """One node."""
        try:
            return super().run_node(n)
        except FAULTS as error:
            reason = quoted(" ".join(str(error).split()), 200)
            raise InputError(f"{self.where}: node {n.meta.get('onnx', quoted(n.name))}: {reason}") from None


def _check_shapes(module: fx.GraphModule, file: OnnxFile) -> None:
    """Runs the network on sizes alone, where only the first dimension of its inputs is open."""
    if any(sizes is None or None in sizes[1:] for sizes, _ in file.inputs.values()):
        return
    checked = _Checked(module)
    checked.where = file.where
    checked.extra_traceback = False
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True  # torch prints its traceback of whatever does not fit
    try:
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            sizes = [([n or 2 for n in stated or ()], kind) for stated, kind in file.inputs.values()]
            checked.run(*(torch.empty(shape, dtype=kind) for shape, kind in sizes))
    finally:
        log.disabled = before


def _each_by_itself(module: fx.GraphModule, file: OnnxFile) -> bool:
    """Whether two batches give beside each other what each gives by itself, on random inputs."""
    parts: list[list[Tensor]] = [[], []]
    draw = torch.Generator().manual_seed(0)
    for sizes, kind in file.inputs.values():
        known = [] if sizes is None else [size for size in sizes if size is not None]
        if sizes is None or len(known) < len(sizes) or math.prod(known) > MOST_ELEMENTS:
            return False
        for part in parts:
            x = torch.rand(known, generator=draw)
            part.append(x.to(kind) if kind.is_floating_point else (x < 0.5).to(kind))
    try:
        with torch.no_grad():
            each = [module(*part) for part in parts]
            both = module(*(torch.cat(pair) for pair in zip(*parts, strict=True)))
    except FAULTS:
        return False
    whole = both if isinstance(both, tuple) else (both,)
    singles = [one if isinstance(one, tuple) else (one,) for one in each]
    return all(
        y.shape == (joint := torch.cat(pair)).shape and bool(torch.isclose(y, joint, rtol=1e-3, atol=1e-5).all())
        for y, *pair in zip(whole, *singles, strict=True)
    )
