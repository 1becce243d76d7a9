"""Which matrices a sparse product takes: the user's file, or those of a folder, else a random graph."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval
from pydantic import Field

from configs.bounded import check_regular
from devices import InputError, Stream
from mappings.sparse import partial_products
from workloads.spgemm.generate import RMAT, ErdosRenyi
from workloads.spgemm.matrices import ARCHIVES, EDGES, FORMS, PACKED, Matrix, factors, read_matrix, stem
from workloads.spgemm.matrix_market import DenseMatrix

AnyGraph = Annotated[RMAT | ErdosRenyi, Field(discriminator="kind")]
Product = Literal["A*A", "A*A^T", "A*B"]
# Endings of lists of edges may belong to labels and notes: in a folder only these speak for themselves.
ENDINGS = (".mtx", ".npz", *ARCHIVES)
LARGEST_VALUE, SMALLEST_VALUE = 1e70, 1e-140
"""In size: of larger ones, squares of C's entries are no finite float64; products of smaller ones are none at all."""


class EmptyProduct(InputError):
    """A product without a single scalar multiplication: C = 0, without energy or time."""


@dataclass(frozen=True)
class Factors:
    """The two matrices of one product."""

    a: Matrix
    b: Matrix
    product: Product

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.a.name} · {self.b.name}"

    @property
    def pattern(self) -> bool:
        """Whether both hold nothing but 0 and 1."""
        return all(bool((m.csr.data == 1.0).all()) for m in (self.a, self.b))

    @property
    def products(self) -> int:
        """Scalar multiplications."""
        return int(partial_products(self.a.csr, self.b.csr).sum())

    @property
    def digest(self) -> str:
        """SHA-256 of what the matrices hold."""
        found = hashlib.sha256()
        for matrix in (self.a.csr, self.b.csr):
            found.update(repr(matrix.shape).encode())
            for part in (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data):
                found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class Found:
    """The headline's product, further ones beside it, the folder that they are from, and what a reader must know."""

    main: Factors
    others: tuple[Factors, ...]
    folder: Path | None
    synthetic: bool
    source: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SparseData:
    """Which product of which matrices.

    Parameters
    ----------
    graph : drawn where no file is named: the embedded default
    product : ``A*A``, ``A*A^T``, or ``A*B`` with ``second``; where A is not square, ``A*A`` becomes ``A*A^T``, and the
        report says so
    second : file of B, beside A's or where the command runs
    names : files of a folder to take, the first being the headline; by default all, by name
    others : matrices of a folder taken at most beside the headline
    values : ``given``, or ``pattern``: every nonzero counts as 1
    """

    graph: AnyGraph = RMAT(scale=12)
    product: Product = "A*A"
    second: str | None = None
    names: tuple[str, ...] = ()
    others: Annotated[int, Interval(ge=0, le=10_000)] = 12
    values: Literal["given", "pattern"] = "given"

    def __post_init__(self) -> None:
        if (self.product == "A*B") != (self.second is not None):
            raise ValueError(f"second goes with product A*B alone (got product {self.product}, second {self.second})")

    def find(self, data: Path | None, *, rng: Stream) -> Found:
        """The matrices of a run, from the first of: ``data``, ``MHO_DATA``, the random graph.

        What the user names must be right: it is never replaced in silence. Raises ``InputError``, with file and line
        where a file is broken.
        """
        chosen, origin = (data, "--data") if data else (os.environ.get("MHO_DATA") or None, "MHO_DATA")
        if not chosen:
            first = self._tidied(self.graph.draw(rng=rng.child("graph")))
            second = first
            if self.second is not None:
                second = self._tidied(read_matrix(self.second))
            main, more = self._factors(first, second, Path())
            note = f"No matrix was named (no --data, no MHO_DATA): {first.source} is taken in place of one."
            return Found(main, (), None, True, first.source, (note, *more))
        files = self._files(Path(chosen), origin)
        left: list[Path] = []
        notes: list[str] = []
        made: list[Factors] = []
        for file in files:
            if len(made) > self.others:
                left.append(file)
                continue
            try:
                one = self._tidied(read_matrix(file))
                found, noted = self._factors(one, None, file.parent)
            except (DenseMatrix, EmptyProduct) as error:
                if len(files) == 1 or self.names:
                    raise
                notes.append(f"Left out of the folder: {error}.")
                continue
            made.append(found)
            notes += [*one.notes, *noted]
        if not made:
            raise InputError(f"{origin}: {files[0].parent}: a folder with a matrix to multiply (got none; {notes[0]})")
        if left:
            notes.append(
                f"{len(left)} further matrices of the folder were left out (data.others: {self.others}; data.names "
                f"chooses): {', '.join(stem(file) for file in left)}."
            )
        source = made[0].a.source
        return Found(made[0], tuple(made[1:]), Path(source).parent, False, source, tuple(notes))

    def _files(self, path: Path, origin: str) -> list[Path]:
        try:
            path = path.expanduser()
            if not path.exists():
                raise InputError(f"{origin}: {path}: no such file or folder; allowed: {FORMS}, or a folder of them")
            if not path.is_dir():
                check_regular(path)
                others = [name for name in self.names if name not in (stem(path), path.name)]
                if others:
                    raise InputError(
                        f"data.names: {origin} is the one file {path.name}, and no folder to choose from "
                        f"(got {', '.join(others)})"
                    )
                return [path]
            matrices = _matrices(path)
            for inner in sorted(path.glob("*matri*")):
                if not matrices and inner.is_dir():
                    path, matrices = inner, _matrices(inner)
            lists = [file for file in path.iterdir() if _ending(file).endswith(EDGES)]
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{origin}: {path}: a file or folder that can be read ({error})") from error
        if not matrices:
            raise InputError(f"{origin}: {path}: allowed is a folder that holds {', '.join(ENDINGS)} (got none)")
        if not self.names:
            return matrices
        by_name = {name: file for file in matrices for name in (stem(file), file.name)}
        by_name |= {file.name: file for file in lists}
        strange = [name for name in self.names if name not in by_name]
        if strange:
            some = ", ".join(stem(file) for file in matrices[:12])
            raise InputError(
                f"data.names: {path} holds {some}{', ...' if len(matrices) > 12 else ''} (got {', '.join(strange)})"
            )
        return [by_name[name] for name in self.names]

    def _tidied(self, matrix: Matrix) -> Matrix:
        csr, notes = matrix.csr.copy(), matrix.notes
        tiny = (np.abs(csr.data) < SMALLEST_VALUE) & (csr.data != 0.0)
        if tiny.any() and self.values == "given":
            csr.data[tiny] = 0.0
            notes += (f"{matrix.name}: {int(tiny.sum()):,} values below {SMALLEST_VALUE:g} in size count as 0.",)
        csr.eliminate_zeros()
        if self.values == "pattern":
            csr.data[:] = 1.0
        largest = float(np.abs(csr.data).max(initial=0.0))
        if csr.nnz and not 1.0 / LARGEST_VALUE <= largest <= LARGEST_VALUE:
            raise InputError(
                f"{matrix.source}: largest value from {1 / LARGEST_VALUE:g} to {LARGEST_VALUE:g} in size, so that C "
                f"and its errors are finite (got {largest:g}); scale the matrix"
            )
        return replace(matrix, csr=csr, notes=notes)

    def _factors(self, first: Matrix, second: Matrix | None, folder: Path) -> tuple[Factors, list[str]]:
        product = self.product
        notes: list[str] = []
        if product == "A*B":
            assert self.second is not None
            other = folder / self.second
            if second is None or second is first:
                second = self._tidied(read_matrix(other if other.exists() else Path(self.second)))
                notes += second.notes
        elif product == "A*A" and first.csr.shape[0] != first.csr.shape[1]:
            rows, columns = first.csr.shape
            notes.append(f"{first.name} has {rows} rows and {columns} columns: it is multiplied by its transpose.")
            product = "A*A^T"
        made = Factors(*factors(first, product, second if product == "A*B" else None), product)
        if made.products == 0:
            a, b = made.a.csr, made.b.csr
            raise EmptyProduct(
                f"{first.source}: a product that has something to compute (got C = 0 of {a.shape[0]} x {b.shape[1]}: "
                f"no nonzero of {made.a.name}, {a.nnz} in all, meets one of {made.b.name}, {b.nnz} in all)"
            )
        return made, notes


def _matrices(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _ending(file).endswith(ENDINGS))


def _ending(file: Path) -> str:
    name = file.name.lower()
    return next((name[: -len(end)] for end in PACKED if name.endswith(end)), name)
