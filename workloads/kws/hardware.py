"""A trained keyword network as layers on tiles: a recurrent one, and a dense one on the mean of its last steps."""

from __future__ import annotations

import torch

from devices import Stream
from mappings.chip import Chip
from mappings.network.dense import DenseLayer
from mappings.network.digital import MeanOfLast
from mappings.network.network import MappedNetwork, Network, Node
from mappings.network.recurrent import RecurrentLayer
from workloads.kws.model import KeywordNet

LAYERS = ("recurrent", "output")


def mapped_keywords(
    net: KeywordNet, chip: Chip, *, output_limit: float, calibration: torch.Tensor | None = None
) -> MappedNetwork:
    """The network on this kind of chip; ``output_limit`` is the output at full scale of its last converter.

    ``calibration``: features ``(n, steps, inputs)`` for converters that follow data; noise takes their place where
    answers do not matter.
    """
    recurrent = RecurrentLayer.from_torch(net.model.cell, net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0)
    output = DenseLayer.from_torch(net.output.weight, net.output.bias, limit=output_limit)
    if calibration is None:
        draw = Stream.root(0).child("calibration noise").torch()
        calibration = torch.rand((16, 16, recurrent.inputs), generator=draw) * 2.0 - 1.0
    mean = MeanOfLast(net.model.readout_steps)
    network = Network({"recurrent": Node(recurrent), "output": Node(output, ("recurrent",), mean)})
    return network.map(chip, calibration=calibration)
