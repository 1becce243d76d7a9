"""The circuits around an array: drivers, converters, and what each costs."""

from __future__ import annotations

from periphery.activation import ACTIVATIONS, AnyActivation, Cordic, PiecewiseLinear, Table
from periphery.adc import ConventionalADC, LookUpConverter
from periphery.adc_base import ADC, Bank, BuiltADC
from periphery.adc_grid import Grid
from periphery.adc_kinds import ADCS, CCO, SAR, AnyADC, Flash, LinearRamp, Quantiser, SenseAmp
from periphery.calibration import RangeCalibration, Ranges
from periphery.converter import RampConversion, RampConverter
from periphery.driver import DRIVERS, AmplitudeDAC, AnyDriver, BitSerial, Driver, DriverRead, PWMDriver
from periphery.functions import SIGMOID, TANH, Function, identity, output_levels, quantised, thresholds
from periphery.functions_library import FUNCTIONS, from_callable, named_function
from periphery.functions_table import from_csv
from periphery.lif import LIF, Firing, MembraneCapacitor, Neurons
from periphery.ramp import Comparator, Ramp, RampColumn, RampDesign, RampRead

__all__ = [
    "ACTIVATIONS",
    "ADC",
    "ADCS",
    "CCO",
    "DRIVERS",
    "FUNCTIONS",
    "SAR",
    "SIGMOID",
    "TANH",
    "AmplitudeDAC",
    "AnyADC",
    "AnyActivation",
    "AnyDriver",
    "Bank",
    "BitSerial",
    "BuiltADC",
    "Comparator",
    "ConventionalADC",
    "Cordic",
    "Driver",
    "DriverRead",
    "Flash",
    "Function",
    "Grid",
    "LinearRamp",
    "LookUpConverter",
    "PWMDriver",
    "PiecewiseLinear",
    "Quantiser",
    "Ramp",
    "RampColumn",
    "RampConversion",
    "RampConverter",
    "RampDesign",
    "RampRead",
    "RangeCalibration",
    "Ranges",
    "SenseAmp",
    "Table",
    "from_callable",
    "from_csv",
    "identity",
    "named_function",
    "output_levels",
    "quantised",
    "thresholds",
    "LIF",
    "Firing",
    "MembraneCapacitor",
    "Neurons",
]
