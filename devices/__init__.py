"""One memory cell: what is stored, and how it errs.

``DEVICES`` is the list of all kinds. A new kind is one file, one line here and one record in ``configs/devices``; the
contract test runs over this dict.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from devices.base import Cells, Device
from devices.errors import InputError
from devices.gaussian import Gaussian
from devices.ideal import Ideal
from devices.measured import Measured
from devices.pcm import PCM
from devices.rram_milo import MiloRRAM
from devices.rram_taox import TaOx
from devices.streams import BlockNoise, ChipStreams, Stream
from devices.taox_formed import FormedTaOx

DEVICES: dict[str, type[Device]] = {
    "ideal": Ideal,
    "gaussian": Gaussian,
    "pcm": PCM,
    "rram_taox": TaOx,
    "rram_milo": MiloRRAM,
    "taox_formed": FormedTaOx,
    "measured": Measured,
}

AnyDevice = Annotated[Ideal | Gaussian | PCM | TaOx | MiloRRAM | FormedTaOx | Measured, Field(discriminator="kind")]

__all__ = [
    "DEVICES",
    "PCM",
    "AnyDevice",
    "BlockNoise",
    "Cells",
    "ChipStreams",
    "Device",
    "FormedTaOx",
    "Gaussian",
    "Ideal",
    "InputError",
    "Measured",
    "MiloRRAM",
    "Stream",
    "TaOx",
]
