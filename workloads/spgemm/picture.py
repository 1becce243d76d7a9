"""B on tiles: where its nonzeros are, and the outlines of the tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mappings.sparse import SparseChip, lay
from mappings.sparse.tiles.grouping import Order, order
from mappings.sparse.tiles.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

MOST_TILES = 800
"""Tiles outlined in one picture; of a larger matrix the first word lines are shown."""
PICTURES: tuple[tuple[str, Layout, Order], ...] = (
    ("blocks (GraphR)", "blocks", "natural"),
    ("compacted", "compact", "natural"),
    ("compacted, clustered", "compact", "greedy"),
)


def outlines(b: Any, chip: SparseChip, shown: int) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Nonzeros by word line and position across, rectangles of tiles, and what the picture leaves out.

    Across are B's columns for blocks; compacted tiles are side by side in the order of their group's columns.
    """
    import pandas as pd

    points, boxes, part = [], [], []
    height, width = chip.rows, chip.values_per_row
    for name, layout, how in PICTURES:
        ordering = order(b, how, group=height)
        tiles = lay(b, layout=layout, rows=height, columns=width, row_order=ordering.rows)
        group = tiles.tile_group
        if layout == "blocks":
            across = tiles.line_start // width
        else:
            across = np.arange(group.size) - np.searchsorted(group, group)
        most = int(group[MOST_TILES]) if group.size > MOST_TILES else int(group.max(initial=0)) + 1
        seen = group < max(1, most)
        x0, y0 = across[seen] * width, group[seen] * height
        boxes.append(pd.DataFrame({"mapping": name, "x0": x0, "y0": y0, "x1": x0 + width, "y1": y0 + height}))
        nonzeros = np.flatnonzero(seen[tiles.cell_tile])
        some = nonzeros[:: max(1, -(-nonzeros.size // shown))]
        of = tiles.cell_tile[some]
        position = {
            "bit_line": across[of] * width + tiles.cell_line[some],
            "word_line": group[of] * height + tiles.cell_row[some],
        }
        points.append(pd.DataFrame({"mapping": name, **position}))
        if nonzeros.size > some.size or not seen.all():
            part.append(f"{name}: {some.size:,} of {b.nnz:,} nonzeros and {int(seen.sum())} of {group.size} tiles")
    sentence = (
        f"The picture of the matrix shows a part of it ({'; '.join(part)})."
        if part
        else ("The picture of the matrix shows every nonzero and every tile.")
    )
    return pd.concat(points, ignore_index=True), pd.concat(boxes, ignore_index=True), sentence
