"""The supply that the read voltage comes from: what a coulomb through the cells costs, and how far the voltage moves.

Charge through the cells is drawn from a supply, not from the read voltage: a linear regulator or a class-A buffer takes
it at the supply's voltage, ``E = Q V_supply``; a rail at the read voltage takes ``Q V_read / efficiency`` and needs a
converter on the chip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from configs.errors import InputError
from devices.kinds import OneOf
from periphery.prices.scaling import nominal_supply_V


@dataclass(frozen=True, kw_only=True)
class ReadSupply(ABC):
    """What every supply of the read voltage has.

    Parameters
    ----------
    noise_V : standard deviation by which V_read differs between a product and its conversion, the same for all lines of
        a chip [V]; an estimate: integrated regulators move by 5.8 mV on a load step of 30 mA (doi
        10.54254/2755-2721/2025.20860)
    """

    kind: str
    noise_V: Annotated[float, Ge(0.0)] = 0.5e-3

    @abstractmethod
    def draw_V(self, v_read_V: float, node_nm: float) -> float:
        """Energy for a coulomb through the cells [V]; InputError where the supply cannot give V_read."""

    @property
    def area_m2(self) -> float:
        """Area of a converter on the chip [m2]."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Regulated(ReadSupply):
    """V_read is regulated linearly from the nominal supply of the node, which the charge is drawn from.

    Parameters
    ----------
    dropout_V : least voltage across the regulator [V]; an estimate
    quiescent_share : current of the regulators and row buffers themselves over that through the cells [1]; an estimate
    """

    kind: Literal["regulated"] = "regulated"
    dropout_V: Annotated[float, Ge(0.0)] = 0.1
    quiescent_share: Annotated[float, Interval(ge=0.0, le=10.0)] = 0.1

    def draw_V(self, v_read_V: float, node_nm: float) -> float:
        """``V_supply (1 + quiescent share)``."""
        supply_V = nominal_supply_V(node_nm)
        if v_read_V > supply_V - self.dropout_V + 1e-12:
            raise InputError(
                f"v_read_V: at most {supply_V - self.dropout_V:.3g} V, the supply of {supply_V:.3g} V less a dropout "
                f"of {self.dropout_V:g} V (got {v_read_V:g})"
            )
        return supply_V * (1.0 + self.quiescent_share)


@dataclass(frozen=True, kw_only=True)
class Rail(ReadSupply):
    """A switching converter gives a rail at V_read.

    Parameters
    ----------
    efficiency : of the converter [1]; an estimate
    converter_m2 : area of the converter [m2]; an estimate, as no area of an integrated one is on record
    """

    kind: Literal["rail"] = "rail"
    efficiency: Annotated[float, Interval(gt=0.0, le=0.95)] = 0.8
    converter_m2: Annotated[float, Interval(ge=1e-10, le=1e-4)] = 1e-8

    def draw_V(self, v_read_V: float, node_nm: float) -> float:
        """``V_read / efficiency``."""
        return v_read_V / self.efficiency

    @property
    def area_m2(self) -> float:
        """That of the converter."""
        return self.converter_m2


READ_SUPPLIES: dict[str, type[ReadSupply]] = {"regulated": Regulated, "rail": Rail}
AnyReadSupply = Annotated[ReadSupply, OneOf(READ_SUPPLIES, usual="regulated")]
