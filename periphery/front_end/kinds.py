"""All kinds of front ends: ``FRONT_ENDS`` is the list, ``AnyFrontEnd`` what YAML may hold under ``front_end:``."""

from __future__ import annotations

from typing import Annotated

from devices.kinds import OneOf
from periphery.front_end.base import FrontEnd
from periphery.front_end.integrator import Integrator
from periphery.front_end.transimpedance import Transimpedance

FRONT_ENDS: dict[str, type[FrontEnd]] = {"integrator": Integrator, "transimpedance": Transimpedance}

AnyFrontEnd = Annotated[FrontEnd, OneOf(FRONT_ENDS, usual="integrator")]
