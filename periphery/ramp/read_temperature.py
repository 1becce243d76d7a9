"""What a changed temperature does to codes: a ramp made of cells beside the weights against a fixed reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from crossbar import Array, DifferentialPair
from devices import ChipStreams, Device
from devices.effects import Temperature
from periphery.functions.function import Function
from periphery.ramp.cells import Ramp
from periphery.ramp.design import RampColumn

# No coefficient of a shipped cell is established: these are estimates of a filamentary oxide, for a sweep that shows
# what a ramp of the same cells cancels (what all states have in common) and what it does not (what each state has).
LAWS = {
    "one activation energy, 0.04 eV": Temperature(activation_off_eV=0.04, activation_on_eV=0.04),
    "from 0.06 eV off to 0.02 eV on": Temperature(
        activation_off_eV=0.06, activation_on_eV=0.02, activation_sd_eV=0.005
    ),
}
ROWS, COLUMNS = 48, 32


@dataclass(frozen=True)
class TemperatureShift:
    """Shift of codes against those at the temperature of programming [LSB]: mean away from zero, and rms."""

    law: str
    readout: str
    temperature_K: float
    mean_shift_lsb: float
    rms_shift_lsb: float


def temperature_sweep(
    weights: Device,
    column: RampColumn,
    function: Function,
    bits: int,
    *,
    temperatures_K: Sequence[float],
    adc_bits: int,
    v_read_V: float,
    inputs: int = 400,
    rng: ChipStreams,
) -> list[TemperatureShift]:
    """Codes of random products on chips that were programmed at one temperature and are read at others.

    Three readouts see the same charges: the ramp as it was programmed, the ramp with its bias cells programmed again at
    the temperature of reading, and a converter of ``adc_bits`` whose reference keeps still. Cells follow the
    ``temperature`` effect of their device; where weights and ramp have none, each of ``LAWS`` in turn.
    """
    own = [_has_temperature(device) for device in (weights, column.device)]
    if any(own) and not all(own):
        raise ValueError("weights and ramp: a temperature effect on one asks for one on the other (got one of two)")
    laws: dict[str, Temperature | None] = {"of the device": None} if all(own) else {**LAWS}
    return [
        shift
        for law, effect in laws.items()
        for shift in _one_law(
            law,
            _with(weights, effect),
            replace(column, device=_with(column.device, effect)),
            function,
            bits,
            temperatures_K,
            adc_bits,
            v_read_V,
            inputs,
            rng,
        )
    ]


def _has_temperature(device: Device) -> bool:
    return any(isinstance(effect, Temperature) for effect in device.effects)


def _with(device: Device, effect: Temperature | None) -> Device:
    return device if effect is None else replace(device, effects=(*device.effects, effect))


def _one_law(
    law: str,
    weights: Device,
    column: RampColumn,
    function: Function,
    bits: int,
    temperatures_K: Sequence[float],
    adc_bits: int,
    v_read_V: float,
    inputs: int,
    rng: ChipStreams,
) -> list[TemperatureShift]:
    first = next(effect for effect in weights.effects if isinstance(effect, Temperature))
    design = column.design(function, bits)
    widest = float(design.theta.abs().max())
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn((ROWS, COLUMNS), generator=draw)
    counts = torch.randint(-15, 16, (1, inputs, ROWS), generator=draw).float()
    array = Array.program(
        matrix,
        device=weights,
        encoding=DifferentialPair(),
        tile_of_column=torch.zeros(COLUMNS, dtype=torch.long),
        rng=rng.child("weights"),
    )
    ramp = Ramp.program(design, ramps=1, rng=rng.child("ramp"))
    per_z = 0.35 * widest / (counts @ matrix).std() / array.encoded.scale_S
    lsb = 2.0 * widest / 2**adc_bits

    def charge(temperature_K: float) -> torch.Tensor:
        hot = replace(array, device=weights.at_K(temperature_K))
        return (hot.read(0.0, v_read_V=v_read_V).product(counts) * per_z).flatten(1).double()

    def fixed(z: torch.Tensor) -> torch.Tensor:
        return torch.floor(z / lsb + 0.5).clamp(-(2.0 ** (adc_bits - 1)), 2.0 ** (adc_bits - 1) - 1)

    def looked_up(levels: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.searchsorted(levels[:, 0].contiguous(), z.contiguous(), right=True).double()

    start = charge(first.programmed_K)
    before = {"ramp": looked_up(ramp.at_K(first.programmed_K).read(0.0).thresholds(), start), "fixed": fixed(start)}
    shifts = []
    for temperature_K in temperatures_K:
        now = charge(temperature_K)
        there = ramp.at_K(temperature_K)
        again = there.recentred(0.0, rng.child("recentred", float(temperature_K).hex()))
        for readout, codes, was in (
            ("ramp", looked_up(there.read(0.0).thresholds(), now), before["ramp"]),
            ("ramp, bias cells programmed again", looked_up(again.read(0.0).thresholds(), now), before["ramp"]),
            ("fixed reference", fixed(now), before["fixed"]),
        ):
            moved = codes - was
            away = float((torch.sign(start) * moved).mean())
            shifts.append(TemperatureShift(law, readout, temperature_K, away, float(moved.square().mean().sqrt())))
    return shifts
