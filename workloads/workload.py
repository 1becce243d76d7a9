"""What the rest of mho asks of a workload: its settings, its figures, how it runs, and what a sweep of it may share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from workloads.result import Metric, Result
from workloads.running import RunOptions

S = TypeVar("S")
COSTS = (
    *("area_m2", "energy_J", "leakage_W", "latency_s", "power_W", "ops"),
    *("tops", "tops_per_W", "tops_per_mm2"),
    *("period_s", "period_J", "average_power_W"),
)
SYNTHETIC = "synthetic"
"""1 where the data replace recordings or matrices that nobody named."""


@dataclass(frozen=True)
class Estimate:
    """About how long the parts of many runs take on this machine.

    ``training_s``: a training that all runs share whose settings differ in chip and time alone; ``tuning_s``: what is
    trained for one number format of chips; ``chip_s``: one chip at one time; ``chips`` of each variant.
    """

    training_s: float
    tuning_s: float
    chip_s: float
    chips: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Workload(Generic[S]):
    """One kind of job: ``WORKLOADS`` holds it under the ``kind`` of its settings.

    Parameters
    ----------
    settings : frozen dataclass that YAML fills; an experiment (``workloads.experiment``) unless it is only measured
    figures : figures of merit that a run may give, the first being the headline
    counts : further numbers of a point of a sweep, which the configuration decides without any chip being drawn
    run : does the whole job; None for a bench, which leaves no run directory
    measure : numbers of one setting, and what single chips gave; for a bench
    data_digest : digest of the data that a run would take, found and read as the run does; empty where it makes its own
    data_keys : settings that say which files a run reads, of which that digest is
    same_data : whether that digest is the one that a run's result carries
    independent_variants : whether variants never see each other, so that points of a sweep of one
        ``number_format`` may be variants of one run
    number_format : what is trained for the headline's chip; points of a sweep that are equal in it may share a run
    estimate : how long runs take, by a few steps of each part
    check : raises ``InputError`` for what only layers on chips show, before anything is trained
    takes_module : whether ``--module`` may name the user's own code for the network
    on_gpu : whether its chips compute on a graphics card where ``--device cuda`` asks for one
    cites : keys of papers behind the settings that no record among them names
    cites_prices : whether those behind the components that a run uses are among them; otherwise only a run shows which
    """

    settings: type[S]
    figures: Mapping[str, Metric]
    counts: tuple[str, ...] = ()
    run: Callable[[S, RunOptions], Result] | None = None
    measure: Callable[[S], tuple[dict[str, float], dict[str, Any]]] | None = None
    data_digest: Callable[[S, Path | None], str] = lambda settings, data: ""
    data_keys: tuple[str, ...] = ("data", "features")
    same_data: bool = False
    independent_variants: bool = False
    number_format: Callable[[S], Hashable] = lambda settings: None
    estimate: Callable[[S], Estimate] | None = None
    check: Callable[[S], None] = lambda settings: None
    takes_module: bool = False
    on_gpu: bool = False
    cites: Callable[[S], Iterable[str]] = lambda settings: ()
    cites_prices: bool = False

    @property
    def experiment(self) -> type[S] | None:
        """The settings, where they are an experiment's; None for a bench."""
        return None if self.run is None else self.settings

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the numbers that a point of a sweep gives.

        Of each figure of an experiment there are its mean, its deviation over chips, and its value in software and on
        an ideal chip.
        """
        if self.run is None:
            return (*self.figures, *self.counts)
        names = [(each, f"{each}_std", f"software_{each}", f"quantised_{each}") for each in self.figures]
        return (*(name for group in names for name in group), *self.counts, *COSTS, SYNTHETIC)
