"""The example of the keyword network runs in a small form, from the files that it asks for to the cost."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from workloads.network.ds_cnn import ds_cnn

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlperf_tiny_kws.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of drawn weights, and what it itself takes noise for."""
    made = tmp_path_factory.mktemp("data")
    torch.manual_seed(0)
    net = ds_cnn().eval()
    save_file(
        {name: one for name, one in net.state_dict().items() if "tracked" not in name},
        made / "kws_dscnn_float.safetensors",
    )
    features = torch.randn(48, 49, 10)
    with torch.no_grad():
        labels = net(features).argmax(1).to(torch.int8)
    names = np.array([f"yes/{number:08x}_nohash_0.wav" for number in range(48)])
    np.savez(made / "kws_reference.npz", features=features.numpy(), labels=labels.numpy(), names=names)
    return made


@pytest.mark.parametrize("chip", ["hermes_core", "yang2025"])
def test_accuracy_over_time_and_cost_are_printed(
    chip: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(EXAMPLE))["main"]
    asked = ["--data", str(folder), "--chip", chip, "--clips", "4", "--chips", "2", "--keep", str(tmp_path)]
    main([*asked, "--train", "1"])
    printed = capsys.readouterr().out
    (found,) = tmp_path.rglob("4_clips_2_chips.txt")
    assert found.read_text() in printed
    found.unlink()
    main([*asked, "--train", "1"])  # goes on from the checkpoint
    assert capsys.readouterr().out == printed
    found.write_text("kept")
    main([*asked, "--train", "1"])  # takes what is there
    assert capsys.readouterr().out.splitlines()[-1] == "kept"
    first, what, head, *rows, area, energy, latency = printed.splitlines()
    assert what == f"{chip}, 8 bits, 1 steps of training"
    assert first == "float, 48 clips: 100.00%"
    assert "minus_trained" in head.split()
    times = [float(row.split()[0]) for row in rows]
    assert times == ([0.0, 3600.0, 86400.0, 2592000.0, 31536000.0] if chip == "hermes_core" else [0.0])
    for line, unit in ((area, "mm2"), (energy, "uJ")):
        low, high = (float(line.split()[place].strip("()")) for place in (-3, -1))
        assert 0.0 < low < float(line.split()[1]) < high
        assert unit in line
    assert latency.split()[0] == "latency"
