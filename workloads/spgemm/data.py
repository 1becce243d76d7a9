"""Which matrices a sparse product takes: the user's file, or those of a folder, else a random graph."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from pydantic import Field

from devices import InputError, Stream
from mappings.sparse import partial_products
from workloads.spgemm.generate import RMAT, ErdosRenyi
from workloads.spgemm.matrices import EDGES, FORMS, Matrix, factors, read_matrix

AnyGraph = Annotated[RMAT | ErdosRenyi, Field(discriminator="kind")]
Product = Literal["A*A", "A*A^T", "A*B"]
# Endings of lists of edges may belong to labels and notes: in a folder only these speak for themselves.
ENDINGS = (".mtx", ".mtx.gz", ".npz")


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
        """Whether both have no values but 0 and 1."""
        return all(bool((m.csr.data == 1.0).all()) for m in (self.a, self.b))

    @property
    def products(self) -> int:
        """Scalar multiplications."""
        return int(partial_products(self.a.csr, self.b.csr).sum())

    @property
    def digest(self) -> str:
        """SHA-256 of shapes, indices and values."""
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
    others: Annotated[int, Ge(0)] = 12
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
        files = self._files(Path(chosen).expanduser(), origin)
        left = files[1 + self.others :]
        notes: list[str] = []
        made: list[Factors] = []
        for file in files[: 1 + self.others]:
            one = self._tidied(read_matrix(file))
            found, said_of = self._factors(one, None, file.parent)
            made.append(found)
            notes += said_of
        if left:
            notes.append(
                f"{len(left)} further matrices of the folder were left out (data.others: {self.others}; data.names "
                f"chooses): {', '.join(_stem(file) for file in left)}."
            )
        return Found(made[0], tuple(made[1:]), files[0].parent, False, str(files[0]), tuple(notes))

    def _files(self, path: Path, origin: str) -> list[Path]:
        if not path.exists():
            raise InputError(f"{origin}: {path}: no such file or folder; allowed: {FORMS}, or a folder of them")
        if path.is_file():
            others = [name for name in self.names if name not in (_stem(path), path.name)]
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
        if not matrices:
            raise InputError(f"{origin}: {path}: allowed is a folder that holds {', '.join(ENDINGS)} (got none)")
        if not self.names:
            return matrices
        by_name = {name: file for file in matrices for name in (_stem(file), file.name)}
        by_name |= {file.name: file for file in path.iterdir() if file.name.lower().removesuffix(".gz").endswith(EDGES)}
        strange = [name for name in self.names if name not in by_name]
        if strange:
            some = ", ".join(_stem(file) for file in matrices[:12])
            raise InputError(
                f"data.names: {path} holds {some}{', ...' if len(matrices) > 12 else ''} (got {', '.join(strange)})"
            )
        return [by_name[name] for name in self.names]

    def _tidied(self, matrix: Matrix) -> Matrix:
        csr = matrix.csr.copy()
        csr.eliminate_zeros()
        if self.values == "pattern":
            csr.data[:] = 1.0
        return replace(matrix, csr=csr)

    def _factors(self, first: Matrix, second: Matrix | None, folder: Path) -> tuple[Factors, list[str]]:
        product = self.product
        notes: list[str] = []
        if product == "A*B":
            assert self.second is not None
            file = folder / self.second
            other = second if second is not None and second is not first else None
            b = other or self._tidied(read_matrix(file if file.exists() else Path(self.second)))
            return Factors(*factors(first, "A*B", b), product), notes
        if product == "A*A" and first.csr.shape[0] != first.csr.shape[1]:
            rows, columns = first.csr.shape
            notes.append(f"{first.name} has {rows} rows and {columns} columns: it is multiplied by its transpose.")
            product = "A*A^T"
        return Factors(*factors(first, product), product), notes


def _matrices(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.lower().endswith(ENDINGS))


def _stem(file: Path) -> str:
    name = file.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0]
