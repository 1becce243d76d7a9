"""Sparse matrix products: the exact kernel, and the fabric that merges partial products in a hashed scratchpad."""

from __future__ import annotations

from mappings.sparse.product import partial_products, spgemm
from mappings.sparse.semiring import SEMIRINGS, Semiring

__all__ = ["SEMIRINGS", "Semiring", "partial_products", "spgemm"]
