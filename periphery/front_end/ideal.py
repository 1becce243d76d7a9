"""A front end without error, for chips that show what quantisation alone costs; no configuration can name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from periphery.front_end.base import FrontEnd
from periphery.front_end.design import FrontEndDesign, Settling
from periphery.front_end.load import ColumnLoad


@dataclass(frozen=True, kw_only=True)
class IdealFrontEnd(FrontEnd):
    """A column whose charge arrives whole and without noise."""

    kind: Literal["ideal"] = "ideal"

    def supply(self, *, node_nm: float, temperature_K: float, read_V: float) -> float:
        """None: it draws nothing."""
        return 0.0

    def solved(self, load: ColumnLoad, supply_V: float, near_A: float | None = None) -> FrontEndDesign:
        """The swing over the range, and nothing else."""
        return FrontEndDesign(
            load=load,
            capacitor="mim",
            capacitor_F=0.0,
            capacitor_m2=0.0,
            division=1.0,
            volts_per_z=self.swing_V / load.range_z,
            swing_V=self.swing_V,
            bias_A=0.0,
            supply_V=supply_V,
            area_m2=0.0,
            mirror_sigma=0.0,
            capacitor_sigma=0.0,
            noises=(),
            offsets=(),
            losses=(),
            settling=Settling(b0_s=1e-30, lag0_s=0.0, pulse_s=1.0, settle_s=1.0),
        )
