"""Any network, as the rest of mho sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from pathlib import Path

from configs.bounded import expanded, read_file
from workloads.network.figures import FIGURES
from workloads.network.model import files_of
from workloads.network.run import check, run
from workloads.network.settings import NetworkExperiment
from workloads.workload import Workload


def data_digest(settings: NetworkExperiment, data: Path | None) -> str:
    """Of the files that hold samples and network."""
    file = settings.data.file if data is None else data
    content = b"" if file is None else read_file(expanded(file))
    return hashlib.sha256(content + files_of(settings.model).encode()).hexdigest()


def trained_for(settings: NetworkExperiment) -> Hashable:
    """What a network is trained for: points of a sweep that are equal in it share a run."""
    return None if settings.hardware_training is None else repr(settings.default.chips)


NETWORK = Workload(
    settings=NetworkExperiment,
    figures=FIGURES,
    run=run,
    on_gpu=True,
    data_digest=data_digest,
    number_format=trained_for,
    data_keys=("data", "model"),
    independent_variants=True,
    takes_module=True,
    check=check,
)
