"""``mho show NLADC``: build a nonlinear ramp converter from options, measure it, print the figures and draw them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pydantic import TypeAdapter, ValidationError

from devices import AnyDevice, InputError, Stream
from mho import catalogue
from mho.config.read import read
from mho.report import plots_nladc
from mho.report.plots_nladc import counted
from periphery import Function, RampColumn, from_csv, named_function
from periphery.ramp.characterise import Characteristic, characterise

NAME = "NLADC"
MOST_CHIPS = 4096


def refuse_options(name: str, given: Sequence[str]) -> None:
    """InputError for options of NLADC beside another record, which would be ignored."""
    options = [{"ends": "range", "sets": "set"}.get(each, each) for each in given if each not in ("name", "plot")]
    if options:
        raise InputError(f"--{options[0]}: belongs to mho show {NAME} (got it beside {name})")


def measure(
    *,
    function: str,
    bits: int,
    device: str,
    chips: int,
    levels: str,
    samples: Path | None,
    ends: tuple[float, float] | None,
    t_s: float,
    recentre: bool,
    seed: int,
    sets: Sequence[str] = (),
) -> Characteristic:
    """The converter of these options, measured. Raises InputError for whatever cannot be built."""
    if not 1 <= chips <= MOST_CHIPS:
        raise InputError(f"--chips: must be a whole number from 1 to {MOST_CHIPS} (got {chips})")
    if not t_s >= 0.0:
        raise InputError(f"--time: must be at least 0 s (got {t_s:g})")
    column = _column(device, levels, sets)
    inputs = None if samples is None else _samples(samples)
    design = column.design(_function(function, ends), bits, samples=inputs)
    rng = Stream.root(seed).child("show", NAME)
    return characterise(design, chips=chips, rng=rng, t_s=t_s, recentre=recentre)


def text(found: Characteristic, device: str) -> str:
    """Design and figures, one a line."""
    design, chips = found.design, len(found.enob)
    function = design.function
    lines = [
        f"{NAME}: {function.name}, {design.bits}-bit, {design.column.levels} levels, cells {device}",
        f"outputs {function.low:g} to {function.high:g}, thresholds {float(design.theta[0]):g} to "
        f"{float(design.theta[-1]):g}",
        f"{counted(len(design.theta), 'step')}, {counted(design.ramp_clocks, 'clock')}, {design.cells} cells, "
        f"{counted(design.lost_steps, 'step')} lost",
        f"{counted(chips, 'chip'):38}{'mean':>10} {'worst':>10}",
    ]
    lines += [f"{name:38}{mean:10.3f} {worst:10.3f}" for name, (mean, worst) in found.figures().items()]
    return "\n".join(lines)


def _function(name: str, ends: tuple[float, float] | None) -> Function:
    if name.endswith(".csv"):
        if ends is not None:
            raise InputError("--range: a table brings its own range (got --range beside a CSV file)")
        return from_csv(name)
    return named_function(name, *(ends or (None, None)))


def _column(device: str, levels: str, sets: Sequence[str]) -> RampColumn:
    """The ramp's column from the options; pydantic checks what ``--set`` says of its other fields."""
    data: dict[str, Any] = {"levels": levels}
    for option in sets:
        key, found, value = option.partition("=")
        if not found or not key:
            raise InputError(f"--set {option}: must be KEY=VALUE")
        data[key] = yaml.safe_load(value)
    if "device" in data:
        raise InputError("--set device: is what --device names")
    data["device"] = read(device, AnyDevice, folder="devices").data
    try:
        return TypeAdapter(RampColumn).validate_json(json.dumps(data, default=str), strict=True, extra="forbid")
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'ramp'}: {each['msg'].removeprefix('Value error, ')}"
            + (f" (got {each['input']})" if each["loc"] else "")
            for each in error.errors()
        ]
        raise InputError(problems) from None


def _samples(path: Path) -> torch.Tensor:
    """Numbers of a text file, any separation by commas, blanks or lines."""
    try:
        words = path.read_text(encoding="utf-8").replace(",", " ").split()
        values = np.array([float(word) for word in words])
    except OSError as error:
        raise InputError(f"{path}: must be a text file of numbers ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: must be a text file of numbers ({error})") from None
    if not len(values) or not np.isfinite(values).all():
        raise InputError(f"{path}: must hold finite numbers (got {'none' if not len(values) else 'others too'})")
    return torch.from_numpy(values)


def plot(found: Characteristic, device: str, path: Path) -> None:
    """The picture of ``mho.report.plots_nladc``, written whole or not at all."""
    catalogue.save_figure(plots_nladc.characteristic(found, device), path)
