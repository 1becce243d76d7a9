"""A torch module on the tiles of a chip: what ``mho.convert`` gives.

One object answers for the network in its four forms: in software (as the module itself), in the formats of the chip
(``net(x)``: rounding, no noise; differentiable), on chips (``net.program``), and on paper (``net.cost``).
"""

from __future__ import annotations

import contextlib
import copy
import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from devices import ChipStreams, InputError, Stream
from mappings.chip import Chip
from mappings.convert.chips import Graph, MappedNetwork, ProgrammedNetwork
from mappings.convert.cost import Flow, NetworkCost, counted, digital_chip
from mappings.convert.equalise import equalise
from mappings.convert.given import iterated, of_kind, patterns, tensors, whole_number
from mappings.convert.lower import lower
from mappings.convert.placement import check_shared
from mappings.convert.replicas import Replicas, replicas_of
from mappings.convert.tiles import TileModule
from mappings.convert.trace import traced
from mappings.network.digital_calls import count, refused
from mappings.network.layer import MappedMatrixLayer
from mappings.network.recurrent import MappedRecurrent

if TYPE_CHECKING:
    import pandas as pd

Batch = torch.Tensor | Sequence[torch.Tensor]
BATCHES = "inputs as the network takes them, or several such batches"


class ConvertedNetwork(torch.nn.Module):
    """A network whose matrix products lie on tiles; parameters are copies of the module's, under its layers' names.

    Called, it computes in the formats of its chips without noise, differentiably (straight-through); in ``train()``
    with the noise of their cells.
    """

    def __init__(self, graph: Graph, digital: Sequence[str] = ()) -> None:
        super().__init__()
        self.graph, self.patterns = graph, tuple(digital)
        self.module = graph.traced.graph
        self.eval()

    @property
    def tiles(self) -> dict[str, TileModule]:
        """Layers on tiles by their names."""
        return self.graph.tiles

    @property
    def chips(self) -> dict[str, Chip]:
        """The chip of each layer on tiles."""
        return self.graph.chips

    @property
    def layers(self) -> pd.DataFrame:
        """One row for each layer on tiles and each digital call, in order: path, kind, matrix, tiles, utilisation, chip
        and why what is digital is so."""
        import pandas as pd

        found = pd.DataFrame(list(self.rows()))
        whole = ("rows", "columns", "arrays", "products", "tiles", "copies")  # what is digital has none of them
        return found.astype({name: "Int64" for name in whole if name in found})

    def _repr_html_(self) -> str:
        """Where every layer lies, in a notebook."""
        return str(self.layers.to_html(index=False, float_format="{:.3g}".format, na_rep=""))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of ``layers``."""
        mapped, flow = self.map(), Flow.of(self.graph, self.graph.traced.example)
        for name, tile in self.tiles.items():
            mine, chip = mapped.arrays[name], self.chips[name]
            arrays = list(mine.values())
            shapes, copies = [one.shape for one in arrays], self.graph.replicas.get(name, 1)
            on = [tile for tile in mapped.shared if name in tile.layers]
            yield {
                "path": name,
                "kind": tile.described,
                "rows": shapes[0].rows,
                "columns": sum(shape.columns for shape in shapes) // copies,
                "copies": copies,
                "arrays": len(arrays),
                "products": sum(flow.products.get(name, [])),
                "tiles": sum(one.grid.tiles for one in arrays),
                "shares_with": ", ".join(dict.fromkeys(one for tile in on for one in tile.arrays if one not in mine)),
                "utilisation": _utilisation(mine, mapped),
                "chip": f"{chip.readout}, {chip.bits} bits, {chip.weights.device.kind}",
                "why": "",
            }
            for one in arrays:
                if isinstance(one, MappedRecurrent) and (behind := one.projection) is not None:
                    yield {
                        "path": behind.name,
                        "kind": "projection",
                        "rows": behind.shape.rows,
                        "columns": behind.shape.columns,
                        "copies": 1,
                        "arrays": 1,
                        "products": sum(flow.products.get(name, [])),
                        "tiles": behind.grid.tiles,
                        "shares_with": "",
                        "utilisation": _utilisation({behind.name: behind}, mapped),
                        "chip": f"{chip.readout}, {chip.bits} bits, {chip.weights.device.kind}",
                        "why": "",
                    }
        chip = digital_chip(self.graph)
        for call in flow.calls:
            did = count(call, chip)
            if not did.free:
                yield {"path": call.path, "kind": did.what, "chip": "digital", "why": did.why}

    def forward(self, *x: torch.Tensor) -> Any:
        """Outputs in the chip's formats, as the module gives them."""
        return self._outputs(x)

    def software(self, *x: torch.Tensor) -> Any:
        """Outputs of the network with its present weights as torch computes them: nothing rounded, no noise."""
        with self._computing("software"):
            return self._outputs(x)

    def calibrate(
        self, batches: Batch | Iterable[Batch], *, percentile: float = 100.0, ranges: bool = True
    ) -> ConvertedNetwork:
        """Choose ranges of inputs and converters, and levels that follow data, by what these inputs lead to.

        ``percentile``: share of the values that a range holds, in percent; what lies beyond is clipped. ``ranges``:
        False leaves them, after a training for hardware, which may lean on what they clip. Raises
        InputError for no batch at all, a percentile outside 50 to 100, and values that are not finite.
        """
        if isinstance(percentile, bool) or not isinstance(percentile, int | float) or not 50.0 <= percentile <= 100.0:
            raise InputError(f"percentile: must be from 50 to 100 (got {percentile!r})")
        whole = [batches] if isinstance(batches, torch.Tensor) else list(iterated("batches", batches, BATCHES))
        if not whole:
            raise InputError("batches: at least one, to choose ranges by (got none)")
        samples = [tensors(f"batches[{number}]", one) for number, one in enumerate(whole)]
        for tile in self.tiles.values():
            tile.observe()
        try:
            with torch.no_grad():
                for one in samples:
                    self.software(*one)
            for name, tile in self.tiles.items():
                tile.settle(self.chips[name], percentile, ranges=ranges)
        finally:
            for tile in self.tiles.values():
                tile.observed = None
        return self

    def equalise(self) -> list[tuple[str, str]]:
        """Scale channels between layers so that the next and the one before use their cells alike, where that leaves
        the network what it is (``mappings.convert.equalise``); calibrate again afterwards. Names of the pairs."""
        return equalise(self.graph)

    def map(self) -> MappedNetwork:
        """Where every layer goes, with the present weights and ranges."""
        return self.graph.map()

    def program(self, chips: int = 1, *, seed: int = 0, device: torch.device | str = "cpu") -> ProgrammedNetwork:
        """Write the network on so many chips; the same seed gives the same ones, whatever their number.

        ``device``: where the chips compute; read noise there has the same distribution, and of LSTMs the same numbers.

        Raises InputError where a layer does not fit its chip, and for a device that is not there.
        """
        chips, seed = whole_number("chips", chips, 1), whole_number("seed", seed)
        try:
            there = torch.device(device).type != "cuda" or torch.cuda.is_available()
        except (RuntimeError, TypeError):
            raise InputError(f"device: must be a device of torch, as in 'cuda' (got {device!r})") from None
        if not there:
            raise InputError(f"device: this machine has no CUDA device that torch can use (got {str(device)!r})")
        with torch.no_grad():
            written = self.on(self.chips)  # what is written and its ranges do not follow what becomes of the network
            for tile in written.tiles.values():
                tile._parameters = {
                    key: None if one is None else torch.nn.Parameter(one.detach().clone())
                    for key, one in tile._parameters.items()
                }
            return written.map().program(rng=ChipStreams.of(Stream.root(seed).child("hardware"), chips), device=device)

    def values(self, x: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Outputs in software, one after the other."""
        with torch.no_grad(), self._computing("software"):
            found = self.module(*x)
        return list(found) if isinstance(found, tuple | list) else [found]

    def of_any_sizes(self) -> ConvertedNetwork:
        """The same network for inputs of other sizes than the example's: for one that takes sequences of any length,
        which a trace does not tell from one that does not."""
        traced = replace(self.graph.traced, fixed_sizes=False)
        return ConvertedNetwork(replace(self.graph, traced=traced), self.patterns)

    def check_samples(self, x: Sequence[torch.Tensor], whole: Sequence[torch.Tensor]) -> None:
        """Raise InputError where outputs of a sample depend on the samples beside it: chips compute some at a time.

        ``whole``: the outputs in software for inputs ``x``.
        """
        dim, size = self.graph.traced.batch_dim, x[0].shape[self.graph.traced.batch_dim]
        if size < 2:
            return
        cuts = ((0, size // 3 or 1), (size // 3 or 1, size - (size // 3 or 1)))
        parts = [self.values([one.narrow(dim, first, count) for one in x]) for first, count in cuts]
        for number, (one, *apart, at) in enumerate(zip(whole, *parts, self.graph.traced.output_batch, strict=True)):
            if not _alike(one, torch.cat(apart, dim=at)):
                raise InputError(
                    f"output {number}: must not depend on other samples of the batch, nor be drawn at random: chips "
                    "compute some samples at a time (got other values for a part of the example)"
                )

    def on(self, chip: Chip | Mapping[str, Chip]) -> ConvertedNetwork:
        """The same network, its parameters shared, on another chip or others: ranges stay as calibrated, and may be
        calibrated again apart from these."""
        chips, module, tiles = chips_of(self.tiles, chip), copy.copy(self.module), dict[str, TileModule]()
        for name, tile in self.tiles.items():
            tiles[name] = copy.copy(tile)
            tiles[name].chip = chips[name]
            tiles[name]._parameters = dict(tile._parameters)
            tiles[name]._buffers = {key: None if one is None else one.clone() for key, one in tile._buffers.items()}
            module.add_submodule(tile.target, tiles[name])
        traced = replace(self.graph.traced, graph=module)
        return ConvertedNetwork(replace(self.graph, traced=traced, tiles=tiles, chips=chips), self.patterns)

    def laid_out(self, *, replicas: Replicas = 1, shared_tiles: Sequence[str] = ()) -> ConvertedNetwork:
        """The same network, its parameters and ranges shared, with these copies of its layers and tiles of several
        layers."""
        products = Flow.of(self.graph, self.graph.traced.example).products
        copies = replicas_of(self.tiles, replicas, products)
        check_shared(list(self.tiles), patterns("shared_tiles", shared_tiles))
        graph = replace(self.graph, replicas=copies, shared_tiles=tuple(shared_tiles))
        return ConvertedNetwork(graph, self.patterns)

    def idealised(self) -> ConvertedNetwork:
        """The same network on chips of the same formats without any error: what rounding alone costs."""
        return self.on({name: chip.idealised() for name, chip in self.chips.items()})

    def cost(self, *x: torch.Tensor, **how: Any) -> NetworkCost:
        """Area, energy and latency of one inference on inputs shaped as the first sample of ``x``, on the meta device
        if need be."""
        return counted(self.graph, x, **how)

    def _outputs(self, x: Sequence[torch.Tensor]) -> Any:
        """Raises InputError for another number of inputs."""
        traced = self.graph.traced
        traced.check(x)
        return traced.together(self.module(*x))

    @contextlib.contextmanager
    def _computing(self, how: Literal["software", "formats"]) -> Iterator[None]:
        before = {name: tile.how for name, tile in self.tiles.items()}
        try:
            for tile in self.tiles.values():
                tile.how = how
            yield
        finally:
            for name, tile in self.tiles.items():
                tile.how = before[name]


def convert(
    module: torch.nn.Module,
    chip: Chip | Mapping[str, Chip],
    *,
    example: Batch,
    digital: Sequence[str] = (),
    batch_dim: int = 0,
    replicas: Replicas = 1,
    shared_tiles: Sequence[str] = (),
    equalised: bool = True,
) -> ConvertedNetwork:
    """A torch module as a network on tiles of a chip.

    Parameters
    ----------
    module : any module that ``torch.export`` can trace; it is copied, and stays as it is
    chip : of all layers, or by pattern over the paths of modules (``{"encoder.*": a, "*": b}``; the first that matches)
    example : inputs, with the batch in dimension ``batch_dim``: shapes are taken from them and, where they have values,
        the ranges of inputs and converters too; ``calibrate`` does so again on more data
    digital : patterns over paths of modules that are to stay digital
    replicas : copies of layers' arrays, which take turns at the positions of a convolution or a sequence: a number for
        all layers, or numbers by pattern over their paths (``mappings.convert.replicas``)
    shared_tiles : patterns over paths of layers that may share tiles (``mappings.convert.placement``)
    equalised : scale channels between layers so that small ones do not drown in the errors of cells, where that leaves
        the network what it is

    Raises InputError, with every reason and its path in the module, for what cannot be traced, counted or mapped.
    """
    inputs = tensors("example", example)
    of_kind("equalised", equalised, bool)
    if not all(bool(one.isfinite().all()) for one in inputs if not one.is_meta):
        raise InputError("example: values must be finite (got NaN or infinity)")
    flow = traced(module, inputs, batch_dim=batch_dim)
    tiles = lower(flow, patterns("digital", digital))
    chips = chips_of(tiles, chip)
    for name, tile in tiles.items():
        tile.chip = chips[name]
    graph = Graph(flow, tiles, chips)
    if problems := refused(Flow.of(graph, flow.example).calls):
        raise InputError(problems)
    net = ConvertedNetwork(graph, digital).laid_out(replicas=replicas, shared_tiles=shared_tiles)
    if not any(one.is_meta for one in (*inputs, *module.parameters())):
        some = [one.narrow(batch_dim, 0, min(8, one.shape[batch_dim])) for one in inputs]
        before = net.values(some)
        net.check_samples(some, before)
        if equalised and net.equalise():
            after = net.values(some)
            if not all(_alike(one, two) for one, two in zip(before, after, strict=True)):
                raise InputError(
                    "equalised: the network is another one with channels of equal size; pass equalised=False"
                )
        net.calibrate([inputs])
    return net


def _alike(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether values are the same but for rounding, of the largest of them."""
    if not one.is_floating_point():
        return bool((one == two).all())
    largest = float(one.abs().max()) if one.numel() else 0.0
    near = max(1e-3, 4.0 * torch.finfo(one.dtype).eps)
    return bool(torch.allclose(one, two, rtol=near, atol=near * largest, equal_nan=True))


def _utilisation(arrays: Mapping[str, MappedMatrixLayer], mapped: MappedNetwork) -> float:
    """Share of the places of a layer's tiles at which there is a weight, of whatever layer [1]."""
    weights, places = 0.0, 0.0
    for name, one in arrays.items():
        on = next((tile.utilisation for tile in mapped.shared if name in tile.arrays), None)
        whole = one.grid.tiles * one.grid.rows * one.grid.columns
        weights += one.shape.rows * one.shape.columns if on is None else on * whole
        places += whole
    return weights / places


def chips_of(tiles: Mapping[str, TileModule], chip: Chip | Mapping[str, Chip]) -> dict[str, Chip]:
    """The chip of every layer. Raises InputError where no pattern matches a layer, or no layer a pattern."""
    if isinstance(chip, Chip):
        return {name: chip.of_layer(name) for name in tiles}
    used: set[str] = set()
    found: dict[str, Chip] = {}
    missing = []
    for name in tiles:
        matching = [pattern for pattern in chip if fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            missing.append(name)
            continue
        used.update(matching)
        found[name] = chip[matching[0]].of_layer(name)
    problems = [f"chip: no pattern matches the layer {name} (patterns: {', '.join(chip)})" for name in missing]
    idle = [pattern for pattern in chip if pattern not in used]
    problems += [f"chip: {pattern}: matches no layer (layers: {', '.join(tiles)})" for pattern in idle]
    if problems:
        raise InputError(problems)
    return found
