"""A chip's circuits without noise, offset or loss, for tests of what is around them."""

from __future__ import annotations

from typing import Any

from periphery import Comparator
from periphery.front_end import IdealFrontEnd
from periphery.supply import Regulated

COMPARATOR = Comparator(offset_V=0.0, noise_V=0.0)
COLUMN: dict[str, Any] = {"front_end": IdealFrontEnd(), "read_supply": Regulated(noise_V=0.0)}
FRONT_END: dict[str, Any] = COLUMN | {"ramp_front_end": IdealFrontEnd()}
CIRCUIT: dict[str, Any] = FRONT_END | {"comparator": COMPARATOR}
