"""mho simulates analog in-memory computing: what a network on memristive crossbars computes, and what that costs."""

from mho import rooms as _rooms  # noqa: F401  first of all: it loads the packages that lie beside mho

# isort: split
from crossbar import ENCODINGS, Array, BitSlices, DifferentialPair, Encoding, OffsetColumn
from crossbar.wires import Wires, alpha_beta, effective_conductance, kappa, read_variance, solve
from devices import (
    CMO,
    DEVICES,
    PCM,
    SONOS,
    AihwkitNoise,
    BlockNoise,
    Cells,
    ChipStreams,
    Device,
    FormedTaOx,
    Gaussian,
    Ideal,
    InputError,
    LogNormal,
    Measured,
    MiloRRAM,
    PCMHermes1,
    PCMHermes2,
    Stream,
    TaOx,
    WanCubic,
    WanQuartic,
)
from devices.effects import (
    EFFECTS,
    Effect,
    Levels,
    ProgramVerify,
    ReadDisturb,
    Retention,
    Spread,
    Stuck,
    Temperature,
)
from mappings.chip import CellState, Chip, Compensation, Output, Weights
from mappings.chip_wires import NodeWires
from mappings.dense import DenseLayer
from mappings.recurrent import RecurrentLayer
from mappings.sparse import spgemm
from mho.config import read as read_config
from mho.report import load as load_run
from mho.runner import run
from periphery import SIGMOID, TANH, Comparator, ConventionalADC, Function, PWMDriver, RampColumn, identity
from periphery.component import Component, load_components
from periphery.driver import DRIVERS, AmplitudeDAC, BitSerial, Driver
from workloads import WORKLOADS, KeywordSpotting, Result

__all__ = [
    "AihwkitNoise",
    "AmplitudeDAC",
    "Array",
    "BitSerial",
    "BitSlices",
    "BlockNoise",
    "CMO",
    "CellState",
    "Cells",
    "Chip",
    "ChipStreams",
    "Comparator",
    "Compensation",
    "Component",
    "ConventionalADC",
    "DEVICES",
    "DRIVERS",
    "DenseLayer",
    "Device",
    "DifferentialPair",
    "Driver",
    "EFFECTS",
    "ENCODINGS",
    "Effect",
    "Encoding",
    "FormedTaOx",
    "Function",
    "Gaussian",
    "Ideal",
    "InputError",
    "KeywordSpotting",
    "Levels",
    "LogNormal",
    "Measured",
    "MiloRRAM",
    "NodeWires",
    "OffsetColumn",
    "Output",
    "PCM",
    "PCMHermes1",
    "PCMHermes2",
    "PWMDriver",
    "ProgramVerify",
    "RampColumn",
    "ReadDisturb",
    "RecurrentLayer",
    "Result",
    "Retention",
    "SIGMOID",
    "SONOS",
    "Spread",
    "Stream",
    "Stuck",
    "TANH",
    "TaOx",
    "Temperature",
    "WORKLOADS",
    "WanCubic",
    "WanQuartic",
    "Weights",
    "Wires",
    "alpha_beta",
    "effective_conductance",
    "identity",
    "kappa",
    "load_components",
    "load_run",
    "read_config",
    "read_variance",
    "run",
    "solve",
    "spgemm",
]
