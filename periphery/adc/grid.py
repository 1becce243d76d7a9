"""The even grid onto which a linear converter brings its input: range, codes, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from devices import InputError

Levels = Literal["mid_tread", "mid_rise"]


@dataclass(frozen=True)
class Grid:
    """Codes ``0 .. 2^bits - 1`` over the range ``low .. high`` [z], one LSB ``(high - low) / 2^bits`` apart.

    ``mid_tread``: code c means ``low + c LSB``, so that zero is a level of a range around zero; ``mid_rise``:
    ``low + (c + 1/2) LSB``, as many levels above zero as below. A code begins half an LSB below its level, that input
    included: a tie goes up. The range is a number, or a tensor ``(ramps | 1, columns | 1)`` of one for each tile or
    each column; a range for one column takes a reference for that column.

    Raises ``InputError`` for bits outside 1 to 12 and for a range that is empty, upside down or not finite.
    """

    bits: int
    low: float | torch.Tensor
    high: float | torch.Tensor
    levels: Levels = "mid_tread"

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or self.bits not in range(1, 13):
            raise InputError(f"bits: 1 to 12 for a converter (got {self.bits!r})")
        low, high = (torch.as_tensor(end, dtype=torch.float64) for end in (self.low, self.high))
        wrong = ~(torch.isfinite(low) & torch.isfinite(high) & (low < high))
        if bool(wrong.any()):
            where = int(wrong.flatten().nonzero()[0])
            first = [float(end.expand(wrong.shape).flatten()[where]) for end in (low, high)]
            raise InputError(
                f"range: two finite numbers, the low end below the high one (got {first[0]:g}, {first[1]:g})"
            )

    @property
    def lsb(self) -> torch.Tensor:
        """One step, ``(ramps | 1, columns | 1)`` [z], float64."""
        return self._span() / float(2**self.bits)

    @property
    def first(self) -> torch.Tensor:
        """Where code 0 would begin, ``(ramps | 1, columns | 1)`` [LSB], float64; code c begins at ``first + c``."""
        return self._end(self.low) / self.lsb - (0.5 if self.levels == "mid_tread" else 0.0)

    @property
    def top(self) -> int:
        """The highest code."""
        return int(2**self.bits) - 1

    @property
    def origin(self) -> float:
        """Where code 0 would begin, in the frame of ``units``: one range keeps its zero, so that ties stay exact."""
        return float(self.first) if self.first.numel() == 1 else 0.0

    def units(self, z: torch.Tensor, gain: torch.Tensor | float = 1.0) -> torch.Tensor:
        """``z (..., ramps, columns)`` in LSB, as a reference sees it that is ``1 / gain`` of its design.

        Code c begins at ``origin + c``; columns with different ranges are each moved to a common origin.
        """
        u = z * gain / self.lsb.to(z)
        return u if self.first.numel() == 1 else u - self.first.to(z)

    def words(self, codes: torch.Tensor) -> torch.Tensor:
        """Values of codes ``(..., ramps, columns)`` [z], float32."""
        steps = codes + (self.first + 0.5).float().to(codes.device)
        return steps * self.lsb.float().to(codes.device)

    def _span(self) -> torch.Tensor:
        return self._end(self.high) - self._end(self.low)

    @staticmethod
    def _end(end: float | torch.Tensor) -> torch.Tensor:
        return (
            torch.as_tensor(end, dtype=torch.float64).reshape(1, 1)
            if not isinstance(end, torch.Tensor)
            else end.double()
        )
