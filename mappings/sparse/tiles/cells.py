"""One polarity of cells for values that are never negative, and what each encoding's conversions mean.

An activation's column current is brought into *units*: counts of the input times steps of the lowest digit of a part
of the weight. A 0/1 matrix under 0/1 inputs gives whole numbers of units, one for each partial product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from pydantic import Field

from crossbar import BitSlices, DifferentialPair, Encoded, Encoding, OffsetColumn
from devices import Device


@dataclass(frozen=True, kw_only=True)
class OneCell(Encoding):
    """Digits of a value of one sign, each on one cell: a 0/1 matrix takes a single cell an entry.

        W / w_max = q / (2^b - 1),   q = sum_p d_p 2^(k p),   G_p = g_min + (g_max - g_min) d_p / (2^k - 1)

    An off cell conducts ``g_min``, which is no weight. Its sum over the driven rows is taken off either by a
    **reference column** of off cells a digit and tile, which follows drift and costs bit lines and the reference's
    spread and noise, or **digitally** (``reference: digital``): the number of driven rows, which the control counts,
    times the nominal ``g_min``; the mean of what off cells really conduct then stays in. What neither takes off is the
    off cells' spread: it grows with the root of the rows driven at once, and limits them.

    Parameters
    ----------
    slice_bits : bits of one cell
    weight_bits : bits of a value; digits are converted apart and added digitally
    reference : ``column`` or ``digital``
    """

    kind: Literal["one_cell"] = "one_cell"
    slice_bits: Annotated[int, Interval(ge=1, le=8)] = 1
    weight_bits: Annotated[int, Interval(ge=1, le=16)] = 1
    reference: Literal["column", "digital"] = "column"

    def __post_init__(self) -> None:
        if self.slice_bits > self.weight_bits:
            raise ValueError(f"slice_bits must be at most weight_bits = {self.weight_bits} (got {self.slice_bits})")

    @property
    def slices(self) -> int:
        """Cells of one value."""
        return -(-self.weight_bits // self.slice_bits)

    def lay(
        self, level: torch.Tensor, w_max: torch.Tensor, clipped: float, device: Device, tile_of_column: torch.Tensor
    ) -> Encoded:
        """Digits from the lowest to the highest, then one reference column a tile where there is any."""
        k, base, top = self.slice_bits, 2**self.slice_bits, 2**self.weight_bits - 1
        window_S = device.g_max_S - device.g_min_S
        whole = torch.round(level.clamp(0.0, 1.0).double() * top).long()
        digits = torch.stack([(whole >> (k * p)) & (base - 1) for p in range(self.slices)])
        target = device.g_min_S + window_S / (base - 1) * digits.to(level.dtype)
        reference = None
        if self.reference == "column":
            tiles = int(tile_of_column.max()) + 1
            target = torch.cat([target, target.new_full((*target.shape[:2], tiles), device.g_min_S)], dim=2)
            reference = tile_of_column
        highest = float(2 ** (k * (self.slices - 1)))
        significance = tuple(2.0 ** (k * p) / highest for p in range(self.slices))
        scale_S = window_S / (base - 1) * top / highest / w_max
        return Encoded(target, scale_S, clipped, significance, tuple(range(self.slices)), reference)


AnySparseEncoding = Annotated[
    OneCell | DifferentialPair | OffsetColumn | BitSlices,
    Field(discriminator="kind"),
]
SPARSE_ENCODINGS: dict[str, type[Encoding]] = {
    "one_cell": OneCell,
    "differential": DifferentialPair,
    "offset": OffsetColumn,
    "bit_slices": BitSlices,
}


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
    """The parts of an encoding on a device; ``InputError`` is left to the chip."""
    nothing, tile = torch.zeros(1, 1), torch.zeros(1, dtype=torch.long)
    encoded = encoding.lay(nothing, torch.ones(1), 0.0, device, tile)
    references = encoded.planes if encoded.reference is not None else 0
    if isinstance(encoding, (OneCell, BitSlices)):
        k, steps, top = encoding.slice_bits, 2**encoding.slice_bits - 1, 2**encoding.weight_bits - 1
        step_S = (device.g_max_S - device.g_min_S) / steps
        highest = 2.0 ** (k * (encoding.slices - 1))
        if isinstance(encoding, BitSlices) and encoding.combine == "charge":
            return Parts((step_S / highest,), (float(top),), (1.0 / top,), 0.0, True, encoded.planes, references)
        digital = isinstance(encoding, OneCell) and encoding.reference == "digital"
        return Parts(
            tuple(step_S * 2.0 ** (k * p) / highest for p in range(encoding.slices)),
            (float(steps),) * encoding.slices,
            tuple(2.0 ** (k * p) / top for p in range(encoding.slices)),
            device.g_min_S if digital else 0.0,
            True,
            encoded.planes,
            references,
        )
    return Parts((float(encoded.scale_S[0]),), (1.0,), (1.0,), 0.0, False, encoded.planes, references)
