"""A current-controlled oscillator and a counter: the input sets a frequency, and its periods are counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Interval

from devices import BlockNoise, ChipStreams
from periphery.adc.base import ADC, Bank, BuiltADC, Counts
from periphery.adc.grid import Grid
from periphery.adc.quantiser import quantised


@dataclass(frozen=True)
class BuiltCCO(BuiltADC):
    """``gain_error``: of every oscillator, ``(chips, ramps, converters)`` [1]."""

    design: CCO
    gain_error: torch.Tensor

    def convert(self, u: torch.Tensor, noise: BlockNoise, gain: torch.Tensor | float) -> torch.Tensor:
        """Whole periods of the count, saturated."""
        design, full = self.design, float(self.grid.top + 1)
        exact = u - (self.grid.origin + (0.5 if self.grid.levels == "mid_tread" else 0.0))
        slope = 1.0 + self.bank.of_columns(self.gain_error)[:, None]
        inside = exact.clamp(0.0, full)
        periods = slope * (exact + 4.0 * design.nonlinearity * inside * (1.0 - inside / full))
        if design.jitter > 0.0:
            spread = design.jitter * periods.clamp(0.0, full).sqrt()
            periods = periods + spread * noise.normal(u.shape[2:])
        # What the oscillator errs by is added to the input: an exact one then decides ties as all converters do.
        error = torch.where(exact.isfinite(), periods - exact, 0.0)
        return quantised(u + error + (design.start_phase - 0.5), self.grid)


@dataclass(frozen=True, kw_only=True)
class CCO(ADC):
    """Periods of an oscillator whose frequency follows the column's current, counted for a fixed time.

    The column's current and a bias current stop the oscillator at the low end of the range and let it run ``2^n``
    periods at the high end. With x the periods that an exact oscillator would make, this one makes ``(1 + g) (x + 4 a x
    (1 - x / 2^n))`` plus the jitter of each period, ``j sqrt(x)`` in all, and the counter has the whole ones. The bow
    ends where the range does.

    Parameters
    ----------
    gain_error : standard deviation over oscillators of the relative slope g [1]; an estimate
    nonlinearity : how far the transfer bows from a straight line in its middle, a, as a share of the range [1]
    jitter : standard deviation of one period, relative to it [1]; an estimate
    period_s : shortest period of the oscillator, at the high end of the range [s]: 300 ps a count in the HERMES core
        (Khaddam-Aljameh et al., IEEE J. Solid-State Circuits, 2022); 2^n of them are counted, in whole clock periods
    start_phase : where in its period the oscillator starts; 1/2 rounds to the nearest count, 0 rounds down
    """

    kind: Literal["cco"] = "cco"
    gain_error: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.0
    nonlinearity: Annotated[float, Interval(ge=-0.2, le=0.2)] = 0.0
    jitter: Annotated[float, Ge(0.0)] = 0.0
    period_s: Annotated[float, Gt(0.0)] = 3e-10
    start_phase: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.5

    def build(self, grid: Grid, bank: Bank, *, rng: ChipStreams) -> BuiltCCO:
        """The slope of every oscillator."""
        error = self.gain_error * rng.child("oscillators").normal((bank.ramps, bank.converters))
        return BuiltCCO(grid, bank, self, error)

    def convert_s(self, bits: int, t_clk_s: float) -> float:
        """So many periods as there are codes, in whole clock periods."""
        return t_clk_s * math.ceil(2.0**bits * self.period_s / t_clk_s - 1e-9)

    def actions(self, adc: str, bits: int, *, conversions: float, steps: float, ramps: float) -> Counts:
        """Periods of the oscillators, each with the toggles of a binary counter, two a period on average."""
        periods = steps - conversions
        return {"oscillator": {"period": periods}, "shared_counter": {"count_bit": 2.0 * periods}}

    def instances(self, adc: str, bits: int, *, adcs: float, columns: float, ramps: float) -> Mapping[str, float]:
        """An oscillator and a counter for every converter."""
        return {"oscillator": adcs, "shared_counter": adcs * bits}
