"""The tables of a network's run as they grow, and ``metrics.json`` at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mappings.convert.chips import ProgrammedNetwork
from mappings.convert.converted import ConvertedNetwork
from mappings.convert.cost import NetworkCost
from mappings.network.wires import wire_notes
from workloads.network.evaluate import compared
from workloads.network.model import UserNetwork
from workloads.network.settings import ConvertedExperiment, NetworkVariant
from workloads.on_chips import ChipLedger
from workloads.result import Comparison, Data, Metric, Panel, Result
from workloads.statistics import when

if TYPE_CHECKING:
    import pandas as pd

STAGES = {"trained": "retrained", "quantised": "quantised", "chips": "analog"}
"""Stages of ``evaluate`` as ``accuracy.csv`` calls them."""
PLACES = (
    "Matrix products on tiles of the default variant's chips. Products: of one inference. Utilisation: share of the "
    "cells of its tiles that a layer uses."
)
DIGITAL = "Calls that are computed digitally, and why; they are in the cost, as lines of their own."
OVER_TIME = (
    "Mean over chips with its 95 % interval, quantiles over chips, and the mean difference to the network in software "
    "(minus_software) and to other stages, each chip paired with that stage."
)


@dataclass
class NetworkTables(ChipLedger):
    """``data`` and ``given``: what the run is of; ``figures``: what is judged, the headline first; ``trains``: whether
    the network was trained in software."""

    experiment: ConvertedExperiment
    data: Data
    given: UserNetwork
    figures: Mapping[str, Metric]
    trains: bool

    def learnt(self, rows: list[dict[str, Any]]) -> None:
        """Epochs of training."""
        for row in rows:
            self.add("training_loss", **row)

    def software(
        self, computed: Mapping[str, Callable[[Any, Any], float]], outputs: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """Figures of the network before any hardware."""
        self.in_software({name: computed[name](outputs, targets) for name in self.figures})

    def in_software(self, found: Mapping[str, float]) -> None:
        """The same, computed elsewhere."""
        self.add("accuracy", variant="", stage="software", split=0, chip=-1, t_s=0.0, **found)

    def judged(self, variant: NetworkVariant, rows: pd.DataFrame) -> None:
        """What ``evaluate`` found for one variant."""
        names = tuple(self.figures)
        for row in rows.to_dict("records"):
            stage = STAGES.get(row["stage"])
            if stage is not None:
                chip = row["chip"] if stage == "analog" else -1
                where = {"variant": variant.name, "stage": stage, "split": 0, "chip": chip, "t_s": row["t_s"]}
                self.add("accuracy", **where, **{name: row[name] for name in names})
        for name in names:
            for row in compared(rows, name).to_dict("records"):
                if self.figures[name].is_share:
                    row = _within(row)
                self.add("over_time", variant=variant.name, figure=name, **{str(key): row[key] for key in row})

    def factors(self, variant: NetworkVariant, chips: ProgrammedNetwork, t_s: float) -> None:
        """Factors by which drift is compensated, where they are measured."""
        for name, read in chips.at(t_s).layers.items():
            for converter, factor in zip(chips.layers[name].converters, read.factors, strict=True):
                if isinstance(factor, torch.Tensor):
                    where = {"layer": name, "function": converter.group.function.name}
                    for chip, value in enumerate(factor.flatten(1).mean(1).tolist()):
                        self.add(
                            "compensation", variant=variant.name, split=0, chip=chip, t_s=t_s, **where, factor=value
                        )

    def hardware(
        self, variant: NetworkVariant, net: ConvertedNetwork, chips: ProgrammedNetwork, cost: NetworkCost
    ) -> None:
        """Cost and layout of one variant."""
        self.price(variant, cost.priced)
        self.note(*(f"{variant.name}: {sentence}" for sentence in net.map().notes))
        for chip in variant.chips:
            self.cite.update(chip.cited)
        if variant.default:
            for row in net.rows():
                if row["chip"] == "digital":
                    self.add("digital_calls", **{key: row[key] for key in ("path", "kind", "why")})
                else:
                    self.add("placement", **{key: value for key, value in row.items() if key != "why"})
            if cost.calls:
                self.note(f"{len(cost.calls)} calls of the network are computed digitally (digital_calls.csv).")
        self.note(*(f"{variant.name}: {sentence}." for sentence in wire_notes(chips.layers)))
        self.written(variant, chips.layers)
        self.taken_for_granted(variant)

    def finished(self, stages: dict[str, float], *more_panels: Panel) -> Result:
        """Everything, once all variants are done; ``more_panels`` are shown first."""
        tables, how = self.tables(), self.experiment
        table = tables["accuracy"]
        self.estimated_prices()
        self.note_still()
        if self.given.about:
            self.note(f"{self.about}.")
        panels = [*more_panels, Panel("Layers and digital calls", PLACES, "placement")]
        if "digital_calls" in tables:
            panels.append(Panel("Layers and digital calls", DIGITAL, "digital_calls"))
        panels.append(Panel("Chips over time", OVER_TIME, "over_time"))
        if "training_loss" in tables:
            text = "Loss of training: in software over epochs, for chips over steps."
            panels.append(Panel("Training", text, "training_loss", "lines", "epoch", "loss", by="stage"))
        if "writes" in tables:
            text = "Energy of writing each part once, by program-and-verify; in none of the costs per inference."
            panels.append(Panel("Writing", text, "writes", "bars", "part", "energy_J", by="variant", log_y=True))
        more: dict[str, Any] = {"weights": self.about} if self.given.about else {}
        if self.retrained:
            more["retrained"] = self._of(how.default.name, "retrained", table)
        metrics = self.metrics(
            self.figures,
            self.data,
            software=self._of("", "software", table),
            quantised=self._of(how.default.name, "quantised", table),
            stages=self._stages(),
            variants=[self.variant_result(variant, self.figures, table) for variant in how.variants],
            comparisons=self._comparisons(tables["over_time"]),
            panels=tuple(panels),
            **more,
        )
        return self.result(metrics, tables, self.data, stages)

    @property
    def retrained(self) -> str:
        """What the network was trained on with, after that in software; empty for nothing."""
        how = self.experiment.hardware_training
        if how is None:
            return ""
        which = "those of each variant" if how.trained_for == "each" else f"those of {self.experiment.default.name}"
        return f"the formats and errors of chips, {which}"

    @property
    def about(self) -> str:
        """How the user's network was read, and whether it was trained on."""
        how = self.experiment.hardware_training
        trained = [*(["trained on in float"] if self.trains else []), *(["trained for chips"] if how else [])]
        return f"{self.given.about}; {' and '.join(trained) or 'its weights are used as they are'}"

    def _of(self, variant: str, stage: str, table: pd.DataFrame) -> dict[str, float | None]:
        rows = table[(table.variant == variant) & (table.stage == stage)]
        return {name: float(rows[name].mean()) for name in self.figures}

    def _stages(self) -> dict[str, str]:
        """Which network each stage is of, and on what it is computed."""
        network = "the network as trained in float" if self.trains else "the network as given"
        stages = {"software": f"{network}, in float"}
        if self.retrained:
            stages["retrained"] = f"that network after training with {self.retrained}, in float"
            network = "the network trained for chips"
        return stages | {
            "quantised": f"{network} in the formats of its chips: codes and converters, no error of cells or circuits",
            "analog": f"{network} on chips",
        }

    def _comparisons(self, table: pd.DataFrame) -> list[Comparison]:
        """Each variant minus software on the same samples, chip by chip."""
        aims = {variant.name: (variant.aim, variant.aim_t_s) for variant in self.experiment.variants}
        found = []
        for row in table.to_dict("records"):
            aim, aim_t_s = aims[row["variant"]]
            aimed = aim is not None and row["t_s"] == aim_t_s and row["figure"] == next(iter(self.figures))
            where = f"{row['variant']} {when(row['t_s'])}"
            found.append(
                Comparison(
                    name=row["variant"],
                    t_s=row["t_s"],
                    text=f"{where} minus software, {row['figure']}; 95 % interval over chips",
                    metric=row["figure"],
                    mean=row["minus_software"],
                    low=row["minus_software_low"],
                    high=row["minus_software_high"],
                    n=row["chips"],
                    pairs=row["chips"],
                    aim=-aim / 100 if aimed and aim is not None else None,
                )
            )
        return found


def _within(row: dict[Any, Any]) -> dict[Any, Any]:
    """A row of ``compared`` for a share of successes: its intervals end at 0 and 1, and those of a difference at what
    chips of 0 and 1 differ by."""
    found = dict(row)
    for key in row:
        if str(key).endswith(("low", "high")):
            stage = str(key).removeprefix("minus_").rpartition("_")[0]
            less = row[stage] if stage else 0.0
            found[key] = min(max(row[key], -less), 1.0 - less)
    return found
