"""mho simulates analog in-memory computing: what a network on memristive crossbars computes, and what that costs."""

from mho import rooms as _rooms  # noqa: F401  first of all: it loads the packages that lie beside mho

# isort: split
from crossbar import Array, DifferentialPair
from devices import DEVICES, PCM, ChipStreams, Device, Gaussian, Ideal, InputError, Stream, TaOx
from mappings.chip import CellState, Chip, Compensation, Output, Weights
from mappings.dense import DenseLayer
from mappings.recurrent import RecurrentLayer
from mappings.sparse import spgemm
from mho.config import read as read_config
from mho.report import load as load_run
from mho.runner import run
from periphery import SIGMOID, TANH, Comparator, ConventionalADC, Function, PWMDriver, RampColumn, identity
from periphery.component import Component, load_components
from workloads import WORKLOADS, KeywordSpotting, Result

__all__ = [
    "DEVICES",
    "PCM",
    "SIGMOID",
    "TANH",
    "WORKLOADS",
    "Array",
    "CellState",
    "Chip",
    "ChipStreams",
    "Comparator",
    "Compensation",
    "Component",
    "ConventionalADC",
    "DenseLayer",
    "Device",
    "DifferentialPair",
    "Function",
    "Gaussian",
    "Ideal",
    "InputError",
    "KeywordSpotting",
    "Output",
    "PWMDriver",
    "RampColumn",
    "RecurrentLayer",
    "Result",
    "Stream",
    "TaOx",
    "Weights",
    "identity",
    "load_components",
    "load_run",
    "read_config",
    "run",
    "spgemm",
]
