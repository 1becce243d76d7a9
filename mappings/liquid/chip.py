"""The chip of a liquid: cells that make random weights, their arrays, the read path, and the circuits around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from devices import AnyDevice, FormedTaOx, InputError
from mappings.liquid.step import Wiring
from mappings.tile import Tile, TileGrid
from periphery.front_end import AnyFrontEnd, Integrator, Transimpedance
from periphery.supply import AnyReadSupply, Regulated

US = 1e6
"""Microsiemens of one siemens."""
MEMBRANE = Integrator(
    division=8.0, swing_V=0.45, capacitor="stacked_mim", noise_share=0.04, auto_zero_F=5e-12, trim_bits=8
)
"""A bit line's front end whose errors leave a liquid working, at the paper's weights: an estimate."""


@dataclass(frozen=True, kw_only=True)
class LiquidCircuit:
    """Voltages, times and formats of a liquid's circuits; all but the board's conversion are estimates.

    Parameters
    ----------
    node_nm : node of the circuits on the chip [nm]
    v_read_V : voltage across a cell whose word line is active [V]
    t_step_s : time for which the bit lines' currents charge the membranes [s] (``capacitor``)
    t_gap_s : from a step's end to the next step: decide, reset, drive lines of neurons that fired [s] (``capacitor``)
    converters : amplifiers and ADCs that work side by side (``board``)
    t_convert_s : time of one conversion [s] (``board``); the ADS8324 makes 50,000 a second
    readout_bits : bits of a weight of the linear read-out
    lanes : multipliers of the read-out that work side by side
    """

    node_nm: Annotated[float, Interval(ge=7, le=130)] = 40.0
    v_read_V: Annotated[float, Gt(0.0)] = 0.1
    t_step_s: Annotated[float, Gt(0.0)] = 100e-9
    t_gap_s: Annotated[float, Gt(0.0)] = 10e-9
    converters: Annotated[int, Interval(ge=1, le=4096)] = 8
    t_convert_s: Annotated[float, Gt(0.0)] = 20e-6
    readout_bits: Annotated[int, Interval(ge=1, le=32)] = 8
    lanes: Annotated[int, Interval(ge=1, le=65536)] = 4


@dataclass(frozen=True, kw_only=True)
class LiquidChip:
    """Arrays of random resistive cells, and how their bit lines are read.

    Parameters
    ----------
    device : the cells. Formed ones take what breakdown leaves; cells that are written take normal targets, in the
        middle of their range with ``written_sd`` of it as standard deviation, drawn a chip
    pairing : ``neighbours`` or ``pairs`` of bit lines
    read_path : ``board``: every bit line through a transimpedance amplifier and an ADC, differences and neurons in
        logic, as on the paper's board; ``capacitor``: the current difference charges a membrane on the chip
    adc_bits : resolution of the board's ADC (its ADS8324 has 14); None converts exactly
    adc_lines : active word lines, all at the mean conductance, that fill the ADC's range; None sizes it for all lines
        of an array at once, beyond which the code stays at its end
    array_rows, array_columns : cells of one array; a larger reservoir takes several, whose rows are converted apart
    written_sd : standard deviation of written targets, share of the device's range [1]
    front_end : what takes the current of a bit line at a virtual ground and passes copies, each ``1 / division`` of it,
        to the membranes beside it (``capacitor`` alone); its swing is the voltage from a membrane's rest to its
        threshold, its capacitor the membrane; sized for all word lines at once
    read_supply : where the charge through the cells comes from; its ``noise_V`` acts on membranes (``capacitor``) alone
    temperature_K : of the circuit [K]
    circuit : voltages, times and formats of its circuits, by which it is priced
    """

    kind: Literal["liquid"] = "liquid"
    description: str = ""
    source: str = ""
    cite: tuple[str, ...] = ()
    device: AnyDevice = FormedTaOx()
    pairing: Literal["neighbours", "pairs"] = "neighbours"
    read_path: Literal["board", "capacitor"] = "board"
    adc_bits: Annotated[int, Interval(ge=2, le=20)] | None = 14
    adc_lines: Annotated[float, Gt(0.0)] | None = None
    array_rows: Annotated[int, Interval(ge=2, le=65536)] = 512
    array_columns: Annotated[int, Interval(ge=2, le=65536)] = 512
    written_sd: Annotated[float, Interval(gt=0.0, le=0.5)] = 0.15
    front_end: AnyFrontEnd = MEMBRANE
    read_supply: AnyReadSupply = Regulated()
    temperature_K: Annotated[float, Interval(gt=0.0, le=1000.0)] = 300.0
    circuit: LiquidCircuit = LiquidCircuit()

    def __post_init__(self) -> None:
        try:
            self.device.check_voltage(self.circuit.v_read_V)
        except InputError as error:
            raise ValueError(f"circuit.v_read_V: {self.device.kind}: {error}") from None
        try:
            self.read_supply.draw_V(self.circuit.v_read_V, self.circuit.node_nm)
        except InputError as error:
            raise ValueError(f"circuit.{error}") from None
        moves_V = self.read_supply.noise_V
        if self.read_path == "board" and moves_V not in (0.0, type(self.read_supply).noise_V):
            raise ValueError(
                f"read_supply.noise_V: acts on read_path: capacitor alone, state it beside that (got {moves_V:g})"
            )
        circuit = self.front_end
        unfit = isinstance(circuit, Transimpedance) or (isinstance(circuit, Integrator) and circuit.division is None)
        if self.read_path == "capacitor" and unfit:
            raise ValueError(
                "front_end: an integrator with a division: its capacitor is the membrane, which weights and threshold "
                "set"
            )

    @property
    def tile(self) -> Tile:
        """One array; its columns are the neurons that its bit lines serve."""
        served = self.array_columns - 1 if self.pairing == "neighbours" else self.array_columns // 2
        bits = self.adc_bits if self.read_path == "board" else None
        return Tile(rows=self.array_rows, columns=served, device=self.device, adc_bits=bits)

    @property
    def cell_sd_S(self) -> float:
        """Standard deviation of the conductances that make weights; unformed cells not among them [S]."""
        if isinstance(self.device, FormedTaOx):
            return self.device.formed_sd_S
        return self.written_sd * (self.device.g_max_S - self.device.g_min_S)

    @property
    def design_mean_uS(self) -> float:
        """Mean conductance for which the converter is sized, that of a working cell, in whole 2^-12 uS [uS]."""
        if isinstance(self.device, FormedTaOx):
            share = self.device.formed_share
            mean_S = share * self.device.formed_S + (1.0 - share) * self.device.unformed_S
        else:
            mean_S = 0.5 * (self.device.g_min_S + self.device.g_max_S)
        return max(1.0, round(mean_S * US * 4096.0)) / 4096.0


@dataclass(frozen=True)
class LiquidShape:
    """The arrays that ``rows`` word lines and ``neurons`` take on a chip."""

    rows: int
    neurons: int
    chip: LiquidChip

    @property
    def grid(self) -> TileGrid:
        """Arrays above each other and side by side, and the share of them that holds weights."""
        return self.chip.tile.grid(self.rows, self.neurons)

    @property
    def row_edges(self) -> NDArray[np.int64]:
        """First word line of every row of arrays, and their end."""
        return np.append(np.arange(0, self.rows, self.chip.array_rows), self.rows).astype(np.int64)

    @property
    def wiring(self) -> Wiring:
        """How bit lines become neurons; neighbours never belong to two arrays."""
        n = self.neurons
        if self.chip.pairing == "pairs":
            return Wiring(n, 2 * n, np.array([[0, n, n, 0]], np.int64))
        width = self.chip.tile.columns
        segments = [[lo, min(lo + width, n), part + 1, part] for part, lo in enumerate(range(0, n, width))]
        return Wiring(n, n + len(segments), np.array(segments, np.int64))

    @property
    def columns(self) -> int:
        """Bit lines of all arrays side by side."""
        return self.wiring.columns
