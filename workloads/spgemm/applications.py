"""What sparse products are for: triangles of a graph, friends of friends, and one layer of a graph network.

Each takes a function that multiplies on a variant's chip, and compares what follows from its C with what follows from
the exact one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from devices import Stream
from mappings.sparse import spgemm
from workloads.spgemm.gcn import citations, layer
from workloads.spgemm.matrices import Matrix

Application = Literal["triangles", "recommendation", "gcn"]
Multiply = Callable[[str, Any, Any], Any]
HIDDEN = 0.1
"""Share of edges hidden from the recommender."""
PICKS = 10
"""Nodes recommended to each node."""


@dataclass(frozen=True)
class Applied:
    """What an application starts from.

    ``matrix``: the headline's A; ``place``: folder of the data; ``variants``: names, ``default`` among them.
    """

    matrix: Matrix
    folder: Path | None
    variants: tuple[str, ...]
    default: str
    rng: Stream


@dataclass
class Outcome:
    """Rows by system (``exact`` and each variant), and what a reader must know."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def apply(what: Application, given: Applied, multiply: Multiply) -> Outcome:
    """One application on every variant."""
    return APPLICATIONS[what](given, multiply)


def undirected(csr: Any) -> Any:
    """The simple graph behind a square matrix: an edge wherever either direction has one, no loops, values 1."""
    from_, to = sparse.coo_array(csr).coords
    off = from_ != to
    i, j = np.concatenate([from_[off], to[off]]), np.concatenate([to[off], from_[off]])
    graph = sparse.csr_array((np.ones(i.size), (i, j)), shape=csr.shape)
    graph.sum_duplicates()
    graph.data[:] = 1.0
    return graph


def edges_in(product: Any, graph: Any) -> NDArray[np.bool_]:
    """Which entries of a product fall on an edge of the graph."""
    row = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr))
    edge_row = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    keys = row * np.int64(graph.shape[1]) + product.indices
    edges = edge_row * np.int64(graph.shape[1]) + graph.indices
    if not edges.size:
        return np.zeros(keys.size, bool)
    at = np.minimum(np.searchsorted(edges, keys), edges.size - 1)
    return np.asarray(edges[at] == keys)


def _not_a_graph(given: Applied) -> Outcome | None:
    rows, columns = given.matrix.csr.shape
    if rows == columns:
        return None
    return Outcome(
        notes=[f"{given.matrix.name} is no graph ({rows} x {columns}): nothing to count or recommend on it."]
    )


def triangles(given: Applied, multiply: Multiply) -> Outcome:
    """Triangles of the undirected graph: one in six closed walks of three steps, ``sum((G G) . G) / 6``.

    A node's own triangles are half of its row's share. Each entry of C is rounded to a whole number of common
    neighbours first (``rounded``), or taken as it comes.
    """
    if (nothing := _not_a_graph(given)) is not None:
        return nothing
    graph, out = undirected(given.matrix.csr), Outcome()
    exact = spgemm(graph, graph)
    closed = edges_in(exact, graph)
    row = np.repeat(np.arange(exact.shape[0]), np.diff(exact.indptr))[closed]

    def by_node(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(row, values[closed], minlength=graph.shape[0]) / 2.0

    true = by_node(exact.data)
    total = float(true.sum() / 3.0)
    for system in ("exact", *given.variants):
        values = exact.data if system == "exact" else multiply(system, graph, graph).data
        raw, whole = by_node(values), by_node(np.rint(values))
        out.rows.append(
            {
                "system": system,
                "graph": given.matrix.name,
                "edges": graph.nnz // 2,
                "triangles": total,
                "found": float(raw.sum() / 3.0),
                "found_rounded": float(whole.sum() / 3.0),
                "relative_error": float(abs(raw.sum() / 3.0 - total) / total) if total else 0.0,
                "relative_error_rounded": float(abs(whole.sum() / 3.0 - total) / total) if total else 0.0,
                "nodes_right_rounded": float((whole == true).mean()),
            }
        )
    return out


def recommendation(given: Applied, multiply: Multiply) -> Outcome:
    """Two-hop recommendation: to each node those without an edge to it that share most neighbours with it.

    A tenth of the edges is hidden; ``recall`` is the share of hidden edges (both ends counted) among a node's ten
    picks. Equal counts are broken by the lower number. ``as_good`` is the share of picks whose exact count reaches that
    of the exact list's last pick: noise that only swaps equals costs nothing.
    """
    if (nothing := _not_a_graph(given)) is not None:
        return nothing
    graph, out = undirected(given.matrix.csr), Outcome()
    upper = sparse.coo_array(sparse.triu(graph))
    i, j = upper.coords
    hidden = given.rng.child("hidden edges").numpy().random(i.size) < HIDDEN
    if not hidden.any():
        return Outcome(notes=[f"{given.matrix.name} has too few edges ({i.size}) to hide a tenth of them."])
    kept = undirected(sparse.csr_array((np.ones(int((~hidden).sum())), (i[~hidden], j[~hidden])), shape=graph.shape))
    lost = undirected(sparse.csr_array((np.ones(int(hidden.sum())), (i[hidden], j[hidden])), shape=graph.shape))
    exact = spgemm(kept, kept)
    row = np.repeat(np.arange(exact.shape[0]), np.diff(exact.indptr))
    allowed = ~edges_in(exact, kept) & (row != exact.indices)
    allowed_row, wanted = row[allowed], edges_in(exact, lost)[allowed]
    true = exact.data[allowed]
    least = np.full(graph.shape[0], np.inf)
    picks = _first(allowed_row, true, exact.indices[allowed])
    np.minimum.at(least, allowed_row[picks], true[picks])
    for system in ("exact", *given.variants):
        scores = true if system == "exact" else multiply(system, kept, kept).data[allowed]
        picks = _first(allowed_row, scores, exact.indices[allowed])
        good = true[picks] >= least[allowed_row[picks]]
        out.rows.append(
            {
                "system": system,
                "graph": given.matrix.name,
                "hidden_edges": int(hidden.sum()),
                "picks": int(picks.size),
                "recall": float(wanted[picks].sum() / lost.nnz),
                "precision": float(wanted[picks].mean()) if picks.size else 0.0,
                "as_good": float(good.mean()) if picks.size else 1.0,
            }
        )
    return out


def _first(row: Any, scores: Any, column: Any) -> NDArray[np.int64]:
    """Entries among the first picks of their row, by falling score."""
    order = np.lexsort((column, -scores, row))
    sorted_row = row[order]
    folder = np.arange(order.size) - np.searchsorted(sorted_row, sorted_row)
    return np.asarray(order[folder < PICKS])


def gcn(given: Applied, multiply: Multiply) -> Outcome:
    """One layer of a graph network on a citation graph in the data's folder that has features and labels."""
    graph = citations(given.folder, given.matrix)
    if graph is None:
        return Outcome(
            notes=[
                "No graph network: the data's folder has no NAME_graph with NAME_features, NAME_labels.txt and "
                "NAME_test_index.txt."
            ]
        )
    return Outcome(layer(graph, given.variants, multiply), list(graph.notes))


APPLICATIONS: dict[Application, Callable[[Applied, Multiply], Outcome]] = {
    "triangles": triangles,
    "recommendation": recommendation,
    "gcn": gcn,
}
