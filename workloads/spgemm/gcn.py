"""One layer of a graph convolution on a citation graph: neighbours' words are summed in memory, then classified.

    H = D^-1/2 (A + I) D^-1/2 X,    class = argmax(H W + b)

X, the bag of words (0 or 1), is in the cells; rows of (A + I) D^-1/2 are the inputs; the left D^-1/2 is one digital
factor a row. W is a multinomial logistic regression.

T. N. Kipf, M. Welling, ICLR 2017, arXiv:1609.02907; one layer without hidden units: F. Wu et al., ICML 2019,
arXiv:1902.07153; splits: Z. Yang et al., ICML 2016, arXiv:1603.08861.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from configs.bounded import read_file
from devices import InputError
from mappings.sparse import accuracy, spgemm
from workloads.spgemm.matrices import Matrix, read_matrix

PER_CLASS, VALIDATION = 20, 500
"""Labelled nodes of each class, and nodes on which the regression's strength is chosen, as in Yang et al."""
MOST_CLASSES = 1_000_000
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class Citations:
    """A citation graph: edges (0/1, row to column), words of each node (0/1), classes (-1: none), test nodes."""

    name: str
    edges: Any
    words: Any
    classes: NDArray[np.int64]
    test: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def citations(folder: Path | None, matrix: Matrix) -> Citations | None:
    """The citation graph of a folder: that whose graph is the headline's matrix, else the first that is complete.

    A single file counts where it is a graph with its features beside it. None where there is none; ``InputError`` for
    files that do not fit each other.
    """
    if folder is None:
        return None
    named = matrix.name.removesuffix("_graph")
    listed = [file.name.split("_features.")[0] for file in sorted(folder.glob("*_features.mtx*"))]
    whole = {name: files for name in listed if (files := _files(folder, name)) is not None}
    if not whole:
        return None
    name = named if named in whole else next(iter(whole))
    graph_file, feature_file, label_file, test_file = whole[name]
    edges, words = read_matrix(graph_file).csr, read_matrix(feature_file).csr
    nodes = edges.shape[0]
    if words.shape[0] != nodes or edges.shape[1] != nodes:
        raise InputError(f"{feature_file}: one row for each of the {nodes} nodes (got {words.shape[0]})")
    classes, test = _numbers(label_file, -1, MOST_CLASSES), _numbers(test_file, 0, nodes - 1)
    if classes.size != nodes:
        raise InputError(f"{label_file}: one class for each of the {nodes} nodes (got {classes.size})")
    if np.unique(test).size != test.size:
        raise InputError(f"{test_file}: each test node once (got {test.size - np.unique(test).size} twice)")
    labelled = np.setdiff1d(np.flatnonzero(classes >= 0), test)
    if np.unique(classes[labelled]).size < 2 or not (classes[test] >= 0).any():
        raise InputError(
            f"{label_file}: at least two classes among the nodes that are not tested, and one tested node with a class"
        )
    if not words.nnz:
        raise InputError(f"{feature_file}: at least one feature that is not 0")
    notes = []
    if not (words.data == 1.0).all():
        notes.append(f"{name}: its features hold more than 0 and 1; each that is not 0 counts as 1.")
    if (edges != edges.T).nnz:
        notes.append(f"{name}: its edges are directed; a node's sum is over the nodes that its own row names.")
    words = words.copy()
    words.data[:] = 1.0
    edges = sparse.csr_array(edges)
    edges.data[:] = 1.0
    return Citations(name, edges, words, classes, test, tuple(notes))


def _files(folder: Path, name: str) -> list[Path] | None:
    """Graph, features, labels and test nodes of that name; None where one of them is missing."""
    matrix, text = (".mtx", ".mtx.gz"), (".txt",)
    endings = {"graph": matrix, "features": matrix, "labels": text, "test_index": text}
    found = [
        next((file for ending in some if (file := folder / f"{name}_{part}{ending}").is_file()), None)
        for part, some in endings.items()
    ]
    whole = [file for file in found if file is not None]
    return whole if len(whole) == len(found) else None


def _numbers(file: Path, least: int, most: int) -> NDArray[np.int64]:
    found = []
    for number, line in enumerate(read_file(file).decode("utf-8", "replace").splitlines(), 1):
        word = line.strip()
        digits = word.removeprefix("-")
        value = int(word) if digits.isascii() and digits.isdigit() and len(digits) < 19 else least - 1
        if not least <= value <= most:
            raise InputError(f"{file}:{number}: a whole number from {least} to {most} (got {word!r:.40})")
        found.append(value)
    return np.array(found, np.int64)


def layer(
    graph: Citations, variants: tuple[str, ...], multiply: Callable[[str, Any, Any], Any]
) -> list[dict[str, Any]]:
    """Accuracy on the test nodes without neighbours, with exact and with analog sums.

    ``accuracy``: the regression is trained on exact sums and tested on these; ``accuracy_retrained``: trained on these,
    too.
    """
    from sklearn.linear_model import LogisticRegression

    nodes = graph.edges.shape[0]
    loops = sparse.csr_array(graph.edges + sparse.eye_array(nodes, format="csr"))
    loops.data[:] = 1.0
    root = 1.0 / np.sqrt(np.diff(loops.indptr))
    inputs = sparse.csr_array((root[loops.indices], loops.indices, loops.indptr), shape=loops.shape)
    exact = spgemm(inputs, graph.words)
    train, validation = _parts(graph)
    kept = graph.test[graph.classes[graph.test] >= 0]

    def rows(product: Any) -> Any:
        return sparse.csr_matrix(sparse.dia_array((root[None], [0]), shape=loops.shape) @ product)

    def fitted(features: Any, strength: float) -> LogisticRegression:
        # Threads cost more than they give on so few nodes, a hundredfold where the machine is busy.
        with threadpool_limits(1):
            return LogisticRegression(C=strength, max_iter=500).fit(features[train], graph.classes[train])

    def share(model: LogisticRegression, features: Any, nodes: Any) -> float:
        return float((model.predict(features[nodes]) == graph.classes[nodes]).mean())

    def best(features: Any) -> LogisticRegression:
        models = [fitted(features, strength) for strength in STRENGTHS]
        return max(models, key=lambda model: share(model, features, validation))

    out: list[dict[str, Any]] = []

    def add(system: str, features: Any, model: LogisticRegression, error: float, agree: Any) -> None:
        out.append(
            {
                "system": system,
                "graph": graph.name,
                "nodes": nodes,
                "trained": int(train.size),
                "tested": int(kept.size),
                "relative_error": error,
                "accuracy": share(model, features, kept),
                "accuracy_retrained": share(best(features), features, kept),
                "same_class": float((model.predict(features[kept]) == agree).mean()),
            }
        )

    alone = sparse.csr_matrix(graph.words)
    plain = best(alone)
    features = rows(exact)
    model = best(features)
    predicted = model.predict(features[kept])
    add("words alone, no neighbours", alone, plain, float("nan"), predicted)
    add("exact", features, model, 0.0, predicted)
    for variant in variants:
        product = multiply(variant, inputs, graph.words)
        add(variant, rows(product), model, accuracy(product, exact).relative_frobenius, predicted)
    return out


def _parts(graph: Citations) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first nodes of each class that are not tested, and the labelled ones after them."""
    left = np.setdiff1d(np.flatnonzero(graph.classes >= 0), graph.test)
    train = np.concatenate([left[graph.classes[left] == kind][:PER_CLASS] for kind in np.unique(graph.classes[left])])
    validation = np.setdiff1d(left, train)[:VALIDATION]
    return np.sort(train), validation if validation.size else np.sort(train)
