"""What a liquid costs for one recording, and beside it the same network on a graphics processor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mappings.actions import Actions, ScheduledTask
from mappings.cost import CostLine, price, summarise
from mappings.liquid.comparison import GPU_MODELS, gpu_actions, training_cost
from mappings.liquid.liquid import Liquid, MappedLiquid
from mappings.liquid.run import LiquidActivity
from mappings.trace import trace

PUBLISHED_RATIO = 23.34


@dataclass(frozen=True)
class LiquidCost:
    """Price of one recording.

    ``lines``: every action and instance; ``layers``, ``schedule``: rows of these tables; ``total``: the sum; ``notes``:
    what was assumed; ``cite``: papers behind the prices; ``tasks``: of one step of each layer; ``gpu_J``: energy of the
    same network on a graphics processor, by price model.
    """

    lines: list[CostLine]
    layers: list[dict[str, Any]]
    schedule: list[dict[str, Any]]
    total: dict[str, float]
    notes: tuple[str, ...]
    cite: frozenset[str]
    tasks: tuple[ScheduledTask, ...]
    gpu_J: dict[str, float]


def liquid_cost(chip: Liquid, activity: LiquidActivity, *, variant: str, classes: int, bits: int | None) -> LiquidCost:
    """Cost of one recording of ``classes`` at a mean ``activity``; ``bits`` of a read-out weight."""
    mapped = chip.map()
    layers = [mapped.actions(activity), mapped.readout(classes, bits=bits).actions(steps=activity.steps)]
    return priced(mapped, layers, variant=variant, classes=classes, steps=activity.steps)


def priced(mapped: MappedLiquid, layers: list[Actions], *, variant: str, classes: int, steps: int) -> LiquidCost:
    """The price of layers that run one after the other; all are supplied from the first step to the last."""
    records, node_nm, shape = mapped.components(), mapped.chip.circuit.node_nm, mapped.shape
    latency_s = sum(layer.latency_s * layer.steps for layer in layers)
    lines: list[CostLine] = []
    rows: list[dict[str, Any]] = []
    schedule: list[dict[str, Any]] = []
    notes: list[str] = []
    for actions in layers:
        own = price(actions, node_nm=node_nm, components=records, latency_s=latency_s, variant=variant)
        lines += own
        step, layer = summarise(own, actions.latency_s, actions.ops), actions.tasks[0].layer
        reservoir = not layer.startswith("read-out")
        rows.append(
            {
                "variant": variant,
                "layer": layer,
                "rows": shape.rows if reservoir else shape.neurons,
                "columns": shape.neurons if reservoir else classes,
                "cells": shape.rows * shape.columns if reservoir else 0,
                "tiles": mapped.grid.tiles if reservoir else 0,
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
        for task in actions.tasks:
            schedule.append(
                {
                    "variant": variant,
                    "layer": layer,
                    "task": task.name,
                    "resource": task.resource,
                    "start_s": task.start_s,
                    "duration_s": task.duration_s,
                }
            )
        notes += actions.notes
    cite = frozenset(key for line in lines if line.component in records for key in records[line.component].cite)
    total = summarise(lines, latency_s, sum(layer.ops * layer.steps for layer in layers))
    gpu_J: dict[str, float] = {}
    for model in GPU_MODELS:
        dense = gpu_actions(mapped.reservoir, classes, steps=steps, model=model)
        dear = price(dense, node_nm=node_nm, components=records, latency_s=0.0)
        gpu_J[model] = float(sum(line.energy_J for line in dear))
    tasks = tuple(task for actions in layers for task in actions.tasks)
    return LiquidCost(lines, rows, schedule, total, tuple(notes), cite, tasks, gpu_J)


def beside_gpu(costs: dict[str, LiquidCost]) -> list[dict[str, Any]]:
    """Energy of a recording on the chip and on a graphics processor, by its price model, and their ratio."""
    return [
        {
            "variant": name,
            "gpu_model": model,
            "chip_energy_J": cost.total["energy_J"],
            "gpu_energy_J": gpu_J,
            "ratio": gpu_J / cost.total["energy_J"],
            "published_ratio": PUBLISHED_RATIO,
        }
        for name, cost in costs.items()
        for model, gpu_J in cost.gpu_J.items()
    ]


def training_rows(chip: Liquid, *, classes: int, steps: int, recordings: int, epochs: int) -> list[dict[str, Any]]:
    """Multiply-accumulates of training, by what is trained."""
    cost = training_cost(chip, classes, steps=steps, recordings=recordings, epochs=epochs)
    named = {
        "read-out by ridge regression, all recordings at once": cost.ridge,
        f"read-out by gradient descent, {epochs} epochs": cost.gradient,
        f"spiking recurrent network of the same size through time, {epochs} epochs": cost.through_time,
    }
    return [
        {"trained": name, "multiply_accumulates": macs, "times_the_ridge": macs / cost.ridge}
        for name, macs in named.items()
    ]


def timeline(costs: Iterable[LiquidCost], title: str) -> dict[str, Any]:
    """One step of each layer for the trace viewer."""
    return trace([task for cost in costs for task in cost.tasks], title=title)
