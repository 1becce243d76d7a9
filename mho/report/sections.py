"""Further parts of the report: confusions, cells, the conventional chain, and the share of conversion."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mho.report.quantities import NOT_AVAILABLE, count, counted
from mho.report.rundata import CONVERSION, RunData
from workloads.result import VariantResult

#: Kinds of experiment whose runs keep where their chips' cells lie.
KEEPS_CELLS = ("kws", "network", "charlm", "lsm")


def confusion_matrices(run: RunData) -> list[dict[str, Any]]:
    """One matrix per variant: counts, shares of each true class, recall, and the pairs confused most."""
    matrices = []
    labels = list(run.metrics.labels)
    for name in run.variants:
        rows = run.rows("confusion", variant=name)
        if rows.empty:
            continue
        named = rows.assign(true=rows["true"].map(_namer(labels)), predicted=rows["predicted"].map(_namer(labels)))
        order = labels or sorted({*named["true"], *named["predicted"]})
        order += sorted({*named["true"], *named["predicted"]} - set(order))
        table = named.pivot_table(index="true", columns="predicted", values="count", aggfunc="sum", fill_value=0.0)
        counts = table.reindex(index=order, columns=order, fill_value=0.0).to_numpy(float)
        shares = counts / np.where(counts.sum(axis=1, keepdims=True) > 0, counts.sum(axis=1, keepdims=True), np.nan)
        wrong = sorted(
            ((share, order[i], order[j]) for (i, j), share in np.ndenumerate(shares) if i != j and share > 0),
            reverse=True,
        )
        matrices.append(
            {
                "variant": name,
                "labels": order,
                "rows": [
                    (label, list(zip(row, part, strict=True)))
                    for label, row, part in zip(order, counts.tolist(), shares.tolist(), strict=True)
                ],
                "worst": wrong[:3],
                "total": float(counts.sum()),
            }
        )
    return sorted(matrices, key=lambda matrix: matrix["variant"] != run.default.name)


def _namer(labels: list[str]) -> Callable[[str], str]:
    """The label of a class number, by metrics.json; names stay as they are."""

    def name(cell: str) -> str:
        return labels[int(cell)] if cell.isdigit() and cell not in labels and int(cell) < len(labels) else cell

    return name


def conventional(run: RunData) -> VariantResult | None:
    """The first variant that reads by a conventional converter and a digital activation."""
    return next((variant for variant in run.metrics.variants if variant.readout == "conventional"), None)


def cells_caption(run: RunData) -> str:
    """What is seen of the default variant's cells; or, of a run that an earlier release wrote, what is missing."""
    if {"cells", "levels"} & run.absent:
        if run.config.get("kind") not in KEEPS_CELLS:
            return ""
        return (
            f"The release that wrote this run (mho {run.manifest.get('mho') or NOT_AVAILABLE}) kept nothing of the "
            "chips' cells (cells.csv, levels.csv): run the experiment again to see them."
        )
    levels = run.rows("levels", variant=run.default.name)
    first = levels[levels["t_s"] == levels["t_s"].min()]
    if first.empty:
        return ""
    chips, number = int(first["chips"].max()), f"{count(float(first['count'].sum()))} cells"
    start = f"The weights' {number} of {counted(chips, 'chip')} of {run.default.name}"
    bars = "Bars: one standard deviation over the cells of a level (n − 1)"
    if first["error_S"].isna().all():
        return f"{start}, which forming left without targets; mean and one standard deviation over them (n − 1)."
    targets = ", ".join(
        f"{counted(len(mine), 'target')} of {kind}"
        if (mine["target_low_S"] == mine["target_high_S"]).all()
        else f"{counted(len(mine), 'range')} of the targets of {kind}"
        for kind, mine in first.groupby("device", sort=False)
    )
    return f"{start}, coloured by target ({targets}). {bars}, of conductance less target."


def ours(run: RunData) -> dict[str, Any]:
    """What the default variant's figures are of: its node, and the mode and features of its average power."""
    nodes = run.rows("components", variant=run.default.name)["node_nm"]
    duty = run.config.get("duty") or {}
    features = duty.get("features")
    return {
        "node_nm": float(nodes.iloc[0]) if len(nodes) else math.nan,
        "mode": duty.get("mode"),
        "features": None if features == "none" else features,
    }


def adc_share(run: RunData, variant: str, column: str) -> float:
    """Share of ``column`` (energy or area) that conversion takes."""
    parts = run.rows("components", variant=variant)
    total = float(parts[column].sum())
    return float(parts.loc[parts["group"] == CONVERSION, column].sum()) / total if total else math.nan
