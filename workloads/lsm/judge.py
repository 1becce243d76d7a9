"""Chips that get recordings, and read-outs that learn from what their neurons do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import ChipStreams, Stream
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidRun
from workloads.lsm.binning import Spikes
from workloads.lsm.readout import AnyReadout, Trained
from workloads.split import Split

Ints = NDArray[np.int64]
Learnt = list[list[Trained]]


@dataclass(frozen=True)
class Answered:
    """Classes that the chips named, (chips, n), -1 where a recording was not tested; and who was right [1].

    ``accuracy`` (chips,) pools the parts of a split; ``by_part`` (chips, parts) does not.
    """

    answers: Ints
    by_part: NDArray[np.float64]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """The recordings as all chips get them, and which of them are trained on and tested.

    Features are (chips, recordings, features); where they are of some recordings alone, ``rows`` are their numbers.
    ``device``: where liquids compute; read-outs are trained on the CPU.
    """

    spikes: Spikes
    classes: Ints
    parts: dict[str, list[Split]]
    rng: Stream
    device: str = "cpu"

    @property
    def headline(self) -> str:
        """The split of which headlines speak."""
        return next(iter(self.parts))

    def streams(self, chips: int) -> ChipStreams:
        """Streams of the chips: every variant and every point of a sweep is the same chips, changed in one thing."""
        return ChipStreams.of(self.rng.child("chips"), chips)

    def simulate(
        self, chip: Liquid, chips: int, t_s: float = 0.0, rows: Ints | None = None, *, record: bool = False
    ) -> LiquidRun:
        """What the chips' neurons do ``t_s`` seconds after forming, for all recordings or for ``rows``.

        On the CPU a recording keeps its noise in any selection; on a graphics card it goes with its position.
        """
        streams = self.streams(chips)
        spikes = self.spikes if rows is None else self.spikes.select(rows)
        fast = streams.child("time", repr(t_s))
        numbers = rows if self.device == "cpu" else None
        read = chip.map().program(rng=streams).at(t_s)
        return read.run(spikes, noise=fast, numbers=numbers, record=record, device=self.device)

    def software(self, chip: Liquid, chips: int) -> LiquidRun:
        """The same with ideal weights."""
        streams = ChipStreams.of(self.rng.child("software"), chips)
        return chip.map().software(rng=streams).at().run(self.spikes, noise=streams, device=self.device)

    def learn(
        self,
        features: NDArray[Any],
        split: str,
        readout: AnyReadout,
        *,
        rows: Ints | None = None,
        validate: bool = False,
    ) -> Learnt:
        """A read-out for each chip and each part of a split, its weights in its bits.

        ``validate`` leaves the validation part out of the training, to be judged on it.
        """
        row_of, present = self._rows_of(rows)
        learnt: Learnt = []
        for chip, rates in enumerate(features):
            learnt.append([])
            for number, part in enumerate(self.parts[split]):
                chosen = part.train if validate else np.concatenate([part.train, part.validation])
                at = row_of[chosen][row_of[chosen] >= 0]
                rng = self.rng.child("read-out", split, number, chip)
                trained = readout.fit(rates[at], self.classes[present][at], rng=rng)
                learnt[chip].append(trained.in_bits(readout.bits, rates[at]))
        return learnt

    def answer(
        self,
        learnt: Learnt,
        features: NDArray[Any],
        split: str,
        *,
        rows: Ints | None = None,
        validate: bool = False,
    ) -> Answered:
        """What these read-outs answer for the tested recordings, or with ``validate`` for the validation part."""
        row_of, present = self._rows_of(rows)
        classes = self.classes[present]
        answers = np.full(features.shape[:2], -1, np.int64)
        right, asked = np.zeros((2, len(features), len(self.parts[split])), np.int64)
        for number, part in enumerate(self.parts[split]):
            chosen = part.validation if validate else part.test
            at = row_of[chosen][row_of[chosen] >= 0]
            for chip, rates in enumerate(features):
                answer = learnt[chip][number].predict(rates[at])
                answers[chip, at] = answer
                right[chip, number], asked[chip, number] = (answer == classes[at]).sum(), len(at)
        return Answered(answers, right / np.maximum(asked, 1), right.sum(1) / np.maximum(asked.sum(1), 1))

    def _rows_of(self, rows: Ints | None) -> tuple[Ints, Ints]:
        """The row of features of each recording, -1 where it has none; and the recordings that have some."""
        present = np.arange(len(self.classes)) if rows is None else rows
        row_of = np.full(len(self.classes), -1)
        row_of[present] = np.arange(len(present))
        return row_of, present
