"""``mho show NLADC``: build a nonlinear ramp converter from options, measure it, print the figures and draw them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from configs.bounded import read_file
from configs.errors import InputError
from configs.yaml_source import Node, Origin
from devices import Stream
from mho import catalogue
from mho.config.read import read_values
from mho.report.quantities import counted
from periphery import Function, RampColumn, from_csv, named_function
from periphery.ramp.characterise import Characteristic, characterise
from workloads.experiment import MOST_CHIPS

NAME = "NLADC"
_MOST_BYTES = 1 << 28  # of a file of samples


def refuse_options(name: str, given: Sequence[str], taken: Sequence[str]) -> None:
    """InputError for options beside a record that would be ignored; ``taken``: those that it takes."""
    options = [{"ends": "range", "sets": "set"}.get(each, each) for each in given if each not in ("name", *taken)]
    if options:
        raise InputError(f"--{options[0]}: belongs to mho show {NAME} (got it beside {name})")


@dataclass(frozen=True)
class ConverterOptions:
    """The options of ``mho show NLADC``.

    Parameters
    ----------
    function : a name, or a CSV table of x and y
    bits : resolution
    device : the ramp's cells
    chips : chips to build and measure
    levels : ``uniform``, or ``optimal`` for the inputs in ``samples``
    samples : text file of inputs as they occur
    ends : range of inputs; None takes that of the function
    t_s : time after programming [s]
    recentre : the bias cells are programmed again at that time
    seed : of everything random
    sets : other fields of the ramp, ``key=value``
    """

    function: str
    bits: int
    device: str
    chips: int
    levels: str = "uniform"
    samples: Path | None = None
    ends: tuple[float, float] | None = None
    t_s: float = 0.0
    recentre: bool = False
    seed: int = 0
    sets: tuple[str, ...] = ()


def measure(how: ConverterOptions) -> Characteristic:
    """The converter of these options, measured. Raises InputError for whatever cannot be built."""
    if not 1 <= how.chips <= MOST_CHIPS:
        raise InputError(f"--chips: must be a whole number from 1 to {MOST_CHIPS} (got {how.chips})")
    if not 0.0 <= how.t_s < math.inf:
        raise InputError(f"--time: must be finite and at least 0 s (got {how.t_s:g})")
    inputs = None if how.samples is None else _samples(how.samples)
    design = _column(how).design(_function(how.function, how.ends), how.bits, samples=inputs)
    rng = Stream.root(how.seed).child("show", NAME)
    return characterise(design, chips=how.chips, rng=rng, t_s=how.t_s, recentre=how.recentre)


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
            raise InputError("--range: a table brings its range (got --range beside a CSV file)")
        return from_csv(name)
    if ends is not None and not all(map(math.isfinite, ends)):
        raise InputError(f"--range: both ends must be finite numbers (got {ends[0]:g} to {ends[1]:g})")
    return named_function(name, *(ends or (None, None)))


def _column(how: ConverterOptions) -> RampColumn:
    """The column of cells that the options describe."""
    if any(re.match(r"\s*device\b", option) for option in how.sets):
        raise InputError("--set device: is what --device names")
    values = {name: Node(getattr(how, name), Origin(f"--{name} {getattr(how, name)}")) for name in ("levels", "device")}
    column: RampColumn = read_values(values, RampColumn, sets=how.sets).value
    return column


def _samples(path: Path) -> torch.Tensor:
    """Numbers of a text file, any separation by commas, blanks or lines."""
    data = read_file(path, most=_MOST_BYTES)
    try:
        words = data.decode("utf-8").replace(",", " ").split()
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(f"{path}: must be a text file of numbers ({error})") from None
    if not len(values) or not np.isfinite(values).all():
        raise InputError(f"{path}: must hold finite numbers (got {'none' if not len(values) else 'others too'})")
    return torch.from_numpy(values)


def plot(found: Characteristic, device: str, path: Path) -> None:
    """The picture of ``mho.report.plots_nladc``, written whole or not at all."""
    from mho.report import plots_nladc

    catalogue.save_figure(plots_nladc.characteristic(found, device), path)
