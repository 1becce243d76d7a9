"""What a liquid costs for one recording: its arrays and neurons by the spikes that were counted, and its read-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mappings.actions import Action, Actions, Instance, Schedule
from mappings.cost import CostLine, price, summarise
from mappings.liquid import Liquid, LiquidRun
from periphery.component import load_components
from workloads.lsm.readout import AnyReadout

NODE_NM = 40.0


@dataclass(frozen=True)
class LiquidCost:
    """Lines of price, rows of ``layers.csv`` and ``schedule.csv``, the sum for one recording, and its papers."""

    lines: list[CostLine]
    layers: list[dict[str, Any]]
    schedule: list[dict[str, Any]]
    total: dict[str, float]
    notes: tuple[str, ...]
    cite: tuple[str, ...]
    trace: dict[str, Any]


def liquid_cost(chip: Liquid, run: LiquidRun, *, variant: str, readout: AnyReadout, classes: int) -> LiquidCost:
    """Cost of one recording, the mean over the recordings and chips of ``run``."""
    records = load_components()
    layers = [_liquid(chip, run)]
    latency_s = sum(layer.latency_s * layer.steps for layer in layers)
    lines: list[CostLine] = []
    rows: list[dict[str, Any]] = []
    schedule: list[dict[str, Any]] = []
    cite: set[str] = set()
    for actions in layers:
        own = price(actions, node_nm=NODE_NM, components=records, latency_s=latency_s, variant=variant)
        lines += own
        step = summarise(own, actions.latency_s, actions.ops)
        rows.append(
            {
                "variant": variant,
                "layer": "liquid",
                "rows": chip.rows,
                "columns": chip.neurons,
                "cells": chip.rows * chip.columns,
                "tiles": chip.arrays,
                "steps": int(actions.steps),
                "ops": actions.ops,
                "area_m2": step["area_m2"],
                "energy_J": step["energy_J"] / actions.steps,
                "leakage_W": step["leakage_W"],
                "latency_s": step["latency_s"],
                "clipped_weights": 0.0,
                "clipped_inputs": 0.0,
            }
        )
        for line in own:
            if line.component in records:
                cite.update(records[line.component].cite)
    total = summarise(lines, latency_s, sum(layer.ops * layer.steps for layer in layers))
    return LiquidCost(lines, rows, schedule, total, (), tuple(sorted(cite)), {"traceEvents": []})


def _liquid(chip: Liquid, run: LiquidRun) -> Actions:
    n = run.counts.shape[0] * run.counts.shape[1]
    spikes = float(run.counts.double().sum() / n) / run.steps
    made = chip.neuron.actions(chip.neurons, spikes, run.steps)
    schedule = Schedule("liquid")
    schedule.add("step", "array", 1e-6)
    return Actions(
        tuple(Action("liquid", component, name, count) for component, of in made.items() for name, count in of.items()),
        tuple(Instance("liquid", name, count) for name, count in chip.neuron.instances(1.0, run.steps).items()),
        tuple(schedule.tasks),
        steps=run.steps,
        ops=2.0 * chip.rows * chip.neurons,
    )
