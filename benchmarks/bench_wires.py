"""Wires of an array beside sparse LU factorisations of the same networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch

from crossbar.wires import Wires, effective_conductance, solve

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

ONE_OHM = Wires(r_word_ohm=1.0, r_bit_ohm=1.0)


def drawn(*shape: int) -> torch.Tensor:
    """Cells of 10 to 100 kohm [S]."""
    return 1e-5 + 9e-5 * torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def factorised(g: np.ndarray) -> scipy.sparse.linalg.SuperLU:
    """All nodes at 1 ohm a segment, drivers on the left and ground at the bottom; word nodes come first."""
    m, n = g.shape
    word = np.arange(m * n).reshape(m, n)
    bit = word + m * n
    one = np.concatenate((word.ravel(), word[:, 1:].ravel(), bit[1:].ravel()))
    other = np.concatenate((bit.ravel(), word[:, :-1].ravel(), bit[:-1].ravel()))
    weight = np.concatenate((g.ravel(), np.ones(m * (n - 1) + (m - 1) * n)))
    ends = np.concatenate((word[:, 0], bit[-1]))
    entries = np.concatenate((weight, weight, -weight, -weight, np.ones(m + n)))
    rows, columns = np.concatenate((one, other, one, other, ends)), np.concatenate((one, other, other, one, ends))
    matrix = scipy.sparse.coo_matrix((entries, (rows, columns))).tocsc()
    return scipy.sparse.linalg.splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def by_unit_vectors(g: np.ndarray) -> np.ndarray:
    """``G_eff`` by one factorisation and a solution for the unit current at every output."""
    m, n = g.shape
    unit = np.zeros((2 * m * n, n))
    unit[(2 * m - 1) * n + np.arange(n), np.arange(n)] = 1.0
    return factorised(g).solve(unit)[np.arange(m) * n]


def test_effective_conductance_256(side_by_side: SideBySide) -> None:
    g = drawn(256, 256)
    side_by_side(
        "G_eff of 256 x 256",
        lambda: effective_conductance(g, ONE_OHM),
        "sparse LU (SuperLU) of its 131,072 nodes and 256 unit vectors",
        lambda: by_unit_vectors(g.numpy()),
        target_ratio=1 / 8,
    )
    np.testing.assert_allclose(effective_conductance(g, ONE_OHM), by_unit_vectors(g.numpy()), rtol=1e-9)


def test_effective_conductance_of_64_chips(side_by_side: SideBySide) -> None:
    g = drawn(64, 64, 64)
    side_by_side(
        "G_eff of 64 chips of 64 x 64",
        lambda: effective_conductance(g, ONE_OHM),
        "sparse LU (SuperLU) of one chip after the other",
        lambda: [by_unit_vectors(chip) for chip in g.numpy()],
        target_ratio=1 / 5,
    )


def test_iterative_512(side_by_side: SideBySide) -> None:
    g, v = drawn(512, 512), 0.2 * torch.rand(1, 512, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drive = np.zeros(2 * 512 * 512)
    drive[np.arange(512) * 512] = v[0].numpy()
    side_by_side(
        "one input of 512 x 512 by the iterative method, to 1e-10 of the current",
        lambda: solve(v, (g,), ONE_OHM),
        "sparse LU (SuperLU) of its 524,288 nodes, one vector",
        lambda: factorised(g.numpy()).solve(drive),
        target_ratio=1 / 8,
    )
    np.testing.assert_allclose(
        solve(v, (g,), ONE_OHM).current_A[0], factorised(g.numpy()).solve(drive)[-512:], rtol=1e-8
    )
