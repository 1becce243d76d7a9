"""The four steps of a converted network: where it goes, as it is written, and as its chips are read.

On chips the graph runs one block of samples at a time. Every value behind the first layer has a leading dimension of
chips; digital calls are mapped over it (``torch.vmap``), so that they see what the module's author wrote them for.
"""

from __future__ import annotations

import contextlib
import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from devices import ChipStreams, InputError
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.convert.block_graph import BlockGraph
from mappings.convert.placement import SharedTile, alone, shared
from mappings.convert.recurrent_tiles import TileRecurrent
from mappings.convert.replicas import copied, taking_turns
from mappings.convert.saving import entry
from mappings.convert.tiles import TileModule
from mappings.convert.trace import Traced, outputs_of
from mappings.judged import put_off
from mappings.network.layer import MappedMatrixLayer, MatrixLayerRead, ProgrammedMatrixLayer
from mappings.network.recurrent_run import RecurrentRead
from mappings.step import StepActivity
from periphery.prices.component import Component

NORM = torch.ops.aten._native_batch_norm_legit_no_training.default
BLOCK = 64
"""Samples that share one stream of read noise: what a sample sees depends on its place in its block, not on how many
samples that block has, nor on how many blocks are evaluated at once."""


@dataclass(frozen=True)
class Graph:
    """A lowered network: its graph, its layers by name, the chip of each and how many copies of it there are, and
    patterns over those that may share tiles."""

    traced: Traced
    tiles: dict[str, TileModule]
    chips: dict[str, Chip]
    replicas: dict[str, int] = field(default_factory=dict)
    shared_tiles: tuple[str, ...] = ()

    def map(self) -> MappedNetwork:
        """Find where every layer goes, with its present weights and ranges."""
        layers, problems = dict[str, dict[str, MappedMatrixLayer]](), list[str]()
        for name, tile in self.tiles.items():
            try:
                layers[name] = copied(tile.map(self.chips[name]), self.replicas.get(name, 1))
            except InputError as error:
                problems += [f"{name}: {problem}" for problem in error.problems]
        if problems:
            raise InputError(problems)
        return MappedNetwork(self, *shared(layers, self.shared_tiles))


@dataclass(frozen=True)
class MappedNetwork:
    """Where every layer of a network goes: by its name, the arrays that it takes; and tiles of several layers."""

    graph: Graph
    arrays: dict[str, dict[str, MappedMatrixLayer]]
    shared: tuple[SharedTile, ...] = ()

    def __repr__(self) -> str:
        """Its layers and arrays by number: all that it holds would fill a thousand lines."""
        return f"<{type(self).__name__}: {len(self.arrays)} layers on {len(self.layers)} arrays>"

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the wishes for its layout came to nothing, as sentences."""
        return alone(self.arrays, self.shared, self.graph.shared_tiles)

    @property
    def layers(self) -> dict[str, MappedMatrixLayer]:
        """All arrays by their names."""
        return {name: one for arrays in self.arrays.values() for name, one in arrays.items()}

    def components(self) -> dict[str, Component]:
        """The price list, with the converters that the chips name."""
        found: dict[str, Component] = {}
        for layer in self.layers.values():
            found |= layer.components()
        return found

    def program(self, *, rng: ChipStreams, device: torch.device | str = "cpu") -> ProgrammedNetwork:
        """Write every layer once on each chip of ``rng``; ``device``: where the chips will compute."""
        place = torch.device(device)
        layers = {name: layer.program(rng=rng.child(name)).folded_on(place) for name, layer in self.layers.items()}
        return ProgrammedNetwork(self, layers, rng, place)


@dataclass(frozen=True)
class ProgrammedNetwork:
    """A network as written on a batch of chips; ``layers``: its arrays by name; ``device``: where they compute.

    Cells are written and aged on the CPU whatever the device: a seed names the same chips everywhere. Wires are folded
    on the device, in double precision.
    """

    mapped: MappedNetwork
    layers: dict[str, ProgrammedMatrixLayer]
    rng: ChipStreams
    device: torch.device = torch.device("cpu")

    def __repr__(self) -> str:
        """Chips and layers by number."""
        return f"<{type(self).__name__}: {len(self.rng)} chips of {len(self.mapped.arrays)} layers, on {self.device}>"

    def at(self, t_s: float) -> NetworkRead:
        """The same chips ``t_s`` seconds after they were written.

        A layer that measures no drift itself follows the mean factor of the layers that its inputs come from. Raises
        InputError for what is no time.
        """
        if isinstance(t_s, bool) or not isinstance(t_s, int | float | np.number):
            raise InputError(f"t_s: must be a number of seconds (got {t_s!r})")
        reads: dict[str, MatrixLayerRead] = {}
        arrays, before = self.mapped.arrays, sources(self.mapped.graph)
        for name, mine in arrays.items():
            earlier = [reads[one] for source in before[name] for one in arrays[source] if one in reads]
            factors = [factor for read in earlier for factor in read.factors]
            reads |= {array: self.layers[array].at(t_s, before=factors) for array in mine}
        if self.device.type != "cpu":
            reads = {name: read.on(self.device) for name, read in reads.items()}
        return NetworkRead(self.mapped, reads, self.rng.child("read", float(t_s).hex()), self.device)

    def observed(self, activity: Mapping[str, Activity]) -> dict[str, StepActivity]:
        """Means per step of what every layer was observed to do."""
        return {name: layer.observed(activity[name]) for name, layer in self.layers.items()}


@dataclass(frozen=True)
class NetworkRead:
    """A network's chips at one time: call it as the module, for outputs with a leading dimension of chips."""

    mapped: MappedNetwork
    layers: dict[str, MatrixLayerRead]
    rng: ChipStreams
    device: torch.device = torch.device("cpu")

    def __repr__(self) -> str:
        """Chips and layers by number."""
        return f"<{type(self).__name__}: {len(self.rng)} chips of {len(self.mapped.arrays)} layers, on {self.device}>"

    def __call__(
        self,
        *x: torch.Tensor,
        first: int = 0,
        block: int = BLOCK,
        of_chips: int = 0,
        activity: dict[str, Activity] | None = None,
    ) -> Any:
        """Outputs ``(chips, ...)`` for inputs as the module takes them, on the device of the inputs.

        ``first``: number of the first block of samples, where ``x`` goes on from others; ``block``: samples that share
        a stream of read noise and are computed at once; ``of_chips``: so many of the last inputs differ from chip to
        chip, ``(chips, ...)``, as states that these chips gave do; ``activity`` adds up what every layer did, by name.
        Raises InputError for another number of inputs, for other sizes than those of the example, and for no samples.
        """
        traced = self.mapped.graph.traced
        shared = len(x) - of_chips
        traced.check([one if k < shared else one[0] for k, one in enumerate(x)], least=1)
        size, home = x[0].shape[traced.batch_dim + (shared == 0)], x[0].device
        x = tuple(one.to(self.device) for one in x)
        parts = []
        # Of attention, the form that is mapped over chips at once; it is set for all threads, so only where it is met.
        attends = torch.ops.aten.scaled_dot_product_attention.default in {n.target for n in traced.graph.graph.nodes}
        form = sdpa_kernel(SDPBackend.MATH) if attends else contextlib.nullcontext()
        with torch.no_grad(), form, put_off(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")  # of calls vmap runs one by one
            for number, start in enumerate(range(0, size, block)):
                count = min(block, size - start)
                some = [one.narrow(traced.batch_dim + (k >= shared), start, count) for k, one in enumerate(x)]
                parts.append(self._computed(some, shared, first + number, activity))
        return traced.together(
            [torch.cat([part[k] for part in parts], dim=dim + 1).to(home) for k, dim in enumerate(traced.output_batch)]
        )

    def _held(self, name: str) -> Any:
        """What the module holds under a name, where the chips compute."""
        if name not in self._kept:
            held = operator.attrgetter(name)(self.mapped.graph.traced.graph)
            self._kept[name] = held.to(self.device) if isinstance(held, torch.Tensor) else held
        return self._kept[name]

    @cached_property
    def _kept(self) -> dict[str, Any]:
        return {}

    def blocks(self, x: Sequence[torch.Tensor], block: int = BLOCK) -> int:
        """Blocks of samples that such inputs make."""
        return -(-x[0].shape[self.mapped.graph.traced.batch_dim] // block)

    @cached_property
    def _graphs(self) -> dict[tuple[Any, ...], BlockGraph | None]:
        """Graphs of blocks on a GPU, by what is given; None where a block was computed once without."""
        return {}

    @cached_property
    def _refused(self) -> set[tuple[Any, ...]]:
        """Kinds of blocks of which no graph could be made."""
        return set()

    def _computed(
        self, x: Sequence[torch.Tensor], shared: int, block: int, activity: dict[str, Activity] | None
    ) -> list[torch.Tensor]:
        """As ``_block``; on a GPU from the second block of a kind on as a graph, where nothing is counted and nothing
        goes to the host on its way. Warns, once, where no graph can be made of it, for memory or a call's sake."""
        key = (shared, *((one.shape, one.stride(), one.dtype) for one in x))
        if activity is not None or self._by_host or key in self._refused:
            return self._block(x, shared, block, activity)
        if key not in self._graphs:
            self._graphs[key] = None
            return self._block(x, shared, block, None)
        if (graph := self._graphs[key]) is None:
            place = len(self.rng.streams[0].path) + len(("NODE", "block"))
            try:
                graph = BlockGraph(lambda some, number: self._block(some, shared, number, None), x, block, place)
            except RuntimeError as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                warnings.warn(f"blocks go call by call, since no CUDA graph could be made: {reason}", stacklevel=3)
                self._refused.add(key)
                return self._block(x, shared, block, None)
            self._graphs[key] = graph
        return graph(x, block)

    @cached_property
    def _by_host(self) -> bool:
        """Whether something goes by the host on its way: everything where that computes, else converters that are no
        ramps of whole sums, recurrent layers whose steps the host takes, lengths of sequences, and layers of which
        copies take turns."""
        graph = self.mapped.graph
        if self.device.type != "cuda":
            return True
        if any(copies > 1 for copies in graph.replicas.values()) or any(map(by_host, graph.chips.values())):
            return True
        if any(isinstance(one, RecurrentRead) and one.fused is None for one in self.layers.values()):
            return True
        module = graph.traced.graph
        return any(
            node.op == "call_module"
            and isinstance(module.get_submodule(str(node.target)), TileRecurrent)
            and node.args[-1] is not None
            for node in module.graph.nodes
        )

    def _block(
        self, x: Sequence[torch.Tensor], shared: int, block: int, activity: dict[str, Activity] | None
    ) -> list[torch.Tensor]:
        """Outputs of one block of samples, ``(chips, ...)`` each; the first ``shared`` inputs are one for all."""
        graph, chips = self.mapped.graph, len(self.rng)
        module, inputs = graph.traced.graph, iter(enumerate(x))
        values: dict[fx.Node, Any] = {}
        on_chips: set[fx.Node] = set()
        for node in module.graph.nodes:
            if node.op == "placeholder":
                number, values[node] = next(inputs)
                if number >= shared:
                    on_chips.add(node)
            elif node.op == "get_attr":
                values[node] = self._held(str(node.target))
            elif node.op == "call_module":
                tile = module.get_submodule(str(node.target))
                assert isinstance(tile, TileModule)
                given = [
                    None if one is None else values[one] if one in on_chips else values[one][None] for one in node.args
                ]
                arrays = list(self.mapped.arrays[tile.name])
                reads: list[Any] = [self.layers[array] for array in arrays]
                did = [None if activity is None else activity.setdefault(one, Activity()) for one in arrays]
                if (copies := graph.replicas.get(tile.name, 1)) > 1:
                    reads = taking_turns(
                        reads,
                        did,
                        copies,
                        self._positions(tile, given[0], x[0].shape[graph.traced.batch_dim + (shared == 0)]),
                    )
                    did = [None] * len(reads)
                # A stream a block: its noise must not be that of samples before it.
                rng = self.rng.child(node.name).child("block", block)
                values[node] = tile.run(reads, given, chips=chips, rng=rng, activity=did)
                on_chips.add(node)
            elif node.op == "call_function":
                values[node] = self._digital(node, values, on_chips)
            else:
                return [
                    values[one] if one in on_chips else values[one].expand(chips, *values[one].shape)
                    for one in outputs_of(module.graph)
                ]
        raise AssertionError("a graph ends with its output")

    @staticmethod
    def _positions(tile: TileModule, x: torch.Tensor | None, samples: int) -> int:
        """Products of one sample; of all of them where the batch is not the first dimension."""
        assert x is not None
        products = tile.steps(x[0].to("meta"))
        return products // samples if x.shape[1] == samples else products

    def _digital(self, node: fx.Node, values: dict[fx.Node, Any], on_chips: set[fx.Node]) -> Any:
        """A digital call, for every chip at once where its inputs differ from chip to chip."""
        many = [one for one in node.all_input_nodes if one in on_chips]
        kwargs = {name: self.device if isinstance(one, torch.device) else one for name, one in node.kwargs.items()}
        if not many:
            return node.target(*fx.map_arg(node.args, values.get), **fx.map_arg(kwargs, values.get))  # type: ignore[operator]
        if node.target is torch.ops.aten.sym_size.int:
            return values[many[0]].shape[1:][node.args[1]]
        on_chips.add(node)
        if node.target in (operator.getitem, entry):
            return values[many[0]][node.args[1]]

        target: Any = normalised if node.target is NORM else node.target

        def one_chip(*of_chip: Any) -> Any:
            here = dict(zip(many, of_chip, strict=True))

            def value(one: fx.Node) -> Any:
                return here[one] if one in here else values[one]

            return target(*fx.map_arg(node.args, value), **fx.map_arg(kwargs, value))

        return torch.vmap(one_chip)(*(values[one].contiguous() for one in many))


def by_host(chip: Chip) -> bool:
    """Whether what the chip converts may come to the host: by whatever is no ramp, or in parts that are added."""
    return chip.readout != "ramp" or chip.partial_sums == "digital" or not chip.driver.pulse_widths


def normalised(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    eps: float,
) -> tuple[torch.Tensor, ...]:
    """A batch normalisation by the statistics of training, in calls that are mapped over chips at once."""
    scale = torch.rsqrt(variance + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    shape = (-1, *(1,) * (x.dim() - 2))
    return x * scale.reshape(shape) + shift.reshape(shape), x.new_empty(0), x.new_empty(0)


def sources(graph: Graph) -> dict[str, list[str]]:
    """For each layer the names of those from which its inputs come, through digital calls or straight."""
    behind: dict[fx.Node, list[str]] = {}
    found: dict[str, list[str]] = {name: [] for name in graph.tiles}
    module = graph.traced.graph
    for node in module.graph.nodes:
        before = list(dict.fromkeys(name for one in node.all_input_nodes for name in behind[one]))
        if node.op == "call_module":
            tile = module.get_submodule(str(node.target))
            assert isinstance(tile, TileModule)
            found[tile.name] = list(dict.fromkeys([*found[tile.name], *before]))
            before = [tile.name]
        behind[node] = before
    return found
