"""What the report of a sparse product shows beyond accuracy and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workloads.result import Panel

if TYPE_CHECKING:
    import pandas as pd

TILES, BESIDE, MERGING = "Matrix on tiles", "Tiles beside the SMASH fabric", "Merging in the scratchpad"
PRECISION, USES = "Error against bits and rows", "Applications"
SAME = "The same as numbers."


def panels(tables: dict[str, pd.DataFrame], default: str) -> tuple[Panel, ...]:
    """All panels whose table there is."""
    text = (
        "B on tiles (outlined). Blocks: cut from the matrix as it is, empty columns included. Compacted: only columns "
        "with a nonzero in these rows have a bit line. Clustered: rows that share columns are gathered first."
    )
    used = "Share of the tiles' cells that store a nonzero."
    every = [
        Panel(TILES, text, "picture", "spy", "bit_line", "word_line", facet="mapping", boxes="picture_tiles"),
        Panel(TILES, used, "own_mappings", "bars", "mapping", "utilisation", share=True),
    ]
    text = (
        "What a mapping takes, by what the first one takes (same chip, same converter). Writing B is part of energy "
        "and latency."
    )
    every.append(Panel(TILES, text, "mapping_ratios", "bars", "quantity", "times_first", by="mapping"))
    every.append(Panel(TILES, "The same as numbers, for every matrix of the run.", "mappings"))
    text = (
        "Energy of one product on the default variant's tiles and on one block of SMASH's fabric, by version and by "
        "dataflow. Both at the chip's node; DRAM included."
    )
    every.append(Panel(BESIDE, text, "systems", "bars", "system", "energy_J", by="kind", log_y=True))
    text = "Latency of the same. Tiles work side by side, as many as B needs; the fabric is one block."
    every.append(Panel(BESIDE, text, "systems", "bars", "system", "latency_s", by="kind", log_y=True))
    text = "The fabric's own counts: probes, collisions, atomics, traffic, and what limits it."
    every += [Panel(BESIDE, SAME, "systems"), Panel(BESIDE, text, "fabric_short")]
    text = (
        "Slots looked at for each update, window by window; 1 is no collision. An update is a word of a tile, or a "
        "single partial product on the fabric. A hash of the low-order bits piles the columns of hubs up in one "
        "stretch of the table; the mixed one does not, and is the baseline to compare with."
    )
    probes = "probes_per_update"
    every.append(Panel(MERGING, text, "windows_shown", "lines", "window", probes, by="system", log_y=True))
    text = (
        "Activations, conversions and updates of every variant. Products per word are what the tiles add up as current "
        "before anything is converted or merged."
    )
    every.append(Panel(MERGING, text, "counts_short"))
    for value, share, text in (
        (
            "relative_error",
            False,
            f"Relative error of C on the cells of {default}, one chip, and on ideal cells: few bits are too coarse for "
            "many rows, and many rows gather the spread of off cells.",
        ),
        ("exact_share", True, "Share of C's entries that are exact, in per cent."),
    ):
        x, y = "adc_bits", "rows_at_once"
        every.append(Panel(PRECISION, text, "precision", "heat", x, y, value, facet="cells", share=share))
    text = "The run's matrices on the default variant, the headline first. A matrix that was only counted has no error."
    every.append(Panel("Matrices", text, "matrices"))
    for table, text, y, drawn in (
        (
            "triangles",
            "Triangles of the undirected graph from C on one chip of each variant: from raw values, and with every "
            "entry rounded first.",
            "",
            "",
        ),
        (
            "recommendation",
            "Two-hop recommendation with a tenth of the edges hidden: ten picks a node by common neighbours. 'As "
            "good': picks whose exact count is not below that of the exact list.",
            "recall",
            "Hidden edges found by each system.",
        ),
        (
            "gcn",
            "One layer of a graph network: classes of the test nodes from the sums over their neighbours. The "
            "classifier is trained on exact sums; 'retrained': on the chip's sums.",
            "accuracy",
            "Accuracy of the classes; without neighbours on the left.",
        ),
    ):
        every.append(Panel(USES, text, table))
        if drawn:
            every.append(Panel(USES, drawn, table, "bars", "system", y, share=True))
    return tuple(panel for panel in every if panel.table in tables and len(tables[panel.table]))
