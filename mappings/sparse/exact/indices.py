"""Index arrays of sparse matrices, compared with the shape before compiled code follows them.

SciPy's conversions follow the indices that they are given: one that lies outside ends the process, or writes where
another array is. Each check is one pass of NumPy over the indices.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from configs.errors import InputError


def check_indices(matrix: Any, name: str) -> None:
    """InputError where the arrays of a SciPy matrix (CSR, CSC, BSR, COO, DIA) do not fit its shape or one another.

    LIL and DOK are lists and dictionaries, which SciPy reads with checks of its own.
    """
    if min(matrix.shape) < 0:
        raise InputError(f"{name}: a shape without negative sizes (got {matrix.shape})")
    if matrix.format in ("csr", "csc", "bsr"):
        _check_compressed(matrix, name)
    elif matrix.format == "coo":
        for along, size in zip(matrix.coords, matrix.shape, strict=True):
            if along.shape != matrix.data.shape or along.ndim != 1:
                raise InputError(f"{name}: as many row and column indices as values (got {along.shape})")
            _check_range(along, size, name)
    elif matrix.format == "dia":
        offsets, (rows, columns) = matrix.offsets, matrix.shape
        if offsets.dtype.kind not in "iu" or matrix.data.ndim != 2 or offsets.shape != matrix.data.shape[:1]:
            raise InputError(f"{name}: one whole offset for each diagonal (got {offsets.size})")
        if offsets.size and not -rows - 1 <= int(offsets.min()) <= int(offsets.max()) <= columns + 1:
            raise InputError(f"{name}: offsets of diagonals from {-rows} to {columns} (got others)")


def _check_compressed(matrix: Any, name: str) -> None:
    blocks, (rows, columns) = (1, 1), matrix.shape
    if matrix.format == "bsr":
        if matrix.data.ndim != 3 or 0 in matrix.data.shape[1:]:
            raise InputError(f"{name}: blocks of at least 1 x 1 (got data of shape {matrix.data.shape})")
        blocks = matrix.data.shape[1:]
        if rows % blocks[0] or columns % blocks[1]:
            raise InputError(f"{name}: whole blocks of {blocks[0]} x {blocks[1]} in {rows} x {columns}")
    elif matrix.data.ndim != 1:
        raise InputError(f"{name}: data of one dimension (got {matrix.data.ndim})")
    major, minor = rows // blocks[0], columns // blocks[1]
    if matrix.format == "csc":
        major, minor = columns, rows
    if matrix.indices.ndim != 1 or matrix.indices.size != len(matrix.data):
        raise InputError(f"{name}: as many indices as values (got {matrix.indices.size} and {len(matrix.data)})")
    pointers, most = matrix.indptr, matrix.indices.size
    if pointers.dtype.kind not in "iu" or pointers.shape != (major + 1,):
        raise InputError(f"{name}: {major + 1} pointers for its shape (got {pointers.size} of {pointers.dtype})")
    if pointers[0] != 0 or pointers[-1] > most or (pointers[1:] < pointers[:-1]).any():
        raise InputError(f"{name}: pointers that rise from 0 to at most {most} (got others)")
    _check_range(matrix.indices, minor, name)


def _check_range(indices: NDArray[Any], size: int, name: str) -> None:
    if indices.dtype.kind not in "iu":
        raise InputError(f"{name}: whole indices (got {indices.dtype})")
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < size:
        raise InputError(f"{name}: indices from 0 to {size - 1} (got {int(indices.min())} to {int(indices.max())})")
