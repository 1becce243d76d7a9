"""The jobs people run: data, model, training, metrics.

``WORKLOADS`` is the list of all kinds of experiment.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from workloads.kws.run import KeywordSpotting
from workloads.lsm.run import LiquidStateMachine
from workloads.result import Panel, Progress, Result
from workloads.spgemm.run import SparseProduct
from workloads.zeroshot.run import ZeroShot

WORKLOADS: dict[str, type[KeywordSpotting] | type[LiquidStateMachine] | type[SparseProduct] | type[ZeroShot]] = {
    "kws": KeywordSpotting,
    "lsm": LiquidStateMachine,
    "spgemm": SparseProduct,
    "zeroshot": ZeroShot,
}

AnyExperiment = Annotated[KeywordSpotting | LiquidStateMachine | SparseProduct | ZeroShot, Field(discriminator="kind")]

__all__ = [
    "WORKLOADS",
    "AnyExperiment",
    "KeywordSpotting",
    "LiquidStateMachine",
    "Panel",
    "Progress",
    "Result",
    "SparseProduct",
    "ZeroShot",
]
