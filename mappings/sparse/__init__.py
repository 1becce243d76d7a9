"""Sparse matrix products: the exact kernel, and the fabric that merges partial products in a hashed scratchpad."""

from __future__ import annotations

from mappings.sparse.accuracy import SparseAccuracy, accuracy
from mappings.sparse.analog import SparseRun, multiply
from mappings.sparse.analog_actions import sparse_actions, sparse_components
from mappings.sparse.analog_chip import Merge, SparseChip, SparseMapping
from mappings.sparse.cells import SPARSE_ENCODINGS, OneCell
from mappings.sparse.counting import SparseCounts, count
from mappings.sparse.estimate import Lengths, estimate, sample
from mappings.sparse.fabric import VERSIONS, Fabric, Instructions, Version
from mappings.sparse.fabric_actions import fabric_actions
from mappings.sparse.fabric_dataflow import DATAFLOWS
from mappings.sparse.fabric_run import FabricRun, run_smash, table
from mappings.sparse.grouping import ORDERS
from mappings.sparse.plan import Plan, plan
from mappings.sparse.product import partial_products, spgemm
from mappings.sparse.semiring import SEMIRINGS, Semiring
from mappings.sparse.tiles import LAYOUTS, TileMap, lay

__all__ = [
    "DATAFLOWS",
    "LAYOUTS",
    "ORDERS",
    "SEMIRINGS",
    "SPARSE_ENCODINGS",
    "VERSIONS",
    "Fabric",
    "FabricRun",
    "Instructions",
    "Lengths",
    "Merge",
    "OneCell",
    "Plan",
    "Semiring",
    "SparseAccuracy",
    "SparseChip",
    "SparseCounts",
    "SparseMapping",
    "SparseRun",
    "TileMap",
    "Version",
    "accuracy",
    "count",
    "estimate",
    "fabric_actions",
    "lay",
    "multiply",
    "partial_products",
    "plan",
    "run_smash",
    "sample",
    "sparse_actions",
    "sparse_components",
    "spgemm",
    "table",
]
