"""``mho cost``: one dense layer by hand, models of every kind, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import mho
from devices import InputError
from mho import cli
from mho.network.convert import convert
from mho.network.cost import price_model, text, write
from mho.network.saved import save
from mho.report.quantities import quantity
from tests.mho.outline import Outline

CELL_M2 = 2.5652e-14
"""Of one cell of the array at 16 nm (configs/components/cell_array.yaml)."""


@pytest.fixture
def one(tmp_path: Path) -> Path:
    file = tmp_path / "one.yaml"
    file.write_text("layers: [{kind: linear, outputs: 4}]\ninputs: [16]\n")
    return file


def test_one_dense_layer_by_hand(one: Path) -> None:
    found = price_model(str(one), "yang2025")  # tiles of 64 rows and 32 pairs of columns; inputs of 5 bits
    (row,) = found.cost.priced.layers
    assert row["rows"] == 16 + 1  # the row of the bias
    assert row["cells"] == 2 * 17 * 4
    assert row["ops"] == 2 * 16 * 4
    (placed,) = found.net.rows()
    assert placed["utilisation"] == pytest.approx(17 * 4 / (64 * 32))
    lines = found.cost.table
    cells = lines[(lines.component == "cell_array") & (lines.instances > 0)]
    assert cells.area_m2.sum() == pytest.approx(64 * 64 * CELL_M2, rel=1e-3)
    loaded = lines[(lines.component == "pwm_driver") & (lines.action == "load_bit")]
    assert loaded["count"].sum() == pytest.approx(17 * 5, rel=1e-6)  # and a share of calibrations
    latched = lines[(lines.component == "code_latch") & (lines.action == "write_bit")]
    assert latched["count"].sum() == pytest.approx(4 * 8, rel=1e-6)  # outputs of 8 bits
    cost = found.cost.summary
    assert cost["area_m2"] == pytest.approx(lines.area_m2.sum())
    assert cost["energy_J"] == pytest.approx(lines.energy_J.sum())
    low, high = found.cost.interval["energy_J"]
    assert low < cost["energy_J"] < high


def test_a_model_without_values_costs_as_much_as_one_with_them(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Linear(512, 256)\n\n"
        "def meta():\n    return net().to('meta'), torch.empty(1, 512, device='meta')\n"
    )
    real = price_model(f"{tmp_path / 'big.py'}:net", "hermes_core", example="512")
    meta = price_model(f"{tmp_path / 'big.py'}:meta", "hermes_core")
    assert meta.cost.summary == real.cost.summary


def test_digital_calls_are_listed_with_their_reason_and_priced(tmp_path: Path) -> None:
    (tmp_path / "mixed.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8))\n"
    )
    found = price_model(f"{tmp_path / 'mixed.py'}:net", "yang2025", example="8")
    norm = [row for row in found.net.rows() if row["chip"] == "digital"]
    assert [row["path"] for row in norm] == ["1.layer_norm"]
    assert norm[0]["why"]
    assert norm[0]["why"] in text(found)
    assert found.cost.table[found.cost.table.layer == "1.layer_norm"].energy_J.sum() > 0.0


def test_a_saved_network(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    net = convert(module, "yang2025", example=torch.rand(20, 8))
    save(net, tmp_path / "saved")
    found = price_model(str(tmp_path / "saved"), "yang2025")
    assert found.cost.summary == net.cost(torch.rand(1, 8)).summary
    own = price_model(str(tmp_path / "saved"))
    assert own.record | {"model": ""} == found.record | {"model": ""}
    other = price_model(str(tmp_path / "saved"), "hermes_core")  # a warning would be an error here
    assert "Other chips than saved with (0, 2): ranges and weights are those for the saved ones." in other.notes


def test_what_is_no_saved_network_needs_a_chip(one: Path) -> None:
    with pytest.raises(InputError, match=r"one.yaml: --chip: a shipped chip .* \(got none\)"):
        price_model(str(one))


def test_tables_and_a_page(one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "sys.argv", ["mho", "cost", str(one), "--chip", "yang2025", "--json", "-o", str(tmp_path / "out")]
        )
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert not stop.value.code
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "cost.json").read_text())
    lines = pd.read_csv(tmp_path / "out" / "components.csv")
    assert lines.energy_J.sum() == pytest.approx(printed["cost"]["energy_J"])
    page = (tmp_path / "out" / "cost.html").read_text()
    outline = Outline(page)
    assert outline.fetched == []
    assert set(outline.inner) <= set(outline.ids)
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        *("Summary", "Layers and digital calls", "Cost of each", "Components, prices and sources")
    ]
    for name in ("energy_J", "latency_s", "area_m2", "leakage_W"):  # as the console says it
        assert f">{quantity(printed['cost'][name], name.rpartition('_')[2])}<" in page
    assert page.count("<svg") == 2  # the flow of energy, and the tiles
    assert 'id="paper-latex"' in page
    audit = page[page.index('<details class="part" id="components">') :]
    shares = (lines[["energy_J", "area_m2", "leakage_W"]] / lines[["energy_J", "area_m2", "leakage_W"]].sum()).fillna(
        0.0
    )
    small = (shares < 1e-6).all(axis=1)  # which stand in one line, with what they add up to and nothing of each
    assert small.any()
    assert audit.count(f">{small.sum()} others, each next to nothing<") == 1
    shown = lines[~small]
    assert audit.count('<a href="#source') == len(shown[shown.source.notna()])
    acts = shown.action.notna()  # an action has no pieces and no area, a piece no count and no energy
    assert audit.count('data-value="">–</td>') == 5 * acts.sum() + 4 * (~acts).sum() + 4
    assert "<th>" not in page  # every head says what it is the head of


def test_the_shipped_experiment() -> None:
    assert price_model("network", "yang2025").cost.summary["ops"] == 2 * (64 * 32 + 32 * 10)


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        ("nothing", None, "nothing: must be an ONNX file"),
        ("TWO", "7", r"layers\[1\]: samples of channels"),
        ("kws", None, "kws: must be an experiment of kind network"),
        ("ONE", "3x0", "--example: sizes of one sample above 0"),
        ("LAYERS", None, "--example: the sizes of one sample"),
    ],
)
def test_models_that_cannot_be_priced(one: Path, tmp_path: Path, model: str, example: str | None, message: str) -> None:
    (tmp_path / "layers.yaml").write_text("layers: [{kind: linear, outputs: 4}]\n")
    two = "layers: [{kind: linear, outputs: 4}, {kind: conv, outputs: 2, kernel: 3}]\n"
    (tmp_path / "two.yaml").write_text(two)
    named = {"TWO": str(tmp_path / "two.yaml"), "ONE": str(one), "LAYERS": str(tmp_path / "layers.yaml")}.get(
        model, model
    )
    with pytest.raises(InputError, match=message):
        price_model(named, "yang2025", example=example)


def test_a_chip_that_is_none(one: Path) -> None:
    with pytest.raises(mho.InputError, match="yang2024"):
        price_model(str(one), "yang2024")


def test_write_keeps_other_files(one: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        write(price_model(str(one), "yang2025"), tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_copies_and_shared_tiles_of_a_model_are_priced(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "layers:\n  - {kind: conv, outputs: 4, kernel: 3, function: relu}\n  - {kind: flatten}\n"
        "  - {kind: linear, outputs: 8, function: relu}\n  - {kind: linear, outputs: 8}\ninputs: [1, 5, 5]\n"
    )
    plain = price_model(str(file), "yang2025")
    other = price_model(str(file), "yang2025", replicas=["0=4"], shared_tiles=["*"])
    rows = {row["path"]: row for row in other.net.rows() if "rows" in row}
    assert rows["0"]["copies"] == 4
    assert other.cost.summary["latency_s"] < plain.cost.summary["latency_s"]
    assert "4 (4 copies)" in text(other)
    assert "shares a tile with" in text(other)
    write(other, tmp_path / "out")
    assert "(4 copies)" in (tmp_path / "out" / "cost.html").read_text()
    every = price_model(str(file), "yang2025", replicas=["2"])
    assert [row["copies"] for row in every.net.rows() if "rows" in row] == [2, 1, 1]
    with pytest.raises(InputError, match=r"--replicas: one whole number from 1 to 9999 .* \(got 0=x\)"):
        price_model(str(file), "yang2025", replicas=["0=x"])


def test_sizes_that_are_not_those_of_a_sequence_are_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("layers:\n  - {kind: lstm, units: 16}\n  - {kind: linear, outputs: 4}\n")
    with pytest.raises(InputError) as raised:
        price_model(str(file), "yang2025", example="128")
    (said,) = raised.value.problems
    assert said.startswith("--example 128: must be sizes of one sample without the batch, as in 3x32x32 for a picture")
    assert said.endswith("(layers[0]: samples of steps and inputs (got sizes 128))")
    (tmp_path / "words.py").write_text(
        "from torch import nn\n\n\nclass Words(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.lstm, self.out = nn.LSTM(40, 16, batch_first=True), nn.Linear(16, 4)\n\n"
        "    def forward(self, x):\n        return self.out(self.lstm(x)[0][:, -1])\n\n\n"
        "def made():\n    return Words()\n"
    )
    with pytest.raises(InputError, match=r"--example 40: must be sizes of one sample .* 50x40 for 50 steps of 40"):
        price_model(f"{tmp_path / 'words.py'}:made", "yang2025", example="40")


def test_layers_that_cannot_share_a_tile_are_told(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "layers:\n  - {kind: linear, outputs: 300, function: relu}\n  - {kind: linear, outputs: 8}\ninputs: [300]\n"
    )
    (told,) = [note for note in price_model(str(file), "yang2025", shared_tiles=["*"]).notes if "shared" in note]
    assert told.startswith("shared_tiles: *: none of its layers shares a tile; in a tile of ")


def test_a_layer_that_does_not_take_what_the_one_before_gives_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    file.write_text("layers:\n  - {kind: linear, outputs: 4}\n  - {kind: conv, outputs: 4, kernel: 3}\ninputs: [7]\n")
    with pytest.raises(InputError, match=r"big\.yaml: layers\[1\]: samples of channels and one or two dimensions"):
        price_model(str(file), "yang2025")
