"""Sparse matrix products as the rest of mho sees them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from devices import Stream
from workloads.spgemm.run import run
from workloads.spgemm.settings import SparseProduct
from workloads.spgemm.tables import FIGURES
from workloads.workload import Workload

COUNTS = (
    *("tiles", "passes", "utilisation", "rows_at_once", "activations", "row_drives", "products", "touched"),
    *("conversions", "cells_written", "products_per_activation", "products_per_word"),
)


def data_digest(settings: SparseProduct, data: Path | None) -> str:
    """Of all matrices that were named; a random graph is in the settings."""
    found = settings.data.find(data, rng=Stream.root(settings.seed))
    if found.synthetic:
        return ""
    return hashlib.sha256(" ".join(each.digest for each in (found.main, *found.others)).encode()).hexdigest()


SPGEMM = Workload(settings=SparseProduct, figures=FIGURES, counts=COUNTS, run=run, data_digest=data_digest)
