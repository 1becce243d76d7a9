"""Copies of arrays that take turns at positions, and tiles of several layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from devices import InputError
from mappings.activity import Activity
from mappings.chip import Chip
from mho.config.read import read
from mho.network.convert import convert
from mho.network.saved import load, save

CHIP = replace(read("yang2025", Chip, folder="chips").value, rows=64, columns=64)
EXACT = read("exact", Chip, folder="chips").value
X = torch.randn(5, 2, 6, 7, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(80, 3),
    ).eval()


def of(net, name):
    """The row of one layer."""
    return net.layers.set_index("path").loc[name]


def test_position_p_is_computed_by_copy_p_mod_r():
    """Of one layer on chips with errors: the outputs of r copies at a position are those of that copy alone."""
    torch.manual_seed(0)
    module = nn.Conv1d(2, 3, 3).eval()
    x = torch.randn(1, 2, 9).expand(1024, -1, -1)  # of so many reads the mean has little noise
    chip = replace(EXACT, weights=CHIP.weights)  # errors of the cells alone
    net = convert(module, chip, example=x, replicas={"*": 3})
    chips = net.program(2, seed=5)
    assert list(chips.layers) == ["network", "network, copy 2", "network, copy 3"]
    y, alone = chips.at(0.0)(x).mean(1), list[torch.Tensor]()
    for read_ in chips.at(0.0).layers.values():
        single = net.laid_out()
        one = single.program(2, seed=5).at(0.0)
        alone.append(replace(one, layers={"network": read_})(x).mean(1))
    for position in range(7):
        quiet = float((y[..., position] - alone[position % 3][..., position]).abs().max())
        other = float((y[..., position] - alone[(position + 1) % 3][..., position]).abs().max())
        assert quiet < other / 3, position


def test_what_a_sample_sees_does_not_depend_on_the_batch_beside():
    net = convert(network(), CHIP, example=X, replicas={"0": 3, "2": 2})
    chips = net.program(2, seed=5).at(0.0)
    layers = chips.layers
    assert set(layers) == {"0", "0, copy 2", "0, copy 3", "2", "2, copy 2", "5"}
    exact = convert(network().double(), EXACT, example=X.double(), replicas={"0": 3, "2": 2})
    with torch.no_grad():
        wanted = network().double()(X.double())
        for some in (X, X[2:3]):
            found = exact.program(2).at(0.0)(some.double())
            torch.testing.assert_close(found[1], network().double()(some.double()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(exact(X.double()), wanted, rtol=1e-5, atol=1e-5)


def test_a_sequence_in_any_layout_is_computed_as_torch_does():
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double().eval()
    for batch_dim, shape in ((0, (3, 7, 4)), (1, (7, 3, 4))):
        x = torch.randn(shape, dtype=torch.float64)
        net = convert(module, EXACT, example=x, batch_dim=batch_dim, replicas=4)
        assert net.layers["copies"].tolist() == [4, 4]
        with torch.no_grad():
            torch.testing.assert_close(net.program(1).at(0.0)(x)[0], module(x), rtol=1e-5, atol=1e-5)


def test_copies_divide_time_multiply_area_and_leave_energy():
    plain, twice = (convert(network(), CHIP, example=X, replicas={"0": count}) for count in (1, 3))
    before, after = plain.cost(X), twice.cost(X)
    rows = [{row["layer"]: row for row in one.priced.layers} for one in (before, after)]
    assert [rows[1][name]["steps"] for name in ("0", "0, copy 2", "0, copy 3")] == [7, 7, 6]
    assert rows[0]["0"]["steps"] == 20
    step_s = rows[0]["0"]["latency_s"]
    assert before.summary["latency_s"] - after.summary["latency_s"] == pytest.approx(13 * step_s)
    grown = after.summary["area_m2"] - before.summary["area_m2"]
    assert grown == pytest.approx(2 * rows[0]["0"]["area_m2"])

    def moved(cost):
        return sum(line.energy_J for line in cost.priced.lines if line.action != "leakage")

    assert moved(after) == pytest.approx(moved(before), rel=1e-6)
    activity: dict[str, Activity] = {}
    chips = twice.program(2)
    chips.at(0.0)(X, activity=activity)
    assert [activity[name].samples for name in ("0", "0, copy 2", "0, copy 3")] == [2 * 5 * n for n in (7, 7, 6)]
    seen = twice.cost(X, observed=(chips, activity)).summary
    assert seen["latency_s"] == pytest.approx(after.summary["latency_s"])


def test_copies_and_shared_tiles_are_saved_and_loaded(tmp_path):
    net = convert(network(), CHIP, example=X, replicas={"0": 3}, shared_tiles=("0", "5"))
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    assert again.layers.equals(net.layers)
    assert torch.equal(again.program(2, seed=1).at(0.0)(X), net.program(2, seed=1).at(0.0)(X))


def test_numbers_for_all_layers_are_cut_to_their_positions():
    net = convert(network(), CHIP, example=X, replicas=1000)
    assert net.layers["copies"].dropna().tolist() == [20, 20, 1]
    lstm = convert(nn.LSTM(4, 3), CHIP, example=torch.randn(6, 2, 4), batch_dim=1, replicas=4)
    assert lstm.layers["copies"].dropna().tolist() == [1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"replicas": {"5": 2}}, "replicas: 5: at most 1 (products of one inference; got 2)"),
        ({"replicas": {"conv": 2}}, "replicas: conv: matches no layer (layers: 0, 2, 5)"),
        ({"replicas": {"0": 0}}, "replicas: 0: a whole number of at least 1 (got 0)"),
        ({"replicas": True}, "replicas: *: a whole number of at least 1 (got True)"),
        ({"shared_tiles": ("fc",)}, "shared_tiles: fc: matches no layer (layers: 0, 2, 5)"),
    ],
)
def test_bad_layouts_are_refused_with_what_is_allowed(how, message):
    with pytest.raises(InputError) as caught:
        convert(network(), CHIP, example=X, **how)
    assert str(caught.value) == message


def small():
    torch.manual_seed(0)
    layers = [
        nn.Linear(20, 16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    ]
    return nn.Sequential(*layers).eval()


def test_layers_on_the_diagonal_of_a_tile_compute_as_on_tiles_of_their_own_and_stand_once():
    x = torch.randn(5, 20)
    alone = convert(small(), CHIP, example=x)
    together = convert(small(), CHIP, example=x, shared_tiles=("*",))
    assert torch.equal(
        alone.program(2, seed=1).at(3600.0)(x), together.program(2, seed=1).at(3600.0)(x)
    )  # errors, noise and all
    mapped = together.map()
    (tile,) = mapped.shared
    used = tile.used
    assert len(tile.arrays) >= 3
    assert used[0] <= 64
    assert used[1] <= 64
    weights = sum(rows * columns for rows, columns in tile.arrays.values())
    for name in tile.layers:
        row = of(together, name)
        assert row["utilisation"] == pytest.approx(weights / 64**2)
        assert set(row["shares_with"].split(", ")) == set(tile.arrays) - {name}
    lines = [mapped.layers[name].shape.lines_stand for name in tile.arrays]
    columns = [mapped.layers[name].shape.columns_stand for name in tile.arrays]
    assert (sum(lines), sum(columns)) == (64, 64)
    cells = sum(mapped.layers[name].shape.cells for name in tile.arrays)
    assert cells == pytest.approx(mapped.layers[next(iter(tile.arrays))].matrix.cells_stand, abs=4)
    costs = alone.cost(x).summary, together.cost(x).summary
    assert costs[1]["latency_s"] == costs[0]["latency_s"]
    assert costs[1]["area_m2"] < 0.6 * costs[0]["area_m2"]
    assert costs[1]["energy_J"] < costs[0]["energy_J"]


def test_layers_of_other_chips_or_that_fill_a_tile_share_none_nor_do_copies():
    x = torch.randn(5, 20)
    other = replace(CHIP, bits=CHIP.bits - 1)
    net = convert(small(), {"2": other, "*": CHIP}, example=x, shared_tiles=("2", "4"))
    assert net.map().shared == ()
    assert [sentence.split(";")[0] for sentence in net.map().notes] == [
        "shared_tiles: 2: none of its layers shares a tile",
        "shared_tiles: 4: none of its layers shares a tile",
    ]
    wide = convert(nn.Sequential(nn.Linear(60, 2), nn.ReLU(), nn.Linear(2, 60)), CHIP, example=torch.randn(2, 60))
    assert wide.laid_out(shared_tiles=("*",)).map().shared == ()
    conv = convert(network(), CHIP, example=X, replicas={"0": 3}, shared_tiles=("0", "2"))
    for tile in conv.map().shared:
        assert len([name for name in tile.arrays if name.startswith("0")]) == 1
