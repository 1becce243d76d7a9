"""What ``import mho`` offers: the names here, and no others, are public.

Editors and type checkers read this file, and ``mho/__init__.py`` reads at run time from where each name comes.
"""

from configs.errors import InputError as InputError
from crossbar import ENCODINGS as ENCODINGS
from crossbar import Array as Array
from crossbar import BitSlices as BitSlices
from crossbar import DifferentialPair as DifferentialPair
from crossbar import Encoding as Encoding
from crossbar import OffsetColumn as OffsetColumn
from crossbar.wires import Wires as Wires
from crossbar.wires import alpha_beta as alpha_beta
from crossbar.wires import effective_conductance as effective_conductance
from crossbar.wires import kappa as kappa
from crossbar.wires import read_variance as read_variance
from crossbar.wires import solve as solve
from devices import CMO as CMO
from devices import DEVICES as DEVICES
from devices import PCM as PCM
from devices import SONOS as SONOS
from devices import AihwkitNoise as AihwkitNoise
from devices import BlockNoise as BlockNoise
from devices import Cells as Cells
from devices import ChipStreams as ChipStreams
from devices import Device as Device
from devices import FormedTaOx as FormedTaOx
from devices import Gaussian as Gaussian
from devices import Ideal as Ideal
from devices import LogNormal as LogNormal
from devices import Measured as Measured
from devices import MiloRRAM as MiloRRAM
from devices import PCMHermes1 as PCMHermes1
from devices import PCMHermes2 as PCMHermes2
from devices import Stream as Stream
from devices import SuperT as SuperT
from devices import TaOx as TaOx
from devices import WanCubic as WanCubic
from devices import WanQuartic as WanQuartic
from devices.effects import EFFECTS as EFFECTS
from devices.effects import ConductanceSpread as ConductanceSpread
from devices.effects import DiscreteLevels as DiscreteLevels
from devices.effects import Effect as Effect
from devices.effects import ProgramVerify as ProgramVerify
from devices.effects import ReadDisturb as ReadDisturb
from devices.effects import Retention as Retention
from devices.effects import Stuck as Stuck
from devices.effects import Temperature as Temperature
from mappings.chip import CellState as CellState
from mappings.chip import Chip as Chip
from mappings.chip import Compensation as Compensation
from mappings.chip import OutputConverter as OutputConverter
from mappings.chip import Weights as Weights
from mappings.chip_wires import NodeWires as NodeWires
from mappings.convert.converted import ConvertedNetwork as ConvertedNetwork
from mappings.convert.training import HardwareTraining as HardwareTraining
from mappings.convert.training import train_for_hardware as train_for_hardware
from mappings.cost import price as price
from mappings.cost import summarise as summarise
from mappings.network.dense import DenseLayer as DenseLayer
from mappings.network.recurrent import RecurrentLayer as RecurrentLayer
from mappings.network.torch_cells import ResetBeforeGRU as ResetBeforeGRU
from mappings.sparse import spgemm as spgemm
from mho.config.read import read
from mho.network.convert import convert as convert
from mho.network.saved import load as load
from mho.network.saved import save as save
from mho.report.run import load_run as load_run
from mho.runner import run as run
from mho.search.command import search
from mho.sweep.command import Resume as Resume
from mho.sweep.command import sweep
from mho.sweep.engines.clusters import Site as Site
from periphery import ACTIVATIONS as ACTIVATIONS
from periphery import ADC as ADC
from periphery import ADCS as ADCS
from periphery import CCO as CCO
from periphery import FUNCTIONS as FUNCTIONS
from periphery import LIF as LIF
from periphery import SAR as SAR
from periphery import SIGMOID as SIGMOID
from periphery import TANH as TANH
from periphery import Bank as Bank
from periphery import Comparator as Comparator
from periphery import ConventionalADC as ConventionalADC
from periphery import Cordic as Cordic
from periphery import Flash as Flash
from periphery import Function as Function
from periphery import Grid as Grid
from periphery import LinearRamp as LinearRamp
from periphery import LookUpTable as LookUpTable
from periphery import MembraneCapacitor as MembraneCapacitor
from periphery import PiecewiseLinear as PiecewiseLinear
from periphery import PWMDriver as PWMDriver
from periphery import Quantiser as Quantiser
from periphery import Ramp as Ramp
from periphery import RampColumn as RampColumn
from periphery import RampConverter as RampConverter
from periphery import RangeCalibration as RangeCalibration
from periphery import SenseAmp as SenseAmp
from periphery import from_callable as from_callable
from periphery import from_csv as from_csv
from periphery import identity as identity
from periphery import named_function as named_function
from periphery.drivers import DRIVERS as DRIVERS
from periphery.drivers import AmplitudeDAC as AmplitudeDAC
from periphery.drivers import BitSerial as BitSerial
from periphery.drivers import Driver as Driver
from periphery.front_end import FRONT_ENDS as FRONT_ENDS
from periphery.front_end import ColumnLoad as ColumnLoad
from periphery.front_end import Integrator as Integrator
from periphery.front_end import Transimpedance as Transimpedance
from periphery.prices.adc import ADC_PRICES as ADC_PRICES
from periphery.prices.adc import adc_price as adc_price
from periphery.prices.component import Component as Component
from periphery.prices.component import load_components as load_components
from periphery.ramp.characterise import Characteristic as Characteristic
from periphery.ramp.characterise import characterise as characterise
from workloads import WORKLOADS as WORKLOADS
from workloads import KeywordSpotting as KeywordSpotting
from workloads import Result as Result
from workloads.network.evaluate import compared as compared
from workloads.network.evaluate import evaluate as evaluate
from workloads.network.exchange.nir_graph import from_nir as from_nir
from workloads.network.exchange.nir_graph import to_nir as to_nir
from workloads.network.exchange.nir_liquid import liquid_of as liquid_of
from workloads.network.exchange.nir_liquid import network_of as network_of
from workloads.network.exchange.onnx_graph import from_onnx as from_onnx

# In a stub, `import read as read_config` is private to type checkers (PEP 484); an assignment is public.
read_config = read
run_search = search
run_sweep = sweep
