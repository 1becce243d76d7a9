"""What docs/network.md shows in YAML runs as printed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from torch import nn

import mho
from mho.catalogue import checked

PAGE = Path(__file__).resolve().parents[3] / "docs" / "network.md"


def test_the_experiment_and_the_sweep_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment, sweep = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10))
    safetensors.torch.save_file(net.state_dict(), "mine.safetensors")
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (40, 1, 8, 8)).astype("u1"), draw.integers(0, 10, 40)
    np.savez("mine.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    Path("mine.yaml").write_text(experiment)
    metrics = mho.run("mine.yaml", sets=("evaluation.chips=1",))
    assert list(metrics["metrics"]) == ["accuracy", "top5"]
    Path("sweep.yaml").write_text(sweep)
    assert checked("sweep.yaml").startswith("sweep.yaml: a valid sweep of")
