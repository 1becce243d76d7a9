"""What the report of a sparse product shows beyond accuracy and cost."""

from __future__ import annotations

import pandas as pd

from workloads.result import Panel


def panels(tables: dict[str, pd.DataFrame], default: str) -> tuple[Panel, ...]:
    """All panels whose table there is."""
    tiles, beside, merging = "Matrix on tiles", "Tiles beside the SMASH fabric", "Merging in the scratchpad"
    precision, uses = "Error against bits and rows", "Applications"
    every = (
        Panel(
            section=tiles,
            text="B on tiles (outlined). Blocks: cut as the matrix stands, empty columns included. Compacted: only "
            "columns that hold something in these rows have a bit line. Clustered: rows that share columns are "
            "gathered first.",
            table="picture",
            kind="spy",
            x="bit_line",
            y="word_line",
            facet="mapping",
            boxes="picture_tiles",
        ),
        Panel(
            section=tiles,
            text="Share of the tiles' places that hold a nonzero.",
            table="own_mappings",
            kind="bars",
            x="mapping",
            y="utilisation",
            share=True,
        ),
        Panel(
            section=tiles,
            text="What a mapping takes, by what the first one takes (same chip, same converter). Writing B is part of "
            "energy and latency.",
            table="mapping_ratios",
            kind="bars",
            x="quantity",
            y="times_first",
            by="mapping",
        ),
        Panel(section=tiles, text="The same as numbers, for every matrix of the run.", table="mappings", kind="table"),
        Panel(
            section=beside,
            text="Energy of one product on the default variant's tiles and on one block of SMASH's fabric, by version "
            "and by dataflow. Both at the chip's node; DRAM included.",
            table="systems",
            kind="bars",
            x="system",
            y="energy_J",
            by="kind",
            log_y=True,
        ),
        Panel(
            section=beside,
            text="Latency of the same. Tiles work side by side, as many as B needs; the fabric is one block.",
            table="systems",
            kind="bars",
            x="system",
            y="latency_s",
            by="kind",
            log_y=True,
        ),
        Panel(section=beside, text="The same as numbers.", table="systems", kind="table"),
        Panel(
            section=beside,
            text="The fabric's own counts: probes, collisions, atomics, traffic, and what limits it.",
            table="fabric_short",
            kind="table",
        ),
        Panel(
            section=merging,
            text="Slots looked at for each update, window by window; 1 is no collision. An update is a word of a tile, "
            "or a single partial product on the fabric. A hash of the low-order bits piles the columns of hubs up in "
            "one stretch of the table; the mixed one does not, and is the baseline to compare with.",
            table="windows_shown",
            kind="lines",
            x="window",
            y="probes_per_update",
            by="system",
            log_y=True,
        ),
        Panel(
            section=merging,
            text="Activations, conversions and updates of every variant. Products per word are what the tiles add up "
            "as current before anything is converted or merged.",
            table="counts_short",
            kind="table",
        ),
        Panel(
            section=precision,
            text=f"Relative error of C on the cells of {default}, one chip, and on ideal cells: few bits are too "
            "coarse for many rows, and many rows gather the spread of off cells.",
            table="precision",
            kind="heat",
            x="adc_bits",
            y="rows_at_once",
            value="relative_error",
            facet="cells",
        ),
        Panel(
            section=precision,
            text="Share of C's entries that are exact, in per cent.",
            table="precision",
            kind="heat",
            x="adc_bits",
            y="rows_at_once",
            value="exact_share",
            facet="cells",
            share=True,
        ),
        Panel(
            section="Matrices",
            text="The run's matrices on the default variant, the headline first. No error stands where a matrix was "
            "counted only.",
            table="matrices",
            kind="table",
        ),
        Panel(
            section=uses,
            text="Triangles of the undirected graph from C on one chip of each variant: from raw values, and with "
            "every entry rounded first.",
            table="triangles",
            kind="table",
        ),
        Panel(
            section=uses,
            text="Two-hop recommendation with a tenth of the edges hidden: ten picks a node by common neighbours. "
            "'As good': picks whose exact count is not below that of the exact list.",
            table="recommendation",
            kind="table",
        ),
        Panel(
            section=uses,
            text="Hidden edges found by each system.",
            table="recommendation",
            kind="bars",
            x="system",
            y="recall",
            share=True,
        ),
        Panel(
            section=uses,
            text="One layer of a graph network: classes of the test nodes from the sums over their neighbours. The "
            "classifier is trained on exact sums; 'retrained': on the chip's own.",
            table="gcn",
            kind="table",
        ),
        Panel(
            section=uses,
            text="Accuracy of the classes; without neighbours on the left.",
            table="gcn",
            kind="bars",
            x="system",
            y="accuracy",
            share=True,
        ),
    )
    return tuple(panel for panel in every if panel.table in tables and len(tables[panel.table]))
