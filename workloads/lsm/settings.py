"""A liquid state machine: which recordings, liquids, read-outs and sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len

from mappings.liquid.liquid import Liquid
from workloads.experiment import MOST_CHIPS, Evaluation, Experiment, Variant, Variants, rising_from_zero
from workloads.lsm.breaking import ParameterSweep
from workloads.lsm.chips import check_front_end
from workloads.lsm.data import EventData
from workloads.lsm.readout import AnyReadout, Ridge


@dataclass(frozen=True, kw_only=True)
class LiquidVariant(Variant):
    """One liquid to compare: its chip says only what differs from the experiment's.

    Parameters
    ----------
    chip : of this variant
    aim : allowed loss against the same liquid in software, in points of accuracy
    """

    chip: Liquid
    aim: float | None = None

    def __post_init__(self) -> None:
        check_front_end(self.chip, "chip")


@dataclass(frozen=True, kw_only=True)
class LiquidEvaluation(Evaluation):
    """How liquids are judged.

    Parameters
    ----------
    chips : chips of each variant, and liquids in software
    times_s : times after forming and training [s]; the read-out is not trained again
    sweep_chips, sweep_recordings : chips and recordings at each point of a sweep; None takes all
    readouts : further read-outs, judged on the headline's features
    readout_chips : chips for those
    shown : recordings whose spikes are drawn
    """

    chips: Annotated[int, Interval(ge=1, le=MOST_CHIPS)] = 16
    sweep_chips: Annotated[int, Interval(ge=1, le=1000)] = 4
    sweep_recordings: Annotated[int, Interval(ge=20, le=10_000_000)] | None = None
    readouts: Annotated[tuple[AnyReadout, ...], Len(0, 100)] = ()
    readout_chips: Annotated[int, Interval(ge=1, le=1000)] = 2
    shown: Annotated[int, Interval(ge=0, le=6)] = 3

    def __post_init__(self) -> None:
        rising_from_zero(self.times_s)


@dataclass(frozen=True, kw_only=True)
class LiquidStateMachine(Experiment[LiquidVariant]):
    """A fixed random spiking reservoir on resistive cells, and a trained read-out of its firing rates."""

    kind: Literal["lsm"] = "lsm"
    name: str = "lsm"
    data: EventData = EventData()
    readout: AnyReadout = Ridge()
    chip: Liquid = Liquid()
    variants: Variants[LiquidVariant]
    evaluation: LiquidEvaluation = LiquidEvaluation()
    sweeps: Annotated[tuple[ParameterSweep, ...], Len(0, 100)] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        swept = [sweep.what for sweep in self.sweeps]
        if len(set(swept)) < len(swept):
            raise ValueError(f"sweeps must be of different quantities (got {', '.join(swept)})")
