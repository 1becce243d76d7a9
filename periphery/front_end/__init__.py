"""The circuit between a column and its converter: from charge to volts, with what it costs in noise, bias and area."""

from __future__ import annotations

from periphery.front_end.base import FrontEnd
from periphery.front_end.design import BudgetLine, FrontEndDesign
from periphery.front_end.ideal import IdealFrontEnd
from periphery.front_end.integrator import Integrator
from periphery.front_end.kinds import FRONT_ENDS, AnyFrontEnd
from periphery.front_end.load import ColumnLoad
from periphery.front_end.transimpedance import Transimpedance

__all__ = [
    "FRONT_ENDS",
    "AnyFrontEnd",
    "BudgetLine",
    "ColumnLoad",
    "FrontEnd",
    "FrontEndDesign",
    "IdealFrontEnd",
    "Integrator",
    "Transimpedance",
]
