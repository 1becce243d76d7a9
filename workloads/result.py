"""What every workload hands back: the contract between a job and the run directory.

``docs/run_directory.md`` describes the tables and their columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass
class Result:
    """One finished job.

    ``metrics``: the body of ``metrics.json`` (without experiment, seed, digest and wall time); ``tables``: name to
    table, each written as ``NAME.csv``; ``trace``: events for the trace viewer; ``stages``: seconds by stage; ``cite``:
    keys of the papers behind what was used.
    """

    metrics: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    trace: dict[str, Any]
    data: dict[str, Any]
    stages: dict[str, float] = field(default_factory=dict)
    cite: tuple[str, ...] = ()
