"""What the report of a keyword-spotting run shows beyond accuracy and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mappings.chip import Chip
from workloads.result import INTERVAL, Panel

if TYPE_CHECKING:
    import pandas as pd

COSTS = {"energy_J": "Energy per inference.", "latency_s": "Latency per inference.", "area_m2": "Area."}


def panels_of(tables: dict[str, pd.DataFrame], headline: Chip) -> tuple[Panel, ...]:
    """Ramp and conventional chain over the bits, where several widths of both were run; the temperature sweep; writing.

    The rows that a panel shows of a table are added to ``tables``.
    """
    panels: list[Panel] = []
    by_bits = tables["converters"]
    compared = by_bits[(by_bits.device == headline.weights.device.kind) & (by_bits.adc_bits == by_bits.bits)]
    if compared.groupby("readout").bits.nunique().reindex(["ramp", "conventional"], fill_value=0).min() >= 2:
        tables["converters_by_bits"] = compared
        head, table = "Ramp and conventional chain over bits", "converters_by_bits"
        same = "Inputs, converters and outputs have the same number of bits."
        quality = f"Accuracy right after programming, mean over chips and its 95 % interval, cut at 0 and 100 %. {same}"
        panels.append(Panel(head, quality, table, "lines", "bits", "accuracy", by="readout", **INTERVAL, share=True))
        for column, text in COSTS.items():
            panels.append(Panel(head, f"{text} {same}", table, "lines", "bits", column, by="readout", log_y=True))
        panels.append(Panel(head, "The same as numbers.", table, **INTERVAL, share=True))
    if "leakage" in tables:
        text = (
            "Leakage of the same chip with its digital part made of other standard cells, and the average power that "
            "follows; the chosen one is marked. Energy, delay and area stay those of the chip's node, so a slow "
            "library does not keep the clock that stands here."
        )
        panels.append(Panel("Leakage by library", text, "leakage"))
    if "temperature" in tables:
        text = (
            "Mean shift of codes away from zero, programmed at 300 K and read at other temperatures. A ramp of the "
            "same cells cancels what all states have in common, but not what depends on the state; programming its "
            "bias cells again corrects the offset alone. A fixed reference sees all of it. Activation energies are "
            "estimates."
        )
        x, y = "temperature_K", "mean_shift_lsb"
        panels.append(Panel("Temperature", text, "temperature", "lines", x, y, by="readout", facet="law"))
    if "writes" in tables:
        text = "Energy of writing each part once, by program-and-verify; in none of the costs per inference."
        panels.append(Panel("Writing", text, "writes", "bars", "part", "energy_J", by="variant", log_y=True))
        text = (
            "Pulses a cell, cells on which verifying gave up, energy and time of pulses and verify reads of one whole "
            "writing."
        )
        panels.append(Panel("Writing", text, "writes"))
    return tuple(panels)
