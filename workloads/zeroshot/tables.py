"""The tables of a zero-shot run as they grow, and the figures and panels drawn from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mappings.cost import summarise
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidRun
from workloads.lsm.binning import Spikes
from workloads.lsm.breaking import SWEPT, What
from workloads.lsm.cost import LiquidCost, liquid_cost, timeline
from workloads.recordings.events import Recordings
from workloads.result import Panel, Result
from workloads.statistics import difference, interval
from workloads.zeroshot.learning import Contrastive, Epochs

if TYPE_CHECKING:
    from workloads.zeroshot.run import ZeroShot, ZeroShotVariant

METRICS = ("unseen", "seen")


@dataclass
class ZeroShotTables:
    """Rows by table, and what the headline figures need; ``parts``: rows of each sense by part."""

    experiment: ZeroShot
    recordings: list[Recordings]
    parts: list[dict[str, NDArray[np.int64]]]
    notes: list[str] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    found: dict[tuple[str, str], dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    costs: dict[str, dict[str, LiquidCost]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append(row)

    def note(self, sentence: str) -> None:
        """A sentence that the reader must see, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def learnt(self, name: str, stage: str, how: Contrastive, epochs: Epochs) -> None:
        """Projections of one system: at the epoch chosen on validation, and at the best that peeking would find."""
        chosen = epochs.chosen("validation")
        own = {metric: epochs.at(chosen, metric) for metric in METRICS}
        self.found[name, stage] = own
        title = {
            "raw": "event counts, no liquid",
            "software": "liquids in software",
            "quantised": f"{name}, read exactly",
        }
        if stage in ("analog", "quantised", "software"):
            for chip in range(len(chosen)):
                shown = "" if stage == "software" else name
                values = {metric: float(own[metric][chip]) for metric in METRICS}
                self.add("accuracy", variant=shown, stage=stage, split=0, chip=chip, t_s=0.0, **values)
        label = self.experiment.default.name if stage == "method" else title.get(stage, name)
        for metric in METRICS:
            mean, low, high = interval(own[metric])
            self.add(
                "retrieval",
                system=label,
                loss=f"{how.loss}, temperature {how.temperature:g}, batch {how.batch}",
                standardised=how.standardise,
                asked=metric,
                accuracy=mean,
                low=low,
                high=high,
                spread=float(own[metric].std(ddof=1)) if len(chosen) > 1 else 0.0,
                peeked=float(epochs.shares[metric].max(0).mean()),
                chance=self.chance(metric),
                seeds=len(chosen),
                headline=stage != "method",
            )
        if stage in ("software", "analog"):
            for epoch, (loss, *shares) in enumerate(
                zip(epochs.loss, *(epochs.shares[part] for part in ("validation", *METRICS)), strict=True), start=1
            ):
                for part, share in zip(("validation", *METRICS), shares, strict=True):
                    mean, low, high = interval(share)
                    row = {"system": title.get(stage, name), "asked": part, "epoch": epoch, "accuracy": mean}
                    self.add("epochs", **row, low=low, high=high, loss=float(loss.mean()))

    def chance(self, metric: str) -> float:
        """Share of right answers of who guesses."""
        return 1.0 / len(getattr(self.experiment, metric))

    def hardware(self, variant: ZeroShotVariant, sense: str, chip: Liquid, run: LiquidRun, seen: Spikes) -> None:
        """Cost and activity of one of a variant's liquids; its projection is priced as a read-out of 8 bits."""
        width = self.experiment.learning.dimensions
        cost = liquid_cost(chip, run.activity, variant=variant.name, classes=width, bits=8)
        named = replace(
            cost,
            lines=[replace(line, layer=f"{sense} {line.layer}") for line in cost.lines],
            layers=[{**row, "layer": f"{sense} {row['layer']}"} for row in cost.layers],
            schedule=[{**row, "layer": f"{sense} {row['layer']}"} for row in cost.schedule],
            tasks=tuple(replace(task, layer=f"{sense} {task.layer}") for task in cost.tasks),
        )
        self.costs.setdefault(variant.name, {})[sense] = named
        self.rows.setdefault("layers", []).extend(named.layers)
        self.rows.setdefault("components", []).extend(asdict(line) for line in named.lines)
        self.rows.setdefault("schedule", []).extend(named.schedule)
        counts = run.counts.numpy()
        self.add(
            "activity",
            variant=variant.name,
            sense=sense,
            input_rate=seen.rate,
            firing_rate=float(counts.mean() / run.steps),
            silent_neurons=float((counts.sum(1) == 0).mean()),
            saturated_neurons=float((counts > 0.9 * run.steps).mean()),
        )

    def sweep_point(self, what: What, configured: float, value: float, epochs: Epochs) -> None:
        """Retrieval at one point of a sweep."""
        chosen = epochs.chosen("validation")
        for metric in METRICS:
            mean, low, high = interval(epochs.at(chosen, metric))
            row = {SWEPT[what].column: value, "asked": metric, "accuracy": mean, "low": low, "high": high}
            self.add(f"sweep_{what}", **row, seeds=len(chosen), configured=value == configured)

    def result(self, stages: dict[str, float]) -> Result:
        """Everything, once all is done."""
        how = self.experiment
        image, audio = self.recordings
        for one in self.recordings:
            for sentence in one.notes:
                self.note(sentence)
        sizes = [{part: len(rows) for part, rows in held.items()} for held in self.parts]
        self._said(sizes)
        record = {
            "name": f"{image.data_name} and {audio.data_name}",
            "digest": f"{image.digest[:32]}{audio.digest[:32]}",
            "synthetic": image.synthetic or audio.synthetic,
            "source": f"{image.source}; {audio.source}",
            "note": " ".join([*image.notes, *audio.notes]),
            "train": sizes[1]["train"],
            "test": sizes[1]["seen"] + sizes[1]["unseen"],
            "splits": 1,
        }
        default = how.default.name
        metrics = {
            "data": {key: record[key] for key in ("name", "digest", "synthetic", "train", "test", "splits")},
            "metrics": {metric: {"higher_is_better": True, "unit": "1"} for metric in METRICS},
            "software": {metric: float(self.found["", "software"][metric].mean()) for metric in METRICS},
            "quantised": {metric: float(self.found[default, "quantised"][metric].mean()) for metric in METRICS},
            "chance": {metric: self.chance(metric) for metric in METRICS},
            "variants": [self._variant(variant) for variant in how.variants],
            "comparisons": self._comparisons(),
            "notes": self.notes,
            "labels": [*how.seen, *how.unseen],
        }
        tables = {name: pd.DataFrame(rows) for name, rows in self.rows.items()}
        cite = {*how.cite, image.bibtex, audio.bibtex}
        for variant in how.variants:
            for chip in variant.chip.each():
                cite.update((*chip.cite, *chip.device.cite))
            for cost in self.costs[variant.name].values():
                cite.update(cost.cite)
        events = timeline(self.costs[default].values(), f"{how.name}: one step of each layer, {default}")
        keys = tuple(sorted(cite - {""}))
        return Result(metrics, tables, events, record, dict(stages), keys, self._panels(tables))

    def _variant(self, variant: ZeroShotVariant) -> dict[str, Any]:
        own = self.found[variant.name, "analog"]
        spread = {name: {"mean": float(of.mean()), "std": float(of.std())} for name, of in own.items()}
        both = self.costs[variant.name].values()
        lines = [line for cost in both for line in cost.lines]
        # The two senses work side by side; each is supplied for as long as its own recording lasts.
        latency_s = max(cost.total["latency_s"] for cost in both)
        return {
            "name": variant.name,
            "default": variant.default,
            "device": variant.chip.image.device.kind,
            "pairing": variant.chip.image.pairing,
            "read_path": variant.chip.image.read_path,
            "quality": [{"t_s": 0.0, "chips": self.experiment.evaluation.chips, **spread}],
            "cost": summarise(lines, latency_s, sum(cost.total["ops"] for cost in both)),
        }

    def _comparisons(self) -> list[dict[str, Any]]:
        out = []
        for variant in self.experiment.variants:
            for metric in METRICS:
                ours, theirs = self.found[variant.name, "analog"][metric], self.found["", "software"][metric]
                against = [
                    (f"{variant.name} minus software", ours, theirs, variant.aim if metric == METRICS[0] else None)
                ]
                if variant.default:
                    against.append((f"{variant.name} minus chance", ours, np.array([self.chance(metric)]), None))
                    against.append(("software minus chance", theirs, np.array([self.chance(metric)]), None))
                for text, a, b, allowed in against:
                    mean, low, high = difference(a, b)
                    row = {"name": variant.name, "t_s": 0.0, "metric": metric, "mean": mean, "low": low, "high": high}
                    over = f"{metric} digits; 95 % interval over {len(a)} seeds"
                    limit = None if allowed is None else -allowed / 100.0
                    out.append({**row, "text": f"{text}; {over}", "n": len(a), "pairs": len(a) + len(b), "aim": limit})
        return out

    def _said(self, sizes: list[dict[str, int]]) -> None:
        """What a reader must know of these figures."""
        how, (image, audio) = self.experiment, sizes
        self.note(
            f"Chance is 1/{len(how.unseen)} on unseen digits ({', '.join(how.unseen)}) and 1/{len(how.seen)} on seen "
            f"ones. A sound is right where the picture that it finds shows its digit: {audio['seen']} sounds among "
            f"{image['seen']} pictures of seen digits, {audio['unseen']} among {image['unseen']} of unseen ones; "
            f"trained on {audio['train']} sounds, each with one of {image['train']} pictures of its digit, by their "
            "order."
        )
        self.note(
            "The epoch is chosen on validation recordings of seen digits, for each seed. The paper chose the epoch, "
            "and the weight scales, by the accuracies on both test sets; the column 'peeked' says what the best epoch "
            "on the test set would have been, which is no estimate of anything but the luck of choosing."
        )
        self.note(
            "Nothing ties the look of a digit to its sound, so what was learnt on other digits need not carry over: on "
            "two unseen digits a seed may as well lie below chance as above it."
        )
        self.note(
            "N-TIDIGITS, which the paper's audio branch hears, is not at hand; the sounds are those of the data named "
            "above, through mho's own cochlea, unless spikes were given."
        )

    def _panels(self, tables: dict[str, pd.DataFrame]) -> tuple[Panel, ...]:
        guessing = [{"system": "guessing", "asked": metric, "accuracy": self.chance(metric)} for metric in METRICS]
        learnt = tables["retrieval"][tables["retrieval"].headline]
        tables["headline"] = pd.concat([pd.DataFrame(guessing), learnt], ignore_index=True).reindex(
            columns=learnt.columns
        )
        head = "Retrieval of seen and unseen digits"
        panels = [
            Panel(
                section=head,
                text="Sounds that find a picture of their digit, mean over seeds and its 95 % interval, at the epoch "
                "that validation recordings of seen digits chose. Chance: "
                + ", ".join(f"{self.chance(metric):.1%} {metric}" for metric in METRICS)
                + ".",
                table="headline",
                kind="bars",
                x="system",
                y="accuracy",
                by="asked",
                low="low",
                high="high",
                share=True,
            ),
            Panel(
                section=head,
                text="All ways to learn, as numbers.",
                table="retrieval",
                kind="table",
                columns=("system", "loss", "standardised", "asked", "accuracy", "low", "high", "peeked", "seeds"),
            ),
            Panel(
                section=head,
                text="Retrieval over the epochs, mean over seeds and its 95 % interval.",
                table="epochs",
                kind="lines",
                x="epoch",
                y="accuracy",
                by="asked",
                low="low",
                high="high",
                facet="system",
                share=True,
            ),
            Panel(section="Spikes", text="How busy the liquids are.", table="activity", kind="table"),
        ]
        for what, swept in SWEPT.items():
            if f"sweep_{what}" in tables:
                configured = next(row[swept.column] for row in self.rows[f"sweep_{what}"] if row["configured"])
                panels.append(
                    Panel(
                        section="Where it breaks",
                        text=f"{swept.text[0].upper()}{swept.text[1:]}, of both liquids.",
                        table=f"sweep_{what}",
                        kind="lines",
                        x=swept.column,
                        y="accuracy",
                        by="asked",
                        low="low",
                        high="high",
                        log_x=swept.log,
                        share=True,
                        marks={"configured": float(configured)},
                    )
                )
        return tuple(panels)
