"""Sparse matrix products: exact, in memory on tiles, and on the fabric that merges partial products by hashing."""

from __future__ import annotations

from mappings.sparse.accuracy import SparseAccuracy, accuracy
from mappings.sparse.exact.product import partial_products, spgemm
from mappings.sparse.exact.semiring import SEMIRINGS, Semiring
from mappings.sparse.fabric.actions import fabric_actions
from mappings.sparse.fabric.dataflow import DATAFLOWS
from mappings.sparse.fabric.machine import VERSIONS, Fabric, Instructions, Version
from mappings.sparse.fabric.run import FabricRun, run_smash, table
from mappings.sparse.tiles.chip import Merge, SparseChip, SparseMapping
from mappings.sparse.tiles.counting import SparseCounts
from mappings.sparse.tiles.estimate import Lengths, estimate, sample
from mappings.sparse.tiles.grouping import ORDERS
from mappings.sparse.tiles.layer import MappedProduct, SparseLayer, SparseRun, multiply
from mappings.sparse.tiles.layout import LAYOUTS, TileMap, lay

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
    "MappedProduct",
    "Merge",
    "Semiring",
    "SparseAccuracy",
    "SparseChip",
    "SparseCounts",
    "SparseLayer",
    "SparseMapping",
    "SparseRun",
    "TileMap",
    "Version",
    "accuracy",
    "estimate",
    "fabric_actions",
    "lay",
    "multiply",
    "partial_products",
    "run_smash",
    "sample",
    "spgemm",
    "table",
]
