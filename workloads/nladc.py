"""A ramp converter on the bench, measured in sweeps: no data, no training, a few hundredths of a second a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from devices import Stream
from periphery import Comparator, Function, RampColumn, named_function
from periphery.ramp.characterise import SWING_V, characterise
from workloads.experiment import MOST_CHIPS
from workloads.result import Metric
from workloads.workload import Workload

#: Columns of the table, by the names under which ``Characteristic.figures`` gives mean and worst chip.
FIGURES = {
    "mean |INL| before calibration [LSB]": "inl_raw_mean_lsb",
    "max |INL| before calibration [LSB]": "inl_raw_max_lsb",
    "mean |INL| [LSB]": "inl_mean_lsb",
    "max |INL| [LSB]": "inl_max_lsb",
    "max |DNL| [LSB]": "dnl_max_lsb",
    "mean |error| [LSB]": "error_mean_lsb",
    "max |error| [LSB]": "error_max_lsb",
    "missing codes": "missing_codes",
    "steps at which the ramp falls": "falling_steps",
    "ENOB of the sine test [bit]": "enob",
}
DESIGN = ("steps", "lost_steps", "ramp_clocks", "cells")


@dataclass(frozen=True, kw_only=True)
class ConverterBench:
    """A nonlinear ramp converter, built on several chips and measured as ``mho show NLADC`` does.

    Parameters
    ----------
    seed : of everything random
    function : the function that it converts by (mho list functions)
    low, high : range of inputs; None takes the function's own
    bits : resolution
    ramp : the column of cells
    comparator : one for each column
    swing_V : voltage over which the ramp sweeps [V]
    chips : chips to build and measure
    t_s : time after programming [s]
    recentre : the bias cells are programmed again at that time
    """

    kind: Literal["nladc"] = "nladc"
    name: str = "nladc"
    description: str = ""
    seed: Annotated[int, Interval(ge=0, le=2**63 - 1)] = 0
    function: str = "sigmoid"
    low: float | None = None
    high: float | None = None
    bits: Annotated[int, Interval(ge=1, le=12)] = 5
    ramp: RampColumn
    comparator: Comparator = Comparator()
    swing_V: Annotated[float, Gt(0.0)] = SWING_V
    chips: Annotated[int, Interval(ge=1, le=MOST_CHIPS)] = 8
    t_s: Annotated[float, Ge(0.0)] = 0.0
    recentre: bool = False

    def __post_init__(self) -> None:
        self.curve()
        if self.ramp.levels == "optimal":
            raise ValueError(
                "ramp.levels: must be uniform on the bench, where there are no inputs to fit (got optimal)"
            )

    def curve(self) -> Function:
        """The function on its range of inputs."""
        return named_function(self.function, self.low, self.high)

    def measure(self) -> tuple[dict[str, float], dict[str, Any]]:
        """The outputs, means over chips and worst chips; and what single chips gave."""
        found = characterise(
            self.ramp.design(self.curve(), self.bits),
            chips=self.chips,
            rng=Stream.root(self.seed).child("show", "NLADC"),
            t_s=self.t_s,
            recentre=self.recentre,
            comparator=self.comparator,
            swing_V=self.swing_V,
        )
        outputs: dict[str, float] = {}
        for name, (mean, worst) in found.figures().items():
            outputs |= {FIGURES[name]: mean, f"{FIGURES[name]}_worst": worst}
        design = found.design
        outputs |= dict(
            zip(DESIGN, (len(design.theta), design.lost_steps, design.ramp_clocks, design.cells), strict=True)
        )
        by_chip = {"enob": found.enob.tolist(), "inl_max_lsb": found.inl.abs().amax(-1).tolist()}
        return outputs, {"chips": by_chip}


def _metric(name: str) -> Metric:
    unit = "LSB" if name.endswith("_lsb") else "bit" if name == "enob" else "1"
    return Metric(higher_is_better=name == "enob", unit=unit)


NLADC = Workload(
    settings=ConverterBench,
    figures={each: _metric(name) for name in FIGURES.values() for each in (name, f"{name}_worst")},
    counts=DESIGN,
    measure=lambda bench: bench.measure(),
)
