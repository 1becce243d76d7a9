"""Keyword spotting end to end: data, features, training, chips over time, cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Interval, Len

from devices import ChipStreams, InputError, Stream
from mappings.activity import Activity
from mappings.chip import CellState, Chip
from mappings.network.aware import Aware
from mappings.network.network import ProgrammedNetwork
from workloads.kws.augment import Augmentation, augmented_mfcc
from workloads.kws.features import MFCC, Normaliser, cached_mfcc
from workloads.kws.find import Finding, find_clips
from workloads.kws.hardware import LAYERS, mapped_keywords
from workloads.kws.model import KeywordNet, Model, load_weights
from workloads.kws.tables import Tables
from workloads.kws.training import Batches, Stage, Training, accuracy_of, logits_of, train
from workloads.recordings.clips import Clips
from workloads.result import Progress, Result, silent
from workloads.running import check_variants, timed
from workloads.split import split_by_speaker

CALIBRATION = 64  # training clips on which converters that follow data are calibrated
Trained = tuple[KeywordNet, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which recordings, and how speakers are dealt out.

    Parameters
    ----------
    full : download the 35-word training set (2.4 GB) rather than the 12-class test set
    splits : number of speaker splits; each trains its own network and its own chips
    split_seed : seed of the first split, apart from the experiment's seed; the others follow on
    fractions : shares of training, validation and test speakers
    clips : at most so many clips, drawn evenly from all classes; None takes all
    """

    full: bool = False
    splits: Annotated[int, Interval(ge=1, le=100)] = 1
    split_seed: Annotated[int, Ge(0)] = 0
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    clips: Annotated[int, Ge(24)] | None = None


@dataclass(frozen=True, kw_only=True)
class Features:
    """Sound to numbers in [-1, 1].

    Parameters
    ----------
    mfcc : cepstral coefficients
    normalisation : ``utterance`` (one mean and deviation a clip), ``corpus`` (one per coefficient, of the training
    part)
        or ``cepstral`` (per clip and coefficient, then ``corpus``)
    std_scale : so many standard deviations are full scale
    augmentation : variation of the training clips
    """

    mfcc: MFCC = MFCC()
    normalisation: Literal["utterance", "corpus", "cepstral"] = "cepstral"
    std_scale: Annotated[float, Interval(gt=0.0, le=10.0)] = 3.0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One piece of hardware to compare: its chip says only what differs from the experiment's.

    Parameters
    ----------
    name : how reports call it
    default : exactly one variant is the headline
    aim : allowed loss against software, in points of accuracy, where the experiment states one
    aim_t_s : time at which that aim counts [s]
    """

    name: str
    chip: Chip
    default: bool = False
    aim: float | None = None
    aim_t_s: Annotated[float, Ge(0.0)] = 0.0

    def __post_init__(self) -> None:
        found: list[str] = []
        try:
            self.chip.check_layers()
        except InputError as error:
            found += error.problems
        unknown = [layer for layer in self.chip.weights.stuck_maps if layer not in LAYERS]
        if unknown:
            found.append(f"weights.stuck_maps: layers are {' and '.join(LAYERS)} (got {', '.join(unknown)})")
        if found:
            raise InputError(f"chip.{problem}" for problem in found)

    def times_s(self, all_s: tuple[float, ...]) -> tuple[float, ...]:
        """The times at which its chips are read: one is enough where nothing changes."""
        return all_s if self.chip.drifts else all_s[:1]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How chips are judged.

    Parameters
    ----------
    chips : chips of each variant
    times_s : times after programming [s]; a variant none of whose cells drifts is read at the first one alone
    block : clips that share a stream of read noise (changing it changes the noise that is drawn)
    batch : clips held in memory together (changes nothing but memory)
    """

    chips: Annotated[int, Interval(ge=1, le=100000)] = 8
    times_s: Annotated[tuple[Annotated[float, Ge(0.0)], ...], Len(1)] = (0.0, 3600.0, 86400.0, 2592000.0)
    block: Annotated[int, Interval(ge=1, le=4096)] = 64
    batch: Annotated[int, Ge(1)] = 512


@dataclass(frozen=True, kw_only=True)
class KeywordSpotting:
    """Twelve spoken commands by a small recurrent network whose gates a nonlinear ramp converts."""

    kind: Literal["kws"] = "kws"
    name: str = "kws"
    description: str = ""
    cite: tuple[str, ...] = ()
    seed: Annotated[int, Ge(0)] = 0
    data: Data = Data()
    features: Features = Features()
    model: Model = Model()
    training: Training = Training()
    chip: Chip
    variants: Annotated[tuple[Variant, ...], Len(1)]
    evaluation: Evaluation = Evaluation()

    def __post_init__(self) -> None:
        check_variants(self.variants)
        late: dict[str, list[str]] = {}
        for variant in self.variants:
            for cell in variant.chip.cells:
                for number, t_s in enumerate(self.evaluation.times_s):
                    try:
                        cell.check_time(t_s)
                    except InputError as error:
                        late.setdefault(f"evaluation.times_s[{number}]: {cell.kind}: {error}", []).append(variant.name)
        if late:
            raise InputError(f"{problem}; in {', '.join(dict.fromkeys(names))}" for problem, names in late.items())

    def run(
        self,
        *,
        data: Path | None = None,
        weights: Path | None = None,
        device: str = "cpu",
        progress: Progress = silent,
    ) -> Result:
        """Run the experiment; ``weights`` replaces training in software by a user's network (safetensors)."""
        with one_thread():
            return KeywordRun(self, weights, device, progress).run(data)


@dataclass
class Prepared:
    """One speaker split as tensors."""

    number: int
    batches: Batches
    x_test: torch.Tensor
    y_test: torch.Tensor
    clipped: float


@dataclass(frozen=True)
class Format:
    """What of a chip a network is trained for: variants with the same format share one network."""

    bits: int
    state: CellState
    x_max: float
    bias: str

    @classmethod
    def of(cls, chip: Chip) -> Format:
        """The format of ``chip``."""
        return cls(chip.bits, chip.state, chip.driver.x_max, chip.bias)


@dataclass
class Judged:
    """One variant's chips, its accuracy on an ideal chip, and the answers of the real ones at each time."""

    chips: ProgrammedNetwork
    ideal: float
    seen: dict[str, Activity] = field(default_factory=dict)
    answers: list[tuple[float, torch.Tensor, list[float | torch.Tensor]]] = field(default_factory=list)


@dataclass
class KeywordRun:
    """The state of one run: what has been trained so far, and the tables as they grow."""

    experiment: KeywordSpotting
    weights: Path | None
    device: str
    progress: Progress
    stages: dict[str, float] = field(default_factory=dict)
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the seconds of the body to one stage."""
        return timed(self.stages, name)

    def run(self, data: Path | None) -> Result:
        """All splits, all variants, all times."""
        experiment = self.experiment
        with self.stage("data"):
            clips = find_clips(
                data,
                seed=experiment.data.split_seed,
                finding=Finding(full=experiment.data.full),
                progress=lambda done, total: self.progress("speaking the words", done, total),
            )
            clips = fewer(clips, experiment.data.clips, Stream.root(experiment.data.split_seed))
        with self.stage("features"):
            self.progress("features", 0, 1)
            features, cache_notes = cached_mfcc(clips, experiment.features.mfcc)
            self.progress("features", 1, 1)
        tables = Tables(experiment, clips, notes=[*clips.notes, *cache_notes])
        for split in range(experiment.data.splits):
            self._one_split(split, clips, features, tables)
        with self.stage("cost"):
            return tables.result(self.stages)

    def _prepare(self, split: int, clips: Clips, features: Any, rng: Stream) -> Prepared:
        how, config = self.experiment.features, self.experiment.data
        parts = split_by_speaker(clips, config.split_seed + split, config.fractions)
        normaliser = Normaliser.fit(how.normalisation, features[parts.train], std_scale=how.std_scale)
        silence = clips.classes[parts.train] == clips.labels.index("_silence_")
        train_waves = clips.waveforms[parts.train]
        copies = augmented_mfcc(
            train_waves,
            train_waves[silence] if silence.any() else None,
            how.augmentation,
            how.mfcc,
            stream=rng.child("augmentation"),
            workers=self.workers,
            progress=lambda done, total: self.progress("varied training clips", done, total),
        )
        classes = torch.from_numpy(clips.classes)
        y_train = classes[parts.train]
        x_plain, _ = normaliser.apply(features[parts.train])
        x_varied, _ = normaliser.apply(copies)
        x_test, clipped = normaliser.apply(features[parts.test])
        pool = torch.cat([torch.from_numpy(x_plain).half(), torch.from_numpy(x_varied).half()])
        batches = Batches(
            pool.view(1 + how.augmentation.copies, len(y_train), *pool.shape[1:]),
            y_train,
            torch.from_numpy(normaliser.apply(features[parts.validation])[0]),
            classes[parts.validation],
        )
        return Prepared(split, batches, torch.from_numpy(x_test), classes[parts.test], clipped)

    def _one_split(self, split: int, clips: Clips, features: Any, tables: Tables) -> None:
        experiment, how = self.experiment, self.experiment.training
        rng = Stream.root(experiment.seed).child("split", split)
        with self.stage("augmentation"):
            data = self._prepare(split, clips, features, rng)
        net = KeywordNet(experiment.model, data.x_test.shape[2], len(clips.labels), rng=rng)
        if self.weights is not None:
            load_weights(self.weights, net)
        if split == 0:
            self._rehearse(net)
        if self.weights is None:
            with self.stage("training, software"):
                net, rows = self._train(net, data, how.software, None, rng.child("software"), "software")
            tables.learning(split, rows)
        tables.software(split, accuracy_of(net, data.x_test, data.y_test), len(data.batches.y), len(data.y_test))
        wanted: dict[Format, str] = {}
        for variant in experiment.variants:
            form = Format.of(variant.chip)
            wanted.setdefault(form, f"{form.bits} bits" + ("" if form.bias == "row" else ", no bias"))

        def fine_tuned(form: Format) -> Trained:
            aware = Aware(bits=form.bits, state=form.state, x_max=form.x_max, weight_noise=how.weight_noise)
            start = net if form.bias == "row" else net.without_bias()
            return self._train(start, data, how.aware, aware, rng.child("aware", repr(form)), wanted[form])

        with ThreadPoolExecutor(self.workers) as pool:
            with self.stage("training, aware"):
                trained = dict(zip(wanted, pool.map(fine_tuned, wanted), strict=True))
            for _, rows in trained.values():
                tables.learning(split, rows)
            with self.stage("evaluation"):
                judged = pool.map(
                    lambda v: self._evaluate(v, trained[Format.of(v.chip)][0], data, rng.child("chips")),
                    experiment.variants,
                )
                for variant, one in zip(experiment.variants, judged, strict=True):
                    tables.quantised(variant, split, one.ideal)
                    for number, (t_s, answers, factors) in enumerate(one.answers):
                        tables.analog(variant, data, t_s, answers, factors, one.chips, first=number == 0)
                    tables.hardware(variant, data, one.chips, one.seen, steps=data.x_test.shape[1])

    def _train(
        self, net: KeywordNet, data: Prepared, stage: Stage, aware: Aware | None, rng: Stream, name: str
    ) -> Trained:
        return train(
            net,
            data.batches,
            self.experiment.training,
            stage,
            aware=aware,
            rng=rng,
            name=name,
            progress=self.progress,
            device=self.device if aware is None else "cpu",
        )

    def _rehearse(self, net: KeywordNet) -> None:
        """Lay a network on one chip of each variant and read it at every time: what cannot be is refused before
        anything is trained."""
        for variant in self.experiment.variants:
            start = net if variant.chip.bias == "row" else net.without_bias()
            with torch.no_grad(), named(variant):
                rng = ChipStreams.of(Stream.root(0).child("rehearsal"), 1)
                chips = mapped_keywords(start, variant.chip, output_limit=1.0).program(rng=rng)
                for t_s in variant.times_s(self.experiment.evaluation.times_s):
                    chips.at(t_s)

    def _evaluate(self, variant: Variant, net: KeywordNet, data: Prepared, rng: Stream) -> Judged:
        """One variant on its chips at every time, and once on an ideal chip."""
        how, chip = self.experiment.evaluation, variant.chip
        limit = float(logits_of(net, data.batches.x_validation).abs().max())
        with torch.no_grad(), named(variant):
            calibration = data.batches.x[0, :CALIBRATION].float()
            ideal, chips = (
                mapped_keywords(net, kind, output_limit=limit, calibration=calibration).program(rng=streams)
                for kind, streams in (
                    (chip.idealised(), ChipStreams.of(rng.child("ideal"), 1)),
                    (chip, ChipStreams.of(rng.child("hardware"), how.chips)),
                )
            )
            answers = ideal.at(0.0).run(data.x_test, block=how.block, batch=how.batch).argmax(-1)
            judged = Judged(chips, float((answers[0] == data.y_test).float().mean()))
            times = variant.times_s(how.times_s)
            for number, t_s in enumerate(times):
                read = chips.at(t_s)
                seen = judged.seen if number == 0 else None
                answers = read.run(data.x_test, block=how.block, batch=how.batch, activity=seen).argmax(-1)
                judged.answers.append((t_s, answers, list(read.layers["recurrent"].factors)))
                self.progress(f"chips, {variant.name}", number + 1, len(times))
        return judged


@contextmanager
def named(variant: Variant) -> Iterator[None]:
    """Say of which variant it is that something is wrong."""
    try:
        yield
    except InputError as error:
        raise InputError(f"variants[{variant.name}]: {problem}" for problem in error.problems) from None


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: whole jobs run side by side instead, and never wait for each other.

    Threads inside a product of this size spend more time waiting than computing as soon as the machine does anything
    else (a step of training then took 1.1 s instead of 17 ms).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fewer(clips: Clips, limit: int | None, rng: Stream) -> Clips:
    """At most ``limit`` clips, drawn evenly from every class."""
    if limit is None or limit >= len(clips):
        return clips
    draw = rng.child("fewer").numpy()
    each = max(1, limit // len(clips.labels))
    rows = [
        draw.permutation([row for row, kind in enumerate(clips.classes) if kind == label])[:each]
        for label in range(len(clips.labels))
    ]
    pick = sorted(int(row) for part in rows for row in part)
    if not pick:
        raise InputError("data.clips: no clips are left")
    return replace(
        clips,
        waveforms=clips.waveforms[pick],
        classes=clips.classes[pick],
        speakers=clips.speakers[pick],
        names=clips.names[pick],
        notes=(*clips.notes, f"{len(pick)} of {len(clips)} clips were used (data.clips: {limit})."),
    )
