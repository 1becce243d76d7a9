"""An array of cells: weights in, column charges out."""

from __future__ import annotations

from crossbar.array import Array, ArrayRead
from crossbar.encoding import DifferentialPair, Encoded

__all__ = ["Array", "ArrayRead", "DifferentialPair", "Encoded"]
