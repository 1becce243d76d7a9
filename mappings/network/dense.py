"""A fully connected layer on tiles, read by an ordinary linear ramp (or a conventional converter)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from devices import BlockNoise, ChipStreams
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, Factors, MappedConverter, volts_per_z
from mappings.compensation import followed_factor
from mappings.contract import WordFormat
from mappings.matrix import MappedMatrix, WeightMatrix, check_chip
from mappings.network.actions import DenseShape, dense_actions
from mappings.network.layer import (
    MappedMatrixLayer,
    MatrixLayer,
    MatrixLayerRead,
    ProgrammedMatrixLayer,
    with_inputs,
)
from mappings.step import StepActivity
from periphery import identity


@dataclass(frozen=True)
class DenseLayer(MatrixLayer):
    """``y = W x + b``; ``limit`` is the output at full scale of the converter, where the chip names none."""

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

    def map(
        self,
        chip: Chip,
        *,
        name: str = "layer",
        inputs: WordFormat | None = None,
        calibration: torch.Tensor | None = None,
    ) -> MappedDense:
        """Find the tiles of the layer; its range is given, so ``calibration`` is not used."""
        chip = with_inputs(chip, inputs)
        cold, limit = chip.as_written.without_data(), chip.output.limit or self.limit
        matrix = MappedMatrix.of(self.weights, cold)
        check_chip(chip, matrix.rows, "the ramp of a dense layer")
        group = ColumnGroup.cut(identity(limit), 0, self.outputs, chip.columns, chip.columns_per_ramp)
        converter = MappedConverter(
            name="linear ramp",
            group=group,
            chip=cold,
            stream=("output",),
            renewal=(),
            bits=chip.output.bits,
            adc_bits=max(chip.output.bits, chip.adc_bits),
            range_z=limit,
            volts_per_z=volts_per_z(chip, [(group.function, chip.output.bits)]),
        ).following(None)
        return MappedDense(layer=self, name=name, chip=chip, matrix=matrix, converters=(converter,))


@dataclass(frozen=True, kw_only=True)
class MappedDense(MappedMatrixLayer):
    """Where a dense layer goes."""

    @property
    def shape(self) -> DenseShape:
        """What the layer needs on the chip, in the words of the price list."""
        return self.shaped(DenseShape, inputs=self.layer.inputs, outputs=self.layer.outputs)

    def step(self, activity: StepActivity) -> Actions:
        """One product."""
        return dense_actions(self.shape, activity, self.timing)

    def program(self, *, rng: ChipStreams) -> ProgrammedDense:
        """Write the layer on ``len(rng)`` chips."""
        converters = tuple(converter.build(rng) for converter in self.converters)
        return ProgrammedDense(
            mapped=self, matrix=self.matrix.program(rng=rng.child("weights")), converters=converters, rng=rng
        )


@dataclass(frozen=True, kw_only=True)
class ProgrammedDense(ProgrammedMatrixLayer):
    """A dense layer as written; its cells have drifted like those in front, whose factors its reference follows."""

    def at(self, t_s: float, *, before: Sequence[torch.Tensor | float] = ()) -> DenseRead:
        """The layer ``t_s`` seconds after programming; the mean of ``before`` scales its converter's reference."""
        converters, _ = self.renewed(t_s)
        factors = Factors([followed_factor(before, self.converters[0].group.ramps)])
        matrix = self.matrix.reading(self.mapped.chip).at(t_s)
        columns = ColumnsRead.of(matrix, converters, t_s, factors)
        return DenseRead(
            columns, self.mapped.matrix.bias_rows, self.mapped.input_words, len(self.rng), tuple(factors.ramp)
        )


@dataclass(frozen=True)
class DenseRead(MatrixLayerRead):
    """A dense layer at one time."""

    columns: ColumnsRead
    bias_rows: int
    words: WordFormat
    chips: int
    factors: tuple[torch.Tensor | float, ...]

    def run(self, inputs: torch.Tensor, *, noise: BlockNoise, activity: Activity | None = None) -> torch.Tensor:
        """Outputs ``(chips, n, outputs)`` of pulse widths ``inputs (chips | 1, n, inputs)`` in clock periods.

        Inputs ``(chips | 1, n, steps, inputs)`` go through the layer step by step, to ``(chips, n, steps, outputs)``.
        """
        if inputs.dim() == 4:
            return torch.stack([self.run(step, noise=noise, activity=activity) for step in inputs.unbind(2)], dim=2)
        driven = torch.nn.functional.pad(inputs, (0, self.bias_rows), value=float(self.words.full_scale))
        driven = driven.expand(self.chips, -1, -1)
        (outputs,) = self.columns.values(self.columns.codes(driven, noise, activity))
        if activity is not None:
            activity.samples += outputs[:, : activity.valid, 0].numel()
        return outputs
