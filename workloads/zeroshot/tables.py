"""The tables of a zero-shot run as they grow, and the figures and panels drawn from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mappings.liquid.run import LiquidRun
from mappings.priced import Priced
from workloads.ledger import Ledger, compared
from workloads.lsm.binning import Spikes
from workloads.lsm.breaking import SWEPT, What
from workloads.lsm.chips import hardware_of, unread
from workloads.recordings.events import Recordings
from workloads.result import INTERVAL, SHARE, Comparison, Data, Panel, Quality, Result, VariantResult
from workloads.statistics import deviation, interval
from workloads.zeroshot.learning import Contrastive, Epochs
from workloads.zeroshot.settings import ZeroShot, ZeroShotVariant

if TYPE_CHECKING:
    import pandas as pd

FIGURES = {"unseen": SHARE, "seen": SHARE}


@dataclass
class ZeroShotTables(Ledger):
    """``parts``: rows of each sense by part; ``found``: retrieval of all seeds by variant and stage."""

    experiment: ZeroShot
    recordings: list[Recordings]
    parts: list[dict[str, NDArray[np.int64]]]
    found: dict[tuple[str, str], dict[str, NDArray[np.float64]]] = field(default_factory=dict)

    def learnt(self, name: str, stage: str, how: Contrastive, epochs: Epochs) -> None:
        """Projections of one system: at the epoch chosen on validation, and at the best that peeking would find."""
        chosen = epochs.chosen("validation")
        found = {metric: epochs.at(chosen, metric) for metric in FIGURES}
        self.found[name, stage] = found
        title = {
            "raw": "event counts, no liquid",
            "software": "liquids in software",
            "quantised": f"{name}, read exactly",
        }
        if stage in ("analog", "quantised", "software"):
            for chip in range(len(chosen)):
                shown = "" if stage == "software" else name
                values = {metric: float(found[metric][chip]) for metric in FIGURES}
                self.add("accuracy", variant=shown, stage=stage, split=0, chip=chip, t_s=0.0, **values)
        label = self.experiment.default.name if stage == "method" else title.get(stage, name)
        for metric in FIGURES:
            mean, low, high = interval(found[metric])
            self.add(
                "retrieval",
                system=label,
                loss=f"{how.loss}, temperature {how.temperature:g}, batch {how.batch}",
                standardised=how.standardise,
                asked=metric,
                accuracy=mean,
                low=low,
                high=high,
                spread=deviation(found[metric]),
                peeked=float(epochs.shares[metric].max(0).mean()),
                chance=self.chance(metric),
                seeds=len(chosen),
                headline=stage != "method",
            )
        if stage in ("software", "analog"):
            for epoch, (loss, *shares) in enumerate(
                zip(epochs.loss, *(epochs.shares[part] for part in ("validation", *FIGURES)), strict=True), start=1
            ):
                for part, share in zip(("validation", *FIGURES), shares, strict=True):
                    mean, low, high = interval(share)
                    row = {"system": title.get(stage, name), "asked": part, "epoch": epoch, "accuracy": mean}
                    self.add("epochs", **row, low=low, high=high, loss=float(loss.mean()))

    def chance(self, metric: str) -> float:
        """Share of right answers by guessing."""
        return 1.0 / len(getattr(self.experiment, metric))

    def hardware(
        self, variant: ZeroShotVariant, costs: list[Priced], activity: list[tuple[str, LiquidRun, Spikes]]
    ) -> None:
        """Cost of a variant's two liquids, which work side by side, and how busy they are, by sense."""
        self.price(variant, *costs)
        for chip in variant.chip.each():
            self.cite.update((*chip.cite, *chip.device.cite))
            self.note(*(f"{variant.name}: {sentence}." for sentence in unread(chip)))
        for sense, run, seen in activity:
            counts = run.counts.numpy()
            self.note_silence(f"{variant.name}, {sense}", counts)
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
        for metric in FIGURES:
            mean, low, high = interval(epochs.at(chosen, metric))
            row = {SWEPT[what].column: value, "asked": metric, "accuracy": mean, "low": low, "high": high}
            self.add(f"sweep_{what}", **row, seeds=len(chosen), configured=value == configured)

    def finished(self, stages: dict[str, float]) -> Result:
        """Everything, once all is done."""
        how = self.experiment
        image, audio = self.recordings
        self.note(*image.notes, *audio.notes)
        sizes = [{part: len(rows) for part, rows in sense.items()} for sense in self.parts]
        for recordings, sense in zip(self.recordings, sizes, strict=True):
            unused = len(recordings) - sum(sense.values())
            if unused:
                self.note(
                    f"{recordings.origin.name}: {unused} of {len(recordings)} recordings are used in no part: other "
                    "labels than those seen and unseen, or parts of the data set that are neither trained on nor asked."
                )
        self._caveats(sizes)
        self.estimated_prices()
        data = Data(
            name=f"{image.origin.name} and {audio.origin.name}",
            digest=f"{image.digest[:32]}{audio.digest[:32]}",
            synthetic=image.origin.synthetic or audio.origin.synthetic,
            source=f"{image.origin.source}; {audio.origin.source}",
            note=" ".join([*image.notes, *audio.notes]),
            train=sizes[1]["train"],
            test=sizes[1]["seen"] + sizes[1]["unseen"],
            splits=1,
        )
        self.cite |= {image.origin.bibtex, audio.origin.bibtex}
        tables = self.tables()
        metrics = self.metrics(
            FIGURES,
            data,
            software=self._means("", "software"),
            quantised=self._means(how.default.name, "quantised"),
            chance={metric: self.chance(metric) for metric in FIGURES},
            stages={
                "software": "projections of liquids in software, with independent weights of the cells' spread",
                "quantised": f"projections of the liquids of {how.default.name}, read without noise or converter",
                "analog": "projections of liquids on chips",
            },
            variants=[self._variant(variant) for variant in how.variants],
            comparisons=self._comparisons(),
            labels=(*how.seen, *how.unseen),
            panels=self._panels(tables),
        )
        return self.result(metrics, tables, data, stages)

    def _means(self, variant: str, stage: str) -> dict[str, float]:
        return {metric: float(self.found[variant, stage][metric].mean()) for metric in FIGURES}

    def _variant(self, variant: ZeroShotVariant) -> VariantResult:
        chip = variant.chip.image
        return VariantResult(
            name=variant.name,
            default=variant.default,
            **hardware_of(chip),
            quality=(Quality.of(0.0, self.experiment.evaluation.chips, self.found[variant.name, "analog"]),),
            cost=self.costs[variant.name],
            cost_interval=self.intervals[variant.name],
        )

    def _comparisons(self) -> list[Comparison]:
        out = []
        for variant in self.experiment.variants:
            for metric in FIGURES:
                ours, theirs = self.found[variant.name, "analog"][metric], self.found["", "software"][metric]
                aim = variant.aim if metric == next(iter(FIGURES)) else None
                against = [(f"{variant.name} minus software", ours, theirs, aim)]
                if variant.default:
                    chance = np.array([self.chance(metric)])
                    against.append((f"{variant.name} minus chance", ours, chance, None))
                    against.append(("software minus chance", theirs, chance, None))
                for text, a, b, allowed in against:
                    text = f"{text}; {metric} digits; 95 % interval over {len(a)} seeds"
                    out.append(compared(variant.name, metric, text, a, b, aim=allowed))
        return out

    def _caveats(self, sizes: list[dict[str, int]]) -> None:
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
            "and the weight scales, by the accuracies on both test sets; the column 'peeked' gives what the best epoch "
            "on the test set would have been, which is no estimate of anything but the luck of choosing."
        )
        self.note(
            "Nothing ties the look of a digit to its sound, so what was learnt on other digits need not carry over: on "
            "two unseen digits a seed may be below chance as well as above it."
        )
        self.note(
            "N-TIDIGITS, which the paper's audio branch hears, is not available; the sounds are those of the data "
            "named above, through mho's cochlea, unless spikes were given."
        )

    def _panels(self, tables: dict[str, pd.DataFrame]) -> tuple[Panel, ...]:
        import pandas as pd

        guessing = [{"system": "guessing", "asked": metric, "accuracy": self.chance(metric)} for metric in FIGURES]
        learnt = tables["retrieval"][tables["retrieval"].headline]
        tables["headline"] = pd.concat([pd.DataFrame(guessing), learnt], ignore_index=True).reindex(
            columns=learnt.columns
        )
        head = "Retrieval of seen and unseen digits"
        drawn = {**INTERVAL, "by": "asked", "share": True}
        chance = ", ".join(f"{self.chance(metric):.1%} {metric}" for metric in FIGURES)
        text = (
            "Sounds that find a picture of their digit, mean over seeds and its 95 % interval (cut at 0 and 100 %), at "
            f"the epoch that validation recordings of seen digits chose. Chance: {chance}."
        )
        shown = ("system", "loss", "standardised", "asked", "accuracy", "low", "high", "peeked", "seeds")
        over = "Retrieval over the epochs, mean over seeds and its 95 % interval."
        panels = [
            Panel(head, text, "headline", "bars", "system", "accuracy", **drawn),
            Panel(head, "All ways to learn, as numbers.", "retrieval", columns=shown, **INTERVAL, share=True),
            Panel(head, over, "epochs", "lines", "epoch", "accuracy", facet="system", **drawn),
            Panel("Spikes", "How busy the liquids are.", "activity"),
        ]
        for what, swept in SWEPT.items():
            name = f"sweep_{what}"
            if name in tables:
                configured = next(row[swept.column] for row in self.rows[name] if row["configured"])
                marks = {"configured": float(configured)}
                text = f"{swept.text[0].upper()}{swept.text[1:]}, of both liquids."
                how = {"log_x": swept.log, "marks": marks, **drawn}
                panels.append(Panel("Where it breaks", text, name, "lines", swept.column, "accuracy", **how))
        return tuple(panels)
