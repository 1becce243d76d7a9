"""A trained keyword network as layers on tiles: a recurrent one, and a dense one on the mean of its last steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from devices import Stream
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.network.dense import DenseLayer
from mappings.network.digital import MeanOfLast
from mappings.network.network import LayerNode, MappedNetwork, Network, ProgrammedNetwork
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
    tensors = (net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0)
    recurrent = RecurrentLayer.from_torch(net.model.cell, *tensors, reset="before")
    output = DenseLayer.from_torch(net.output.weight, net.output.bias, limit=output_limit)
    if calibration is None:
        draw = Stream.root(0).child("calibration noise").torch()
        calibration = torch.rand((16, 16, recurrent.inputs), generator=draw) * 2.0 - 1.0
    mean = MeanOfLast(net.model.readout_steps)
    network = Network({"recurrent": LayerNode(recurrent), "output": LayerNode(output, ("recurrent",), mean)})
    return network.map(chip, calibration=calibration)


@dataclass
class JudgedNetwork:
    """One variant's chips, its accuracy on an ideal chip, and what the real ones answer at each time.

    ``seen``: what the layers did, by name; ``answers``: time [s], classes (chips, n), and the drift-compensation
    factors.
    """

    chips: ProgrammedNetwork
    ideal: float
    seen: dict[str, Activity] = field(default_factory=dict)
    answers: list[tuple[float, torch.Tensor, list[float | torch.Tensor]]] = field(default_factory=list)
