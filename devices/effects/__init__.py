"""What a real array adds to its cells, composable with any device.

``EFFECTS`` is the list of all kinds. A new kind is one file and one line here; the contract test runs every device
with a stack of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from devices.effects.effect import Draws, Effect, Marks, Window, in_order
from devices.effects.spread import Spread
from devices.effects.stuck import Stuck
from devices.effects.write import WriteCost, WriteRecord

EFFECTS: dict[str, type[Effect]] = {
    "spread": Spread,
    "stuck": Stuck,
}

AnyEffect = Annotated[Spread | Stuck, Field(discriminator="kind")]

__all__ = [
    "EFFECTS",
    "AnyEffect",
    "Draws",
    "Effect",
    "Marks",
    "Spread",
    "Stuck",
    "Window",
    "WriteCost",
    "WriteRecord",
    "in_order",
]
