"""The tables of a run with liquids as they grow; at the end the figures and panels drawn from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mappings.cost import shares
from mappings.liquid.run import LiquidActivity, LiquidRun
from workloads.lsm.binning import Spikes
from workloads.lsm.breaking import SWEPT, What
from workloads.lsm.cost import LiquidCost, beside_gpu, liquid_cost, timeline, training_rows
from workloads.lsm.panels import limits, panels
from workloads.lsm.readout import AnyReadout
from workloads.recordings.events import Recordings
from workloads.result import Result
from workloads.split import Split
from workloads.statistics import difference, interval, principal_plane

if TYPE_CHECKING:
    from workloads.lsm.judge import Answered
    from workloads.lsm.run import LiquidStateMachine, LiquidVariant

EPOCHS = 100  # of gradient descent, as in the paper; for counting alone
RAW = "ridge on event counts"
SPLITS = {
    "folds": "all recordings pooled, each tested once",
    "official": "the data set's own test part",
    "speakers": "speakers never heard in training",
}


@dataclass
class Tables:
    """Rows by table, and what the headline figures need."""

    experiment: LiquidStateMachine
    recordings: Recordings
    spikes: Spikes
    parts: dict[str, list[Split]]
    notes: list[str]
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    found: dict[tuple[str, str, str, float], NDArray[np.float64]] = field(default_factory=dict)
    costs: dict[str, LiquidCost] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append(row)

    def note(self, sentence: str) -> None:
        """A sentence that the reader must see, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def headline(self) -> str:
        """The split of which headlines speak."""
        return next(iter(self.parts))

    def metric(self, split: str) -> str:
        """How ``metrics.json`` calls the accuracy on a split."""
        return "accuracy" if split == self.headline else f"accuracy_{split}"

    def _accuracies(self, variant: str, stage: str, split: str, t_s: float, answered: Answered) -> None:
        self.found[variant, stage, split, t_s] = answered.accuracy
        for chip, by_part in enumerate(answered.by_part):
            for part, value in enumerate(by_part.tolist()):
                row = {"variant": variant, "stage": stage, "split_by": split, "part": part, "chip": chip, "t_s": t_s}
                self.add("parts", **row, accuracy=value)

    def baseline(self, split: str, answered: Answered) -> None:
        """A read-out of event counts, without any reservoir."""
        self._accuracies("", "raw", split, 0.0, answered)

    def software(self, variant: LiquidVariant, answered: dict[str, Answered]) -> None:
        """Liquids with ideal weights, of a variant's size and gain."""
        for split, one in answered.items():
            self._accuracies(variant.name, "software", split, 0.0, one)

    def quantised(self, variant: LiquidVariant, split: str, answered: Answered) -> None:
        """The same cells read without error."""
        self._accuracies(variant.name, "quantised", split, 0.0, answered)

    def analog(self, variant: LiquidVariant, split: str, t_s: float, answered: Answered) -> None:
        """Chips of one variant at one time."""
        self._accuracies(variant.name, "analog", split, t_s, answered)
        if t_s == 0.0 and self.metric(split) == "accuracy":
            labels, tested = self.recordings.labels, answered.answers >= 0
            true = np.broadcast_to(self.recordings.classes, answered.answers.shape)
            pairs = true[tested] * len(labels) + answered.answers[tested]
            for index, count in enumerate(np.bincount(pairs, minlength=len(labels) ** 2).tolist()):
                was, said = divmod(index, len(labels))
                self.add("confusion", variant=variant.name, true=labels[was], predicted=labels[said], count=count)

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
                settings=", ".join(f"{key} {value}" for key, value in settings.items()),
            )

    def activity(self, name: str, run: LiquidRun) -> None:
        """How busy the word lines and the neurons are."""
        counts = run.counts.numpy()
        self.add(
            "activity",
            liquid=name,
            input_rate=self.spikes.rate,
            firing_rate=float(counts.mean() / run.steps),
            chips_sd=float(run.rates.numpy().std()),
            silent_neurons=float((counts.sum(1) == 0).mean()),
            saturated_neurons=float((counts > 0.9 * run.steps).mean()),
            lines_per_step=float(run.line_reads.double().mean() / run.steps),
            clipped_conversions=float(run.clipped.double().mean()),
        )

    def hardware(self, variant: LiquidVariant, activity: LiquidActivity) -> None:
        """Layout and cost of one variant."""
        classes, steps = len(self.recordings.labels), self.spikes.steps
        bits = self.experiment.readout.bits
        cost = liquid_cost(variant.chip, activity, variant=variant.name, classes=classes, bits=bits)
        if variant.default:
            part = self.parts[self.headline][0]
            trained = len(part.train) + len(part.validation)
            self.rows["training"] = training_rows(
                variant.chip, classes=classes, steps=steps, recordings=trained, epochs=EPOCHS
            )
        self.costs[variant.name] = cost
        self.rows.setdefault("layers", []).extend(cost.layers)
        self.rows.setdefault("components", []).extend(asdict(line) for line in cost.lines)
        self.rows.setdefault("schedule", []).extend(cost.schedule)
        for sentence in cost.notes:
            self.note(f"{variant.name}: {sentence}.")

    def map_of(self, features: NDArray[Any], whose: str) -> None:
        """All recordings of one chip in the plane of their largest variance, beside those of their event counts."""
        labels = self.recordings.labels
        counts = self.spikes.event_counts().astype(np.float64)
        for what, values in ((f"rates, {whose}", features), ("event counts", counts)):
            plane, (one, two) = principal_plane(values)
            title = f"{what} ({one:.0%} and {two:.0%})"
            for (x, y), number in zip(plane / np.abs(plane).max(), self.recordings.classes, strict=True):
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

    def result(self, stages: dict[str, float]) -> Result:
        """Everything, once all is done."""
        how, data = self.experiment, self.recordings
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
        self.rows["energy"] = beside_gpu(self.costs)
        self._guesses(default)
        self._said()
        tables = {name: pd.DataFrame(rows) for name, rows in self.rows.items() if rows}
        first = self.parts[self.headline]
        record = {
            "name": data.data_name,
            "digest": data.digest,
            "synthetic": data.synthetic,
            "source": data.source,
            "note": " ".join(data.notes),
            "train": len(first[0].train) + len(first[0].validation),
            "test": sum(len(part.test) for part in first),
            "splits": 1,
        }
        metrics = {
            "data": {key: record[key] for key in ("name", "digest", "synthetic", "train", "test", "splits")},
            "metrics": {self.metric(split): {"higher_is_better": True, "unit": "1"} for split in self.parts},
            "software": {self.metric(split): self._mean(default, "software", split) for split in self.parts},
            "quantised": {self.metric(split): self._mean(default, "quantised", split) for split in self.parts},
            "baseline": {self.metric(split): self._mean("", "raw", split) for split in self.parts},
            "variants": [self._variant(variant) for variant in how.variants],
            "comparisons": self._comparisons(),
            "notes": self.notes,
            "labels": list(data.labels),
        }
        cite = {*how.cite, data.bibtex}
        for one in how.variants:
            cite.update((*one.chip.cite, *one.chip.device.cite, *self.costs[one.name].cite))
        events = timeline([self.costs[default]], f"{how.name}: one step of each layer, {default}")
        return Result(
            metrics, tables, events, record, dict(stages), tuple(sorted(cite - {""})), panels(tables, self.spikes.steps)
        )

    def _accuracy_row(self, row: dict[str, Any], metric: str, value: float) -> None:
        """Accuracies on several splits stand beside one another in one row."""
        for other in self.rows.get("accuracy", ()):
            if all(other[key] == held for key, held in row.items()):
                other[metric] = value
                return
        self.add("accuracy", **row, **{metric: value})

    def _mean(self, variant: str, stage: str, split: str, t_s: float = 0.0) -> float:
        return float(self.found[variant, stage, split, t_s].mean())

    def _variant(self, variant: LiquidVariant) -> dict[str, Any]:
        times = sorted({t for name, stage, _, t in self.found if name == variant.name and stage == "analog"})
        quality: list[dict[str, Any]] = []
        for t_s in times:
            row: dict[str, Any] = {"t_s": t_s, "chips": self.experiment.evaluation.chips}
            for split in self.parts:
                values = self.found[variant.name, "analog", split, t_s]
                row[self.metric(split)] = {"mean": float(values.mean()), "std": float(values.std())}
            quality.append(row)
        chip = variant.chip
        return {
            "name": variant.name,
            "default": variant.default,
            "device": chip.device.kind,
            "pairing": chip.pairing,
            "read_path": chip.read_path,
            "neurons": chip.neurons,
            "gain_per_uS": chip.gain_per_uS,
            "bits": self.experiment.readout.bits,
            "quality": quality,
            "cost": self.costs[variant.name].total,
        }

    def _comparisons(self) -> list[dict[str, Any]]:
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
                    mean, low, high = difference(ours, theirs)
                    over = f"{len(ours)} and {len(theirs)} liquids" if len(theirs) > 1 else f"{len(ours)} liquids"
                    out.append(
                        {
                            "name": variant.name,
                            "t_s": 0.0,
                            "text": f"{text}; {SPLITS[split]}; 95 % interval over {over}",
                            "metric": self.metric(split),
                            "mean": mean,
                            "low": low,
                            "high": high,
                            "n": len(ours),
                            "pairs": len(ours) + len(theirs),
                            "aim": None if aim is None else -aim / 100.0,
                        }
                    )
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

    def _guesses(self, variant: str) -> None:
        """How much of the headline cost rests on fitted and estimated prices."""
        found = shares(self.costs[variant].lines, "status")
        for status in ("fitted", "estimate"):
            if status in found:
                self.note(
                    f"{variant}: prices marked {status!r} make {found[status].energy_share:.1%} of its energy and "
                    f"{found[status].area_share:.1%} of its area."
                )

    def _said(self) -> None:
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
        self.note(
            "Software: independent Gaussian weights of the cells' spread, no noise, no converter, read-out held in the "
            "same bits. Ideal chip: the cells of the chips, read without noise or converter."
        )
