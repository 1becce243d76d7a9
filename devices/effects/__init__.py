"""What a real array adds to its cells, composable with any device.

``EFFECTS`` is the list of all kinds, in the order of a cell's life, in which a device must list them too. A new kind
is one file and one line here; the contract test runs every device with a stack of them.
"""

from __future__ import annotations

from typing import Annotated

from devices.effects.effect import STAGES, Draws, Effect, Faults, Marks, Window, in_order
from devices.effects.levels import DiscreteLevels
from devices.effects.program_verify import ProgramVerify
from devices.effects.read_disturb import ReadDisturb
from devices.effects.retention import Retention
from devices.effects.spread import ConductanceSpread
from devices.effects.stuck import Stuck
from devices.effects.temperature import Temperature
from devices.effects.write import WriteCost, WriteRecord
from devices.kinds import OneOf

EFFECTS: dict[str, type[Effect]] = {
    "levels": DiscreteLevels,
    "program_verify": ProgramVerify,
    "spread": ConductanceSpread,
    "retention": Retention,
    "read_disturb": ReadDisturb,
    "stuck": Stuck,
    "temperature": Temperature,
}

AnyEffect = Annotated[Effect, OneOf(EFFECTS)]

__all__ = [
    "EFFECTS",
    "STAGES",
    "AnyEffect",
    "Draws",
    "Effect",
    "Faults",
    "DiscreteLevels",
    "Marks",
    "ProgramVerify",
    "ReadDisturb",
    "Retention",
    "ConductanceSpread",
    "Stuck",
    "Temperature",
    "Window",
    "WriteCost",
    "WriteRecord",
    "in_order",
]
