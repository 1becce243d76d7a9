"""Converted networks on disk: ``network.json`` (the graph), ``network.safetensors`` (parameters and ranges) and
``chips.yaml`` (the chip of every layer, every default written out). No code is kept, and none is run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import fx
from torch.utils._pytree import treespec_dumps, treespec_loads

from configs.bounded import check_regular, read_file
from configs.errors import InputError
from configs.yaml_source import dump_yaml
from mappings.chip import Chip
from mappings.convert.chips import Graph
from mappings.convert.converted import ConvertedNetwork
from mappings.convert.kinds import TILES
from mappings.convert.saving import DTYPES, read_graph, written_graph
from mappings.convert.tiles import TileModule
from mappings.convert.trace import Traced
from mho.config.read import digest, read, schema_of
from mho.files import RunFolder
from mho.network.convert import AnyChip, chip_named

GRAPH, TENSORS, CHIPS = "network.json", "network.safetensors", "chips.yaml"
FORMAT = 1

RANGES = ("input_limit", "input_least", "low", "high")
"""Not numbers until a network is calibrated."""


def save(net: ConvertedNetwork, folder: Path | str) -> None:
    """Write a converted network to a folder, whole or not at all; an older network there is replaced.

    Raises InputError for a folder that holds other files, and for a network with calls that a file cannot hold.
    """
    if not isinstance(net, ConvertedNetwork):
        raise InputError(
            f"save: a converted network (got {type(net).__name__}); chips are not kept: the network and their seed "
            "give the same ones again"
        )
    traced, chips = net.graph.traced, net.chips
    kinds = {name: schema_of(Chip).adapter.dump_python(chip, mode="json") for name, chip in chips.items()}
    different = {digest(data): data for data in kinds.values()}
    labels = {key: f"chip_{number}" for number, key in enumerate(different, 1)}
    held = {
        str(node.target): attrgetter(node.target)(traced.graph) for node in traced.graph.graph.find_nodes(op="get_attr")
    }
    tensors = dict(held)
    for tile in net.tiles.values():
        tensors |= {f"{tile.target}.{name}": one for name, one in tile.state_dict().items()}
    record = {
        "format": FORMAT,
        "graph": written_graph(traced.graph.graph),
        "inputs": traced.inputs,
        "example": [[list(one.shape), str(one.dtype)] for one in traced.example],
        "batch_dim": traced.batch_dim,
        "output_batch": list(traced.output_batch),
        "structure": treespec_dumps(traced.structure),
        "digital": list(net.patterns),
        "parameters": [name for name, one in held.items() if isinstance(one, torch.nn.Parameter)],
        "held": list(held),
        "layers": {name: tile.record() for name, tile in net.tiles.items()},
        "chips": {name: labels[digest(data)] for name, data in kinds.items()},
        "replicas": net.graph.replicas,
        "shared_tiles": list(net.graph.shared_tiles),
        "fixed_sizes": traced.fixed_sizes,
        "tensors": {name: _like(one) for name, one in tensors.items()},
    }
    with RunFolder(folder) as part:
        (part / GRAPH).write_text(json.dumps(record, indent=1), encoding="utf-8")
        (part / CHIPS).write_text(dump_yaml({labels[key]: data for key, data in different.items()}), encoding="utf-8")
        save_file({name: one.detach().contiguous().clone() for name, one in tensors.items()}, part / TENSORS)
        manifest = {
            "kind": "network",
            "layers": list(net.tiles),
            "parameters": sum(p.numel() for p in net.parameters()),
        }
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _like(tensor: torch.Tensor) -> list[Any]:
    """Shape and type of a tensor."""
    return [list(tensor.shape), str(tensor.dtype)]


def _sound(name: str, tensor: torch.Tensor) -> bool:
    """Whether values are finite, or a range that was not calibrated."""
    return name.rsplit(".", 1)[-1] in RANGES or bool(tensor.isfinite().all())


def load(folder: Path | str, *, chip: AnyChip | Mapping[str, AnyChip] | None = None) -> ConvertedNetwork:
    """A network that ``save`` wrote.

    ``chip``: others than the network was saved with; a warning then says so, since ranges and trained weights are those
    of the saved ones. Raises InputError where a file is missing, damaged or does not fit the others.
    """
    path = Path(folder)
    if not (path / GRAPH).is_file():
        raise InputError(f"{path}: no network was saved here ({GRAPH} is missing); runs are read by load_run")
    net = _loaded(path)
    if chip is None:
        return net
    given = {k: chip_named(one) for k, one in chip.items()} if isinstance(chip, Mapping) else chip_named(chip)
    other = net.on(given)
    if other.chips != net.chips:
        changed = [name for name in net.chips if other.chips[name] != net.chips[name]]
        warnings.warn(
            f"{path}: loaded on other chips than it was saved with ({', '.join(changed)}): its ranges and weights are "
            "those of the saved ones",
            stacklevel=2,
        )
    return other


def _loaded(path: Path) -> ConvertedNetwork:
    for name in (GRAPH, TENSORS, CHIPS):
        check_regular(path / name)
    try:
        tensors = load_file(path / TENSORS)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path / TENSORS}: not a readable safetensors file ({error})") from None
    try:
        record = json.loads(read_file(path / GRAPH))
        if record["format"] != FORMAT:
            raise InputError(f"{path / GRAPH}: format must be {FORMAT} (got {record['format']})")
        wanted = record.get("tensors", {name: _like(one) for name, one in tensors.items()})
        if other := sorted({n for n in {*wanted, *tensors} if n not in tensors or wanted.get(n) != _like(tensors[n])}):
            raise ValueError(f"{other[0]}: wanted {wanted.get(other[0])}")
        strange = [name for name, one in tensors.items() if one.is_floating_point() and not _sound(name, one)]
        if strange:
            raise InputError([f"{path / TENSORS}: {name}: values must be finite" for name in strange])
        graph = read_graph(record["graph"])
        layers: dict[str, TileModule] = {}
        inside: dict[str, Any] = {}
        for name, one in record["layers"].items():
            mine = {
                key.removeprefix(f"{one['target']}."): value
                for key, value in tensors.items()
                if key.startswith(f"{one['target']}.")
            }
            layers[name] = inside[one["target"]] = TILES[one["kind"]].of_record(name, one, mine)
        for name in record["held"]:
            inside[name] = torch.nn.Parameter(tensors[name]) if name in record["parameters"] else tensors[name]
        module = fx.GraphModule(inside, graph)
        structure = treespec_loads(record["structure"])
        example = tuple(torch.empty(shape, dtype=DTYPES[kind], device="meta") for shape, kind in record["example"])
        dims = record["batch_dim"], tuple(record["output_batch"])
        sizes = bool(record.get("fixed_sizes", True))
        traced = Traced(module, record["inputs"], *dims, structure, example, sizes)
        of_layer = dict(record["chips"])
        replicas = {name: int(record.get("replicas", {}).get(name, 1)) for name in layers}
        if min(replicas.values(), default=1) < 1:
            raise ValueError(f"replicas must be at least 1, got {replicas}")
        places = replicas, tuple(map(str, record.get("shared_tiles", [])))
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path}: {GRAPH} and {TENSORS} are damaged or do not belong together ({error})") from None
    found: dict[str, Chip] = read(path / CHIPS, dict[str, Chip], folder="chips").value
    lacking = sorted(set(of_layer.values()) - set(found))
    if lacking or set(of_layer) != set(layers):
        raise InputError(f"{path / CHIPS}: must hold the chips that {GRAPH} names ({', '.join(of_layer.values())})")
    chips = {name: found[of_layer[name]] for name in layers}
    for name, tile in layers.items():
        tile.chip = chips[name]
    return ConvertedNetwork(Graph(traced, layers, chips, *places), record["digital"])
