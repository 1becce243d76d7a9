"""What a liquid costs for one recording, and beside it the same network on a graphics processor."""

from __future__ import annotations

from typing import Any

from mappings.cost import price
from mappings.liquid.comparison import GPU_MODELS, gpu_actions, training_cost
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidActivity
from mappings.priced import LayerOnChip, Priced
from periphery.prices.component import load_components

PUBLISHED_RATIO = 23.34


def liquid_cost(chip: Liquid, activity: LiquidActivity, *, classes: int, bits: int | None, prefix: str = "") -> Priced:
    """Cost of one recording of ``classes`` at a mean ``activity``; ``bits`` of a read-out weight.

    ``prefix`` goes before the names of layers.
    """
    mapped = chip.map()
    shape, readout = mapped.shape, mapped.readout(classes, bits=bits).actions(steps=activity.steps)
    reservoir = LayerOnChip(
        name=mapped.name,
        actions=mapped.actions(activity),
        rows=shape.rows,
        columns=shape.neurons,
        cells=shape.rows * shape.columns,
        tiles=mapped.grid.tiles,
    )
    name = readout.tasks[0].layer
    layers = [reservoir, LayerOnChip(name=name, actions=readout, rows=shape.neurons, columns=classes, cells=0, tiles=0)]
    return Priced.of(layers, node_nm=chip.circuit.node_nm, components=mapped.components(), prefix=prefix)


def beside_gpu(variant: str, chip: Liquid, energy_J: float, *, classes: int, steps: int) -> list[dict[str, Any]]:
    """Energy of a recording on the chip and on a graphics processor, by its price model, and their ratio."""
    rows = []
    for model in GPU_MODELS:
        dense = gpu_actions(chip, classes, steps=steps, model=model)
        lines = price(dense, node_nm=chip.circuit.node_nm, components=load_components(), latency_s=0.0)
        gpu_J = float(sum(line.energy_J for line in lines))
        rows.append(
            {
                "variant": variant,
                "gpu_model": model,
                "chip_energy_J": energy_J,
                "gpu_energy_J": gpu_J,
                "ratio": gpu_J / energy_J,
                "published_ratio": PUBLISHED_RATIO,
            }
        )
    return rows


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
