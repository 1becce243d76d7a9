"""The cell of a textbook: it keeps what it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devices.base import Device


@dataclass(frozen=True, kw_only=True)
class Ideal(Device):
    """A conductance without error, drift or noise; the reference for all devices."""

    kind: Literal["ideal"] = "ideal"
    g_min_S: float = 0.0
    g_max_S: float = 100e-6
    status: str = "ideal"
