"""A cell as it was measured: a table of mean and spread of the conductance at some levels and perhaps at some times.

(1) level          mean and sigma between two levels follow a straight line in the target, which overshoots neither
(2) time           between two times they follow a straight line in u = ln(1 + t / t1), t1 the first time above zero
(3) one cell       G(t) = mean(t) + sigma(t) e(t), cut at zero; e keeps its rank among cells, or loses it by a
                   correlation rho from one time of the table to the next:  e_k = rho e_(k-1) + sqrt(1 - rho^2) xi_k

The defaults are the seven states of Hong et al., Nat. Commun. 2025, s41467-025-65233-w (sheet 3c of the source data).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Interval

from configs.errors import InputError
from devices.base import Cells, Device
from devices.measured_csv import read_measurements
from devices.streams import ChipStreams

Siemens = Annotated[float, Ge(0.0)]
Seconds = Annotated[float, Ge(0.0)]

HONG_TARGET_S = (100e-6, 150e-6, 200e-6, 250e-6, 300e-6, 350e-6, 400e-6)
HONG_MEAN_S = (100.080e-6, 150.237e-6, 199.401e-6, 249.541e-6, 300.060e-6, 349.107e-6, 399.382e-6)
HONG_SIGMA_S = (2.417e-6, 2.644e-6, 2.979e-6, 2.791e-6, 2.813e-6, 2.627e-6, 2.844e-6)


@dataclass(frozen=True, kw_only=True)
class Measured(Device):
    """A measured table as a device: nothing outside the table's levels or times is made up.

    Parameters
    ----------
    target_S : levels that were asked for, rising [S]
    mean_S, sigma_S : mean and standard deviation over cells, one row a time, one number a level [S]
    t_s : times after programming of the rows, rising; a cell is as programming left it until the first. None where one
        moment was measured: then nothing is known about retention, and the conductance stays [s]
    beyond : refuse times after the last of the table, or hold the distribution of that one
    correlation : rho of (3); 1 keeps every cell's rank. An assumption where cells were not followed one by one [1]
    shape : distribution of e: a normal, or the flat one that write-verify leaves when it stops at the edges of a window

    Raises ValueError for targets outside the levels, and for times after the last of ``t_s`` under ``beyond: refuse``.
    """

    kind: Literal["measured"] = "measured"
    status: str = "published"
    g_min_S: float = 100e-6
    g_max_S: float = 400e-6
    read_noise_S: Annotated[float, Ge(0.0)] = 0.0
    target_S: tuple[Siemens, ...] = HONG_TARGET_S
    mean_S: tuple[tuple[Siemens, ...], ...] = (HONG_MEAN_S,)
    sigma_S: tuple[tuple[Siemens, ...], ...] = (HONG_SIGMA_S,)
    t_s: tuple[Seconds, ...] = ()
    correlation: Annotated[float, Interval(ge=0.0, le=1.0)] = 1.0
    shape: Literal["normal", "window"] = "normal"
    beyond: Literal["refuse", "hold"] = "refuse"

    @classmethod
    def from_csv(cls, path: Path | str, **fields: Any) -> Measured:
        """The table of a CSV file (columns as in ``devices.measured_csv``), samples or summary.

        ``fields`` are further fields, such as ``read_noise_S``. Raises InputError for a bad file, with its line.
        """
        data = read_measurements(path)
        table = data.table()
        found = {
            "g_min_S": table.target_S[0],
            "g_max_S": table.target_S[-1],
            "target_S": table.target_S,
            "mean_S": tuple(tuple(max(0.0, mean_S) for mean_S in row) for row in table.mean_S),
            "sigma_S": table.sigma_S,
            "t_s": table.t_s,
            "status": "fitted",
            "source": " ".join([f"table of {table.source}", *data.notes]),
        }
        if table.correlation is not None:
            found["correlation"] = table.correlation
        return cls(**{**found, **fields})

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.target_S) < 2 or not _rises(self.target_S):
            raise ValueError("target_S must hold at least two levels, each above the one before")
        rows = max(1, len(self.t_s))
        for name, table in (("mean_S", self.mean_S), ("sigma_S", self.sigma_S)):
            if [len(row) for row in table] != [len(self.target_S)] * rows:
                raise ValueError(
                    f"{name} must hold {rows} row{'s' * (rows > 1)} of {len(self.target_S)} numbers, one row a time "
                    f"and one number a level (got rows of {[len(row) for row in table]})"
                )
        if len(self.t_s) == 1 or not _rises(self.t_s):
            raise ValueError("t_s must be empty or hold at least two times, each after the one before")
        low, high = self.target_S[0], self.target_S[-1]
        if not (low <= self.g_min_S and self.g_max_S <= high):
            raise ValueError(f"g_min_S and g_max_S must lie within the levels, {low:g} to {high:g} S")

    @property
    def drift_known(self) -> bool:
        """Whether the table has times."""
        return bool(self.t_s)

    @property
    def evolves(self) -> bool:
        """Whether the table has times."""
        return bool(self.t_s)

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation over cells in the first row of the table, by (1) [S]."""
        return self._between_levels(target_S, self.sigma_S[0])

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """Each cell's score in the distribution at programming, a standard normal number."""
        return {"score": rng.child("error").normal_like(target_S)}

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """The first row of the table, bias of its mean included [S]."""
        return self._row(target_S, state["score"], 0, 0.0).clamp_min(0.0)

    def too_late(self, aged_s: float) -> str:
        """After the last time of the table, unless ``beyond`` is hold."""
        if not self.t_s or aged_s <= self.t_s[-1] or self.beyond == "hold":
            return ""
        return (
            f"t_s must be at most {self.t_s[-1]:g} s, the last time of the table; beyond: hold keeps its "
            f"distribution from there on (got {aged_s:g} s)"
        )

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """The same cells at another time: what programming left, and the change by (2) and (3) [S]."""
        if not self.t_s or t_s <= self.t_s[0]:
            return cells.programmed_S
        if reason := self.too_late(t_s):
            raise InputError(reason)
        first = self.t_s[0] or self.t_s[1]
        u = [math.log1p(t / first) for t in self.t_s]
        now = min(math.log1p(t_s / first), u[-1])
        row = max(number for number in range(len(u) - 1) if u[number] <= now)
        share = (now - u[row]) / (u[row + 1] - u[row])
        score = cells.state["score"]
        for number in range(1, row + 1):
            score = self._next_score(cells, score, number)
        if share > 0.0:
            later, kept = self._next_score(cells, score, row + 1), 1.0 - share
            variance = kept**2 + share**2 + 2.0 * kept * share * self.correlation
            score = (kept * score + share * later) / math.sqrt(variance)
        change = self._row(cells.target_S, score, row, share) - self._row(cells.target_S, cells.state["score"], 0, 0.0)
        return (cells.programmed_S + change).clamp_min_(0.0)

    def _row(self, target_S: torch.Tensor, score: torch.Tensor, row: int, share: float) -> torch.Tensor:
        """Equation (3) for these scores, a share of the way from one row of the table to the next [S]."""
        mean, sigma = (self._between_levels(target_S, table[row]) for table in (self.mean_S, self.sigma_S))
        if share > 0.0:
            later = (self._between_levels(target_S, table[row + 1]) for table in (self.mean_S, self.sigma_S))
            mean, sigma = (old + share * (new - old) for old, new in zip((mean, sigma), later, strict=True))
        if self.shape == "window":
            score = math.sqrt(3.0) * torch.erf(score / math.sqrt(2.0))
        return mean + sigma * score

    def _next_score(self, cells: Cells, score: torch.Tensor, row: int) -> torch.Tensor:
        if self.correlation == 1.0:
            return score
        assert cells.slow is not None
        fresh = cells.slow.child("row", row).normal_like(score)
        return self.correlation * score + math.sqrt(1.0 - self.correlation**2) * fresh

    def _between_levels(self, target_S: torch.Tensor, values: tuple[float, ...]) -> torch.Tensor:
        """Equation (1): straight lines between the levels."""
        levels = torch.tensor(self.target_S, dtype=target_S.dtype, device=target_S.device)
        table = torch.tensor(values, dtype=target_S.dtype, device=target_S.device)
        left = torch.bucketize(target_S.contiguous(), levels[1:-1], right=True)
        share = ((target_S - levels[left]) / (levels[left + 1] - levels[left])).clamp(0.0, 1.0)
        return table[left] + share * (table[left + 1] - table[left])


def _rises(values: tuple[float, ...]) -> bool:
    return all(low < high for low, high in pairwise(values))
