"""The character model, as the rest of mho sees it."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from workloads.charlm.run import check, run
from workloads.charlm.settings import CharacterExperiment
from workloads.charlm.tables import FIGURES
from workloads.charlm.text import text_of
from workloads.workload import Workload


def data_digest(settings: CharacterExperiment, data: Path | None) -> str:
    """Of the text."""
    return text_of(settings.data, data).digest


def trained_for(settings: CharacterExperiment) -> Hashable:
    """What a network is trained for: points of a sweep that are equal in it share a run."""
    return None if settings.hardware_training is None else repr(settings.default.chips)


CHARLM = Workload(
    settings=CharacterExperiment,
    figures=FIGURES,
    run=run,
    on_gpu=True,
    data_digest=data_digest,
    data_keys=("data",),
    same_data=True,
    independent_variants=True,
    number_format=trained_for,
    check=check,
)
