"""What each encoding's conversions stand for, in units.

An activation's column current is brought into *units*: counts of the input times steps of the lowest digit of a part
of the weight. A 0/1 matrix under 0/1 inputs gives whole numbers of units, one for each partial product.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossbar import Digits, Encoding, OneCell, RelativeWeights
from devices import Device


@dataclass(frozen=True)
class Parts:
    """What the conversions of one column mean; a part is a set of planes that are converted together.

    Parameters
    ----------
    unit_S : conductance of one unit of each part, as its ``difference_S`` shows it [S]
    top : largest size of one cell's digit in each part [units]
    weight : what one unit of each part is of the full scale of a weight [1]
    baseline_S : conductance that every driven row adds to each part and that no reference takes off [S]
    digital : whether values are rounded to digits, so that sums are whole numbers of units
    planes, references : cells of a value, and reference columns of a tile
    """

    unit_S: tuple[float, ...]
    top: tuple[float, ...]
    weight: tuple[float, ...]
    baseline_S: float
    digital: bool
    planes: int
    references: int

    def __len__(self) -> int:
        return len(self.unit_S)


def parts_of(encoding: Encoding, device: Device) -> Parts:
    """The parts of an encoding on a device; ``InputError`` is left to the chip, which knows the name of the place."""
    nothing = RelativeWeights(torch.zeros(1, 1), torch.ones(1), torch.zeros(1, dtype=torch.long))
    encoded = encoding.lay(nothing, device)
    references = encoded.planes if encoded.reference is not None else 0
    if not isinstance(encoding, Digits):
        return Parts((float(encoded.scale_S[0]),), (1.0,), (1.0,), 0.0, False, encoded.planes, references)
    unit_S, sizes, top = encoding.unit_S(device), encoding.significance, float(encoding.top_digit)
    if encoded.parts == 1:
        sizes, top = sizes[:1], float(encoding.top)
    baseline_S = device.g_min_S if isinstance(encoding, OneCell) and encoding.reference == "digital" else 0.0
    return Parts(
        tuple(unit_S * size for size in sizes),
        (top,) * len(sizes),
        tuple(size / sizes[0] / encoding.top for size in sizes),
        baseline_S,
        True,
        encoded.planes,
        references,
    )
