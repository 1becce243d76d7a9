"""Programming and reading a million cells beside drawing as many normal numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from devices import PCM, ChipStreams, Stream, TaOx

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

CELLS = 1024 * 1024
DAY_S = 86400.0


def draws(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randn(CELLS, generator=generator) for _ in range(count)])


def test_phase_change_cells(side_by_side: SideBySide) -> None:
    """Programming error, exponent and a path of four knots: six draws a cell are needed at one day."""
    device, rng = PCM(), ChipStreams.of(Stream.root(0), 1)
    target = torch.linspace(0.0, device.g_max_S, CELLS)[None]
    row = side_by_side(
        f"PCM: program {CELLS} cells and read them after one day",
        lambda: device.conductance_S(device.program(target, rng=rng), DAY_S),
        f"six draws of {CELLS} normal numbers",
        lambda: draws(6),
        target_ratio=4.0,
    )
    assert row["ratio"] > 0


def test_taox_cells(side_by_side: SideBySide) -> None:
    device, rng = TaOx(), ChipStreams.of(Stream.root(0), 1)
    target = torch.linspace(device.g_min_S, device.g_max_S, CELLS)[None]
    row = side_by_side(
        f"TaOx: program {CELLS} cells and read them",
        lambda: device.conductance_S(device.program(target, rng=rng), DAY_S),
        f"one draw of {CELLS} normal numbers",
        lambda: draws(1),
        target_ratio=3.0,
    )
    assert row["ratio"] > 0
