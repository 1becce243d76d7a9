"""The price of the layers of a network that run one after the other, as the tables of a run list it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mappings.actions import Actions, ScheduledTask
from mappings.cost import CostLine, price, summarise
from periphery.prices.component import Component


@dataclass(frozen=True, kw_only=True)
class LayerOnChip:
    """One layer as the report lists it: what it does in one inference, and what it takes up; ``node_nm`` and
    ``components`` where they are not those of the others."""

    name: str
    actions: Actions
    rows: int
    columns: int
    cells: int
    tiles: int
    clipped_weights: float = 0.0
    clipped_inputs: float = 0.0
    node_nm: float | None = None
    components: Mapping[str, Component] | None = None


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
        cite: set[str] = set()
        rows: list[dict[str, Any]] = []
        for layer in layers:
            actions = layer.actions
            records = components if layer.components is None else layer.components
            priced = price(actions, node_nm=layer.node_nm or node_nm, components=records, latency_s=latency_s)
            cite |= cited(priced, records)
            lines += priced
            step = summarise(priced, actions.latency_s or latency_s, actions.ops)
            rows.append(
                {
                    "layer": prefix + layer.name,
                    **{key: getattr(layer, key) for key in ("rows", "columns", "cells", "tiles")},
                    "steps": int(actions.steps),
                    "ops": actions.ops,
                    "area_m2": step["area_m2"],
                    "energy_J": step["energy_J"] / actions.steps,
                    "leakage_W": step["leakage_W"],
                    "latency_s": actions.latency_s,
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
            cite=cite,
        )


def cited(lines: Iterable[CostLine], components: Mapping[str, Component]) -> set[str]:
    """Keys of the papers behind the prices of these lines."""
    return {key for line in lines if line.component in components for key in components[line.component].cite}
