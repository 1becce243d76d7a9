"""A network: layers by name, each with the names that it takes its inputs from, in the four steps of the contract.

Words pass between layers as whole counts: where two formats are the same they pass as they are, otherwise the driver
of the layer that takes them rounds their values anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from devices import BlockNoise, ChipStreams, InputError
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.contract import WordFormat
from mappings.network.digital import MeanOfLast
from mappings.network.layer import MappedMatrixLayer, MatrixLayer, MatrixLayerRead, ProgrammedMatrixLayer
from mappings.step import StepActivity
from periphery.prices.component import Component

INPUTS = "inputs"

Words = tuple[torch.Tensor, WordFormat | None]  # counts with their format, or values


@dataclass(frozen=True)
class LayerNode:
    """A layer in a network.

    ``takes``: names of the layers whose words come in, side by side, or ``inputs``, those of the network; ``mean``: of
    the steps of a sequence, taken before the layer.
    """

    layer: MatrixLayer
    takes: tuple[str, ...] = (INPUTS,)
    mean: MeanOfLast | None = None

    def counts(self, words: Mapping[str, Words], chip: Chip) -> torch.Tensor:
        """Inputs of the layer in clock periods of its chip, ``(chips | 1, n, ..., inputs)``."""
        wanted = WordFormat(bits=chip.bits, limit=chip.driver.x_max)
        found = []
        for name in self.takes:
            values, words_of = words[name]
            if words_of != wanted:
                values = chip.counts(values if words_of is None else values * words_of.lsb)
            found.append(values)
        counts = found[0] if len(found) == 1 else torch.cat(found, dim=-1)
        return counts if self.mean is None else self.mean.apply(counts)


@dataclass(frozen=True)
class Network:
    """Layers by name, each after those that it takes its inputs from; the last one gives the network's outputs."""

    nodes: dict[str, LayerNode]

    def __post_init__(self) -> None:
        problems: list[str] = []
        widths: dict[str, int] = {}
        for name, node in self.nodes.items():
            late = [source for source in node.takes if source != INPUTS and source not in widths]
            if late:
                problems.append(f"{name}: takes: inputs, or layers before it (got {', '.join(late)})")
            elif INPUTS not in node.takes and (width := sum(widths[one] for one in node.takes)) != node.layer.inputs:
                problems.append(f"{name}: takes {node.layer.inputs} values (got {width})")
            widths[name] = node.layer.outputs
        if problems:
            raise InputError(problems)

    def map(self, chip: Chip | Mapping[str, Chip], *, calibration: torch.Tensor | None = None) -> MappedNetwork:
        """Find where every layer goes, on one kind of chip or on one by the name of the layer.

        ``calibration``: inputs ``(n, ..., inputs)`` of the network, for layers whose ranges or levels follow data;
        those behind others get what ideal chips in front of them give. Raises InputError where a layer does not fit its
        chip.
        """
        chips = {name: chip[name] if isinstance(chip, Mapping) else chip for name in self.nodes}
        words: dict[str, Words] = {} if calibration is None else {INPUTS: (calibration[None], None)}
        layers: dict[str, MappedMatrixLayer] = {}
        follow = [name for name, node in self.nodes.items() if node.layer.follows_data(chips[name])]
        for name, node in self.nodes.items():
            on, counts = chips[name].of_layer(name), None
            if words and follow:
                counts = node.counts(words, on)
                follow = [other for other in follow if other != name]
            layers[name] = node.layer.map(on, name=name, calibration=counts)
            if counts is not None and follow:
                words[name] = node.layer.ideal(on, counts), layers[name].output_words
        return MappedNetwork(self, layers)


@dataclass(frozen=True)
class MappedNetwork:
    """Where every layer of a network goes."""

    network: Network
    layers: dict[str, MappedMatrixLayer]

    def components(self) -> dict[str, Component]:
        """The price list, with the converters that the chips name."""
        return {name: record for layer in self.layers.values() for name, record in layer.components().items()}

    def actions(self, activity: Mapping[str, StepActivity] | None = None, *, steps: int = 1) -> dict[str, Actions]:
        """What every layer does in one inference of ``steps`` steps of the inputs, by its name.

        ``activity``: as observed, by layer; with None every layer takes its assumptions.
        """
        found: dict[str, Actions] = {}
        lengths = {INPUTS: steps}
        for name, node in self.network.nodes.items():
            mapped = self.layers[name]
            actions = mapped.actions(None if activity is None else activity[name])
            if node.mean is not None:
                actions = node.mean.counted(actions, node.layer.inputs, mapped.chip)
            lengths[name] = 1 if node.mean is not None else max(lengths[source] for source in node.takes)
            found[name] = actions.per_inference(lengths[name])
        return found

    def program(self, *, rng: ChipStreams) -> ProgrammedNetwork:
        """Write every layer once on each chip of ``rng``."""
        return ProgrammedNetwork(
            self, {name: layer.program(rng=rng.child(name)) for name, layer in self.layers.items()}, rng
        )


@dataclass(frozen=True)
class ProgrammedNetwork:
    """A network as written on a batch of chips."""

    mapped: MappedNetwork
    layers: dict[str, ProgrammedMatrixLayer]
    rng: ChipStreams

    def at(self, t_s: float) -> NetworkRead:
        """The same chips ``t_s`` seconds after they were written.

        A layer that measures no drift itself follows the mean factor of those that it takes its inputs from.
        """
        reads: dict[str, MatrixLayerRead] = {}
        for name, layer in self.layers.items():
            sources = [source for source in self.mapped.network.nodes[name].takes if source != INPUTS]
            reads[name] = layer.at(t_s, before=[factor for source in sources for factor in reads[source].factors])
        return NetworkRead(self.mapped, reads, self.rng.child("read", float(t_s).hex()))

    def observed(self, activity: Mapping[str, Activity]) -> dict[str, StepActivity]:
        """Means per step of what every layer was observed to do."""
        return {name: layer.observed(activity[name]) for name, layer in self.layers.items()}


@dataclass(frozen=True)
class NetworkRead:
    """A network's chips at one time."""

    mapped: MappedNetwork
    layers: dict[str, MatrixLayerRead]
    rng: ChipStreams

    def run(
        self, x: torch.Tensor, *, block: int = 64, batch: int = 512, activity: dict[str, Activity] | None = None
    ) -> torch.Tensor:
        """Outputs ``(chips, n, ...)`` of the last layer for ``x (n, ..., inputs)``.

        ``block`` samples share one stream of read noise and one product; ``batch`` samples (a multiple of blocks) are
        computed together, which changes no result. ``activity`` adds up what every layer did, by name.
        """
        at_once = max(1, batch // block) * block
        starts = range(0, len(x), at_once)
        parts = [self._batch(x[start : start + at_once], start // block, block, activity) for start in starts]
        return torch.cat(parts, dim=1)

    def _batch(self, x: torch.Tensor, first: int, block: int, activity: dict[str, Activity] | None) -> torch.Tensor:
        """The same for samples from block ``first`` on; the last block is filled up with zeros."""
        valid, fill = len(x), -len(x) % block
        x = torch.nn.functional.pad(x, (*(0, 0) * (x.dim() - 1), 0, fill))
        noise = BlockNoise(self.rng, range(first, first + len(x) // block), block)
        words: dict[str, Words] = {INPUTS: (x[None], None)}
        for name, node in self.mapped.network.nodes.items():
            mapped, counted = self.mapped.layers[name], None
            if activity is not None:
                counted = activity.setdefault(name, Activity())
                counted.valid = valid
            counts = node.counts(words, mapped.chip)
            words[name] = self.layers[name].run(counts, noise=noise, activity=counted), mapped.output_words
        return words[name][0][:, :valid]
