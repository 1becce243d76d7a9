"""Sparse matrices from the user's files, whatever form they have, and the two factors of a product."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import sparse

from configs.errors import InputError
from workloads.spgemm.matrix_market import Values, edge_list, matrix_market

FORMS = ".mtx, .mtx.gz, .npz (scipy.sparse.save_npz), or a list of edges (.txt, .edges, .el, .tsv, .csv, also .gz)"
EDGES = (".txt", ".edges", ".el", ".tsv", ".csv")


@dataclass(frozen=True)
class Matrix:
    """A sparse matrix and where it is from.

    Parameters
    ----------
    name : of the file without its endings, or of the generator with its parameters
    csr : CSR array of float64, columns rising in each row, no duplicates
    values : "pattern" (all 1), "integer" or "real", as the file declares them
    source : path, or the words "generated: ..."
    """

    name: str
    csr: Any
    values: Values
    source: str

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


def read_matrix(path: Path | str) -> Matrix:
    """The matrix in a file: Matrix Market, SciPy's npz or a list of edges, by its ending; gzip where it ends in .gz.

    Raises ``InputError``, one line with file and line number, for a broken or foreign file: counts that are not as
    announced, indices out of range, values that are not finite, complex values, truncated gzip data.
    """
    path = Path(path)
    endings = path.name.lower().removesuffix(".gz")
    if endings.endswith(".npz") and not path.name.lower().endswith(".gz"):
        csr, values = _npz(path)
    elif endings.endswith(".mtx"):
        csr, values = matrix_market(_text(path), str(path))
    elif endings.endswith(EDGES):
        csr, values = edge_list(_text(path), str(path))
    else:
        raise InputError(f"{path}: {FORMS} (got {path.suffix!r})")
    name = Path(endings).stem if endings != path.name.lower() else path.stem
    name = path.name[: len(name)]
    return Matrix(name, tidy(csr), values, str(path))


def _text(path: Path) -> bytes:
    """The bytes of a text file, decompressed where its name ends in .gz."""
    parts: list[bytes] = []
    try:
        if path.suffix.lower() != ".gz":
            return path.read_bytes().replace(b"\r\n", b"\n")
        with gzip.open(path) as file:
            while part := file.read(1 << 20):
                parts.append(part)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        line = 1 + sum(part.count(b"\n") for part in parts)
        raise InputError(f"{path}:{line}: whole gzip data (from this line on: {error})") from error
    except OSError as error:
        raise InputError(f"{path}: a file that can be read ({error.strerror or error})") from error
    return b"".join(parts).replace(b"\r\n", b"\n")


def _npz(path: Path) -> tuple[Any, Values]:
    try:
        csr = sparse.csr_array(sparse.load_npz(path))
        csr.check_format(full_check=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: a file that can be read ({error.strerror})") from error
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: a sparse matrix written by scipy.sparse.save_npz ({reason})") from error
    if csr.dtype.kind not in "biuf":
        raise InputError(f"{path}: data: real numbers (got {csr.dtype})")
    if not np.isfinite(csr.data).all():
        raise InputError(f"{path}: data: finite numbers (got {csr.data[~np.isfinite(csr.data)][0]})")
    values: Values = "real" if csr.dtype.kind == "f" else "integer"
    return csr.astype(np.float64), "pattern" if bool((csr.data == 1).all()) else values


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
