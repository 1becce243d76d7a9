"""What encodings share that cut a number into digits, each on cells with few levels.

q = sum_p d_p 2^(k p),   0 <= d_p < 2^k,   p = 0 .. ceil(b / k) - 1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Interval

from crossbar.encoding import Encoding
from devices import Device


@dataclass(frozen=True, kw_only=True)
class Digits(Encoding):
    """Whole numbers of ``weight_bits`` bits in slices of ``slice_bits``."""

    slice_bits: Annotated[int, Interval(ge=1, le=8)]
    weight_bits: Annotated[int, Interval(ge=1, le=16)]

    def __post_init__(self) -> None:
        if self.slice_bits > self.weight_bits:
            raise ValueError(f"slice_bits must be at most weight_bits = {self.weight_bits} (got {self.slice_bits})")

    @property
    def slices(self) -> int:
        """Digits of one number."""
        return -(-self.weight_bits // self.slice_bits)

    @property
    def top(self) -> int:
        """The largest number."""
        return int(2**self.weight_bits) - 1

    @property
    def top_digit(self) -> int:
        """The largest digit."""
        return int(2**self.slice_bits) - 1

    @property
    def significance(self) -> tuple[float, ...]:
        """What each digit counts, the lowest first, as a share of the highest one [1]."""
        places = range(1 - self.slices, 1)
        return tuple(2.0 ** (self.slice_bits * place) for place in places)

    def unit_S(self, device: Device) -> float:
        """Conductance of one step of a digit [S]."""
        return (device.g_max_S - device.g_min_S) / self.top_digit

    def digits(self, whole: torch.Tensor) -> torch.Tensor:
        """Digits of whole numbers of any shape, ``(slices, ...)``, the lowest first."""
        return torch.stack([(whole >> (self.slice_bits * p)) & self.top_digit for p in range(self.slices)])

    def scale_S(self, w_max: torch.Tensor, device: Device) -> torch.Tensor:
        """Siemens per unit of weight, as the highest digit's cells carry it, shape of ``w_max``."""
        return self.unit_S(device) * self.top * self.significance[0] / w_max
