"""What a changed read voltage does to codes: a ramp from the same supply against a converter with a fixed reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from periphery.ramp.read import RampRead


@dataclass(frozen=True)
class CodeShift:
    """Mean shift of codes away from zero against those at the design voltage [LSB], and what a gain would predict."""

    readout: str
    offset_and_noise: bool
    v_read_V: float
    mean_shift_lsb: float
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
) -> list[CodeShift]:
    """Codes of inputs across the ramp's range at several read voltages, compared in volts.

    Product and ramp are charge from the same ``V_read``, so both voltages grow with it; comparator ``offset_V`` and
    ``noise_V`` (both ``(chips, inputs)``; zeros to switch them off) and a fixed reference do not. A fixed-reference
    converter of ``adc_bits`` over the same range should shift by the gain: ``z (V / V_design - 1) / LSB``.
    """
    chips, inputs = offset_V.shape
    widest = float(ramp.design.theta.abs().max())
    z = torch.linspace(-0.6 * widest, 0.6 * widest, inputs, dtype=torch.float64).expand(chips, -1)
    volts_per_z = swing_V / (2.0 * widest)
    levels = ramp.thresholds()[:, 0]
    lsb_V = swing_V / 2**adc_bits
    disturbed = bool((offset_V != 0).any() or (noise_V != 0).any())
    away = torch.sign(z)

    def ramp_codes(gain: float) -> torch.Tensor:
        seen = z * (volts_per_z * gain) + offset_V + noise_V
        return torch.searchsorted((levels * (volts_per_z * gain)).contiguous(), seen.contiguous(), right=True)

    def adc_codes(gain: float) -> torch.Tensor:
        half = 2 ** (adc_bits - 1)
        seen = z * (volts_per_z * gain) + offset_V + noise_V
        return torch.floor(seen / lsb_V + 0.5).clamp(-half, half - 1)

    shifts = []
    for v in v_read_V:
        gain = v / v_design_V
        moved = away * (ramp_codes(gain) - ramp_codes(1.0))
        shifts.append(CodeShift("ramp", disturbed, v, float(moved.double().mean()), 0.0))
        moved = away * (adc_codes(gain) - adc_codes(1.0))
        predicted = float((z.abs() * volts_per_z * (gain - 1.0) / lsb_V).mean())
        shifts.append(CodeShift("fixed reference", disturbed, v, float(moved.mean()), predicted))
    return shifts
