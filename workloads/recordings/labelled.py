"""What all recordings have: classes with their labels, names, and where they come from."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.result import Data


@dataclass(frozen=True)
class DataOrigin:
    """Where recordings come from: the set's name in reports, its source in words, and the key of its paper.

    ``synthetic``: made by mho, where no recordings were named.
    """

    name: str
    source: str = ""
    bibtex: str = ""
    synthetic: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled(ABC):
    """``n`` recordings, each of a class.

    Parameters
    ----------
    classes : (n,) int64 into ``labels``
    names : (n,) str, unique within the set
    origin : where they come from
    notes : sentences that the report repeats
    """

    classes: NDArray[np.int64]
    names: NDArray[np.str_]
    labels: tuple[str, ...]
    origin: DataOrigin
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def counts(self) -> dict[str, int]:
        """Recordings of each class, by its label."""
        found = np.bincount(self.classes, minlength=len(self.labels))
        return {label: int(count) for label, count in zip(self.labels, found, strict=True)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that is recorded and of its labels: what was read, not which file it came from."""
        head, arrays, texts = self._content()
        whole = hashlib.sha256(repr(head).encode())
        for array in arrays:
            whole.update(np.ascontiguousarray(array).data)
        for strings in texts:
            whole.update("\0".join(strings.tolist()).encode())
        return whole.hexdigest()

    @abstractmethod
    def _content(self) -> tuple[object, Iterable[NDArray[Any]], Iterable[NDArray[np.str_]]]:
        """What the digest is of: shapes and labels, arrays, texts."""

    def data(self, train: int, test: int, splits: int = 1) -> Data:
        """The record of these data for a run, with recordings in training and test."""
        return Data(
            name=self.origin.name,
            digest=self.digest,
            synthetic=self.origin.synthetic,
            source=self.origin.source,
            note=" ".join(self.notes),
            train=train,
            test=test,
            splits=splits,
        )
