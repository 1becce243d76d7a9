"""The examples on digits run in a small form: accuracy over time beside software, the cost, and a figure."""

from __future__ import annotations

import gzip
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"
DIGITAL = {"resnet8": "adaptive_avg_pool2d", "transformer": "scaled_dot_product_attention"}


def run(name: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """As ``python examples/NAME.py OPTIONS``."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, *options])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize("name", ["mlp", "cnn", "lstm", "resnet8", "transformer"])
def test_an_example_prints_accuracy_over_time_and_cost_and_draws_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figure, trained = tmp_path / "figure.png", ("--train", "1") if name == "resnet8" else ()
    run(name, monkeypatch, "--steps", "30", "--tests", "40", "--chips", "2", "--figure", str(figure), *trained)
    layers, _, found = capsys.readouterr().out.partition(" on ")
    assert DIGITAL.get(name, "linear") in layers
    head, columns, *rows, energy, latency = found.splitlines()
    assert "8 x 8 digits (recorded): software" in head
    assert "minus_software" in columns.split()
    assert [float(row.split()[0]) for row in rows] == [0.0, 3600.0, 86400.0, 2592000.0]
    assert all(0.0 <= float(row.split()[2]) <= 1.0 for row in rows)
    middle, low, high = (float(energy.split()[place].strip("()")) for place in (1, 3, 5))
    assert 0.0 < low < middle < high
    assert float(latency.split()[1]) > 0.0
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_mnist_is_read_from_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(0)
    images = drawn.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    labels = drawn.integers(0, 10, 50, dtype=np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels.tobytes()))
    monkeypatch.syspath_prepend(str(FOLDER))
    digits = runpy.run_path(str(FOLDER / "digits.py"))["Digits"].read(tmp_path, 20)
    assert digits.name == "MNIST, 50 images (recorded)"
    assert digits.x.shape == (30, 28, 28)
    np.testing.assert_array_equal(digits.y_test, labels[30:])
    np.testing.assert_allclose(digits.x_test, images[30:] / 255.0, rtol=1e-6)
