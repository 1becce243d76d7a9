"""Programming and reading a million cells beside drawing as many normal numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from devices import PCM, ChipStreams, Device, Stream, TaOx

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

CELLS = 1024 * 1024
DAY_S = 86400.0


def draws(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randn(CELLS, generator=generator) for _ in range(count)])


@pytest.mark.parametrize(
    ("device", "needed", "target_ratio"),
    [(PCM(), 6, 4.0), (TaOx(), 1, 3.0)],  # PCM: programming error, exponent and a path of four knots at one day
    ids=["PCM", "TaOx"],
)
def test_cells(side_by_side: SideBySide, device: Device, needed: int, target_ratio: float) -> None:
    """Beside the draws of normal numbers that a cell of this kind needs."""
    rng, target = ChipStreams.of(Stream.root(0), 1), torch.linspace(device.g_min_S, device.g_max_S, CELLS)[None]
    row = side_by_side(
        f"{type(device).__name__}: program {CELLS} cells and read them after one day",
        lambda: device.conductance_S(device.program(target, rng=rng), DAY_S),
        f"{needed} draws of {CELLS} normal numbers",
        lambda: draws(needed),
        target_ratio=target_ratio,
    )
    assert row["ratio"] > 0
