"""What a run's hardware costs: tables made from ``components.csv``, ``layers.csv`` and ``prices.csv``."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from mho.report.merit import quality
from mho.report.quantities import counted, quantity
from mho.report.rundata import RunData
from mho.report.sections import conventional

NOTHING = 1e-6  # share of a chip's energy, area and leakage below which a line stands with others in one
_STATUS_ORDER = ("published", "secondary", "derived", "modelled", "estimate", "fitted")
_STATUS_MEANING = {
    "published": "read in the cited work itself",
    "secondary": "quoted from the cited work by another",
    "derived": "arithmetic on published figures",
    "modelled": "computed by a published formula",
    "estimate": "a guess, for want of a source",
    "fitted": "tuned so that a published total comes out",
}


def breakdown(run: RunData, column: str) -> pd.DataFrame:
    """Sums by group of components: ``variant, group, value``; leakage over one inference is one more group.

    The leakage's energy is what ``metrics.json`` adds to the actions' energy, where that equals leakage times latency.
    """
    parts = run.tables["components"].groupby(["variant", "group"], sort=False)[column].sum().reset_index(name="value")
    if column == "energy_J":
        leaks = [(name, "leakage", rest) for name in run.variants if (rest := _leakage_energy(run, name)) > 0]
        parts = pd.concat([parts, pd.DataFrame(leaks, columns=["variant", "group", "value"])], ignore_index=True)
    order = parts.groupby("group")["value"].max().sort_values(ascending=False).index
    return parts.sort_values("group", key=lambda groups: groups.map(list(order).index), kind="stable")


def _unlisted_energy(run: RunData, variant: str) -> float:
    stated = run.variant(variant).cost.get("energy_J")
    listed = float(run.rows("components", variant=variant)["energy_J"].sum())
    return math.nan if stated is None else float(stated) - listed


def _leakage_energy(run: RunData, variant: str) -> float:
    cost, rest = run.variant(variant).cost, _unlisted_energy(run, variant)
    leakage = (cost.get("leakage_W") or 0.0) * (cost.get("latency_s") or 0.0)
    return rest if leakage > 0 and abs(rest - leakage) <= 0.02 * leakage else 0.0


def mismatches(run: RunData) -> list[str]:
    """Sentences for totals in ``metrics.json`` that the components or the layers do not add up to (beyond 0.5 %)."""
    sentences = []
    for name in run.variants:
        cost, parts, layers = (
            run.variant(name).cost,
            run.rows("components", variant=name),
            run.rows("layers", variant=name),
        )
        leakage = _leakage_energy(run, name)
        layers_J = float((layers["energy_J"] * layers["steps"]).sum())
        for table, rows, column, unit, sums in (
            ("components.csv", parts, "area_m2", "m2", (float(parts["area_m2"].sum()),)),
            ("components.csv", parts, "energy_J", "J", (float(parts["energy_J"].sum()) + leakage,)),
            ("layers.csv", layers, "energy_J", "J", (layers_J, layers_J + leakage)),
        ):
            stated = cost.get(column)
            if rows.empty or stated is None or not math.isfinite(stated):
                continue
            if all(abs(stated - listed) > 0.005 * abs(stated) for listed in sums):
                sentences.append(
                    f"{name}: metrics.json states {column} = {quantity(stated, unit)}, while {table} adds up to "
                    f" {quantity(sums[0], unit)}."
                )
    return sentences


def status_rows(parts: pd.DataFrame) -> list[dict[str, Any]]:
    """Share of energy, area and leakage of the lines of one chip, by how sure the prices are."""
    totals = parts[["energy_J", "area_m2", "leakage_W"]].sum()
    found = list(dict.fromkeys(parts["status"]))
    order = [status for status in _STATUS_ORDER if status in found] + [s for s in found if s not in _STATUS_ORDER]
    rows = []
    for status in order:
        sums = parts.loc[parts["status"] == status, ["energy_J", "area_m2", "leakage_W"]].sum()
        rows.append(
            {
                "status": status,
                "meaning": _STATUS_MEANING.get(status, "a mark of this run alone"),
                **{name: float(sums[name] / totals[name]) if totals[name] else None for name in totals.index},
            }
        )
    return rows


def _together(parts: pd.DataFrame) -> pd.DataFrame:
    """One line for all of these lines of a variant, with what they add up to."""
    lines = [
        {
            **dict.fromkeys(parts.columns, math.nan),
            **dict.fromkeys(("layer", "group", "action", "status", "source"), ""),
            **mine[["energy_J", "area_m2", "leakage_W", "energy_share", "area_share"]].sum().to_dict(),
            "variant": variant,
            "component": f"{counted(len(mine), 'other')}, each next to nothing",
            "others": True,
        }
        for variant, mine in parts.groupby("variant", sort=False)
    ]
    return pd.DataFrame(lines, columns=parts.columns)


def component_rows(parts: pd.DataFrame) -> tuple[list[dict[str, Any]], list[str]]:
    """Every line of ``components`` with its shares of the variant's energy and area, and the sources of prices.

    Lines stand by their share of energy, and of area where they act not at all; those that are next to nothing of all
    three are one line, the last of their variant. ``note`` is the source's number.
    """
    sizes = ["energy_J", "area_m2", "leakage_W"]
    sums = parts.groupby("variant")[sizes].transform("sum")
    shares = parts[sizes] / sums.where(sums > 0)
    marked = parts.assign(energy_share=shares["energy_J"], area_share=shares["area_m2"], others=False)
    small = (shares.fillna(0.0) < NOTHING).all(axis=1)
    marked = pd.concat([marked[~small], _together(marked[small])], ignore_index=True)
    order = {"others": True, "energy_share": False, "area_share": False}
    marked = marked.sort_values(list(order), ascending=list(order.values()), kind="stable")
    rows = [{str(key): value for key, value in row.items()} for row in marked.to_dict("records")]
    sources = [source for source in dict.fromkeys(row["source"] for row in rows) if source]
    for row in rows:
        # A line counts actions or instances; the columns of the other kind do not apply, which is not "missing".
        row["acts"] = row["others"] or (bool(row["action"]) and not math.isnan(row["count"]))
        row["is_built"] = row["others"] or (not row["action"] and not math.isnan(row["instances"]))
        row["note"] = sources.index(row["source"]) + 1 if row["source"] else None
    return rows, sources


def beside_rows(run: RunData) -> list[dict[str, Any]]:
    """The default variant beside the conventional one: area, energy, latency, quality, and the ratio."""
    other = conventional(run)
    if other is None or other.name == run.default.name:
        return []
    figures = quality(run).sort_values("t_s").groupby("variant")["mean"].first()
    rows = []
    for label, key, unit in (
        ("Area", "area_m2", "m2"),
        ("Energy per inference", "energy_J", "J"),
        ("Latency per inference", "latency_s", "s"),
        ("Leakage", "leakage_W", "W"),
        ("Energy efficiency", "tops_per_W", "TOPS/W"),
    ):
        ours, theirs = run.default.cost.get(key), other.cost.get(key)
        ratio = theirs / ours if ours and theirs is not None else None
        rows.append({"label": label, "unit": unit, "ours": ours, "theirs": theirs, "ratio": ratio})
    rows.append(
        {
            "label": run.metric,
            "unit": "metric",
            "ours": figures.get(run.default.name),
            "theirs": figures.get(other.name),
            "ratio": None,
        }
    )
    return rows


def price_rows(run: RunData) -> list[dict[str, Any]]:
    """Other price models beside the one used, and the total energy that each would have given.

    The component's energy in ``components.csv`` is scaled by the ratio of the two prices.
    """
    rows = []
    for (name, component), models in run.tables["prices"].groupby(["variant", "component"], sort=False):
        used = models[models["chosen"]]
        variant = run.variant(str(name)) if name else run.default
        parts = run.rows("components", variant=variant.name)
        energy = float(parts.loc[parts["component"] == component, "energy_J"].sum())
        total = variant.cost.get("energy_J")
        price = float(used["energy_J"].iloc[0]) if len(used) else math.nan
        for model in models.to_dict("records"):
            ratio = float(model["energy_J"]) / price if price > 0 else None
            rows.append(
                {
                    **{str(key): value for key, value in model.items()},
                    "ratio": ratio,
                    "total_J": None
                    if total is None or ratio is None or energy <= 0
                    else total + (ratio - 1.0) * energy,
                }
            )
    return rows
