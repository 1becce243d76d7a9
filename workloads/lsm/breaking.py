"""Where a liquid breaks: one quantity of the chip or its read-out at a time, until accuracy has lost five points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from annotated_types import Len

from configs.errors import InputError
from devices.effects import Retention, Stuck
from devices.taox_formed import FormedTaOx
from mappings.liquid.liquid import Liquid
from workloads.lsm.readout import AnyReadout

LOSS = 0.05
TEN_YEARS_S = 10 * 365 * 86400.0
What = Literal[
    "read_noise",
    "threshold_spread",
    "readout_bits",
    "adc_bits",
    "stuck_cells",
    "stuck_later",
    "retention",
    "time",
    "neurons",
    "forming_voltage",
    "gain",
    "threshold",
]


@dataclass(frozen=True)
class OperatingPoint:
    """One setting: the ``chip`` on which the ``readout`` is trained right after forming, and as what it is tested.

    ``later``: the same chip at the test, where something else is true of it by then; ``t_s``: seconds after forming.
    """

    chip: Liquid
    readout: AnyReadout
    later: Liquid | None = None
    t_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Swept:
    """One quantity that can be swept.

    ``column``: its name in the table, unit included; ``text``: what it is; ``of``: its value as configured, None where
    the chip has no such thing; ``at``: the setting with another value; ``log``: drawn and interpolated on a logarithmic
    axis; ``chosen``: a user chooses it, so its accuracy on validation recordings is given as well.
    """

    column: str
    text: str
    of: Callable[[OperatingPoint], float | None]
    at: Callable[[OperatingPoint, float], OperatingPoint]
    log: bool = False
    whole: bool = False
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class ParameterSweep:
    """One quantity and its values.

    Parameters
    ----------
    what : the quantity. ``threshold_spread`` is relative to the threshold, ``stuck_cells`` and ``stuck_later`` are
        shares of cells at 0 S, before and after the read-out was trained, ``retention`` is the mean share of its
        conductance that a cell has lost after ten years, ``time`` is in seconds
    values : in SI units (``gain`` in 1/uS); the configured value is added
    """

    what: What
    values: Annotated[tuple[float, ...], Len(1, 1000)]


def _chip(point: OperatingPoint, **changes: Any) -> OperatingPoint:
    return replace(point, chip=replace(point.chip, **changes))


def _device(point: OperatingPoint, **changes: Any) -> OperatingPoint:
    return _chip(point, device=replace(point.chip.device, **changes))


def _neuron(point: OperatingPoint, **changes: Any) -> OperatingPoint:
    return _chip(point, neuron=replace(point.chip.neuron, **changes))


def _lost(point: OperatingPoint, share: float) -> OperatingPoint:
    """Cells relax toward 0 S, each at its own pace, in proportion to the logarithm of time."""
    device, chip = point.chip.device, point.chip
    how = Retention(law="log", rest_S=0.0, per_decade=share / math.log10(1.0 + TEN_YEARS_S), source="swept")
    aged = replace(chip, device=device.with_effect(how))
    return replace(point, later=aged, t_s=TEN_YEARS_S)


def _stuck_share(point: OperatingPoint) -> float:
    return next((effect.off_rate for effect in point.chip.device.effects if isinstance(effect, Stuck)), 0.0)


def _stuck(point: OperatingPoint, share: float) -> OperatingPoint:
    device = point.chip.device
    others = tuple(effect for effect in device.effects if not isinstance(effect, Stuck))
    stuck = replace(device, effects=others).with_effect(Stuck(off_rate=share))
    return replace(point, chip=replace(point.chip, device=stuck))


def _formed(point: OperatingPoint) -> float | None:
    device = point.chip.device
    return device.forming_V if isinstance(device, FormedTaOx) else None


SWEPT: dict[What, Swept] = {
    "read_noise": Swept(
        column="read_noise_S",
        text="standard deviation of the noise of one cell in one read",
        of=lambda p: p.chip.device.read_noise_S,
        at=lambda p, value: _device(p, read_noise_S=value),
        log=True,
    ),
    "threshold_spread": Swept(
        column="threshold_spread",
        text="standard deviation of the neurons' thresholds over a chip, relative to the threshold",
        of=lambda p: p.chip.neuron.threshold_sigma / p.chip.neuron.threshold,
        at=lambda p, value: _neuron(p, threshold_sigma=value * p.chip.neuron.threshold),
    ),
    "readout_bits": Swept(
        column="readout_bits",
        text="bits of a read-out weight, sign included",
        of=lambda p: None if p.readout.bits is None else float(p.readout.bits),
        at=lambda p, value: replace(p, readout=replace(p.readout, bits=int(value))),
        whole=True,
    ),
    "adc_bits": Swept(
        column="adc_bits",
        text="bits of the converter behind every bit line",
        of=lambda p: None if p.chip.adc_bits is None or p.chip.read_path != "board" else float(p.chip.adc_bits),
        at=lambda p, value: _chip(p, adc_bits=int(value)),
        whole=True,
    ),
    "stuck_cells": Swept(
        column="stuck_share",
        text="share of cells that stay at 0 S already when the read-out is trained",
        of=_stuck_share,
        at=_stuck,
    ),
    "stuck_later": Swept(
        column="stuck_later_share",
        text="share of cells that fail to 0 S after the read-out was trained",
        of=_stuck_share,
        at=lambda p, value: replace(p, later=_stuck(p, value).chip),
    ),
    "retention": Swept(
        column="lost_share",
        text="mean share of its conductance that a cell has lost ten years after the read-out was trained",
        of=lambda p: 0.0,
        at=_lost,
    ),
    "time": Swept(
        column="time_s",
        text="time since the read-out was trained, under the device's own drift and slow noise",
        of=lambda p: 0.0,
        at=lambda p, value: replace(p, t_s=value),
        log=True,
    ),
    "neurons": Swept(
        column="neurons",
        text="neurons of the liquid",
        of=lambda p: float(p.chip.neurons),
        at=lambda p, value: _chip(p, neurons=int(value)),
        log=True,
        whole=True,
        chosen=True,
    ),
    "forming_voltage": Swept(
        column="forming_V",
        text="voltage at which the array is formed: below 3.9 V cells stay open and the weights become sparse",
        of=_formed,
        at=lambda p, value: _device(p, forming_V=value),
    ),
    "gain": Swept(
        column="gain_per_uS",
        text="membrane input for one microsiemens of an active weight",
        of=lambda p: p.chip.gain_per_uS,
        at=lambda p, value: _chip(p, gain_per_uS=value),
        log=True,
        chosen=True,
    ),
    "threshold": Swept(
        column="threshold",
        text="threshold of the neurons",
        of=lambda p: p.chip.neuron.threshold,
        at=lambda p, value: _neuron(p, threshold=value),
        log=True,
        chosen=True,
    ),
}


def points(sweep: ParameterSweep, start: OperatingPoint) -> tuple[float, list[tuple[float, OperatingPoint]]]:
    """The configured value, and all values in rising order with their settings.

    Raises ``InputError`` for a quantity that the chip does not have, and for values that it cannot take.
    """
    swept = SWEPT[sweep.what]
    configured = swept.of(start)
    if configured is None:
        raise InputError(f"sweeps: {sweep.what}: the configured chip or read-out has none to sweep")
    found: list[tuple[float, OperatingPoint]] = []
    for value in sorted({configured, *sweep.values}):
        if value < 0.0 or (swept.whole and value != int(value)):
            kind = "whole numbers" if swept.whole else "numbers"
            raise InputError(f"sweeps: {sweep.what}: allowed are {kind} from 0 (got {value:g})")
        try:
            found.append((value, start if value == configured else swept.at(start, value)))
        except ValueError as error:
            raise InputError(f"sweeps: {sweep.what}: {value:g}: {error}") from None
    return configured, found
