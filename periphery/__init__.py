"""The circuits around an array: drivers, converters, and what each costs."""

from __future__ import annotations

from periphery.adc import ConventionalADC, LookUpConverter
from periphery.converter import RampConversion, RampConverter
from periphery.driver import DRIVERS, AmplitudeDAC, AnyDriver, BitSerial, Driver, DriverRead, PWMDriver
from periphery.functions import SIGMOID, TANH, Function, identity, output_levels, quantised, thresholds
from periphery.functions_library import FUNCTIONS, from_callable, named_function
from periphery.functions_table import from_csv
from periphery.ramp import Comparator, Ramp, RampColumn, RampDesign, RampRead

__all__ = [
    "DRIVERS",
    "FUNCTIONS",
    "SIGMOID",
    "TANH",
    "AmplitudeDAC",
    "AnyDriver",
    "BitSerial",
    "Comparator",
    "ConventionalADC",
    "Driver",
    "DriverRead",
    "Function",
    "LookUpConverter",
    "PWMDriver",
    "Ramp",
    "RampColumn",
    "RampConversion",
    "RampConverter",
    "RampDesign",
    "RampRead",
    "from_callable",
    "from_csv",
    "identity",
    "named_function",
    "output_levels",
    "quantised",
    "thresholds",
]
