"""A fully connected layer on tiles, read by an ordinary linear ramp (or a conventional converter)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from devices import BlockNoise
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, DriftFactors, MappedConverter, range_z
from mappings.matrix import MappedMatrix, WeightMatrix
from mappings.network.actions import DenseShape, dense_actions
from mappings.network.layer import MappedMatrixLayer, MatrixLayer, MatrixLayerRead, StateRead
from mappings.step import StepActivity
from periphery import identity


@dataclass(frozen=True)
class DenseLayer(MatrixLayer):
    """``y = W x + b``; ``limit`` is the output at full scale of the converter, where the chip names none."""

    converts: ClassVar[str] = "the ramp of a dense layer"

    weights: WeightMatrix
    limit: float

    @classmethod
    def from_torch(cls, weight: torch.Tensor, bias: torch.Tensor | None, *, limit: float) -> DenseLayer:
        """From torch's ``weight (outputs, inputs)`` and ``bias (outputs,)``, on the meta device if need be."""
        return cls(WeightMatrix((weight,), bias), limit)

    @property
    def inputs(self) -> int:
        """Values that come in."""
        return self.weights.inputs

    @property
    def outputs(self) -> int:
        """Values that go out."""
        return self.weights.columns

    def on_tiles(self, chip: Chip, name: str, matrix: MappedMatrix, data: Mapping[str, torch.Tensor]) -> MappedDense:
        """The layer with its converters, whose range is given: it follows no data."""
        limit = chip.output.limit or self.limit
        group = ColumnGroup.cut(identity(limit), 0, self.outputs, chip.columns, chip.columns_per_ramp)
        front_end = matrix.front_end(range_z(chip, [(group.function, chip.output.bits)]))
        converter = MappedConverter(
            name="linear ramp",
            group=group,
            chip=chip.as_written.without_data(),
            stream=("output",),
            renewal=(),
            bits=chip.output.bits,
            adc_bits=max(chip.output.bits, chip.adc_bits),
            range_z=limit,
            volts_per_z=front_end.volts_per_z * chip.driver.supply_gain,
        ).following(None)
        return MappedDense(
            layer=self, name=name, chip=chip, matrix=matrix, front_end=front_end, converters=(converter,)
        )


@dataclass(frozen=True, kw_only=True)
class MappedDense(MappedMatrixLayer):
    """Where a dense layer goes; its cells drift like those in front, whose factors its reference follows."""

    @cached_property
    def shape(self) -> DenseShape:
        """What the layer needs on the chip, in the words of the price list."""
        return self.shaped(DenseShape, inputs=self.layer.inputs, outputs=self.layer.outputs)

    def step(self, activity: StepActivity) -> Actions:
        """One product."""
        return dense_actions(self.shape, activity, self.timing)

    def read(self, columns: ColumnsRead, factors: DriftFactors, chips: int, state: StateRead | None) -> DenseRead:
        """So many chips of the layer at one time."""
        return DenseRead(
            columns, tuple(factors.ramp), chips, self.layer.inputs, self.matrix.bias_rows, self.input_words.full_scale
        )


@dataclass(frozen=True)
class DenseRead(MatrixLayerRead):
    """A dense layer at one time; ``top``: clock periods that drive the rows of the bias."""

    in_steps: ClassVar[bool] = False

    bias_rows: int
    top: int

    def answers(self, inputs: torch.Tensor, noise: BlockNoise, activity: Activity | None) -> torch.Tensor:
        """Outputs ``(chips, n, outputs)`` of pulse widths ``inputs ([chips | 1,] n, inputs)`` in clock periods.

        Inputs ``(chips | 1, n, steps, inputs)`` go through the layer step by step, to ``(chips, n, steps, outputs)``.
        """
        if inputs.dim() == 4:
            return torch.stack([self.answers(step, noise, activity) for step in inputs.unbind(2)], dim=2)
        driven = torch.nn.functional.pad(inputs, (0, self.bias_rows), value=float(self.top))
        driven = driven.expand(self.chips, -1, -1)
        (outputs,) = self.columns.values(self.columns.codes(driven, noise, activity))
        if activity is not None:
            activity.samples += outputs[:, : activity.valid, 0].numel()
        return outputs
