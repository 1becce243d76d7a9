"""What one inference of a converted network costs: layers on tiles and digital calls, one after the other."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from devices import InputError
from mappings.actions import Actions, Instance
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.convert.chips import Graph, ProgrammedNetwork
from mappings.convert.replicas import steps_of
from mappings.convert.saving import entry
from mappings.convert.tiles import TileModule
from mappings.convert.trace import path_of
from mappings.cost import summarise
from mappings.network.digital_calls import Call, count, refused
from mappings.network.recurrent import MappedRecurrent
from mappings.price_spread import interval, sampled
from mappings.priced import LayerOnChip, Priced
from mappings.trace import trace

if TYPE_CHECKING:
    import pandas as pd


DIGITAL = "digital units"
"""The layer under which tables list what all digital calls share."""
MEMORY = ("register", "word_bank")


@dataclass(frozen=True, repr=False)
class NetworkCost:
    """Area, energy and latency of one inference; every part waits for the one before it.

    ``priced``: every action and instance with its price; ``calls``: digital calls as ``(path, call, why)``;
    ``parts``: what was priced, to be priced by another list.
    """

    priced: Priced
    calls: tuple[tuple[str, str, str], ...]
    parts: tuple[LayerOnChip, ...]

    @cached_property
    def summary(self) -> dict[str, float]:
        """``area_m2``, ``energy_J``, ``leakage_W``, ``latency_s`` and what follows, of one inference."""
        return summarise(self.priced.lines, self.priced.latency_s, self.priced.ops)

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """What the prices' uncertainty makes of area and energy: 90 % of them lie between."""
        areas, energies = sampled(self.priced.lines)
        return {"area_m2": interval(areas), "energy_J": interval(energies)}

    def __repr__(self) -> str:
        return f"NetworkCost({', '.join(f'{key}={value:.4g}' for key, value in self.summary.items())})"

    def _repr_html_(self) -> str:
        """The summary in a notebook, with the 90 % interval of what is priced."""
        import pandas as pd

        ends = self.interval
        rows = {key: {"one inference": value} | _ends(ends.get(key)) for key, value in self.summary.items()}
        return str(pd.DataFrame.from_dict(rows, orient="index").to_html(float_format="{:.4g}".format, na_rep=""))

    @property
    def table(self) -> pd.DataFrame:
        """One row for each action and instance of each layer, with its price and source."""
        import pandas as pd

        return pd.DataFrame([vars(line) for line in self.priced.lines])

    @property
    def layers(self) -> pd.DataFrame:
        """One row for each layer: places, steps of one inference, area, energy and time of a step."""
        import pandas as pd

        return pd.DataFrame(self.priced.layers)

    @property
    def trace(self) -> dict[str, Any]:
        """One step of every layer, for the Perfetto and Chrome trace viewers."""
        return trace(self.priced.tasks)


def _ends(found: tuple[float, float] | None) -> dict[str, float]:
    return {} if found is None else {"5 % of prices": found[0], "95 % of prices": found[1]}


def counted(
    graph: Graph,
    x: Sequence[torch.Tensor],
    *,
    observed: tuple[ProgrammedNetwork, Mapping[str, Activity]] | None = None,
) -> NetworkCost:
    """The cost of one inference on inputs shaped as the first sample of ``x``, on the meta device if need be.

    Digital calls take turns on one set of units, as large as the largest of them needs; what they keep has memory of
    its own.

    ``observed``: chips and what they were seen to do; else every layer states what it assumes. Raises InputError with
    every digital call that has no price.
    """
    mapped = graph.map() if observed is None else observed[0].mapped
    activity = {} if observed is None else observed[0].observed(observed[1])
    flow = Flow.of(graph, x)
    chip = digital_chip(graph)
    layers = []
    for name, products in flow.products.items():
        copies = graph.replicas.get(name, 1)
        each = len(mapped.arrays[name]) // copies
        for number, (array, layer) in enumerate(mapped.arrays[name].items()):
            behind = layer.projection if isinstance(layer, MappedRecurrent) else None
            every = [layer] if behind is None else [layer, behind]
            shape, written = layer.shape, None if observed is None else observed[0].layers[array]
            did = layer.actions(activity.get(array)).per_inference(steps_of(number // each, copies, products))
            layers.append(
                LayerOnChip(
                    name=array,
                    actions=replace(did, tasks=()) if number else did,  # arrays and copies work at the same time
                    rows=shape.rows,
                    columns=shape.columns,
                    cells=sum(one.matrix.cells for one in every),
                    tiles=sum(one.grid.tiles for one in every),
                    clipped_weights=0.0 if written is None else written.matrix.array.encoded.clipped,
                    node_nm=graph.chips[name].node_nm,
                    components=layer.components(),
                )
            )
    if problems := refused(flow.calls):
        raise InputError(problems)
    components = chip.price_list()
    table, units = [], dict[str, float]()
    for call in flow.calls:
        done = count(call, chip, components=components)
        if not done.free:
            shared = [one for one in done.actions.instances if one.component not in MEMORY]
            own = tuple(one for one in done.actions.instances if one.component in MEMORY)
            units |= {one.component: max(one.count, units.get(one.component, 0.0)) for one in shared}
            actions = replace(done.actions, instances=own)
            layers.append(LayerOnChip(name=call.path, actions=actions, rows=0, columns=0, cells=0, tiles=0))
            table.append((call.path, done.what, done.why))
    if units:
        stand = Actions(instances=tuple(Instance(DIGITAL, name, number) for name, number in units.items()))
        layers.append(LayerOnChip(name=DIGITAL, actions=stand, rows=0, columns=0, cells=0, tiles=0))
    return NetworkCost(Priced.of(layers, node_nm=chip.node_nm, components=components), tuple(table), tuple(layers))


def digital_chip(graph: Graph) -> Chip:
    """The chip whose digital units compute what is not on tiles: that of the first layer. Raises InputError for a
    network without any."""
    if not graph.chips:
        raise InputError("network: no layer lies on tiles: nothing of it is a product with a matrix of parameters")
    return next(iter(graph.chips.values()))


@dataclass(frozen=True)
class Flow:
    """Shapes of one inference: products of every layer in each of its calls, in order, and digital calls."""

    products: dict[str, list[int]]
    calls: tuple[Call, ...]

    @classmethod
    def of(cls, graph: Graph, x: Sequence[torch.Tensor]) -> Flow:
        """By running the graph on the meta device with one sample."""
        traced = graph.traced
        traced.check(x, least=1)
        inputs = iter(one.narrow(traced.batch_dim, 0, 1).to("meta") for one in x)
        values: dict[fx.Node, Any] = {}
        products: dict[str, list[int]] = {}
        calls: list[Call] = []
        for node in traced.graph.graph.nodes:
            args, kwargs = fx.map_arg(node.args, values.get), fx.map_arg(node.kwargs, values.get)
            if node.op == "placeholder":
                values[node] = next(inputs)
            elif node.op == "get_attr":
                values[node] = operator.attrgetter(str(node.target))(traced.graph).to("meta")
            elif node.op == "call_module":
                tile = traced.graph.get_submodule(str(node.target))
                assert isinstance(tile, TileModule)
                products.setdefault(tile.name, []).append(tile.steps(args[0]))
                values[node] = tile.outline(*args)
            elif node.op == "call_function":
                if "device" in kwargs:
                    kwargs = {**kwargs, "device": torch.device("meta")}
                values[node] = node.target(*args, **kwargs)
                if node.target is not entry:
                    path = ".".join(filter(None, (path_of(node), node.name)))
                    calls.append(Call(path=path, target=node.target, args=args, kwargs=kwargs, output=values[node]))
        return cls(products, tuple(calls))
