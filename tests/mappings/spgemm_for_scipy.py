"""A pytest plugin for SciPy's own tests: every product of two sparse matrices is ``mho.spgemm``'s.

What spgemm does not take (complex and wider numbers, 1-D factors) stays SciPy's and is counted. The counts are written
to the file that ``SPGEMM_COUNTS`` names: products replaced, products left to SciPy, and those whose values are of
another type or not the same.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scipy.sparse import csr_array
from scipy.sparse._compressed import _cs_matrix

import mho

counts: Counter[str] = Counter()
differ: Counter[str] = Counter()


def _replaced(usual: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def product(self: Any, other: Any) -> Any:
        theirs = usual(self, other)
        if self.ndim != 2 or other.ndim != 2:
            counts["SciPy's"] += 1
            return theirs
        try:
            ours = mho.spgemm(csr_array(self), csr_array(other))
        except mho.InputError:
            counts["SciPy's"] += 1
            return theirs
        counts["replaced"] += 1
        ours.eliminate_zeros()  # SciPy drops what sums to 0
        plain = csr_array(theirs)
        plain.eliminate_zeros()
        if ours.dtype != theirs.dtype or (ours != plain).nnz:
            differ[f"{self.dtype} x {other.dtype}: {ours.dtype}, not {theirs.dtype}"] += 1
        return theirs.__class__(ours.astype(theirs.dtype))

    return product


def pytest_configure(config: Any) -> None:
    _cs_matrix._matmul_sparse = _replaced(_cs_matrix._matmul_sparse)


def pytest_unconfigure(config: Any) -> None:
    Path(os.environ["SPGEMM_COUNTS"]).write_text(json.dumps({**counts, "differ": differ}))
