"""Zero-shot retrieval end to end: a liquid that sees, a liquid that hears, and digits that neither learnt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from devices import ChipStreams, InputError, Stream
from workloads.lsm.binning import Spikes, binned
from workloads.lsm.breaking import OperatingPoint, ParameterSweep, What, points
from workloads.lsm.chips import NO_WEIGHTS, as_software, fits, read_exactly
from workloads.lsm.cost import liquid_cost
from workloads.lsm.data import EventData
from workloads.lsm.readout import Ridge
from workloads.recordings.events import Recordings
from workloads.result import Result
from workloads.running import ExperimentRun, RunOptions, one_thread
from workloads.zeroshot.learning import Both, Contrastive, Epochs, Sense, learn
from workloads.zeroshot.settings import TwoLiquids, ZeroShot, ZeroShotVariant
from workloads.zeroshot.tables import ZeroShotTables

PARTS = ("validation", "seen", "unseen")
Ints = NDArray[np.int64]


def run(settings: ZeroShot, options: RunOptions) -> Result:
    """Run the experiment; ``options.data`` is a folder that holds both, such as ``nmnist*`` and ``spoken_digits*``.

    Raises ``InputError`` for weights: nothing in a liquid is loaded.
    """
    options.refuse_weights(NO_WEIGHTS)
    if options.data is not None and not options.data.is_dir():
        raise InputError(f"--data: {options.data}: allowed is a folder that holds pictures or events, and sounds")
    with one_thread():
        return ZeroShotRun(settings, options).run()


@dataclass(frozen=True)
class Rows:
    """Which recordings of one sense are trained on, chosen on and asked for, by ``PARTS`` and ``train``."""

    recordings: Recordings
    spikes: Spikes
    rows: dict[str, Ints]


@dataclass
class ZeroShotRun(ExperimentRun[ZeroShot]):
    """Both senses, software and chips, further ways to learn, sweeps, cost."""

    def run(self) -> Result:
        """The whole job."""
        how, data = self.settings, self.options.data
        swept = {sweep.what: points(sweep, OperatingPoint(how.default.chip.image, Ridge())) for sweep in how.sweeps}
        with self.stage("recordings"):
            senses = self._sense(how.image, data), self._sense(how.audio, data)
            for variant in how.variants:
                for name, chip, sense in zip(("image", "audio"), variant.chip.each(), senses, strict=True):
                    fits(chip, sense.spikes, f"variants[{variant.name}].chip.{name}")
        tables = ZeroShotTables(how, [sense.recordings for sense in senses], [sense.rows for sense in senses])
        chips, work = how.evaluation.chips, []
        with self.stage("liquids"):
            raw = tuple(
                torch.from_numpy(sense.spikes.event_counts().astype(np.float32))[None].expand(chips, -1, -1)
                for sense in senses
            )
            work.append(("", "raw", replace(how.learning, standardise=True), raw))
            work.append(("", "software", how.learning, self._rates(senses, how.default.chip, chips, software=True)))
            for variant in how.variants:
                rates = self._rates(senses, variant.chip, chips)
                work.append((variant.name, "analog", how.learning, rates))
                exact = replace(
                    variant.chip, image=read_exactly(variant.chip.image), audio=read_exactly(variant.chip.audio)
                )
                if variant.default:
                    work.append((variant.name, "quantised", how.learning, self._rates(senses, exact, chips)))
                    work += [(f"{n}", "method", method, rates) for n, method in enumerate(how.evaluation.methods)]
                self._hardware(variant, senses, tables)
        with ThreadPoolExecutor(self.options.side_by_side) as pool:
            with self.stage("projections"):
                learnt = pool.map(lambda one: self._learn(one[2], senses, one[3]), work)
                for number, ((name, stage, method, _), epochs) in enumerate(zip(work, learnt, strict=True)):
                    tables.learnt(name, stage, method, epochs)
                    self.progress("projections", number + 1, len(work))
            with self.stage("sweeps"):
                jobs = [(what, value) for what, (_, every) in swept.items() for value, _ in every]
                done = pool.map(lambda one: self._swept(one[0], one[1], swept[one[0]][0], senses), jobs)
                for number, ((what, value), epochs) in enumerate(zip(jobs, done, strict=True)):
                    tables.sweep_point(what, swept[what][0], value, epochs)
                    self.progress("sweeps", number + 1, len(jobs))
        return tables.finished(self.stages)

    def _sense(self, data: EventData, path: Path | None) -> Rows:
        """Recordings of one sense, and which of them are trained on and asked."""
        how = self.settings
        recordings = data.find(path, self.progress)
        for label in (*how.seen, *how.unseen):
            if label not in recordings.labels:
                raise InputError(
                    f"seen, unseen: allowed are labels of {recordings.origin.name}, {', '.join(recordings.labels)} "
                    f"(got {label!r})"
                )
        part = next(iter(data.parts(recordings).values()))[0]
        seen, unseen = ([recordings.labels.index(label) for label in of] for of in (how.seen, how.unseen))
        classes, draw = recordings.classes, Stream.root(how.seed).child("asked", data.sense).numpy()

        def few(rows: Ints, kinds: list[int]) -> Ints:
            each = [draw.permutation(rows[classes[rows] == kind])[: how.evaluation.per_class] for kind in kinds]
            return np.sort(np.concatenate(each))

        rows = {
            "train": part.train[np.isin(classes[part.train], seen)],
            "validation": part.validation[np.isin(classes[part.validation], seen)],
            "seen": few(part.test, seen),
            "unseen": few(np.arange(len(classes)), unseen),
        }
        for name, chosen in rows.items():
            lacking = [
                recordings.labels[k] for k in (unseen if name == "unseen" else seen) if not (classes[chosen] == k).any()
            ]
            if lacking:
                raise InputError(f"{recordings.origin.name}: no {name} recording of {', '.join(lacking)}")
        return Rows(recordings, binned(recordings, data.binning), rows)

    def _streams(self, sense: str, chips: int, *, software: bool = False) -> ChipStreams:
        root = Stream.root(self.settings.seed).child("software" if software else "chips", sense)
        return ChipStreams.of(root, chips)

    def _rates(
        self, senses: tuple[Rows, Rows], chip: TwoLiquids, chips: int, *, software: bool = False
    ) -> tuple[torch.Tensor, ...]:
        """Firing rates (chips, n, neurons) of both liquids."""
        found = []
        for name, liquid, sense in zip(("image", "audio"), chip.each(), senses, strict=True):
            streams = self._streams(name, chips, software=software)
            mapped = (as_software(liquid) if software else liquid).map()
            made = mapped.software(rng=streams) if software else mapped.program(rng=streams)
            run = made.at().run(sense.spikes, noise=streams, device=self.options.device)
            found.append(run.features)
        return tuple(found)

    def _learn(self, how: Contrastive, senses: tuple[Rows, Rows], rates: tuple[torch.Tensor, ...]) -> Epochs:
        whole = [Sense(of, sense.recordings.classes) for of, sense in zip(rates, senses, strict=True)]
        chosen = {
            name: Both(*(one.select(sense.rows[name]) for one, sense in zip(whole, senses, strict=True)))
            for name in ("train", *PARTS)
        }
        root = Stream.root(self.settings.seed).child("projections")
        rngs = [root.child(number) for number in range(len(rates[0]))]
        return learn(how, chosen["train"], {name: chosen[name] for name in PARTS}, rngs=rngs)

    def _hardware(self, variant: ZeroShotVariant, senses: tuple[Rows, Rows], tables: ZeroShotTables) -> None:
        """Cost of both liquids, from the spikes on the first chip; a projection is priced as a read-out of 8 bits."""
        costs, activity = [], []
        for name, liquid, sense in zip(("image", "audio"), variant.chip.each(), senses, strict=True):
            streams = self._streams(name, 1)
            run = liquid.map().program(rng=streams).at().run(sense.spikes, noise=streams, device=self.options.device)
            width = self.settings.learning.dimensions
            costs.append(liquid_cost(liquid, run.activity, classes=width, bits=8, prefix=f"{name} "))
            activity.append((name, run, sense.spikes))
        tables.hardware(variant, costs, activity)

    def _swept(self, what: What, value: float, configured: float, senses: tuple[Rows, Rows]) -> Epochs:
        """Both liquids with one quantity changed."""
        chip, how = self.settings.default.chip, self.settings.evaluation
        if value != configured:
            image, audio = (
                dict(points(ParameterSweep(what=what, values=(value,)), OperatingPoint(liquid, Ridge()))[1])[value].chip
                for liquid in chip.each()
            )
            chip = replace(chip, image=image, audio=audio)
        few = replace(self.settings.learning, epochs=how.sweep_epochs)
        return self._learn(few, senses, self._rates(senses, chip, how.sweep_chips))
