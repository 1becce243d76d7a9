"""Zero-shot retrieval end to end: a liquid that sees, a liquid that hears, and digits that neither learnt."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Interval, Len
from numpy.typing import NDArray

from devices import ChipStreams, InputError, Stream
from mappings.liquid.liquid import Liquid
from workloads.kws.run import one_thread
from workloads.lsm.binning import NTIDIGITS_BINNING, Spikes, binned
from workloads.lsm.breaking import Point, Sweep, What, points
from workloads.lsm.data import EventData
from workloads.lsm.readout import Ridge
from workloads.lsm.run import as_software, fits, read_exactly, refuse_weights
from workloads.recordings.events import Recordings
from workloads.result import Progress, Result, silent
from workloads.running import check_variants, timed
from workloads.zeroshot.learning import Both, Contrastive, Epochs, Sense, learn
from workloads.zeroshot.tables import ZeroShotTables

PARTS = ("validation", "seen", "unseen")
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TwoLiquids:
    """The liquid that sees (``image``) and the one that hears (``audio``)."""

    image: Liquid = Liquid(gain_per_uS=0.3)
    audio: Liquid = Liquid(inputs=64, gain_per_uS=0.1)

    def each(self) -> tuple[Liquid, Liquid]:
        """Both, the image's first."""
        return self.image, self.audio


@dataclass(frozen=True, kw_only=True)
class ZeroShotVariant:
    """One pair of liquids to compare.

    Parameters
    ----------
    name : how reports call it
    default : exactly one variant is the headline
    aim : allowed loss of the first metric against software, in points
    """

    name: str
    chip: TwoLiquids
    default: bool = False
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class ZeroShotEvaluation:
    """How retrieval is judged.

    Parameters
    ----------
    chips : seeds: pairs of chips, each with projections of its own start and order, and as many in software
    per_class : at most so many test recordings of a class and sense, as the paper's 100
    sweep_chips, sweep_epochs : seeds and epochs at each point of a sweep
    methods : further ways to learn, judged on the headline's rates
    """

    chips: Annotated[int, Interval(ge=1, le=1000)] = 8
    per_class: Annotated[int, Ge(1)] = 100
    sweep_chips: Annotated[int, Interval(ge=1, le=1000)] = 2
    sweep_epochs: Annotated[int, Interval(ge=1, le=10_000)] = 10
    methods: tuple[Contrastive, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ZeroShot:
    """Sounds of digits find pictures of them, learnt on some digits and asked of others as well.

    Parameters
    ----------
    image, audio : the recordings. Test recordings of seen digits are those of the first part of the first split; what
        is never trained on, all recordings of unseen digits, is all asked
    seen, unseen : labels of digits
    learning : how the projections learn; the epoch is chosen on validation recordings of seen digits
    """

    kind: Literal["zeroshot"] = "zeroshot"
    name: str = "zeroshot"
    description: str = ""
    cite: tuple[str, ...] = ()
    seed: Annotated[int, Ge(0)] = 0
    image: EventData = EventData(sense="vision", folds=4, validation=0.15)
    audio: EventData = EventData(sense="audio", splits=("official",), binning=NTIDIGITS_BINNING)
    seen: Annotated[tuple[str, ...], Len(2)] = ("1", "2", "3", "4", "5", "6", "7")
    unseen: Annotated[tuple[str, ...], Len(2)] = ("8", "9")
    learning: Contrastive = Contrastive()
    chip: TwoLiquids = TwoLiquids()
    variants: Annotated[tuple[ZeroShotVariant, ...], Len(1)]
    evaluation: ZeroShotEvaluation = ZeroShotEvaluation()
    sweeps: tuple[Sweep, ...] = ()

    def __post_init__(self) -> None:
        check_variants(self.variants)
        if set(self.seen) & set(self.unseen):
            raise ValueError(f"unseen must not hold what is seen (got {', '.join(set(self.seen) & set(self.unseen))})")
        if any(sweep.what in ("readout_bits", "stuck_later", "retention", "time") for sweep in self.sweeps):
            raise ValueError("sweeps must be of what is true before training, and not of read-out bits")

    @property
    def default(self) -> ZeroShotVariant:
        """The headline."""
        return next(variant for variant in self.variants if variant.default)

    def run(
        self,
        *,
        data: Path | None = None,
        weights: Path | None = None,
        device: str = "cpu",
        progress: Progress = silent,
    ) -> Result:
        """Run the experiment; ``data`` is a folder that holds both, such as ``nmnist*`` and ``spoken_digits*``.

        Raises ``InputError`` for ``weights``: nothing in a liquid is loaded.
        """
        refuse_weights(weights)
        if data is not None and not data.is_dir():
            raise InputError(f"--data: {data}: allowed is a folder that holds pictures or events, and sounds")
        with one_thread():
            return ZeroShotRun(self, device, progress).run(data)


@dataclass(frozen=True)
class Rows:
    """Which recordings of one sense are trained on, chosen on and asked for, by ``PARTS`` and ``train``."""

    recordings: Recordings
    spikes: Spikes
    rows: dict[str, Ints]


@dataclass
class ZeroShotRun:
    """The state of one run."""

    experiment: ZeroShot
    device: str
    progress: Progress
    stages: dict[str, float] = field(default_factory=dict)
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the seconds of the body to one stage."""
        return timed(self.stages, name)

    def run(self, data: Path | None) -> Result:
        """Both senses, software and chips, further ways to learn, sweeps, cost."""
        how = self.experiment
        swept = {sweep.what: points(sweep, Point(how.default.chip.image, Ridge())) for sweep in how.sweeps}
        with self.stage("recordings"):
            senses = self._sense(how.image, data), self._sense(how.audio, data)
            for variant in how.variants:
                for name, chip, sense in zip(("image", "audio"), variant.chip.each(), senses, strict=True):
                    fits(chip, sense.spikes, f"variants[{variant.name}].chip.{name}")
        tables = ZeroShotTables(how, [sense.recordings for sense in senses], [sense.rows for sense in senses])
        if self.device != "cpu":
            tables.note(f"--device {self.device} changes nothing here: liquids are simulated on the CPU.")
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
        with ThreadPoolExecutor(self.workers) as pool:
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
        return tables.result(self.stages)

    def _sense(self, data: EventData, place: Path | None) -> Rows:
        """Recordings of one sense, dealt out."""
        how = self.experiment
        recordings = data.find(place, self.progress)
        for label in (*how.seen, *how.unseen):
            if label not in recordings.labels:
                raise InputError(
                    f"seen, unseen: allowed are labels of {recordings.data_name}, {', '.join(recordings.labels)} "
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
        for name, held in rows.items():
            lacking = [
                recordings.labels[k] for k in (unseen if name == "unseen" else seen) if not (classes[held] == k).any()
            ]
            if lacking:
                raise InputError(f"{recordings.data_name}: no {name} recording of {', '.join(lacking)}")
        return Rows(recordings, binned(recordings, data.binning), rows)

    def _streams(self, sense: str, chips: int, *, software: bool = False) -> ChipStreams:
        root = Stream.root(self.experiment.seed).child("software" if software else "chips", sense)
        return ChipStreams.of(root, chips)

    def _rates(
        self, senses: tuple[Rows, Rows], chip: TwoLiquids, chips: int, *, software: bool = False
    ) -> tuple[torch.Tensor, ...]:
        """Firing rates (chips, n, neurons) of both liquids."""
        found = []
        for name, own, sense in zip(("image", "audio"), chip.each(), senses, strict=True):
            streams = self._streams(name, chips, software=software)
            mapped = (as_software(own) if software else own).map()
            made = mapped.software(rng=streams) if software else mapped.program(rng=streams)
            found.append(made.at().run(sense.spikes, noise=streams).features)
        return tuple(found)

    def _learn(self, how: Contrastive, senses: tuple[Rows, Rows], rates: tuple[torch.Tensor, ...]) -> Epochs:
        whole = [Sense(of, sense.recordings.classes) for of, sense in zip(rates, senses, strict=True)]
        held = {
            name: Both(*(one.select(sense.rows[name]) for one, sense in zip(whole, senses, strict=True)))
            for name in ("train", *PARTS)
        }
        root = Stream.root(self.experiment.seed).child("projections")
        rngs = [root.child(number) for number in range(len(rates[0]))]
        return learn(how, held["train"], {name: held[name] for name in PARTS}, rngs=rngs)

    def _hardware(self, variant: ZeroShotVariant, senses: tuple[Rows, Rows], tables: ZeroShotTables) -> None:
        """Cost of both liquids, from the spikes on the first chip."""
        for name, own, sense in zip(("image", "audio"), variant.chip.each(), senses, strict=True):
            streams = self._streams(name, 1)
            run = own.map().program(rng=streams).at().run(sense.spikes, noise=streams)
            tables.hardware(variant, name, own, run, sense.spikes)

    def _swept(self, what: What, value: float, configured: float, senses: tuple[Rows, Rows]) -> Epochs:
        """Both liquids with one quantity changed."""
        chip, how = self.experiment.default.chip, self.experiment.evaluation
        if value != configured:
            image, audio = (
                dict(points(Sweep(what=what, values=(value,)), Point(own, Ridge()))[1])[value].chip
                for own in chip.each()
            )
            chip = replace(chip, image=image, audio=audio)
        few = replace(self.experiment.learning, epochs=how.sweep_epochs)
        return self._learn(few, senses, self._rates(senses, chip, how.sweep_chips))
