"""``mho cost``: area, energy and latency of a model on a chip, without data, training or programming."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from annotated_types import Interval, Len

from configs.bounded import printable
from configs.errors import InputError
from configs.yaml_source import load_yaml
from mappings.convert.converted import ConvertedNetwork
from mappings.convert.cost import NetworkCost
from mappings.convert.replicas import Replicas
from mho.config.read import read
from mho.config.resolve import shipped_files
from mho.files import RunFolder, user_path
from mho.network.convert import chip_named, convert
from mho.network.saved import GRAPH, load
from mho.report import costs, page, paper
from mho.report.quantities import between, number, quantity
from workloads import AnyExperiment, NetworkExperiment
from workloads.network.data import samples_of
from workloads.network.layer_kinds import EmbeddingLayer
from workloads.network.layers import AnyLayer
from workloads.network.model import UserNetwork, network_of
from workloads.network.settings import NetworkModel

if TYPE_CHECKING:
    import pandas as pd

RANGE = 4.0
"""Pre-activations from -4 to 4, where neither data nor weights say how large they become; an estimate."""
NUMBER = re.compile(r"[1-9]\d{0,3}")
SHAPE = re.compile(r"\d{1,6}(?:[x,]\d{1,6}){0,5}")
REFUSED = re.compile(r"fails on the example|must have the batch as a dimension|got sizes|samples of sizes")
UNITS = {"area_m2": "m2", "energy_J": "J", "latency_s": "s", "leakage_W": "W"}


@dataclass(frozen=True, kw_only=True)
class LayersFile:
    """A YAML file of layers, for ``mho cost``.

    Parameters
    ----------
    layers : layers in order
    inputs : sizes of one sample
    weights : safetensors file with the parameters of ``layers``, under torch's names
    """

    layers: Annotated[tuple[AnyLayer, ...], Len(1, 1000)]
    inputs: Annotated[tuple[Annotated[int, Interval(ge=1, le=1_000_000)], ...], Len(1, 6)] | None = None
    weights: str | None = None


@dataclass(frozen=True)
class Layout:
    """How a network is laid on a chip: what stays digital, copies of layers, and layers that may share tiles."""

    digital: tuple[str, ...] = ()
    replicas: Replicas = 1
    shared_tiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class PricedModel:
    """A model on a chip: its cost, where its layers go, and what was assumed."""

    name: str
    net: ConvertedNetwork
    cost: NetworkCost
    notes: tuple[str, ...]

    @property
    def record(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "model": self.name,
            "cost": self.cost.summary,
            "cost_interval": {key: list(ends) for key, ends in self.cost.interval.items()},
            "layers": self.cost.priced.layers,
            "placement": list(self.net.rows()),
            "notes": list(self.notes),
        }


def price_model(
    model: str,
    chip: str | None = None,
    *,
    example: str | None = None,
    replicas: Sequence[str] = (),
    shared_tiles: Sequence[str] = (),
) -> PricedModel:
    """What one inference of a model costs on a chip.

    Parameters
    ----------
    model : ONNX file, YAML file of layers, experiment of kind ``network``, folder of a saved network, or
        ``FILE.py:FUNCTION``
    chip : name of a shipped chip, or a file; None takes those that a saved network was saved with
    example : sizes of one sample, as in ``3x32x32``, in place of the model's own
    replicas : copies of layers: a number for all of them, or ``PATTERN=NUMBER`` each; none takes those of the model
    shared_tiles : patterns over layers that may share tiles; none takes those of the model

    Raises InputError for a model that cannot be read, traced, mapped or priced, and where no sizes or no chip is known.
    """
    shape = None if example is None else _shape(example)
    path = user_path(model)
    if (path / GRAPH).is_file():
        saved = net = load(path)
        if chip is not None:
            net = saved.on(chip_named(chip))
        if replicas or shared_tiles:
            graph = net.graph
            net = net.laid_out(
                replicas=_replicas(replicas) if replicas else graph.replicas,
                shared_tiles=tuple(shared_tiles) or graph.shared_tiles,
            )
        others = tuple(name for name, one in net.chips.items() if one != saved.chips[name])
        return PricedModel(model, net, net.cost(*net.graph.traced.example), _notes(net, others=others))
    if chip is None:
        raise InputError(
            f"{printable(model)}: --chip: a shipped chip (mho list chips) or a YAML file; only a saved network holds "
            "chips of its own (got none)"
        )
    with _of_example(example):
        found, inputs, layout = _found(model, path, shape)
        if inputs is None:
            raise _no_sizes(model)
        meta = (one.detach().to("meta") for one in inputs)
        net = convert(
            found.module.to("meta"),
            chip,
            example=tuple(meta),
            digital=layout.digital,
            replicas=_replicas(replicas) if replicas else layout.replicas,
            shared_tiles=tuple(shared_tiles) or layout.shared_tiles,
        )
    for tile in net.tiles.values():
        for name, end in (("low", -RANGE), ("high", RANGE)):
            if bool(getattr(tile, name).isnan()):
                setattr(tile, name, torch.tensor(end, dtype=torch.float64))
    return PricedModel(model, net, net.cost(*(one[:1] for one in net.graph.traced.example)), _notes(net, assumed=True))


@contextlib.contextmanager
def _of_example(example: str | None) -> Iterator[None]:
    """Name ``--example`` in what a network says of samples of its sizes."""
    try:
        yield
    except InputError as error:
        if example is None or not any(REFUSED.search(problem) for problem in error.problems):
            raise
        sizes = "must be sizes of one sample without the batch, as in 3x32x32 for a picture or 50x40 for 50 steps of 40"
        raise InputError(
            f"--example {printable(example)}: {sizes} ({problem})" if REFUSED.search(problem) else problem
            for problem in error.problems
        ) from None


def _no_sizes(model: str) -> InputError:
    return InputError(f"{printable(model)}: --example: the sizes of one sample, as in 3x32x32 (got none)")


def _replicas(stated: Sequence[str]) -> Replicas:
    """A number of copies for all layers, or one for each pattern."""
    if len(stated) == 1 and NUMBER.fullmatch(stated[0]):
        return int(stated[0])
    pairs = [one.rpartition("=") for one in stated]
    if bad := [
        one for one, (name, _, count) in zip(stated, pairs, strict=True) if not (name and NUMBER.fullmatch(count))
    ]:
        raise InputError(
            f"--replicas: one whole number from 1 to 9999 for all layers, or PATTERN=NUMBER (got {printable(bad[0])})"
        )
    return {name: int(count) for name, _, count in pairs}


def _found(
    model: str, path: Path, shape: tuple[int, ...] | None
) -> tuple[UserNetwork, tuple[torch.Tensor, ...] | None, Layout]:
    """The network of a model, inputs of one sample (of ``shape`` where it is given, else of the model's own), and how
    the model says that it is laid on a chip."""
    stated = None if shape is None else (torch.zeros((1, *shape)),)
    if re.search(r"\.py:\w+$", model):
        found = network_of(NetworkModel(module=model))
        return found, stated or found.example, Layout()
    if path.suffix == ".onnx":
        from workloads.network.exchange.onnx_file import read_onnx

        network = network_of(NetworkModel(onnx=model))
        return network, stated or _sample(read_onnx(path).inputs.values()), Layout()
    if path.suffix in (".yaml", ".yml") or model in shipped_files("experiments"):
        return _of_yaml(model, path, shape)
    raise InputError(
        f"{printable(model)}: must be an ONNX file (.onnx), a YAML file of layers or an experiment of kind network, "
        "the folder of a saved network, or FILE.py:FUNCTION"
    )


def _sample(inputs: Iterable[tuple[tuple[int | None, ...] | None, torch.dtype]]) -> tuple[torch.Tensor, ...] | None:
    """Inputs of one sample of the sizes that a file states; None where one is open."""
    found = []
    for stated, kind in inputs:
        sizes = [size for size in (stated or ())[1:] if size is not None]
        if stated is None or len(sizes) < len(stated) - 1:
            return None
        found.append(torch.zeros((1, *sizes), dtype=kind))
    return tuple(found)


def _of_yaml(
    model: str, path: Path, shape: tuple[int, ...] | None
) -> tuple[UserNetwork, tuple[torch.Tensor, ...], Layout]:
    layout = Layout()
    if path.suffix in (".yaml", ".yml") and "layers" in load_yaml(model).plain():
        file: LayersFile = read(model, LayersFile).value
        how, sizes = NetworkModel(layers=file.layers, weights=file.weights), shape or file.inputs
    else:
        experiment = read(model, AnyExperiment).value
        if not isinstance(experiment, NetworkExperiment):
            raise InputError(f"{printable(model)}: must be an experiment of kind network (got {experiment.kind})")
        how, sizes = experiment.model, shape
        layout = Layout(experiment.digital, experiment.replicas, experiment.shared_tiles)
        if sizes is None and (experiment.data.file is not None or experiment.data.digits):
            sizes = tuple(samples_of(experiment.data).x_test.shape[1:])
    if sizes is None:
        raise _no_sizes(model)
    whole = how.layers is not None and isinstance(how.layers[0], EmbeddingLayer)
    sample = torch.zeros((1, *sizes), dtype=torch.long if whole else torch.float32)
    try:
        return network_of(how, sizes=sizes), (sample,), layout
    except InputError as error:
        where = f"{printable(model)}: " if shape is None else ""  # else it is --example that does not fit
        raise InputError(where + one if one.startswith("layers[") else one for one in error.problems) from None


def _shape(text: str) -> tuple[int, ...]:
    if not SHAPE.fullmatch(text) or 0 in (sizes := tuple(int(one) for one in re.split("[x,]", text))):
        raise InputError(f"--example: sizes of one sample above 0, as in 3x32x32 (got {printable(text)})")
    return sizes


def _notes(net: ConvertedNetwork, *, assumed: bool = False, others: Sequence[str] = ()) -> tuple[str, ...]:
    """What the cost rests on; ``others``: layers on other chips than they were saved with."""
    notes = ["Energy is that of inputs and weights of usual size; a run (mho run) counts what its chips did."]
    if assumed:
        notes.append(
            f"No data: converters are laid out for pre-activations from {-RANGE:g} to {RANGE:g} (an estimate) and for "
            "levels that follow no data."
        )
    if others:
        notes.append(
            f"Other chips than saved with ({', '.join(others)}): ranges and weights are those for the saved ones."
        )
    return (*notes, *net.map().notes)


def text(found: PricedModel) -> str:
    """The summary that ``mho cost`` prints."""
    summary, ends = found.cost.summary, found.cost.interval
    lines = [f"{found.name}: one inference"]
    for key, unit in UNITS.items():
        inside = f" ({between(ends[key], unit)})" if key in ends else ""
        lines.append(f"  {key.rpartition('_')[0]:8} {quantity(summary[key], unit)}{inside}")
    lines.append(f"  {number(summary['tops_per_W'])} TOPS/W, {number(summary['tops_per_mm2'])} TOPS/mm2")
    rows = list(found.net.rows())
    head = ("layer", "kind", "matrix", "products", "tiles", "used", "chip or reason")
    cells = [head]
    for row in rows:
        tile = "rows" in row
        cells.append(
            (
                row["path"],
                row["kind"],
                f"{row['rows']} x {row['columns']}" if tile else "-",
                str(row["products"]) if tile else "-",
                (str(row["tiles"]) + _copies(row["copies"])) if tile else "-",
                f"{row['utilisation']:.0%}" if tile else "-",
                row["chip"] + _shared(row["shares_with"]) if tile else f"digital: {row['why']}",
            )
        )
    widths = [max(len(row[column]) for row in cells) for column in range(len(head) - 1)]
    lines += [""]
    lines += ["  ".join(c.ljust(w) for c, w in zip(row, (*widths, 0), strict=True)).rstrip() for row in cells]
    lines += ["", *found.notes, "In brackets: the 90 % interval that the uncertainty of the prices alone gives."]
    return "\n".join(lines)


def _copies(count: int) -> str:
    return f" ({count} copies)" if count > 1 else ""


def _shared(others: str) -> str:
    return f"; shares a tile with {others}" if others else ""


def write(found: PricedModel, folder: Path) -> Path:
    """Write ``cost.json``, the tables, ``trace.json`` and ``cost.html``; the page's path."""
    tables = {
        "layers": found.cost.layers,
        "components": found.cost.table,
        "placement": found.net.layers,
    }
    with RunFolder(folder) as part:
        for name, table in tables.items():
            table.to_csv(part / f"{name}.csv", index=False)
        for name, value in (("cost", found.record), ("trace", found.cost.trace)):
            (part / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        (part / "manifest.json").write_text(json.dumps({"kind": "cost", "model": found.name}) + "\n", encoding="utf-8")
        (part / "cost.html").write_text(_page(found, tables), encoding="utf-8")
    return folder / "cost.html"


def _page(found: PricedModel, tables: dict[str, pd.DataFrame]) -> str:
    from markupsafe import Markup

    from mho.report import figures, plots

    name, parts, placement = printable(found.name), tables["components"], list(found.net.rows())
    on_tiles, chips = found.cost.layers, dict.fromkeys(found.net.graph.chips.values())
    sizes = {(chip.rows, chip.columns) for chip in chips}
    drawn = {
        "flow": figures.flow(parts, parts.groupby("group")["energy_J"].sum().sort_values(ascending=False).index),
        "tiles": figures.tile_map(on_tiles, *sizes.pop()) if len(sizes) == 1 else None,
    }
    components, sources = costs.component_rows(parts)
    libraries = ", ".join(dict.fromkeys(chip.leakage_library for chip in chips))
    return (
        page.environment()
        .get_template("cost.html.j2")
        .render(
            name=name,
            colour=plots.PALETTE[0],
            chips=list(dict.fromkeys(row["chip"] for row in placement if "rows" in row)),
            paper=paper.of_cost(name, found.cost.summary, found.cost.interval, parts, libraries),
            ends=found.cost.interval,
            cost=found.cost.summary,
            layers=found.cost.priced.layers,
            placement=placement,
            components=components,
            sources=sources,
            statuses=costs.status_rows(parts),
            notes=found.notes,
            **{key: Markup(svg) if svg else None for key, svg in drawn.items()},
        )
        .lstrip()
    )
