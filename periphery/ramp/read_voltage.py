"""What a changed read voltage does to codes: a ramp from the same supply against a converter with a fixed reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from periphery.ramp.read import RampRead


@dataclass(frozen=True)
class CodeShift:
    """Mean shift of codes away from zero against those at the design voltage, root mean square of the shift, and what
    a gain would predict [LSB]."""

    readout: str
    offset_and_noise: bool
    v_read_V: float
    mean_shift_lsb: float
    rms_shift_lsb: float
    predicted_shift_lsb: float


def read_voltage_sweep(
    ramp: RampRead,
    *,
    v_design_V: float,
    v_read_V: Sequence[float],
    swing_V: float,
    offset_V: torch.Tensor,
    noise_V: torch.Tensor,
    adc_bits: int,
    supply: torch.Tensor | None = None,
) -> list[CodeShift]:
    """Codes of inputs across the ramp's range at several read voltages, compared in volts.

    Product and ramp are charge from the same ``V_read``, so both voltages grow with it; comparator ``offset_V`` and
    ``noise_V`` (both ``(chips, inputs)``; zeros to switch them off) and a fixed reference do not. A fixed-reference
    converter of ``adc_bits`` over the same range should shift by the gain: ``z (V / V_design - 1) / LSB``. ``supply``
    (the same shape, or None for 0): relative change of the read voltage from the product to its conversion, which no
    ramp cancels.
    """
    chips, inputs = offset_V.shape
    widest = float(ramp.design.theta.abs().max())
    z = torch.linspace(-0.6 * widest, 0.6 * widest, inputs, dtype=torch.float64).expand(chips, -1)
    volts_per_z = swing_V / (2.0 * widest)
    levels = ramp.thresholds()[:, 0]
    lsb_V = swing_V / 2**adc_bits
    disturbed = bool((offset_V != 0).any() or (noise_V != 0).any())
    away = torch.sign(z)
    driven = z if supply is None else z * (1.0 + supply)

    def ramp_codes(gain: float, z: torch.Tensor = z) -> torch.Tensor:
        seen = z * (volts_per_z * gain) + offset_V + noise_V
        return torch.searchsorted((levels * (volts_per_z * gain)).contiguous(), seen.contiguous(), right=True)

    def adc_codes(gain: float, z: torch.Tensor = z) -> torch.Tensor:
        half = 2 ** (adc_bits - 1)
        seen = z * (volts_per_z * gain) + offset_V + noise_V
        return torch.floor(seen / lsb_V + 0.5).clamp(-half, half - 1)

    shifts = []
    for v in v_read_V:
        gain = v / v_design_V
        predicted = float((z.abs() * volts_per_z * (gain - 1.0) / lsb_V).mean())
        for readout, codes, wanted in (("ramp", ramp_codes, 0.0), ("fixed reference", adc_codes, predicted)):
            moved = (away * (codes(gain, driven) - codes(1.0))).double()
            shifts.append(
                CodeShift(readout, disturbed, v, float(moved.mean()), float(moved.square().mean().sqrt()), wanted)
            )
    return shifts
