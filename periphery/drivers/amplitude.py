"""The driver whose voltage is proportional to the input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Interval

from devices import ChipStreams
from periphery.drivers.base import Counts, Driver, DriverRead, full_scale


@dataclass(frozen=True, kw_only=True)
class AmplitudeDAC(Driver):
    """A voltage proportional to the input, for a fixed time; a string of unit elements across V_read a row.

    The level of ``|N| = k`` is ``V_read S_k / S_top`` with ``S_k`` the sum of the first k elements, each ``1 + e xi``:
    its integral nonlinearity has the variance ``e^2 k (1 - k / top)`` [LSB^2] to first order in e.

    Parameters
    ----------
    signed : ``two_phases`` of one polarity each, or ``bipolar`` levels of both signs around the column's virtual ground
    element_mismatch : relative standard deviation e of one unit element [1]
    offset_V : standard deviation over rows of the offset of a row's output buffer, seen while the row is driven [V]; it
    turns its sign with the integrator in two phases, and keeps it where levels are bipolar
    noise_V : standard deviation of a driven row in every phase [V]
    settle_s : time until a level has settled, spent before each integration [s]; an estimate
    pulse_clocks : clock periods of integration in each phase
    """

    amplitude: ClassVar[bool] = True

    kind: Literal["amplitude"] = "amplitude"
    signed: Literal["two_phases", "bipolar"] = "two_phases"
    element_mismatch: Annotated[float, Interval(ge=0.0, le=0.2)] = 0.0
    offset_V: Annotated[float, Ge(0.0)] = 0.0
    noise_V: Annotated[float, Ge(0.0)] = 0.0
    settle_s: Annotated[float, Ge(0.0)] = 2e-9
    pulse_clocks: Annotated[int, Interval(ge=1, le=4096)] = 8

    @property
    def exact(self) -> bool:
        """Whether every level is where it should be."""
        return self.element_mismatch == self.offset_V == self.noise_V == 0.0

    @property
    def phase_clocks(self) -> int:
        """Clock periods of one phase: settling and integration."""
        return math.ceil(self.settle_s / self.t_clk_s - 1e-9) + self.pulse_clocks

    def phases(self, bits: int) -> int:
        """One for both signs if the DAC has levels of both, else two."""
        full_scale(bits)
        return 1 if self.signed == "bipolar" else 2

    def drive_clocks(self, bits: int) -> int:
        """Settling and integration of every phase."""
        return self.phases(bits) * self.phase_clocks

    def count_clocks(self, bits: int) -> float:
        """A count is one level of the DAC for the time of integration."""
        return self.pulse_clocks / full_scale(bits)

    def white_clocks(self, bits: int) -> float:
        """Integration of every phase; nothing is integrated while a level settles."""
        return float(self.phases(bits) * self.pulse_clocks)

    @property
    def polarity_turns(self) -> bool:
        """Between the two phases of a DAC with levels of one sign."""
        return self.signed != "bipolar"

    def driven_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """One phase for every input that is not zero."""
        return (counts != 0) * float(self.phase_clocks)

    def charge_counts(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """``|N| / top`` of a whole phase: current flows while the level settles, too."""
        return counts.abs() / full_scale(bits) * float(self.phase_clocks)

    def paired_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """All pairs of one phase, by the product of their voltages."""
        v = counts.double() / full_scale(bits)
        groups = (v,) if self.signed == "bipolar" else (v.clamp(min=0.0), v.clamp(max=0.0))
        pairs = sum((group.sum(-1).square() - group.square().sum(-1) for group in groups), torch.zeros_like(v[..., 0]))
        return pairs * float(self.phase_clocks)

    def levels_V(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """``|N| / top V_read`` [V]."""
        return counts.abs() * (self.v_read_V / full_scale(bits))

    def build(self, rows: int, bits: int, *, rng: ChipStreams) -> DriverRead:
        """Strings and buffers of every row."""
        top = full_scale(bits)
        per_V = top / self.v_read_V
        if self.element_mismatch == self.offset_V == 0.0:
            return DriverRead(None, self.noise_V * per_V)
        elements = 1.0 + self.element_mismatch * rng.child("dac elements").normal((rows, top))
        sums = elements.double().cumsum(-1)
        levels = torch.nn.functional.pad(sums * (top / sums[..., -1:]), (1, 0))
        offset = self.offset_V * per_V * rng.child("dac offset").normal((rows, 1))
        if self.signed == "bipolar":
            return DriverRead(levels.float(), self.noise_V * per_V, offset[..., 0])
        levels[..., 1:] += offset
        return DriverRead(levels.float(), self.noise_V * per_V)

    def actions(self, bits: int, *, rows: float, pulses: float, clocks: float) -> Counts:
        """Every driven row's DAC switches its elements once, and its buffer holds the line."""
        return {
            "amplitude_dac": {"convert_unit": pulses * 2 ** (bits - 1)},
            "line_buffer": {"hold": pulses},
            "register": {"write_bit": rows * bits},
        }

    def instances(self, bits: int, *, rows: float) -> Mapping[str, float]:
        """Unit elements, a buffer and the stored input of each row."""
        return {"amplitude_dac": rows * 2 ** (bits - 1), "line_buffer": rows, "register": rows * bits}
