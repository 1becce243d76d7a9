"""What every workload hands back: the contract between a job and the run directory.

``docs/run_directory.md`` describes the tables and their columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture or table of the report that a workload asks for, drawn from one of its tables.

    Parameters
    ----------
    section : head of the section under which it stands; panels of one section follow each other
    text : caption, in sentences: what is shown, and what to see in it
    table : name of the table it is drawn from
    kind : ``lines`` and ``scatter`` (y over x), ``bars`` (y by category x), ``heat`` (``value`` over x and y), ``spy``
        (points at column x and row y), ``histogram`` (of x), ``table`` (the rows themselves)
    x, y, value : columns; a column's name carries its unit (``energy_J``), which goes on the axis
    by : column that names a line, a colour or a group of bars
    low, high : columns of an interval of y
    facet : column for whose values the panel is drawn again, side by side (at most six)
    log_x, log_y : logarithmic axes
    share : y (or value) is a share, shown in per cent
    marks : vertical lines at these x, by name
    boxes : table of rectangles ``x0, y0, x1, y1`` drawn over a ``spy``
    columns : columns of a ``table``, all by default
    """

    section: str
    text: str
    table: str
    kind: Literal["lines", "scatter", "bars", "heat", "spy", "histogram", "table"]
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


@dataclass
class Result:
    """One finished job.

    ``metrics``: the body of ``metrics.json`` (without experiment, seed, digest and wall time); ``tables``: name to
    table, each written as ``NAME.csv``; ``trace``: events for the trace viewer; ``stages``: seconds by stage; ``cite``:
    keys of the papers behind what was used; ``panels``: what the report shows beyond accuracy and cost.
    """

    metrics: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    trace: dict[str, Any]
    data: dict[str, Any]
    stages: dict[str, float] = field(default_factory=dict)
    cite: tuple[str, ...] = ()
    panels: tuple[Panel, ...] = ()
