"""A fully connected layer on tiles, read by an ordinary linear ramp (or a conventional converter)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from devices import BlockNoise, ChipStreams
from mappings.chip import Chip
from mappings.columns import ColumnGroup, GroupConverter, codes_of, volts_per_z
from mappings.matrix import MappedMatrix, MatrixRead, rows_of
from periphery import LookUpConverter, RampConversion, identity


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
        return ColumnGroup.cut(identity(self.limit), 0, self.matrix.shape[1], chip.columns)

    def program(self, chip: Chip, *, rng: ChipStreams) -> ProgrammedDense:
        """Write the layer on ``len(rng)`` chips."""
        group = self.group(chip)
        volts = volts_per_z(chip, [(group.function, chip.output.bits)])
        converter = GroupConverter.build(
            group,
            chip,
            bits=chip.output.bits,
            adc_bits=max(chip.output.bits, chip.adc_bits),
            range_z=self.limit,
            volts_per_z=volts,
            rng=rng.child("output"),
        )
        return ProgrammedDense(self, chip, MappedMatrix.program(self.matrix, chip, rng=rng.child("weights")), converter)


@dataclass(frozen=True)
class ProgrammedDense:
    """A layer that stands on chips."""

    layer: DenseLayer
    chip: Chip
    matrix: MappedMatrix
    converter: GroupConverter

    def read(self, t_s: float, factor: float | torch.Tensor = 1.0) -> DenseRead:
        """The layer ``t_s`` seconds after programming; ``factor`` scales the converter's reference."""
        return DenseRead(self.layer, self.converter.group, self.matrix.read(t_s), self.converter.read(t_s, factor))


@dataclass(frozen=True)
class DenseRead:
    """A layer at one time."""

    layer: DenseLayer
    group: ColumnGroup
    matrix: MatrixRead
    conversion: RampConversion | LookUpConverter

    def run(self, counts: torch.Tensor, *, full_scale: int, noise: BlockNoise) -> torch.Tensor:
        """Outputs ``(chips, n, outputs)`` of pulse widths ``counts (chips, n, inputs)``.

        ``full_scale``: the pulse width that drives the bias rows, in clock periods.
        """
        bias = counts.new_full((*counts.shape[:-1], self.layer.bias_rows), float(full_scale))
        convert = self.conversion.linear if isinstance(self.conversion, LookUpConverter) else None
        z, variance = self.matrix.pre_activation(torch.cat([counts, bias], dim=-1), noise.block, convert)
        codes = codes_of(self.conversion, self.group, z, variance, noise)
        return self.group.scatter(self.conversion.values(codes))
