"""One weight matrix on tiles: from pulse widths to pre-activations.

A matrix with more rows than a tile is cut into row tiles. With ``partial_sums: charge`` the bit lines of the tiles
above each other share one integrator, so the charge is the whole sum and one product describes it. With ``digital``
each tile is converted linearly and the words are added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossbar import Array, ArrayRead
from devices import ChipStreams, InputError
from mappings.chip import Chip


def rows_of(weight: torch.Tensor, bias: torch.Tensor | None, *, chip: Chip) -> tuple[torch.Tensor, int]:
    """Rows of word lines for ``weight (outputs, inputs)``, as ``(rows, outputs)``, and how many of them carry the bias.

    The bias sits on word lines driven at full scale. One line carries at most the largest weight of the matrix, so a
    large bias takes several lines. Raises InputError for a bias that the chip has no line for.
    """
    rows = [weight.detach().float().T]
    bias_rows = 0
    if bias is not None and chip.bias == "none" and bool((bias != 0).any()):
        raise InputError("bias: none: the layer has a bias that is not zero, and this chip has no word line for it")
    if bias is not None and chip.bias == "row":
        level = bias.detach().float() / chip.driver.x_max
        largest = float(rows[0].abs().max()) or float(level.abs().max()) or 1.0
        bias_rows = max(1, int(torch.ceil(level.abs().max() / largest - 1e-6)))
        rows.append((level / bias_rows).expand(bias_rows, -1))
    return torch.cat(rows).contiguous(), bias_rows


@dataclass(frozen=True)
class MappedMatrix:
    """A matrix ``(rows, columns)`` written on every chip of a batch."""

    matrix: torch.Tensor
    chip: Chip
    array: Array

    @classmethod
    def program(cls, matrix: torch.Tensor, chip: Chip, *, rng: ChipStreams) -> MappedMatrix:
        """Write the matrix; every column of tiles has a weight scale of its own."""
        array = Array.program(
            matrix,
            device=chip.weights.device,
            encoding=chip.weights.encoding,
            tile_of_column=torch.arange(matrix.shape[1]) // chip.columns,
            rng=rng,
        )
        return cls(matrix, chip, array)

    def read(self, t_s: float) -> MatrixRead:
        """The matrix ``t_s`` seconds after programming, in units of pre-activation per clock period."""
        scale = (self.chip.driver.lsb(self.chip.bits) / self.array.encoded.scale_S).float()
        read = self.array.read(t_s)
        variance = None if read.variance_S2 is None else read.variance_S2 * scale.square()
        scaled = ArrayRead(read.difference_S * scale, variance, read.row_S)
        return MatrixRead(scaled, self.chip.rows, self.chip.partial_sums == "digital")


PreActivation = tuple[torch.Tensor, torch.Tensor | None]


@dataclass(frozen=True)
class MatrixRead:
    """A mapped matrix at one time."""

    array: ArrayRead
    tile_rows: int
    digital: bool

    def pre_activation(self, counts: torch.Tensor, block: int) -> list[PreActivation]:
        """``z`` of ``counts (chips | 1, n, rows)`` and its variance by fast read noise, both ``(chips, n, columns)``.

        One entry, or one per row tile where tiles are converted apart and added digitally. Products run block by block,
        so that the number of blocks moves no bit.
        """
        chips, n, rows = counts.shape
        blocks = counts.reshape(chips, n // block, block, rows)
        height = self.tile_rows if self.digital else rows
        parts: list[PreActivation] = []
        for first in range(0, rows, height):
            array, driven = self.array.rows(first, first + height), blocks[..., first : first + height]
            variance = array.variance(driven)
            parts.append((array.product(driven).flatten(1, 2), None if variance is None else variance.flatten(1, 2)))
        return parts
