"""What the report shows of a run with liquids, drawn from its tables; and where each sweep has lost five points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workloads.lsm.breaking import LOSS, SWEPT, What
from workloads.result import INTERVAL, Panel
from workloads.statistics import crossing

if TYPE_CHECKING:
    import pandas as pd

NOT_REACHED = "not reached"


def limits(sweeps: dict[What, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row a sweep: where accuracy, going down and up from the configured value, has first lost five points."""
    found: list[dict[str, Any]] = []
    for what, points in sweeps.items():
        swept = SWEPT[what]
        rows = sorted(points, key=lambda row: float(row[swept.column]))
        x, y = [float(row[swept.column]) for row in rows], [float(row["accuracy"]) for row in rows]
        at = next(number for number, row in enumerate(rows) if row["configured"])
        below, above = crossing(x, y, x[at], log=swept.log)
        best = max(rows, key=lambda row: float(row.get("validation_accuracy", -1.0)))
        found.append(
            {
                "quantity": swept.column,
                "configured": x[at],
                "accuracy": y[at],
                "breaks_below": NOT_REACHED if below is None else f"{below:.3g}",
                "breaks_above": NOT_REACHED if above is None else f"{above:.3g}",
                "swept_from": x[0],
                "swept_to": x[-1],
                "best_on_validation": f"{best[swept.column]:.3g}" if swept.chosen else "-",
            }
        )
    return found


def panels(tables: dict[str, pd.DataFrame], steps: int) -> tuple[Panel, ...]:
    """Panels beyond accuracy and cost, of those ``tables`` that are there; ``steps`` of a recording."""
    first, cost = "Liquid and no liquid", "Energy and training beside other hardware"
    text = (
        "Accuracy with its 95 % interval over liquids (Student's t, cut at 0 and 100 %): guessing a class, a "
        "read-out of event counts without any liquid, liquids in software, and every variant on its chips."
    )
    shown = [
        Panel(first, text, "compared", "bars", "system", "accuracy", by="tested_on", **INTERVAL, share=True),
        Panel(first, "The same as numbers.", "compared", **INTERVAL, share=True),
    ]
    text = (
        "Several read-outs of the same firing rates. The paper's schedules of the linear one are made for larger sets "
        "than the one used here."
    )
    shown.append(Panel(first, text, "readouts", share=True))
    text = f"One recording a panel over {steps} steps: active word lines below, neurons above them."
    shown.append(Panel("Spikes", text, "raster", "scatter", "step", "line", by="spikes_of", facet="recording"))
    text = (
        "Shares of word lines and neurons that are active in a step, of neurons that never fire, and of those that "
        "fire in nine steps of ten."
    )
    shown.append(Panel("Spikes", text, "activity"))
    text = (
        "Every recording on the default variant's first chip in the plane of the two largest principal components (in "
        "brackets their shares of the variance), coloured by its class; and without a liquid."
    )
    x, y = "component_1", "component_2"
    shown.append(Panel("Feature map", text, "feature_map", "scatter", x, y, by="label", facet="features"))
    text = (
        "Energy of one recording on each variant, and of the same network on a graphics processor that computes every "
        "product of every step, by three prices: 0.48 pJ a multiply-accumulate (op_esgnn, derived from the group's "
        "earlier paper), and an A100 at its single- and half-precision peak (flop_fp32, flop_fp16). Only neurons on "
        "capacitors come near the published 23.34; converters and amplifiers of a board take more than the digital "
        "products. The paper leaves open its read voltage, the processor's price, and whether converters, read-out and "
        "static power are counted."
    )
    shown.append(Panel(cost, text, "energy"))
    text = (
        "Multiply-accumulates of training: a read-out of a fixed liquid, and a network of its size trained through "
        "time. The liquid's own pass over the recordings is not counted."
    )
    shown.append(Panel(cost, text, "training"))
    return tuple(panel for panel in (*shown, *_breaking(tables)) if panel.table in tables)


def _breaking(tables: dict[str, pd.DataFrame]) -> Iterator[Panel]:
    """What each sweep shows, with the configured value and the limits marked."""
    if "limits" not in tables:
        return
    head = "Where it breaks"
    text = (
        f"Where each quantity, alone, has cost {100 * LOSS:g} points of accuracy (going down and going up from the "
        "configured value, between two points of the sweep)."
    )
    yield Panel(head, text, "limits")
    lost = {row["quantity"]: row for row in tables["limits"].to_dict("records")}
    for what, swept in SWEPT.items():
        if f"sweep_{what}" not in tables:
            continue
        limit = lost[swept.column]
        marks = {"configured": float(limit["configured"])}
        for side in ("breaks_below", "breaks_above"):
            if limit[side] != NOT_REACHED:
                marks["-5 points" + (" " if "-5 points" in marks else "")] = float(limit[side])
        text = f"{swept.text[0].upper()}{swept.text[1:]}. Mean over chips, shaded from the worst to the best."
        yield Panel(
            head, text, f"sweep_{what}", "lines", swept.column, "accuracy", low="least", high="most",
            log_x=swept.log, share=True, marks=marks,
        )  # fmt: skip
