"""One memory cell: what is stored, and how it errs.

``DEVICES`` is the list of all kinds, and what YAML may hold. A new kind is one file, one line here and one record in
``configs/devices``; the contract test runs over this dict.
"""

from __future__ import annotations

from typing import Annotated

from configs.errors import InputError
from devices.aihwkit_noise import AihwkitNoise
from devices.base import Cells, Device
from devices.gaussian import Gaussian
from devices.ideal import Ideal
from devices.kinds import OneOf
from devices.lognormal import LogNormal
from devices.measured import Measured
from devices.pcm import PCM
from devices.pcm_hermes import PCMHermes1, PCMHermes2
from devices.rram_cmo import CMO
from devices.rram_milo import MiloRRAM
from devices.rram_super_t import SuperT
from devices.rram_taox import TaOx
from devices.rram_wan import WanCubic, WanQuartic
from devices.sonos import SONOS
from devices.streams import BlockNoise, ChipStreams, Stream
from devices.taox_formed import FormedTaOx

DEVICES: dict[str, type[Device]] = {
    "ideal": Ideal,
    "gaussian": Gaussian,
    "lognormal": LogNormal,
    "pcm": PCM,
    "pcm_hermes_1": PCMHermes1,
    "pcm_hermes_2": PCMHermes2,
    "rram_superT": SuperT,
    "rram_taox": TaOx,
    "rram_wan_aihwkit": WanQuartic,
    "rram_wan_crosssim": WanCubic,
    "rram_cmo": CMO,
    "rram_milo": MiloRRAM,
    "taox_formed": FormedTaOx,
    "sonos": SONOS,
    "measured": Measured,
    "aihwkit": AihwkitNoise,
}

AnyDevice = Annotated[Device, OneOf(DEVICES)]

__all__ = [
    "CMO",
    "DEVICES",
    "PCM",
    "SONOS",
    "AihwkitNoise",
    "AnyDevice",
    "BlockNoise",
    "Cells",
    "ChipStreams",
    "Device",
    "FormedTaOx",
    "Gaussian",
    "Ideal",
    "InputError",
    "LogNormal",
    "Measured",
    "MiloRRAM",
    "PCMHermes1",
    "PCMHermes2",
    "Stream",
    "SuperT",
    "TaOx",
    "WanCubic",
    "WanQuartic",
]
