"""Two operations instead of + and x: what a sparse product computes when it is not arithmetic.

The shortest two-hop path is a product in which x is + and + is min; reachability is one over true and false.
J. Kepner, J. Gilbert (eds.), "Graph Algorithms in the Language of Linear Algebra", SIAM 2011, doi
10.1137/1.9780898719918.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mappings.sparse.exact.kernel import MAX_MIN, MIN_PLUS, PLUS_TIMES


@dataclass(frozen=True)
class Semiring:
    """How two values multiply and how products merge; an entry that is not stored is the neutral element of merging.

    ``code``: what the compiled kernel calls it; ``boolean``: values are true (not 0) and false.
    """

    name: str
    code: int
    boolean: bool = False

    def empty(self, dtype: np.dtype[Any]) -> Any:
        """What a slot holds before any product has met it, as an array of one."""
        if self.code != MIN_PLUS:
            return np.zeros(1, dtype)
        return np.full(1, np.inf if dtype.kind == "f" else np.iinfo(dtype).max, dtype)


SEMIRINGS: dict[str, Semiring] = {
    "plus_times": Semiring("plus_times", PLUS_TIMES),
    "min_plus": Semiring("min_plus", MIN_PLUS),
    "boolean": Semiring("boolean", MAX_MIN, boolean=True),
}
