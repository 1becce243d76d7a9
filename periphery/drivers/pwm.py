"""Pulse-width driver: a signed input is the width of a pulse at V_read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge

from devices import ChipStreams
from periphery.drivers.base import Counts, Driver, DriverRead, full_scale


@dataclass(frozen=True, kw_only=True)
class PWMDriver(Driver):
    """Pulse-width driver of the word lines, two phases a product.

    Parameters
    ----------
    edge_jitter_s : standard deviation of one edge of a pulse, both edges independent [s]
    """

    pulse_widths: ClassVar[bool] = True

    kind: Literal["pwm"] = "pwm"
    signed: Literal["two_phases"] = "two_phases"
    edge_jitter_s: Annotated[float, Ge(0.0)] = 0.0

    @property
    def exact(self) -> bool:
        """Whether edges are where the clock puts them."""
        return self.edge_jitter_s == 0.0

    def phases(self, bits: int) -> int:
        """Positive inputs, then negative ones."""
        full_scale(bits)
        return 2

    def drive_clocks(self, bits: int) -> int:
        """Two phases of the longest pulse."""
        return 2 * full_scale(bits)

    def white_clocks(self, bits: int) -> float:
        """Both phases."""
        return float(self.drive_clocks(bits))

    @property
    def polarity_turns(self) -> bool:
        """Between the two phases."""
        return True

    def driven_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """``|N|``."""
        return counts.abs()

    def paired_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """``sum_(i != k) min(|N_i|, |N_k|)`` over lines of one sign: pulses of a phase start together."""
        top = full_scale(bits)
        vectors, levels = counts.shape[:-1].numel(), 2 * top + 1
        place = counts.reshape(vectors, -1).long() + top + levels * torch.arange(vectors, device=counts.device)[:, None]
        widths = torch.bincount(place.flatten(), minlength=vectors * levels).reshape(vectors, levels)
        # Lines that are still driven, clock by clock, backwards in time.
        lines = torch.stack([widths[:, :top], widths[:, top + 1 :].flip(-1)]).cumsum(-1)
        return (lines * (lines - 1)).sum((0, 2)).reshape(counts.shape[:-1]).double()

    def build(self, rows: int, bits: int, *, rng: ChipStreams) -> DriverRead:
        """Pulses whose width is off by the jitter of two edges."""
        return DriverRead(sigma=math.sqrt(2.0) * self.edge_jitter_s / self.t_clk_s)

    def actions(self, bits: int, *, rows: float, pulses: float, clocks: float) -> Counts:
        """Every row stores its input; while its pulse lasts, it compares it with the shared counter, whose lines pass
        all rows."""
        return {
            "pwm_driver": {"compare_bit": clocks * bits, "load_bit": rows * bits},
            "code_line": {"step": rows * self.drive_clocks(bits)},
        }

    def instances(self, bits: int, *, rows: float) -> Mapping[str, float]:
        """A stored and compared bit for each bit of an input."""
        return {"pwm_driver": rows * bits}
