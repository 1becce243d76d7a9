"""Ranges of inputs and pre-activations that follow data."""

from __future__ import annotations

import pytest
import torch

from mappings.convert.tiles import KEPT, Observed


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
