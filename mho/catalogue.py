"""What ships with mho, found by name: records with their sources, checks of files, and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SerializeAsAny, TypeAdapter

from configs.errors import InputError
from configs.yaml_source import dump_yaml, load_yaml
from crossbar import ENCODINGS, SPARSE_ENCODINGS
from devices import DEVICES, AnyDevice, ChipStreams, Device, Stream
from devices.effects import EFFECTS
from mappings.chip import Chip
from mappings.liquid.liquid import Liquid
from mho.config.read import Loaded, read
from mho.config.resolve import shipped_files
from mho.config.schema import suggestion
from mho.files import write_atomic
from mho.listings import functions
from mho.search.spec import Search, read_search
from mho.sweep.spec import Sweep, read_sheet
from mho.sweep.study import Study
from periphery import ACTIVATIONS, ADCS, FUNCTIONS, RampColumn
from periphery.drivers import DRIVERS
from periphery.prices.adc import ADC_PRICES
from periphery.prices.component import component
from workloads import WORKLOADS, AnyExperiment
from workloads.kws.find import FULL_SET, TEST_SET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Types of configurations by the name of one, and the folder of ``configs`` with its shipped records.
TYPES: dict[str, Any] = {"experiment": AnyExperiment, "chip": Chip, "device": AnyDevice, "liquid": Liquid}
FOLDERS = {f"{name}s": type_ for name, type_ in TYPES.items()}
#: Folders of ``configs`` whose records are looked up by name, in this order.
RECORDS = (*FOLDERS, "components", "sweeps", "searches", "published")
#: Kinds of a registry, by the listing that shows them.
KINDS: dict[str, Mapping[str, type]] = {
    "effect": EFFECTS,
    "encoding": {**ENCODINGS, **SPARSE_ENCODINGS},
    "driver": DRIVERS,
    "converter": {"ramp": RampColumn, **ADCS},
    "activation": ACTIVATIONS,
}
PLOTTED_CHIPS = 64

#: Public archives of recordings, by the names of ``mho data``.
ARCHIVES = {"speech_commands_test": TEST_SET, "speech_commands": FULL_SET}


def type_of(kind: str) -> Any:
    """The type of a configuration by its name."""
    if kind not in TYPES:
        raise InputError(f"{kind}: must be one of {', '.join(TYPES)} (got {kind}){suggestion(kind, TYPES)}")
    return TYPES[kind]


def shown(name: str) -> str:
    """One record, every default written out, as YAML; of a kind of effect, driver, converter and the like what it is
    and the fields that it takes, of a function its formula and range."""
    if name not in _every_record() and (text := _kind(name)):
        return text
    folder = folder_of(name)
    if folder == "components" and name.removeprefix("adc_") not in ADC_PRICES:
        return _component(name)
    if folder in ("components", "published"):
        return _as_shipped(folder, name)
    if folder in ("sweeps", "searches"):
        kind, sheet = ("sweep", read_sheet(name)) if folder == "sweeps" else ("search", read_search(name)[1])
        return f"# {kind} {sheet.name}\n" + dump_yaml(sheet.node.plain()).rstrip()
    loaded: Loaded[Any] = read(name, FOLDERS[folder], folder=folder)
    lines = [f"# {folder[:-1]} {loaded.source_text_name}", dump_yaml(loaded.data).rstrip()]
    if isinstance(loaded.value, Device) and loaded.value.unknown_drift:
        lines.insert(1, f"# {loaded.value.unknown_drift}")
    return "\n".join(lines)


def checked(name: str) -> str:
    """One sentence about a valid file or shipped record. Raises InputError with all that is wrong with it."""
    folder = folder_of(name)
    if folder == "sweeps":
        study = Study(name)
        study.check(study.points)
        return f"{study.sheet.name}: a valid sweep of {len(study.points)} points"
    if folder == "searches":
        from mho.search.loop import Searcher

        searcher = Searcher.of(name)
        searcher.check()
        return f"{searcher.study.sheet.name}: a valid search of {searcher.search.trials} trials"
    kind, found = loaded(name)
    if kind == "experiment":
        try:
            WORKLOADS[found.value.kind].check(found.value)
        except InputError as error:
            raise InputError(f"{found.source_text_name}: {problem}" for problem in error.problems) from None
    return f"{found.source_text_name}: a valid {kind}"


def loaded(name: str) -> tuple[str, Loaded[Any]]:
    """A checked experiment, chip, device or liquid, and which of these it is."""
    folder = folder_of(name)
    if folder not in FOLDERS:
        raise InputError(
            f"{name}: components are checked whenever they are read; name an experiment, chip, device or liquid"
        )
    return folder[:-1], read(name, FOLDERS[folder], folder=folder)


def plot(name: str, path: Path) -> None:
    """Draw a device (levels, drift, spread), a chip (its ramps) or a liquid (its operating range) into a picture."""
    from matplotlib.figure import Figure

    from mho.report import plots_devices, plots_liquid

    folder = folder_of(name)
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
    allowed = figure.canvas.get_supported_filetypes()
    if ending not in allowed:
        raise InputError(f"{path}: the ending must be one of {', '.join(sorted(allowed))} (got {ending or 'none'})")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, dpi=150)
    write_atomic(path, buffer.getvalue())


def folder_of(name: str, *, likely: str = "") -> str:
    """The folder of the shipped record, or the kind of record that a file holds, ``likely`` where several are."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return _kind_of_file(name, likely)
    every = _every_record()
    if name in every:
        return every[name]
    kinds = [*FUNCTIONS, *(each for registered in KINDS.values() for each in registered)]
    near = suggestion(name, every) or suggestion(name, kinds)
    raise InputError(f"{name}: no shipped record of that name (mho list KIND shows them){near}")


def _every_record() -> dict[str, str]:
    """The folder of each shipped record, by its name."""
    return {name: folder for folder in reversed(RECORDS) for name in shipped_files(folder)}


def _kind(name: str) -> str:
    """What a class of a registry is and takes, a function computes, a price of a conversion says; empty for others."""
    if name in ADC_PRICES:
        return _as_shipped("components", f"adc_{name}")
    if name in FUNCTIONS:
        return f"# function {name}\n{functions()[name]}\nMeasure it in a ramp: mho show NLADC --function {name}"
    found = [(heading, kinds[name]) for heading, kinds in KINDS.items() if name in kinds]
    texts = []
    for heading, kind in found:
        taken = [field for field in fields(kind) if field.init] if is_dataclass(kind) else []
        needed = [f"# {field.name}: must be given" for field in taken if _default(field) is MISSING]
        plain = {field.name: _default(field) for field in taken if _default(field) is not MISSING}
        values = TypeAdapter(dict[str, SerializeAsAny[Any]]).dump_python({"kind": name} | plain, mode="json")
        texts.append("\n".join([f"# {heading} {name}", cleandoc(kind.__doc__ or ""), "", *needed, dump_yaml(values)]))
    return "\n\n".join(text.rstrip() for text in texts)


def _as_shipped(folder: str, name: str) -> str:
    file = shipped_files(folder)[name]
    return f"# configs/{folder}/{file.name}\n" + file.read_text(encoding="utf-8").rstrip()


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _kind_of_file(name: str, likely: str) -> str:
    """The type that a file extends, or whose keys it uses most: a file does not name the kind of its record."""
    found = load_yaml(name).plain()
    extended = str(found.get("extends", ""))
    keys_of: dict[str, set[str]] = {
        "experiments": {field.name for kind in WORKLOADS.values() if kind.run for field in fields(kind.settings)},
        "chips": {field.name for field in fields(Chip)},
        "devices": {field.name for kind in DEVICES.values() for field in fields(kind)},
        "liquids": {field.name for field in fields(Liquid)},
        "sweeps": {field.name for field in fields(Sweep)},
        "searches": {field.name for field in fields(Search)},
    }
    weight = {
        folder: len(keys & set(found)) + 100 * (extended in shipped_files(folder)) for folder, keys in keys_of.items()
    }
    return max(weight, key=lambda folder: (weight[folder], folder == likely))


def _component(name: str) -> str:
    record = component(name)
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
