"""An array of cells: weights in, column charges out.

``ENCODINGS`` is the list of all ways in which a signed weight becomes conductances.
"""

from __future__ import annotations

from typing import Annotated

from crossbar.array import Array, ArrayRead
from crossbar.differential import DifferentialPair
from crossbar.encoding import Encoded, Encoding
from crossbar.offset import OffsetColumn
from crossbar.slices import BitSlices
from devices.kinds import OneOf

ENCODINGS: dict[str, type[Encoding]] = {
    "differential": DifferentialPair,
    "offset": OffsetColumn,
    "bit_slices": BitSlices,
}

AnyEncoding = Annotated[Encoding, OneOf(ENCODINGS, usual="differential")]

__all__ = [
    "ENCODINGS",
    "AnyEncoding",
    "Array",
    "ArrayRead",
    "BitSlices",
    "DifferentialPair",
    "Encoded",
    "Encoding",
    "OffsetColumn",
]
