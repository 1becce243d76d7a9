"""The tables of cells say what the cells themselves say."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from devices import PCM, ChipStreams, FormedTaOx, Stream
from workloads.cell_tables import LEVELS, cell_rows
from workloads.ledger import Ledger

STREAMS = ChipStreams.of(Stream.root(3), 2)


def tables(*arrays: object, times_s: tuple[float, ...] = (0.0,)) -> tuple[pd.DataFrame, pd.DataFrame]:
    ledger = Ledger(None)  # type: ignore[arg-type]
    cell_rows(ledger, "mine", arrays, times_s)  # type: ignore[arg-type]
    return pd.DataFrame(ledger.rows["cells"]), pd.DataFrame(ledger.rows["levels"])


def test_each_target_is_a_level_with_the_mean_and_deviation_of_its_own_cells() -> None:
    device = PCM()
    aimed = torch.tensor([5e-6, 20e-6]).repeat(500).reshape(1, 2, 500)
    cells = device.program(aimed.expand(2, -1, -1), rng=STREAMS)
    counts, levels = tables((device, cells), times_s=(0.0, 3600.0))
    assert counts["count"].sum() == 2000
    assert counts.groupby("level")["count"].sum().tolist() == [1000, 1000]
    for t_s in (0.0, 3600.0):
        now = device.conductance_S(cells, t_s).double()
        for level, target in enumerate((5e-6, 20e-6)):
            row = levels[(levels.level == level) & (levels.t_s == t_s)].iloc[0]
            mine = now[(cells.target_S.expand(now.shape) - target).abs() < 1e-9]
            assert (row.chips, row["count"]) == (2, 1000)
            assert row.target_low_S == row.target_high_S == pytest.approx(target)
            assert row.mean_S == pytest.approx(float(mine.mean()))
            assert row.error_S == pytest.approx(float(mine.mean()) - target, rel=1e-4)
            assert row.std_S == pytest.approx(float(mine.std()), rel=1e-6)
    at = pd.Series(cells.programmed_S.flatten().double())
    first = counts.iloc[0]
    low_ones = (cells.target_S.flatten() < 1e-5).numpy()
    assert first["count"] == ((at >= first.low_S) & (at < first.high_S) & low_ones).sum()


def test_many_targets_of_several_arrays_fall_into_equal_ranges() -> None:
    device = PCM()
    arrays = [
        (device, device.program(torch.linspace(low, 25e-6, 300)[None], rng=STREAMS.child(f"{low}")))
        for low in (1e-6, 5e-6)
    ]
    counts, levels = tables(*arrays)
    assert len(levels) == LEVELS
    assert levels["count"].sum() == counts["count"].sum() == sum(cells.programmed_S.numel() for _, cells in arrays)
    assert (levels.target_high_S - levels.target_low_S <= 3.0e-6 + 1e-12).all()
    assert levels.target_low_S.min() == pytest.approx(1e-6)


def test_formed_cells_have_no_target() -> None:
    device = FormedTaOx()
    cells = device.form((30, 20), rng=STREAMS)
    _, levels = tables((device, cells))
    assert len(levels) == 1
    assert levels.error_S.isna().all()
    assert levels.std_S[0] == pytest.approx(float(cells.programmed_S.double().std()), rel=1e-6)
