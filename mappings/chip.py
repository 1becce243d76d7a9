"""The chip that a layer is mapped to: cells, drivers, converters and the formats between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from annotated_types import Gt, Interval

from crossbar import AnyEncoding, BitSlices, DifferentialPair
from crossbar.array import why_not_folded
from crossbar.encoding import RelativeWeights
from crossbar.wires import Wires
from devices import AnyDevice, ChipStreams, Device, Ideal, InputError, Stream
from devices.effects import Stuck, Temperature
from mappings.chip_wires import AnyWires, NodeWires, OhmWires
from mappings.contract import WordFormat
from mappings.tile import Tile
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.adc.kinds import Quantiser
from periphery.drivers import AmplitudeDAC, AnyDriver, PWMDriver
from periphery.front_end import (
    AnyFrontEnd,
    ColumnLoad,
    FrontEnd,
    FrontEndDesign,
    IdealFrontEnd,
    Integrator,
    Transimpedance,
)
from periphery.prices.cells import with_cells
from periphery.prices.component import Component, load_components
from periphery.prices.leakage import Library, leakage_libraries, with_library
from periphery.supply import AnyReadSupply, Regulated

DRIVER_ERRORS = ("edge_jitter_s", "element_mismatch", "offset_V", "noise_V")

ROOM_K = 300.0
SWING_V = 0.5  # of a front end that states none
MOST_SUPPLY_NOISE = 0.2  # standard deviation of the read voltage over the voltage

Bits = Annotated[int, Interval(ge=2, le=8)]
ROUNDS = 2  # of a calibration: the second removes what the first left in the codes
SAMPLES = 1024
INPUT_SIZE = 0.25
"""Mean size of an input over full scale for which front ends are sized; an estimate."""
WEIGHT_SIZE = 0.2
"""Mean size of a weight over the largest one of its tile for which front ends are sized; an estimate: the largest of
some 20,000 normally distributed weights is 4 standard deviations."""


def of_ramp(error: InputError) -> InputError:
    """What is wrong with the front end of a ramp, under its name; the driver is that of the whole chip."""
    return InputError(f"ramp_{one}" if one.startswith("front_end.") else one for one in error.problems)


def normal_quantiles(size: float) -> torch.Tensor:
    """Quantiles of a normal distribution of mean size ``size``, clipped to [-1, 1]."""
    share = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
    return (torch.erfinv(2.0 * share - 1.0) * (math.sqrt(math.pi) * size)).clamp(-1.0, 1.0).float()


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where weights are stored.

    Parameters
    ----------
    device : the memory cell
    encoding : how a signed weight becomes conductances
    stuck_maps : by name of a layer, the file that maps its cells that do not work (see the effect ``stuck``)
    write_rows, write_columns : cells of an array that are written at once, for the time that writing takes, where the
        device has the effect ``program_verify``; an estimate
    """

    device: AnyDevice
    encoding: AnyEncoding = DifferentialPair()
    stuck_maps: dict[str, str] = field(default_factory=dict, hash=False)
    write_rows: Annotated[int, Interval(ge=1, le=65536)] = 1
    write_columns: Annotated[int, Interval(ge=1, le=65536)] = 64

    def of_layer(self, layer: str) -> Weights:
        """The same with the mapped defects of one layer among the effects of its cells."""
        if layer not in self.stuck_maps:
            return self
        return replace(self, device=self.device.with_effect(Stuck(map_file=self.stuck_maps[layer])))

    def error(self) -> float:
        """Standard deviation of a stored weight over the largest one, programming and one read together [1].

        The mean over normally distributed weights of the usual size, from cells that are drawn once.
        """
        levels, one = normal_quantiles(WEIGHT_SIZE)[:, None], torch.zeros(1, dtype=torch.long)
        encoded = self.encoding.lay(RelativeWeights(levels, torch.ones(1), one), self.device)
        cells = self.device.program(encoded.target_S[None], rng=ChipStreams.of(Stream.root(0).child("error"), 8))
        now_S = self.device.conductance_S(cells, 0.0)
        weight = torch.tensor(encoded.significance)[:, None, None]
        errors_S = ((now_S - encoded.target_S) * weight)[..., :1].sum(1)
        reads_S2 = (self.device.read_sigma_S(now_S, cells) * weight)[..., :1].square().sum(1)
        return float((errors_S.square() + reads_S2).mean().sqrt() / encoded.scale_S[0])


@dataclass(frozen=True, kw_only=True)
class CellState:
    """The digital cell state of a recurrent layer: a saturating fixed-point number, and its way back to charge.

    Parameters
    ----------
    bits : width of the stored state, sign included
    limit : largest magnitude that can be stored
    drive_limit : magnitude that takes the longest pulse when the state is driven into the second ramp's columns
    """

    bits: Annotated[int, Interval(ge=4, le=16)] = 10
    limit: Annotated[float, Gt(0.0)] = 4.0
    drive_limit: Annotated[float, Gt(0.0)] = 2.0


@dataclass(frozen=True, kw_only=True)
class Compensation:
    """Drift compensation, acting before the comparator: scaling after a nonlinear conversion would be wrong.

    Parameters
    ----------
    mode : ``off``; ``global``: one factor a ramp scales its clock (a conventional converter's reference);
        ``per_column``: on top of that, every column's integrator is trimmed (a conventional converter's word is scaled
        before the look-up); ``affine``: a factor and an offset for every column instead, fitted to the layer's own
        inputs, as the statistics of a batch normalisation can be measured on the chip (Joshi et al., Nat. Commun. 11,
        2473 (2020), doi 10.1038/s41467-020-16108-9): for layers of a converted network alone
    baseline : what a measurement is compared with: ``noisy``, the same inputs measured right after programming, so that
        programming errors stay; or ``exact``, the products in software, so that a column's mean error goes as well
    vectors : calibration inputs driven through the array, the ramp and the comparators to measure a factor
    recentre : program the ramp's bias cells again at the time of reading, so that its middle is exact once more
    resolution : smallest change of the factor that the clock generator can make [1]; an estimate
    every_s : time between two calibrations, over which their energy is spread [s]; an estimate
    trim_um2 : layout area of one bit of a column's analog trim, its capacitor and switch [um2]; an estimate
    """

    mode: Literal["off", "global", "per_column", "affine"] = "off"
    baseline: Literal["noisy", "exact"] = "noisy"
    vectors: Annotated[int, Interval(ge=1, le=4096)] = 64
    recentre: bool = True
    resolution: Annotated[float, Interval(gt=0.0, le=0.25)] = 1.0 / 128.0
    every_s: Annotated[float, Gt(0.0)] = 3600.0
    trim_um2: Annotated[float, Gt(0.0)] = 3.0

    @property
    def products(self) -> int:
        """Products of one calibration, right after programming apart: every round drives all vectors."""
        rounds = {"off": 0, "global": ROUNDS, "per_column": ROUNDS + 1, "affine": ROUNDS + 1}[self.mode]
        return rounds * self.vectors

    @property
    def trim_bits(self) -> int:
        """Bits of a column's trims: those of its factor and offset where columns have them, else none."""
        return {"per_column": 1, "affine": 2}.get(self.mode, 0) * self.factor_bits

    @property
    def factor_bits(self) -> int:
        """Bits in which a factor is kept, up to twice the design."""
        return math.ceil(math.log2(2.0 / self.resolution))


@dataclass(frozen=True, kw_only=True)
class OutputConverter:
    """Conversion of the output layer: an ordinary linear ramp.

    Parameters
    ----------
    bits : resolution
    limit : output at full scale, either sign; None calibrates it on the training data (largest absolute output)
    """

    bits: Bits = 8
    limit: Annotated[float, Gt(0.0)] | None = None


@dataclass(frozen=True, kw_only=True)
class Chip:
    """Everything about the hardware that a layer is mapped to.

    Parameters
    ----------
    node_nm : technology node for which prices are scaled [nm]
    bits : resolution of inputs and outputs of a layer (sign included for inputs)
    bias : ``row`` adds word lines that are always driven; ``none`` drops the bias
    rows, columns : most word lines and most weight columns (bit-line pairs) of one tile
    partial_sums : how a layer with more rows than one tile is summed. ``charge``: the tiles of one column share an
        integrator, so the nonlinear conversion acts on the whole sum. ``digital``: each tile is converted linearly and
        the words are added before a look-up; a ramp that computes the activation of a partial sum would be wrong, so
        this needs the conventional readout
    wires : resistance and capacitance of word and bit lines, drivers and sense inputs, in ohms or by technology node;
        null (an idealisation that reports mark) by default
    front_end : what integrates a column's current and holds it for the converter
    ramp_front_end : the same for ramps and for cell states that come back as charge, whose polarity does not turn: they
        keep their offset on a capacitor; their swing is that of the columns
    read_supply : where the charge through the cells comes from
    readout : ``ramp`` (nonlinear ramp) or ``conventional`` (linear converter, then look-up)
    lanes : digital units that work side by side on the cell state and on look-ups
    leakage_library : standard cells of which the digital part is made, for its leakage alone; energy, delay and area
        stay those of ``node_nm``
    rounding : ``codes``; or ``none`` (an idealisation, for checking a conversion): inputs, states and outputs are
        neither rounded nor clipped, and front ends and converters are ideal; such a chip has no cost
    temperature_K : temperature of the whole chip while it is read: ``temperature`` effects of its cells and the
        comparators take it, so that it need be said once; None takes that of the effects, else 300 [K]
    """

    description: str = ""
    source: str = ""
    cite: tuple[str, ...] = ()
    node_nm: Annotated[float, Interval(ge=7, le=130)] = 16.0
    bits: Bits = 5
    bias: Literal["row", "none"] = "row"
    rows: Annotated[int, Interval(ge=2, le=65536)] = 512
    columns: Annotated[int, Interval(ge=2, le=65536)] = 512
    partial_sums: Literal["charge", "digital"] = "charge"
    readout: Literal["ramp", "conventional"] = "ramp"
    weights: Weights
    wires: AnyWires | None = None
    driver: AnyDriver = PWMDriver()
    ramp: RampColumn
    front_end: AnyFrontEnd = Integrator()
    ramp_front_end: AnyFrontEnd = Integrator(division=8.0, mirror_um2=0.5, auto_zero_F=100e-15)
    read_supply: AnyReadSupply = Regulated()
    comparator: Comparator = Comparator()
    adc: ConventionalADC = ConventionalADC()
    state: CellState = CellState()
    compensation: Compensation = Compensation()
    output: OutputConverter = OutputConverter()
    lanes: Annotated[int, Interval(ge=1, le=65536)] = 4
    leakage_library: Library = "aladdin"
    rounding: Literal["codes", "none"] = "codes"
    temperature_K: Annotated[float, Gt(0.0)] | None = None

    def __post_init__(self) -> None:
        """Refuse what only ramps have on a chip without, and bring all parts to one temperature; ValueError where they
        state two."""
        if self.readout == "conventional" and (named := self.comparator.of_ramps):
            raise ValueError(
                f"comparator.{named[0]}: only comparators that watch a ramp have it, and readout: conventional has "
                "none; leave it out, or take readout: ramp"
            )
        if self.rounding == "none" and (self.driver.kind != "pwm" or self.compensation.mode != "off"):
            raise ValueError(
                "rounding: none leaves pulse widths as they are and has no codes by which drift is measured; take "
                f"driver: pwm and compensation.mode: off (got {self.driver.kind} and {self.compensation.mode})"
            )
        if isinstance(self.ramp_front_end, Transimpedance):
            raise ValueError(
                "ramp_front_end.kind: a ramp is charge that adds up, and a transimpedance amplifier keeps none; take "
                "integrator"
            )
        if isinstance(self.front_end, Transimpedance) and not self.driver.amplitude:
            raise ValueError(
                f"front_end.kind: a transimpedance amplifier is sampled at the end of a phase and takes levels, and "
                f"driver {self.driver.kind} gives pulses; take integrator, or driver: amplitude"
            )
        if self.ramp_front_end.swing_V not in (SWING_V, self.front_end.swing_V):
            raise ValueError(
                f"ramp_front_end.swing_V: is that of front_end, {self.front_end.swing_V:g} V, since both are compared "
                f"(got {self.ramp_front_end.swing_V:g}); leave it out"
            )
        stated = {} if self.temperature_K is None else {"temperature_K": self.temperature_K}
        cells = {"weights": self.weights.device, "ramp": self.ramp.device}
        for part, cell in cells.items():
            stated |= {f"{part}.device": e.temperature_K for e in _temperatures(cell) if e.reads_elsewhere}
        if self.comparator.temperature_K != ROOM_K:
            stated["comparator.temperature_K"] = self.comparator.temperature_K
        if not stated:
            return
        (first, kelvin), *others = stated.items()
        for other, value in others:
            if value != kelvin:
                raise ValueError(f"{other}: a chip has one temperature, {kelvin:g} K by {first} (got {value:g} K)")
        for part, cell in cells.items():
            if any(effect.temperature_K != kelvin for effect in _temperatures(cell)):
                object.__setattr__(self, part, replace(getattr(self, part), device=cell.at_K(kelvin)))
        if self.comparator.temperature_K != kelvin:
            object.__setattr__(self, "comparator", replace(self.comparator, temperature_K=kelvin))

    @property
    def read_K(self) -> float:
        """Temperature of the chip while it is read, by ``temperature_K`` or by the effects of its cells [K]."""
        found = [e.temperature_K for cell in self.cells for e in _temperatures(cell)]
        return self.temperature_K or next(iter(found), self.comparator.temperature_K)

    @property
    def tile(self) -> Tile:
        """One array of the chip with the circuits around it."""
        linear = self.readout == "conventional"
        return Tile(
            rows=self.rows,
            columns=self.columns,
            device=self.weights.device,
            encoding=self.weights.encoding,
            driver=self.driver,
            adc=self.adc.converter if linear else None,
            adc_bits=self.adc_bits if linear else None,
            columns_per_adc=self.adc.columns_per_adc if linear else None,
            wires=self.lines,
        )

    def price_list(self) -> dict[str, Component]:
        """Records of all circuits as this chip has them, its ordinary converter apart."""
        kinds = self.weights.device.kind, self.ramp.device.kind
        return dict(_price_list(self.leakage_library, self.read_K, self.node_nm, *kinds))

    def counts(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs ``x``, any shape, in clock periods of the word lines: whole ones within the driver's range, unless
        this chip rounds nothing."""
        if self.rounding == "none":
            return x / self.driver.lsb(self.bits)
        return self.driver.counts(x, self.bits)

    def of_words(self, words: WordFormat) -> Chip:
        """The chip whose word lines take words of this format. Raises InputError where they cannot."""
        driver = replace(self.driver, x_max=words.limit)
        if words.kind == "unsigned" and driver.signed_words:
            driver = driver.unsigned_words()
        return replace(self, bits=words.bits, driver=driver)

    @property
    def adc_bits(self) -> int:
        """Resolution of the conventional converter."""
        return self.adc.bits or self.bits

    @property
    def cells(self) -> tuple[AnyDevice, ...]:
        """The kinds of cells that are read: those of the weights and, where there is a ramp, those of the ramp."""
        return (self.weights.device, self.ramp.device) if self.readout == "ramp" else (self.weights.device,)

    @property
    def cited(self) -> set[str]:
        """Keys of the papers behind the chip, its cells with their effects, and its wires."""
        found = {*self.cite, *self.weights.device.cite, *self.ramp.device.cite}
        found.update(key for cell in self.cells for effect in cell.effects for key in effect.cite)
        return found.union(self.wires.cite) if isinstance(self.wires, NodeWires) else found

    @property
    def lines(self) -> Wires | None:
        """The wires as resistances."""
        return self.wires.lines(self.node_nm) if isinstance(self.wires, OhmWires | NodeWires) else self.wires

    @property
    def of_ramps(self) -> FrontEnd:
        """The front end of ramps and cell states, over the swing of the columns that they are compared with."""
        return replace(self.ramp_front_end, swing_V=self.front_end.swing_V)

    def design_of_ramps(self, load: ColumnLoad) -> FrontEndDesign:
        """The circuit of a ramp or of a cell state; raises InputError with the number that would do."""
        try:
            return self.of_ramps.design(load)
        except InputError as error:
            raise of_ramp(error) from None

    def line_F(self, rows: int) -> float:
        """Capacitance of a bit line with so many cells; none where wires are ideal [F]."""
        return 0.0 if self.lines is None else self.lines.bit_line_F(rows)

    @property
    def drifts(self) -> bool:
        """Whether anything that is read changes with time."""
        return any(cell.drifts for cell in self.cells)

    @property
    def read_supply_noise(self) -> float:
        """Relative standard deviation of the read voltage from a product to its conversion: of both where a ramp or a
        ratiometric converter has the same supply, else of the product alone [1]."""
        if self.rounding == "none":
            return 0.0
        both = self.readout == "ramp" or self.adc.converter.ratiometric
        return math.sqrt(2.0 if both else 1.0) * self.read_supply.noise_V / self.driver.v_read_V

    def of_layer(self, layer: str) -> Chip:
        """The same chip with the mapped defects of one layer."""
        weights = self.weights.of_layer(layer)
        return self if weights is self.weights else replace(self, weights=weights)

    def ramp_moves(self, t_s: float) -> bool:
        """Whether bias cells are programmed again: the ramp's cells have aged, or are read at another temperature."""
        cell, how = self.ramp.device, self.compensation
        moved = (t_s > 0.0 and cell.drifts) or cell.as_written is not cell
        return how.mode != "off" and how.recentre and moved

    @property
    def as_written(self) -> Chip:
        """The same chip at the temperature at which its cells are written."""
        weights, ramp = self.weights.device.as_written, self.ramp.device.as_written
        if weights is self.weights.device and ramp is self.ramp.device:
            return self
        return replace(
            self,
            temperature_K=None,
            weights=replace(self.weights, device=weights),
            ramp=replace(self.ramp, device=ramp),
            comparator=replace(self.comparator, temperature_K=ROOM_K),
        )

    @property
    def columns_per_ramp(self) -> int | None:
        """Columns that one ramp serves at most; None is all of a tile, as it is for ordinary converters."""
        return self.ramp.columns_per_ramp if self.readout == "ramp" else None

    @property
    def follows_data(self) -> bool:
        """Whether a converter's range or levels are chosen for the data of a layer."""
        if self.readout == "ramp":
            return self.ramp.levels == "optimal"
        return self.adc.calibration is not None

    def without_data(self) -> Chip:
        """The same chip with ranges and levels that follow no data, as an output layer has whose range is given."""
        return replace(self, ramp=replace(self.ramp, levels="uniform"), adc=replace(self.adc, calibration=None))

    def unrounded(self) -> Chip:
        """The same cells and formats, with front ends that are ideal where this chip rounds nothing."""
        if self.rounding == "codes":
            return self
        ideal = IdealFrontEnd(swing_V=self.front_end.swing_V)
        return replace(self, front_end=ideal, ramp_front_end=ideal)

    def plain(self) -> Chip:
        """An ideal chip of the same formats: pairs, pulse widths, ramps of ideal cells, whole sums."""
        plain = PWMDriver(x_max=self.driver.x_max)
        return replace(
            self.idealised(),
            weights=Weights(device=Ideal()),
            ramp=RampColumn(device=Ideal(), capacitor_mismatch=0.0),
            readout="ramp",
            partial_sums="charge",
            driver=plain if self.driver.signed_words else plain.unsigned_words(),
        )

    def idealised(self) -> Chip:
        """The same formats and codes on cells and circuits without error: what quantisation alone costs."""
        exact = {name: 0.0 for name in DRIVER_ERRORS if hasattr(self.driver, name)}
        return replace(
            self,
            weights=replace(self.weights, device=Ideal(), stuck_maps={}),
            ramp=self.ramp.idealised(),
            comparator=self.comparator.idealised(),
            front_end=IdealFrontEnd(swing_V=self.front_end.swing_V),
            ramp_front_end=IdealFrontEnd(swing_V=self.front_end.swing_V),
            read_supply=replace(self.read_supply, noise_V=0.0),
            compensation=replace(self.compensation, mode="off"),
            wires=None,
            driver=replace(self.driver, v_read_V=self.driver.v_design_V, **exact),  # type: ignore[arg-type]
            adc=replace(self.adc, converter=Quantiser()),
        )

    def check_layers(self) -> None:
        """Raise InputError, with every reason, where no layer of any size fits this chip."""
        cells, encoding, found = self.weights.device, self.weights.encoding, []
        if not cells.writable:
            found.append(
                f"weights.device: cells of kind {cells.kind} keep what forming left and take no weights: they are for "
                "a liquid; take a device that can be written"
            )
        if self.readout == "ramp":
            if not self.ramp.device.writable:
                found.append(f"ramp.device: cells of kind {self.ramp.device.kind} cannot be written: take another")
            if isinstance(encoding, BitSlices) and encoding.combine == "digital" and encoding.slices > 1:
                found.append(
                    f"weights.encoding.combine: a ramp converts whole sums, not {encoding.slices} slices apart; take "
                    "combine: charge, or readout: conventional"
                )
            if self.driver.digital_accumulation:
                found.append(
                    "driver.accumulation: a ramp converts whole sums, not the bits of an input apart; take "
                    "accumulation: charge, or readout: conventional"
                )
        lines = self.lines
        if lines is not None and (reason := why_not_folded(lines, cells)):
            found.append(f"wires: {reason}")
        for cell in dict.fromkeys(self.cells):
            try:
                cell.check_voltage(self.driver.v_read_V)
            except InputError as error:
                found.append(f"driver.v_read_V: {cell.kind}: {error}")
        try:
            self.read_supply.draw_V(self.driver.v_read_V, self.node_nm)
        except InputError as error:
            found.append(f"driver.{error}")
        if self.read_supply.noise_V > MOST_SUPPLY_NOISE * self.driver.v_read_V:
            found.append(
                f"read_supply.noise_V: at most {MOST_SUPPLY_NOISE:g} of the read voltage, "
                f"{MOST_SUPPLY_NOISE * self.driver.v_read_V:.3g} V (got {self.read_supply.noise_V:g})"
            )
        try:
            leakage_libraries()[self.leakage_library].temperature_factor(self.read_K)
        except InputError as error:
            found += error.problems
        found += self._slow_lines()
        if found:
            raise InputError(found)

    def _slow_lines(self) -> list[str]:
        """Why lines do not settle in the time that the driver leaves them, where they do not."""
        needed_s, line = self.tile.settling_s
        name = "settle_s" if isinstance(self.driver, AmplitudeDAC) else "t_clk_s"
        given_s = getattr(self.driver, name)
        if needed_s <= given_s:
            return []
        return [
            f"driver.{name}: a {line} settles in {needed_s:.3g} s (wires.settle_taus time constants): take at least "
            f"{1.006 * needed_s:.3g}, or smaller tiles (got {given_s:.3g})"
        ]


@lru_cache(maxsize=64)
def _price_list(
    library: Library, temperature_K: float, node_nm: float, weights: str, ramp: str
) -> Mapping[str, Component]:
    """The records of a chip, which many chips of a sweep have in common."""
    records = with_library(load_components(), library, temperature_K)
    return MappingProxyType(with_cells(records, node_nm, weights=weights, ramp=ramp))


def _temperatures(cell: Device) -> list[Temperature]:
    return [effect for effect in cell.effects if isinstance(effect, Temperature)]
