"""How often a workload runs: its mode, its period, what turns sound into features, and power gating in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Gt, Interval

from devices import InputError

Mode = Literal["continuous", "window", "burst"]
Extraction = Literal["mfcc_serial", "filter_bank", "none"]


@dataclass(frozen=True, kw_only=True)
class Gating:
    """Power switches that cut the supply between bursts. All figures are estimates.

    Parameters
    ----------
    factor : by which they divide the leakage of what keeps no content; 10 to 50 by an encyclopaedia
    """

    factor: Annotated[float, Interval(ge=1.0, le=100.0)] = 20.0


@dataclass(frozen=True, kw_only=True)
class Duty:
    """What runs how often.

    Parameters
    ----------
    mode : ``continuous``: one step of every layer in each period, state carried for ever; ``window``: a whole inference
        computed anew in each period; ``burst``: the same, for inferences that have nothing to do with each other
    period_s : time from one to the next [s]; None takes the hop of the features, where the workload has any
    features : component that turns sound into features all the time, or ``none``
    gating : power gating between bursts; None leaves everything supplied
    """

    mode: Mode = "burst"
    period_s: Annotated[float, Gt(0.0)] | None = None
    features: Extraction = "none"
    gating: Gating | None = None

    def at(self, hop_s: float | None) -> Duty:
        """The same with its period; ``InputError`` where neither it nor the workload has one."""
        period_s = self.period_s or hop_s
        if period_s is None:
            raise InputError("duty.period_s: a time above 0 s from one inference to the next (got none)")
        return replace(self, period_s=period_s)

    def check(self, burst_s: float) -> None:
        """Raise ``InputError`` where a burst of ``burst_s`` does not fit into the period."""
        if self.period_s is not None and burst_s > self.period_s:
            raise InputError(
                f"duty.period_s: at least {burst_s:.4g} s, which a burst takes in mode {self.mode} "
                f"(got {self.period_s:.4g})"
            )
