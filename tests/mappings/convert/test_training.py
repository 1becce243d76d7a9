"""Hardware-aware training: it goes on to the same bits, refuses what is not its own, and makes networks that last."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from devices import PCM, Gaussian, Ideal, InputError, Stream, SuperT
from mappings.chip import Chip, OutputConverter, Weights
from mappings.convert.batches import ALLOWED, BatchSource
from mappings.convert.checkpoint import NAME
from mappings.convert.converted import ConvertedNetwork, convert
from mappings.convert.training import HardwareTraining, distance, train_for_hardware
from periphery import RampColumn

CHIP = Chip(bits=6, weights=Weights(device=PCM()), ramp=RampColumn(device=Ideal()))
HOW = HardwareTraining(steps=20, batch=16, learning_rate=1e-2, every=5, times_s=(0.0, 3600.0))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).clamp(-1.0, 1.0)


X = drawn(100, 8)
Y = (X[:, 0] > 0).long() + 2 * (X[:, 1] > 0).long()


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 4))


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: one.detach().clone() for name, one in net.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("teacher", [None, network(3)])
def test_a_training_that_was_killed_goes_on_to_the_same_bits(
    tmp_path: Path, optimiser: Any, teacher: nn.Module | None
) -> None:
    how = replace(HOW, optimiser=optimiser)
    whole = convert(network(), CHIP, example=X)
    rows = train_for_hardware(whole, (X, Y), cross_entropy, how, teacher=teacher, seed=4)

    def killed(_: str, done: int, total: int) -> None:
        assert total == 20
        if done == 13:
            raise Killed

    first = convert(network(), CHIP, example=X)
    with pytest.raises(Killed):
        train_for_hardware(
            first, (X, Y), cross_entropy, how, teacher=teacher, seed=4, checkpoint=tmp_path, progress=killed
        )
    assert not first.training
    assert all(tile.disturb is None for tile in first.tiles.values())
    assert not same(weights(first), weights(whole))
    then, steps = convert(network(), CHIP, example=X), list[int]()
    found = train_for_hardware(
        then, (X, Y), cross_entropy, how, teacher=teacher, seed=4, checkpoint=tmp_path,
        progress=lambda _, done, __: steps.append(done),
    )  # fmt: skip
    assert steps == list(range(11, 21))
    assert found == rows
    assert same(weights(then), weights(whole))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    done = convert(network(), CHIP, example=X)
    assert train_for_hardware(done, (X, Y), cross_entropy, how, teacher=teacher, seed=4, checkpoint=tmp_path) == rows
    assert same(weights(done), weights(whole))


def test_another_seed_and_other_times_lead_elsewhere() -> None:
    found = []
    for seed, how in ((0, HOW), (1, HOW), (0, replace(HOW, times_s=(0.0,))), (0, replace(HOW, noise=0.0))):
        net = convert(network(), CHIP, example=X)
        train_for_hardware(net, lambda step: (X, Y), cross_entropy, how, seed=seed)
        found.append(weights(net))
    assert not any(same(found[0], other) for other in found[1:])


def test_checkpoints_of_other_trainings_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    def go(how: HardwareTraining = HOW, net: ConvertedNetwork | None = None, **what: Any) -> None:
        net = net or convert(network(), CHIP, example=X)
        train_for_hardware(net, (X, Y), cross_entropy, how, checkpoint=tmp_path, **what)

    go()
    with pytest.raises(InputError, match=r"holds another training \(learning_rate 0.01, here 0.02\)"):
        go(replace(HOW, learning_rate=0.02))
    with pytest.raises(InputError, match=r"holds another training \(seed 0, here 1\)"):
        go(seed=1)
    with pytest.raises(InputError, match=r"holds another training \(network"):
        go(net=convert(network(1), CHIP, example=X))
    with pytest.raises(InputError, match=r"holds another training \(network"):
        go(net=convert(network(), replace(CHIP, bits=5), example=X))
    file = tmp_path / NAME
    data = file.read_bytes()
    flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    for damaged in (b"", data[:100], data[:-50], b"\xff" * 64, data.replace(b"exp_avg_sq", b"exp_avg_xx"), flipped):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match="must be a whole checkpoint of"):
            go()


def test_a_loss_that_is_not_finite_stops_and_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return (X, Y)

    def loss(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(0)
        return cross_entropy(y, target) * (float("nan") if len(calls) > 12 else 1.0)

    calls: list[int] = []
    net = convert(network(), CHIP, example=X)
    with pytest.raises(InputError, match=r"must be finite \(got nan and nan in step 13\).*has the last step before"):
        train_for_hardware(net, batch, loss, HOW, checkpoint=tmp_path)
    assert all(one.isfinite().all() for one in weights(net).values())
    then, steps = convert(network(), CHIP, example=X), list[int]()
    train_for_hardware(
        then, batch, cross_entropy, HOW, checkpoint=tmp_path, progress=lambda _, done, __: steps.append(done)
    )
    assert steps[0] == 11


def test_distillation_brings_a_network_nearer_to_its_teacher() -> None:
    teacher = network(9)
    for outputs in ("classes", "values"):
        how = HardwareTraining(steps=60, batch=50, learning_rate=2e-2, teacher_weight=1.0, outputs=outputs)  # type: ignore[arg-type]
        net = convert(network(), CHIP, example=X)
        with torch.no_grad():
            before = float(distance(net.software(X), teacher(X), how))
        teacher.train()
        train_for_hardware(net, (X, Y), cross_entropy, how, teacher=teacher)
        assert teacher.training
        with torch.no_grad():
            assert float(distance(net.software(X), teacher(X), how)) < 0.4 * before


def test_the_divergence_is_that_of_kullback_and_leibler() -> None:
    y, wanted = drawn(5, 3, seed=1), drawn(5, 3, seed=2)
    p, q = torch.softmax(wanted / 3.0, -1), torch.softmax(y / 3.0, -1)
    by_hand = 9.0 * (p * (p / q).log()).sum() / 5
    assert distance(y, wanted, replace(HOW, temperature=3.0)) == pytest.approx(float(by_hand), rel=1e-5)
    assert distance(y, wanted, replace(HOW, outputs="values")) == pytest.approx(float((y - wanted).square().mean()))


def test_weights_are_clipped_at_deviations_or_at_a_quantile() -> None:
    for how in (replace(HOW, clip_sd=1.5), replace(HOW, clip_sd=None, clip_quantile=0.9), replace(HOW, clip_sd=None)):
        net = convert(network(), CHIP, example=X)
        start = weights(net)
        train_for_hardware(net, (X, Y), cross_entropy, replace(how, learning_rate=1e-9))
        for name, one in weights(net).items():
            if one.dim() == 1 or (how.clip_sd is None and how.clip_quantile is None):
                assert torch.allclose(one, start[name], atol=1e-6)
            elif how.clip_quantile is not None:
                assert float((one.abs() >= one.abs().max() * (1 - 1e-6)).float().mean()) >= 0.1
            else:
                # Clipping lowers the deviation: it ends where the largest are so many of the deviations that are left.
                assert float(one.abs().max() / one.std(correction=0)) == pytest.approx(1.5, rel=0.02)


def test_batches_are_addressed_by_step() -> None:
    def source(batches: Any, size: int = 30) -> BatchSource:
        return BatchSource.of(batches, size, rng=Stream.root(0))

    numbers = torch.arange(100)
    pairs = source(((numbers, -numbers), numbers))
    assert pairs.per_epoch == 3
    seen = [pairs.of_step(step) for step in (4, 0, 1, 2, 4)]
    assert all(torch.equal(a, c) and torch.equal(a, -b) for (a, b), c in seen)
    assert len({int(one) for (_, target) in seen[1:4] for one in target}) == 90
    assert torch.equal(seen[0][1], seen[4][1])
    listed = source([(numbers[:1], numbers[k]) for k in range(7)])
    assert sorted(int(listed.of_step(step)[1]) for step in range(7, 14)) == list(range(7))
    assert source([(X, Y)]).by_step
    assert not source(iter([(X, Y)])).by_step
    for wrong, why in (
        (3, "must be a function of the step"),
        ([], "at least one"),
        ((X, Y[:3]), "as many samples"),
        ((X[:0], Y[:0]), "at least one sample"),
    ):
        with pytest.raises(InputError, match=why):
            source(wrong)


def test_settings_and_batches_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"steps": None}, "steps: give steps or epochs"),
        ({"epochs": 2}, "steps: give steps or epochs"),
        ({"steps": 0}, r"^steps: must be at least 1 \(got 0\)$"),
        ({"batch": 1.5}, r"^batch: must be a whole number \(got 1.5\)$"),
        ({"batch": "a"}, r"^batch: must be a whole number \(got 'a'\)$"),
        ({"every": True}, r"^every: must be a whole number \(got True\)$"),
        ({"learning_rate": float("nan")}, r"^learning_rate: must be a finite number \(got nan\)$"),
        ({"learning_rate": 0.0}, r"^learning_rate: must be above 0 \(got 0.0\)$"),
        ({"momentum": 2.0}, r"^momentum: must be below 1 \(got 2.0\)$"),
        ({"warm_up": 1.0}, r"^warm_up: must be below 1 \(got 1.0\)$"),
        ({"weight_decay": -1.0}, r"^weight_decay: must be at least 0 \(got -1.0\)$"),
        ({"gradient_limit": 0.0}, r"^gradient_limit: must be above 0 \(got 0.0\)$"),
        ({"teacher_weight": 2}, r"^teacher_weight: must be at most 1 \(got 2\)$"),
        ({"temperature": math.inf}, r"^temperature: must be a finite number \(got inf\)$"),
        ({"noise": -1.0}, r"^noise: must be at least 0 \(got -1.0\)$"),
        ({"optimiser": "lion"}, r"^optimiser: must be 'adamw' or 'sgd' \(got 'lion'\)$"),
        ({"outputs": 5}, r"^outputs: must be 'classes' or 'values' \(got 5\)$"),
        ({"clip_sd": 0.5}, r"^clip_sd: must be at least 1 \(got 0.5\)$"),
        ({"clip_sd": None, "clip_quantile": 0.2}, r"^clip_quantile: must be above 0.5 \(got 0.2\)$"),
        ({"clip_quantile": 0.9}, "clip_quantile"),
        ({"times_s": ()}, "times_s: at least one"),
        ({"times_s": (-1.0,)}, r"^times_s: must be at least 0 \(got \(-1.0,\)\)$"),
        ({"times_s": 0.0}, r"^times_s: must be a tuple \(got 0.0\)$"),
    ]
    for how, why in wrong:
        with pytest.raises(ValueError, match=why):
            replace(HOW, **how)
    net = convert(network(), CHIP, example=X)
    with pytest.raises(InputError, match="with a checkpoint they must be a list"):
        train_for_hardware(net, iter([(X, Y)]), cross_entropy, HOW, checkpoint=tmp_path)
    with pytest.raises(InputError, match="epochs: these batches have no known number"):
        train_for_hardware(net, lambda step: (X, Y), cross_entropy, replace(HOW, steps=None, epochs=1))
    with pytest.raises(InputError, match="each must be a pair"):
        train_for_hardware(net, lambda step: X, cross_entropy, HOW)  # type: ignore[arg-type, return-value]
    with pytest.raises(InputError, match="an iterator that has ended"):
        train_for_hardware(net, iter([(X, Y)]), cross_entropy, HOW)
    given: tuple[tuple[dict[str, Any], str], ...] = (
        ({"net": network()}, "net: must be a ConvertedNetwork (got Sequential)"),
        ({"how": {"steps": 2}}, "how: must be a HardwareTraining (got dict)"),
        ({"loss": 5}, "loss: must be a function of outputs and target (got int)"),
        (
            {"loss": lambda outputs, target: outputs},
            "loss: must give one number that depends on the outputs, as a tensor (got Tensor of shape (32, 4))",
        ),
        (
            {"loss": lambda outputs, target: outputs.detach().sum()},
            "loss: must give one number that depends on the outputs, as a tensor (got Tensor of shape (), without a "
            "gradient)",
        ),
        ({"teacher": 5}, "teacher: must be a function or a module (got int)"),
        ({"teacher": lambda x: None}, "teacher: must give a tensor, or several (got NoneType)"),
        (
            {"teacher": lambda x: torch.zeros(2, 7)},
            "teacher: must give outputs of the network's sizes, (32, 4) (got (2, 7))",
        ),
        ({"seed": 1.5}, "seed: must be a whole number (got 1.5)"),
        ({"checkpoint": 5}, "checkpoint: must be the path of a folder (got int)"),
        ({"batches": (X.numpy(), Y)}, "batches: inputs: must be a tensor, or a tuple of tensors (got ndarray)"),
        ({"batches": "ab"}, f"batches: must be {ALLOWED} (got str)"),
        ({"batches": (X.double(), Y)}, "input 0: must be torch.float32 as the example is (got torch.float64)"),
    )
    for changed, said in given:
        whole: dict[str, Any] = {
            "net": net,
            "batches": (X, Y),
            "loss": cross_entropy,
            "how": replace(HOW, steps=2, batch=32),
            **changed,
        }
        with pytest.raises(InputError) as raised:
            train_for_hardware(**whole)
        assert list(raised.value.problems) == [said]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        train_for_hardware(net, (X, Y), cross_entropy, HOW, checkpoint=tmp_path / "file")


def test_epochs_and_iterables_and_values_train() -> None:
    def again() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield X, X[:, :4]

    net, steps = convert(network(), CHIP, example=X), list[int]()
    how = replace(HOW, steps=None, epochs=2.5)
    train_for_hardware(net, (X, Y), cross_entropy, how, progress=lambda _, done, total: steps.append(total))
    assert steps == [15] * 15
    rows = train_for_hardware(net, again(), mse_loss, replace(HOW, steps=100, learning_rate=2e-2, gradient_limit=None))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_trains_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    found = []
    for folder, until in ((None, 20), (tmp_path, 10), (tmp_path, 20)):
        net, steps = convert(network(), CHIP, example=X).cuda(), list[int]()

        def progress(_: str, done: int, __: int, until: int = until, steps: list[int] = steps) -> None:
            steps.append(done)
            if done == until < 20:
                raise Killed

        try:
            train_for_hardware(net, (X, Y), cross_entropy, HOW, checkpoint=folder, progress=progress)
        except Killed:
            continue
        found.append(weights(net))
    assert steps[0] == 11
    assert same(*found)


def test_a_file_holds_the_settings_and_what_it_may_not_say_is_refused() -> None:
    whole = TypeAdapter(HardwareTraining)
    assert whole.validate_python({"steps": 20, "times_s": [0, 3600]}).times_s == (0.0, 3600.0)
    for wrong in (
        {"steps": 0},
        {"steps": 1, "epochs": 1},
        {"steps": 1, "clip_sd": 0.5},
        {"steps": 1, "outputs": "all"},
    ):
        with pytest.raises(ValidationError):
            whole.validate_python({"steps": 1} | wrong)


class Words(nn.Module):
    """An LSTM whose last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0][:, -1])


def sequences(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise over one of four slow patterns."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(4, 10, 6, generator=torch.Generator().manual_seed(0))
    y = torch.randint(4, (count,), generator=generator)
    noise = torch.randn(count, 10, 6, generator=generator)
    return (0.35 * patterns[y] + 0.6 * noise).clamp(-1.0, 1.0), y


def test_a_small_lstm_keeps_more_of_its_accuracy_on_a_harsh_chip_and_on_others() -> None:
    """Unverified superT at 4 bits; trained for it, tried on it and on another device of as large errors."""
    x, y = sequences(512, 1)
    xt, yt = sequences(256, 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Words()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for step in range(150):
        some = torch.randperm(512, generator=torch.Generator().manual_seed(step))[:64]
        optimiser.zero_grad()
        cross_entropy(module(x[some]), y[some]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    harsh = Chip(
        bits=4,
        weights=Weights(device=SuperT(verified=False)),
        ramp=RampColumn(device=Ideal()),
        output=OutputConverter(bits=4),
    )
    net, trained = (convert(module, harsh, example=x) for _ in range(2))
    how = HardwareTraining(steps=300, batch=64, learning_rate=5e-3)
    train_for_hardware(trained, (x, y), cross_entropy, how, teacher=module)

    def accuracy(net: ConvertedNetwork) -> float:
        with torch.no_grad():
            found = net.program(16, seed=3).at(0.0)(xt)
        return float((found.argmax(-1) == yt).float().mean())

    software = float((module(xt).argmax(-1) == yt).float().mean())
    before, after = accuracy(net), accuracy(trained)
    assert before < software - 0.05
    assert after - before > 0.5 * (software - before)
    other = replace(harsh, weights=Weights(device=Gaussian(sigma_absolute=0.08)))
    assert accuracy(trained.on(other)) > accuracy(net.on(other))
