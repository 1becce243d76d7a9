"""What every workload hands back: the contract between a job and the run directory.

The records of ``metrics.json`` are the same when it is written and when it is read. ``docs/run_directory.md`` describes
the tables and their columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from workloads.statistics import deviation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Panel:
    """One picture or table of the report that a workload asks for, drawn from one of its tables.

    Parameters
    ----------
    section : head of its section; panels of one section follow each other
    text : caption, in sentences: what is shown, and what to see in it
    table : name of the table it is drawn from
    kind : ``lines`` and ``scatter`` (y over x), ``bars`` (y by category x), ``heat`` (``value`` over x and y), ``spy``
        (points at column x and row y), ``histogram`` (of x), ``table`` (the rows themselves)
    x, y, value : columns; a column's name carries its unit (``energy_J``), which goes on the axis
    by : column that names a line, a colour or a group of bars
    low, high : columns of an interval of y
    facet : column for whose values the panel is drawn again, side by side (at most six)
    log_x, log_y : logarithmic axes
    share : y (or value) is a share, shown in per cent; its interval is cut at 0 and 1, in a table as well
    marks : vertical lines at these x, by name
    boxes : table of rectangles ``x0, y0, x1, y1`` drawn over a ``spy``
    columns : columns of a ``table``, all by default
    """

    section: str
    text: str
    table: str
    kind: Literal["lines", "scatter", "bars", "heat", "spy", "histogram", "table"] = "table"
    x: str = ""
    y: str = ""
    value: str = ""
    by: str = ""
    low: str = ""
    high: str = ""
    facet: str = ""
    log_x: bool = False
    log_y: bool = False
    share: bool = False
    marks: dict[str, float] = field(default_factory=dict)
    boxes: str = ""
    columns: tuple[str, ...] = ()


INTERVAL: dict[str, Any] = {"low": "low", "high": "high"}
"""Columns of most intervals, for a panel."""


class Record(BaseModel):
    """Part of ``metrics.json``: further fields are kept, and a field that nobody set is not written."""

    model_config = ConfigDict(extra="allow", frozen=True)


class MeanAndStd(Record):
    """Mean and standard deviation of one figure over chips (and splits)."""

    mean: float | None = None
    std: float | None = None

    @classmethod
    def of(cls, values: ArrayLike) -> MeanAndStd:
        """Of these chips, a sample of all that could be made: the deviation is over n - 1, and one chip has none."""
        sample = np.asarray(values, np.float64)
        return cls(mean=float(sample.mean()), std=deviation(sample))


class Metric(Record):
    """What one figure of merit means."""

    higher_is_better: bool = True
    unit: str = "1"

    @property
    def is_share(self) -> bool:
        """Whether the figure is a share of successes, which people read in per cent."""
        return self.unit == "1" and self.higher_is_better


SHARE = Metric(higher_is_better=True, unit="1")
ERROR = Metric(higher_is_better=False, unit="1")


class Data(Record):
    """The data that a run was measured on."""

    name: str = ""
    digest: str | None = None
    synthetic: bool = False
    source: str | None = None
    note: str | None = None
    train: int | None = None
    test: int | None = None
    splits: int | None = None


class Quality(Record):
    """Figures of one variant at one time since programming; the metrics' names are further fields."""

    t_s: float = 0.0
    chips: int | None = None

    @classmethod
    def of(cls, t_s: float, chips: int, figures: Mapping[str, ArrayLike]) -> Quality:
        """The figures of all chips at one time."""
        return cls.model_validate(
            {"t_s": t_s, "chips": chips, **{name: MeanAndStd.of(values) for name, values in figures.items()}}
        )

    def spread(self, metric: str) -> MeanAndStd:
        """Mean and standard deviation of ``metric``; both missing where the run has none."""
        return MeanAndStd.model_validate((self.model_extra or {}).get(metric) or {})


class VariantResult(Record):
    """One way to build the hardware: what it is, its figures over time and its cost per inference.

    What a variant does not have (a read-out, a gain) is not set. ``wires``: ``resistive``, or ``ideal`` where lines
    have neither resistance nor capacitance. ``sets``: what the command line changed of it; ``changed``: by its path,
    the status of each record of which some figures are not as published.
    """

    name: str
    default: bool = False
    device: str | None = None
    ramp_device: str | None = None
    wires: str | None = None
    readout: str | None = None
    compensation: str | None = None
    pairing: str | None = None
    read_path: str | None = None
    neurons: int | None = None
    gain_per_uS: float | None = None
    bits: int | None = None
    leakage_library: str | None = None
    temperature_K: float | None = None
    layout: str | None = None
    order: str | None = None
    quality: tuple[Quality, ...] = ()
    cost: Mapping[str, float | None] = Field(default_factory=dict)
    cost_interval: Mapping[str, tuple[float, float]] = Field(default_factory=dict)
    sets: tuple[str, ...] = ()
    changed: Mapping[str, str] = Field(default_factory=dict)


class Comparison(Record):
    """A difference, variant minus software, with its 95 % interval; ``text`` states what it is over."""

    name: str
    t_s: float = 0.0
    text: str = ""
    metric: str = "accuracy"
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    pairs: Any = None
    aim: float | str | None = None


class Metrics(Record):
    """``metrics.json`` (``docs/run_directory.md``).

    ``software`` and ``quantised`` hold the figures of the headline before any hardware and on an ideal chip;
    ``retrained`` those of the network that these chips hold, in float, where it was trained on after ``software``;
    ``baseline`` and ``chance`` those of a simpler system and of guessing, where the workload has them. ``stages``
    states for each stage of ``accuracy.csv`` what was computed on what; ``weights`` how a user's network was read;
    ``sets`` and ``changed`` as of a variant, for what belongs to none.
    """

    experiment: str
    seed: int | None = None
    config_digest: str | None = None
    data: Data = Field(default_factory=Data)
    metrics: dict[str, Metric] = Field(min_length=1)
    software: dict[str, float | None] = Field(default_factory=dict)
    retrained: dict[str, float | None] = Field(default_factory=dict)
    quantised: dict[str, float | None] = Field(default_factory=dict)
    baseline: dict[str, float | None] = Field(default_factory=dict)
    chance: dict[str, float | None] = Field(default_factory=dict)
    stages: dict[str, str] = Field(default_factory=dict)
    weights: str | None = None
    variants: tuple[VariantResult, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    panels: tuple[Panel, ...] = ()
    sets: tuple[str, ...] = ()
    changed: Mapping[str, str] = Field(default_factory=dict)
    wall_s: float | None = None

    def variant(self, name: str) -> VariantResult:
        """The variant of that name."""
        return next(variant for variant in self.variants if variant.name == name)


@dataclass
class Result:
    """One finished job.

    ``metrics``: ``metrics.json`` without its digest and wall time; ``tables``: name to table, each written as
    ``NAME.csv``; ``trace``: events for the trace viewer; ``data``: what was measured on; ``stages``: seconds by stage;
    ``cite``: keys of the papers behind what was used.
    """

    metrics: Metrics
    tables: dict[str, pd.DataFrame]
    trace: dict[str, Any]
    data: Data
    stages: dict[str, float] = field(default_factory=dict)
    cite: tuple[str, ...] = ()
