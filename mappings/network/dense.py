"""A fully connected layer on tiles, read by an ordinary linear ramp (or a conventional converter)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from devices import BlockNoise, ChipStreams
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, GroupConverter, codes_of, volts_per_z
from mappings.matrix import MappedMatrix, MatrixRead, check_chip, rows_of
from mappings.network.actions import DenseShape, dense_actions
from mappings.step import StepActivity, StepTiming
from periphery import LookUpConverter, RampConversion, identity
from periphery.prices.component import Component


@dataclass(frozen=True)
class DenseLayer:
    """``y = W x + b`` as rows of word lines; ``limit`` is the output at full scale of the converter."""

    matrix: torch.Tensor
    bias_rows: int
    inputs: int
    limit: float

    @classmethod
    def from_torch(cls, weight: torch.Tensor, bias: torch.Tensor | None, *, chip: Chip, limit: float) -> DenseLayer:
        """From torch's ``weight (outputs, inputs)`` and ``bias (outputs,)``."""
        matrix, bias_rows = rows_of(weight, bias, chip=chip)
        return cls(matrix, bias_rows, weight.shape[1], chip.output.limit or limit)

    def group(self, chip: Chip) -> ColumnGroup:
        """All columns, cut by tiles."""
        return ColumnGroup.cut(identity(self.limit), 0, self.matrix.shape[1], chip.columns, chip.columns_per_ramp)

    def program(self, chip: Chip, *, rng: ChipStreams) -> ProgrammedDense:
        """Write the layer on ``len(rng)`` chips."""
        check_chip(chip, self.matrix.shape[0], "the ramp of a dense layer")
        group, cold = self.group(chip), chip.as_written.without_data()
        volts = volts_per_z(chip, [(group.function, chip.output.bits)])
        converter = GroupConverter.build(
            group,
            cold,
            bits=chip.output.bits,
            adc_bits=max(chip.output.bits, chip.adc_bits),
            range_z=self.limit,
            volts_per_z=volts,
            rng=rng.child("output"),
        )
        matrix = MappedMatrix.program(self.matrix, cold, rng=rng.child("weights"))
        return ProgrammedDense(self, chip, matrix, converter, rng)


@dataclass(frozen=True)
class ProgrammedDense:
    """A layer that stands on chips."""

    layer: DenseLayer
    chip: Chip
    matrix: MappedMatrix
    converter: GroupConverter
    rng: ChipStreams

    def shape(self, layer: str) -> DenseShape:
        """What stands on the chip for this layer, in the words of the price list."""
        chip, group, design = self.chip, self.converter.group, self.converter.design
        rows, columns = self.layer.matrix.shape
        return DenseShape(
            layer=layer,
            inputs=self.layer.inputs,
            outputs=columns,
            bias_rows=self.layer.bias_rows,
            row_tiles=-(-rows // chip.rows),
            column_tiles=-(-columns // chip.columns),
            cells=self.matrix.array.cell_count,
            driver=chip.driver,
            converter=chip.adc.converter,
            unit=chip.adc.activation,
            groups=group.ramps,
            slices=self.matrix.array.encoded.parts,
            slice_shift_bits=self.matrix.array.encoded.shift_bits,
            branches=self.matrix.array.encoded.branches,
            bits=chip.bits,
            readout=chip.readout,
            ramps=group.ramps if design else 0,
            ramp_cells=group.ramps * design.cells if design else 0,
            columns_per_adc=chip.adc.columns_per_adc,
            adc_model=chip.adc.price,
            adc_bits=self.converter.adc_bits,
            partial_sums=chip.partial_sums,
            lanes=chip.lanes,
        )

    def actions(self, layer: str, activity: Activity, components: Mapping[str, Component]) -> Actions:
        """What one product does, from what the simulator saw: counts, instances and schedule."""
        chip, shape, ramp = self.chip, self.shape(layer), self.converter.reading(self.chip).ramp
        quantum_J = chip.driver.v_read_V**2 * chip.driver.t_clk_s
        timing = StepTiming.of(
            shape,
            t_clk_s=chip.driver.t_clk_s,
            node_nm=chip.node_nm,
            components=components,
            gate_ramp_clocks=ramp.ramp.design.ramp_clocks if ramp else 0,
        )
        seen = StepActivity(
            array_ohmic_J=activity.mean_loss_S(self.matrix.reading(chip).read(0.0).array) * quantum_J,
            row_pulses=activity.mean("row_pulses"),
            row_clocks=activity.mean("row_clocks"),
            gate_compare_steps=activity.mean("gate_compare_steps"),
            adc_steps=activity.mean("adc_steps"),
            ramp_ohmic_J=quantum_J * float(ramp.ramp.read(0.0).loss_S.sum(1).mean()) if ramp else 0.0,
        )
        return dense_actions(shape, seen, timing)

    def read(self, t_s: float, factor: float | torch.Tensor = 1.0) -> DenseRead:
        """The layer ``t_s`` seconds after programming; ``factor`` scales the converter's reference."""
        chip, converter = self.chip, self.converter.reading(self.chip)
        if chip.ramp_moves(t_s):
            converter = converter.recentred(t_s, self.rng.child("recentre", float(t_s).hex()))
        return DenseRead(self.layer, converter.group, self.matrix.reading(chip).read(t_s), converter.read(t_s, factor))


@dataclass(frozen=True)
class DenseRead:
    """A layer at one time."""

    layer: DenseLayer
    group: ColumnGroup
    matrix: MatrixRead
    conversion: RampConversion | LookUpConverter

    def run(
        self, counts: torch.Tensor, *, full_scale: int, noise: BlockNoise, activity: Activity | None = None
    ) -> torch.Tensor:
        """Outputs ``(chips, n, outputs)`` of pulse widths ``counts (chips, n, inputs)``.

        ``full_scale``: the pulse width that drives the bias rows, in clock periods.
        """
        bias = counts.new_full((*counts.shape[:-1], self.layer.bias_rows), float(full_scale))
        driven = torch.cat([counts, bias], dim=-1)
        codes = codes_of(
            self.conversion, self.group, self.matrix.pre_activation(driven, noise), noise, activity=activity
        )
        outputs = self.group.scatter(self.conversion.values(codes))
        if activity is not None:
            driven = driven[:, : activity.valid]
            activity.samples += driven.shape[0] * driven.shape[1]
            activity.drive(driven, self.matrix.driver, self.matrix.bits)
            activity.add("gate_compare_steps", self.group.scatter(codes)[:, : activity.valid] + 1)
        return outputs
