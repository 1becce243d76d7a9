"""The circuits around an array: drivers, converters, and what each costs."""

from __future__ import annotations

from periphery.adc.activation import ACTIVATIONS, AnyActivation, Cordic, LookUpTable, PiecewiseLinear
from periphery.adc.base import ADC, Bank, BuiltADC
from periphery.adc.calibration import RangeCalibration, Ranges
from periphery.adc.chain import ConventionalADC, LookUpConverter
from periphery.adc.grid import Grid
from periphery.adc.kinds import ADCS, CCO, SAR, AnyADC, Flash, LinearRamp, Quantiser, SenseAmp
from periphery.drivers import DRIVERS, AmplitudeDAC, AnyDriver, BitSerial, Driver, DriverRead, PWMDriver
from periphery.functions.function import SIGMOID, TANH, Function, identity, output_levels, quantised, thresholds
from periphery.functions.library import FUNCTIONS, from_callable, named_function
from periphery.functions.table import from_csv
from periphery.neurons.lif import LIF, Firing, MembraneCapacitor, Neurons
from periphery.ramp.cells import Ramp
from periphery.ramp.comparator import Comparator
from periphery.ramp.converter import RampConversion, RampConverter
from periphery.ramp.design import RampColumn, RampDesign
from periphery.ramp.read import RampRead

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
    "LookUpTable",
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
