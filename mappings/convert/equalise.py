"""Channels of equal size: what a layer gives is scaled down, and the next layer's weights up, channel by channel.

All cells of an array err alike, on the scale of its largest weight, so small channels drown in errors. Where nothing
but a positively homogeneous function, f(s z) = s f(z), stands between two products, the network stays what it is with

    W1[i, :] / s_i,   b1[i] / s_i,   W2[:, i] s_i,   s_i = sqrt(max |W1[i, :]| / max |W2[:, i]|),

after which both arrays have the same largest weight in every channel (Nagel et al., ICCV 2019, arXiv:1906.04721). No
hardware is needed. Pairs of layers share layers, so they are taken in turn until nothing moves.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from mappings.convert.chips import Graph
from mappings.convert.convolution import TileConv
from mappings.convert.tiles import TileLinear, TileModule, TileProduct

aten = torch.ops.aten
POOLS = {
    aten.max_pool1d.default,
    aten.max_pool2d.default,
    aten.avg_pool1d.default,
    aten.avg_pool2d.default,
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten.dropout.default,
}
"""Calls that treat every channel alike and scale with it."""
SWEEPS = 40
SETTLED = 1e-4
"""Largest relative change of a channel's scale in a sweep that ends them."""


@dataclass(frozen=True)
class Pair:
    """Two layers of which the second takes what the first gives; every channel makes ``repeats`` of its inputs."""

    first: TileProduct
    second: TileProduct
    repeats: int

    def scales(self) -> torch.Tensor:
        """What equalises the channels now; 1 for a channel without weights on either side, ``(channels,)``."""
        given = self.first.folded[0].detach().flatten(1).abs().amax(1).double()
        taken = self._of_inputs().reshape(len(given), -1).amax(1).double()
        usable = (given > 0.0) & (taken > 0.0)
        return torch.where(usable, torch.sqrt(given / taken.clamp_min(1e-300)), 1.0)

    def apply(self, scales: torch.Tensor) -> None:
        """Divide the channels by ``scales``, and multiply what takes them."""
        two = self.second
        with torch.no_grad():
            for part in _scaled(self.first):
                if part is not None:
                    part.div_(scales.to(part).reshape(-1, *[1] * (part.dim() - 1)))
            weight = two.weight
            inputs = scales.to(weight).repeat_interleave(self.repeats)
            groups = len(inputs) // weight.shape[1]
            each = inputs.reshape(groups, 1, -1).expand(-1, weight.shape[0] // groups, -1).reshape(weight.shape[:2])
            weight.mul_(each.reshape(*each.shape, *[1] * (weight.dim() - 2)))

    def _of_inputs(self) -> torch.Tensor:
        """Largest weight that takes each input of the second layer, ``(inputs,)``."""
        weight = self.second.folded[0].detach().abs()
        largest = weight.flatten(2).amax(2) if weight.dim() > 2 else weight
        groups = self.first.weight.shape[0] * self.repeats // weight.shape[1]
        return largest.reshape(groups, -1, weight.shape[1]).amax(1).flatten()


def equalise(graph: Graph) -> list[tuple[str, str]]:
    """Equalise the channels between layers of a network, in place; the names of the layers on either side of each.

    Ranges of inputs and converters no longer hold: they have to be chosen again.
    """
    pairs = pairs_of(graph)
    for _ in range(SWEEPS):
        moved = 0.0
        for pair in pairs:
            scales = pair.scales()
            pair.apply(scales)
            moved = max(moved, float((scales / scales.mean() - 1.0).abs().max()))
        if moved < SETTLED:
            break
    return [(pair.first.name, pair.second.name) for pair in pairs]


def pairs_of(graph: Graph) -> list[Pair]:
    """Layers between which channels can be scaled, in order: each called once, of weights of its own, with nothing but
    a homogeneous function and pools between."""
    module, shapes = graph.traced.graph, _shapes(graph)
    alone = _alone(graph)
    found = []
    for node in module.graph.nodes:
        tile = _product(module, node)
        if tile is None or not alone(*_scaled(tile)) or not homogeneous(tile):
            continue
        axis, repeats, behind = (1 if isinstance(tile, TileConv) else len(shapes[node]) - 1), 1, node
        while len(behind.users) == 1:
            user = next(iter(behind.users))
            if (second := _product(module, user)) is not None:
                wanted = 1 if isinstance(second, TileConv) else len(shapes[behind]) - 1
                if axis == wanted and alone(second.weight) and user.args[0] is behind:
                    found.append(Pair(tile, second, repeats))
                break
            if (kept := _kept(user, shapes[behind], shapes.get(user), axis)) is None:
                break
            repeats, behind = repeats * kept, user
    return found


def _scaled(tile: TileProduct) -> tuple[torch.Tensor | None, ...]:
    """What scales the outputs of a layer."""
    return (tile.norm_weight, tile.norm_bias) if tile.normalised else (tile.weight, tile.bias)


def _alone(graph: Graph) -> Callable[..., bool]:
    """Whether tensors are used once in a network: by one call of one layer, and not elsewhere."""
    module, used = graph.traced.graph, Counter[int]()
    for node in module.graph.nodes:
        held: list[Any] = []
        if node.op == "call_module":
            held = list(module.get_submodule(str(node.target)).parameters())
        elif node.op == "get_attr":
            held = [operator.attrgetter(str(node.target))(module)]
        used.update({one.untyped_storage().data_ptr() for one in held if isinstance(one, torch.Tensor)})
    return lambda *tensors: all(one is None or used[one.untyped_storage().data_ptr()] == 1 for one in tensors)


def homogeneous(tile: TileProduct) -> bool:
    """Whether the function of a layer scales with its sums, f(s z) = s f(z): two straight pieces that meet at 0."""
    if tile.function is None:
        return True
    one = torch.logspace(-18.0, 18.0, 1441, dtype=torch.float64)  # caps and dead zones lie within
    with torch.no_grad():
        up, down = (tile.function(sign * one) / one for sign in (1.0, -1.0))
    return all(bool(torch.isfinite(part).all()) and float(part.max() - part.min()) <= 1e-6 for part in (up, down))


def _product(module: fx.GraphModule, node: fx.Node) -> TileProduct | None:
    """The layer of one matrix that a node calls, or None."""
    if node.op != "call_module":
        return None
    tile = module.get_submodule(str(node.target))
    return tile if isinstance(tile, TileLinear | TileConv) else None


def _kept(node: fx.Node, before: torch.Size, after: torch.Size | None, axis: int) -> int | None:
    """How many neighbouring values of a channel stand beside each other in its place behind a digital call; None where
    the call does not scale with channels."""
    if node.op != "call_function" or after is None:
        return None
    if node.target in POOLS:
        return 1 if axis == 1 or node.target is aten.dropout.default else None
    if node.target is aten.pad.default:
        widths: Any = node.args[1]
        zero = node.args[2:] in ((), ("constant",), ("constant", None), ("constant", 0.0))
        return 1 if zero and not any(widths[2 * (len(before) - 1 - axis) :][:2]) else None
    if node.target is aten.mean.dim and axis == 1 and len(before) == 4:
        dims: Any = node.args[1]
        over = {one % 4 for one in dims}
        return 1 if over == {2, 3} else None
    if node.target in (aten.reshape.default, aten.flatten.using_ints) and axis == 1:
        size = before[1:].numel()
        return size // before[1] if tuple(after) == (before[0], size) else None
    return None


def _shapes(graph: Graph) -> dict[fx.Node, torch.Size]:
    """Shapes of the tensors of a graph, for one sample on the meta device."""
    module, inputs = graph.traced.graph, iter(graph.traced.example)
    values: dict[fx.Node, Any] = {}
    for node in module.graph.nodes:
        args, kwargs = fx.map_arg(node.args, values.get), fx.map_arg(node.kwargs, values.get)
        if node.op == "placeholder":
            values[node] = next(inputs)
        elif node.op == "get_attr":
            values[node] = operator.attrgetter(str(node.target))(module).to("meta")
        elif node.op == "call_module":
            tile = module.get_submodule(str(node.target))
            assert isinstance(tile, TileModule)
            values[node] = tile.outline(*args)
        elif node.op == "call_function":
            values[node] = node.target(*args, **({**kwargs, "device": "meta"} if "device" in kwargs else kwargs))
    return {node: value.shape for node, value in values.items() if isinstance(value, torch.Tensor)}
