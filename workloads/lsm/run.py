"""A liquid state machine end to end: recordings, a random reservoir on many chips, a trained read-out, cost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Stream
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidRun
from workloads.lsm.binning import binned
from workloads.lsm.breaking import SWEPT, OperatingPoint, What, points
from workloads.lsm.chips import NO_WEIGHTS, as_software, fits, read_exactly
from workloads.lsm.data import evenly
from workloads.lsm.judge import Answered, Judge
from workloads.lsm.readout import AnyReadout
from workloads.lsm.settings import LiquidStateMachine, LiquidVariant
from workloads.lsm.tables import LiquidTables
from workloads.result import Result
from workloads.running import ExperimentRun, RunOptions, one_thread


def run(settings: LiquidStateMachine, options: RunOptions) -> Result:
    """Run the experiment. Raises ``InputError`` for weights: nothing in a liquid is loaded."""
    options.refuse_weights(NO_WEIGHTS)
    with one_thread():
        return LiquidExperimentRun(settings, options).run()


@dataclass
class JudgedLiquid:
    """One variant: the run right after forming, and accuracies by split and time, and read without error."""

    first: LiquidRun
    analog: dict[tuple[str, float], Answered] = field(default_factory=dict)
    quantised: dict[str, Answered] = field(default_factory=dict)


@dataclass
class LiquidExperimentRun(ExperimentRun[LiquidStateMachine]):
    """Recordings, software and chips, sweeps, cost."""

    def run(self) -> Result:
        """The whole job."""
        how, options = self.settings, self.options
        start = OperatingPoint(how.default.chip, how.readout)
        swept = {sweep.what: points(sweep, start) for sweep in how.sweeps}
        with self.stage("recordings"):
            recordings = how.data.find(options.data, self.progress)
            spikes = binned(recordings, how.data.binning)
            for variant in how.variants:
                fits(variant.chip, spikes, f"variants[{variant.name}].chip")
            parts = how.data.parts(recordings)
            judge = Judge(spikes, recordings.classes, parts, Stream.root(how.seed), options.device)
        tables = LiquidTables(how, recordings, spikes, judge.parts, notes=list(recordings.notes))
        with self.stage("raw events"):
            counts = spikes.event_counts()[None].astype(np.float64)
            for split in judge.parts:
                # A read-out that no chip stores needs no bits.
                plain = judge.learn(counts, split, replace(how.readout, bits=None))
                tables.accuracies("", "raw", split, 0.0, judge.answer(plain, counts, split))
        with ThreadPoolExecutor(options.side_by_side) as pool:
            with self.stage("liquids in software"):
                ideals = list(dict.fromkeys(as_software(variant.chip) for variant in how.variants))
                found = dict(zip(ideals, pool.map(lambda chip: self._software(chip, judge), ideals), strict=True))
                for variant in how.variants:
                    for split, answered in found[as_software(variant.chip)][1].items():
                        tables.accuracies(variant.name, "software", split, 0.0, answered)
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
                        tables.accuracies(variant.name, "quantised", split, 0.0, answered)
                    if variant.default:
                        headline = one.first.features.numpy()
                    self.progress("chips", number + 1, len(how.variants))
            with self.stage("read-outs"):
                few = how.evaluation.readout_chips
                for name, features in (("software", default.features.numpy()), (how.default.name, headline)):
                    every = (how.readout, *how.evaluation.readouts)
                    answers = pool.map(lambda one, rates=features[:few]: self._other(one, rates, judge), every)
                    tables.readouts(name, list(zip(every, answers, strict=True)))
                tables.map_of(headline[0], "chip 0")
                self._raster(judge, tables)
            with self.stage("sweeps"):
                rows = evenly(recordings.classes, how.evaluation.sweep_recordings, judge.rng.child("sweep"))
                # A recording keeps its noise in any selection (on a GPU, its distribution), so the headline's rates
                # serve where its chip is swept.
                if swept and len(rows) < len(recordings):
                    tables.note(f"Sweeps use {len(rows)} of {len(recordings)} recordings (sweep_recordings).")
                few = how.evaluation.sweep_chips
                rates = headline[:few, rows] if few <= len(headline) else None
                work = [(what, value, point) for what, (_, every) in swept.items() for value, point in every]
                done = pool.map(lambda one: self._swept(one[0], one[2], judge, rows, rates), work)
                for number, ((what, value, _), seen) in enumerate(zip(work, done, strict=True)):
                    tables.sweep_point(what, swept[what][0], value, *seen)
                    self.progress("sweeps", number + 1, len(work))
        with self.stage("cost"):
            return tables.finished(self.stages)

    def _software(self, chip: Liquid, judge: Judge) -> tuple[LiquidRun, dict[str, Answered]]:
        """Ideal liquids of one size and gain."""
        run, readout = judge.software(chip, self.settings.evaluation.chips), self.settings.readout
        features = run.features.numpy()
        return run, {
            split: judge.answer(judge.learn(features, split, readout), features, split) for split in judge.parts
        }

    def _variant(self, variant: LiquidVariant, judge: Judge) -> JudgedLiquid:
        """One variant on its chips at all times; the headline once read without error as well."""
        how, readout = self.settings.evaluation, self.settings.readout
        first = judge.simulate(variant.chip, how.chips)
        judged = JudgedLiquid(first)
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

    def _raster(self, judge: Judge, tables: LiquidTables) -> None:
        """Spikes of a recording of each of the first classes, on the first chip."""
        kinds = np.unique(judge.classes)[: self.settings.evaluation.shown]
        if len(kinds):
            rows = np.array([np.flatnonzero(judge.classes == kind)[0] for kind in kinds])
            raster = judge.simulate(self.settings.default.chip, 1, rows=rows, record=True).raster
            assert raster is not None
            tables.raster(rows, raster[0].numpy())

    def _swept(
        self, what: What, point: OperatingPoint, judge: Judge, rows: NDArray[np.int64], headline: NDArray[Any] | None
    ) -> tuple[NDArray[np.float64], float, float]:
        """Accuracy of each chip at one point of a sweep, the mean on validation recordings, and the firing rate.

        ``headline``: rates of the configured chip on these ``rows``, None where they are to be simulated.
        """
        chips, split = self.settings.evaluation.sweep_chips, judge.headline
        reused = headline if point.chip == self.settings.default.chip else None
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
