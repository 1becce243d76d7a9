"""A fully connected layer on tiles, read by an ordinary linear ramp or by one that computes a function of the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import torch

from crossbar import BitSlices
from devices import BlockNoise
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, DriftFactors, MappedConverter, range_z
from mappings.matrix import MappedMatrix, WeightMatrix
from mappings.network.actions import DenseShape, dense_actions
from mappings.network.layer import MappedMatrixLayer, MatrixLayer, MatrixLayerRead, StateRead
from mappings.step import StepActivity
from periphery import Function, identity
from periphery.drivers.bit_serial import BitSerial

BELOW = 1 / 7
"""Part of a range from zero on that is kept below it where a column's offset is taken off behind the converter, so that
an eighth of the codes is left for it; an estimate."""


def ends_z(chip: Chip, function: Function, limit: float) -> tuple[float, float]:
    """Ends of the range of an ordinary converter in front of ``function``.

    ``-limit`` and ``limit``; or, where no output is negative and whole sums are converted, those between which outputs
    differ, so that half of the codes are not spent on sums that a relu makes zero anyway.
    """
    driver, encoding = chip.driver, chip.weights.encoding
    bitwise = isinstance(driver, BitSerial) and driver.digital_accumulation
    sliced = isinstance(encoding, BitSlices) and encoding.combine == "digital" and encoding.slices > 1
    if function.low < 0.0 or not function.rises or chip.partial_sums == "digital" or bitwise or sliced:
        return -limit, limit
    outputs = torch.tensor([function.low, function.high], dtype=torch.float64)
    low, high = function.inverse(outputs).clamp(-limit, limit).tolist()
    if chip.compensation.mode == "affine":
        low = max(low - BELOW * (high - low), -limit)
    return (low, high) if low < high else (-limit, limit)


@dataclass(frozen=True)
class DenseLayer(MatrixLayer):
    """``y = f(W x + b)``.

    ``limit``: sum at full scale of a linear converter, either sign; where there is no function, the chip's own goes
    first; ``function``: computed by a nonlinear ramp at the chip's bits, or looked up behind a linear converter; None
    gives the sums at the bits of the chip's output converter; ``measures_drift``: whether the converters measure by how
    much the array has shrunk, where the chip compensates; else they follow the layers in front.
    """

    converts: ClassVar[str] = "the ramp of a dense layer"
    words: ClassVar[tuple[str, ...]] = ("signed", "unsigned")

    weights: WeightMatrix
    limit: float
    function: Function | None = None
    measures_drift: bool = False

    @classmethod
    def from_torch(
        cls,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        limit: float,
        function: Function | None = None,
        measures_drift: bool = False,
        bias_pulse: Literal["full", "shortest"] = "full",
    ) -> DenseLayer:
        """From torch's ``weight (outputs, inputs)`` and ``bias (outputs,)``, on the meta device if need be."""
        return cls(WeightMatrix((weight,), bias, bias_pulse=bias_pulse), limit, function, measures_drift)

    @property
    def inputs(self) -> int:
        """Values that come in."""
        return self.weights.inputs

    @property
    def outputs(self) -> int:
        """Values that go out."""
        return self.weights.columns

    def follows_data(self, chip: Chip) -> bool:
        """Whether ranges or levels of a function's converters are chosen for data on this chip; a plain sum's range is
        given."""
        return chip.follows_data and self.function is not None

    def on_tiles(self, chip: Chip, name: str, matrix: MappedMatrix, data: Mapping[str, torch.Tensor]) -> MappedDense:
        """The layer with its converters."""
        function, limit, bits, adc_bits = self.function, self.limit, chip.bits, chip.adc_bits
        cold = chip.as_written
        if function is None:
            limit, bits = chip.output.limit or limit, chip.output.bits
            function, adc_bits, cold = identity(limit), max(bits, chip.adc_bits), cold.without_data()
        group = ColumnGroup.cut(function, 0, self.outputs, chip.columns, chip.columns_per_ramp)
        front_end = matrix.front_end(range_z(chip, [(function, bits)], limit))
        z = data.get("0")
        converter = MappedConverter(
            name="linear ramp" if self.function is None else f"ramp of {function.name}",
            group=group,
            chip=cold,
            stream=("output",),
            renewal=(),
            bits=bits,
            adc_bits=adc_bits,
            range_z=limit,
            volts_per_z=front_end.volts_per_z * chip.driver.supply_gain,
        ).following(None if z is None else group.gather(z))
        if self.function is not None and chip.readout == "conventional" and chip.adc.calibration is None:
            ends = ends_z(chip, function, limit)
            if ends != (-limit, limit):
                converter = replace(converter, ends_z=ends, range_z=max(abs(end) for end in ends))
        return MappedDense(
            layer=self, name=name, chip=chip, matrix=matrix, front_end=front_end, converters=(converter,)
        )


@dataclass(frozen=True, kw_only=True)
class MappedDense(MappedMatrixLayer):
    """Where a dense layer goes."""

    layer: DenseLayer

    @property
    def measures_drift(self) -> bool:
        """Whether its converters measure by how much the array has shrunk; else they follow the layers in front."""
        return self.layer.measures_drift

    @cached_property
    def shape(self) -> DenseShape:
        """What the layer needs on the chip, in the words of the price list."""
        return self.shaped(DenseShape, inputs=self.layer.inputs, outputs=self.layer.outputs)

    def step(self, activity: StepActivity) -> Actions:
        """One product."""
        return dense_actions(self.shape, activity, self.timing, activation=self.layer.function is not None)

    def read(self, columns: ColumnsRead, factors: DriftFactors, chips: int, state: StateRead | None) -> DenseRead:
        """So many chips of the layer at one time; where columns have offsets, the mean of their factors stands for that
        of their ramp."""
        measured: Sequence[torch.Tensor | float] = factors.ramp
        if factors.offset:
            measured = [column.mean(dim=-1, keepdim=True) for column in factors.column]
        return DenseRead(
            columns, tuple(measured), chips, self.layer.inputs, self.matrix.bias_rows, self.matrix.bias_counts
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
            activity.samples += activity.counted(outputs[..., 0]).numel()
        return outputs
