"""Records of chips that were read, moved to another device."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import torch

from mappings.placed import placed
from tests.mappings.network.test_recurrent_fused import NOISES, read_of


def tensors(value: object) -> list[torch.Tensor]:
    """All tensors of a record."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [found for one in value for found in tensors(one)]
    if is_dataclass(value) and not isinstance(value, type):
        return [found for field in fields(value) for found in tensors(getattr(value, field.name))]
    return []


def test_every_tensor_of_a_layer_moves_and_the_layer_stays_as_it_was() -> None:
    for name in ("pcm, ramps that err", "conventional"):
        read = read_of("lstm", NOISES[name])
        moved = placed(read, "meta")
        assert len(tensors(moved)) == len(tensors(read)) > 10
        assert {one.device.type for one in tensors(moved)} == {"meta"}
        assert {one.device.type for one in tensors(read)} == {"cpu"}
        assert moved.chip is read.chip


def test_what_holds_no_tensor_is_not_copied() -> None:
    record = ({"a": 1}, [2.0, "three"])
    assert placed(record, "meta") is record
    x = torch.zeros(2)
    assert placed((x, record), "cpu")[0] is x
