"""Area of a memory cell by its kind and by the chip's node, from cells that were measured on silicon.

A cell does not shrink with the node as its name would have it: in squares of the node (F2) it falls from 126 at 130 nm
to 53 at 22 nm. Coefficients are in ``configs/technology/cell_area.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated

from pydantic import Field

from periphery.prices.component import Area, Component
from periphery.prices.records import CONFIGS, Model, Positive, Status, Strict, Text, read_record


@dataclass(frozen=True, kw_only=True)
class MeasuredCell(Strict):
    """One kind of cell at one node, in squares of the node's name [1], with the range of others like it."""

    area_F2: Positive
    status: Status
    source: Text
    low_F2: Positive | None = None
    high_F2: Positive | None = None
    range_source: Text | None = None


@dataclass(frozen=True, kw_only=True)
class CellAreas(Model):
    """``cells``: by kind, then by node in nm; ``devices``: which kind of cell holds which kind of device.

    ``in_parallel``: cells that make one device, where those are several.
    """

    cells: dict[str, dict[float, MeasuredCell]]
    devices: dict[str, str]
    in_parallel: dict[str, Annotated[int, Field(ge=1)]]


@cache
def cell_areas() -> CellAreas:
    """The shipped table."""
    return read_record(CellAreas, CONFIGS / "technology" / "cell_area.yaml")


def cell_area(device: str, node_nm: float) -> Area:
    """The area of one cell of a kind of ``device`` on a chip of ``node_nm``, at that node.

    Above the largest node of the table it grows as F2, below the smallest it stays. Kinds of device whose cell is not
    on record take the table's first, as an estimate.
    """
    table = cell_areas()
    kind = table.devices.get(device, next(iter(table.cells)))
    nodes = table.cells[kind]
    within = min(max(node_nm, min(nodes)), max(nodes))
    below, above = max(node for node in nodes if node <= within), min(node for node in nodes if node >= within)
    share = math.log(within / below) / math.log(above / below) if above > below else 0.0
    F2 = nodes[below].area_F2 ** (1.0 - share) * nodes[above].area_F2 ** share
    f_m = max(node_nm, min(nodes)) * 1e-9
    near = nodes[above] if share > 0.5 else nodes[below]
    status, source = near.status, near.source
    if share:
        status = "derived"
        ends = (f"{node:g} nm ({nodes[node].source})" for node in (below, above))
        source = f"{F2:.3g} F2, interpolated between {' and '.join(ends)}"
    elif node_nm < below:
        status, source = "derived", f"{source}; not shrunk below {below:g} nm, where no cell is on record"
    elif node_nm > above:
        status, source = "derived", f"{source}; as many F2 at {node_nm:g} nm"
    if device not in table.devices:
        status, source = "estimate", f"estimate: no cell of {device} is on record, so that of {kind}: {source}"
    area = Area(area_m2=F2 * f_m**2, node_nm=node_nm, status=status, source=source)
    if not share and near.low_F2 is not None and near.high_F2 is not None:
        low, high = near.low_F2 * f_m**2, near.high_F2 * f_m**2
        area = replace(area, low=low, high=high, range_source=near.range_source)
    if (cells := table.in_parallel.get(device, 1)) > 1:
        area = replace(area.times(cells), source=f"{area.source}; {cells} cells in parallel")
    return area


def with_cells(
    components: Mapping[str, Component], node_nm: float, *, weights: str, ramp: str | None = None
) -> dict[str, Component]:
    """The price list with the areas of the cells of the weights and, where there is one, of the ramp."""
    kinds = {"cell_array": weights} if ramp is None else {"cell_array": weights, "ramp_cells": ramp}
    cells = {name: replace(components[name], area=cell_area(kind, node_nm)) for name, kind in kinds.items()}
    return {**components, **cells}
