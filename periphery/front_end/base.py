"""What every front end has: supply, swing, an amplifier on each line, a capacitor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from configs.errors import InputError
from periphery.front_end.design import FrontEndDesign, Term
from periphery.front_end.load import ColumnLoad
from periphery.prices.scaling import nominal_supply_V, stillmaker_baas_2017

CapacitorKind = Literal["mim", "stacked_mim", "mom"]

#: Farads per m2. MIM of 130 nm: 2.0 (SkyWater SKY130 PDK, 1.8 to 2.2), two layers of it stacked: 4.0; metal fingers:
#: 1.02 (SKY130 PDK, finger capacitor of 11.5 x 11.7 um with a shield). Taken for all nodes: MIM lies above the circuit
#: and does not shrink.
CAPACITOR_F_PER_M2: dict[CapacitorKind, float] = {"mim": 2.0e-3, "stacked_mim": 4.0e-3, "mom": 1.02e-3}
CAPACITOR_MATCHING_M = 0.01e-6
"""1 % um, IHP SG13G2 model of a MIM capacitor: sigma = 0.01 / sqrt(area in um2); taken alike for metal fingers."""

LENGTH_UM = 0.06
MOST_GM_PER_I = 29.7
"""Weak inversion, 1 / (n U_T) with n = 1.3 at 300 K [1/V]."""


@dataclass(frozen=True, kw_only=True)
class FrontEnd(ABC):
    """What turns the charge of a column into a voltage for the converter.

    Parameters
    ----------
    swing_V : voltage over the converter's range, peak to peak [V]
    supply_V : supply [V]; None is the nominal supply of the node
    headroom_V : part of the supply that the output cannot use, both rails together [V]; an estimate
    virtual_ground_V : voltage of the virtual ground above the lower rail [V]; an estimate
    capacitor : ``mim``, ``stacked_mim`` or ``mom`` (metal fingers); sets area and matching
    gm_per_I : transconductance over current of amplifier and mirror [1/V]: about 10 in strong, 20 in weak inversion
    bias_A : current of all branches of a column together [A]; None is the smallest that keeps the gain lost below
        ``gain_error`` and the amplifier's noise below ``noise_share``
    gain_error : largest share of the charge lost to finite gain and settling, for ``bias_A: null`` [1]
    noise_share : largest standard deviation of the amplifiers' noise over the range, for ``bias_A: null`` [1]
    stages : stages of the amplifier; its gain is ``intrinsic_gain^stages``, its current and area grow with it
    intrinsic_gain : gain of one stage [1]; an estimate for a cascode of short transistors
    pair_um2 : gate area of one device of the input pair, at least that of a device that carries its current [um2]
    A_VT_Vum : threshold matching of a pair [V um]; None is ``A_VT_law`` of the node, an estimate
    auto_zero_F : capacitor on which an amplifier keeps its own offset, and a conveyor that of its standing current,
        between products [F]: it leaves the offset over ``1 + gain``, and the capacitor's k T / C; None leaves the whole
        offset
    settle_clocks : clock periods after each phase in which the charge of the last pulses arrives
    gamma : noise of the whole amplifier over 4 k T / gm, and of a mirror's device over 4 k T gm [1]; 1 is an estimate
    load_F : capacitance that the amplifier drives beside the line [F]; an estimate
    square_A : current of a square device in moderate inversion, ``2 n mu C_ox U_T^2`` [A]; an estimate
    length_um : gate length of current-carrying devices [um]; None is 0.06, and that of the node where it is longer; an
        estimate
    gate_F_per_um2 : gate capacitance [F/um2]; an estimate, 1.15 nm of equivalent oxide
    layout : layout area over gate area [1]; an estimate
    """

    kind: str
    swing_V: Annotated[float, Gt(0.0)] = 0.5
    supply_V: Annotated[float, Gt(0.0)] | None = None
    headroom_V: Annotated[float, Ge(0.0)] = 0.2
    virtual_ground_V: Annotated[float, Ge(0.0)] = 0.3
    capacitor: CapacitorKind = "mim"
    gm_per_I: Annotated[float, Interval(ge=2.0, le=28.0)] = 16.0
    bias_A: Annotated[float, Interval(gt=0.0, le=1.0)] | None = None
    gain_error: Annotated[float, Interval(gt=0.0, le=0.5)] = 0.01
    noise_share: Annotated[float, Interval(gt=0.0, le=0.5)] = 0.002
    stages: Annotated[int, Interval(ge=1, le=4)] = 2
    intrinsic_gain: Annotated[float, Interval(ge=2.0, le=1000.0)] = 25.0
    pair_um2: Annotated[float, Gt(0.0)] = 0.5
    A_VT_Vum: Annotated[float, Gt(0.0)] | None = None
    auto_zero_F: Annotated[float, Gt(0.0)] | None = None
    settle_clocks: Annotated[int, Interval(ge=1, le=64)] = 1
    gamma: Annotated[float, Gt(0.0)] = 1.0
    load_F: Annotated[float, Gt(0.0)] = 10e-15
    square_A: Annotated[float, Gt(0.0)] = 0.6e-6
    length_um: Annotated[float, Gt(0.0)] | None = None
    gate_F_per_um2: Annotated[float, Ge(0.0)] = 30e-15
    layout: Annotated[float, Interval(ge=1.0, le=20.0)] = 3.0

    def design(self, load: ColumnLoad, near_A: float | None = None) -> FrontEndDesign:
        """The circuit for one column; raises InputError with the number that would do where there is none.

        ``near_A``: a bias at which the search for one may begin, that of a like column: it changes no result.
        """
        supply_V = self.supply(node_nm=load.node_nm, temperature_K=load.temperature_K, read_V=load.read_V)
        length_um = max(LENGTH_UM, load.node_nm * 1e-3) if self.length_um is None else self.length_um
        return replace(self, length_um=length_um).solved(load, supply_V, near_A)

    @abstractmethod
    def solved(self, load: ColumnLoad, supply_V: float, near_A: float | None = None) -> FrontEndDesign:
        """The circuit at a supply, its ``length_um`` given. Raises InputError with the number that would do."""

    def supply(self, *, node_nm: float, temperature_K: float, read_V: float) -> float:
        """The supply at a node [V]; raises InputError where swing, read voltage or transistors do not fit it."""
        nominal = nominal_supply_V(node_nm)
        supply = nominal if self.supply_V is None else self.supply_V
        most = nominal * (1.0 + stillmaker_baas_2017().vdd_span)
        if supply < nominal * (1.0 - 1e-9):
            raise InputError(
                f"front_end.supply_V: at least {nominal:.3g} V, nominal at {node_nm:g} nm, since a lower one "
                f"would need a converter of its own (got {supply:g})"
            )
        if self.length_um is not None and self.length_um < node_nm * 1e-3:
            raise InputError(f"front_end.length_um: at least {node_nm * 1e-3:g}, the node (got {self.length_um:g})")
        if self.gm_per_I > (limit := 0.97 * MOST_GM_PER_I * 300.0 / temperature_K):
            raise InputError(
                f"front_end.gm_per_I: at most {limit:.3g} /V at {temperature_K:g} K, weak inversion (got "
                f"{self.gm_per_I:g})"
            )
        if supply > most * (1.0 + 1e-9):
            raise InputError(f"front_end.supply_V: at most {most:.3g} V at {node_nm:g} nm (got {supply:g})")
        if self.swing_V > supply - self.headroom_V + 1e-12:
            raise InputError(
                f"front_end.swing_V: at most {max(0.0, supply - self.headroom_V):.3g} V, a supply of {supply:.3g} V "
                f"less {self.headroom_V:g} V headroom (got {self.swing_V:g})"
            )
        if read_V + self.virtual_ground_V > supply + 1e-12:
            raise InputError(
                f"driver.v_read_V: at most {max(0.0, supply - self.virtual_ground_V):.3g} V above a virtual ground at "
                f"{self.virtual_ground_V:g} V, from a supply of {supply:.3g} V (got {read_V:g})"
            )
        return supply

    @property
    def open_loop_gain(self) -> float:
        """Gain of the amplifier without feedback [1]."""
        return float(self.intrinsic_gain**self.stages)

    def A_VT(self, load: ColumnLoad) -> float:
        """Threshold matching of a pair at the load's node [V um]."""
        return A_VT_law(load.node_nm) if self.A_VT_Vum is None else self.A_VT_Vum

    def offset_V(self, load: ColumnLoad, current_A: float) -> float:
        """Standard deviation of an amplifier's offset [V]: ``A_VT / sqrt(W L)`` (Pelgrom, JSSC 24, 1433 (1989)), over
        ``1 + gain`` behind auto-zeroing (Enz and Temes, Proc. IEEE 84, 1584 (1996))."""
        offset_V = self.A_VT(load) / math.sqrt(self.input_um2(current_A))
        return offset_V * self.left_by_auto_zero

    @property
    def left_by_auto_zero(self) -> float:
        """Share of an offset that auto-zeroing leaves, beside its noise [1]."""
        return 1.0 if self.auto_zero_F is None else 1.0 / (1.0 + self.open_loop_gain)

    def auto_zero(
        self, load: ColumnLoad, time_s: float, feedback_S: float = 0.0, quiescent_S: float = 0.0
    ) -> tuple[Term, ...]:
        """Noise that auto-zeroing leaves on line and feedback for ``time_s``: it is held for a product, so that phases
        of equal length cancel it. ``quiescent_S``: transconductance of a device whose standing current is held too."""
        if self.auto_zero_F is None or load.phases_cancel:
            return ()
        held = load.lines * load.kT_J / self.auto_zero_F * (time_s / load.charge_per_z_C) ** 2
        still = feedback_S**2 + quiescent_S**2
        beside = "(G + 1/R)^2" if feedback_S else "(G^2 + gm_in^2)" if quiescent_S else "G^2"
        return (
            Term(
                name="auto-zero",
                equation=f"n (k T / C_az) {beside} T^2 / q^2",
                source="k T / C of the capacitor that keeps the offset",
                coefficients=(held * still, 2.0 * held * feedback_S, held),
                by_bias=False,
                arrives=True,
            ),
        )

    @property
    def auto_zero_um2(self) -> float:
        """Area of one amplifier's auto-zero capacitor [um2]."""
        return 0.0 if self.auto_zero_F is None else self.capacitor_m2(self.auto_zero_F) * 1e12

    def carrying_um2(self, current_A: float) -> float:
        """Gate area of a device that carries a current at ``gm_per_I`` [um2].

        The inversion coefficient IC solves ``gm/I = 1 / (n U_T (1/2 + sqrt(1/4 + IC)))`` (Enz, Krummenacher and
        Vittoz, Analog Integr. Circuits Signal Process. 8, 83 (1995)); the device is ``I / (square_A IC)`` squares
        wide.
        """
        half = MOST_GM_PER_I / self.gm_per_I - 0.5
        inversion = half * half - 0.25
        return current_A / (self.square_A * inversion) * (self.length_um or LENGTH_UM) ** 2

    def input_um2(self, current_A: float) -> float:
        """Gate area of one device of the pair of an amplifier of that total current [um2]."""
        return max(self.pair_um2, self.carrying_um2(current_A / (2.0 * self.stages)))

    def amplifier_um2(self, current_A: float) -> float:
        """Gate area of one amplifier of that total current [um2]: per stage a pair and a load of the same size."""
        return self.stages * 4.0 * self.input_um2(current_A)

    def amplifier_S(self, current_A: float) -> float:
        """Transconductance of an amplifier of that total current, two branches a stage [S]."""
        return self.gm_per_I * current_A / (2.0 * self.stages)

    def input_F(self, load: ColumnLoad, current_A: float) -> float:
        """Capacitance of a summing node: the line and the input of its amplifier of that total current [F]."""
        return load.line_F + self.gate_F_per_um2 * self.input_um2(current_A)

    def sized(
        self,
        load: ColumnLoad,
        least_A: float,
        circuit: Callable[[float], FrontEndDesign],
        near_A: float | None = None,
    ) -> FrontEndDesign:
        """``circuit`` of the bias that was given, or of the smallest that keeps the targets.

        ``least_A``: bias below which the branches cannot carry the column's current. Raises InputError where the bias
        is less than that, or too small for the line to settle in time.
        """

        def settles(bias_A: float) -> bool:
            return circuit(bias_A).settling.loss(load.line_S) <= self.gain_error

        def holds(bias_A: float) -> bool:
            built = circuit(bias_A)
            noise = math.sqrt(sum(term.at(load.line_S) for term in built.noises if "amplifier" in term.name))
            return built.bias_loss(load.line_S) <= self.gain_error and noise <= self.noise_share * load.range_z

        if self.bias_A is None:
            return circuit(self.smallest_bias(load.settle_s, least_A, holds, near_A))
        if self.bias_A <= least_A:
            raise InputError(
                f"front_end.bias_A: more than {least_A:.3g} A, the largest current of the branches "
                f"(got {self.bias_A:g})"
            )
        if not settles(self.bias_A):
            raise InputError(
                f"front_end.bias_A: at least {self.smallest_bias(load.settle_s, least_A, settles):.3g} A for a line of "
                f"{load.line_F:.3g} F and {load.line_S:.3g} S to settle within {load.settle_s:g} s but for "
                f"{self.gain_error:g} of a pulse (got {self.bias_A:g})"
            )
        return circuit(self.bias_A)

    def capacitor_m2(self, farads: float) -> float:
        """Area of a capacitor [m2]."""
        return farads / CAPACITOR_F_PER_M2[self.capacitor]

    def capacitor_sigma(self, farads: float) -> float:
        """Relative standard deviation of a capacitor [1]."""
        return CAPACITOR_MATCHING_M / math.sqrt(self.capacitor_m2(farads))

    def smallest_bias(
        self, settle_s: float, least_A: float, holds: Callable[[float], bool], near_A: float | None = None
    ) -> float:
        """The smallest bias above ``least_A`` from which on ``holds`` is true, within 0.1 % [A].

        ``near_A``: where it may be; what is found there answers most of the questions of the search by halves, whose
        result it does not change. Raises InputError where it is not true for 1 A a column.
        """
        fails, works = 0.0, math.inf

        def known(bias_A: float) -> bool:
            nonlocal fails, works
            if fails < bias_A < works:
                fails, works = (fails, bias_A) if holds(bias_A) else (bias_A, works)
            return bias_A >= works

        low, high = max(least_A, 1e-12), max(2.0 * least_A, 1e-9)
        if near_A is not None and high < near_A < 1.0:
            step = 1.004 ** (-1 if known(near_A) else 1)
            while high < near_A * step < 1.0 and known(near_A * step) == (step < 1.0):
                near_A, step = near_A * step, step * step
        while not known(high):
            low, high = high, 4.0 * high
            if high > 1.0:
                raise InputError(
                    f"front_end.bias_A: no bias below 1 A a column keeps gain_error {self.gain_error:g} and "
                    f"noise_share {self.noise_share:g} within settle_s {settle_s:g}"
                )
        while high > 1.001 * low:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if known(middle) else (middle, high)
        return high


@cache
def A_VT_law(node_nm: float) -> float:
    """Threshold matching of a pair by node [V um], an estimate: a power of the node through two points.

    130 nm: 3.9 mV um a device, 5.5 for a pair (IHP SG13G2 PDK, nMOS of 1.2 V). 16 nm: 1 mV um per nm of oxide, a rule
    of thumb; no value of a node below 65 nm is public.
    """
    return 1.0e-3 * math.pow(node_nm / 16.0, math.log(5.5) / math.log(130.0 / 16.0))
