"""Sparse matrices from the user's files, whatever form they have, and the two factors of a product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import sparse

from configs.bounded import encodable, read_unpacked
from configs.errors import InputError
from workloads.spgemm.archives import member_of, npz
from workloads.spgemm.edge_list import edge_list
from workloads.spgemm.matrix_market import Values, matrix_market
from workloads.spgemm.number_lines import LARGEST_WHOLE

EDGES = (".txt", ".edges", ".el", ".tsv", ".csv")
ARCHIVES = (".tar", ".tgz")
PACKED = (".gz", ".xz", ".bz2")
FORMS = (
    ".mtx, .mtx.gz, .npz (scipy.sparse.save_npz), .tar.gz as SuiteSparse and KONECT pack it, or a list of edges "
    f"({', '.join(EDGES)}, also .gz)"
)


@dataclass(frozen=True)
class Matrix:
    """A sparse matrix and where it is from.

    Parameters
    ----------
    name : of the file without its endings, or of the generator with its parameters
    csr : CSR array of float64, columns rising in each row, no duplicates
    values : "pattern" (all 1), "integer" or "real", as the file declares them
    source : path, or the words "generated: ..."
    notes : what was decided on reading, or left out
    """

    name: str
    csr: Any
    values: Values
    source: str
    notes: tuple[str, ...] = ()

    def transposed(self) -> Matrix:
        """The transpose, under the name that papers give it."""
        return Matrix(f"{self.name}^T", tidy(self.csr.T.tocsr()), self.values, self.source)


def tidy(csr: Any) -> Any:
    """CSR with rising columns, no duplicates, and 32-bit indices where they suffice."""
    csr = sparse.csr_array(csr)
    csr.sum_duplicates()
    index = np.int32 if max(csr.nnz, *csr.shape) < 2**31 else np.int64
    arrays = (csr.data, csr.indices.astype(index, copy=False), csr.indptr.astype(index, copy=False))
    return sparse.csr_array(arrays, shape=csr.shape)


def stem(path: Path) -> str:
    """A file's name without the endings that say how it is packed and what it holds."""
    name = path.name
    for endings in (PACKED, ARCHIVES, (".mtx", ".npz", *EDGES)):
        name = next((name[: -len(end)] for end in endings if name.lower().endswith(end)), name)
    return name


def read_matrix(path: Path | str) -> Matrix:
    """The matrix in a file: Matrix Market, SciPy's npz, a list of edges or an archive with one of them, by its ending.

    What is packed by gzip, xz or bzip2 is unpacked. Duplicates are added in float64, whatever type they have.

    Raises ``InputError``, one line with file and line number, for a broken or foreign file: counts that are not as
    announced, indices out of range, values that are not finite, whole numbers from 2^53 on, complex values, packed data
    cut short, sizes beyond the memory.
    """
    path = Path(path)
    ending = path.name.lower()
    ending = next((ending[: -len(end)] for end in PACKED if ending.endswith(end)), ending)
    file = str(path)
    notes: tuple[str, ...] = ()
    if not ending.endswith((".npz", ".mtx", *ARCHIVES, *EDGES)):
        raise InputError(f"{path}: {FORMS} (got {path.suffix!r})")
    data = read_unpacked(path)
    if ending.endswith(ARCHIVES):
        member, data, notes = member_of(data, file, stem(path))
        file, ending = f"{file}/{member}", member.lower()
    if ending.endswith(".npz"):
        matrix, values = npz(data, file)
    elif ending.endswith(".mtx"):
        matrix, values = matrix_market(_text(data), file)
    else:
        matrix, values, more = edge_list(_text(data), file)
        notes += more
    csr = tidy(matrix)
    if csr.nnz and not np.isfinite(csr.data).all():
        raise InputError(f"{file}: values whose sum over duplicates is finite (got {np.inf})")
    if csr.nnz and values != "real" and np.abs(csr.data).max() >= LARGEST_WHOLE:
        raise InputError(f"{file}: integers whose sum over duplicates is below 2^53 in size (got larger)")
    name, found = encodable(path.name), encodable(str(path))
    return Matrix(encodable(stem(path)), csr, values, found, tuple(f"{name}: {note}." for note in notes))


def _text(data: bytes) -> bytes:
    """Text as ASCII with one kind of line's end: byte order marks, UTF-16 and carriage returns are put right."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def factors(a: Matrix, product: Literal["A*A", "A*A^T", "A*B"], b: Matrix | None = None) -> tuple[Matrix, Matrix]:
    """The two matrices of a product; ``InputError`` where their shapes do not multiply."""
    if (product == "A*B") != (b is not None):
        raise InputError(f"product: A*B with a second matrix, A*A or A*A^T without one (got {product})")
    second = a.transposed() if product == "A*A^T" else b or a
    if a.csr.shape[1] != second.csr.shape[0]:
        raise InputError(
            f"{second.source}: as many rows as {a.name} has columns (got {a.name} of {a.csr.shape[0]} x "
            f"{a.csr.shape[1]} and {second.name} of {second.csr.shape[0]} x {second.csr.shape[1]})"
            + ("; A*A^T multiplies whatever its shape" if product == "A*A" else "")
        )
    return a, second
