"""Pulse-width driver: a signed input is the width of a pulse at V_read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    unsigned : inputs that are never negative, as behind a rectifier, in two phases of which the second is empty, or in
        one of twice the length, which resolves them twice as finely in the same time
    """

    pulse_widths: ClassVar[bool] = True

    kind: Literal["pwm"] = "pwm"
    signed: Literal["two_phases"] = "two_phases"
    unsigned: Literal["two_phases", "one_phase"] = "two_phases"
    edge_jitter_s: Annotated[float, Ge(0.0)] = 0.0

    @property
    def exact(self) -> bool:
        """Whether edges are where the clock puts them."""
        return self.edge_jitter_s == 0.0

    @property
    def takes_unsigned(self) -> bool:
        """Where they take one phase."""
        return self.unsigned == "one_phase"

    def unsigned_words(self) -> PWMDriver:
        """The same driver in one phase."""
        return UnsignedPWM(**{one.name: getattr(self, one.name) for one in fields(self)})

    def phases(self, bits: int) -> int:
        """Positive inputs, then negative ones."""
        full_scale(bits)
        return 2

    def drive_clocks(self, bits: int) -> int:
        """All phases of the longest pulse."""
        return self.phases(bits) * self.top(bits)

    def white_clocks(self, bits: int) -> float:
        """All phases."""
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
        top = self.top(bits)
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


@dataclass(frozen=True, kw_only=True)
class UnsignedPWM(PWMDriver):
    """The driver of a layer whose inputs are never negative: one phase of up to ``2^bits - 1`` clock periods.

    The polarity of the integrators does not turn: what is constant adds up instead of cancelling.
    """

    signed_words: ClassVar[bool] = False

    def top(self, bits: int) -> int:
        """``2^bits - 1``."""
        full_scale(bits)
        return int(2**bits - 1)

    def phases(self, bits: int) -> int:
        """One."""
        full_scale(bits)
        return 1

    @property
    def polarity_turns(self) -> bool:
        """It does not."""
        return False

    def clipped(self, x: torch.Tensor) -> float:
        """Share of inputs beyond 0 to ``x_max`` [1]."""
        return float(((x < 0) | (x > self.x_max * (1 + 1e-6))).float().mean())
