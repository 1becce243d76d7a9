"""An array of cell pairs, programmed once on every chip of a batch and read at any time.

With input counts ``N_i`` (signed pulse widths in clock periods) the charge on column j, per ``V_read T_clk``, is

    q_j = sum_i N_i (G+_ij - G-_ij)                                          [S clock periods]

Independent Gaussian read noise of every cell in every read is, at the column, exactly Gaussian:

    var q_j = sum_i N_i^2 (sigma(G+_ij)^2 + sigma(G-_ij)^2)

so two products replace a noise sample per cell, input and chip.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossbar.encoding import DifferentialPair, Encoded
from devices import Cells, ChipStreams, Device

REGISTER = 16  # single-precision numbers in the widest vector register


@dataclass(frozen=True)
class ArrayRead:
    """What an array is at one time: everything that a product needs.

    ``difference_S``: ``(chips, rows, columns)`` [S]; ``variance_S2``: the same shape [S^2], or None where no cell has
    fast read noise; ``row_S``: ``(chips, rows)``, the conductance that loads each word line [S].
    """

    difference_S: torch.Tensor
    variance_S2: torch.Tensor | None
    row_S: torch.Tensor

    def rows(self, first: int, last: int) -> ArrayRead:
        """The array with word lines ``first .. last - 1`` alone."""
        variance = None if self.variance_S2 is None else self.variance_S2[:, first:last]
        return ArrayRead(self.difference_S[:, first:last], variance, self.row_S[:, first:last])

    def product(self, counts: torch.Tensor) -> torch.Tensor:
        """Mean of ``q``: ``counts (chips | 1, ..., rows)`` to ``(chips, ..., columns)`` [S clocks]."""
        return _batched(counts, self.difference_S)

    def variance(self, counts: torch.Tensor) -> torch.Tensor | None:
        """Variance of ``q`` by fast read noise, same shape as the product [S^2 clocks^2]."""
        return None if self.variance_S2 is None else _batched(counts.square(), self.variance_S2)

    def loss_S(self, counts: torch.Tensor) -> torch.Tensor:
        """``sum_i |N_i| G_i`` of every input vector [S clocks]; times ``V_read^2 T_clk`` it is the ohmic loss [J]."""
        return _batched(counts.abs(), self.row_S[..., None])[..., 0]


def _batched(counts: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Product of ``(chips | 1, ..., rows)`` with ``(chips, rows, columns)``.

    Each block of vectors of each chip is a product of its own, of one fixed shape: adding chips or blocks to the batch
    moves no bit of the others. As tried out, BLAS keeps to that only where columns fill whole vector registers and
    no small product stands alone (it is cut among threads): hence the columns of zeros, and the twin.
    """
    columns, between = matrix.shape[-1], max(counts.dim() - 3, 0)
    filled = torch.nn.functional.pad(matrix, (0, -columns % REGISTER))
    filled = filled.reshape(matrix.shape[0], *([1] * between), *filled.shape[1:])
    alone = matrix.shape[0] * counts.shape[:-2].numel() == 1 and counts.shape[-2] < REGISTER
    product = (counts.expand(2, *counts.shape[1:]) @ filled)[:1] if alone else counts @ filled
    return product[..., :columns]


@dataclass(frozen=True)
class Array:
    """Pairs of cells that hold one weight matrix on every chip of a batch."""

    device: Device
    encoded: Encoded
    cells: Cells

    @classmethod
    def program(
        cls,
        weights: torch.Tensor,
        *,
        device: Device,
        encoding: DifferentialPair,
        tile_of_column: torch.Tensor,
        rng: ChipStreams,
    ) -> Array:
        """Write ``weights`` of shape ``(rows, columns)`` on ``len(rng)`` chips."""
        encoded = encoding.encode(weights, device, tile_of_column=tile_of_column)
        return cls(device, encoded, device.program(encoded.target_S[None], rng=rng))

    def read(self, t_s: float) -> ArrayRead:
        """The array ``t_s`` seconds after programming; slow noise is in it, fast noise is left to each product."""
        g = self.device.conductance_S(self.cells, t_s)
        sigma = self.device.read_sigma_S(g)
        variance = sigma.square().sum(dim=1) if bool((sigma > 0).any()) else None
        return ArrayRead(g[:, 0] - g[:, 1], variance, g.sum(dim=(1, 3)))
