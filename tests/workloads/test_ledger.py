"""What a run notes of its figures by itself, and what a deviation over chips is."""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.ledger import Ledger
from workloads.result import MeanAndStd


def ledger() -> Ledger:
    nothing: Any = None
    return Ledger(nothing)


def test_deviation_is_that_of_the_sample_and_one_chip_has_none() -> None:
    assert MeanAndStd.of([0.1, 0.3]).std == np.std([0.1, 0.3], ddof=1)
    one = MeanAndStd.of([0.5])
    assert one.model_dump(exclude_unset=True) == {"mean": 0.5, "std": None}


def test_chips_that_answer_one_class_alone_are_noted() -> None:
    notes = ledger()
    notes.note_one_class("pcm", 3600.0, np.array([[1, 1, -1], [0, 1, -1]]), ("yes", "no"))
    notes.note_one_class("taox", 0.0, np.array([[1, 0, -1], [0, 1, -1]]), ("yes", "no"))
    assert notes.notes == ["pcm, after 1 h: chips answer one class alone, whatever the recording (1 of 2 chips no)."]


def test_a_liquid_in_which_nothing_fires_is_noted() -> None:
    notes, counts = ledger(), np.zeros((3, 4, 5), np.int64)
    counts[1, 2, 3] = 1
    notes.note_silence("neighbours", counts)
    assert notes.notes[0].startswith("neighbours: no neuron fires in any recording on 2 of 3 liquids")
    notes = ledger()
    notes.note_silence("neighbours", counts[1:2])
    assert notes.notes == []
