"""An array of cells: weights in, column charges out.

``ENCODINGS`` is the list of all ways in which a signed weight becomes conductances, and what YAML may hold. A new one
is one file and one line here.
"""

from __future__ import annotations

from typing import Annotated

from crossbar.array import Array, ArrayRead
from crossbar.differential import DifferentialPair
from crossbar.digits import Digits
from crossbar.encoding import Encoded, Encoding, RelativeWeights
from crossbar.offset import OffsetColumn
from crossbar.one_cell import OneCell
from crossbar.slices import BitSlices
from devices.kinds import OneOf

ENCODINGS: dict[str, type[Encoding]] = {
    "differential": DifferentialPair,
    "offset": OffsetColumn,
    "bit_slices": BitSlices,
}
# Of values that are never negative, beside those of signed weights.
SPARSE_ENCODINGS: dict[str, type[Encoding]] = {"one_cell": OneCell}

AnyEncoding = Annotated[Encoding, OneOf(ENCODINGS, usual="differential")]
AnySparseEncoding = Annotated[Encoding, OneOf(SPARSE_ENCODINGS, ENCODINGS)]

__all__ = [
    "ENCODINGS",
    "SPARSE_ENCODINGS",
    "AnyEncoding",
    "AnySparseEncoding",
    "Array",
    "ArrayRead",
    "BitSlices",
    "DifferentialPair",
    "Digits",
    "Encoded",
    "Encoding",
    "OffsetColumn",
    "OneCell",
    "RelativeWeights",
]
