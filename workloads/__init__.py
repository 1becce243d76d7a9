"""The jobs people run: data, model, training, metrics.

``WORKLOADS`` is the list of all kinds of experiment.
"""

from __future__ import annotations

from workloads.kws.experiment import KeywordSpotting
from workloads.result import Panel, Progress, Result

WORKLOADS: dict[str, type[KeywordSpotting]] = {"kws": KeywordSpotting}

AnyExperiment = KeywordSpotting

__all__ = ["WORKLOADS", "AnyExperiment", "KeywordSpotting", "Panel", "Progress", "Result"]
