"""Layers that YAML lists: every kind beside torch's own module with the same weights, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from devices import InputError
from workloads.network.layers import LAYERS, from_layers

SIGNAL, PICTURE, STEPS = (4, 12), (4, 8, 8), (7, 5)
PAIRS: list[tuple[dict[str, Any], tuple[int, ...], nn.Module]] = [
    ({"kind": "linear", "outputs": 3}, (6,), nn.Linear(6, 3)),
    ({"kind": "linear", "outputs": 3, "bias": False}, STEPS, nn.Linear(5, 3, bias=False)),
    ({"kind": "conv", "outputs": 6, "kernel": 3, "stride": 2}, SIGNAL, nn.Conv1d(4, 6, 3, 2)),
    (
        {"kind": "conv", "outputs": 8, "kernel": 3, "padding": 2, "dilation": 2, "groups": 4},
        PICTURE,
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),
    ),
    ({"kind": "batch_norm"}, PICTURE, nn.BatchNorm2d(4)),
    ({"kind": "batch_norm"}, (6,), nn.BatchNorm1d(6)),
    ({"kind": "layer_norm"}, STEPS, nn.LayerNorm(5)),
    ({"kind": "flatten"}, PICTURE, nn.Flatten()),
    ({"kind": "dropout", "share": 0.3}, (6,), nn.Dropout(0.3)),
    ({"kind": "pool", "size": 2}, PICTURE, nn.MaxPool2d(2)),
    ({"kind": "pool", "of": "mean", "size": 3}, SIGNAL, nn.AvgPool1d(3)),
    ({"kind": "pool", "of": "mean"}, PICTURE, nn.Sequential(nn.AvgPool2d(8), nn.Flatten())),
    ({"kind": "function", "name": "gelu"}, (6,), nn.GELU()),
    ({"kind": "function", "name": "softmax"}, STEPS, nn.Softmax(-1)),
]


@pytest.mark.parametrize(("how", "sizes", "theirs"), PAIRS, ids=lambda value: str(value)[:40])
def test_a_layer_is_torchs(how: dict[str, Any], sizes: tuple[int, ...], theirs: nn.Module) -> None:
    ours = from_layers([LAYERS[how["kind"]](**how)], sizes).eval()
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other)
    x = torch.randn(3, *sizes)
    assert torch.equal(ours(x), theirs.eval()(x))


@pytest.mark.parametrize(("kind", "theirs"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_recurrent_layers_have_torchs_names(kind: str, theirs: Any, steps: Any) -> None:
    layer: Any = LAYERS[kind]
    ours = from_layers([layer(units=6, layers=2, both_ways=True, steps=steps)], STEPS)
    other = nn.Sequential(theirs(5, 6, 2, batch_first=True, bidirectional=True))
    other.load_state_dict(ours.state_dict())
    x = torch.randn(3, *STEPS)
    states = other[0](x)[0]
    assert torch.equal(ours(x), states[:, -1] if steps == "last" else states)


def test_sizes_follow_from_one_layer_to_the_next_and_functions_are_modules() -> None:
    kinds: Any = LAYERS
    net = from_layers(
        [
            kinds["embedding"](words=20, outputs=8),
            kinds["lstm"](units=6),
            kinds["linear"](outputs=4, function="relu"),
            kinds["linear"](outputs=2),
        ],
        (9,),
    )
    assert net(torch.randint(0, 20, (3, 9))).shape == (3, 2)
    assert [name for name, _ in net.named_children()] == ["0", "1", "2", "3", "4"]
    assert isinstance(net[3], nn.ReLU)


@pytest.mark.parametrize(
    ("how", "sizes", "message"),
    [
        ({"kind": "conv", "outputs": 4, "kernel": 3}, (6,), r"layers\[0\]: samples of channels .* \(got sizes 6\)"),
        (
            {"kind": "conv", "outputs": 4, "kernel": 9},
            (4, 5),
            r"layers\[0\]: does not take samples of sizes 4, 5",
        ),
        (
            {"kind": "conv", "outputs": 6, "kernel": 3, "groups": 4},
            SIGNAL,
            r"layers\[0\]: groups: divides 4 channels and 6",
        ),
        ({"kind": "lstm", "units": 4}, (6,), r"layers\[0\]: samples of steps and inputs"),
        ({"kind": "pool"}, (6,), r"layers\[0\]: samples of channels"),
        ({"kind": "linear", "outputs": 4}, (), r"layers\[0\]: samples of at least one dimension"),
    ],
)
def test_samples_that_a_layer_does_not_take(how: dict[str, Any], sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_layers([LAYERS[how["kind"]](**how)], sizes)
