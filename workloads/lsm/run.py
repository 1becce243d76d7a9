"""A liquid state machine end to end: recordings, a random reservoir on many chips, a trained read-out, cost."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Interval, Len
from numpy.typing import NDArray

from devices import InputError, Stream
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidRun
from workloads.kws.run import one_thread
from workloads.lsm.binning import Spikes, binned
from workloads.lsm.breaking import SWEPT, Point, Sweep, What, points
from workloads.lsm.data import EventData, evenly
from workloads.lsm.judge import Answered, Judge
from workloads.lsm.readout import AnyReadout, Ridge
from workloads.lsm.tables import Tables
from workloads.result import Progress, Result, silent
from workloads.running import check_variants, timed


@dataclass(frozen=True, kw_only=True)
class LiquidVariant:
    """One liquid to compare: its chip says only what differs from the experiment's.

    Parameters
    ----------
    name : how reports call it
    default : exactly one variant is the headline
    aim : allowed loss against the same liquid in software, in points of accuracy
    """

    name: str
    chip: Liquid
    default: bool = False
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class LiquidEvaluation:
    """How liquids are judged.

    Parameters
    ----------
    chips : chips of each variant, and liquids in software
    times_s : times after forming and training [s]; the read-out is not trained again
    sweep_chips, sweep_recordings : chips and recordings at each point of a sweep; None takes all
    readouts : further read-outs, judged on the headline's features
    readout_chips : chips for those
    shown : recordings whose spikes are drawn
    """

    chips: Annotated[int, Interval(ge=1, le=100_000)] = 16
    times_s: Annotated[tuple[Annotated[float, Ge(0.0)], ...], Len(1)] = (0.0,)
    sweep_chips: Annotated[int, Interval(ge=1, le=1000)] = 4
    sweep_recordings: Annotated[int, Ge(20)] | None = None
    readouts: tuple[AnyReadout, ...] = ()
    readout_chips: Annotated[int, Interval(ge=1, le=1000)] = 2
    shown: Annotated[int, Interval(ge=0, le=6)] = 3

    def __post_init__(self) -> None:
        if self.times_s[0] != 0.0 or list(self.times_s) != sorted(set(self.times_s)):
            raise ValueError(f"times_s must rise from 0 (got {', '.join(map(str, self.times_s))})")


@dataclass(frozen=True, kw_only=True)
class LiquidStateMachine:
    """A fixed random spiking reservoir on resistive cells, and a trained read-out of its firing rates."""

    kind: Literal["lsm"] = "lsm"
    name: str = "lsm"
    description: str = ""
    cite: tuple[str, ...] = ()
    seed: Annotated[int, Ge(0)] = 0
    data: EventData = EventData()
    readout: AnyReadout = Ridge()
    chip: Liquid = Liquid()
    variants: Annotated[tuple[LiquidVariant, ...], Len(1)]
    evaluation: LiquidEvaluation = LiquidEvaluation()
    sweeps: tuple[Sweep, ...] = ()

    def __post_init__(self) -> None:
        check_variants(self.variants)
        swept = [sweep.what for sweep in self.sweeps]
        if len(set(swept)) < len(swept):
            raise ValueError(f"sweeps must be of different quantities (got {', '.join(swept)})")

    @property
    def default(self) -> LiquidVariant:
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
        """Run the experiment. Raises ``InputError`` for ``weights``: nothing in a liquid is loaded."""
        refuse_weights(weights)
        with one_thread():
            return LiquidExperimentRun(self, device, progress).run(data)


@dataclass
class LiquidExperimentRun:
    """The state of one run."""

    experiment: LiquidStateMachine
    device: str
    progress: Progress
    stages: dict[str, float] = field(default_factory=dict)
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the seconds of the body to one stage."""
        return timed(self.stages, name)

    def run(self, data: Path | None) -> Result:
        """Recordings, software and chips, sweeps, cost."""
        how = self.experiment
        start = Point(how.default.chip, how.readout)
        swept = {sweep.what: points(sweep, start) for sweep in how.sweeps}
        with self.stage("recordings"):
            recordings = how.data.find(data, self.progress)
            spikes = binned(recordings, how.data.binning)
            for variant in how.variants:
                fits(variant.chip, spikes, f"variants[{variant.name}].chip")
            judge = Judge(spikes, recordings.classes, how.data.parts(recordings), Stream.root(how.seed))
        tables = Tables(how, recordings, spikes, judge.parts, notes=list(recordings.notes))
        if self.device != "cpu":
            tables.note(f"--device {self.device} changes nothing here: liquids are simulated on the CPU.")
        with self.stage("raw events"):
            counts = spikes.event_counts()[None].astype(np.float64)
            for split in judge.parts:
                # What no chip holds needs no bits.
                plain = judge.learn(counts, split, replace(how.readout, bits=None))
                tables.baseline(split, judge.answer(plain, counts, split))
        with ThreadPoolExecutor(self.workers) as pool:
            with self.stage("liquids in software"):
                ideals = list(dict.fromkeys(as_software(variant.chip) for variant in how.variants))
                found = dict(zip(ideals, pool.map(lambda chip: self._software(chip, judge), ideals), strict=True))
                for variant in how.variants:
                    tables.software(variant, found[as_software(variant.chip)][1])
                default = found[as_software(how.default.chip)][0]
                tables.activity("software", default)
            with self.stage("chips"):
                judged = pool.map(lambda variant: self._variant(variant, judge), how.variants)
                for number, (variant, one) in enumerate(zip(how.variants, judged, strict=True)):
                    tables.activity(variant.name, one.first)
                    tables.hardware(variant, one.first.activity)
                    for (split, t_s), answered in one.analog.items():
                        tables.analog(variant, split, t_s, answered)
                    for split, answered in one.quantised.items():
                        tables.quantised(variant, split, answered)
                    if variant.default:
                        headline = one.first.features.numpy()
                    self.progress("chips", number + 1, len(how.variants))
            with self.stage("read-outs"):
                few = how.evaluation.readout_chips
                for name, features in (("software", default.features.numpy()), (how.default.name, headline)):
                    every = (how.readout, *how.evaluation.readouts)
                    said = pool.map(lambda one, held=features[:few]: self._other(one, held, judge), every)
                    tables.readouts(name, list(zip(every, said, strict=True)))
                tables.map_of(headline[0], "chip 0")
                self._raster(judge, tables)
            with self.stage("sweeps"):
                rows = evenly(recordings.classes, how.evaluation.sweep_recordings, judge.rng.child("sweep"))
                # A recording keeps its noise wherever it stands, so the headline's rates serve where its chip is swept.
                few = how.evaluation.sweep_chips
                held = headline[:few, rows] if few <= len(headline) else None
                work = [(what, value, point) for what, (_, every) in swept.items() for value, point in every]
                done = pool.map(lambda one: self._swept(one[0], one[2], judge, rows, held), work)
                for number, ((what, value, _), seen) in enumerate(zip(work, done, strict=True)):
                    tables.sweep_point(what, swept[what][0], value, *seen)
                    self.progress("sweeps", number + 1, len(work))
        with self.stage("cost"):
            return tables.result(self.stages)

    def _software(self, chip: Liquid, judge: Judge) -> tuple[LiquidRun, dict[str, Answered]]:
        """Ideal liquids of one size and gain."""
        run, readout = judge.software(chip, self.experiment.evaluation.chips), self.experiment.readout
        features = run.features.numpy()
        return run, {
            split: judge.answer(judge.learn(features, split, readout), features, split) for split in judge.parts
        }

    def _variant(self, variant: LiquidVariant, judge: Judge) -> Judged:
        """One variant on its chips at all times; the headline once read without error as well."""
        how, readout = self.experiment.evaluation, self.experiment.readout
        first = judge.simulate(variant.chip, how.chips)
        judged = Judged(first)
        features = judged.first.features.numpy()
        learnt = {split: judge.learn(features, split, readout) for split in judge.parts}
        for t_s in how.times_s if variant.chip.device.drifts else (0.0,):
            seen = judge.simulate(variant.chip, how.chips, t_s).features.numpy() if t_s > 0.0 else features
            for split in judge.parts:
                judged.analog[split, t_s] = judge.answer(learnt[split], seen, split)
        if variant.default:
            exact = judge.simulate(read_exactly(variant.chip), how.chips).features.numpy()
            for split in judge.parts:
                judged.quantised[split] = judge.answer(judge.learn(exact, split, readout), exact, split)
        return judged

    def _other(self, readout: AnyReadout, features: NDArray[Any], judge: Judge) -> Answered:
        split = judge.headline
        return judge.answer(judge.learn(features, split, readout), features, split)

    def _raster(self, judge: Judge, tables: Tables) -> None:
        """Spikes of a recording of each of the first classes, on the first chip."""
        kinds = np.unique(judge.classes)[: self.experiment.evaluation.shown]
        if len(kinds):
            rows = np.array([np.flatnonzero(judge.classes == kind)[0] for kind in kinds])
            raster = judge.simulate(self.experiment.default.chip, 1, rows=rows, record=True).raster
            assert raster is not None
            tables.raster(rows, raster[0].numpy())

    def _swept(
        self, what: What, point: Point, judge: Judge, rows: NDArray[np.int64], headline: NDArray[Any] | None
    ) -> tuple[NDArray[np.float64], float, float]:
        """Accuracy of each chip at one point of a sweep, the mean on validation recordings, and the firing rate.

        ``headline``: rates of the configured chip on these ``rows``, None where they are to be simulated.
        """
        chips, split = self.experiment.evaluation.sweep_chips, judge.headline
        reused = headline if point.chip == self.experiment.default.chip else None
        features = judge.simulate(point.chip, chips, rows=rows).features.numpy() if reused is None else reused
        tested = features
        if point.later is not None or point.t_s > 0.0:
            tested = judge.simulate(point.later or point.chip, chips, point.t_s, rows).features.numpy()
        found = judge.answer(judge.learn(features, split, point.readout, rows=rows), tested, split, rows=rows)
        chosen = float("nan")
        if SWEPT[what].chosen:
            learnt = judge.learn(features, split, point.readout, rows=rows, validate=True)
            chosen = float(judge.answer(learnt, features, split, rows=rows, validate=True).accuracy.mean())
        return found.accuracy, chosen, float(tested.mean())


@dataclass
class Judged:
    """One variant: the run right after forming, and accuracies by split and time, and read without error."""

    first: LiquidRun
    analog: dict[tuple[str, float], Answered] = field(default_factory=dict)
    quantised: dict[str, Answered] = field(default_factory=dict)


def fits(chip: Liquid, spikes: Spikes, place: str) -> None:
    """Raise ``InputError`` where a liquid has not one word line for each line of the binned recordings."""
    if chip.inputs != spikes.inputs:
        raise InputError(
            f"{place}.inputs: allowed is {spikes.inputs}, the word lines of the binned recordings, "
            f"{' x '.join(map(str, spikes.shape))} (got {chip.inputs})"
        )


def as_software(chip: Liquid) -> Liquid:
    """What of a chip its ideal counterpart depends on: two chips that share it share their software."""
    return Liquid(
        inputs=chip.inputs,
        neurons=chip.neurons,
        device=replace(chip.device, read_noise_S=0.0, stuck_off_rate=0.0, stuck_on_rate=0.0, effects=()),
        gain_per_uS=chip.gain_per_uS,
        neuron=replace(chip.neuron, threshold_sigma=0.0, noise=0.0),
        written_sd=chip.written_sd,
    )


def read_exactly(chip: Liquid) -> Liquid:
    """The same cells, read without noise or converter by equal neurons."""
    neuron = replace(chip.neuron, threshold_sigma=0.0, noise=0.0)
    return replace(chip, adc_bits=None, neuron=neuron, device=replace(chip.device, read_noise_S=0.0))


def refuse_weights(weights: Path | None) -> None:
    """Raise ``InputError`` where a user names weights."""
    if weights is not None:
        raise InputError("--weights: a liquid's weights are the cells' own, and its read-out is trained in each run")
