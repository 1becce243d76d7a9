"""A keyword network on tiles: converted once for each shape, then laid on kinds of chip with the weights of a network.

The full scale of the first layer's drivers is the chip's own. Hidden states lie in [-1, 1] by themselves, so that words
pass from layer to layer as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from devices import Ideal, Stream
from mappings.activity import Activity
from mappings.chip import Chip, Weights
from mappings.convert.chips import Graph, ProgrammedNetwork
from mappings.convert.converted import ConvertedNetwork, convert
from mappings.convert.cost import NetworkCost
from periphery import RampColumn
from workloads.kws.model import OUTPUT, KeywordModel, KeywordNet

_STEPS = 2  # of the sequences with which a network is traced; any number goes through it
_PLAIN = Chip(weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()))


def on_chip(
    net: KeywordNet, chip: Chip, *, features: torch.Tensor | None = None, limit: float = 1.0
) -> ConvertedNetwork:
    """The network on this kind of chip, its parameters shared: what trains one trains the other.

    ``features (n, steps, inputs)``: for converters and parts of sums whose range follows data, none on the meta device;
    ``limit``: output at full scale of the last converter.
    """
    converted = _outline(net.model, net.inputs, net.classes).on(chip)
    *recurrent, output = converted.tiles.values()
    for layer, tile in enumerate(recurrent):
        held = net.tensors(layer)
        if "bias_hh" in tile._parameters and "bias_hh" not in held:
            held["bias_hh"] = torch.nn.Parameter(net.no_bias, requires_grad=False)
        for name, tensor in held.items():
            setattr(tile, name, tensor)
    output.weight, output.bias = net.output.weight, net.output.bias
    if features is not None:
        converted.calibrate(features)
    for number, tile in enumerate(converted.tiles.values()):
        tile.input_limit.fill_(1.0 if number else math.nan)  # nan: the chip's own
    output.low.fill_(-limit)
    output.high.fill_(limit)
    return converted


@lru_cache(maxsize=8)
def _outline(model: KeywordModel, inputs: int, classes: int) -> ConvertedNetwork:
    """Networks of this shape, converted on the meta device."""
    net = KeywordNet(model, inputs, classes, rng=Stream.root(0)).to("meta")
    example = torch.empty((2, max(_STEPS, model.readout_steps), inputs), device="meta")
    found = convert(net, _PLAIN, example=example).of_any_sizes()
    tiles = dict(zip(model.names, found.tiles.values(), strict=True))
    for name, tile in tiles.items():
        tile.name = name
    assert tiles[OUTPUT].kind == "linear"
    return ConvertedNetwork(Graph(found.graph.traced, tiles, {name: _PLAIN for name in tiles}))


@dataclass
class JudgedNetwork:
    """One variant's chips, its accuracy on an ideal chip, and what the real ones answer at each time.

    ``seen``: what the layers did, by name; ``answers``: time [s], classes (chips, n), and by the names of layers the
    factors by which drift is compensated.
    """

    network: ConvertedNetwork
    chips: ProgrammedNetwork
    ideal: float
    seen: dict[str, Activity] = field(default_factory=dict)
    answers: list[tuple[float, torch.Tensor, dict[str, tuple[float | torch.Tensor, ...]]]] = field(default_factory=list)

    def cost(self, features: torch.Tensor) -> NetworkCost:
        """Cost of one inference on features ``(1, steps, inputs)``, by what the chips did."""
        return self.network.cost(features, observed=(self.chips, self.seen))
