"""The tables of a run with liquids as they grow; at the end the figures and panels drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mappings.liquid.liquid import ProgrammedLiquid
from mappings.liquid.run import LiquidActivity, LiquidRun
from workloads.cell_tables import cell_rows
from workloads.ledger import Ledger, compared
from workloads.lsm.binning import Spikes
from workloads.lsm.breaking import SWEPT, What
from workloads.lsm.chips import hardware_of, unread
from workloads.lsm.cost import beside_gpu, liquid_cost, training_rows
from workloads.lsm.judge import Answered
from workloads.lsm.panels import limits, panels
from workloads.lsm.readout import AnyReadout
from workloads.lsm.settings import LiquidStateMachine, LiquidVariant
from workloads.recordings.events import Recordings
from workloads.result import SHARE, Comparison, Quality, Result, VariantResult
from workloads.split import Split
from workloads.statistics import deviation, interval, principal_plane

EPOCHS = 100  # of gradient descent, as in the paper; for counting alone
RAW = "ridge on event counts"
SPLITS = {
    "folds": "all recordings pooled, each tested once",
    "official": "the data set's own test part",
    "speakers": "speakers never heard in training",
}


@dataclass
class LiquidTables(Ledger):
    """``found``: accuracies of all chips by variant, stage, split and time [s]."""

    experiment: LiquidStateMachine
    recordings: Recordings
    spikes: Spikes
    parts: dict[str, list[Split]]
    found: dict[tuple[str, str, str, float], NDArray[np.float64]] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The split of which headlines speak."""
        return next(iter(self.parts))

    def metric(self, split: str) -> str:
        """How ``metrics.json`` calls the accuracy on a split."""
        return "accuracy" if split == self.headline else f"accuracy_{split}"

    def accuracies(self, variant: str, stage: str, split: str, t_s: float, answered: Answered) -> None:
        """Liquids of one variant at one time; ``raw``: a read-out of event counts, without any liquid."""
        self.found[variant, stage, split, t_s] = answered.accuracy
        for chip, by_part in enumerate(answered.by_part):
            for part, value in enumerate(by_part.tolist()):
                row = {"variant": variant, "stage": stage, "split_by": split, "part": part, "chip": chip, "t_s": t_s}
                self.add("parts", **row, accuracy=value)

    def analog(self, variant: LiquidVariant, split: str, t_s: float, answered: Answered) -> None:
        """Chips of one variant at one time."""
        self.accuracies(variant.name, "analog", split, t_s, answered)
        self.note_one_class(variant.name, t_s, answered.answers, self.recordings.labels)
        if t_s == 0.0 and self.metric(split) == "accuracy":
            labels, tested = self.recordings.labels, answered.answers >= 0
            true = np.broadcast_to(self.recordings.classes, answered.answers.shape)
            pairs = true[tested] * len(labels) + answered.answers[tested]
            for index, count in enumerate(np.bincount(pairs, minlength=len(labels) ** 2).tolist()):
                shown, answer = divmod(index, len(labels))
                self.add("confusion", variant=variant.name, true=labels[shown], predicted=labels[answer], count=count)

    def readouts(self, name: str, judged: list[tuple[AnyReadout, Answered]]) -> None:
        """Several read-outs of the same rates."""
        for readout, answered in judged:
            settings = {key: value for key, value in asdict(readout).items() if key not in ("kind", "bits")}
            self.add(
                "readouts",
                liquid=name,
                readout=readout.kind,
                accuracy=float(answered.accuracy.mean()),
                least=float(answered.accuracy.min()),
                most=float(answered.accuracy.max()),
                liquids=len(answered.accuracy),
                bits=-1 if readout.bits is None else readout.bits,
                settings=", ".join(
                    f"{key} {' or '.join(map(str, value)) if isinstance(value, tuple) else value}"
                    for key, value in settings.items()
                ),
            )

    def activity(self, name: str, run: LiquidRun) -> None:
        """How busy the word lines and the neurons are."""
        counts = run.counts.numpy()
        self.note_silence(name, counts)
        self.add(
            "activity",
            liquid=name,
            input_rate=self.spikes.rate,
            firing_rate=float(counts.mean() / run.steps),
            chips_sd=deviation(run.rates.numpy()),
            silent_neurons=float((counts.sum(1) == 0).mean()),
            saturated_neurons=float((counts > 0.9 * run.steps).mean()),
            lines_per_step=float(run.line_reads.double().mean() / run.steps),
            clipped_conversions=float(run.clipped.double().mean()),
        )

    def hardware(self, variant: LiquidVariant, activity: LiquidActivity) -> None:
        """Layout and cost of one variant."""
        classes, steps, bits = len(self.recordings.labels), self.spikes.steps, self.experiment.readout.bits
        self.price(variant, liquid_cost(variant.chip, activity, classes=classes, bits=bits))
        self.cite.update((*variant.chip.cite, *variant.chip.device.cite))
        self.note(*(f"{variant.name}: {sentence}." for sentence in unread(variant.chip)))
        beside = beside_gpu(
            variant.name, variant.chip, self.costs[variant.name]["energy_J"], classes=classes, steps=steps
        )
        self.rows.setdefault("energy", []).extend(beside)
        if variant.default:
            part = self.parts[self.headline][0]
            trained = len(part.train) + len(part.validation)
            self.rows["training"] = training_rows(
                variant.chip, classes=classes, steps=steps, recordings=trained, epochs=EPOCHS
            )

    def cells(self, variant: LiquidVariant, made: ProgrammedLiquid, times_s: Sequence[float]) -> None:
        """Where the cells of all chips lie, once formed and over time."""
        if made.cells is not None:
            device = variant.chip.device
            cell_rows(self, variant.name, [(device, made.cells)], times_s if device.drifts else times_s[:1])

    def map_of(self, features: NDArray[Any], whose: str) -> None:
        """All recordings of one chip in the plane of their largest variance, beside those of their event counts."""
        labels = self.recordings.labels
        counts = self.spikes.event_counts().astype(np.float64)
        for what, values in ((f"rates, {whose}", features), ("event counts", counts)):
            plane, (one, two) = principal_plane(values)
            title = f"{what} ({one:.0%} and {two:.0%})"
            for (x, y), number in zip(plane / (np.abs(plane).max() or 1.0), self.recordings.classes, strict=True):
                self.add("feature_map", features=title, component_1=x, component_2=y, label=labels[number])

    def raster(self, numbers: NDArray[np.int64], spikes: NDArray[np.uint8]) -> None:
        """Spikes of the word lines and of the neurons over the steps of some recordings."""
        seen = self.spikes.select(numbers).dense()
        for row, number in enumerate(numbers.tolist()):
            title = f"{self.recordings.labels[self.recordings.classes[number]]}: {self.recordings.names[number]}"
            for kind, raster, base in (("word lines", seen[row], 0), ("neurons", spikes[row], self.spikes.inputs)):
                for step, line in np.argwhere(raster).tolist():
                    self.add("raster", recording=title, spikes_of=kind, step=step, line=line + base)

    def sweep_point(
        self, what: What, configured: float, value: float, found: NDArray[np.float64], validation: float, rate: float
    ) -> None:
        """Accuracies of the chips at one point of a sweep."""
        ends = {"least": float(found.min()), "most": float(found.max())}
        row = {SWEPT[what].column: value, "accuracy": float(found.mean()), **ends, "chips": len(found)}
        if not np.isnan(validation):
            row["validation_accuracy"] = validation
        self.add(f"sweep_{what}", **row, firing_rate=rate, configured=value == configured)

    def finished(self, stages: dict[str, float]) -> Result:
        """Everything, once all is done."""
        how, found = self.experiment, self.recordings
        default = how.default.name
        for (variant, stage, split, t_s), values in self.found.items():
            if stage in ("analog", "quantised") or (stage == "software" and variant == default):
                shown = "" if stage == "software" else variant
                for chip, value in enumerate(values.tolist()):
                    row = {"variant": shown, "stage": stage, "split": 0, "chip": chip, "t_s": t_s}
                    self._accuracy_row(row, self.metric(split), value)
        points = {what: self.rows[f"sweep_{what}"] for what in SWEPT if f"sweep_{what}" in self.rows}
        self.rows["limits"] = limits(points)
        self._compared()
        self.estimated_prices()
        self._caveats()
        tables = self.tables()
        first = self.parts[self.headline]
        data = found.data(len(first[0].train) + len(first[0].validation), sum(len(part.test) for part in first))
        self.cite.add(found.origin.bibtex)
        metrics = self.metrics(
            {self.metric(split): SHARE for split in self.parts},
            data,
            software=self._means(default, "software"),
            quantised=self._means(default, "quantised"),
            baseline=self._means("", "raw"),
            stages={
                "software": "liquids in software, others than those of the chips: independent Gaussian weights of the "
                "cells' spread, no noise, no converter, read-out weights in the same bits",
                "quantised": f"the liquids of {default}, read without noise or converter",
                "analog": "liquids on chips",
            },
            variants=[self._variant(variant) for variant in how.variants],
            comparisons=self._comparisons(),
            labels=found.labels,
            panels=panels(tables, self.spikes.steps),
        )
        return self.result(metrics, tables, data, stages)

    def _accuracy_row(self, row: dict[str, Any], metric: str, value: float) -> None:
        """Accuracies on several splits are columns of one row."""
        for other in self.rows.get("accuracy", ()):
            if all(other[key] == value_of for key, value_of in row.items()):
                other[metric] = value
                return
        self.add("accuracy", **row, **{metric: value})

    def _means(self, variant: str, stage: str) -> dict[str, float]:
        return {self.metric(split): float(self.found[variant, stage, split, 0.0].mean()) for split in self.parts}

    def _variant(self, variant: LiquidVariant) -> VariantResult:
        times = sorted({t for name, stage, _, t in self.found if name == variant.name and stage == "analog"})
        chip, chips = variant.chip, self.experiment.evaluation.chips
        return VariantResult(
            name=variant.name,
            default=variant.default,
            **hardware_of(chip),
            neurons=chip.neurons,
            gain_per_uS=chip.gain_per_uS,
            bits=self.experiment.readout.bits,
            quality=tuple(
                Quality.of(
                    t_s,
                    chips,
                    {self.metric(split): self.found[variant.name, "analog", split, t_s] for split in self.parts},
                )
                for t_s in times
            ),
            cost=self.costs[variant.name],
            cost_interval=self.intervals[variant.name],
        )

    def _comparisons(self) -> list[Comparison]:
        """Chips against liquids in software of the same gain and size, and both against no liquid at all."""
        out = []
        for variant in self.experiment.variants:
            for split in self.parts:
                analog = self.found[variant.name, "analog", split, 0.0]
                software = self.found[variant.name, "software", split, 0.0]
                pairs = [(f"{variant.name} minus software", analog, software, variant.aim)]
                if variant.default:
                    raw = self.found["", "raw", split, 0.0]
                    pairs += [
                        (f"software minus {RAW}", software, raw, None),
                        (f"{variant.name} minus {RAW}", analog, raw, None),
                    ]
                for text, ours, theirs, aim in pairs:
                    over = f"{len(ours)} and {len(theirs)} liquids" if len(theirs) > 1 else f"{len(ours)} liquids"
                    text = f"{text}; {SPLITS[split]}; 95 % interval over {over}"
                    out.append(compared(variant.name, self.metric(split), text, ours, theirs, aim=aim))
        return out

    def _compared(self) -> None:
        """Accuracy of guessing, of raw event counts, software and every variant, as one table."""
        for split in self.parts:
            row = {"system": "guessing", "tested_on": SPLITS[split], "accuracy": 1.0 / len(self.recordings.labels)}
            self.add("compared", **row, low=float("nan"), high=float("nan"), liquids=0)
        for (variant, stage, split, t_s), values in self.found.items():
            if t_s > 0.0 or (stage == "software" and variant != self.experiment.default.name):
                continue
            mean, low, high = interval(values)
            name = {"raw": RAW, "software": "liquid in software"}.get(stage, variant)
            if stage != "quantised":
                row = {"system": name, "tested_on": SPLITS[split], "accuracy": mean, "low": low, "high": high}
                self.add("compared", **row, liquids=0 if stage == "raw" else len(values))

    def _caveats(self) -> None:
        """What a reader must know of these figures."""
        n, tested = len(self.recordings), sum(len(part.test) for part in self.parts[self.headline])
        half = 1.96 * np.sqrt(0.25 / tested)
        self.note(
            f"N = {n} recordings, {tested} tested. Intervals speak of liquids, on these recordings; for another "
            f"{tested} recordings, accuracies alone would move by up to {half:.1%} (binomial, 95 %), but for all alike."
        )
        self.note(
            f"The mean share of active word lines in a step is {self.spikes.rate:.2%}; {self.spikes.seen:.1%} of the "
            "events fall on window, polarity and steps that are used."
        )
        self.note_unused()

    def note_unused(self) -> None:
        """Recordings that a split neither trains on nor tests, such as a data set's validation part."""
        n = len(self.recordings)
        for split, parts in self.parts.items():
            used = np.unique(np.concatenate([np.concatenate([p.train, p.validation, p.test]) for p in parts]))
            unused = np.setdiff1d(np.arange(n), used)
            if len(unused):
                whose = ", ".join(sorted({str(part) or "no part" for part in self.recordings.parts[unused]}))
                self.note(
                    f"{len(unused)} of {n} recordings ({whose}) are neither trained on nor tested: {SPLITS[split]}."
                )
