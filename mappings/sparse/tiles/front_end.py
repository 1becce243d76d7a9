"""Front ends of a sparse tile's columns: sized for one product, drawn on every tile, read with what hangs on them.

A column is a value's bit lines, its reference's included, with a virtual ground each; their difference goes to one
capacitor for each part that is converted apart. What is common to both lines, the off cells under all driven rows, is
subtracted behind two mirrors: where these differ, each driven row leaves that share of an off cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from devices import ChipStreams
from mappings.chip_wires import CELL_F, CELL_NM
from mappings.sparse.tiles.chip import SparseChip
from periphery.front_end import ColumnLoad, FrontEndDesign


@dataclass(frozen=True, kw_only=True)
class Activation:
    """The largest activation of a product, in units of each part.

    Parameters
    ----------
    rows : word lines driven
    count : largest count on one of them
    span, highest : codes of the converter, and the highest of them
    lsb : one step of the converter in each part [units]
    clocks : clock periods for which lines are driven before a conversion
    line_S : mean conductance of a bit line, all of its cells [S]
    """

    rows: int
    count: float
    span: float
    highest: float
    lsb: Any
    clocks: float
    line_S: float


def circuits(chip: SparseChip, what: Activation) -> tuple[FrontEndDesign, ...]:
    """The front end of each part of a column. Raises InputError where a circuit does not close."""
    parts, driver = chip.parts, chip.driver
    planes = max(1, parts.planes // len(parts))
    read_V, time_s = driver.v_design_V, driver.t_clk_s * driver.count_clocks(chip.input_bits)
    found = []
    for unit_S, lsb in zip(parts.unit_S, np.asarray(what.lsb).tolist(), strict=True):
        # A full-scale sum within the time of the largest count, and the off cells of all driven rows beside it.
        sum_S = what.highest * lsb * unit_S / max(1.0, what.count)
        load = ColumnLoad(
            node_nm=chip.node_nm,
            temperature_K=chip.temperature_K,
            t_clk_s=driver.t_clk_s,
            read_V=read_V,
            charge_per_z_C=read_V * time_s * unit_S,
            range_z=what.span * lsb,
            line_S=what.line_S,
            lines=planes + (parts.references > 0),
            line_F=chip.rows * CELL_F * chip.node_nm / CELL_NM,
            peak_A=read_V * (sum_S + what.rows * chip.device.g_min_S),
            drive_s=what.clocks * driver.t_clk_s,
            phases_cancel=False,
            settle_s=chip.front_end.settle_clocks * driver.t_clk_s,
        )
        found.append(chip.front_end.design(load))
    return tuple(found)


@dataclass(frozen=True)
class ColumnErrors:
    """What front ends do to the columns of some tiles, ``(tiles, parts, columns)`` each.

    ``gain``: a factor on differences; ``common``: share of an off cell that each driven row adds; ``floor``,
    ``offset``: variance of white noise and a constant, in every conversion [units^2, units]; None where there is none.
    """

    gain: NDArray[np.float32] | None
    common: NDArray[np.float32] | None
    floor: NDArray[np.float32] | None
    offset: NDArray[np.float32] | None

    @classmethod
    def of(cls, designs: tuple[FrontEndDesign, ...], node_S: torch.Tensor, rng: ChipStreams) -> ColumnErrors:
        """Draw those of tiles whose columns have ``node_S (tiles, parts, columns)`` on all of their lines; ``rng``: a
        stream for each tile, from which the same front ends come at any time."""
        gain, floor, offset = (torch.ones_like(node_S) for _ in range(3))
        mirror, capacitor = torch.zeros(len(designs), 1), torch.zeros(len(designs), 1)
        for part, design in enumerate(designs):
            line_S = node_S[:, part] / design.load.lines
            gain[:, part] = torch.as_tensor(design.gain(line_S)).to(gain)
            floor[:, part] = torch.as_tensor(design.noise_z2(line_S)).to(floor)
            offset[:, part] = torch.as_tensor(design.offset_sigma_z(line_S)).to(offset)
            mirror[part], capacitor[part] = design.mirror_sigma, design.capacitor_sigma
        shape, common = node_S.shape[1:], None
        if bool((mirror > 0).any()) or bool((capacitor > 0).any()):
            lines = mirror * rng.child("front end", "mirrors").normal((2, *shape))
            kept = gain / (1.0 + capacitor * rng.child("front end", "capacitor").normal(shape))
            apart = lines[:, 0] - lines[:, 1] * (designs[0].load.lines > 1)
            gain, common = kept * (1.0 + lines[:, 0]), kept * apart
        if bool((offset > 0).any()):
            offset = offset * rng.child("front end", "offset").normal(shape)
        return cls(*(_set(values, none) for values, none in ((gain, 1.0), (common, 0.0), (floor, 0.0), (offset, 0.0))))


def _set(values: torch.Tensor | None, none: float) -> NDArray[np.float32] | None:
    """The values as an array; None where all of them are ``none``."""
    if values is None or bool((values == none).all()):
        return None
    return np.asarray(values.float().numpy(), np.float32)
