"""Sparse matrix products: the matrices of a user's files, and random graphs where there is no file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from workloads.spgemm.generate import RMAT, ErdosRenyi
from workloads.spgemm.matrices import Matrix, factors, read_matrix

GRAPHS: dict[str, type[RMAT] | type[ErdosRenyi]] = {"rmat": RMAT, "erdos_renyi": ErdosRenyi}

AnyGraph = Annotated[RMAT | ErdosRenyi, Field(discriminator="kind")]

__all__ = ["GRAPHS", "RMAT", "AnyGraph", "ErdosRenyi", "Matrix", "factors", "read_matrix"]
