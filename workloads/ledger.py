"""The ledger of one run: tables, variants, cost, notes and citations as they grow, and ``metrics.json`` at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from devices import InputError
from mappings.cost import CostLine, shares, summarise
from mappings.price_spread import spread
from mappings.priced import Priced
from mappings.trace import trace
from periphery.prices.component import component
from workloads.always_on import MICROPHONE, PeriodCost, period_cost
from workloads.duty import Duty, Gating, Mode
from workloads.experiment import Experiment, Variant
from workloads.result import Comparison, Data, Metric, Metrics, Panel, Result, VariantResult
from workloads.statistics import difference, when

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def compared(
    variant: str, metric: str, text: str, ours: Floats, theirs: Floats, *, aim: float | None = None
) -> Comparison:
    """Two samples right after programming that have nothing in common; ``aim``: allowed loss in points."""
    mean, low, high = difference(ours, theirs)
    return Comparison(
        name=variant,
        t_s=0.0,
        text=text,
        metric=metric,
        mean=mean,
        low=low,
        high=high,
        n=len(ours),
        pairs=len(ours) + len(theirs),
        aim=None if aim is None else -aim / 100.0,
    )


_DUTY = Panel(
    "Always on",
    "Energy of one period and average power: the burst, leakage through the whole period, waking, features. "
    "continuous: one step of every layer in a period, state carried for ever; window: a whole inference anew in each "
    "period. chosen: what the experiment states. The microphone is not counted. Areas are those of the features' "
    "circuit and of the power switches, in addition to the chip's.",
    "duty",
)


def _of_period(name: str, cost: PeriodCost) -> str:
    """One sentence on a period of the headline."""
    duty, energy_J = cost.duty, cost.energy_J
    what = {"continuous": "one step, state carried for ever", "window": "a whole inference, computed anew"}
    return (
        f"{name} in mode {duty.mode} ({what.get(duty.mode, 'a whole inference')}, each {duty.period_s:g} s): "
        f"{energy_J:.3g} J a period, {cost.average_power_W:.3g} W on average; computing "
        f"{cost.dynamic_J / energy_J:.1%}, leakage {cost.leakage_J / energy_J:.1%}, waking "
        f"{cost.wake_J / energy_J:.1%}, features ({duty.features}) "
        f"{cost.features_J / energy_J:.1%}; power gating {'off' if duty.gating is None else 'on'}."
    )


@dataclass
class Ledger:
    """What a run has found so far; a workload's subclass adds the tables that are special to it.

    ``rows``: by table; ``frames``: tables that are made whole; ``costs``, ``intervals`` (what prices spread of
    them) and ``lines``: by variant.
    """

    experiment: Experiment[Any]
    notes: list[str] = field(default_factory=list, kw_only=True)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict, kw_only=True)
    frames: dict[str, pd.DataFrame] = field(default_factory=dict, kw_only=True)
    costs: dict[str, dict[str, float]] = field(default_factory=dict, kw_only=True)
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict, kw_only=True)
    lines: dict[str, list[CostLine]] = field(default_factory=dict, kw_only=True)
    events: dict[str, Any] = field(default_factory=dict, kw_only=True)
    cite: set[str] = field(default_factory=set, kw_only=True)

    def add(self, table: str, **row: Any) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append(row)

    def note(self, *sentences: str) -> None:
        """Sentences that the reader must see, each once."""
        self.notes += [each for each in dict.fromkeys(sentences) if each not in self.notes]

    def _together(self) -> tuple[str, ...]:
        """The notes, one for all variants of which the same is said."""
        names = {variant.name for variant in self.experiment.each}
        of: dict[str, list[str]] = {}
        for note in self.notes:
            name, colon, rest = note.partition(": ")
            of.setdefault(rest if colon and name in names else note, []).append(name if name in names else "")
        return tuple(f"{', '.join(said)}: {text}" if said[0] else text for text, said in of.items())

    def note_one_class(self, name: str, t_s: float, answers: Ints, labels: Sequence[str]) -> None:
        """Note chips that answer one class alone; ``answers`` (chips, n), below 0 where a recording was not tested."""
        named: dict[str, int] = {}
        for chip in answers:
            found = np.unique(chip[chip >= 0])
            if len(found) == 1 and len(labels) > 1:
                named[labels[int(found[0])]] = named.get(labels[int(found[0])], 0) + 1
        if named:
            which = ", ".join(f"{count} of {len(answers)} chips {label}" for label, count in named.items())
            self.note(f"{name}, {when(t_s)}: chips answer one class alone, whatever the recording ({which}).")

    def note_silence(self, name: str, counts: Ints) -> None:
        """Note liquids in which nothing fires; ``counts`` (chips, recordings, neurons) of spikes."""
        silent = int((counts.reshape(len(counts), -1).sum(1) == 0).sum())
        if silent:
            self.note(
                f"{name}: no neuron fires in any recording on {silent} of {len(counts)} liquids; what their read-outs "
                "answer is their bias alone."
            )

    def price(self, variant: Variant, *parts: Priced, shown: str = "one step of each layer") -> None:
        """Cost of one variant; ``parts`` are chips that work side by side, each supplied as long as its own job lasts.

        ``shown``: what the trace of the headline's tasks shows.
        """
        name = variant.name
        lines = [replace(line, variant=name) for part in parts for line in part.lines]
        tasks = [task for part in parts for task in part.tasks]
        latency_s = max(part.latency_s for part in parts)
        self.lines[name] = lines
        ops = sum(part.ops for part in parts)
        self.costs[name] = summarise(lines, latency_s, ops)
        self.intervals[name] = spread(lines, latency_s, ops)
        self.rows.setdefault("components", []).extend(asdict(line) for line in lines)
        if self.experiment.duty is not None:
            self._always_on(variant, parts, self.experiment.duty.at(self.experiment.hop_s))
        for part in parts:
            self.rows.setdefault("layers", []).extend({"variant": name, **row} for row in part.layers)
            self.note(*(f"{name}: {sentence}." for sentence in part.notes))
            self.cite |= part.cite
        for task in tasks:
            times = {"start_s": task.start_s, "duration_s": task.duration_s}
            self.add("schedule", variant=name, layer=task.layer, task=task.name, resource=task.resource, **times)
        if variant.default:
            self.events = trace(tasks, title=f"{self.experiment.name}: {shown}, {name}")

    def _always_on(self, variant: Variant, parts: Sequence[Priced], duty: Duty) -> None:
        """Energy of a period and average power: as the duty says, in the other mode, and with and without gating."""
        name, node_nm = variant.name, parts[0].lines[0].node_nm
        found = period_cost(parts, duty, node_nm=node_nm)
        self.costs[name] |= {
            "period_s": duty.period_s or 0.0,
            "period_J": found.energy_J,
            "average_power_W": found.average_power_W,
        }
        self.intervals[name] |= found.intervals()
        if duty.features != "none":
            self.cite |= set(component(duty.features).cite)
        modes: tuple[Mode, ...] = ("continuous", "window") if duty.mode != "burst" else ("burst",)
        for mode in sorted(modes, key=lambda mode: mode != duty.mode):
            for gating in sorted((None, duty.gating or Gating()), key=lambda gating: gating != duty.gating):
                other = replace(duty, mode=mode, gating=gating)
                chosen = other == duty
                with suppress(InputError):  # the other mode may need more time than a period has
                    row = found.row() if chosen else period_cost(parts, other, node_nm=node_nm).row()
                    self.add("duty", variant=name, chosen=chosen, **row)
        if variant.default:
            self.note(_of_period(name, found), MICROPHONE)

    def estimated_prices(self) -> None:
        """Note how much of the headline's cost rests on fitted and estimated prices."""
        name = self.experiment.default.name
        found = shares(self.lines[name], "status")
        for status in ("fitted", "estimate"):
            if status in found:
                self.note(
                    f"{name}: prices marked {status!r} make {found[status].energy_share:.1%} of its energy and "
                    f"{found[status].area_share:.1%} of its area."
                )

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables that have rows."""
        import pandas as pd

        return {name: pd.DataFrame(rows) for name, rows in self.rows.items() if rows} | self.frames

    def metrics(
        self,
        figures: Mapping[str, Metric],
        data: Data,
        *,
        variants: Iterable[VariantResult],
        comparisons: Iterable[Comparison],
        panels: tuple[Panel, ...],
        **more: Any,
    ) -> Metrics:
        """``metrics.json``; ``more`` are further fields of ``Metrics``. Panels are left out where there are none."""
        experiment = self.experiment
        if "duty" in self.rows:
            panels = (*panels, _DUTY)
        if panels:
            more["panels"] = panels
        return Metrics(
            experiment=experiment.name,
            seed=experiment.seed,
            data=Data.model_validate(data.model_dump(exclude_unset=True, exclude={"source", "note"})),
            metrics=dict(figures),
            variants=tuple(variants),
            comparisons=tuple(comparisons),
            notes=self._together(),
            **more,
        )

    def result(
        self, metrics: Metrics, tables: dict[str, pd.DataFrame], data: Data, stages: Mapping[str, float]
    ) -> Result:
        """The finished job; its citations are those of the experiment, of its prices, and what else was put here."""
        cite = tuple(sorted({*self.cite, *self.experiment.cite} - {""}))
        return Result(metrics, tables, self.events, data, dict(stages), cite)
