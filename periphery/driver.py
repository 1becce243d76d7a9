"""Word-line drivers: a signed digital input becomes charge, by the width, the height or the number of pulses.

An n-bit signed input is ``N = -(2^(n-1) - 1) .. 2^(n-1) - 1``; the code ``-2^(n-1)`` is not used, so that both signs
reach as far. All drivers put ``sum_i N_i G_ij`` on a column; they differ in time, in noise and in loss:

- **pulse width** (``pwm``): ``|N|`` clock periods at V_read. Both signs use the same cells, so a product takes two
  phases, positive inputs first, then negative ones with the integrator's polarity turned;
- **amplitude** (``amplitude``): ``|N| / top V_read`` for a fixed time, from a DAC a row;
- **bit-serial** (``bit_serial``): one bit at a time at V_read, weighted by two to its place on the way to the
  converter (charge) or behind it (digital).

``DRIVERS`` is the list of all kinds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from pydantic import Field

from devices import ChipStreams
from devices.kinds import usual_kind
from periphery.amplitude_dac import AmplitudeDAC
from periphery.bit_serial import BitSerial
from periphery.driver_base import Counts, Driver, DriverRead, full_scale

__all__ = ["DRIVERS", "AmplitudeDAC", "AnyDriver", "BitSerial", "Driver", "DriverRead", "PWMDriver", "full_scale"]


@dataclass(frozen=True, kw_only=True)
class PWMDriver(Driver):
    """Pulse-width driver of the word lines, two phases a product.

    Parameters
    ----------
    edge_jitter_s : standard deviation of one edge of a pulse, both edges independent [s]
    """

    kind: Literal["pwm"] = "pwm"
    signed: Literal["two_phases"] = "two_phases"
    edge_jitter_s: Annotated[float, Ge(0.0)] = 0.0

    @property
    def exact(self) -> bool:
        """Whether edges stand where the clock puts them."""
        return self.edge_jitter_s == 0.0

    def phases(self, bits: int) -> int:
        """Positive inputs, then negative ones."""
        full_scale(bits)
        return 2

    def drive_clocks(self, bits: int) -> int:
        """Two phases of the longest pulse."""
        return 2 * full_scale(bits)

    def driven_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """``|N|``."""
        return counts.abs()

    def build(self, rows: int, bits: int, *, rng: ChipStreams) -> DriverRead:
        """Pulses whose width is off by the jitter of two edges."""
        return DriverRead(sigma=math.sqrt(2.0) * self.edge_jitter_s / self.t_clk_s)

    def actions(self, bits: int, *, rows: float, pulses: float, clocks: float) -> Counts:
        """Every row stores its input; while its pulse lasts, it compares it with the shared counter."""
        return {"pwm_driver": {"compare_bit": clocks * bits, "load_bit": rows * bits}}

    def instances(self, bits: int, *, rows: float) -> Mapping[str, float]:
        """A stored and compared bit for each bit of an input."""
        return {"pwm_driver": rows * bits}


DRIVERS: dict[str, type[Driver]] = {"pwm": PWMDriver, "amplitude": AmplitudeDAC, "bit_serial": BitSerial}

AnyDriver = Annotated[PWMDriver | AmplitudeDAC | BitSerial, Field(discriminator="kind"), usual_kind("pwm")]
