"""Converted networks on disk: their graph as JSON, their tensors as safetensors. No code is kept, and none is run.

The graph names ATen calls alone; a file that names anything else is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from devices import InputError
from mappings.convert.packed import turned


def entry(values: Sequence[Any], number: int) -> Any:
    """One of the values that a layer gave."""
    return values[number]


OWN: dict[str, Any] = {
    "entry": entry,
    "getitem": operator.getitem,
    "mul": operator.mul,
    "add": operator.add,
    "sub": operator.sub,
}
OWN |= {"floordiv": operator.floordiv, "turned": turned}
DTYPES = {str(one): one for one in vars(torch).values() if isinstance(one, torch.dtype)}
LAYOUTS = {str(one): one for one in (torch.strided, torch.contiguous_format, torch.preserve_format)}


def written_graph(graph: fx.Graph) -> list[dict[str, Any]]:
    """A graph as plain data. Raises InputError for a call that a file cannot hold."""
    return [
        {
            "name": node.name,
            "op": node.op,
            "target": _named(node),
            "args": _plain(node.args),
            "kwargs": _plain(dict(node.kwargs)),
            "path": [list(one) for one in node.meta.get("nn_module_stack", {}).values()],
        }
        for node in graph.nodes
    ]


def read_graph(rows: list[dict[str, Any]]) -> fx.Graph:
    """The graph of plain data. Raises InputError for anything but ATen calls, layers and tensors."""
    graph, nodes = fx.Graph(), dict[str, fx.Node]()
    for row in rows:
        args, kwargs = _restored(row["args"], nodes), _restored(row["kwargs"], nodes)
        made = graph.create_node(row["op"], _target(row["op"], row["target"]), tuple(args), kwargs, name=row["name"])
        if row["path"]:
            made.meta["nn_module_stack"] = {str(k): tuple(one) for k, one in enumerate(row["path"])}
        nodes[row["name"]] = made
    return graph


def _named(node: fx.Node) -> str:
    if node.op != "call_function":
        return str(node.target)
    for name, function in OWN.items():
        if node.target is function:
            return name
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target)
    raise InputError(f"{node.name}: a network with calls of {node.target} cannot be saved: only ATen calls are")


def _target(op: str, name: str) -> Any:
    if op != "call_function":
        return name
    if name in OWN:
        return OWN[name]
    space, _, rest = name.partition(".")
    packet, _, overload = rest.rpartition(".")
    if space not in ("aten", "mho") or not packet.isidentifier():
        raise InputError(f"network.json: {name}: must be an ATen call")
    try:
        return getattr(getattr(getattr(torch.ops, space), packet), overload)
    except AttributeError:
        raise InputError(f"network.json: {name}: this torch ({torch.__version__}) has no such call") from None


def _plain(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {"dict": {name: _plain(one) for name, one in value.items()}}
    if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
        return {"torch": str(value)}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"float": str(value)}
    return value


def _restored(value: Any, nodes: dict[str, fx.Node]) -> Any:
    if isinstance(value, list):
        return [_restored(one, nodes) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "node":
        return nodes[held]
    if kind == "dict":
        return {name: _restored(one, nodes) for name, one in held.items()}
    if kind == "float":
        return float(held)
    if kind == "device":
        return torch.device(held)
    return DTYPES[held] if held in DTYPES else LAYOUTS[held]
