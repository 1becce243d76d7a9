"""A run of kind network end to end, with what it leaves behind, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

import mho
from devices import InputError
from mho import reports
from mho.network.cost import price_model
from mho.sweep.command import sweep
from workloads.network.evaluate import compared
from workloads.network.tables import _within

SMALL = """
extends: network
name: small
training: {epochs: 2}
variants: [{name: superT, default: true}, {name: pcm, chip: {weights: {device: pcm}}}]
evaluation: {chips: 2, times_s: [0, 3600], samples: 64}
"""
GIVEN = """
kind: network
name: given
model:
  layers: [{kind: linear, outputs: 5, function: relu}, {kind: linear, outputs: 3}]
  weights: WEIGHTS
data: {file: DATA}
chip: yang2025
variants: [{name: superT, default: true}]
evaluation: {chips: 2}
"""
MODULE = """
import torch

def net():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))

def pair():
    return net(), torch.zeros(1, 6)

def number():
    return 3

def broken():
    return {}["weights"]
"""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """An experiment with a network and samples of the user's, classes as the network answers them in float."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    x = torch.rand(80, 6) * 2.0 - 1.0
    y = net(x).argmax(-1)
    np.savez(tmp_path / "data.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    (tmp_path / "mine.py").write_text(MODULE)
    file = tmp_path / "given.yaml"
    text = GIVEN.replace("WEIGHTS", str(tmp_path / "net.safetensors")).replace("DATA", str(tmp_path / "data.npz"))
    file.write_text(text)
    return file


def test_a_run_leaves_figures_over_time_costs_and_a_page(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    metrics = mho.run(str(tmp_path / "small.yaml"), output=tmp_path / "run")
    assert metrics["data"]["name"] == "scikit-learn digits"
    assert (metrics["data"]["train"], metrics["data"]["test"]) == (1438, 64)
    assert 0.3 < metrics["software"]["accuracy"] < 1.0
    superT, pcm = metrics["variants"]
    assert [q["t_s"] for q in superT["quality"]] == [0.0]
    assert [q["t_s"] for q in pcm["quality"]] == [0.0, 3600.0]
    lines = pd.read_csv(tmp_path / "run" / "components.csv").query("variant == 'pcm'")
    assert pcm["cost"]["energy_J"] == pytest.approx(lines.energy_J.sum())
    low, high = pcm["cost_interval"]["energy_J"]
    assert low < pcm["cost"]["energy_J"] < high
    table = pd.read_csv(tmp_path / "run" / "accuracy.csv")
    assert table[table.stage == "analog"].groupby(["variant", "t_s"]).chip.nunique().eq(2).all()
    over = pd.read_csv(tmp_path / "run" / "over_time.csv")
    first = over[(over.variant == "pcm") & (over.t_s == 0)].iloc[0]
    assert first["mean"] - first.minus_software == pytest.approx(metrics["software"]["accuracy"], abs=1e-6)
    assert over.low.ge(0.0).all()
    assert over.high.le(1.0).all()
    placed = pd.read_csv(tmp_path / "run" / "placement.csv")
    assert placed.path.tolist() == [1, 3]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Layers and digital calls" in page
    assert ">minus software</th>" not in page  # which is among the differences already
    shown = f">{100 * first['mean']:.1f} %</td>"
    assert shown in page[page.index("<h2>Chips over time") :]


def test_a_page_shows_the_cells_of_the_runs_own_chips(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    mho.run(str(tmp_path / "small.yaml"), output=tmp_path / "run")
    levels, counts = (pd.read_csv(tmp_path / "run" / f"{name}.csv") for name in ("levels", "cells"))
    held = pd.read_csv(tmp_path / "run" / "layers.csv").query("variant == 'superT'").cells.sum()
    assert levels[levels.t_s == 0.0]["count"].sum() == counts["count"].sum()
    assert counts["count"].sum() >= 2 * held  # two chips; biases have cells as well
    assert (tmp_path / "run" / "cells.csv").stat().st_size < 100_000
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"The weights&#39; {counts['count'].sum():,} cells of 2 chips of superT" in page
    for name in ("levels", "cells"):
        (tmp_path / "run" / f"{name}.csv").unlink()
    (old,) = reports.write([tmp_path / "run"], output=tmp_path / "old.html")
    assert "kept nothing of the chips&#39; cells (cells.csv, levels.csv): run the experiment again" in old.read_text()


def test_intervals_of_a_share_end_where_shares_do() -> None:
    """Two chips of 98 and 96 %: Student's t alone would give an interval of 84 to 110 %."""
    stages = [("software", 0, 0.99), ("quantised", 0, 0.98), ("chips", 0, 0.98), ("chips", 1, 0.96)]
    rows = pd.DataFrame(
        [{"stage": stage, "chip": chip, "t_s": 0.0, "accuracy": share} for stage, chip, share in stages]
    )
    (row,) = compared(rows).to_dict("records")
    assert row["high"] > 1.0
    cut = _within(row)
    assert (cut["high"], cut["low"]) == (1.0, row["low"])
    assert cut["minus_software_high"] == pytest.approx(0.01)
    assert cut["mean"] == row["mean"]


def test_given_weights_are_not_trained_on(given: Path, tmp_path: Path) -> None:
    before = (tmp_path / "net.safetensors").read_bytes()
    metrics = mho.run(str(given), sets=("training={epochs: 3}",))
    assert metrics["software"]["accuracy"] == 1.0  # what the given network answers is what was asked for
    assert "its weights are used as they are" in metrics["weights"]
    assert (tmp_path / "net.safetensors").read_bytes() == before
    trained = mho.run(str(given), sets=("training={epochs: 3, tune_given_weights: true}",))
    assert "trained on in float" in trained["weights"]


def test_a_module_of_the_users_own(given: Path, tmp_path: Path) -> None:
    metrics = mho.run(str(given), module=f"{tmp_path / 'mine.py'}:net")
    assert metrics["weights"].startswith("--module: mine.py:net")
    again = mho.run(str(given), module=f"{tmp_path / 'mine.py'}:pair")
    assert again["software"] == metrics["software"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", r"mine\.py:number: must give a torch\.nn\.Module, or a module and its inputs \(got int\)"),
        ("broken", r"mine\.py:15: KeyError: 'weights'"),
        ("other", r"mine\.py: has no function other"),
    ],
)
def test_a_module_that_is_none(given: Path, tmp_path: Path, function: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mho.run(str(given), module=f"{tmp_path / 'mine.py'}:{function}")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("model.weights=null",), "model.weights: a safetensors file, --weights, or a block training"),
        (("model.onnx=x.onnx",), r"exactly one of onnx, layers, module \(got onnx, layers\)"),
        (
            ("model.layers=null", "model.weights=null", "model.module=mine"),
            "model.module: a file and a function, as in FILE.py:function",
        ),
        (("figures=[accuracy, mse]",), "figures: each once, and either of classes"),
        (("figures=[mse]",), "y_train: values of the shape of the outputs"),
        (("data.file=null",), "data.file: an npz or safetensors file of samples, or --data, or data.digits: true"),
        (("evaluation.batch=100",), "evaluation.batch: must be a whole number"),
        (("digital=[nothing]",), "nothing"),
        (("variants[0].chips_by_layer={x: hermes_core}",), r"variants\[superT\]: chips_by_layer: x: matches no layer"),
        (("evaluation.times_s=[0, 0]",), "times_s: must rise"),
    ],
)
def test_settings_that_cannot_be(given: Path, sets: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mho.run(str(given), sets=sets)


def test_a_wrong_setting_is_named_with_its_line(given: Path) -> None:
    given.write_text(given.read_text().replace("data: {file:", "calibration: {percentile: 20}\ndata: {file:"))
    with pytest.raises(InputError, match=r"given\.yaml:7:27: calibration\.percentile: must be a number from 50 to 100"):
        mho.run(str(given))


HARDWARE = "hardware_training={steps: 30, batch: 16, learning_rate: 0.02, checkpoint: FOLDER}"


def test_training_for_chips_is_stated_and_goes_on_from_its_checkpoint(given: Path, tmp_path: Path) -> None:
    how = (HARDWARE.replace("FOLDER", str(tmp_path / "kept")), "chip.bits=3")
    metrics = mho.run(str(given), sets=how, output=tmp_path / "run")
    assert metrics["software"]["accuracy"] == 1.0
    assert 0.3 < metrics["retrained"]["accuracy"] <= 1.0
    assert "trained for chips" in metrics["weights"]
    table = pd.read_csv(tmp_path / "run" / "accuracy.csv")
    assert set(table.stage) == {"software", "retrained", "quantised", "analog"}
    assert (tmp_path / "kept" / "superT" / "training.safetensors").is_file()
    again = mho.run(str(given), sets=how)  # from the last step of the checkpoint
    assert again["variants"] == metrics["variants"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_manifest_names_the_device_and_one_that_is_not_there_is_refused(
    given: Path, tmp_path: Path, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        with pytest.raises(InputError, match="--device cuda: this machine has no CUDA device"):
            mho.run(str(given), output=tmp_path / "run", device=device)
        assert not (tmp_path / "run").exists()
        return
    mho.run(str(given), output=tmp_path / "run", device=device)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["device"].startswith(device)


def test_one_network_on_chips_that_it_was_not_trained_for(given: Path, tmp_path: Path) -> None:
    variants = "default: true}, {name: pcm, chip: {weights: {device: pcm}}}]"
    text = given.read_text().replace("default: true}]", variants)
    given.write_text(text + "hardware_training: {steps: 10, trained_for: default}\n")
    mho.run(str(given), output=tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "accuracy.csv")
    assert table[table.stage == "retrained"].accuracy.nunique() == 1
    losses = pd.read_csv(tmp_path / "run" / "training_loss.csv")
    assert set(losses.stage) == {"for superT"}


def test_chips_by_layer(given: Path, tmp_path: Path) -> None:
    metrics = mho.run(
        str(given), sets=("variants[0].chips_by_layer={'2': {extends: yang2025, bits: 8}}",), output=tmp_path / "run"
    )
    placed = pd.read_csv(tmp_path / "run" / "placement.csv", dtype={"path": str})
    assert placed.chip.str.contains("8 bits").tolist() == [False, True]
    assert metrics["software"]["accuracy"] == 1.0


def test_copies_and_shared_tiles(given: Path, tmp_path: Path) -> None:
    """Layers that share a tile answer as before, on less area."""
    plain = mho.run(str(given))
    together = mho.run(str(given), sets=("shared_tiles=['*']",), output=tmp_path / "run")
    (first,), (second,) = plain["variants"], together["variants"]
    assert second["quality"] == first["quality"]
    assert second["cost"]["area_m2"] < 0.8 * first["cost"]["area_m2"]
    assert second["cost"]["latency_s"] == first["cost"]["latency_s"]
    placed = pd.read_csv(tmp_path / "run" / "placement.csv", dtype={"path": str})
    assert placed.shares_with.tolist() == [2, 0]
    assert placed.copies.tolist() == [1, 1]
    with pytest.raises(InputError, match=r"replicas: 2: at most 1 \(products of one inference; got 4\)"):
        mho.run(str(given), sets=("replicas={'2': 4}",))


def test_regression(given: Path, tmp_path: Path) -> None:
    x = torch.rand(200, 6)
    np.savez(tmp_path / "values.npz", x=x, y=x[:, :3] + x[:, 3:])
    metrics = mho.run(
        str(given),
        data=tmp_path / "values.npz",
        sets=("figures=[mse, mae, r2]", "training={epochs: 150, batch: 16, tune_given_weights: true}"),
    )
    assert metrics["data"]["train"] == 160
    assert metrics["software"]["r2"] > 0.5
    assert metrics["quantised"]["mse"] > metrics["software"]["mse"]


def test_sweep_of_two_points(given: Path, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("base: given.yaml\naxes: {chip.bits: [3, 6]}\noutputs: [accuracy, quantised_accuracy, energy_J]\n")
    table = sweep(str(file), output=tmp_path / "out").table
    assert table["quantised_accuracy"].iloc[1] > 0.8
    assert table["energy_J"].iloc[1] > table["energy_J"].iloc[0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 6)), "y": np.zeros(3, int)}, r"x and y: as many of either \(got 4 and 3\)"),
        ({"x": np.zeros((4, 6))}, r"must hold x_train, y_train, x_test, y_test, or x and y \(got x\)"),
        ({"x": np.full((4, 6), np.nan), "y": np.zeros(4, int)}, "x: values must be finite"),
        ({"x": np.zeros((4, 7)), "y": np.zeros(4, int)}, r"must be \(5, 7\) \(got \(5, 6\)\); samples have sizes 7"),
        ({"x": np.zeros((4, 6)), "y": np.full(4, 9)}, r"y_train: classes from 0 to 2"),
        ({"x": np.zeros((4, 6)), "y": np.zeros(4)}, "y_train: classes are whole numbers"),
        ({"x": np.array([{}] * 4), "y": np.zeros(4, int)}, "a whole npz file of numbers"),
        ({"x": np.zeros((1, 6)), "y": np.zeros(1, int)}, "at least one sample to train on and one to test on"),
    ],
)
def test_samples_that_cannot_be(given: Path, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        mho.run(str(given), data=tmp_path / "bad.npz")


def test_weights_that_do_not_fit(given: Path, tmp_path: Path) -> None:
    other = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3, bias=False))
    safetensors.torch.save_file(other.state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(InputError) as refused:
        mho.run(str(given), weights=tmp_path / "other.safetensors")
    text = str(refused.value)
    assert "0.weight: shape must be (5, 6) (got (4, 6))" in text
    assert "2.bias: missing" in text


def test_an_onnx_file_runs_and_is_priced(given: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    tensors = safetensors.torch.load_file(tmp_path / "net.safetensors")
    held = [onnx.numpy_helper.from_array(one.numpy(), name) for name, one in tensors.items()]
    nodes = [
        onnx.helper.make_node("Gemm", ["x", "0.weight", "0.bias"], ["h"], transB=1),
        onnx.helper.make_node("Relu", ["h"], ["r"]),
        onnx.helper.make_node("Gemm", ["r", "2.weight", "2.bias"], ["y"], transB=1),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["n", size]) for name, size in (("x", 6), ("y", 3))]
    graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:], held)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "net.onnx")
    before = mho.run(str(given))
    file = f"model={{layers: null, weights: null, onnx: {tmp_path / 'net.onnx'}}}"
    found = mho.run(str(given), sets=(file,))
    assert found["weights"] == "model.onnx: net.onnx; its weights are used as they are"
    assert found["software"] == before["software"]
    priced = price_model(str(tmp_path / "net.onnx"), "yang2025").cost.summary
    assert priced["ops"] == found["variants"][0]["cost"]["ops"]
