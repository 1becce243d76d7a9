"""Liquid state machines as the rest of mho sees them."""

from __future__ import annotations

from typing import get_args

from workloads.lsm.data import SplitName
from workloads.lsm.run import run
from workloads.lsm.settings import LiquidStateMachine
from workloads.result import SHARE
from workloads.running import silent
from workloads.workload import Workload

LSM = Workload(
    settings=LiquidStateMachine,
    figures=dict.fromkeys(("accuracy", *(f"accuracy_{split}" for split in get_args(SplitName))), SHARE),
    run=run,
    on_gpu=True,
    data_digest=lambda how, data: how.data.find(data, silent).digest,
    same_data=True,
)
