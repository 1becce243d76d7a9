"""Which blocks of a network are computed by a graph, on the CPU with a stand-in for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mho
from mappings.convert import chips
from mappings.convert.block_graph import Block


class CallByCall:
    """Takes what a graph takes and computes it at once."""

    made = 0

    def __init__(self, run: Block, x: list[torch.Tensor], block: int, place: int) -> None:
        type(self).made += 1
        self.run = run

    def __call__(self, x: list[torch.Tensor], block: int) -> list[torch.Tensor]:
        return self.run(x, block)


class Refused:
    def __init__(self, *given: object) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore of it")


@pytest.fixture
def net() -> mho.ConvertedNetwork:
    torch.manual_seed(0)
    chip = mho.read_config("yang2025", mho.Chip, folder="chips").value
    return mho.convert(nn.Linear(6, 4), chip, example=torch.rand(70, 6))


@pytest.fixture
def on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips.NetworkRead, "_by_host", False)


@pytest.mark.usefixtures("on_a_card")
def test_the_second_block_of_a_kind_is_a_graph(net: mho.ConvertedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips, "BlockGraph", CallByCall)
    x, programmed = torch.rand(200, 6), net.program(2)
    expected, read = programmed.at(0.0)(x), programmed.at(0.0)
    before = CallByCall.made
    assert torch.equal(read(x), expected)
    assert torch.equal(read(x), expected)
    # Three blocks of 64 and one of 8 samples: the first of either kind goes call by call.
    assert CallByCall.made == before + 2
    assert len(read._graphs) == 2


@pytest.mark.usefixtures("on_a_card")
def test_where_no_graph_can_be_made_the_host_says_so_and_goes_call_by_call(
    net: mho.ConvertedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, programmed = torch.rand(128, 6), net.program(2)
    expected, read = programmed.at(0.0)(x[:64], first=5), programmed.at(0.0)
    monkeypatch.setattr(chips, "BlockGraph", Refused)
    with pytest.warns(UserWarning, match="no CUDA graph could be made: CUDA error: operation not permitted"):
        read(x)
    read(x)  # warnings are errors here: it was said once
    assert torch.equal(read(x[:64], first=5), expected)


def test_on_the_cpu_nothing_is_a_graph(net: mho.ConvertedNetwork) -> None:
    read = net.program(1).at(0.0)
    read(torch.rand(200, 6))
    assert not read._graphs
