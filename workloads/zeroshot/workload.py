"""Zero-shot retrieval as the rest of mho sees it."""

from __future__ import annotations

from workloads.stored import files_digest
from workloads.workload import Workload
from workloads.zeroshot.run import run
from workloads.zeroshot.settings import ZeroShot
from workloads.zeroshot.tables import FIGURES

ZEROSHOT = Workload(
    settings=ZeroShot, figures=FIGURES, run=run, on_gpu=True, data_digest=lambda how, data: files_digest(data)
)
