"""Sparse matrix products: the exact kernel, and the fabric that merges partial products in a hashed scratchpad."""

from __future__ import annotations

from mappings.sparse.fabric import VERSIONS, Fabric, Instructions, Version
from mappings.sparse.fabric_actions import fabric_actions
from mappings.sparse.fabric_dataflow import DATAFLOWS
from mappings.sparse.fabric_run import FabricRun, run_smash, table
from mappings.sparse.product import partial_products, spgemm
from mappings.sparse.semiring import SEMIRINGS, Semiring

__all__ = [
    "DATAFLOWS",
    "SEMIRINGS",
    "VERSIONS",
    "Fabric",
    "FabricRun",
    "Instructions",
    "Semiring",
    "Version",
    "fabric_actions",
    "partial_products",
    "run_smash",
    "spgemm",
    "table",
]
