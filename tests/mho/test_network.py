"""Networks as users call them: chips by name, saved, loaded and priced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import mho
from mappings.convert.saving import read_graph


@pytest.fixture(scope="module")
def net() -> mho.ConvertedNetwork:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.SiLU(), nn.Flatten(), nn.Linear(20, 3), nn.Softmax(-1)
    )
    return mho.convert(module, {"4": "hermes_core", "*": "yang2025"}, example=torch.randn(8, 2, 5))


def test_a_saved_network_answers_as_before_and_its_chips_too(net: mho.ConvertedNetwork, tmp_path: Path) -> None:
    x = torch.randn(5, 2, 5)
    mho.save(net, tmp_path / "net")
    again = mho.load(tmp_path / "net")
    assert torch.equal(again(x), net(x))
    assert torch.equal(again.program(2, seed=1).at(3600.0)(x), net.program(2, seed=1).at(3600.0)(x))
    assert again.layers.equals(net.layers)
    with pytest.warns(UserWarning, match="loaded on other chips than it was saved with"):
        assert mho.load(tmp_path / "net", chip="hermes_core").chips["0"].bits == 8


@pytest.mark.parametrize("file", ["network.json", "network.safetensors", "chips.yaml"])
def test_a_damaged_file_is_one_sentence(net: mho.ConvertedNetwork, tmp_path: Path, file: str) -> None:
    mho.save(net, tmp_path / "net")
    path = tmp_path / "net" / file
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\xff" * 40):
        path.write_bytes(damaged)
        with pytest.raises(mho.InputError):
            mho.load(tmp_path / "net")
    path.unlink()
    with pytest.raises(mho.InputError):
        mho.load(tmp_path / "net")


@pytest.mark.parametrize("target", ["os.system", "aten.add", "builtins.eval.default", "aten.no_such_call.default"])
def test_a_file_names_no_code(target: str) -> None:
    row = {"name": "a", "op": "call_function", "target": target, "args": [], "kwargs": {"dict": {}}, "path": []}
    with pytest.raises(mho.InputError, match=r"must be an ATen call|no such call"):
        read_graph([row])


def test_the_cost_needs_no_values(net: mho.ConvertedNetwork) -> None:
    real, meta = net.cost(torch.randn(1, 2, 5)), net.cost(torch.empty(1, 2, 5, device="meta"))
    assert real.summary == meta.summary
    assert real.summary["energy_J"] == pytest.approx(real.table.energy_J.sum())
    low, high = real.interval["energy_J"]
    assert low < real.summary["energy_J"] < high
    assert {"0", "4"} <= set(real.layers.layer)
    assert json.dumps(real.trace)


def test_a_notebook_shows_where_layers_lie_and_what_they_cost(net: mho.ConvertedNetwork) -> None:
    assert all(f"<td>{path}</td>" in net._repr_html_() for path in net.tiles)
    cost = net.cost(torch.randn(1, 2, 5))
    shown = cost._repr_html_()
    assert "energy_J" in shown
    assert f"{cost.summary['energy_J']:.4g}" in shown
    assert f"{cost.interval['energy_J'][1]:.4g}" in shown


def test_an_exact_chip_has_no_cost() -> None:
    found = mho.convert(nn.Linear(2, 3), "exact", example=torch.randn(4, 2))
    with pytest.raises(mho.InputError, match="rounding: none"):
        found.cost(torch.randn(1, 2))


@pytest.mark.parametrize(
    ("chip", "said"),
    [
        ("yang2024", "yang2024"),
        ({"a*": "yang2025"}, "no pattern matches the layer network"),
        ({"*": "yang2025", "b": "exact"}, "b: matches no layer"),
    ],
)
def test_a_chip_that_is_not_there(chip: object, said: str) -> None:
    with pytest.raises(mho.InputError, match=said):
        mho.convert(nn.Linear(2, 3), chip, example=torch.randn(4, 2))  # type: ignore[arg-type]


def test_what_cannot_be_counted_is_named_with_its_path() -> None:
    class Sorted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sort(torch.fft.fft(x).real).values

    with pytest.raises(mho.InputError) as error:
        mho.convert(nn.Sequential(nn.Linear(3, 3), Sorted()), "yang2025", example=torch.randn(2, 3))
    assert len(error.value.problems) >= 2
    assert all(problem.startswith("1.") for problem in error.value.problems)


def test_evaluation_keeps_every_chip_and_pairs_it_with_software(net: mho.ConvertedNetwork) -> None:
    x = torch.randn(40, 2, 5)
    labels = net.software(x).argmax(-1)
    rows = mho.evaluate(net, [(x[:30], labels[:30]), (x[30:], labels[30:])], chips=3, times_s=(0.0, 3600.0))
    assert list(rows.stage) == ["software", "quantised", *["chips"] * 6]
    assert rows.accuracy[0] == 1.0
    found = mho.compared(rows)
    assert list(found.chips) == [3, 3]
    assert found.drifts.all()  # one of the layers does
    still = net.on(mho.read_config("yang2025", mho.Chip, folder="chips").value)
    rows = mho.evaluate(still, [(x, labels)], chips=1, times_s=(0.0, 3600.0))
    assert not rows.drifts.any()  # the second time is the first, read again
    assert not mho.compared(rows).drifts.any()
    assert found.minus_software[0] == pytest.approx(found["mean"][0] - 1.0)
