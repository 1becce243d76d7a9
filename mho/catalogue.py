"""What ships with mho, found by name: listings, records with their sources, and pictures of them."""

from __future__ import annotations

import difflib
import inspect
import io
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs.yaml_source import dump_yaml, load_yaml
from crossbar import ENCODINGS, SPARSE_ENCODINGS
from devices import DEVICES, AnyDevice, ChipStreams, InputError, Stream
from devices.effects import EFFECTS
from mappings.chip import Chip
from mappings.liquid.liquid import Liquid
from mho.config.read import Loaded, read, shipped
from mho.files import write_atomic
from mho.report import plots_devices, plots_liquid
from mho.search.loop import Searcher
from mho.search.spec import Search, read_search
from mho.sweep.spec import Sweep, read_sheet
from mho.sweep.study import Study
from periphery import ACTIVATIONS, ADCS, FUNCTIONS
from periphery.drivers import DRIVERS
from periphery.functions.library import described
from periphery.prices.adc import ADC_PRICES, adc_price
from periphery.prices.component import load_components
from workloads import WORKLOADS, AnyExperiment

TYPES: dict[str, Any] = {"experiment": AnyExperiment, "chip": Chip, "device": AnyDevice, "liquid": Liquid}
FOLDERS = {"experiments": AnyExperiment, "chips": Chip, "devices": AnyDevice, "liquids": Liquid}
PLOTTED_CHIPS = 64

LISTINGS: dict[str, Callable[[], dict[str, str]]] = {
    "experiments": lambda: shipped("experiments"),
    "chips": lambda: shipped("chips"),
    "devices": lambda: shipped("devices"),
    "liquids": lambda: shipped("liquids"),
    "sweeps": lambda: shipped("sweeps"),
    "searches": lambda: shipped("searches"),
    "published": lambda: shipped("published"),
    "components": lambda: {name: record.description for name, record in load_components().items()},
    "adc-prices": lambda: {name: adc_price(name).description for name in ADC_PRICES},
    "functions": lambda: {name: described(name) for name in FUNCTIONS},
    "effects": lambda: _said_of(EFFECTS),
    "encodings": lambda: _said_of({**ENCODINGS, **SPARSE_ENCODINGS}),
    "drivers": lambda: _said_of(DRIVERS),
    "converters": lambda: {
        "ramp": "Distorted ramp of memory cells: computes the function while it converts (readout: ramp)",
        **_said_of(ADCS),
    },
    "activations": lambda: _said_of(ACTIVATIONS),
}


def listing(kind: str) -> dict[str, str]:
    """Names and descriptions of one kind; InputError with a suggestion for another word."""
    if kind not in LISTINGS:
        raise InputError(f"{kind}: must be one of {', '.join(LISTINGS)}{_near(kind, LISTINGS)}")
    return LISTINGS[kind]()


def type_of(kind: str) -> Any:
    """The type of a configuration by its name."""
    if kind not in TYPES:
        raise InputError(f"{kind}: must be one of {', '.join(TYPES)}{_near(kind, TYPES)}")
    return TYPES[kind]


def shown(name: str) -> str:
    """One record, every default written out, as YAML."""
    folder = _folder_of(name)
    if folder == "components":
        return _component(name)
    if folder in ("sweeps", "searches"):
        kind, sheet = ("sweep", read_sheet(name)) if folder == "sweeps" else ("search", read_search(name)[1])
        return f"# {kind} {sheet.name}\n" + dump_yaml(sheet.node.plain()).rstrip()
    loaded: Loaded[Any] = read(name, FOLDERS[folder], folder=folder)
    return f"# {folder[:-1]} {loaded.source_text_name}\n" + dump_yaml(loaded.data).rstrip()


def checked(name: str) -> str:
    """One sentence about a valid file or shipped record. Raises InputError with all that is wrong with it."""
    folder = _folder_of(name)
    if folder == "sweeps":
        study = Study(name)
        study.check(study.points)
        return f"{study.sheet.name}: a valid sweep of {len(study.points)} points"
    if folder == "searches":
        searcher = Searcher.of(name)
        searcher.check()
        return f"{searcher.study.sheet.name}: a valid search of {searcher.search.trials} trials"
    kind, found = loaded(name)
    return f"{found.source_text_name}: a valid {kind}"


def loaded(name: str) -> tuple[str, Loaded[Any]]:
    """A checked experiment, chip, device or liquid, and which of these it is."""
    folder = _folder_of(name)
    if folder not in FOLDERS:
        raise InputError(
            f"{name}: components are checked whenever they are read; name an experiment, chip, device or liquid"
        )
    return folder[:-1], read(name, FOLDERS[folder], folder=folder)


def plot(name: str, path: Path) -> None:
    """Draw a device (levels, drift, spread), a chip (its ramps) or a liquid (where it works) into a picture file."""
    folder = _folder_of(name)
    rng = ChipStreams.of(Stream.root(0).child("show"), PLOTTED_CHIPS)
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    if folder == "devices":
        plots_devices.device(figure, read(name, AnyDevice, folder=folder).value, rng)
    elif folder == "chips":
        plots_devices.ramps(figure, read(name, Chip, folder=folder).value, rng)
    elif folder == "liquids":
        plots_liquid.liquid(figure, read(name, Liquid, folder=folder).value, Stream.root(0).child("show"))
    else:
        raise InputError(f"{name}: --plot draws devices, chips and liquids (got one of {folder})")
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture in the format of the path's ending, whole or not at all."""
    ending = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if ending not in known:
        raise InputError(f"{path}: the ending must be one of {', '.join(sorted(known))} (got {ending or 'none'})")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, dpi=150)
    write_atomic(path, buffer.getvalue())


def _folder_of(name: str) -> str:
    """In which folder the record lies, or which kind of record a file holds."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return _kind_of_file(name)
    every = {folder: LISTINGS[folder]() for folder in (*FOLDERS, "components", "sweeps", "searches")}
    found = [folder for folder, names in every.items() if name in names]
    if found:
        return found[0]
    names = [each for listed in every.values() for each in listed]
    raise InputError(f"{name}: no shipped record of that name (mho list KIND shows them){_near(name, names)}")


def _kind_of_file(name: str) -> str:
    """The type that a file extends, or whose keys it uses most: a file does not say which kind of record it is."""
    found = load_yaml(name).plain()
    extended = str(found.get("extends", ""))
    own: dict[str, set[str]] = {
        "experiments": {field.name for kind in WORKLOADS.values() if kind.run for field in fields(kind.settings)},
        "chips": {field.name for field in fields(Chip)},
        "devices": {field.name for kind in DEVICES.values() for field in fields(kind)},
        "liquids": {field.name for field in fields(Liquid)},
        "sweeps": {field.name for field in fields(Sweep)},
        "searches": {field.name for field in fields(Search)},
    }
    weight = {folder: len(keys & set(found)) + 100 * (extended in shipped(folder)) for folder, keys in own.items()}
    return max(weight, key=lambda folder: weight[folder])


def _component(name: str) -> str:
    record = load_components()[name]
    lines = [f"# component {name}", record.description, f"group {record.group}, stated at {record.node_nm:g} nm"]
    for label, value, unit, figure in (
        ("area", record.area_m2, "m2", record.area),
        ("leakage", record.leakage_W, "W", record.leakage),
        ("latency", record.latency_s, "s", record.latency),
    ):
        lines.append(f"{label}: {value:g} {unit} ({figure.status}): {figure.source.strip()}")
    for action, price in record.actions.items():
        lines.append(f"{action}: {price.energy_J:g} J per {price.unit} ({price.status}): {price.source.strip()}")
    return "\n".join(lines)


def _said_of(kinds: Mapping[str, type]) -> dict[str, str]:
    """What the first sentence of every class of a registry says."""
    said = {}
    for name, kind in kinds.items():
        head = " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
        said[name] = head.split(". ")[0].rstrip(".").replace("``", "")
    return said


def _near(word: str, among: Any) -> str:
    near = difflib.get_close_matches(word, list(among), n=1)
    return f"; did you mean {near[0]}?" if near else f" (got {word})"
