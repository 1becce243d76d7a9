"""The character network of 504 units that ships, read on chips on a GPU, beside the same in torch (cuDNN).

    python -m benchmarks.gpu_charlm        (a CUDA device is needed; without one ``results_gpu_charlm.json`` stays)

A window of 64 characters in 64 streams on every chip, states given and taken back, with wires and fresh noise. torch
reads as many streams as all chips together. Times as in ``gpu_recurrent``; embedding and output layer included.
"""

from __future__ import annotations

import copy
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_recurrent import Results, machine, milliseconds
from mho.files import write_atomic
from mho.runner import load_experiment
from workloads.charlm.hardware import Windows, calibrated, converted, laid, starts
from workloads.charlm.text import text_of
from workloads.charlm.weights import given_network

RESULTS = Path(__file__).parent / "results_gpu_charlm.json"
VARIANTS, CHIPS, STREAMS, WINDOW, MONTH_S = ("superT_5bit", "pcm_5bit_global"), (1, 8), 64, 64, 2.592e6
TARGET = 1.8


def compare(results: Results, device: str = "cuda") -> None:
    """Each variant on one chip and on eight."""
    how: Any = load_experiment("charlm_hermes_504").value
    given = given_network(how.weights_for_chips, how.model, "weights_for_chips")
    text = text_of(how.data, None, vocabulary=given.vocabulary)
    windows = Windows.of(given.net, text.train[: how.calibration.characters], STREAMS, WINDOW)
    traced = converted(given.net, how.default, tuple(one[:2] for one in windows.inputs), how)
    torchs = copy.deepcopy(given.net).to(device)
    characters = text.test[: STREAMS * WINDOW].view(STREAMS, WINDOW).to(device)
    for variant in (one for one in how.variants if one.name in VARIANTS):
        net = calibrated(laid(traced, variant), windows, how)
        for chips in CHIPS:
            read = net.program(chips, seed=how.seed, device=device).at(MONTH_S if variant.chip.drifts else 0.0)
            start = [one.to(device) for one in starts(given.net, chips, STREAMS)]
            many = characters.repeat(chips, 1)
            with torch.no_grad():
                mine, beside = milliseconds(
                    partial(read, characters, *start, of_chips=2), partial(torchs, many, *torchs.start(len(many)))
                )
            name = f"{variant.name}, 504 units, {WINDOW} characters, {chips} chips x {STREAMS}: with wires, fresh noise"
            results.add(name, mine, f"cuDNN on {len(many)}", beside, TARGET)


def main() -> None:
    """Run everything, then write all rows."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu_charlm needs a CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(machine(), flush=True)
    results = Results()
    compare(results)
    write_atomic(RESULTS, (json.dumps(results.rows, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
