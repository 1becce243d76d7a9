"""Front ends of a matrix's columns: designed for their load, drawn on every chip, read with what hangs on them.

The capacitor, the division, the swing, V_read and the clock of a column are solved from each other
(``periphery.front_end``) for a load that is known before any weight is written: word lines, cells at the mean size of a
weight, wires. Reading then takes the conductance that really hangs on each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from devices import ChipStreams
from mappings.chip import INPUT_SIZE, Chip
from mappings.step import ColumnCircuit
from periphery import RampDesign
from periphery.drivers.base import full_scale
from periphery.front_end import ColumnLoad, FrontEnd, FrontEndDesign


@dataclass(frozen=True)
class MappedFrontEnd:
    """Front ends of all columns on paper.

    ``designs``: one for each column of tiles; ``scale``: of every column, charge for a unit of pre-activation over that
    of its design, ``(columns,)`` [1]; ``row_tiles``: those whose parts of a sum are converted apart; ``weight``: what
    the driver's phases make of the variance of white noise that is integrated over their time [1].
    """

    designs: tuple[FrontEndDesign, ...]
    tile_of_column: torch.Tensor
    scale: torch.Tensor
    row_tiles: int
    parts: int
    planes: int
    referred: bool
    weight: float

    @classmethod
    def of(
        cls,
        front_end: FrontEnd,
        load: ColumnLoad,
        *,
        full_scale: torch.Tensor,
        tile_of_column: torch.Tensor,
        row_tiles: int,
        parts: int,
        planes: int,
        referred: bool,
        weight: float,
    ) -> MappedFrontEnd:
        """Design the front ends of columns whose weights at full scale are ``full_scale (columns,)``.

        ``load``: of a column whose largest weight is 1. Raises InputError where the circuit does not close, with the
        number that would do.
        """
        scale, tile_of = 1.0 / full_scale, tile_of_column
        tiles = torch.zeros(int(tile_of.max()) + 1).scatter_reduce(0, tile_of, scale, "mean", include_self=False)
        found: dict[float, FrontEndDesign] = {}
        near_A = None
        for size in sorted(set(tiles.tolist())):
            found[size] = _design(front_end, replace(load, charge_per_z_C=load.charge_per_z_C * size), near_A)
            near_A = found[size].bias_A
        designs = tuple(found[size] for size in tiles.tolist())
        return cls(designs, tile_of, scale / tiles[tile_of], row_tiles, parts, planes, referred, weight)

    @property
    def volts_per_z(self) -> float:
        """Voltage of the capacitor for one unit of pre-activation at the design voltage [V]."""
        return self.designs[0].volts_per_z

    @property
    def circuit(self) -> ColumnCircuit:
        """What a column's front end takes, mean over the columns."""
        tiles = torch.bincount(self.tile_of_column, minlength=len(self.designs)).tolist()
        return mean_circuit([circuit_of(design) for design in self.designs], tiles)

    def build(self, rng: ChipStreams) -> BuiltFrontEnd:
        """Draw capacitor and offset of each column, row tile and slice, and the mirror of each line, on every chip."""
        columns = len(self.tile_of_column)
        shape = (self.row_tiles, self.parts, columns)
        capacitors, mirrors = (
            torch.tensor([getattr(design, name) for design in self.designs])[self.tile_of_column]
            for name in ("capacitor_sigma", "mirror_sigma")
        )
        gain = lines = None
        if bool((capacitors > 0).any()):
            gain = 1.0 / (1.0 + capacitors * rng.child("gain").normal(shape))
        if bool((mirrors > 0).any()):
            drawn = rng.child("mirrors").normal((self.row_tiles, self.planes * (2 if self.referred else 1), columns))
            lines = 1.0 + mirrors * drawn
        return BuiltFrontEnd(self, gain, lines, rng.child("offset").normal(shape))


@dataclass(frozen=True)
class BuiltFrontEnd:
    """Front ends as built: ``gain`` of the capacitors (a factor, None for 1) and ``offset`` (in standard deviations),
    ``(chips, row tiles, parts, columns)``; ``lines``: that of the mirrors, ``(chips, row tiles, planes, columns)``,
    those of the copies of a reference after the planes, or None."""

    mapped: MappedFrontEnd
    gain: torch.Tensor | None
    lines: torch.Tensor | None
    offset: torch.Tensor

    def read(
        self, row_tile: int, part: int, node_S: torch.Tensor, supply_gain: float, *, by_width: bool = False
    ) -> FrontEndRead:
        """The columns of one row tile and part with the conductance ``node_S (chips, columns)`` on all lines of each.

        ``supply_gain``: read voltage over its design value; ``by_width``: what settling loses goes with the width of a
        pulse and is left out of the gain.
        """
        mapped = self.mapped
        gain, white, offset = (torch.empty_like(node_S) for _ in range(3))
        for tile, design in enumerate(mapped.designs):
            here = mapped.tile_of_column == tile
            line_S = node_S[:, here] / design.load.lines
            kept = design.steady_gain if by_width else design.gain
            # The capacitor was sized with what is lost at the conductance that it was designed for.
            gain[:, here] = torch.as_tensor(kept(line_S) / kept(design.load.line_S)).to(gain)
            white[:, here] = torch.as_tensor(design.noise_z2(line_S)).to(white)
            offset[:, here] = torch.as_tensor(design.offset_sigma_z(line_S)).to(offset)
        units = 1.0 / (mapped.scale * supply_gain)
        if self.gain is not None:
            gain = gain * self.gain[:, row_tile, part]
        moved = bool((offset > 0).any())
        return FrontEndRead(
            gain=gain,
            white_z2=white * units.square() * mapped.weight if bool((white > 0).any()) else None,
            offset_z=offset * units * self.offset[:, row_tile, part] if moved else None,
        )


@dataclass(frozen=True)
class FrontEndRead:
    """What the front ends of one row tile and part do to a product, ``(chips, columns)`` each: a factor, the variance
    of white noise at the capacitor, and a constant [z^2, z]."""

    gain: torch.Tensor
    white_z2: torch.Tensor | None
    offset_z: torch.Tensor | None

    def columns(self, first: int, last: int) -> FrontEndRead:
        """Columns ``first .. last - 1`` alone."""
        white, offset = self.white_z2, self.offset_z
        return FrontEndRead(
            gain=self.gain[:, first:last],
            white_z2=None if white is None else white[:, first:last],
            offset_z=None if offset is None else offset[:, first:last],
        )


@lru_cache(maxsize=4096)
def _design(front_end: FrontEnd, load: ColumnLoad, near_A: float | None) -> FrontEndDesign:
    """The circuit of a column, found once: chips of a run, a sweep or a search share most of theirs."""
    return front_end.design(load, near_A)


def circuit_of(design: FrontEndDesign) -> ColumnCircuit:
    """What one front end takes."""
    return ColumnCircuit(
        bias_W=design.bias_W,
        held_W=design.held_W,
        open_s=design.load.open_s,
        area_m2=design.area_m2,
        capacitor_F=design.capacitor_F,
        capacitor=f"capacitor_{design.capacitor}",
    )


def mean_circuit(circuits: Sequence[ColumnCircuit], weights: Sequence[float] | None = None) -> ColumnCircuit:
    """The mean of several, each counted by its weight; an empty one of none."""
    if not circuits:
        return ColumnCircuit()
    weights = [1.0] * len(circuits) if weights is None else weights

    def mean(name: str) -> float:
        values: list[float] = [getattr(circuit, name) for circuit in circuits]
        return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)

    return replace(
        circuits[0],
        bias_W=mean("bias_W"),
        held_W=mean("held_W"),
        open_s=mean("open_s"),
        area_m2=mean("area_m2"),
        capacitor_F=mean("capacitor_F"),
    )


def ramp_load(chip: Chip, design: RampDesign, range_z: float) -> ColumnLoad:
    """What hangs on the integrator of a ramp while its cells lift it step by step."""
    driver, cells = chip.driver, design.cells_S
    present, each = design.present, design.column.parallel_cells * design.column.columns
    every_S = cells * (each if present is None else present.sum(-1))
    lines, clocks = len(cells), float(design.clocks.abs().sum())
    whole_S = design.loss_S / clocks if design.column.unselected == "gated" else float(every_S.sum())
    return ColumnLoad(
        node_nm=chip.node_nm,
        temperature_K=chip.read_K,
        t_clk_s=driver.t_clk_s,
        read_V=driver.v_design_V,
        charge_per_z_C=driver.v_design_V * driver.t_clk_s * design.unit_S,
        range_z=range_z,
        line_S=whole_S / lines,
        lines=lines,
        line_F=chip.line_F(len(design.clocks)),
        peak_A=float(every_S.max()) * driver.v_design_V,
        drive_s=clocks * driver.t_clk_s,
        phases_cancel=False,
        settle_s=driver.t_clk_s,
        mean_A=whole_S / lines * driver.v_design_V,
    )


def state_load(chip: Chip, pair_S: float, drive_clocks: int, range_z: float) -> ColumnLoad:
    """What hangs on the integrator of a cell state that comes back as charge: a pair of cells of ``pair_S``."""
    driver, device = chip.driver, chip.ramp.device
    per_z = (full_scale(chip.bits) / chip.state.drive_limit) * (device.g_max_S - device.g_min_S)
    return ColumnLoad(
        node_nm=chip.node_nm,
        temperature_K=chip.read_K,
        t_clk_s=driver.t_clk_s,
        read_V=driver.v_design_V,
        charge_per_z_C=driver.v_design_V * driver.t_clk_s * per_z,
        range_z=range_z,
        line_S=0.5 * pair_S,
        lines=2,
        line_F=chip.line_F(1),
        peak_A=device.g_max_S * driver.v_design_V,
        drive_s=drive_clocks * driver.t_clk_s,
        phases_cancel=False,
        settle_s=chip.front_end.settle_clocks * driver.t_clk_s,
        mean_A=INPUT_SIZE * device.g_max_S * driver.v_design_V,
    )
