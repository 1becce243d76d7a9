"""The chip on which a layer is laid out: cells, drivers, converters and the formats between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Gt, Interval

from crossbar import AnyEncoding, DifferentialPair
from crossbar.wires import Wires
from devices import AnyDevice, Ideal
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.driver import AnyDriver, PWMDriver

Bits = Annotated[int, Interval(ge=2, le=8)]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where weights are stored.

    Parameters
    ----------
    device : the memory cell
    encoding : how a signed weight becomes two conductances
    """

    device: AnyDevice
    encoding: AnyEncoding = DifferentialPair()


@dataclass(frozen=True, kw_only=True)
class CellState:
    """The digital cell state of a recurrent layer: a saturating fixed-point number, and its way back to charge.

    Parameters
    ----------
    bits : width of the stored state, sign included
    limit : largest magnitude that it can hold
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
        before the look-up)
    baseline : what a measurement is compared with: ``noisy``, the same inputs measured right after programming, so that
        programming errors stay; or ``exact``, the products in software, so that a column's mean error goes as well
    vectors : calibration inputs driven through the array, the ramp and the comparators to measure a factor
    recentre : program the ramp's bias cells again at the time of reading, so that its middle is exact once more
    resolution : smallest change of the factor that the clock generator can make [1]; an estimate
    """

    mode: Literal["off", "global", "per_column"] = "off"
    baseline: Literal["noisy", "exact"] = "noisy"
    vectors: Annotated[int, Interval(ge=1, le=4096)] = 64
    recentre: bool = True
    resolution: Annotated[float, Interval(gt=0.0, le=0.25)] = 1.0 / 128.0


@dataclass(frozen=True, kw_only=True)
class Output:
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
        integrator, so the nonlinear conversion sees the whole sum. ``digital``: each tile is converted linearly and the
        words are added before a look-up; a ramp that computes the activation of a partial sum would be wrong, so this
        needs the conventional readout
    wires : resistance of word and bit lines, drivers and sense inputs; none by default
    readout : ``ramp`` (nonlinear ramp) or ``conventional`` (linear converter, then look-up)
    lanes : digital units that work side by side on the cell state and on look-ups
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
    wires: Wires | None = None
    driver: AnyDriver = PWMDriver()
    ramp: RampColumn
    comparator: Comparator = Comparator()
    adc: ConventionalADC = ConventionalADC()
    state: CellState = CellState()
    compensation: Compensation = Compensation()
    output: Output = Output()
    lanes: Annotated[int, Interval(ge=1, le=65536)] = 4

    @property
    def adc_bits(self) -> int:
        """Resolution of the conventional converter."""
        return self.adc.bits or self.bits

    def idealised(self) -> Chip:
        """The same formats and codes on cells and comparators without error: what quantisation alone costs."""
        return replace(
            self,
            weights=replace(self.weights, device=Ideal()),
            ramp=replace(self.ramp, device=Ideal(), capacitor_mismatch=0.0),
            comparator=replace(self.comparator, offset_V=0.0, noise_V=0.0),
            compensation=replace(self.compensation, mode="off"),
            wires=None,
            driver=replace(self.driver, v_read_V=self.driver.v_design_V),
        )
