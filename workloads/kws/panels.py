"""What the report of a keyword-spotting run shows beyond accuracy and cost."""

from __future__ import annotations

import pandas as pd

from mappings.chip import Chip
from workloads.result import Panel


def panels_of(tables: dict[str, pd.DataFrame], headline: Chip) -> tuple[Panel, ...]:
    """Ramp and conventional chain over the bits, where several widths of both were run; the temperature sweep; writing.

    What a panel selects from a table is put beside it in ``tables``.
    """
    panels: list[Panel] = []
    by_bits = tables["converters"]
    compared = by_bits[(by_bits.device == headline.weights.device.kind) & (by_bits.adc_bits == by_bits.bits)]
    if compared.groupby("readout").bits.nunique().reindex(["ramp", "conventional"]).min() >= 2:
        tables["converters_by_bits"] = compared
        head = "Ramp and conventional chain over bits"
        what = {
            "accuracy": "Accuracy right after programming, mean over chips and its 95 % interval.",
            "energy_J": "Energy per inference.",
            "latency_s": "Latency per inference.",
            "area_m2": "Area.",
        }
        for column, text in what.items():
            share = column == "accuracy"
            panels.append(
                Panel(
                    section=head,
                    text=f"{text} Inputs, converters and outputs have the same number of bits.",
                    table="converters_by_bits",
                    kind="lines",
                    x="bits",
                    y=column,
                    by="readout",
                    low="low" if share else "",
                    high="high" if share else "",
                    share=share,
                    log_y=not share,
                )
            )
        panels.append(
            Panel(section=head, text="The same as numbers (SI units).", table="converters_by_bits", kind="table")
        )
    if "temperature" in tables:
        panels.append(
            Panel(
                section="Temperature",
                text="Mean shift of codes away from zero, programmed at 300 K and read at other temperatures. A "
                "ramp of the same cells cancels what all states have in common; what depends on the state it "
                "does not, and programming its bias cells again mends the offset alone. A fixed reference sees all "
                "of it. Activation energies are estimates (periphery/ramp/read_temperature.py).",
                table="temperature",
                kind="lines",
                x="temperature_K",
                y="mean_shift_lsb",
                by="readout",
                facet="law",
            )
        )
    if "writes" in tables:
        panels += [
            Panel(
                section="Writing",
                text="Energy of writing each part once, by program-and-verify; in none of the costs per inference.",
                table="writes",
                kind="bars",
                x="part",
                y="energy_J",
                by="variant",
                log_y=True,
            ),
            Panel(
                section="Writing",
                text="Pulses a cell, cells on which verifying gave up, energy and time of pulses and verify reads "
                "of one whole writing.",
                table="writes",
                kind="table",
            ),
        ]
    return tuple(panels)
