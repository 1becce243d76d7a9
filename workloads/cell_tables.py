"""Tables of a chip's cells: how many lie where once programmed, and what becomes of each level over time.

The cells themselves are far too many to keep; these counts are what a report draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from devices import Cells, Device, FormedTaOx
from workloads.ledger import Ledger

LEVELS = 8
BINS = 120


def cell_rows(ledger: Ledger, variant: str, arrays: Iterable[tuple[Device, Cells]], times_s: Sequence[float]) -> None:
    """Tables ``cells`` and ``levels`` of one variant's arrays, of each kind of cell apart, over all of its chips.

    A level holds the cells of one target, or where there are more than ``LEVELS`` targets, those of one of ``LEVELS``
    equal ranges. ``cells``: how many of a level were programmed to a conductance within a bin. ``levels``: at each time
    the mean conductance, and mean and standard deviation (over n - 1) of conductance less target. Formed cells have no
    target: they are one level, whose deviation is that of the conductances.
    """
    kinds: dict[str, list[tuple[Device, Cells]]] = {}
    for device, cells in arrays:
        kinds.setdefault(device.kind, []).append((device, cells))
    for kind, parts in kinds.items():
        formed = isinstance(parts[0][0], FormedTaOx)
        targets = torch.cat([_targets(cells, formed).unique() for _, cells in parts]).unique()
        if len(targets) <= LEVELS:
            edges = (targets[1:] + targets[:-1]) / 2
        else:
            edges = torch.linspace(float(targets[0]), float(targets[-1]), LEVELS + 1, dtype=targets.dtype)[1:-1]
        _histogram(ledger, {"variant": variant, "device": kind}, parts, edges, formed)
        for t_s in times_s:
            _levels(ledger, {"variant": variant, "device": kind, "t_s": t_s}, parts, edges, formed)


def _targets(cells: Cells, formed: bool) -> torch.Tensor:
    """What each cell was programmed to be, in the shape of the cells [S]."""
    return (torch.zeros_like(cells.programmed_S) if formed else cells.target_S.expand(cells.shape)).double()


def _histogram(
    ledger: Ledger, of: dict[str, object], parts: list[tuple[Device, Cells]], edges: torch.Tensor, formed: bool
) -> None:
    low = min(float(cells.programmed_S.min()) for _, cells in parts)
    high = max(float(cells.programmed_S.max()) for _, cells in parts)
    width = (high - low) / BINS or 1.0
    counts = torch.zeros(len(edges) + 1, BINS, dtype=torch.long)
    for _, cells in parts:
        for g, target in zip(cells.programmed_S.double(), _targets(cells, formed), strict=True):
            bins = ((g.flatten() - low) / width).long().clamp_(0, BINS - 1)
            at = torch.bucketize(target.flatten(), edges) * BINS + bins
            counts += torch.bincount(at, minlength=counts.numel()).view_as(counts)
    for level, row in enumerate(counts.tolist()):
        for number, count in enumerate(row):
            if count:
                ends = {"low_S": low + number * width, "high_S": low + (number + 1) * width}
                ledger.add("cells", **of, level=level, **ends, count=count)


def _levels(
    ledger: Ledger, of: dict[str, object], parts: list[tuple[Device, Cells]], edges: torch.Tensor, formed: bool
) -> None:
    size = len(edges) + 1
    number, total_S, off_S, off_S2 = torch.zeros(4, size, dtype=torch.float64)
    lowest, highest = torch.full((size,), torch.inf, dtype=torch.float64), torch.full((size,), -torch.inf).double()
    chips = 0
    for device, cells in parts:
        chips = len(cells.programmed_S)
        now = device.conductance_S(cells, float(of["t_s"]))  # type: ignore[arg-type]
        for g_S, aimed_S in zip(now.double(), _targets(cells, formed), strict=True):
            g, target = g_S.flatten(), aimed_S.flatten()
            level, off = torch.bucketize(target, edges), g - target
            for total, values in ((number, torch.ones_like(g)), (total_S, g), (off_S, off), (off_S2, off.square())):
                total += torch.bincount(level, weights=values, minlength=size)
            lowest.scatter_reduce_(0, level, target, "amin")
            highest.scatter_reduce_(0, level, target, "amax")
    for place, n in enumerate(number.tolist()):
        if n:
            mean, error = float(total_S[place]) / n, float(off_S[place]) / n
            variance = (float(off_S2[place]) - n * error**2) / (n - 1) if n > 1 else float("nan")
            ledger.add(
                "levels",
                **of,
                level=place,
                target_low_S=float("nan") if formed else float(lowest[place]),
                target_high_S=float("nan") if formed else float(highest[place]),
                chips=chips,
                count=int(n),
                mean_S=mean,
                error_S=float("nan") if formed else error,
                std_S=max(variance, 0.0) ** 0.5 if n > 1 else variance,
            )
