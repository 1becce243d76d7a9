"""Cost is count x price: every action and every instance becomes one line with its source.

Energy of one inference is dynamic energy plus leakage: each component that leaks has a line ``leakage`` whose count is
instances x seconds and whose unit price is the power of one instance. Costs are in the order area, energy, leakage,
latency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from configs.errors import InputError
from mappings.actions import Actions
from periphery.prices.component import Component, component

Key = Literal["component", "group", "layer", "status"]


@dataclass(frozen=True, kw_only=True)
class CostLine:
    """One row of ``components.csv``; ``count``, ``energy_J``: per inference; area and leakage: all instances.

    ``low_factor``, ``high_factor``: how far its unit price may be off.
    """

    variant: str
    layer: str
    component: str
    group: str
    action: str = ""
    count: float = 0.0
    unit_energy_J: float = 0.0
    energy_J: float = 0.0
    instances: float = 0.0
    unit_area_m2: float = 0.0
    area_m2: float = 0.0
    leakage_W: float = 0.0
    node_nm: float
    status: str
    source: str
    low_factor: float = 1.0
    high_factor: float = 1.0


@dataclass(frozen=True)
class Share:
    """What one component, group, layer or status contributes to the whole."""

    area_m2: float
    energy_J: float
    area_share: float
    energy_share: float


def price(
    actions: Actions,
    *,
    node_nm: float,
    components: Mapping[str, Component],
    latency_s: float | None = None,
    variant: str = "",
) -> list[CostLine]:
    """The price of one layer in one inference, at CMOS node ``node_nm``.

    ``latency_s`` is how long the layer is supplied in one inference, which sets its leakage energy; by default its
    steps, while a layer that waits for others leaks as long as they run. Components stated at another node are scaled.

    Raises ``InputError`` naming every component or action without a price: nothing is free by omission.
    """
    powered_s = actions.latency_s * actions.steps if latency_s is None else latency_s
    problems: list[str] = []
    at_node: dict[str, Component] = {}
    named = [action.component for action in actions.actions] + [one.component for one in actions.instances]
    for name in dict.fromkeys(named):
        try:
            at_node[name] = component(name, components).at(node_nm)
        except InputError as error:
            problems.extend(error.problems)
    lines: list[CostLine] = []
    for action in actions.actions:
        if (record := at_node.get(action.component)) is None:
            continue
        try:
            unit = record.price(action.action)
        except InputError as error:
            problems.extend(error.problems)
            continue
        count, (low, high) = action.count * actions.steps, unit.span
        lines.append(
            CostLine(
                variant=variant,
                layer=action.layer,
                component=record.name,
                group=record.group,
                action=action.action,
                count=count,
                unit_energy_J=unit.energy_J,
                energy_J=count * unit.energy_J,
                node_nm=node_nm,
                status=unit.status,
                source=unit.source,
                low_factor=low,
                high_factor=high,
            )
        )
    for instance in actions.instances:
        if (record := at_node.get(instance.component)) is None:
            continue
        low, high = record.area.span
        line = CostLine(
            variant=variant,
            layer=instance.layer,
            component=record.name,
            group=record.group,
            instances=instance.count,
            unit_area_m2=record.area_m2,
            area_m2=instance.count * record.area_m2,
            leakage_W=instance.count * record.leakage_W,
            node_nm=node_nm,
            status=record.area.status,
            source=record.area.source,
            low_factor=low,
            high_factor=high,
        )
        lines.append(line)
        if line.leakage_W > 0:
            low, high = record.leakage.span
            lines.append(
                replace(
                    line,
                    action="leakage",
                    count=instance.count * powered_s,
                    unit_energy_J=record.leakage_W,
                    energy_J=line.leakage_W * powered_s,
                    instances=0.0,
                    unit_area_m2=0.0,
                    area_m2=0.0,
                    leakage_W=0.0,
                    status=record.leakage.status,
                    source=record.leakage.source,
                    low_factor=low,
                    high_factor=high,
                )
            )
    if problems:
        raise InputError(problems)
    return lines


def summarise(lines: Iterable[CostLine], latency_s: float, ops: float) -> dict[str, float]:
    """Area, energy, leakage and latency of one inference, and what follows from them.

    ``energy_J`` is the sum of all lines, leakage included; ``leakage_W`` is the static part of ``power_W`` and is not
    added again. ``ops`` counts a multiply-accumulate as two.
    """
    if latency_s <= 0:
        raise ValueError(f"latency_s: above 0 (got {latency_s!r})")
    rows = list(lines)
    area_m2 = sum(row.area_m2 for row in rows)
    energy_J = sum(row.energy_J for row in rows)
    tops = ops / latency_s * 1e-12
    return {
        "area_m2": area_m2,
        "energy_J": energy_J,
        "leakage_W": sum(row.leakage_W for row in rows),
        "latency_s": latency_s,
        "power_W": energy_J / latency_s,
        "ops": ops,
        "tops": tops,
        "tops_per_W": ops / energy_J * 1e-12 if energy_J else 0.0,
        "tops_per_mm2": tops / (area_m2 * 1e6) if area_m2 else 0.0,
    }


def shares(lines: Iterable[CostLine], by: Key) -> dict[str, Share]:
    """Area and energy by component, group, layer or status: the bars of a breakdown, and what rests on guesses."""
    rows = list(lines)
    area_m2 = sum(row.area_m2 for row in rows)
    energy_J = sum(row.energy_J for row in rows)
    totals: dict[str, Share] = {}
    for key in dict.fromkeys(str(getattr(row, by)) for row in rows):
        of_key = [row for row in rows if getattr(row, by) == key]
        key_area_m2 = sum(row.area_m2 for row in of_key)
        key_energy_J = sum(row.energy_J for row in of_key)
        totals[key] = Share(
            key_area_m2,
            key_energy_J,
            key_area_m2 / area_m2 if area_m2 else 0.0,
            key_energy_J / energy_J if energy_J else 0.0,
        )
    return totals
