"""Ranges of inputs and pre-activations that follow data."""

from __future__ import annotations

import pytest
import torch

from mappings.convert.tiles import CALIBRATION, KEPT, Observed


@pytest.mark.parametrize("columns", [8, 12, 64])
def test_a_percentile_meets_all_columns_of_a_batch_that_is_only_sampled(columns: int) -> None:
    """One column in each row is 100 times as large as the rest; a stride that shares a factor with them misses it."""
    for place in range(columns):
        x = torch.rand(8 * KEPT // columns, columns)
        x[:, place] = 100.0
        seen = Observed()
        seen.add(x, x)
        assert seen.range_of_inputs(100.0 - 50.0 / columns) == 100.0
        assert seen.range_of_inputs(100.0 - 200.0 / columns) < 1.0
        assert seen.range_of_inputs(100.0) == 100.0


@pytest.mark.parametrize("batches", [1, 3, 40])
def test_what_ranges_follow_is_taken_from_all_of_the_data(batches: int) -> None:
    """Samples in the order of their classes: every part of them is heard."""
    x = torch.arange(100.0 * batches)[:, None]
    seen = Observed()
    for one in x.split(100):
        seen.add(one, one)
    kept = torch.cat(seen.inputs)
    assert len(kept) <= 4 * CALIBRATION
    assert kept.min() < 0.05 * len(x)
    assert kept.max() > 0.95 * len(x)
