"""What it took to write a layer, where its cells are written by program-and-verify.

Each part of a layer is written block by block (``WrittenCells``), each block as long as its slowest cell. Drivers and
converters are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mappings.contract import ProgrammedLayer, WrittenCells


@dataclass(frozen=True)
class WriteLine:
    """One part of a layer: means over chips of one whole writing.

    ``iterations_mean``, ``iterations_p95``: pulses of a cell, over all cells and chips; ``not_converged_share``: cells
    on which verifying gave up [1]; ``energy_J`` and ``time_s``: of the part on one chip.
    """

    layer: str
    part: str
    device: str
    cells: int
    iterations_mean: float
    iterations_p95: float
    not_converged_share: float
    energy_J: float
    time_s: float


def write_lines(programmed: ProgrammedLayer) -> list[WriteLine]:
    """The parts of one layer; those are left out in which no cell has ``program_verify``."""
    lines = (_line(programmed.mapped.name, part) for part in programmed.written())
    return [line for line in lines if line is not None]


def _line(layer: str, part: WrittenCells) -> WriteLine | None:
    records = [cells.write for cells in part.cells if cells.write is not None]
    if not records:
        return None
    totals = [record.total(rows_at_once=part.rows_at_once, columns_at_once=part.columns_at_once) for record in records]
    pulses = torch.cat([record.iterations.flatten() for record in records]).double()
    settled = torch.cat([record.converged.flatten() for record in records]).double()
    return WriteLine(
        layer=layer,
        part=part.part,
        device=part.device,
        cells=sum(record.iterations[0].numel() for record in records),
        iterations_mean=float(pulses.mean()),
        iterations_p95=float(pulses.sort().values[int(0.95 * (len(pulses) - 1))]),
        not_converged_share=1.0 - float(settled.mean()),
        energy_J=sum(float(total.energy_J.mean()) for total in totals),
        time_s=sum(float(total.time_s.mean()) for total in totals),
    )
