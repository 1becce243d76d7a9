"""Sparse matrices in packed files: SciPy's npz, and the tar archives in which SuiteSparse and KONECT give them."""

from __future__ import annotations

import io
import math
import tarfile
import zipfile
from typing import Any

import numpy as np
from scipy import sparse

from configs.bounded import LimitedStream, largest_unpacked, too_large
from configs.errors import InputError
from mappings.sparse.exact.indices import check_indices
from workloads.spgemm.matrix_market import Values, check_size
from workloads.spgemm.number_lines import LARGEST_WHOLE

INDICES = ("indices.npy", "indptr.npy", "row.npy", "col.npy", "coords.npy", "offsets.npy", "shape.npy")


def npz(data: bytes, file: str) -> tuple[Any, Values]:
    """The matrix (float64, in the format of the file, duplicates not yet added) that ``scipy.sparse.save_npz`` wrote.

    Every array's header is compared with its size before NumPy allocates anything, and every index with the shape
    before SciPy's compiled code follows it. Raises ``InputError``.
    """
    try:
        _check_arrays(data, file)
        matrix = sparse.load_npz(io.BytesIO(data))
        check_indices(matrix, file)
    except InputError:
        raise
    except Exception as error:
        # A file that was not written by SciPy can make its readers raise anything.
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{file}: a sparse matrix written by scipy.sparse.save_npz ({reason})") from error
    if matrix.ndim != 2:
        raise InputError(f"{file}: a matrix (got {matrix.ndim} dimensions)")
    rows, columns = matrix.shape
    check_size(rows, columns, matrix.data.size, file)
    if matrix.dtype.kind not in "biuf":
        raise InputError(f"{file}: data: real numbers (got {matrix.dtype})")
    if not np.isfinite(matrix.data).all():
        raise InputError(f"{file}: data: finite numbers (got {matrix.data[~np.isfinite(matrix.data)][0]})")
    whole = matrix.dtype.kind in "iu"
    if whole and matrix.data.size and max(int(matrix.data.max()), -int(matrix.data.min())) >= LARGEST_WHOLE:
        raise InputError(f"{file}: data: integers below 2^53 in size, which float64 holds exactly (got larger)")
    values: Values = "real" if matrix.dtype.kind == "f" else "integer"
    pattern = bool((matrix.data == 1).all())
    if matrix.dtype.kind == "b":
        # Of truth values, true and true is true: duplicates count once.
        matrix = sparse.csr_array(matrix)
        matrix.sum_duplicates()
    return matrix.astype(np.float64), "pattern" if pattern else values


def _check_arrays(data: bytes, file: str) -> None:
    """Each member unpacks to what its header announces, and all together to no more than the limit."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > largest_unpacked(len(data)):
            raise too_large(file, largest_unpacked(len(data)))
        for member in archive.infolist():
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = read(LimitedStream(stream, file, most=1 << 16))
                left = member.file_size - stream.tell()
                offsets = np.frombuffer(stream.read(), dtype) if member.filename == "offsets.npy" else np.zeros(1)
            wraps = offsets.size and not -(2**31) < offsets.min() <= offsets.max() < 2**31
            if wraps or (member.filename in INDICES and dtype.kind not in "iu"):
                # SciPy casts them without a look.
                raise ValueError(f"{member.filename}: whole numbers below 2^31 in size, not {dtype}")
            if dtype.hasobject or min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != left:
                raise ValueError(f"{member.filename}: {dtype} of shape {shape} in {left} bytes")


def member_of(data: bytes, file: str, stem: str) -> tuple[str, bytes, tuple[str, ...]]:
    """Name and text of the sparse matrix in a tar archive, and what was left out.

    SuiteSparse packs a folder ``NAME`` with ``NAME.mtx`` and, often, dense right-hand sides beside it; KONECT a folder
    with a list of edges ``out.NAME``. Raises ``InputError`` where it is not clear which file is meant.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            files = {
                member.name: stream.read()
                for member in archive
                if member.isreg()
                and not member.issparse()
                and (member.name.lower().endswith(".mtx") or member.name.rsplit("/", 1)[-1].startswith("out."))
                and (stream := archive.extractfile(member)) is not None
            }
    except Exception as error:
        # tarfile raises much else than TarError for headers that no program wrote.
        raise InputError(f"{file}: a whole tar archive ({' '.join(str(error).split())[:120]})") from error
    names = {name: name.rsplit("/", 1)[-1] for name in files}
    found = [name for name in names if names[name].lower().endswith(".mtx") and not _dense(files[name])]
    found = found or [name for name in names if names[name].startswith("out.")]
    meant = [name for name in found if names[name] == f"{stem}.mtx"] or found
    if len(meant) != 1:
        listed = ", ".join(names[name] for name in found) or ", ".join(names.values()) or "nothing"
        raise InputError(f"{file}: one sparse matrix, or one called {stem}.mtx (got {listed:.120}); unpack it")
    left = [
        names[name] + " (dense, such as a right-hand side)" * _dense(files[name])
        for name in names
        if name != meant[0] and names[name].lower().endswith(".mtx")
    ]
    return meant[0], files[meant[0]], (f"left out of the archive: {', '.join(left)}",) if left else ()


def _dense(text: bytes) -> bool:
    return text[:100].lower().split()[:3] == [b"%%matrixmarket", b"matrix", b"array"]
