"""What the settings of all experiments share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from annotated_types import Interval, Len

from workloads.duty import Duty

MOST_CHIPS = 4096
"""Chips of each variant at most: all of them are in memory together."""
MOST_TIMES = 1000
Times = Annotated[tuple[Annotated[float, Interval(ge=0.0, le=1e12)], ...], Len(1, MOST_TIMES)]
"""Times after programming [s]."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One piece of hardware to compare: its chip says only what differs from the experiment's.

    Parameters
    ----------
    name : how reports call it
    default : exactly one variant is the headline
    """

    name: str
    default: bool = False


V = TypeVar("V", bound=Variant)
Variants = Annotated[tuple[V, ...], Len(1, 128)]
"""Hardware to compare. Each variant is a whole chip that is designed and priced before anything runs."""


@dataclass(frozen=True, kw_only=True)
class Experiment(Generic[V]):
    """A subclass adds ``data``, ``chip``, ``variants`` (a tuple) and whatever else its job needs.

    Parameters
    ----------
    name : of the run directory and the report
    description : one sentence for listings
    cite : keys of papers in ``configs/references.bib`` on which the experiment rests
    seed : of everything random
    duty : how often an inference runs, for energy per period and average power; None where the experiment states none
    """

    kind: str
    name: str
    description: str = ""
    cite: tuple[str, ...] = ()
    seed: Annotated[int, Interval(ge=0, le=2**63 - 1)] = 0
    duty: Duty | None = None

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.each]
        if len(set(names)) < len(names):
            raise ValueError(f"variants need different names (got {', '.join(names)})")
        if sum(variant.default for variant in self.each) != 1:
            raise ValueError("exactly one variant must have default: true")
        if self.duty is not None:
            self.duty.at(self.hop_s)

    @property
    def hop_s(self) -> float | None:
        """Time from one step of the inputs to the next [s]; None where inputs are not a stream in time."""
        return None

    @property
    def each(self) -> tuple[V, ...]:
        """All variants."""
        found: tuple[V, ...] = vars(self)["variants"]
        return found

    @property
    def default(self) -> V:
        """The variant of which headlines speak."""
        return next(variant for variant in self.each if variant.default)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How chips are judged, in every experiment.

    Parameters
    ----------
    chips : chips of each variant
    times_s : times after programming [s], rising; cells that do not drift are read at the first one alone
    """

    chips: Annotated[int, Interval(ge=1, le=MOST_CHIPS)] = 8
    times_s: Times = (0.0,)

    def __post_init__(self) -> None:
        if list(self.times_s) != sorted(set(self.times_s)):  # chips read twice would count as twice as many
            raise ValueError(f"times_s must rise (got {', '.join(map(str, self.times_s))})")


def rising_from_zero(times_s: tuple[float, ...]) -> None:
    """Raise ``ValueError`` unless times after programming [s] rise from 0."""
    if times_s[0] != 0.0 or list(times_s) != sorted(set(times_s)):
        raise ValueError(f"times_s must rise from 0 (got {', '.join(map(str, times_s))})")
