"""From a traced graph to layers on tiles and digital calls.

Matrix products with a parameter become layers; a batch normalisation behind one is folded into it, and elementwise
functions of its output alone are computed by its converters. A recurrent module becomes one layer for each direction of
each of its layers. What is left is digital.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from devices import InputError
from mappings.convert.convolution import TileConv
from mappings.convert.functions import known_function
from mappings.convert.packed import turned
from mappings.convert.recurrent_tiles import TileRecurrent
from mappings.convert.saving import entry
from mappings.convert.tiles import TileLinear, TileModule, TileProduct
from mappings.convert.trace import Traced, path_of

aten = torch.ops.aten
LINEAR = (aten.linear.default, aten.matmul.default, aten.mm.default, aten.addmm.default)
CONV = (aten.conv1d.default, aten.conv1d.padding, aten.conv2d.default, aten.conv2d.padding)
RECURRENT = {
    aten.lstm.input: "lstm",
    aten.gru.input: "gru",
    aten.rnn_tanh.input: "rnn",
    aten.rnn_relu.input: "rnn_relu",
}
CELLS: dict[Any, str] = {
    aten.lstm_cell.default: "lstm",
    aten.gru_cell.default: "gru",
    aten.rnn_tanh_cell.default: "rnn",
}
CELLS[aten.rnn_relu_cell.default] = "rnn_relu"
PACKED = torch.ops.mho.packed.default
GRU_BEFORE = torch.ops.mho.gru_reset_before.default
NORM = aten._native_batch_norm_legit_no_training.default
# fmt: off
FUNCTIONS = {
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "hardswish", "hardsigmoid", "hardtanh", "elu", "selu",
    "celu", "softplus", "leaky_relu", "log_sigmoid", "mish", "clamp", "clamp_min", "clamp_max", "exp", "log",
    "log1p", "expm1", "sqrt", "rsqrt", "reciprocal", "abs", "neg", "sin", "cos", "erf", "pow", "square", "mul", "add",
    "sub", "div", "rsub", "maximum", "minimum",
}
# fmt: on
"""ATen operations that are computed value by value."""
OUTSIDE = "_empty_nn_module_stack_from_metadata_hook"
"""What torch writes in place of the path of calls that belong to no module."""
NOTHING = (aten.clone.default, aten.alias.default, aten.contiguous.default, aten.detach.default)


@dataclass(frozen=True)
class DigitalCall:
    """A call that is computed digitally: its node's name, the path of its module, and why it is not on tiles."""

    name: str
    path: str
    why: str = ""


def lower(traced: Traced, digital: Sequence[str] = ()) -> dict[str, TileModule]:
    """Put layers on tiles in place of the graph's products; returns them by their names.

    ``digital``: patterns over paths of modules that stay digital. Raises InputError for a pattern that no module of the
    graph matches.
    """
    graph = traced.graph
    work = _Lowering(graph, tuple(digital))
    work.run()
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.graph.lint()
    graph.recompile()
    return work.tiles


class _Lowering:
    """One pass over a graph, which it changes."""

    def __init__(self, module: fx.GraphModule, digital: tuple[str, ...]) -> None:
        self.module, self.graph, self.digital = module, module.graph, digital
        self.tiles: dict[str, Any] = {}
        self.shared: dict[Any, str] = {}
        paths = {path for node in self.graph.nodes for path in _paths(node)}
        unknown = [one for one in digital if not fnmatch.filter(paths, one)]
        if unknown:
            raise InputError(
                f"digital: {', '.join(unknown)}: must match paths of modules ({', '.join(sorted(filter(None, paths)))})"
            )

    def run(self) -> None:
        for node in list(self.graph.nodes):
            if node.op != "call_function":
                continue
            if node.target in NOTHING:
                node.replace_all_uses_with(node.args[0])
                self.graph.erase_node(node)
            elif node.target in (
                aten.view.default,
                aten._unsafe_view.default,
            ):  # layers may lay their outputs out in another order
                node.target = aten.reshape.default
            elif not any(fnmatch.fnmatchcase(path, one) for one in self.digital for path in _paths(node)):
                self._lower(node)

    def _lower(self, node: Any) -> None:
        if node.target in LINEAR:
            self._linear(node)
        elif node.target in CONV:
            self._conv(node)
        elif node.target in RECURRENT or node.target is PACKED:
            self._recurrent(node)
        elif node.target in CELLS:
            self._cell(node)
        elif node.target is GRU_BEFORE:
            self._gru_before(node)

    # Products -------------------------------------------------------------------------------------------------------

    def _linear(self, node: Any) -> None:
        x, weight, bias, turned = node.args[0], node.args[1], None, False
        if node.target is aten.linear.default:
            bias = node.args[2] if len(node.args) > 2 else None
        elif node.target is aten.addmm.default:
            bias, x, weight = node.args[:3]
            turned = True
        else:
            turned = True
        if any(node.kwargs.get(name, 1) != 1 for name in ("alpha", "beta")):
            return
        if not self._parameter(weight) or self._parameter(x) or (bias is not None and not self._parameter(bias)):
            return
        held = self._held(weight)
        if held.dim() != 2:
            return
        if turned and bias is not None and self._held(bias).dim() != 1:
            return
        self._product(node, x, TileLinear, (weight, bias), turned=turned)

    def _conv(self, node: Any) -> None:
        given = dict(zip(("x", "weight", "bias", "stride", "padding", "dilation", "groups"), node.args, strict=False))
        given |= node.kwargs
        if not self._parameter(given["weight"]):
            return
        dims = self._held(given["weight"]).dim() - 2
        how = {
            name: given.get(name, default)
            for name, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
        }
        for name in ("stride", "padding", "dilation"):
            value = how[name]
            if not isinstance(value, str):
                values = [value] * dims if isinstance(value, int) else list(value)
                how[name] = tuple(values * dims if len(values) == 1 else values)
        self._product(node, given["x"], TileConv, (given["weight"], given.get("bias")), **how)

    def _product(self, node: Any, x: Any, kind: type[TileProduct], held: tuple[Any, ...], **how: Any) -> None:
        """Put a layer in place of a product, with the normalisation and the functions behind it."""
        last, norm, function = node, None, None
        behind: Any
        if (behind := self._only_user(last)) is not None and behind.target is NORM:
            outputs = list(behind.users)
            channels = 1 if kind is TileConv else node.meta["val"].dim() - 1  # of the layer; those of the norm are 1
            if len(outputs) == 1 and outputs[0].args[1] == 0 and channels == 1:
                norm = [*map(self._tensor_or_none, behind.args[1:5]), behind.args[6]]
                last = outputs[0]
        region, exit_ = self._elementwise(last)
        if exit_ is not None:
            function, last = _Region.of(self.module, last, region, exit_), exit_
        key = (*(one and one.target for one in held), str(how), None if norm is None else id(norm[2]), str(function))
        # The owner of the weight: a module may take the weight of another one, as attention does.
        path = str(held[0].target).removesuffix("weight").rstrip("._")
        weight, bias = self._tensor(held[0]), self._tensor_or_none(held[1])
        name = self._layer(path, key, lambda: kind(path, weight, bias, norm=norm, **how))
        tile = self.tiles[name]
        if function is not None:
            tile.set_function(function.name, function.module)
        with self.graph.inserting_after(last):
            call = self.graph.call_module(tile.target, (x,))
        self._replace(node, last, call)

    def _elementwise(self, start: fx.Node) -> tuple[list[fx.Node], fx.Node | None]:
        """Calls behind ``start`` that make one function of it value by value, and the last of them."""
        region: list[fx.Node] = []
        inside = {start}
        for node in _after(self.graph, start):
            inputs = node.all_input_nodes
            if _elementwise(node) and inputs and all(one in inside for one in inputs) and _same_shape(node, start):
                region.append(node)
                inside.add(node)
        exit_ = None
        for candidate in region:
            needed = _ancestors(candidate, inside)
            if all(user in needed or user is candidate for one in needed for user in one.users):
                exit_ = candidate
        return region, exit_

    # Recurrent modules ----------------------------------------------------------------------------------------------

    def _recurrent(self, node: Any) -> None:
        lengths = None
        if node.target is PACKED:
            cell, x, lengths, start, held, has_biases, layers, both_ways = node.args
            batch_first = True
        else:
            cell = RECURRENT[node.target]
            x, start, held, has_biases, layers, _, _, both_ways, batch_first = node.args
            start = start if cell == "lstm" else [start]
        ways = 2 if both_ways else 1
        starts = list(start)
        each = len(held) // (layers * ways)
        graph = self.graph
        with graph.inserting_before(node):
            if not batch_first:
                x = graph.call_function(aten.transpose.int, (x, 0, 1))
            finals: list[list[fx.Node]] = [[] for _ in starts]
            for layer in range(layers):
                outputs = []
                for way in range(ways):
                    place = layer * ways + way
                    tensors = list(held[place * each : (place + 1) * each])
                    begin = [self._start(one, place) for one in starts]
                    label = f"l{layer}" + ("_reverse" if way else "")
                    inputs = self._turned(x, lengths) if way else x
                    call = self._call(node, cell, tensors, has_biases, inputs, [*begin, lengths], label)
                    states, *last = (graph.call_function(entry, (call, k)) for k in range(1 + len(starts)))
                    if way:
                        states = self._turned(states, lengths)
                    outputs.append(states)
                    for into, one in zip(finals, last, strict=True):
                        into.append(one)
                x = outputs[0] if ways == 1 else graph.call_function(aten.cat.default, (outputs, 2))
            whole = x if batch_first else graph.call_function(aten.transpose.int, (x, 0, 1))
            # Of one layer in one direction nothing has to be put side by side.
            joined = aten.unsqueeze.default if len(outputs) * layers == 1 else None
            ends = [
                graph.call_function(aten.stack.default, (one,))
                if joined is None
                else graph.call_function(joined, (one[0], 0))
                for one in finals
            ]
        self._outputs(node, [whole, *ends])

    def _cell(self, node: Any) -> None:
        x, start, *tensors = node.args
        cell = CELLS[node.target]
        starts = list(start) if cell == "lstm" else [start]
        graph = self.graph
        biases = len(tensors) > 2 and tensors[2] is not None
        with graph.inserting_before(node):
            steps = graph.call_function(aten.unsqueeze.default, (x, 1))
            call = self._call(node, cell, tensors[: 4 if biases else 2], biases, steps, [*starts, None], "")
            last = [graph.call_function(entry, (call, 1 + k)) for k in range(len(starts))]
        if cell == "lstm":
            self._outputs(node, last)
        else:
            node.replace_all_uses_with(last[0])
            graph.erase_node(node)

    def _gru_before(self, node: Any) -> None:
        x, start, *tensors = node.args
        graph, biases = self.graph, tensors[2] is not None
        with graph.inserting_before(node):
            begin = None if _zero(start) else start
            call = self._call(node, "gru_before", tensors[: 2 + biases], biases, x, [begin, None], "")
            outputs = [graph.call_function(entry, (call, k)) for k in range(2)]
        self._outputs(node, outputs)

    def _call(
        self,
        node: Any,
        cell: str,
        tensors: list[Any],
        biases: bool,
        x: Any,
        start: list[Any],
        label: str,
    ) -> fx.Node:
        """The call of one layer in one direction; ``start``: initial states, and lengths of packed sequences."""
        many = [self._tensor(one) for one in tensors]
        vectors = ["bias_ih"] if cell == "gru_before" else ["bias_ih", "bias_hh"]
        names = ["weight_ih", "weight_hh", *(vectors if biases else [])]
        if len(many) > len(names):
            names.append("weight_hr")
        path = ".".join(filter(None, (path_of(node), label)))
        key = tuple(one.target for one in tensors)
        name = self._layer(path, key, lambda: TileRecurrent(path, cell, dict(zip(names, many, strict=True))))
        return self.graph.call_module(self.tiles[name].target, (x, *start))

    def _turned(self, x: Any, lengths: Any) -> fx.Node:
        """Sequences in the opposite order."""
        if lengths is None:
            return self.graph.call_function(aten.flip.default, (x, [1]))
        return self.graph.call_function(turned, (x, lengths))

    def _start(self, start: Any, place: int) -> fx.Node | None:
        """The initial state of one layer and direction; None where it is zero."""
        if _zero(start):
            return None
        return self.graph.call_function(aten.select.int, (start, 0, place))

    def _outputs(self, node: Any, outputs: list[fx.Node]) -> None:
        """Put values in place of the entries of what a call gave."""
        for user in list(node.users):
            user.replace_all_uses_with(outputs[user.args[1]])
            self.graph.erase_node(user)
        self.graph.erase_node(node)

    # Names and tensors ----------------------------------------------------------------------------------------------

    def _layer(self, path: str, key: Any, make: Any) -> str:
        """Name of the layer that holds these tensors, made where there is none."""
        if key not in self.shared:
            tile = make()
            base = name = path or "network"
            number = 1
            while name in self.tiles:
                number += 1
                name = f"{base}#{number}"
            tile.name = name
            tile.target = "tiles_" + name.replace(".", "_").replace("#", "_")
            self.module.add_submodule(tile.target, tile)
            self.tiles[name] = tile
            self.shared[key] = name
        return self.shared[key]

    def _replace(self, first: fx.Node, last: fx.Node, call: fx.Node) -> None:
        call.meta["nn_module_stack"] = first.meta.get("nn_module_stack", {})
        last.replace_all_uses_with(call)

    def _parameter(self, node: Any) -> bool:
        return isinstance(node, fx.Node) and node.op == "get_attr"

    def _held(self, node: Any) -> torch.Tensor:
        found: Any = self.module
        for name in str(node.target).split("."):
            found = getattr(found, name)
        assert isinstance(found, torch.Tensor)
        return found

    _tensor = _held

    def _tensor_or_none(self, node: Any) -> torch.Tensor | None:
        return None if node is None else self._held(node)

    @staticmethod
    def _only_user(node: Any) -> fx.Node | None:
        users = list(node.users)
        return users[0] if len(users) == 1 else None


@dataclass
class _Region:
    """A function of one value: the name of its call, or of the function that several calls make; a module for it."""

    name: str
    module: fx.GraphModule
    about: str

    def __str__(self) -> str:
        return self.about

    @classmethod
    def of(cls, owner: fx.GraphModule, start: fx.Node, region: list[fx.Node], exit_: fx.Node) -> _Region:
        needed = [one for one in region if one in _ancestors(exit_, {start, *region}) or one is exit_]
        graph = fx.Graph()
        here = {start: graph.placeholder("z")}
        about = []
        for node in needed:
            made = graph.create_node(
                node.op, node.target, fx.map_arg(node.args, here.__getitem__), fx.map_arg(node.kwargs, here.__getitem__)
            )
            here[node] = made
            about.append(f"{node.target}{node.args[1:]}{node.kwargs}")
        graph.output(here[exit_])
        names, module = [_packet(one) for one in needed], fx.GraphModule(owner, graph)
        known = known_function(module) if len(names) > 1 else None
        return cls("+".join(names) if known is None else known[0], module, "; ".join(about))


def _zero(start: Any) -> bool:
    """Whether an initial state is zero."""
    return start.target in (aten.zeros.default, aten.new_zeros.default, aten.zeros_like.default)


def _paths(node: fx.Node) -> set[str]:
    """Paths of the modules around a call."""
    around = (path.removeprefix("L['self'].") for path, _ in node.meta.get("nn_module_stack", {}).values())
    return {path for path in around if path != OUTSIDE}


def _packet(node: fx.Node) -> str:
    target = node.target
    return str(getattr(target, "overloadpacket", target)).removeprefix("aten.")


def _elementwise(node: fx.Node) -> bool:
    return node.op == "call_function" and _packet(node) in FUNCTIONS


def _same_shape(node: fx.Node, other: fx.Node) -> bool:
    shapes = [getattr(one.meta.get("val"), "shape", None) for one in (node, other)]
    return shapes[0] is not None and str(shapes[0]) == str(shapes[1])


def _after(graph: fx.Graph, start: fx.Node) -> list[fx.Node]:
    nodes = list(graph.nodes)
    return nodes[nodes.index(start) + 1 :]


def _ancestors(node: fx.Node, inside: set[fx.Node]) -> set[fx.Node]:
    """Nodes of ``inside`` that ``node`` is computed from."""
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        for one in waiting.pop().all_input_nodes:
            if one in inside and one not in found:
                found.add(one)
                waiting.append(one)
    return found
