"""The driver that puts one bit of every input on its line at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from periphery.drivers.base import Counts, Driver, full_scale


@dataclass(frozen=True, kw_only=True)
class BitSerial(Driver):
    """One bit of every input at a time, each for the same time at V_read.

    A cell's read noise is frozen over a product (``docs/devices.md``): all bits meet the same conductance, and the
    column's variance is ``N^2 sigma^2`` as for one pulse. Where phases are converted apart, each gets the part of it
    that ``noise_planes`` says.

    Parameters
    ----------
    signed : ``two_phases`` (magnitude bits of positive inputs, then of negative ones) or ``twos_complement`` (n bits,
        the highest one with negative weight)
    accumulation : ``charge`` (bits are weighted on capacitors, one conversion a product) or ``digital`` (every bit's
        partial sum is converted separately, by a linear converter, then shifted and added)
    bit_clocks : clock periods of one bit
    """

    kind: Literal["bit_serial"] = "bit_serial"
    signed: Literal["two_phases", "twos_complement"] = "two_phases"
    accumulation: Literal["charge", "digital"] = "charge"
    bit_clocks: Annotated[int, Interval(ge=1, le=4096)] = 1

    @property
    def digital_accumulation(self) -> bool:
        """Whether each bit's partial sum is converted separately."""
        return self.accumulation == "digital"

    def weights(self, bits: int) -> list[float]:
        """What each phase counts, in its order in time, lowest bit first."""
        full_scale(bits)
        places = [float(2**place) for place in range(bits - 1)]
        if self.signed == "twos_complement":
            return [*places, -float(2 ** (bits - 1))]
        return [*places, *(-place for place in places)]

    def planes(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """Lines driven in each phase, ``(phases, *shape)`` of 0 and 1; ``N = sum_p weights[p] planes[p]``."""
        whole = counts.long()
        if self.signed == "twos_complement":
            planes = [(whole >> place) & 1 for place in range(bits)]
        else:
            planes = [
                (size >> place) & 1 for size in (whole.clamp_min(0), -whole.clamp_max(0)) for place in range(bits - 1)
            ]
        return torch.stack(planes).to(counts.dtype)

    def phases(self, bits: int) -> int:
        """``n`` bits of two's complement, or ``2 (n - 1)`` magnitude bits."""
        return len(self.weights(bits))

    def drive_clocks(self, bits: int) -> int:
        """``bit_clocks`` a phase."""
        return self.phases(bits) * self.bit_clocks

    def noise_planes(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """What multiplies ``sigma^2`` of a cell in each phase that is converted apart, ``(phases, *shape)``.

        Phases are drawn independently, although they meet one frozen cell. So ``N^2`` is shared out among the set bits
        by the squares of their weights: the sum of all phases has the exact variance, a phase alone up to 3 times its
        own (of two's complement, a small negative number less than its own).
        """
        planes = self.planes(counts, bits)
        squares = torch.tensor(self.weights(bits), dtype=counts.dtype, device=counts.device).square()
        independent = torch.tensordot(squares, planes, dims=1)
        shared: torch.Tensor = planes * (counts.square() / independent.clamp_min(1.0))
        return shared

    def count_clocks(self, bits: int) -> float:
        """A bit of weight one is driven for ``bit_clocks``."""
        return float(self.bit_clocks)

    def white_clocks(self, bits: int) -> float:
        """``sum_p w_p^2 bit_clocks`` over the phases."""
        return self.bit_clocks * sum(weight**2 for weight in self.weights(bits))

    @property
    def polarity_turns(self) -> bool:
        """Magnitude bits come once for either sign; the highest bit of two's complement has no counterpart."""
        return self.signed == "two_phases"

    def pulses(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """One for every bit that is set."""
        return self.planes(counts, bits).sum(0)

    def paired_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """All pairs of the lines whose bit is set, in every phase."""
        lines = self.planes(counts, bits).sum(-1).double()
        return (lines * (lines - 1.0)).sum(0) * float(self.bit_clocks)

    def driven_clocks(self, counts: torch.Tensor, bits: int) -> torch.Tensor:
        """``bit_clocks`` for every bit that is set."""
        return self.pulses(counts, bits) * float(self.bit_clocks)

    def actions(self, bits: int, *, rows: float, pulses: float, clocks: float) -> Counts:
        """Every row stores its input and puts one bit on its line a phase."""
        return {
            "bit_driver": {"drive_bit": rows * self.phases(bits)},
            "register": {"write_bit": rows * bits},
        }

    def instances(self, bits: int, *, rows: float) -> Mapping[str, float]:
        """A one-bit driver and the stored input of each row."""
        return {"bit_driver": rows, "register": rows * bits}
