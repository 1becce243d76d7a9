"""LSTMs on chips beside ``torch.nn.LSTM`` (cuDNN) on a GPU, and a training step; writes ``results_gpu.json``.

    python -m benchmarks.gpu_recurrent            (a CUDA device is needed; without one the file stays as it is)

Times are medians of 60 by CUDA events, after a warm-up, what the host does between included; the two sides of a
comparison take turns, so that both see the same clocks of the card and the same load of the host. Both hold single
precision with TF32 off; products of small layers are of half precision in two parts, as exact. The larger layer has
2016 units, projected to the 504 values that are fed back.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from devices import PCM, BlockNoise, ChipStreams, Stream, SuperT
from mappings.chip import Chip, Weights
from mappings.convert.converted import convert
from mappings.convert.disturbance import Disturbance
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, RampColumn

RESULTS = Path(__file__).parent / "results_gpu.json"
WARM_UP, REPEATS, DAY_S = 10, 60, 86400.0
PCM_NOISY = PCM(read_noise_S=0.1e-6)
NOISY = Chip(weights=Weights(device=PCM_NOISY), ramp=RampColumn(device=PCM_NOISY))
BY_STATE = Chip(weights=Weights(device=SuperT()), ramp=RampColumn(device=SuperT()))
QUIET = replace(
    replace(NOISY, comparator=Comparator(noise_V=0.0)).idealised(),
    weights=Weights(device=PCM()),
    ramp=RampColumn(device=PCM(), capacitor_mismatch=0.0),
)


@dataclass(frozen=True)
class Case:
    """One comparison: a layer's sizes, chips and batch, and the ratio that it is to keep."""

    name: str
    chip: Chip
    target: float | None
    chips: int = 1
    inputs: int = 40
    hidden: int = 128
    projected: int = 0
    steps: int = 50
    batch: int = 128


LARGE = {"inputs": 128, "hidden": 2016, "projected": 504, "steps": 64, "batch": 64}
CASES = (
    Case("fresh noise", NOISY, 4.0),
    Case("fresh noise", NOISY, 1.5, chips=8),
    Case("no fresh noise", QUIET, None),
    Case("no fresh noise", QUIET, None, chips=8),
    Case("fresh noise by state (superT)", BY_STATE, None),
    Case("no fresh noise", QUIET, 1.2, **LARGE),
    Case("fresh noise", NOISY, 1.8, **LARGE),
)


def milliseconds(*works: Callable[[], object]) -> list[float]:
    """Median time of each of ``works``, which take turns, on the device [ms]."""
    found: list[list[float]] = [[] for _ in works]
    for repeat in range(WARM_UP + REPEATS):
        for work, times in zip(works, found, strict=True):
            torch.cuda.synchronize()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            end.record()
            torch.cuda.synchronize()
            if repeat >= WARM_UP:
                times.append(start.elapsed_time(end))
    return [statistics.median(times) for times in found]


@dataclass
class Results:
    """Rows as they come, printed."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, mine: float, reference: str, beside: float, target: float | None) -> None:
        """One row, with the card."""
        row = {"name": name, "seconds": mine / 1e3, "reference": reference, "reference_seconds": beside / 1e3}
        row |= {"ratio": mine / beside, "target_ratio": target, "machine": machine()}
        self.rows.append(row)
        wanted = "" if target is None else f" (at most {target})"
        print(f"{name:84s} {mine:9.3f} ms, {reference} {beside:8.3f} ms: {mine / beside:5.2f}{wanted}", flush=True)

    def write(self) -> None:
        """All rows, whole or not at all."""
        part = RESULTS.with_suffix(".json.part")
        part.write_text(json.dumps(self.rows, indent=2) + "\n", encoding="utf-8")
        part.replace(RESULTS)


def machine() -> dict[str, object]:
    """What the times depend on, and the day."""
    about = {"card": torch.cuda.get_device_name(0), "torch": torch.__version__, "cuda": torch.version.cuda}
    return {**about, "precision": "single, TF32 off", "date": f"{datetime.now(timezone.utc):%Y-%m-%d}"}


def compare(case: Case, results: Results) -> None:
    """A layer on chips beside torch's at as many sequences."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(case.inputs, case.hidden, batch_first=True, proj_size=case.projected)
    w_ih, w_hh, bias, _, *w_hr = (one.detach() for one in lstm.parameters())
    x = torch.rand(case.batch, case.steps, case.inputs) * 2 - 1
    rng = ChipStreams.of(Stream.root(0), case.chips)
    hr = w_hr[0] if w_hr else None
    layer = RecurrentLayer.from_torch("lstm", w_ih, w_hh, bias, weight_hr=hr, limit=1.0).map(case.chip)
    read, counts = layer.program(rng=rng).at(DAY_S).on("cuda"), case.chip.driver.counts(x, case.chip.bits).cuda()
    lstm, many = lstm.cuda(), x.repeat(case.chips, 1, 1).cuda()
    block = min(64, case.batch)

    def work() -> None:
        noise = BlockNoise(rng.child("read"), range(case.batch // block), block, "cuda")
        read.run(counts, noise=noise)

    with torch.no_grad():
        mine, beside = milliseconds(work, lambda: lstm(many))
    sizes = f"{case.inputs}->{case.hidden}" + (f"->{case.projected}" if case.projected else "")
    name = f"LSTM {sizes}, {case.steps} steps, {case.chips} chips x {case.batch}: {case.name}"
    results.add(name, mine, f"cuDNN on {case.chips * case.batch}", beside, case.target)


class Classifier(torch.nn.Module):
    """An LSTM and a layer behind its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = torch.nn.LSTM(40, 128, batch_first=True), torch.nn.Linear(128, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sums of classes."""
        found: torch.Tensor = self.out(self.lstm(x)[0][:, -1])
        return found


def train_step(noise: float, results: Results) -> None:
    """Forward, backward and the optimiser's step of a converted classifier, beside the same in torch."""
    torch.manual_seed(0)
    module, x, y = Classifier(), torch.rand(128, 50, 40) * 2 - 1, torch.randint(12, (128,))
    net, module = convert(module, NOISY, example=x).cuda(), copy.deepcopy(module).cuda()
    x, y = x.cuda(), y.cuda()
    errors = Disturbance.of(net.chips, (0.0, DAY_S), scale=noise, rng=Stream.root(0), device="cuda") if noise else None
    net.train()
    count = iter(range(1 << 30))

    def step(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
        if model is net and errors is not None:
            for name, disturb in errors.drawn(next(count)).items():
                net.tiles[name].disturb = disturb
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    ours, theirs = (torch.optim.AdamW(one.parameters(), 1e-4) for one in (net, module))
    mine, beside = milliseconds(lambda: step(net, ours), lambda: step(module, theirs))
    name = f"training step, LSTM 40->128 and 12 classes, batch 128, 50 steps, 5 bits, {'' if noise else 'no '}noise"
    results.add(name, mine, "torch", beside, 2.5)


def main() -> None:
    """Run everything; a part that fails does not stop the others."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu_recurrent needs a CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(machine(), flush=True)
    results, failed = Results(), 0
    parts = [lambda case=case: compare(case, results) for case in CASES]
    for part in (*parts, *(lambda noise=noise: train_step(noise, results) for noise in (0.0, 1.0))):
        try:
            part()
        except Exception:
            failed += 1
            traceback.print_exc()
    if failed:
        sys.exit(f"{failed} parts failed: {RESULTS.name} stays as it is")
    results.write()


if __name__ == "__main__":
    main()
