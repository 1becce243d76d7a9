"""Sparse matrix products: the exact kernel, and the fabric that merges partial products in a hashed scratchpad."""

from __future__ import annotations

from mappings.sparse.accuracy import SparseAccuracy, accuracy
from mappings.sparse.exact.product import partial_products, spgemm
from mappings.sparse.exact.semiring import SEMIRINGS, Semiring
from mappings.sparse.fabric.actions import fabric_actions
from mappings.sparse.fabric.dataflow import DATAFLOWS
from mappings.sparse.fabric.machine import VERSIONS, Fabric, Instructions, Version
from mappings.sparse.fabric.run import FabricRun, run_smash, table
from mappings.sparse.tiles.actions import sparse_actions, sparse_components
from mappings.sparse.tiles.chip import Merge, SparseChip, SparseMapping
from mappings.sparse.tiles.compute import SparseRun, multiply
from mappings.sparse.tiles.counting import SparseCounts, count
from mappings.sparse.tiles.estimate import Lengths, estimate, sample
from mappings.sparse.tiles.grouping import ORDERS
from mappings.sparse.tiles.layout import LAYOUTS, TileMap, lay
from mappings.sparse.tiles.plan import Plan, plan

__all__ = [
    "DATAFLOWS",
    "LAYOUTS",
    "ORDERS",
    "SEMIRINGS",
    "VERSIONS",
    "Fabric",
    "FabricRun",
    "Instructions",
    "Lengths",
    "Merge",
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
