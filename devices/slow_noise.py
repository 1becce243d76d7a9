"""Slow 1/f noise as one path per cell, so that a cell read at one hour and at one day is the same cell.

Published models give the marginal distribution at one time: a standard deviation ``q sqrt(u(t))`` with ``u`` the
logarithm of the time since programming. Here ``n(t) = q W(u(t))`` with W a Brownian motion in ``u``. It has the
published variance at every time, and the correlation ``sqrt(u1 / u2)`` between two times. W is drawn at a few knots and
interpolated between them with the variance restored, so any time can be asked in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import torch
from annotated_types import Ge, Gt

from configs.errors import InputError
from devices.base import Device
from devices.streams import ChipStreams

S = TypeVar("S", bound="SlowlyNoisy")

KNOTS_S = (0.0, 60.0, 3600.0, 86400.0, 2592000.0, 31536000.0, 315360000.0)


def accumulated(t_s: float, t_read_s: float) -> float:
    """``u = ln((t + t_read) / (2 t_read))`` [1], the variance that 1/f noise has accumulated at the age ``t_s``."""
    return math.log((t_s + t_read_s) / (2.0 * t_read_s))


def too_late(t_s: float) -> str:
    """Why there is no path at that time, or an empty text."""
    late = t_s > KNOTS_S[-1]
    return f"t_s must be at most {KNOTS_S[-1]:g} s, ten years (got {t_s:g} s)" if late else ""


def slow_path(
    slow: ChipStreams | None, like: torch.Tensor, t_s: float, log_time: Callable[[float], float]
) -> torch.Tensor:
    """W(u(t)) of every cell: variance exactly ``u = log_time(t_s)``, the same path whenever it is asked for.

    ``like`` has shape ``(chips, ...)``, as has the result. Raises InputError beyond the last knot, ten years.
    """
    assert slow is not None
    knots = [log_time(t) for t in KNOTS_S]
    u = log_time(t_s)
    if reason := too_late(t_s):
        raise InputError(reason)
    low = torch.zeros_like(like)
    u_low = 0.0
    for number, u_high in enumerate(knots):
        step = slow.child("knot", number).normal_like(like)
        if u <= u_high:
            share = (u - u_low) / (u_high - u_low)
            path = low + share * math.sqrt(u_high - u_low) * step
            variance = u_low + share**2 * (u_high - u_low)
            return path.mul_(math.sqrt(u / variance))
        low += math.sqrt(u_high - u_low) * step
        u_low = u_high
    raise AssertionError("unreachable: u is below the last knot")


@dataclass(frozen=True, kw_only=True)
class SlowlyNoisy(Device):
    """A published cell with a programming error and accumulated 1/f noise, either of which may be scaled.

    Parameters
    ----------
    programming_scale, slow_noise_scale : multiply the programming error and the 1/f noise; 0 is off [1]
    t_read_s : duration of a read, over which 1/f noise averages out, where a driver does not state it [s]
    """

    status: str = "published"
    programming_scale: Annotated[float, Ge(0.0)] = 1.0
    slow_noise_scale: Annotated[float, Ge(0.0)] = 1.0
    t_read_s: Annotated[float, Gt(0.0)]

    def read_within(self: S, window_s: float) -> S:
        """The same device with 1/f noise down to this window."""
        return replace(self, t_read_s=window_s)

    def too_late(self, aged_s: float) -> str:
        """After the last knot of the slow noise."""
        return too_late(aged_s) if self.slow_noise_scale > 0.0 else ""
