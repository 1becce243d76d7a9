"""Values that are judged before they are computed with."""

from __future__ import annotations

import contextlib

import pytest
import torch

from devices import InputError
from mappings.judged import judged, put_off


def small(figures: list[float]) -> None:
    if max(figures) > 1.0:
        raise InputError(f"values: at most 1 (got {max(figures):g})")


@pytest.mark.parametrize("when", [contextlib.nullcontext, put_off])
def test_on_the_cpu_values_are_judged_at_once(when: type[contextlib.nullcontext[None]]) -> None:
    x = torch.tensor([0.5, 3.0])
    with when():
        with pytest.raises(InputError, match=r"values: at most 1 \(got 3\)"):
            judged(x, lambda values: values, small)
        assert torch.equal(judged(x[:1], lambda values: values, small), x[:1])
        assert judged(x[:0], lambda values: values.max()[None], small).numel() == 0
