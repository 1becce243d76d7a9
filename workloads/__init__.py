"""The jobs people run: data, model, training, figures.

``WORKLOADS`` is the list of them all. A workload of the user's own that is put into it before a file is read is allowed
in that file.
"""

from __future__ import annotations

from typing import Annotated, Any

from devices.kinds import OneOf
from workloads.charlm.settings import CharacterExperiment
from workloads.charlm.workload import CHARLM
from workloads.experiment import Experiment
from workloads.kws.settings import KeywordSpotting
from workloads.kws.workload import KWS
from workloads.lsm.settings import LiquidStateMachine
from workloads.lsm.workload import LSM
from workloads.network.settings import NetworkExperiment
from workloads.network.workload import NETWORK
from workloads.nladc import NLADC
from workloads.result import Panel, Result
from workloads.running import Progress, RunOptions
from workloads.spgemm.settings import SparseProduct
from workloads.spgemm.workload import SPGEMM
from workloads.workload import Workload
from workloads.zeroshot.settings import ZeroShot
from workloads.zeroshot.workload import ZEROSHOT

WORKLOADS: dict[str, Workload[Any]] = {
    "kws": KWS,
    "lsm": LSM,
    "network": NETWORK,
    "spgemm": SPGEMM,
    "zeroshot": ZEROSHOT,
    "nladc": NLADC,
    "charlm": CHARLM,
}

AnyExperiment = Annotated[Experiment[Any], OneOf(WORKLOADS, class_of=lambda workload: workload.experiment)]
AnySettings = Annotated[Any, OneOf(WORKLOADS, class_of=lambda workload: workload.settings)]

__all__ = [
    "WORKLOADS",
    "AnyExperiment",
    "AnySettings",
    "CharacterExperiment",
    "KeywordSpotting",
    "LiquidStateMachine",
    "NetworkExperiment",
    "Panel",
    "Progress",
    "Result",
    "RunOptions",
    "SparseProduct",
    "Workload",
    "ZeroShot",
]
