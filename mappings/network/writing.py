"""What it took to write a layer, where its cells are written by program-and-verify.

Weights are written in blocks of ``weights.write_rows`` by ``weights.write_columns`` cells, one block after the other,
each as long as its slowest cell; the few cells of ramps are written one by one. Drivers and converters are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from devices import Cells
from devices.effects import WriteRecord
from mappings.columns import GroupConverter
from mappings.network.dense import ProgrammedDense
from mappings.network.recurrent import ProgrammedRecurrent


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


def write_lines(layer: str, programmed: ProgrammedRecurrent | ProgrammedDense) -> list[WriteLine]:
    """Weights, ramps and the cells of the state of one layer; empty where no cell has ``program_verify``."""
    chip = programmed.chip
    lines = []
    weights, at_once = programmed.matrix.array.cells.write, (chip.weights.write_rows, chip.weights.write_columns)
    if weights is not None:
        lines.append(_line(layer, "weights", chip.weights.device.kind, [weights], at_once))
    for part, cells in _beside_weights(programmed):
        records = [one.write for one in cells if one.write is not None]
        if records:
            lines.append(_line(layer, part, chip.ramp.device.kind, records, (1, 1)))
    return lines


def _beside_weights(programmed: ProgrammedRecurrent | ProgrammedDense) -> Iterator[tuple[str, list[Cells]]]:
    """Cells of each ramp with its trims, and of the way back of the cell state."""
    if isinstance(programmed, ProgrammedDense):
        named: list[tuple[str, GroupConverter]] = [("linear ramp", programmed.converter)]
    else:
        named = [(f"ramp of {converter.group.function.name}", converter) for converter in programmed.converters]
        named += [("ramp of the cell state", programmed.state)] if programmed.state is not None else []
        if programmed.state_cells is not None:
            yield "cell state to charge", [programmed.state_cells]
    for name, converter in named:
        if converter.ramp is not None:
            ramp = converter.ramp.ramp
            yield name, [ramp.steps, *(trim.cells for trim in ramp.bias)]


def _line(layer: str, part: str, device: str, records: Sequence[WriteRecord], at_once: tuple[int, int]) -> WriteLine:
    totals = [record.total(rows_at_once=at_once[0], columns_at_once=at_once[1]) for record in records]
    pulses = torch.cat([record.iterations.flatten() for record in records]).double()
    settled = torch.cat([record.converged.flatten() for record in records]).double()
    return WriteLine(
        layer=layer,
        part=part,
        device=device,
        cells=sum(record.iterations[0].numel() for record in records),
        iterations_mean=float(pulses.mean()),
        iterations_p95=float(pulses.sort().values[int(0.95 * (len(pulses) - 1))]),
        not_converged_share=1.0 - float(settled.mean()),
        energy_J=sum(float(total.energy_J.mean()) for total in totals),
        time_s=sum(float(total.time_s.mean()) for total in totals),
    )
