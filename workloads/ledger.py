"""The ledger of one run: tables, variants, cost, notes and citations as they grow, and ``metrics.json`` at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mappings.actions import Actions, ScheduledTask
from mappings.activity import Activity
from mappings.cost import CostLine, price, shares, summarise
from mappings.network.network import ProgrammedNetwork
from mappings.trace import trace
from periphery.prices.component import Component
from workloads.experiment import Experiment, Variant
from workloads.result import Comparison, Data, Metric, Metrics, Panel, Result, VariantResult
from workloads.statistics import difference, when

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LayerOnChip:
    """One layer as the report lists it: what it does in one inference, and what it takes up."""

    name: str
    actions: Actions
    rows: int
    columns: int
    cells: int
    tiles: int
    clipped_weights: float = 0.0
    clipped_inputs: float = 0.0


def layers_of(
    chips: ProgrammedNetwork, seen: Mapping[str, Activity], *, steps: int = 1, clipped_inputs: float = 0.0
) -> list[LayerOnChip]:
    """The layers of a network in one inference of ``steps`` steps, by what they were ``seen`` to do.

    ``clipped_inputs``: share of the network's inputs beyond the range of the first layer's drivers.
    """
    found = []
    for number, (name, actions) in enumerate(chips.mapped.actions(chips.observed(seen), steps=steps).items()):
        shape = chips.mapped.layers[name].shape
        found.append(
            LayerOnChip(
                name=name,
                actions=actions,
                rows=shape.rows,
                columns=shape.columns,
                cells=shape.cells,
                tiles=shape.row_tiles * shape.column_tiles,
                clipped_weights=chips.layers[name].matrix.array.encoded.clipped,
                clipped_inputs=0.0 if number else clipped_inputs,
            )
        )
    return found


@dataclass(frozen=True)
class Priced:
    """The price of layers that run one after the other; all are supplied from the first step to the last.

    ``lines``: every action and instance; ``layers``: rows of that table; ``tasks``: of one step of each layer;
    ``notes``: what was assumed; ``cite``: papers behind the prices.
    """

    lines: list[CostLine]
    layers: list[dict[str, Any]]
    tasks: list[ScheduledTask]
    latency_s: float
    ops: float
    notes: list[str]
    cite: set[str]

    @classmethod
    def of(
        cls, layers: Sequence[LayerOnChip], *, node_nm: float, components: Mapping[str, Component], prefix: str = ""
    ) -> Priced:
        """At CMOS node ``node_nm``; ``prefix`` goes before the names of layers.

        Raises ``InputError`` for a component without a price.
        """
        latency_s = sum(layer.actions.latency_s * layer.actions.steps for layer in layers)
        lines: list[CostLine] = []
        rows: list[dict[str, Any]] = []
        for layer in layers:
            actions = layer.actions
            priced = price(actions, node_nm=node_nm, components=components, latency_s=latency_s)
            lines += priced
            step = summarise(priced, actions.latency_s, actions.ops)
            rows.append(
                {
                    "layer": prefix + layer.name,
                    **{key: getattr(layer, key) for key in ("rows", "columns", "cells", "tiles")},
                    "steps": int(actions.steps),
                    "ops": actions.ops,
                    "area_m2": step["area_m2"],
                    "energy_J": step["energy_J"] / actions.steps,
                    "leakage_W": step["leakage_W"],
                    "latency_s": step["latency_s"],
                    "clipped_weights": layer.clipped_weights,
                    "clipped_inputs": layer.clipped_inputs,
                }
            )
        return cls(
            lines=[replace(line, layer=prefix + line.layer) for line in lines],
            layers=rows,
            tasks=[replace(task, layer=prefix + task.layer) for layer in layers for task in layer.actions.tasks],
            latency_s=latency_s,
            ops=sum(layer.actions.ops * layer.actions.steps for layer in layers),
            notes=[sentence for layer in layers for sentence in layer.actions.notes],
            cite=cited(lines, components),
        )


def cited(lines: Iterable[CostLine], components: Mapping[str, Component]) -> set[str]:
    """Keys of the papers behind the prices of these lines."""
    return {key for line in lines if line.component in components for key in components[line.component].cite}


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


@dataclass
class Ledger:
    """What a run has found so far; a workload's subclass adds the tables that are special to it.

    ``rows``: by table; ``frames``: tables that are made whole; ``costs`` and ``lines``: by variant.
    """

    experiment: Experiment[Any]
    notes: list[str] = field(default_factory=list, kw_only=True)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict, kw_only=True)
    frames: dict[str, pd.DataFrame] = field(default_factory=dict, kw_only=True)
    costs: dict[str, dict[str, float]] = field(default_factory=dict, kw_only=True)
    lines: dict[str, list[CostLine]] = field(default_factory=dict, kw_only=True)
    events: dict[str, Any] = field(default_factory=dict, kw_only=True)
    cite: set[str] = field(default_factory=set, kw_only=True)

    def add(self, table: str, **row: Any) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append(row)

    def note(self, *sentences: str) -> None:
        """Sentences that the reader must see, each once."""
        self.notes += [each for each in dict.fromkeys(sentences) if each not in self.notes]

    def note_device(self, device: str, what: str) -> None:
        """Note that a device other than the CPU changes nothing for ``what`` is simulated."""
        if device != "cpu":
            self.note(f"--device {device} changes nothing here: {what} are simulated on the CPU.")

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
        self.costs[name] = summarise(lines, latency_s, sum(part.ops for part in parts))
        self.rows.setdefault("components", []).extend(asdict(line) for line in lines)
        for part in parts:
            self.rows.setdefault("layers", []).extend({"variant": name, **row} for row in part.layers)
            self.note(*(f"{name}: {sentence}." for sentence in part.notes))
            self.cite |= part.cite
        for task in tasks:
            times = {"start_s": task.start_s, "duration_s": task.duration_s}
            self.add("schedule", variant=name, layer=task.layer, task=task.name, resource=task.resource, **times)
        if variant.default:
            self.events = trace(tasks, title=f"{self.experiment.name}: {shown}, {name}")

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
        if panels:
            more["panels"] = panels
        return Metrics(
            experiment=experiment.name,
            seed=experiment.seed,
            data=Data.model_validate(data.model_dump(exclude_unset=True, exclude={"source", "note"})),
            metrics=dict(figures),
            variants=tuple(variants),
            comparisons=tuple(comparisons),
            notes=tuple(self.notes),
            **more,
        )

    def result(
        self, metrics: Metrics, tables: dict[str, pd.DataFrame], data: Data, stages: Mapping[str, float]
    ) -> Result:
        """The finished job; its citations are those of the experiment, of its prices, and what else was put here."""
        cite = tuple(sorted({*self.cite, *self.experiment.cite} - {""}))
        return Result(metrics, tables, self.events, data, dict(stages), cite)
