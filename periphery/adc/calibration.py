"""Ranges of converters from data: where to clip so that what is kept is resolved finely enough.

A wide range rounds coarsely, a narrow one clips; both are errors. ``max`` ends at the largest value (mid-tread, whose
highest code is one LSB below the range's end, that value is still clipped, by half an LSB), ``percentile`` clips a
stated share, ``minimum_error`` searches for the range with the least mean square of both errors together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from devices import InputError
from periphery.adc.grid import Grid, Levels

Method = Literal["max", "percentile", "minimum_error"]
Per = Literal["layer", "tile", "column"]
CANDIDATES = 48  # ranges tried at a time, evenly from nothing to the largest value
ROUNDS = 3  # each round looks between the neighbours of the best so far


@dataclass(frozen=True)
class Ranges:
    """Calibrated ranges ``low_z, high_z (ramps | 1, columns | 1)`` [z], float64, for converters of ``bits``.

    ``clipped``: share of the data beyond each range, same shape; ``error``: root mean square of rounding and clipping
    [z], same shape.
    """

    bits: int
    levels: Levels
    low_z: torch.Tensor
    high_z: torch.Tensor
    clipped: torch.Tensor
    error: torch.Tensor

    def grid(self, bits: int | None = None) -> Grid:
        """The grid of converters with these ranges."""
        return Grid(bits or self.bits, self.low_z, self.high_z, self.levels)

    @property
    def clipped_share(self) -> float:
        """Share of all data that is clipped [1]; all ranges weigh alike, as all have as much data."""
        return float(self.clipped.mean())


@dataclass(frozen=True, kw_only=True)
class RangeCalibration:
    """How ranges are chosen.

    Parameters
    ----------
    method : ``max``, ``percentile`` or ``minimum_error``
    per : one range for the ``layer``, for each ``tile`` (ramp group), or for each ``column``
    percentile : share of values that stays inside, by size [%]
    symmetric : a range with zero in its middle; else each end is chosen separately
    """

    method: Method = "minimum_error"
    per: Per = "tile"
    percentile: Annotated[float, Interval(gt=50.0, le=100.0)] = 99.9
    symmetric: bool = True

    def ranges(self, z: torch.Tensor, bits: int, levels: Levels = "mid_tread") -> Ranges:
        """Ranges for pre-activations ``z (..., ramps, columns)`` [z].

        Raises ``InputError`` for data that is empty or not finite, and where it leaves no range (all zero, all one
        value, or all but the share beyond the percentile), with the first ramp group and column where it does not.
        """
        if z.dim() < 2 or z.numel() == 0:
            raise InputError(f"calibration data: at least one value of every column (got shape {tuple(z.shape)})")
        if not bool(torch.isfinite(z).all()):
            bad = int((~torch.isfinite(z)).sum())
            raise InputError(f"calibration data: finite numbers (got {bad} of {z.numel()} that are not)")
        if not 50.0 < self.percentile <= 100.0:
            raise InputError(f"percentile: above 50 and at most 100 (got {self.percentile!r})")
        data, shape = self._groups(z.double())
        low, high = self._chosen(data, bits, levels, shape)
        seen = Grid(bits, low[:, None], high[:, None], levels)
        half = 0.5 * seen.lsb[:, 0]
        # A value is clipped where the nearest code is an end code and is more than half an LSB away.
        ends = seen.words(torch.tensor([[0.0, float(seen.top)]])).double()
        beyond = (data < ends[:, :1] - half[:, None]) | (data > ends[:, 1:] + half[:, None])
        return Ranges(
            bits,
            levels,
            low.reshape(shape),
            high.reshape(shape),
            beyond.double().mean(1).reshape(shape),
            _square_error(data, low, high, bits=bits, levels=levels).sqrt().reshape(shape),
        )

    def _groups(self, z: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """``(ranges, values)`` and the shape of the ranges."""
        ramps, columns = z.shape[-2:]
        flat = z.reshape(-1, ramps, columns)
        if self.per == "layer":
            return flat.reshape(1, -1), (1, 1)
        if self.per == "tile":
            return flat.transpose(0, 1).reshape(ramps, -1), (ramps, 1)
        return flat.permute(1, 2, 0).reshape(ramps * columns, -1), (ramps, columns)

    def _chosen(
        self, data: torch.Tensor, bits: int, levels: Levels, shape: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        most = data.abs().amax(1)
        low, high = (-most, most) if self.symmetric else (data.amin(1), data.amax(1))
        if self.method == "percentile":
            share = self.percentile / 100.0
            if self.symmetric:
                high = _quantile(data.abs(), share)
                low = -high
            else:
                low, high = _quantile(data, 1.0 - share), _quantile(data, share)
        if bool((low >= high).any()):
            raise InputError(self._no_range(data, int((low >= high).nonzero()[0]), shape))
        Grid(bits, low[:, None], high[:, None], levels)
        if self.method != "minimum_error":
            return low, high
        error = partial(_square_error, data, bits=bits, levels=levels)
        # Mid-tread codes end one LSB below the range: wide enough that the highest one reaches the largest value.
        codes, short = 2.0**bits, levels == "mid_tread" and bits > 1
        if self.symmetric:
            best = _search(lambda at: error(-at, at), torch.zeros_like(high), high * (codes / (codes - 2 * short)))
            return -best, best
        middle, widest = data.median(1).values, high + (high - low) * (short / (codes - 1))
        for _ in range(2):
            high = _search(partial(error, low), middle, widest)
            low = _search(partial(error, high=high), middle, data.amin(1))
        return low, high

    def _no_range(self, data: torch.Tensor, row: int, shape: tuple[int, int]) -> str:
        """Why the data of one range leave none, and which data they are."""
        ramp, column = divmod(row, shape[1])
        whose = {"layer": "the layer", "tile": f"ramp group {ramp}", "column": f"column {column} of ramp group {ramp}"}
        values = data[row]
        one = float(values[0])
        if bool((values == one).all()):
            return f"calibration data: a range of values (got {one:g} alone in {whose[self.per]})"
        return (
            f"calibration data: a range of values within the {self.percentile:g} % percentile (got one value in "
            f"{whose[self.per]}, others beyond it); a higher percentile or minimum_error keeps them"
        )


def _quantile(data: torch.Tensor, share: float) -> torch.Tensor:
    """Value below which there is a ``share`` of each row; by rank, since ``torch.quantile`` refuses long rows."""
    rank = min(max(round(share * data.shape[1]), 1), data.shape[1])
    return data.kthvalue(rank, dim=1).values


def _search(error: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Each row's end of the range with the least error, between ``start`` (excluded) and ``end``."""
    first, last = start + (end - start) / CANDIDATES, end
    best = last
    for _ in range(ROUNDS):
        shares = torch.linspace(0.0, 1.0, CANDIDATES, dtype=torch.float64)
        tried = first + (last - first) * shares[:, None]
        errors = torch.stack([error(at) for at in tried])
        at = errors.argmin(0)
        best = tried.gather(0, at[None])[0]
        below, above = (
            tried.gather(0, near[None])[0] for near in ((at - 1).clamp_min(0), (at + 1).clamp_max(CANDIDATES - 1))
        )
        first, last = below, above
    return best


def _square_error(data: torch.Tensor, low: torch.Tensor, high: torch.Tensor, bits: int, levels: Levels) -> torch.Tensor:
    """Mean square of rounding and clipping, one number a row; infinite where the range is none."""
    top = 2**bits - 1
    lsb = ((high - low) / 2.0**bits)[:, None]
    base = low[:, None] + (0.0 if levels == "mid_tread" else 0.5 * lsb)
    codes = torch.floor((data - base) / lsb + 0.5).clamp(0, top)
    return (base + codes * lsb - data).square().mean(1)
