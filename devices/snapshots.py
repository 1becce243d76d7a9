"""Devices whose distribution is published at a few times only, and a stated coupling between those times.

A paper that measures an array after one second, one day and two days publishes three histograms a level, not a cell's
course through them. The model ``G(t) = mean(t) + sigma(t) z(t)`` has the published distribution at every time, whatever
the correlation in time of the standard normal score z of a cell. That correlation is an assumption and a parameter.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Interval

from configs.errors import InputError
from devices.base import Cells, Device
from devices.streams import ChipStreams


@dataclass(frozen=True, kw_only=True)
class Snapshots(Device):
    """Cells whose mean and spread were measured at ``times_s``, each carrying one score from time to time.

    The scores of a cell at two successive published times have the correlation ``correlation`` (a first-order
    autoregression over the published times): 1 keeps every cell at its rank, 0 draws it anew at each time. In between,
    scores are interpolated with their variance restored, and means and spreads are interpolated in t or in ln t.
    Until the first time a cell is as programming left it; after the last nothing is known, and ``beyond`` decides.

    Parameters
    ----------
    spread_scale : multiplies the published spread at every time; 0 is off [1]
    correlation : of a cell's score between two successive published times; an assumption, not published [1]
    beyond : refuse times after the last published one, or hold the distribution of that one
    """

    times_s: ClassVar[tuple[float, ...]]
    logarithmic: ClassVar[bool]

    status: str = "published"
    spread_scale: Annotated[float, Ge(0.0)] = 1.0
    correlation: Annotated[float, Interval(ge=0.0, le=1.0)] = 1.0
    beyond: Literal["refuse", "hold"] = "refuse"

    @abstractmethod
    def moments_S(self, target_S: torch.Tensor, knot: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, before clipping at 0, a ``share`` of the way from ``times_s[knot]`` to the
        next [S, S], each of the shape of ``target_S``."""

    @property
    def evolves(self) -> bool:
        """Whether more than one time was published, and the spread is not switched off."""
        return len(self.times_s) > 1 and self.spread_scale > 0.0

    @property
    def last_s(self) -> float:
        """The latest time that was published [s]."""
        return self.times_s[-1]

    def too_late(self, aged_s: float) -> str:
        """After the last published time, unless ``beyond`` is hold."""
        if aged_s <= self.last_s or self.beyond == "hold":
            return ""
        return (
            f"t_s must be at most {self.last_s:g} s, the last time published for {type(self).__name__}; "
            f"beyond: hold keeps its distribution from there on (got {aged_s:g} s)"
        )

    def knot_at(self, t_s: float) -> tuple[int, float]:
        """The published time at or before ``t_s``, by number, and the share of the way to the next."""
        if reason := self.too_late(t_s):
            raise InputError(reason)
        if t_s >= self.last_s:
            return len(self.times_s) - 1, 0.0
        if t_s <= self.times_s[0]:
            return 0, 0.0
        knot = max(number for number, time_s in enumerate(self.times_s) if time_s <= t_s)
        low, high = self.times_s[knot : knot + 2]
        if self.logarithmic:
            return knot, math.log(t_s / low) / math.log(high / low)
        return knot, (t_s - low) / (high - low)

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation at the first published time [S]."""
        return self.moments_S(target_S, 0, 0.0)[1] * self.spread_scale

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """The score of every cell at programming."""
        return {"score": rng.child("error").normal_like(target_S)}

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """Distribution of the first published time, about the target [S]."""
        return self._at_first_S(target_S, state["score"])

    def _at_first_S(self, target_S: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
        return (target_S + self.programming_sigma_S(target_S) * score).clamp_min(0.0)

    def score(self, cells: Cells, knot: int, share: float) -> torch.Tensor:
        """Standard normal score of every cell at a time."""
        if self.correlation == 1.0:
            return cells.state["score"]
        assert cells.slow is not None
        fresh = math.sqrt(1.0 - self.correlation**2)
        here = following = cells.state["score"]
        for number in range(1, knot + 1 + (share > 0.0)):
            xi = cells.slow.child("score", number).normal_like(here)
            here, following = following, self.correlation * following + fresh * xi
        if share == 0.0:
            return following
        keep = 1.0 - share
        spread = math.sqrt(keep**2 + share**2 + 2.0 * keep * share * self.correlation)
        return (keep * here + share * following) / spread

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Conductance at a time, moved by as much as the cell left the published error at programming [S]."""
        knot, share = self.knot_at(t_s)
        if knot == 0 and share == 0.0:
            return cells.programmed_S
        mean, sigma = self.moments_S(cells.target_S, knot, share)
        published = (mean + sigma * self.spread_scale * self.score(cells, knot, share)).clamp_min(0.0)
        offset = cells.programmed_S - self._at_first_S(cells.target_S, cells.state["score"])
        return (published + offset).clamp_min(0.0)
