"""From bit lines to membranes on the chip: front ends sized for a liquid, drawn on every chip, read with their cells.

Each bit line has a virtual ground, and a mirror for each membrane beside it that takes its current; a membrane gets the
difference of two. So what mirrors of one neuron err apart acts on the whole current of a line, many times the
difference. All cells of a line hang on its virtual ground, driven or not: noise and offset of a step do not depend on
how many lines are active.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from devices import ChipStreams, InputError
from mappings.chip_wires import CELL_F, CELL_NM
from mappings.liquid.chip import US, LiquidShape
from mappings.liquid.step import Wiring
from periphery.front_end import ColumnLoad, FrontEndDesign


@dataclass(frozen=True)
class MappedMembranes:
    """Front ends of all bit lines on paper: ``design`` of one neuron's two lines; ``gain_per_uS``: membrane input of a
    microsiemens, in units of which the design is."""

    design: FrontEndDesign
    wiring: Wiring
    gain_per_uS: float

    @classmethod
    def of(cls, shape: LiquidShape, *, gain_per_uS: float, threshold: float, decay: float) -> MappedMembranes:
        """Size the front ends for all word lines at once. Raises InputError where the circuit does not close."""
        chip, circuit, wiring = shape.chip, shape.chip.circuit, shape.wiring
        if decay == 0.0:
            raise InputError(
                "neuron.decay: more than 0 for a membrane on a capacitor, since no leak is that fast (got 0)"
            )
        line_S, rate = shape.rows * chip.design_mean_uS / US, -math.log(decay)
        # What a leak leaves of a step's charge at the end of it.
        kept = 1.0 if rate == 0.0 else -math.expm1(-rate) / rate
        load = ColumnLoad(
            node_nm=circuit.node_nm,
            temperature_K=chip.temperature_K,
            t_clk_s=circuit.t_step_s,
            read_V=circuit.v_read_V,
            charge_per_z_C=circuit.v_read_V / US / gain_per_uS * circuit.t_step_s * kept,
            range_z=threshold,
            line_S=line_S,
            lines=2,
            line_F=shape.rows * CELL_F * circuit.node_nm / CELL_NM,
            peak_A=line_S * circuit.v_read_V,
            drive_s=circuit.t_step_s,
            phases_cancel=False,
            settle_s=circuit.t_gap_s,
            copies=2.0 * wiring.neurons / wiring.columns,
        )
        try:
            design = chip.front_end.design(load)
        except InputError as error:  # the read voltage is the circuit's, a liquid has no drivers
            raise InputError(text.replace("driver.v_read_V", "circuit.v_read_V") for text in error.problems) from None
        return cls(design, wiring, gain_per_uS)

    @property
    def bias_J(self) -> float:
        """What the front end of one bit line draws in a step [J]."""
        return self.design.bias_W / self.design.load.lines * self.design.load.open_s

    @property
    def area_m2(self) -> float:
        """Transistors of the front end of one bit line, its mirrors included [m2]."""
        return self.design.area_m2 / self.design.load.lines

    def build(self, rng: ChipStreams) -> BuiltMembranes:
        """Draw mirrors, capacitor and offset of every neuron of every chip."""
        neurons, design = self.wiring.neurons, self.design
        return BuiltMembranes(
            self,
            1.0 + design.mirror_sigma * rng.child("mirrors").normal((2, neurons)),
            1.0 + design.capacitor_sigma * rng.child("capacitor").normal((neurons,)),
            rng.child("offset").normal((neurons,)),
        )


@dataclass(frozen=True)
class BuiltMembranes:
    """Front ends as built: ``mirror (chips, 2, neurons)``, ratios over their design, of the line that adds and of the
    one that takes away; ``capacitor (chips, neurons)``; ``offset (chips, neurons)``, in standard deviations."""

    mapped: MappedMembranes
    mirror: torch.Tensor
    capacitor: torch.Tensor
    offset: torch.Tensor

    def read(self, cells_uS: torch.Tensor) -> MembraneRead:
        """What neurons take of bit lines with cells of ``cells_uS (chips, rows, columns)``."""
        mapped, design = self.mapped, self.mapped.design
        lines_S = cells_uS.sum(dim=1) / US
        gain = torch.as_tensor(design.gain(lines_S)).to(cells_uS)
        above, below = mapped.wiring.ends
        arrives = cells_uS * gain[:, None]
        weights = arrives[..., above] * self.mirror[:, :1] - arrives[..., below] * self.mirror[:, 1:]
        both_S, mean_S = 0.5 * (lines_S[:, above] + lines_S[:, below]), lines_S.mean(dim=1)
        offset = torch.as_tensor(design.offset_sigma_z(both_S)).to(cells_uS) / mapped.gain_per_uS
        floor = torch.as_tensor(design.noise_z2(mean_S)).to(cells_uS) / design.load.lines
        return MembraneRead(
            weights / self.capacitor[:, None],
            gain.mean(dim=1),
            floor / mapped.gain_per_uS**2,
            offset * self.offset,
        )


@dataclass(frozen=True)
class MembraneRead:
    """Front ends at one time: ``weights (chips, rows, neurons)`` as they arrive [uS]; ``gain (chips,)``, the mean over
    bit lines; ``floor_uS2 (chips,)``, variance of a bit line's noise in a step whatever is driven, that of the mean
    line; ``bias_uS (chips, neurons)``, a constant input in every step."""

    weights: torch.Tensor
    gain: torch.Tensor
    floor_uS2: torch.Tensor
    bias_uS: torch.Tensor
