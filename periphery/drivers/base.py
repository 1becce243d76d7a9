"""What every word-line driver answers: counts of an input, phases, time, noise, loss, actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt

from devices import BlockNoise, ChipStreams, InputError

Counts = Mapping[str, Mapping[str, float]]


def full_scale(bits: int) -> int:
    """The largest count of a signed input, ``2^(bits - 1) - 1``; ``InputError`` for a number of bits out of reach."""
    if bits not in range(2, 13):
        raise InputError(f"bits: 2 to 12 for a signed input (got {bits!r})")
    return int(2 ** (bits - 1) - 1)


@dataclass(frozen=True, kw_only=True)
class Driver(ABC):
    """What every driver of the word lines has.

    Parameters
    ----------
    v_read_V : read voltage of a line that is fully driven [V]
    v_design_V : read voltage for which integrators and fixed references were sized [V]
    t_clk_s : one clock period, the unit of pulse width [s]
    x_max : input value at full scale; larger ones are clipped, and counted

    ``amplitude``: whether inputs are voltages rather than times; ``pulse_widths``: whether they are the widths of
    pulses that begin together; ``signed_words``: whether inputs have a sign.
    """

    amplitude: ClassVar[bool] = False
    pulse_widths: ClassVar[bool] = False
    signed_words: ClassVar[bool] = True

    kind: str
    v_read_V: Annotated[float, Gt(0.0)] = 0.2
    v_design_V: Annotated[float, Gt(0.0)] = 0.2
    t_clk_s: Annotated[float, Gt(0.0)] = 1e-9
    x_max: Annotated[float, Gt(0.0)] = 1.0

    @property
    def digital_accumulation(self) -> bool:
        """Whether each phase's partial sum is converted separately and added digitally."""
        return False

    @property
    def supply_gain(self) -> float:
        """How much more charge than designed a clock period brings: ``V_read / V_design`` [1]."""
        return self.v_read_V / self.v_design_V

    def count_clocks(self, bits: int) -> float:
        """The charge of one count, in clock periods at V_read."""
        return 1.0

    @abstractmethod
    def white_clocks(self, bits: int) -> float:
        """Clock periods of integration, each weighted by the square of what its phase counts.

        White noise of a current adds a charge variance of this times its two-sided density times a clock period.
        """

    @property
    @abstractmethod
    def polarity_turns(self) -> bool:
        """Whether phases of equal length and opposite sign alternate, so that a constant current cancels."""

    @property
    def exact(self) -> bool:
        """Whether every line gets just what was asked for."""
        return True

    @property
    def takes_unsigned(self) -> bool:
        """Whether it has a form of its own for inputs that are never negative."""
        return False

    def unsigned_words(self) -> Driver:
        """The same driver for inputs that are never negative. Raises InputError where it has no form for them."""
        raise InputError(f"inputs: driver {self.kind} takes signed words alone (got unsigned)")

    def top(self, bits: int) -> int:
        """The largest count of an input."""
        return full_scale(bits)

    def counts(self, x: torch.Tensor, bits: int) -> torch.Tensor:
        """Inputs ``x``, any shape, as whole numbers N (same dtype as ``x``); negative ones are 0 where words have no
        sign."""
        top = self.top(bits)
        return torch.round(x * (top / self.x_max)).clamp_(-top if self.signed_words else 0, top)

    def lsb(self, bits: int) -> float:
        """Input value of one count."""
        return self.x_max / float(self.top(bits))

    def clipped(self, x: torch.Tensor) -> float:
        """Share of inputs beyond ``x_max`` [1]."""
        return float((x.abs() > self.x_max * (1 + 1e-6)).float().mean())

    @abstractmethod
    def phases(self, bits: int) -> int:
        """Integration phases of one product."""

    @abstractmethod
    def drive_clocks(self, bits: int) -> int:
        """Clock periods of one product, all phases together."""

    def window_s(self, bits: int) -> float:
        """Time of one product, over which slow noise of the cells is frozen and faster noise averages out [s]."""
        return self.drive_clocks(bits) * self.t_clk_s

    @abstractmethod
    def driven_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """Clock periods for which a line is driven, same shape."""

    def charge_counts(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """Charge through a cell on the line per ``G V_read T_clk``, same shape: time weighted by the line's voltage."""
        return self.driven_clocks(counts, bits)

    @abstractmethod
    def paired_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """Time for which two lines are driven at once, summed over all ordered pairs, ``(..., rows)`` to ``(...)``;
        weighted by the product of their voltages over V_read. What lines at 0 V sink behind wires follows from it."""

    def pulses(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """Pulses that a line sees, same shape; each charges and discharges it."""
        return (counts != 0).to(counts.dtype)

    def levels_V(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """Size of the voltage on a line while it is driven, same shape [V]; 0 where nothing is driven."""
        return (counts != 0) * self.v_read_V

    def build(self, rows: int, bits: int, *, rng: ChipStreams) -> DriverRead:
        """The drivers of ``rows`` lines on every chip, their errors drawn."""
        return DriverRead()

    @abstractmethod
    def actions(self, bits: int, *, rows: float, pulses: float, clocks: float) -> Counts:
        """What the drivers of ``rows`` lines do in one product, ``{component: {action: count}}``.

        ``pulses`` and ``clocks``: sums over the lines of ``pulses()`` and ``driven_clocks()``. The pulse on the line
        itself is counted with the line (``word_line``).
        """

    @abstractmethod
    def instances(self, bits: int, *, rows: float) -> Mapping[str, float]:
        """What has to be on the chip for ``rows`` lines, ``{component: count}``."""


@dataclass(frozen=True)
class DriverRead:
    """Drivers as built on chips: what they put on the lines in place of N.

    ``levels``: ``(chips, rows, top + 1)``, what a row's driver gives for ``|N| = 0 .. top`` [counts], or None for the
    whole numbers themselves; ``sigma``: standard deviation of every driven line in every product [counts]; ``offset``:
    ``(chips, rows)``, what a driven row's buffer adds, whatever the sign of N [counts].
    """

    levels: torch.Tensor | None = None
    sigma: float = 0.0
    offset: torch.Tensor | None = None

    def driven(self, counts: torch.Tensor, noise: BlockNoise) -> torch.Tensor:
        """What reaches the lines for ``counts (chips | 1, n, rows)``: ``(chips, n, rows)`` [counts]."""
        seen = counts
        if self.levels is not None:
            chips, rows, _ = self.levels.shape
            size = counts.abs().long().expand(chips, -1, rows).transpose(1, 2)
            seen = self.levels.gather(2, size).transpose(1, 2) * torch.where(counts < 0, -1.0, 1.0)
        if self.offset is not None:
            seen = seen + (counts != 0) * self.offset[:, None]
        if self.sigma > 0.0:
            seen = seen + (counts != 0) * self.sigma * noise.normal(counts.shape[2:])
        return seen
