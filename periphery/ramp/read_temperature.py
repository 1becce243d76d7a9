"""What a changed temperature does to codes: a ramp made of cells beside the weights against a fixed reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "0.06 eV in the off state and 0.02 eV in the on state": Temperature(
        activation_off_eV=0.06, activation_on_eV=0.02, activation_sd_eV=0.005
    ),
}
ROWS, COLUMNS, INPUTS = 48, 32, 400


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
    rng: ChipStreams,
) -> list[TemperatureShift]:
    """Codes of random products on chips that were programmed at one temperature and are read at others.

    Three readouts see the same charges: the ramp as it was programmed, the ramp with its bias cells programmed again at
    the temperature of reading, and a converter of ``adc_bits`` whose reference keeps still. Cells follow the
    ``temperature`` effect of their device; where weights and ramp have none, each of ``LAWS`` in turn.
    """
    has = [any(isinstance(effect, Temperature) for effect in device.effects) for device in (weights, column.device)]
    if any(has) and not all(has):
        raise ValueError("weights and ramp: a temperature effect on one asks for one on the other (got one of two)")
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn((ROWS, COLUMNS), generator=draw)
    counts = torch.randint(-15, 16, (1, INPUTS, ROWS), generator=draw).float()
    laws: dict[str, tuple[Temperature, ...]] = {"of the device": ()} if all(has) else {k: (v,) for k, v in LAWS.items()}
    shifts = []
    for law, effects in laws.items():
        cells, steps = (replace(each, effects=(*each.effects, *effects)) for each in (weights, column.device))
        array = Array.program(
            matrix,
            device=cells,
            encoding=DifferentialPair(),
            tile_of_column=torch.zeros(COLUMNS, dtype=torch.long),
            rng=rng.child("weights"),
        )
        design = replace(column, device=steps).design(function, bits)
        widest = float(design.theta.abs().max())
        ramp = Ramp.program(design, ramps=1, rng=rng.child("ramp"))
        per_z = 0.35 * widest / (counts @ matrix).std() / array.encoded.scale_S
        programmed_K = next(effect.programmed_K for effect in cells.effects if isinstance(effect, Temperature))
        reads = {at_K: replace(array, device=cells.at_K(at_K)) for at_K in (programmed_K, *temperatures_K)}
        charge = {
            at_K: (hot.read(0.0, v_read_V=v_read_V).product(counts) * per_z).flatten(1).double()
            for at_K, hot in reads.items()
        }
        fixed = (2.0 * widest / 2**adc_bits, 2.0 ** (adc_bits - 1))
        found = _shifts(charge, ramp, programmed_K, temperatures_K, fixed=fixed, rng=rng)
        shifts += [TemperatureShift(law, *shift) for shift in found]
    return shifts


def _shifts(
    charge: Mapping[float, torch.Tensor],
    ramp: Ramp,
    programmed_K: float,
    temperatures_K: Sequence[float],
    *,
    fixed: tuple[float, float],
    rng: ChipStreams,
) -> list[tuple[str, float, float, float]]:
    """Readout, temperature and shifts of codes, of the ``charge`` at each temperature [z]; ``fixed``: step and half the
    codes of the converter whose reference keeps still."""
    lsb, half = fixed

    def converted(z: torch.Tensor) -> torch.Tensor:
        return torch.floor(z / lsb + 0.5).clamp(-half, half - 1)

    def looked_up(ramp: Ramp, z: torch.Tensor) -> torch.Tensor:
        levels = ramp.read(0.0).thresholds()
        return torch.searchsorted(levels[:, 0].contiguous(), z.contiguous(), right=True).double()

    start = charge[programmed_K]
    before = {"ramp": looked_up(ramp.at_K(programmed_K), start), "fixed": converted(start)}
    shifts = []
    for temperature_K in temperatures_K:
        now = charge[temperature_K]
        there = ramp.at_K(temperature_K)
        again = there.recentred(0.0, rng.child("recentred", float(temperature_K).hex()))
        for readout, codes, was in (
            ("ramp", looked_up(there, now), before["ramp"]),
            ("ramp, bias cells programmed again", looked_up(again, now), before["ramp"]),
            ("fixed reference", converted(now), before["fixed"]),
        ):
            moved = codes - was
            away = float((torch.sign(start) * moved).mean())
            shifts.append((readout, temperature_K, away, float(moved.square().mean().sqrt())))
    return shifts
