"""All kinds of linear converters: ``ADCS`` is the list, ``AnyADC`` what YAML may hold under ``converter:``.

A new kind is one file with a frozen dataclass and its built form, and one line here; the contract test runs over it.
"""

from __future__ import annotations

from typing import Annotated

from devices.kinds import OneOf
from periphery.adc.base import ADC
from periphery.adc.cco import CCO
from periphery.adc.flash import Flash
from periphery.adc.linear_ramp import LinearRamp
from periphery.adc.quantiser import Quantiser
from periphery.adc.sar import SAR
from periphery.adc.sense_amp import SenseAmp

__all__ = ["ADCS", "CCO", "SAR", "AnyADC", "Flash", "LinearRamp", "Quantiser", "SenseAmp"]

ADCS: dict[str, type[ADC]] = {
    "quantiser": Quantiser,
    "linear_ramp": LinearRamp,
    "sar": SAR,
    "flash": Flash,
    "cco": CCO,
    "sense_amp": SenseAmp,
}

AnyADC = Annotated[ADC, OneOf(ADCS, usual="quantiser")]
