"""Operators of an ONNX graph that are one step of a network: a product and its bias, a rounding to codes and back,
activations that exporters write as a chain of arithmetic."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor

from workloads.network.exchange.onnx_file import OnnxFile, OnnxNode, Value


def fused(file: OnnxFile) -> list[OnnxNode]:
    """The nodes in order, where several that are one step are one node of the last one's output."""
    return _Fusions(file).nodes()


class _Fusions:
    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.constants = dict(file.constants)
        self.users: dict[str, list[OnnxNode]] = defaultdict(list)
        self.maker: dict[str, OnnxNode] = {}
        for node in file.nodes:
            if node.op == "Constant" and len(node.outputs) == 1 and "value" in node.attributes:
                self.constants[node.outputs[0]] = node.attributes["value"]
            self.maker |= dict.fromkeys(node.outputs, node)
            for name in node.inputs:
                self.users[name].append(node)

    def nodes(self) -> list[OnnxNode]:
        """All nodes after fusion."""
        made: dict[str, OnnxNode] = {}
        gone: set[str] = set()
        for node in self.file.nodes:
            for fuse in (self._bias, self._codes, self._gelu, self._silu):
                found = fuse(node)
                if found is not None:
                    one, absorbed = found
                    made[one.name] = one
                    gone |= absorbed
        return [made.get(node.name, node) for node in self.file.nodes if node.name not in gone]

    def _only_user(self, name: str, op: str) -> OnnxNode | None:
        """The node that alone takes a value, if it has this operator."""
        users = self.users[name]
        return users[0] if len(users) == 1 and name not in self.file.outputs and users[0].op == op else None

    def _other(self, node: OnnxNode, name: str) -> str:
        """The second operand of a node of two, beside ``name``."""
        return node.inputs[1] if node.inputs[0] == name else node.inputs[0]

    def _is(self, name: str, number: float) -> bool:
        value = self.constants.get(name)
        return isinstance(value, Tensor) and value.numel() == 1 and math.isclose(float(value), number, rel_tol=1e-6)

    def _bias(self, node: OnnxNode) -> tuple[OnnxNode, set[str]] | None:
        """MatMul with a matrix of the file, then Add of a vector of it: the matrix takes the bias as third input.

        The vector may be dequantised from one.
        """
        if node.op != "MatMul" or len(node.outputs) != 1:
            return None
        add = self._only_user(node.outputs[0], "Add")
        matrix = self._stored(node.inputs[1])
        if add is None or len(add.inputs) != 2 or not isinstance(matrix, Tensor) or matrix.ndim != 2:
            return None
        name = self._other(add, node.outputs[0])
        bias = self._stored(name)
        if name not in self.constants or not isinstance(bias, Tensor):
            return None
        if bias.numel() != matrix.shape[1] or math.prod(bias.shape[:-1]) != 1 or bias.ndim > 2:
            return None
        return self._merged(node, add, (*node.inputs, name)), {node.name}

    def _stored(self, name: str) -> Value:
        """A constant, or the codes of one that is dequantised."""
        maker = self.maker.get(name)
        if maker is not None and maker.op == "DequantizeLinear":
            name = maker.inputs[0]
        return self.constants.get(name)

    def _codes(self, node: OnnxNode) -> tuple[OnnxNode, set[str]] | None:
        """QuantizeLinear, then DequantizeLinear of the same scale and zero point, and nothing else.

        Of several of the latter, all give one value; the first takes it, the others pass it on.
        """
        if node.op != "DequantizeLinear":
            return None
        first = self.maker.get(node.inputs[0])
        if first is None or first.op != "QuantizeLinear" or first.outputs[0] in self.file.outputs:
            return None
        users = self.users[first.outputs[0]]
        same = all(
            user.op == node.op
            and user.inputs[1:] == first.inputs[1:]
            and user.attributes.get("axis", 1) == first.attributes.get("axis", 1)
            for user in users
        )
        if not same:
            return None
        if node.name == users[0].name:
            how = {**first.attributes, **node.attributes}
            return replace(node, op="QuantiseDequantise", inputs=first.inputs, attributes=how), {first.name}
        return replace(node, op="Identity", inputs=(users[0].outputs[0],), attributes={}), set()

    def _gelu(self, node: OnnxNode) -> tuple[OnnxNode, set[str]] | None:
        """x / sqrt 2, Erf, + 1, times x, times 1/2: Gelu, as it is written before opset 20."""
        if node.op != "Div" or not self._is(node.inputs[1], math.sqrt(2.0)):
            return None
        x, chain, name = node.inputs[0], [node], node.outputs[0]
        for op, number in (("Erf", None), ("Add", 1.0), ("Mul", x), ("Mul", 0.5)):
            user = self._only_user(name, op)
            if user is None:
                return None
            if isinstance(number, float) and not self._is(self._other(user, name), number):
                return None
            if isinstance(number, str) and self._other(user, name) != number:
                return None
            chain.append(user)
            name = user.outputs[0]
        last = replace(self._merged(node, chain[-1], (x,)), op="Gelu", attributes={})
        return last, {one.name for one in chain[:-1]}

    def _silu(self, node: OnnxNode) -> tuple[OnnxNode, set[str]] | None:
        """x times Sigmoid(x)."""
        if node.op != "Sigmoid":
            return None
        user = self._only_user(node.outputs[0], "Mul")
        if user is None or self._other(user, node.outputs[0]) != node.inputs[0]:
            return None
        return replace(self._merged(node, user, node.inputs), op="Silu", attributes={}), {node.name}

    def _merged(self, node: OnnxNode, last: OnnxNode, inputs: Iterable[str]) -> OnnxNode:
        """``node`` with ``last``'s output, in ``last``'s place."""
        return replace(node, name=last.name, inputs=tuple(inputs), outputs=last.outputs)
