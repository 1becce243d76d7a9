"""Word-line drivers: a signed digital input becomes charge, by the width, the height or the number of pulses.

An n-bit signed input is ``N = -(2^(n-1) - 1) .. 2^(n-1) - 1``; the code ``-2^(n-1)`` is not used, so that both signs
reach as far. All drivers put ``sum_i N_i G_ij`` on a column; they differ in time, in noise and in loss:

- **pulse width** (``pwm``): ``|N|`` clock periods at V_read. Both signs use the same cells, so a product takes two
  phases, positive inputs first, then negative ones with the integrator's polarity turned; inputs that are never
  negative may take one phase of ``N = 0 .. 2^n - 1`` (``unsigned: one_phase``);
- **amplitude** (``amplitude``): ``|N| / top V_read`` for a fixed time, from a DAC a row;
- **bit-serial** (``bit_serial``): one bit at a time at V_read, weighted by two to its place on the way to the
  converter (charge) or behind it (digital).

``DRIVERS`` is the list of all kinds.
"""

from __future__ import annotations

from typing import Annotated

from devices.kinds import OneOf
from periphery.drivers.amplitude import AmplitudeDAC
from periphery.drivers.base import Driver, DriverRead, full_scale
from periphery.drivers.bit_serial import BitSerial
from periphery.drivers.pwm import PWMDriver, UnsignedPWM

__all__ = [
    "DRIVERS",
    "AmplitudeDAC",
    "AnyDriver",
    "BitSerial",
    "Driver",
    "DriverRead",
    "PWMDriver",
    "UnsignedPWM",
    "full_scale",
]

DRIVERS: dict[str, type[Driver]] = {"pwm": PWMDriver, "amplitude": AmplitudeDAC, "bit_serial": BitSerial}

AnyDriver = Annotated[Driver, OneOf(DRIVERS, usual="pwm")]
